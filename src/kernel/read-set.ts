import type { Position, StoreKey, TreeId } from '../base/index.ts';
import type { Cursor, KeyRange, ReadView, StoredRow } from '../store/index.ts';

/** What a transaction read: keys (absent ones too) and ranges (empty ones too). */
export class ReadSet {
  readonly #keys = new Map<TreeId, Set<StoreKey>>();
  readonly #ranges: { readonly tree: TreeId; readonly range: KeyRange }[] = [];

  addKey(tree: TreeId, key: StoreKey): void {
    let keys = this.#keys.get(tree);
    if (keys === undefined) {
      keys = new Set();
      this.#keys.set(tree, keys);
    }
    keys.add(key);
  }

  addRange(tree: TreeId, range: KeyRange): void {
    this.#ranges.push({ tree, range });
  }

  /** Whether anything read has a version newer than `snapshot`. */
  changedSince(state: ConflictView, snapshot: Position): boolean {
    for (const [tree, keys] of this.#keys) {
      for (const key of keys) {
        const latest = state.latest(tree, key);
        if (latest !== undefined && latest.from > snapshot) return true;
      }
    }
    return this.#ranges.some(({ tree, range }) => state.changedSince(tree, range, snapshot));
  }
}

export interface ConflictView {
  latest(tree: TreeId, key: StoreKey): { readonly from: Position } | undefined;
  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean;
}

/** A view that notes every read. */
export class TrackingView implements ReadView {
  readonly #base: ReadView;
  readonly reads = new ReadSet();

  constructor(base: ReadView) {
    this.#base = base;
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    this.reads.addKey(tree, key);
    return this.#base.get(tree, key);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    this.reads.addRange(tree, range);
    return this.#base.scan(tree, range);
  }
}
