import { assert } from '../base/index.ts';
import {
  childIndex,
  childHasRuns,
  insertChild,
  markChildRuns,
  setChildPage,
} from './inner-page.ts';
import {
  insertLeafEntry,
  leafCellBytes,
  removeLeafEntry,
  shrinkValue,
  valueLengthOf,
  valueOf,
} from './leaf-page.ts';
import { pageHalves } from './arena.ts';
import { pageRefBytes } from './page-device.ts';
import {
  copyKey,
  countOf,
  entryBytes,
  flagsAt,
  freeBytes,
  leafTailAt,
  runsFlag,
  wasteAt,
} from './page-layout.ts';
import { compact } from './page-rebuild.ts';
import { search } from './page-search.ts';
import { Splitter } from './page-split.ts';
import type { Pager } from './pager.ts';
import type { Probe } from './probe.ts';

export const levelsMax = 16;

/** Where a tree begins: the number of its root page, what proves it, and its height (1: the root is a leaf). */
export interface TreeRoot {
  readonly page: number;
  readonly height: number;
  readonly ref: Uint8Array;
}

/** The way from the root to an entry: slots and indices by level, 0 for the leaf. */
export interface TreePath {
  readonly slots: Int32Array;
  readonly indices: Int32Array;
}

/**
 * A B+tree of pages, from keys to values of up to about a quarter page. Entries are never removed.
 *
 * It works in two steps. `find` or `first` and so on set the path; then `value…` read there, and `place` writes
 * there. The path is good until anything else happens in any tree of the same pager.
 */
export class BTree implements TreePath {
  readonly slots = new Int32Array(levelsMax);
  readonly indices = new Int32Array(levelsMax);
  readonly #pager: Pager;
  readonly #splitter: Splitter;
  #root: number;
  #height: number;
  /** What proves the root page, once that was written; of no use while it is dirty. */
  readonly #rootRef = new Uint8Array(pageRefBytes);

  /** A new, empty tree, or the one that `root` leads to. */
  constructor(pager: Pager, root?: TreeRoot) {
    this.#pager = pager;
    this.#splitter = new Splitter(pager, this);
    if (root === undefined) {
      pager.reserve(1);
      this.#root = pager.arena.pageOf[pager.create(0, { bytes: this.#rootRef, length: 0 })]!;
      this.#height = 1;
    } else {
      this.#root = root.page;
      this.#height = root.height;
      this.#rootRef.set(root.ref);
    }
  }

  /** The slots to reserve before reading, and before placing one entry. */
  get readSlots(): number {
    return 2 * this.#height;
  }
  get writeSlots(): number {
    return 3 * this.#height + 2;
  }

