/**
 * What a checkpoint keeps of the state beside rows: tenants' counters and the places of the log's index, as records of
 * the store's unversioned tree. docs/format/store.md draws their bytes.
 */
import type { Op, Position, StoreKey, TenantId, TimestampMicros } from '../base/index.ts';
import { Reader, Writer } from '../codec/index.ts';
import type { CountersOfTenant } from '../kernel/index.ts';
import { frameKinds, type FrameKind, type LogHead, segmentPath } from '../log/index.ts';
import type { CheckpointHead } from '../store/index.ts';
import { segmentPosition } from './files.ts';
import { type LogIndex, type LogPlace, placesPerRecord } from './log-index.ts';
import type { FrameSpan } from './log-walk.ts';

/** Records by key: what of the store is needed here. */
export interface RecordTree {
  get(key: StoreKey): Uint8Array | undefined;
  /** `undefined` removes. */
  put(key: StoreKey, record: Uint8Array | undefined): void;
}

const countersKey = 1;
const placesKey = 2;

export function recordKey(kind: number, number: number): StoreKey {
  const bytes = [kind, number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
  return String.fromCharCode(...bytes) as StoreKey;
}

export function writeCounters(tree: RecordTree, of: CountersOfTenant): void {
  const record = new Writer(12);
  record.u32(of.nextObject);
  record.u64(of.nextRow);
  tree.put(recordKey(countersKey, of.tenant), record.finish());
}

export function readCounters(tree: RecordTree, tenant: TenantId): CountersOfTenant | undefined {
  const record = tree.get(recordKey(countersKey, tenant));
  if (record === undefined) return undefined;
  const reader = new Reader(record);
  return { tenant, nextObject: reader.u32(), nextRow: reader.u64() };
}

/** Writes the records of places from the `written`th on. */
export function writePlaces(tree: RecordTree, index: LogIndex, written: number): void {
  for (let number = Math.floor(written / placesPerRecord); ; number++) {
    const places = index.record(number);
    if (places.length === 0) return;
    const record = new Writer(places.length * 36);
    for (const { path, offset, op, position, timestamp } of places) {
      record.u64(segmentPosition(path));
      record.u32(offset);
      record.u64(op);
      record.u64(position);
      record.u64(timestamp);
    }
    tree.put(recordKey(placesKey, number), record.finish());
  }
}

export function* readPlaces(tree: RecordTree): Generator<LogPlace, void> {
  let path = '';
  for (let number = 0; ; number++) {
    const record = tree.get(recordKey(placesKey, number));
    if (record === undefined) return;
    const reader = new Reader(record);
    while (reader.remaining > 0) {
      const named = segmentPath(reader.u64() as Position);
      // One string for all places of a segment.
      if (named !== path) path = named;
      yield {
        path,
        offset: reader.u32(),
        op: reader.u64() as Op,
        position: reader.u64() as Position,
        timestamp: reader.u64() as TimestampMicros,
      };
    }
  }
}

/** A committed state of the log: its head and where the last frame of that lies. */
export interface CheckpointPlace {
  readonly head: LogHead;
  readonly frame: FrameSpan;
}

export function checkpointHeadOf({ head, frame }: CheckpointPlace): CheckpointHead {
  const { op, position, leafCount, timestamp, chainHash, sealingEpoch, durableHead } = head;
  const numbers = { op, position, leafCount, timestamp, chainHash, sealingEpoch, durableHead };
  return {
    ...numbers,
    lastKind: head.lastKind === undefined ? 0 : frameKinds[head.lastKind],
    segment: segmentPosition(frame.path),
    frameOffset: frame.offset,
    frameEnd: frame.end,
  };
}

const kindsByNumber = new Map(
  Object.entries(frameKinds).map(([kind, number]) => [number as number, kind as FrameKind]),
);

export function placeOf(logId: LogHead['logId'], head: CheckpointHead): CheckpointPlace {
  const { segment, frameOffset, frameEnd, lastKind, ...numbers } = head;
  return {
    head: { logId, ...numbers, lastKind: kindsByNumber.get(lastKind) },
    frame: { path: segmentPath(segment), offset: frameOffset, end: frameEnd },
  };
}
