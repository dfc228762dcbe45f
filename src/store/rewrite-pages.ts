import { pageHalves } from './arena.ts';
import type { BTree } from './b-tree.ts';
import { valueLengthOf, valueOf } from './leaf-page.ts';
import { runPages } from './page-device.ts';
import { countOf, flagsAt, runsFlag } from './page-layout.ts';
import type { Pager } from './pager.ts';
import { Probe } from './probe.ts';
import { readRun, writeRun } from './row-runs.ts';
import { runKind, VersionCell } from './version-cell.ts';

/**
 * Makes every page of some trees, and every run, be written again: leaf by leaf, in the order of keys, while the trees
 * go on changing. What is put meanwhile is written anyway.
 */
export class PageRewriter {
  readonly #pager: Pager;
  readonly #trees: readonly BTree[];
  readonly #probe = new Probe();
  readonly #cell = new VersionCell();
  #tree = 0;
  /** Whether the probe holds the last key that was done in this tree. */
  #isBegun = false;

  constructor(pager: Pager, trees: readonly BTree[]) {
    this.#pager = pager;
    this.#trees = trees;
  }

  /** Goes on for up to so many leaves; whether all is done. Throws CorruptionError. */
  step(leavesMax: number): boolean {
    let left = leavesMax;
    for (let tree = this.#trees[this.#tree]; tree !== undefined; tree = this.#trees[this.#tree]) {
      if (left-- === 0) return false;
      if (this.#nextLeaf(tree)) continue;
      this.#tree += 1;
      this.#isBegun = false;
    }
    return true;
  }

  /** Renews the leaf behind the last key; false if there is none. */
  #nextLeaf(tree: BTree): boolean {
    const { arena } = this.#pager;
    const probe = this.#probe;
    this.#pager.reserveForWrite(tree.readSlots + tree.writeSlots);
    if (this.#isBegun) {
      tree.find(probe);
      tree.indices[0] = countOf(arena, tree.leaf);
      if (!tree.settle()) return false;
    } else if (!tree.first()) {
      // The root of an empty tree is a page, too.
      tree.markRuns();
      return false;
    }
    this.#isBegun = true;
    this.#setProbe(tree);
    // What is there stays as it is; its page is copied, and written with the next checkpoint.
    tree.place(probe, true, tree.valueLength);
    this.#renewRuns(tree.leaf);
    tree.indices[0] = countOf(arena, tree.leaf) - 1;
    this.#setProbe(tree);
    return true;
  }

  #setProbe(tree: BTree): void {
    this.#probe.truncate(tree.copyKey(this.#probe.bytes));
  }

  #renewRuns(slot: number): void {
    const { arena, device } = this.#pager;
    if ((arena.halves[slot * pageHalves + flagsAt]! & runsFlag) === 0) return;
    const cell = this.#cell;
    for (let index = 0; index < countOf(arena, slot); index++) {
      cell.read(arena, valueOf(arena, slot, index), valueLengthOf(arena, slot, index));
      if (cell.kind !== runKind) continue;
      const { dataAt } = cell;
      const page = arena.view.getUint32(dataAt, true);
      const row = readRun(arena, device, dataAt);
      arena.bytes.set(writeRun(device, row), dataAt);
      device.retire(page, runPages(row.length));
    }
  }
}