  /** Where the tree begins now. The reference is that of the page when it was written last. */
  root(): TreeRoot {
    const { refs } = this.#pager;
    const place = refs.offsetOf(this.#root);
    // The reference is kept here before it is forgotten there.
    if (place !== -1) this.#rootRef.set(refs.bytes.subarray(place, place + pageRefBytes));
    return { page: this.#root, height: this.#height, ref: this.#rootRef.slice() };
  }

  /** The slot of the leaf that the path leads to, and the index in it. */
  get leaf(): number {
    return this.slots[0]!;
  }
  get index(): number {
    return this.indices[0]!;
  }

  /** Leads the path to the probe's key, or to where it belongs. Returns whether it is there. */
  find(probe: Probe): boolean {
    const pager = this.#pager;
    const { arena } = pager;
    const { slots, indices } = this;
    let slot = this.#rootSlot();
    for (let level = this.#height - 1; level > 0; level--) {
      const index = childIndex(arena, slot, probe);
      slots[level] = slot;
      indices[level] = index;
      slot = pager.child(slot, index);
    }
    const index = search(arena, slot, probe, leafTailAt);
    slots[0] = slot;
    indices[0] = index >= 0 ? index : ~index;
    return index >= 0;
  }

  /** Leads the path to the very first entry, or past the last one. Returns whether there is an entry. */
  first(): boolean {
    this.slots[this.#height - 1] = this.#rootSlot();
    this.#descend(this.#height - 1, false);
    return this.settle();
  }

  /** Leads the path past the very last entry. */
  end(): void {
    this.slots[this.#height - 1] = this.#rootSlot();
    this.#descend(this.#height - 1, true);
    this.indices[0] = countOf(this.#pager.arena, this.leaf);
  }

  /** Moves a path that is past the last entry of a leaf to the next leaf's first. Returns whether it is at an entry. */
  settle(): boolean {
    while (this.index >= countOf(this.#pager.arena, this.leaf)) {
      if (!this.#turn(1)) return false;
    }
    return true;
  }

  /** Moves the path to the entry before. Returns whether there is one. */
  back(): boolean {
    while (this.index === 0) {
      if (!this.#turn(-1)) return false;
      this.indices[0] = countOf(this.#pager.arena, this.leaf);
    }
    this.indices[0]!--;
    return true;
  }

  get valueLength(): number {
    return valueLengthOf(this.#pager.arena, this.leaf, this.index);
  }

  /** Where the value is, in bytes of the arena. */
  get valueAt(): number {
    return valueOf(this.#pager.arena, this.leaf, this.index);
  }

  /** Writes the key that the path leads to and returns its length. */
  copyKey(target: Uint8Array): number {
    return copyKey(this.#pager.arena, this.leaf, this.index, target);
  }

  /** What `find` returned `found` for gets a value of this length. Returns where to write it, in bytes of the arena. */
  place(probe: Probe, found: boolean, valueLength: number): number {
    const { arena } = this.#pager;
    this.#makeWritable();
    const slot = this.leaf;
    const index = this.index;
    if (found) {
      if (valueLength <= valueLengthOf(arena, slot, index))
        return shrinkValue(arena, slot, index, valueLength);
      removeLeafEntry(arena, slot, index);
    }
    return this.#insert(probe, valueLength);
  }

  /** Notes that the leaf of the path, just placed into, holds a reference to a run. Before `place`. */
  markRuns(): void {
    this.#makeWritable();
    const { arena } = this.#pager;
    arena.halves[this.leaf * pageHalves + flagsAt]! |= runsFlag;
    if (this.#height > 1 && !childHasRuns(arena, this.slots[1]!, this.indices[1]!))
      markChildRuns(arena, this.slots[1]!, this.indices[1]!);
  }

  #insert(probe: Probe, valueLength: number): number {
    const { arena } = this.#pager;
    let slot = this.leaf;
    const size = entryBytes + leafCellBytes(arena, slot, probe.length, valueLength);
    if (freeBytes(arena, slot) < size) {
      if (freeBytes(arena, slot) + arena.halves[slot * pageHalves + wasteAt]! >= size)
        compact(arena, slot);
      else slot = this.#split(probe, size);
    }
    return insertLeafEntry(arena, slot, this.index, { probe, valueLength });
  }

  /** Splits the leaf of the path, and pages above as needed. Sets the path's leaf and index to where the probe belongs. */
  #split(probe: Probe, size: number): number {
    const splitter = this.#splitter;
    splitter.splitLeaf(probe, size, this.#height);
    for (let level = 1; ; level++) {
      if (level === this.#height) {
        this.#growRoot();
        return this.leaf;
      }
      if (splitter.insertInto(level, this.#height)) return this.leaf;
    }
  }

  #growRoot(): void {
    const pager = this.#pager;
    const splitter = this.#splitter;
    const slot = pager.create(this.#height, { bytes: this.#rootRef, length: 0 });
    const { arena } = pager;
    const oldRoot = this.#root;
    const hasRuns = this.#height === 1 && splitter.leftHasRuns;
    insertChild(arena, slot, 0, { separator: splitter.separator, page: oldRoot, hasRuns });
    insertChild(arena, slot, 1, splitter.pending);
    this.#root = arena.pageOf[slot]!;
    this.#height++;
    assert(this.#height < levelsMax, 'a tree has fewer than 16 levels');
  }

  #rootSlot(): number {
    const { arena } = this.#pager;
    const page = this.#root;
    const slot = page < arena.slotOf.length ? arena.slotOf[page]! : -1;
    if (slot === -1) return this.#pager.load(page, this.#rootRef, 0);
    arena.touch(slot);
    return slot;
  }

  /** Copies the pages of the path that belong to earlier generations. */
  #makeWritable(): void {
    const pager = this.#pager;
    const { arena } = pager;
    const leaf = this.leaf;
    // The ancestors of a dirty page of this generation are dirty and of this generation, too.
    if (arena.bornIn[leaf] === pager.generation && arena.isDirty(leaf)) return;
    for (let level = this.#height - 1; level >= 0; level--) {
      const slot = pager.writable(this.slots[level]!);
      this.slots[level] = slot;
      const page = arena.pageOf[slot]!;
      if (level === this.#height - 1) this.#root = page;
      else setChildPage(arena, this.slots[level + 1]!, this.indices[level + 1]!, page);
    }
  }

  /** Moves the path to the leaf after (1) or before (-1). Returns whether there is one; if not, the path stays. */
  #turn(step: 1 | -1): boolean {
    const { arena } = this.#pager;
    for (let level = 1; level < this.#height; level++) {
      const index = this.indices[level]! + step;
      if (index < 0 || index >= countOf(arena, this.slots[level]!)) continue;
      this.indices[level] = index;
      this.slots[level - 1] = this.#pager.child(this.slots[level]!, index);
      this.#descend(level - 1, step < 0);
      return true;
    }
    return false;
  }

  /** From the slot at `level` down to the first or last leaf below it; the index there is 0. */
  #descend(level: number, last: boolean): void {
    const { arena } = this.#pager;
    for (let at = level; at > 0; at--) {
      const slot = this.slots[at]!;
      const index = last ? countOf(arena, slot) - 1 : 0;
      this.indices[at] = index;
      this.slots[at - 1] = this.#pager.child(slot, index);
    }
    this.indices[0] = 0;
  }
}
