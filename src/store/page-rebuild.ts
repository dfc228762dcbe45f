/** Building pages anew from entries of another one: compaction, and the two halves of a split. */
import { assert } from '../base/index.ts';
import type { Arena } from './arena.ts';
import { pageHalves } from './arena.ts';
import { pageBytes } from './page-device.ts';
import {
  countAt,
  countOf,
  entryBytes,
  entryWord,
  flagsAt,
  formatPage,
  heapAt,
  innerTailAt,
  insertedAt,
  leafTailAt,
  levelOf,
  moveBytes,
  prefixAt,
  restLength,
  signBit,
  tailLength,
  trendAt,
} from './page-layout.ts';

/** Entries [from, to) of the page in `source`. */
export interface PagePart {
  readonly source: number;
  readonly from: number;
  readonly to: number;
}

/** Bytes that entry `index` takes in its page, its cell included. */
export function entrySize(arena: Arena, slot: number, index: number): number {
  const place = arena.words[entryWord(slot, index) + 1]!;
  const tail = tailLength(place >>> 16);
  if (levelOf(arena, slot) > 0) return entryBytes + ((innerTailAt + tail + 3) & ~3);
  const cell = slot * pageBytes + (place & 0xffff);
  const value = arena.bytes[cell]! | (arena.bytes[cell + 1]! << 8);
  return entryBytes + leafTailAt + tail + value;
}

/** Bytes that moveEntries takes for a part's entries and cells when the prefix grows by `cut` bytes. */
export function movedBytes(arena: Arena, { source, from, to }: PagePart, cut: number): number {
  const inner = levelOf(arena, source) > 0;
  let bytes = 0;
  for (let index = from; index < to; index++) {
    const size = entrySize(arena, source, index);
    const rest = restLength(arena, source, index);
    const newRest = inner && index === from ? 0 : rest - cut;
    const saved = tailLength(rest) - tailLength(newRest);
    // Cells of inner pages are padded to words.
    bytes += inner ? size - (saved & ~3) : size - saved;
  }
  return bytes;
}

/** Copies a page to the scratch slot and returns that. */
export function copyToScratch(arena: Arena, slot: number): number {
  const scratch = arena.scratchSlot;
  arena.bytes.copyWithin(scratch * pageBytes, slot * pageBytes, (slot + 1) * pageBytes);
  return scratch;
}

/** Puts a page's free bytes into one piece. */
export function compact(arena: Arena, slot: number): void {
  const { bytes, halves } = arena;
  const source = copyToScratch(arena, slot);
  const half = slot * pageHalves;
  const [flags, inserted, trend] = [
    halves[half + flagsAt]!,
    halves[half + insertedAt]!,
    halves[half + trendAt]!,
  ];
  const length = halves[half + prefixAt]!;
  const end = (source + 1) * pageBytes;
  formatPage(arena, slot, levelOf(arena, source), {
    bytes: bytes.subarray(end - length, end),
    length,
  });
  moveEntries(arena, slot, { source, from: 0, to: countOf(arena, source) });
  halves[half + flagsAt] = flags;
  halves[half + insertedAt] = inserted;
  halves[half + trendAt] = trend;
}

/**
 * Appends entries of `source` to the page in `slot`, whose prefix begins with that of `source`. The first
 * entry of an inner page loses its separator.
 */
export function moveEntries(arena: Arena, slot: number, { source, from, to }: PagePart): void {
  const { bytes, halves, words } = arena;
  const half = slot * pageHalves;
  const inner = halves[half]! > 0;
  const tailAt = inner ? innerTailAt : leafTailAt;
  const cut = halves[half + prefixAt]! - halves[source * pageHalves + prefixAt]!;
  assert(cut >= 0, 'a part of a page has at least the prefix of the whole');
  let count = halves[half + countAt]!;
  let heap = halves[half + heapAt]!;
  for (let index = from; index < to; index++) {
    const word = entryWord(source, index);
    const place = words[word + 1]!;
    const rest = place >>> 16;
    const cell = source * pageBytes + (place & 0xffff);
    const value = inner ? 0 : bytes[cell]! | (bytes[cell + 1]! << 8);
    const newRest = inner && count === 0 ? 0 : rest - cut;
    assert(newRest >= 0, 'a key begins with its prefix');
    const skipped = tailLength(rest) - tailLength(newRest);
    const size = tailAt + tailLength(newRest) + value;
    heap -= inner ? (size + 3) & ~3 : size;
    const target = slot * pageBytes + heap;
    if (skipped === 0) moveBytes(bytes, target, cell, size);
    else {
      moveBytes(bytes, target, cell, tailAt);
      moveBytes(bytes, target + tailAt, cell + tailAt + skipped, size - tailAt);
    }
    const entry = entryWord(slot, count++);
    if (newRest === 0) words[entry] = signBit;
    else words[entry] = cut === 0 ? words[word]! : headAfter(arena, source, index, cut);
    words[entry + 1] = heap | (newRest << 16);
  }
  halves[half + countAt] = count;
  halves[half + heapAt] = heap;
  assert(heap >= entryWord(0, count) << 2, 'the entries fit into the page');
  arena.stamps[slot]!++;
}

/** The head of an entry's key when `cut` more bytes belong to the prefix. */
function headAfter(arena: Arena, slot: number, index: number, cut: number): number {
  const word = entryWord(slot, index);
  const place = arena.words[word + 1]!;
  const old = arena.words[word]! ^ signBit;
  const tailAt = levelOf(arena, slot) === 0 ? leafTailAt : innerTailAt;
  const tail = slot * pageBytes + (place & 0xffff) + tailAt - 4;
  let head = 0;
  for (let at = cut; at < cut + 4; at++) {
    let byte = 0;
    if (at < 4) byte = (old >>> (24 - 8 * at)) & 0xff;
    else if (at < place >>> 16) byte = arena.bytes[tail + at]!;
    head = (head << 8) | byte;
  }
  return head ^ signBit;
}
