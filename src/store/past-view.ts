import { assert, type Position, type StoreKey, type TreeId } from '../base/index.ts';
import type { Cursor, HistoryCursor, KeyRange, PastView, ReadView, StoredRow } from './view.ts';

/** What a store can say of its state at any position up to the one that was applied last. */
export interface PastReads {
  readonly appliedPosition: Position;
  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined;
  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor;
  /** Every key in the range that ever was by then, with its versions up to then. */
  historiesAt(tree: TreeId, range: KeyRange, position: Position): HistoryCursor;
}

/** The state of a store at a position, stable under later changes. */
export function viewOf(store: PastReads, position: Position): ReadView {
  assert(position <= store.appliedPosition, 'a view lies at or before the applied position');
  return {
    get: (tree, key) => store.getAt(tree, key, position),
    scan: (tree, range) => store.scanAt(tree, range, position),
    get past() {
      return pastOf(store, position);
    },
  };
}

/** What the state at a position knows of those before it. */
export function pastOf(store: PastReads, position: Position): PastView {
  return {
    position,
    viewAt: (earlier) => viewOf(store, earlier),
    histories: (tree, range) => store.historiesAt(tree, range, position),
  };
}
