/** What the log says of checkpoints: the newest record, of which a note is signed. */
import { type LeafIndex, type Position } from '../base/index.ts';
import { type CheckpointEvent, Reader, Writer } from '../codec/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import { checkpointTree, singleKey } from './objects.ts';

/** What the log and the state were. */
export type CheckpointRecord = Omit<CheckpointEvent, 'type' | 'position' | 'tenant' | 'command'>;

/** A checkpoint record as the log holds it. */
export interface LoggedCheckpoint extends CheckpointRecord {
  /** Of the record's event. */
  readonly leaf: LeafIndex;
}

export function checkpointChanges(event: CheckpointEvent, leaf: LeafIndex): StoreChange[] {
  const row = new Writer(160);
  row.u64(event.size);
  row.raw(event.root);
  row.u64(event.covered);
  row.raw(event.chainHash);
  row.u32(event.keyNumber);
  if (event.state !== undefined) {
    row.u64(event.state.position);
    row.raw(event.state.hash);
  }
  return [{ tree: checkpointTree, key: singleKey, row: row.finish(), leaf }];
}

/** The newest checkpoint record that the view shows. */
export function newestCheckpoint(view: ReadView): LoggedCheckpoint | undefined {
  const stored = view.get(checkpointTree, singleKey);
  if (stored === undefined) return undefined;
  const reader = new Reader(stored.row);
  const record = {
    leaf: stored.leaf,
    size: reader.u64(),
    root: reader.raw(32).slice(),
    covered: reader.u64() as Position,
    chainHash: reader.raw(32).slice(),
    keyNumber: reader.u32(),
  };
  if (reader.remaining === 0) return record;
  const state = { position: reader.u64() as Position, hash: reader.raw(32).slice() };
  return { ...record, state };
}
