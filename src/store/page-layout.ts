/**
 * What leaves and inner pages have in common. Offsets are bytes into the page; integers little-endian.
 *
 * | bytes       | what                                                                                   |
 * |-------------|----------------------------------------------------------------------------------------|
 * | 0           | u16 level: 0 = leaf                                                                    |
 * | 2           | u16 count of entries                                                                   |
 * | 4           | u16 length of the prefix that all keys routed here have in common                      |
 * | 6           | u16 start of the heap of cells, which grows down                                       |
 * | 8           | u16 bytes of the heap that no cell uses                                                |
 * | 10          | u16 flags: 1 = a leaf that holds, or held, references to runs                          |
 * | 12          | u16 index of the last insertion                                                        |
 * | 14          | u16 how many insertions in a row were beside the one before: up to 255, + 256 if descending |
 * | 16 + 8 i    | entry i: i32 head, u16 offset of its cell, u16 length of its key without the prefix    |
 * | …           | free                                                                                   |
 * | heap start  | cells                                                                                  |
 * | 4096 - n    | the prefix, n bytes                                                                    |
 *
 * A head is the four bytes after the prefix as a big-endian number with its sign bit flipped, zeros in place
 * of missing bytes: heads compare as signed numbers as the keys do, and most comparisons end there. Bytes of
 * the key after the head (its tail) are in the cell.
 *
 * Invariant: every key that the tree routes to a page begins with the page's prefix (it is the common prefix of
 * the two keys that bound the page), so a search never compares the prefix.
 */
import { type Arena, pageHalves, pageWords } from './arena.ts';
import { pageBytes } from './page-device.ts';

export const headerBytes = 16;
export const entryBytes = 8;
const headerWords = headerBytes / 4;

const levelAt = 0;
export const countAt = 1;
export const prefixAt = 2;
export const heapAt = 3;
export const wasteAt = 4;
export const flagsAt = 5;
export const insertedAt = 6;
export const trendAt = 7;

export const runsFlag = 1;
/** Added to the trend's count when each insertion came before the last. */
export const descending = 256;
export const signBit = 0x8000_0000 | 0;

/** Bytes of a cell before the key's tail: leaf: u16 length of the value. Inner: u32 page and its reference. */
export const leafTailAt = 2;
export const innerTailAt = 36;

export function countOf(arena: Arena, slot: number): number {
  return arena.halves[slot * pageHalves + countAt]!;
}

export function levelOf(arena: Arena, slot: number): number {
  return arena.halves[slot * pageHalves + levelAt]!;
}

/** Where entry `index` is, in words of the arena; entries of `words` are head, then offset | length << 16. */
export function entryWord(slot: number, index: number): number {
  return slot * pageWords + headerWords + 2 * index;
}

/** The offset of an entry's cell, in bytes of the arena. */
export function cellOf(arena: Arena, slot: number, index: number): number {
  return slot * pageBytes + (arena.words[entryWord(slot, index) + 1]! & 0xffff);
}

/** Bytes of an entry's key after the page's prefix. */
export function restLength(arena: Arena, slot: number, index: number): number {
  return arena.words[entryWord(slot, index) + 1]! >>> 16;
}

/** Bytes of a key's tail, of `rest` bytes after the prefix. */
export function tailLength(rest: number): number {
  return rest > 4 ? rest - 4 : 0;
}

/** Makes an empty page whose prefix is the first `prefixLength` bytes of `prefix`. */
export function formatPage(
  arena: Arena,
  slot: number,
  level: number,
  prefix: { readonly bytes: Uint8Array; readonly length: number },
): void {
  const half = slot * pageHalves;
  const halves = arena.halves;
  const { bytes, length } = prefix;
  halves[half + levelAt] = level;
  halves[half + countAt] = 0;
  halves[half + prefixAt] = length;
  // Cells of inner pages begin at multiples of four, for the page number to be read as a word.
  halves[half + heapAt] = level === 0 ? pageBytes - length : (pageBytes - length) & ~3;
  halves[half + wasteAt] = 0;
  halves[half + flagsAt] = 0;
  halves[half + insertedAt] = 0;
  halves[half + trendAt] = 0;
  const start = (slot + 1) * pageBytes - length;
  for (let index = 0; index < length; index++) arena.bytes[start + index] = bytes[index]!;
}

/** Bytes between the entries and the heap. */
export function freeBytes(arena: Arena, slot: number): number {
  const half = slot * pageHalves;
  const halves = arena.halves;
  return halves[half + heapAt]! - headerBytes - entryBytes * halves[half + countAt]!;
}

/** Writes the whole key of an entry into `target` and returns its length. */
export function copyKey(arena: Arena, slot: number, index: number, target: Uint8Array): number {
  const { bytes, words } = arena;
  const half = slot * pageHalves;
  const prefix = arena.halves[half + prefixAt]!;
  const start = (slot + 1) * pageBytes - prefix;
  for (let at = 0; at < prefix; at++) target[at] = bytes[start + at]!;
  const word = entryWord(slot, index);
  const rest = words[word + 1]! >>> 16;
  const head = words[word]! ^ signBit;
  target[prefix] = head >>> 24;
  target[prefix + 1] = (head >>> 16) & 0xff;
  target[prefix + 2] = (head >>> 8) & 0xff;
  target[prefix + 3] = head & 0xff;
  const tailAt = arena.halves[half + levelAt] === 0 ? leafTailAt : innerTailAt;
  const tail = slot * pageBytes + (words[word + 1]! & 0xffff) + tailAt;
  for (let at = 4; at < rest; at++) target[prefix + at] = bytes[tail + at - 4]!;
  return prefix + rest;
}

/** Copies within the arena: loops are quicker than a call for few bytes. */
export function moveBytes(bytes: Uint8Array, target: number, source: number, count: number): void {
  if (count > 32) bytes.copyWithin(target, source, source + count);
  else for (let at = 0; at < count; at++) bytes[target + at] = bytes[source + at]!;
}

/** Opens a gap for entry `index`, counts it, and notes whether insertions run upwards or downwards. */
export function openEntry(arena: Arena, slot: number, index: number): void {
  const { halves, words } = arena;
  const half = slot * pageHalves;
  const count = halves[half + countAt]!;
  const from = entryWord(slot, index);
  const end = entryWord(slot, count);
  if (end - from > 24) words.copyWithin(from + 2, from, end);
  else for (let at = end - 1; at >= from; at--) words[at + 2] = words[at]!;
  halves[half + countAt] = count + 1;
  arena.stamps[slot]!++;
  const last = halves[half + insertedAt]!;
  const trend = halves[half + trendAt]!;
  halves[half + trendAt] = nextTrend(trend, count === 0 ? 0 : index - last);
  halves[half + insertedAt] = index;
}

/** The count of insertions in a row that each came right behind (`step` 1) or right before (0) the last one. */
function nextTrend(trend: number, step: number): number {
  if (step === 1) return trend < descending ? Math.min(trend + 1, descending - 1) : 1;
  if (step === 0) return trend > descending ? Math.min(trend + 1, 511) : descending + 1;
  return 0;
}

/** Takes entry `index` out of the list of entries, for it to be put in anew; its cell becomes waste of `cellBytes`. */
export function closeEntry(arena: Arena, slot: number, index: number, cellBytes: number): void {
  const { halves, words } = arena;
  const half = slot * pageHalves;
  const count = halves[half + countAt]!;
  words.copyWithin(entryWord(slot, index), entryWord(slot, index + 1), entryWord(slot, count));
  halves[half + countAt] = count - 1;
  halves[half + wasteAt]! += cellBytes;
}
