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
  /** Whether no version of the key ever was, not even one that is deleted by now; absent where that is not known. */
  neverWas?(tree: TreeId, key: StoreKey): boolean;
  /** How the state came about; absent where uncommitted changes lie on top. */
  readonly past?: PastView | undefined;
}

/** What a view at a position knows of the positions before it. */
export interface PastView {
  /** The position that the view shows. */
  readonly position: Position;
  /** Every key in the range that ever was by then, in order, with its versions up to then, newest first. */
  histories(tree: TreeId, range: KeyRange): HistoryCursor;
  /** The state at an earlier position, or the same. */
  viewAt(position: Position): ReadView;
}

export interface HistoryCursor {
  /** The next key, or undefined at the end. A version without `row` is a deletion. */
  next(): KeyHistory | undefined;
}

export interface KeyHistory {
  readonly key: StoreKey;
  readonly versions: readonly {
    readonly row: Uint8Array | undefined;
    readonly from: Position;
    readonly leaf: LeafIndex;
  }[];
}
