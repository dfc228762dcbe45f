import {
  assert,
  type LeafIndex,
  type Position,
  type StoreKey,
  type TreeId,
} from '../base/index.ts';
import { BTree, type TreeRoot } from './b-tree.ts';
import { valueLengthOf, valueOf } from './leaf-page.ts';
import { leafTailAt, moveBytes } from './page-layout.ts';
import type { Pager } from './pager.ts';
import { Probe, treeOfKey } from './probe.ts';
import { RowCopies } from './row-copies.ts';
import { readRun, withRunPages, writeRun } from './row-runs.ts';
import {
  deletedKind,
  layerKind,
  rowKind,
  runKind,
  VersionCell,
  versionHeaderMax,
} from './version-cell.ts';

/** Most bytes of a cell in the current tree: four of them fit into a page, also with what the history adds. */
const cellBytesMax = 1000;

/** What a key gets; `row` undefined deletes it. */
export interface NewVersion {
  readonly from: Position;
  readonly leaf: LeafIndex;
  readonly row: Uint8Array | undefined;
}

/**
 * The newest version of every key in one tree, and the older ones in another. Keys here are short: see long-keys.ts.
 *
 * `findCurrent` and `findOlder` fill `cell`, which is good until the next call of any method.
 */
export class VersionTrees {
  pager: Pager;
  current: BTree;
  history: BTree;
  /** The logical tree that was asked for last. */
  reading = 0 as TreeId;
  readonly cell = new VersionCell();
  readonly #older = new VersionCell();
  readonly #probe = new Probe();
  readonly #olderProbe = new Probe();
  readonly #keyBytes = new Uint8Array(1024);
  readonly #copies = new RowCopies();

  constructor(pager: Pager, roots?: { readonly current: TreeRoot; readonly history: TreeRoot }) {
    this.pager = pager;
    this.current = new BTree(pager, roots?.current);
    this.history = new BTree(pager, roots?.history);
  }

  /** Goes on with the trees of `other`, which holds the same. */
  takeOver(other: VersionTrees): void {
    this.pager = other.pager;
    this.current = other.current;
    this.history = other.history;
  }

