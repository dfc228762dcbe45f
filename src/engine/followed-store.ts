/** A store that is read while another process owns it: what is here may go at any time, and is then had again. */
import { type CorruptionError, type Position, type StoreKey, type TreeId } from '../base/index.ts';
import {
  type Cursor,
  type HistoryCursor,
  type KeyRange,
  pastOf,
  type PastView,
  type ReadView,
  type Store,
  type StoreChange,
  type StoredRow,
  type StoreHistory,
  type StoreVersion,
  type TreeStore,
  viewOf,
  type WalkedStore,
} from '../store/index.ts';
import type { RecordTree } from './checkpoint-records.ts';
import { isStoreDamage } from './store-opening.ts';

/** Trees that stand for the same log, as far as `reached` says or further. */
export interface FollowedTrees {
  /** The trees as they are now. */
  readonly store: TreeStore;
  /** Replaces the trees, a page of which did not open. Throws what stands against it. */
  renew(reached: Position, damage: CorruptionError): void;
}

/** An owner who writes checkpoints faster than pages are read. */
const attemptsMax = 8;

/**
 * The trees of a checkpoint with what was committed since on top. When a page of the checkpoint is gone, for its owner has
 * used it again, the trees are replaced and the read is done again.
 *
 * Invariant: the trees are of `appliedPosition` or of a later position. All versions are in any of them, so a read at
 * a position finds the same in each.
 */
export class FollowedStore implements Store, WalkedStore {
  readonly #trees: FollowedTrees;
  #position: Position;
  readonly meta: RecordTree;

  constructor(trees: FollowedTrees, position: Position) {
    this.#trees = trees;
    this.#position = position;
    this.meta = {
      get: (key) => this.#once((store) => store.meta.get(key)),
      put: (key, record) => this.#once((store) => store.meta.put(key, record)),
    };
  }

  get appliedPosition(): Position {
    return this.#position;
  }

  /** What the trees have already is not applied again. */
  apply(position: Position, batch: readonly StoreChange[]): void {
    if (position <= this.#position) return;
    this.#read((store) => {
      if (position > store.appliedPosition) store.apply(position, batch);
    });
    this.#position = position;
  }

  /** Damage is healed when it is met. */
  reach(): void {}

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    return this.#read((store) =>
      store.appliedPosition > this.#position
        ? store.getAt(tree, key, this.#position)
        : store.get(tree, key),
    );
  }

  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined {
    return this.#read((store) => store.getAt(tree, key, position));
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    const found = this.#read((store) => {
      const newest = store.latest(tree, key);
      return newest === undefined || newest.from <= this.#position
        ? newest
        : this.#settled(store.versions(tree, key))[0];
    });
    if (found === undefined) return undefined;
    const { from, leaf } = found;
    // The row is read when it is asked for, by which time the trees may be others.
    const rowAt = (): Uint8Array | undefined => this.getAt(tree, key, from)?.row;
    return {
      from,
      leaf,
      get row() {
        return rowAt();
      },
    };
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    return this.scanAt(tree, range, this.#position);
  }

  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor {
    return this.#walk(range, (store, rest) => store.scanAt(tree, rest, position));
  }

  viewAt(position: Position): ReadView {
    return viewOf(this, position);
  }

  get past(): PastView {
    return pastOf(this, this.#position);
  }

  historiesAt(tree: TreeId, range: KeyRange, position: Position): HistoryCursor {
    return this.#walk(range, (store, rest) => store.historiesAt(tree, rest, position));
  }

  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean {
    return this.#read((store) => store.changedSince(tree, range, position));
  }

  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[] {
    return this.#settled(this.#read((store) => store.versions(tree, key)));
  }

  trees(): TreeId[] {
    return this.#read((store) => store.trees());
  }

  *history(tree: TreeId): Generator<StoreHistory> {
    const histories = this.past.histories(tree, {});
    for (let next = histories.next(); next !== undefined; next = histories.next()) yield next;
  }

  #settled(versions: readonly StoreVersion[]): readonly StoreVersion[] {
    return versions.filter(({ from }) => from <= this.#position);
  }

  /** Walks on behind the last key when the trees are replaced. */
  #walk<T extends { readonly key: StoreKey }>(
    range: KeyRange,
    open: (store: TreeStore, range: KeyRange) => { next(): T | undefined },
  ): { next(): T | undefined } {
    let rest = range;
    let of: TreeStore | undefined;
    let cursor: { next(): T | undefined } | undefined;
    const step = (store: TreeStore): T | undefined => {
      if (store !== of || cursor === undefined) cursor = open(store, rest);
      of = store;
      return cursor.next();
    };
    return {
      next: () => {
        const found = this.#read(step);
        if (found !== undefined) rest = behind(range, found.key);
        return found;
      },
    };
  }

  #read<T>(read: (store: TreeStore) => T): T {
    for (let attempt = 1; ; attempt++) {
      try {
        return read(this.#trees.store);
      } catch (error) {
        if (attempt === attemptsMax || !isStoreDamage(error)) throw error;
        this.#trees.renew(this.#position, error);
      }
    }
  }

  /** What belongs to other trees than those that are replaced is not done again in the new ones. */
  #once<T>(work: (store: TreeStore) => T): T {
    try {
      return work(this.#trees.store);
    } catch (error) {
      if (isStoreDamage(error)) this.#trees.renew(this.#position, error);
      throw error;
    }
  }
}

function behind(range: KeyRange, key: StoreKey): KeyRange {
  return range.reverse === true
    ? { ...range, to: key }
    : { ...range, from: `${key}\0` as StoreKey };
}
