/**
 * Entries of inner pages: separator → child. The cell, at a multiple of four: u32 number of the child's page, its
 * top bit set when the child is a leaf that holds references to runs; the 32 bytes that prove the child; the
 * separator's tail. A child holds the keys from its separator up to the next one; the first entry's separator
 * is the beginning of everything that is routed to this page, and is kept empty.
 */
import type { Arena } from './arena.ts';
import { pageHalves } from './arena.ts';
import { pageBytes, pageRefBytes } from './page-device.ts';
import {
  cellOf,
  countOf,
  entryWord,
  heapAt,
  innerTailAt,
  openEntry,
  prefixAt,
  signBit,
  tailLength,
} from './page-layout.ts';
import { search } from './page-search.ts';
import type { PageRefs } from './page-refs.ts';
import type { Probe } from './probe.ts';

const pageMask = 0x7fff_ffff;

/** The index of the child that the probe's key is routed to. */
export function childIndex(arena: Arena, slot: number, probe: Probe): number {
  const index = search(arena, slot, probe, innerTailAt);
  return index >= 0 ? index : -index - 2;
}

export function childPage(arena: Arena, slot: number, index: number): number {
  return arena.words[cellOf(arena, slot, index) >> 2]! & pageMask;
}

export function childHasRuns(arena: Arena, slot: number, index: number): boolean {
  return arena.words[cellOf(arena, slot, index) >> 2]! < 0;
}

/** Where the bytes that prove a child are, in bytes of the arena. */
export function childRef(arena: Arena, slot: number, index: number): number {
  return cellOf(arena, slot, index) + 4;
}

/** Gives a child another page number. */
export function setChildPage(arena: Arena, slot: number, index: number, page: number): void {
  const word = cellOf(arena, slot, index) >> 2;
  arena.words[word] = (arena.words[word]! & signBit) | page;
}

export function markChildRuns(arena: Arena, slot: number, index: number): void {
  arena.words[cellOf(arena, slot, index) >> 2]! |= signBit;
}

/** Bytes of the cell that a separator takes in this page. */
export function innerCellBytes(arena: Arena, slot: number, separatorLength: number): number {
  const rest = separatorLength - arena.halves[slot * pageHalves + prefixAt]!;
  return (innerTailAt + tailLength(rest) + 3) & ~3;
}

/** Adds a child, which nothing proves yet; there must be room. The first child's separator is not kept. */
export function insertChild(
  arena: Arena,
  slot: number,
  index: number,
  child: { readonly separator: Probe; readonly page: number; readonly hasRuns: boolean },
): void {
  const { bytes, halves, words } = arena;
  const half = slot * pageHalves;
  const prefix = halves[half + prefixAt]!;
  const key = child.separator;
  const first = countOf(arena, slot) === 0;
  const rest = first ? 0 : key.length - prefix;
  const tail = tailLength(rest);
  const offset = halves[half + heapAt]! - ((innerTailAt + tail + 3) & ~3);
  halves[half + heapAt] = offset;
  openEntry(arena, slot, index);
  const word = entryWord(slot, index);
  words[word] = first ? signBit : key.headAt(prefix);
  words[word + 1] = offset | (rest << 16);
  const cell = slot * pageBytes + offset;
  words[cell >> 2] = child.hasRuns ? child.page | signBit : child.page;
  bytes.fill(0, cell + 4, cell + 4 + pageRefBytes);
  for (let at = 0; at < tail; at++) bytes[cell + innerTailAt + at] = key.bytes[prefix + 4 + at]!;
}

/** Fills in what proves the children that were written since this page was. */
export function patchChildren(arena: Arena, slot: number, refs: PageRefs): void {
  const count = countOf(arena, slot);
  for (let index = 0; index < count; index++) {
    const cell = cellOf(arena, slot, index);
    const ref = refs.offsetOf(arena.words[cell >> 2]! & pageMask);
    if (ref === -1) continue;
    for (let at = 0; at < pageRefBytes; at++) arena.bytes[cell + 4 + at] = refs.bytes[ref + at]!;
  }
}