  /** Fills `cell` with a key's newest version. Returns false if the key never was. */
  findCurrent(tree: TreeId, key: StoreKey): boolean {
    const { current, pager } = this;
    pager.reserve(current.readSlots);
    this.#probe.setCurrent(tree, key);
    if (!current.find(this.#probe)) return false;
    this.readCellAt(current.leaf, current.index);
    return true;
  }

  /** Fills `cell` from an entry of a leaf in memory. */
  readCellAt(slot: number, index: number): void {
    const { arena } = this.pager;
    this.cell.read(arena, valueOf(arena, slot, index), valueLengthOf(arena, slot, index));
  }

  /**
   * Fills `cell` with the newest version from `position` or before, of those that are not the key's newest.
   * Returns false if there is none.
   */
  findOlder(tree: TreeId, key: StoreKey, position: Position): boolean {
    const { history, pager } = this;
    pager.reserve(history.readSlots);
    const probe = this.#olderProbe;
    probe.setHistory(tree, key, position);
    history.find(probe);
    if (!history.settle()) return false;
    const keyBytes = this.#keyBytes;
    history.copyKey(keyBytes);
    for (let at = probe.versionsLength - 1; at >= 0; at--) {
      if (keyBytes[at] !== probe.bytes[at]) return false;
    }
    this.readCellAt(history.leaf, history.index);
    return true;
  }

  /** Reads the pages that `put` of a key would change. Throws CorruptionError. */
  reach(tree: TreeId, key: StoreKey): void {
    const { current, history, pager, cell } = this;
    pager.reserve(current.readSlots + history.readSlots);
    this.#probe.setCurrent(tree, key);
    if (!current.find(this.#probe)) return;
    this.readCellAt(current.leaf, current.index);
    this.#olderProbe.setHistory(tree, key, cell.from);
    history.find(this.#olderProbe);
  }

  /** The row of `cell`, which is not a deletion: a copy. Throws CorruptionError. */
  rowOfCell(): Uint8Array {
    const { arena, device } = this.pager;
    const { kind, dataAt, dataLength } = this.cell;
    assert(kind === rowKind || kind === runKind, 'the version has a row');
    return kind === rowKind
      ? this.#copies.copy(arena.bytes, dataAt, dataLength)
      : readRun(arena, device, dataAt);
  }

  /** The logical trees below `end` that hold anything, ascending. */
  logicalTrees(end: TreeId): TreeId[] {
    const { current, pager } = this;
    const trees: TreeId[] = [];
    for (let tree = 0 as TreeId; tree < end; tree = (tree + 1) as TreeId) {
      pager.reserve(current.readSlots);
      this.#probe.setCurrent(tree, '' as StoreKey);
      current.find(this.#probe);
      if (!current.settle()) break;
      current.copyKey(this.#keyBytes);
      tree = treeOfKey(this.#keyBytes);
      if (tree < end) trees.push(tree);
    }
    return trees;
  }

  /** The tree that the keys beginning with that of `cell` go on in. */
  layerOfCell(): TreeId {
    assert(this.cell.kind === layerKind, 'the entry leads to a layer');
    return this.pager.arena.view.getFloat64(this.cell.dataAt, true) as TreeId;
  }

  /** Makes `key` lead to a layer of its own. */
  putLayer(tree: TreeId, key: StoreKey, layer: TreeId): void {
    const { current, pager, cell } = this;
    pager.reserveForWrite(current.writeSlots);
    this.#probe.setCurrent(tree, key);
    const found = current.find(this.#probe);
    assert(!found, 'a key gets its layer once');
    cell.kind = layerKind;
    cell.from = 0 as Position;
    cell.leaf = 0 as LeafIndex;
    const at = current.place(this.#probe, false, cell.headerLength + 8);
    pager.arena.view.setFloat64(cell.write(pager.arena, at), layer, true);
  }

  /** Makes `version` the newest of a key; the one before goes to the history unless it is of the same position. */
  put(tree: TreeId, key: StoreKey, version: NewVersion): void {
    const { current, pager, cell } = this;
    pager.reserveForWrite(current.writeSlots + this.history.writeSlots);
    const probe = this.#probe;
    probe.setCurrent(tree, key);
    // What may fail (reading pages, writing a run) comes first: a change happens whole or not at all.
    const found = current.find(probe);
    if (found) this.#findPlaceOfOlder(tree, key, version.from);
    const run = this.#writeRun(probe, version.row);
    if (found) this.#keepOlder(version.from);
    cell.from = version.from;
    cell.leaf = version.leaf;
    cell.kind = version.row === undefined ? deletedKind : run === undefined ? rowKind : runKind;
    if (run !== undefined) current.markRuns();
    const data = run ?? version.row;
    const header = cell.headerLength;
    const place = current.place(probe, found, header + (data?.length ?? 0));
    const dataAt = cell.write(pager.arena, place);
    if (data !== undefined) pager.arena.bytes.set(data, dataAt);
  }

  #findPlaceOfOlder(tree: TreeId, key: StoreKey, from: Position): void {
    const { current, history, pager } = this;
    const older = this.#older;
    older.read(pager.arena, current.valueAt, current.valueLength);
    assert(older.from <= from, 'versions of a key ascend');
    if (older.from === from) return;
    this.#olderProbe.setHistory(tree, key, older.from);
    const found = history.find(this.#olderProbe);
    assert(!found, 'a version goes to the history once');
  }

  /** Moves the version in the current tree to the place found in the history. */
  #keepOlder(from: Position): void {
    const { current, history, pager } = this;
    const older = this.#older;
    if (older.from === from) {
      if (older.kind === runKind) this.#freeRun(older.dataAt);
      return;
    }
    if (older.kind === runKind) history.markRuns();
    const length = current.valueLength;
    const place = history.place(this.#olderProbe, false, length);
    moveBytes(pager.arena.bytes, place, current.valueAt, length);
  }

  /** The run of a version that was replaced at its own position is as new as that. */
  #freeRun(dataAt: number): void {
    const { arena, device } = this.pager;
    withRunPages(arena.view, dataAt, (page, count) => device.free(page, count));
  }

  #writeRun(probe: Probe, row: Uint8Array | undefined): Uint8Array | undefined {
    if (row === undefined) return undefined;
    if (leafTailAt + probe.length + versionHeaderMax + row.length <= cellBytesMax) return undefined;
    return writeRun(this.pager.device, row);
  }
}
