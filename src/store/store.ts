import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import type { Cursor, KeyRange, ReadView, StoredRow } from './view.ts';

/** A change of one key; `row` undefined deletes it. `leaf` is the event behind it. */
export interface StoreChange {
  readonly tree: TreeId;
  readonly key: StoreKey;
  readonly row: Uint8Array | undefined;
  readonly leaf: LeafIndex;
}

/**
 * Versioned ordered trees, derived from the log and rebuilt from it at will.
 *
 * Invariants: positions are applied in strictly increasing order; a version is visible at position p
 * iff from ≤ p < the next version's from; nothing applied is ever forgotten.
 */
export interface Store extends ReadView {
  /** The newest position applied; 0 when empty. */
  readonly appliedPosition: Position;
  /** Makes the changes of one position visible, all at once. Later changes of a key in the batch win. */
  apply(position: Position, batch: readonly StoreChange[]): void;
  /**
   * Reads what `apply` of these changes will need, and changes nothing: damage is met before anything rests on them.
   * Throws CorruptionError.
   */
  reach(batch: readonly StoreChange[]): void;
  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined;
  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor;
  /** The newest version of a key, a deletion too (`row` undefined); undefined if the key never was. */
  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined;
  /** A view of the store as of `position`, stable under later `apply` calls. */
  viewAt(position: Position): ReadView;
  /** Whether any version (deletions too) newer than `position` lies in `range`. */
  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean;
  /** Every version of a key, newest first; `row` undefined marks a deletion. */
  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[];
}

export interface StoreVersion {
  readonly row: Uint8Array | undefined;
  readonly from: Position;
  readonly leaf: LeafIndex;
}
