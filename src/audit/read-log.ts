import type { Disk, LogId, Op, Position } from '../base/index.ts';
import { Sha256 } from '../crypto/index.ts';
import {
  applyFrame,
  frameCorruption,
  type KeyHierarchy,
  LogIndex,
  type LogStep,
  type LogTail,
  LogWalk,
} from '../engine/index.ts';
import type { KernelState, SegmentRecord } from '../kernel/index.ts';
import { type DurableFrame, emptyLogHead } from '../log/index.ts';
import type { LiveState } from './live.ts';
import type { Pause } from './pause.ts';
import type { Commitments } from './state-check.ts';

const hashSliceBytes = 1 << 20;

export interface LogReading {
  readonly disk: Disk;
  readonly logId: LogId;
  /** Absent: what needs no key is checked, and nothing is rebuilt. */
  readonly hierarchy: KeyHierarchy | undefined;
  readonly state: KernelState;
  /** Called after each frame that was applied. */
  readonly relieve: () => void;
  /** Gets those of all events. */
  readonly commitments: Commitments;
  readonly durable: DurableFrame;
  readonly pause: Pause;
  readonly live: (() => LiveState) | undefined;
  readonly onSegment: ((done: number, total: number) => void) | undefined;
}

export interface ReadLog {
  readonly tail: LogTail;
  /** What lay behind the tail. */
  readonly rest: Uint8Array;
  /** What the handle knew when the last segment was read. */
  readonly live: LiveState | undefined;
  /** The finished segments as they are on the disk, by first position. */
  readonly records: ReadonlyMap<Position, SegmentRecord>;
}

/**
 * Reads the log once, from its first byte to its last, and checks and applies each frame. An owner's own log is read
 * up to what was committed when the last segment was read. Throws CorruptionError.
 */
export async function readLog(reading: LogReading): Promise<ReadLog> {
  const { disk, logId, durable, onSegment, pause, live } = reading;
  let seen: LiveState | undefined;
  const walk = new LogWalk({
    disk,
    start: emptyLogHead(logId),
    durable,
    onSegment,
    upTo: (): Op | undefined => {
      seen = live?.();
      return seen?.owner === true ? seen.head.op : undefined;
    },
  });
  const records = new Map<Position, SegmentRecord>();
  // A segment's frames wait until all of it has been checked without a key: damage is found before anything is opened.
  let waiting: FrameStep[] = [];
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    if (step.kind === 'frame') {
      waiting.push(step);
      await pause(step.frame.header.frameLength);
      continue;
    }
    records.set(step.firstPosition, await recordOf(step.bytes, pause));
    await applyAll(reading, waiting);
    waiting = [];
  }
  await applyAll(reading, waiting);
  const { tail } = walk;
  return { tail, rest: walk.segmentBytes.subarray(tail.offset), live: seen, records };
}

type FrameStep = Extract<LogStep, { kind: 'frame' }>;

async function applyAll(reading: LogReading, frames: readonly FrameStep[]): Promise<void> {
  const { hierarchy, state, relieve, pause, commitments } = reading;
  if (hierarchy === undefined) return;
  const index = new LogIndex();
  for (const { frame, place } of frames) {
    const problem = applyFrame({ hierarchy, state, index }, frame, place);
    if (problem !== undefined) throw frameCorruption(place, problem);
    commitments.add(frame.leaves);
    relieve();
    await pause(frame.header.frameLength);
  }
}

async function recordOf(bytes: Uint8Array, pause: Pause): Promise<SegmentRecord> {
  const hash = new Sha256();
  for (let offset = 0; offset < bytes.length; offset += hashSliceBytes) {
    const slice = bytes.subarray(offset, offset + hashSliceBytes);
    hash.update(slice);
    await pause(slice.length);
  }
  return { digest: hash.digest(), lengthBytes: bytes.length };
}
