import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';

/** One version of a row: `row` are the encoded bytes (read-only, owned by the store). */
export interface StoredRow {
  readonly row: Uint8Array;
  /** The position that wrote this version. */
  readonly from: Position;
  /** The event that wrote it. */
  readonly leaf: LeafIndex;
}

export interface StoreEntry extends StoredRow {
  readonly key: StoreKey;
}

/** Keys k with from ≤ k < to in ascending order, or descending when `reverse`. Absent bounds are open. */
export interface KeyRange {
  readonly from?: StoreKey;
  readonly to?: StoreKey;
  readonly reverse?: boolean;
}

/** Walks entries; holds keys, never pages, so it may be kept across turns. */
export interface Cursor {
  /** The next entry, or undefined at the end. */
  next(): StoreEntry | undefined;
}

/** A consistent state to read from: the store at a position, or with uncommitted changes on top. Synchronous. */
export interface ReadView {
  get(tree: TreeId, key: StoreKey): StoredRow | undefined;
  scan(tree: TreeId, range: KeyRange): Cursor;
}
