import { assert } from '../base/index.ts';
import type { Arena } from './arena.ts';
import { pageHalves } from './arena.ts';
import type { TreePath } from './b-tree.ts';
import { innerCellBytes, insertChild } from './inner-page.ts';
import { pageBytes } from './page-device.ts';
import {
  copyKey,
  countOf,
  descending,
  entryBytes,
  flagsAt,
  formatPage,
  freeBytes,
  headerBytes,
  insertedAt,
  levelOf,
  prefixAt,
  runsFlag,
  trendAt,
} from './page-layout.ts';
import {
  copyToScratch,
  entrySize,
  movedBytes,
  moveEntries,
  type PagePart,
} from './page-rebuild.ts';
import type { Pager } from './pager.ts';
import { physicalKeyMax, Probe } from './probe.ts';

/** Insertions in a row beside each other after which a page is taken to be filled in order. */
const trendMin = 2;

/** A bound of a page: `open` on the tree's outer edges. */
class Fence {
  readonly key = new Probe();
  open = true;
}

/**
 * Splits pages. The new page is the right one; `pending` is what the level above must take in.
 *
 * Where keys arrive in ascending or descending order, the cut is where the new one belongs, so that the page left
 * behind stays full; elsewhere it is in the middle of the bytes. Each half gets the common prefix of its bounds.
 */
export class Splitter {
  readonly #pager: Pager;
  readonly #path: TreePath;
  readonly #low = new Fence();
  readonly #high = new Fence();
  /** The separator of the page that was split off last, and room for the next level's. */
  separator = new Probe();
  #nextSeparator = new Probe();
  readonly #before = new Probe();
  #page = 0;
  #hasRuns = false;
  leftHasRuns = false;

  constructor(pager: Pager, path: TreePath) {
    this.#pager = pager;
    this.#path = path;
  }

  /** The child that the level above the last split must take in. */
  get pending(): { separator: Probe; page: number; hasRuns: boolean } {
    return { separator: this.separator, page: this.#page, hasRuns: this.#hasRuns };
  }

  /** Splits the path's leaf for a new entry of `size` bytes, and leads the path to where that belongs. */
  splitLeaf(probe: Probe, size: number, height: number): void {
    const { arena } = this.#pager;
    const { slots, indices } = this.#path;
    const slot = slots[0]!;
    const index = indices[0]!;
    const count = countOf(arena, slot);
    const half = slot * pageHalves;
    const trend = trendOf(arena, slot, index);
    let cut = index;
    let goesRight = trend < descending;
    if (trend === 0 || !fits(arena, slot, { cut, goesRight, size })) {
      cut = middle(arena, slot, index, size);
      // At the cut, it goes to the half that has more room.
      goesRight =
        index > cut ||
        (index === cut && bytesOf(arena, slot, 0, cut) > bytesOf(arena, slot, cut, count));
    }
    if (index === cut && cut === 0) goesRight = false;
    if (index === cut && cut === count) goesRight = true;
    this.#findFences(0, height);
    this.#separate(slot, { cut, probe, newAt: index === cut ? (goesRight ? 1 : -1) : 0 });
    const right = this.#divide(0, cut);
    this.leftHasRuns = (arena.halves[half + flagsAt]! & runsFlag) !== 0;
    this.#hasRuns = this.leftHasRuns;
    slots[0] = goesRight ? right : slot;
    indices[0] = goesRight ? index - cut : index;
  }

  /** Puts the pending child into the page of the path at `level`. Returns false if that was split: something is pending for the level above. */
  insertInto(level: number, height: number): boolean {
    const { arena } = this.#pager;
    const slot = this.#path.slots[level]!;
    const index = this.#path.indices[level]! + 1;
    const size = entryBytes + innerCellBytes(arena, slot, this.separator.length);
    if (freeBytes(arena, slot) >= size) {
      insertChild(arena, slot, index, this.pending);
      return true;
    }
    const count = countOf(arena, slot);
    const trend = trendOf(arena, slot, index);
    let cut = trend > 0 && trend < descending ? index - 1 : index;
    if (
      trend === 0 ||
      cut < 1 ||
      cut >= count ||
      !fits(arena, slot, { cut, goesRight: index > cut, size })
    )
      cut = Math.min(Math.max(middle(arena, slot, index, size), 1), count - 1);
    this.#findFences(level, height);
    const separator = this.#nextSeparator;
    separator.truncate(copyKey(arena, slot, cut, separator.bytes));
    this.#nextSeparator = this.separator;
    const child = this.pending;
    this.separator = separator;
    const right = this.#divide(level, cut);
    this.#hasRuns = false;
    const target = index > cut ? right : slot;
    const place = index > cut ? index - cut : index;
    insertChild(arena, target, place, child);
    return false;
  }

  /** Builds both halves; entries from `cut` on go right. Returns the slot of the right one and makes its page pending. */
  #divide(level: number, cut: number): number {
    const pager = this.#pager;
    const { arena } = pager;
    const slot = this.#path.slots[level]!;
    const flags = arena.halves[slot * pageHalves + flagsAt]!;
    const count = countOf(arena, slot);
    const separator = this.separator;
    const source = copyToScratch(arena, slot);
    const leftPrefix = this.#low.open ? 0 : commonLength(this.#low.key, separator);
    const rightPrefix = this.#high.open ? 0 : commonLength(separator, this.#high.key);
    const leftPart = { source, from: 0, to: cut };
    const rightPart = { source, from: cut, to: count };
    const right = pager.create(level, {
      bytes: separator.bytes,
      length: prefixThatFits(arena, rightPart, rightPrefix),
    });
    moveEntries(arena, right, rightPart);
    formatPage(arena, slot, level, {
      bytes: separator.bytes,
      length: prefixThatFits(arena, leftPart, leftPrefix),
    });
    moveEntries(arena, slot, leftPart);
    arena.halves[slot * pageHalves + flagsAt] = flags;
    arena.halves[right * pageHalves + flagsAt] = flags;
    this.#page = arena.pageOf[right]!;
    return right;
  }

