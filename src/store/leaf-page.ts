/**
 * Entries of leaves: key → value. The cell: u16 length of the value, the key's tail, the value.
 */
import type { Arena } from './arena.ts';
import { pageHalves } from './arena.ts';
import { pageBytes } from './page-device.ts';
import {
  cellOf,
  closeEntry,
  entryWord,
  heapAt,
  leafTailAt,
  openEntry,
  prefixAt,
  restLength,
  tailLength,
  wasteAt,
} from './page-layout.ts';
import type { Probe } from './probe.ts';

/** Bytes of the cell that a key with a value of this length takes in this page. */
export function leafCellBytes(
  arena: Arena,
  slot: number,
  keyLength: number,
  valueLength: number,
): number {
  const rest = keyLength - arena.halves[slot * pageHalves + prefixAt]!;
  return leafTailAt + tailLength(rest) + valueLength;
}

export function valueLengthOf(arena: Arena, slot: number, index: number): number {
  const cell = cellOf(arena, slot, index);
  return arena.bytes[cell]! | (arena.bytes[cell + 1]! << 8);
}

/** Where an entry's value is, in bytes of the arena. */
export function valueOf(arena: Arena, slot: number, index: number): number {
  const tail = tailLength(restLength(arena, slot, index));
  return cellOf(arena, slot, index) + leafTailAt + tail;
}

/** Adds the entry; there must be room. Returns where its value belongs, in bytes of the arena. */
export function insertLeafEntry(
  arena: Arena,
  slot: number,
  index: number,
  { probe, valueLength }: { readonly probe: Probe; readonly valueLength: number },
): number {
  const { bytes, halves, words } = arena;
  const half = slot * pageHalves;
  const prefix = halves[half + prefixAt]!;
  const rest = probe.length - prefix;
  const tail = tailLength(rest);
  const offset = halves[half + heapAt]! - leafTailAt - tail - valueLength;
  halves[half + heapAt] = offset;
  openEntry(arena, slot, index);
  const word = entryWord(slot, index);
  words[word] = probe.headAt(prefix);
  words[word + 1] = offset | (rest << 16);
  const cell = slot * pageBytes + offset;
  bytes[cell] = valueLength & 0xff;
  bytes[cell + 1] = valueLength >>> 8;
  const key = probe.bytes;
  for (let at = 0; at < tail; at++) bytes[cell + leafTailAt + at] = key[prefix + 4 + at]!;
  return cell + leafTailAt + tail;
}

/** Makes the value shorter, or the same length, where it is. */
export function shrinkValue(arena: Arena, slot: number, index: number, length: number): number {
  const cell = cellOf(arena, slot, index);
  const before = valueLengthOf(arena, slot, index);
  arena.halves[slot * pageHalves + wasteAt]! += before - length;
  arena.bytes[cell] = length & 0xff;
  arena.bytes[cell + 1] = length >>> 8;
  return valueOf(arena, slot, index);
}

export function removeLeafEntry(arena: Arena, slot: number, index: number): void {
  const size =
    leafTailAt + tailLength(restLength(arena, slot, index)) + valueLengthOf(arena, slot, index);
  closeEntry(arena, slot, index, size);
}
