import { assert, type LeafIndex, type Position, type StoreKey } from '../base/index.ts';
import { BTree, type TreeRoot } from './b-tree.ts';
import { leafTailAt } from './page-layout.ts';
import { keyOf, Probe } from './probe.ts';
import type { Pager } from './pager.ts';
import { RowCopies } from './row-copies.ts';
import { readRun, runDataBytes, withRunPages, writeRun } from './row-runs.ts';
import { deletedKind, rowKind, runKind, VersionCell, versionHeaderMax } from './version-cell.ts';

/** Most bytes of a cell: four of them fit into a page. */
const cellBytesMax = 1000;
const metaKeyBytesMax = 480;

/**
 * Bytes by key without versions, frozen with the rest of the store: for what a checkpoint must know besides rows.
 * Keys are at most `metaKeyBytesMax` long. Throws CorruptionError.
 */
export class MetaTree {
  readonly #pager: Pager;
  readonly #tree: BTree;
  readonly #probe = new Probe();
  readonly #cell = new VersionCell();
  readonly #copies = new RowCopies();
  readonly #keyBytes = new Uint8Array(1024);

  constructor(pager: Pager, root?: TreeRoot) {
    this.#pager = pager;
    this.#tree = new BTree(pager, root);
  }

  root(): TreeRoot {
    return this.#tree.root();
  }

  /** The tree itself, to be walked page by page. */
  get pages(): BTree {
    return this.#tree;
  }

  get(key: StoreKey): Uint8Array | undefined {
    if (!this.#find(key)) return undefined;
    this.#readCell();
    return this.#value();
  }

  /** Sets the value of a key; undefined removes it. */
  put(key: StoreKey, value: Uint8Array | undefined): void {
    assert(key.length <= metaKeyBytesMax, 'a meta key is short');
    const pager = this.#pager;
    const cell = this.#cell;
    pager.reserveForWrite(this.#tree.writeSlots);
    this.#probe.setPlain(key);
    const found = this.#tree.find(this.#probe);
    if (!found && value === undefined) return;
    const isRun =
      value !== undefined &&
      leafTailAt + this.#probe.length + versionHeaderMax + value.length > cellBytesMax;
    const data = isRun ? writeRun(pager.device, value) : value;
    if (found) this.#retireRun();
    cell.kind = value === undefined ? deletedKind : isRun ? runKind : rowKind;
    cell.from = 0 as Position;
    cell.leaf = 0 as LeafIndex;
    if (isRun) this.#tree.markRuns();
    const place = this.#tree.place(this.#probe, found, cell.headerLength + (data?.length ?? 0));
    const dataAt = cell.write(pager.arena, place);
    if (data !== undefined) pager.arena.bytes.set(data, dataAt);
  }

  /** The first key ≥ `from`, and its value. */
  ceiling(from: StoreKey): { key: StoreKey; value: Uint8Array } | undefined {
    for (let key = from; ; key = `${key}\0` as StoreKey) {
      const found = this.#find(key);
      if (!found && !this.#tree.settle()) return undefined;
      key = keyOf(this.#keyBytes, 0, this.#tree.copyKey(this.#keyBytes));
      this.#readCell();
      const value = this.#value();
      if (value !== undefined) return { key, value };
    }
  }

  #find(key: StoreKey): boolean {
    this.#pager.reserve(this.#tree.readSlots);
    this.#probe.setPlain(key);
    return this.#tree.find(this.#probe);
  }

  #readCell(): void {
    this.#cell.read(this.#pager.arena, this.#tree.valueAt, this.#tree.valueLength);
  }

  #value(): Uint8Array | undefined {
    const { arena, device } = this.#pager;
    const { kind, dataAt, dataLength } = this.#cell;
    if (kind === deletedKind) return undefined;
    if (kind === runKind) return readRun(arena, device, dataAt);
    return this.#copies.copy(arena.bytes, dataAt, dataLength);
  }

  /** A run that is no longer needed may be part of a frozen state. */
  #retireRun(): void {
    this.#readCell();
    const { kind, dataAt, dataLength } = this.#cell;
    if (kind !== runKind) return;
    assert(dataLength === runDataBytes, 'a run has a reference');
    const { arena, device } = this.#pager;
    withRunPages(arena.view, dataAt, (page, count) => device.retire(page, count));
  }
}