  /** Finds the bounds of the path's page at `level` in the pages above it. */
  #findFences(level: number, height: number): void {
    const { arena } = this.#pager;
    const { slots, indices } = this.#path;
    this.#low.open = true;
    this.#high.open = true;
    for (let at = level + 1; at < height && (this.#low.open || this.#high.open); at++) {
      const slot = slots[at]!;
      const index = indices[at]!;
      if (this.#low.open && index > 0) setFence(arena, slot, index, this.#low);
      if (this.#high.open && index + 1 < countOf(arena, slot))
        setFence(arena, slot, index + 1, this.#high);
    }
  }

  /** Makes the shortest separator of a leaf's halves; `newAt`: the new key is the last on the left (-1), the first on the right (1), or neither. */
  #separate(
    slot: number,
    { cut, probe, newAt }: { readonly cut: number; readonly probe: Probe; readonly newAt: number },
  ): void {
    const { arena } = this.#pager;
    const separator = this.separator;
    if (newAt === 1) {
      separator.bytes.set(probe.bytes);
      separator.length = probe.length;
    } else separator.length = copyKey(arena, slot, cut, separator.bytes);
    let before = probe;
    if (newAt !== -1) {
      before = this.#before;
      before.length = copyKey(arena, slot, cut - 1, before.bytes);
    }
    const common = commonLength(before, separator);
    assert(common < separator.length, 'keys to the right of a cut are greater');
    separator.truncate(common + 1);
  }
}

/** `length`, or the old prefix's when keys are so short that the longer one takes more room than it saves. */
function prefixThatFits(arena: Arena, part: PagePart, length: number): number {
  const before = arena.halves[part.source * pageHalves + prefixAt]!;
  const fits = movedBytes(arena, part, length - before) + length + 3 <= pageBytes - headerBytes;
  return fits ? length : before;
}

function setFence(arena: Arena, slot: number, index: number, fence: Fence): void {
  fence.key.length = copyKey(arena, slot, index, fence.key.bytes);
  fence.open = false;
}

function commonLength(left: Probe, right: Probe): number {
  const length = Math.min(left.length, right.length);
  let at = 0;
  while (at < length && left.bytes[at] === right.bytes[at]) at++;
  return at;
}

/** How entries have been added: 0 anywhere; up to 255 upwards, above `descending` downwards, `index` going on with it. */
function trendOf(arena: Arena, slot: number, index: number): number {
  const half = slot * pageHalves;
  const trend = arena.halves[half + trendAt]!;
  const step = index - arena.halves[half + insertedAt]!;
  if (trend < descending) return step === 1 && trend >= trendMin ? trend : 0;
  return step === 0 && trend - descending >= trendMin ? trend : 0;
}

/** Whether the half that a new entry of `size` goes to has room for it. */
function fits(
  arena: Arena,
  slot: number,
  {
    cut,
    goesRight,
    size,
  }: { readonly cut: number; readonly goesRight: boolean; readonly size: number },
): boolean {
  const used = goesRight
    ? bytesOf(arena, slot, cut, countOf(arena, slot))
    : bytesOf(arena, slot, 0, cut);
  // A longer prefix may take more than the keys lose by it.
  const half = slot * pageHalves;
  const prefix = levelOf(arena, slot) > 0 ? physicalKeyMax : arena.halves[half + prefixAt]! + 8;
  return used + size + prefix <= pageBytes - headerBytes;
}

/** Bytes of the entries in [from, to) with their cells. */
function bytesOf(arena: Arena, slot: number, from: number, to: number): number {
  let bytes = 0;
  for (let index = from; index < to; index++) bytes += entrySize(arena, slot, index);
  return bytes;
}

/** The cut that halves the bytes, a new entry of `size` at `index` included. */
function middle(arena: Arena, slot: number, index: number, size: number): number {
  const count = countOf(arena, slot);
  const total = size + bytesOf(arena, slot, 0, count);
  let left = 0;
  for (let at = 0; at < count; at++) {
    const next = entrySize(arena, slot, at) + (at === index ? size : 0);
    if (left + next / 2 > total / 2) return at;
    left += next;
  }
  return count;
}
