import type { Digest32, LeafIndex, LogId, Op, Position, TimestampMicros } from '../base/index.ts';
import { type FrameHeader, genesisHash, type SegmentHeader } from './format.ts';
import type { CheckedFrame } from './frame-reader.ts';

/** Where the log has got to: what the next frame must continue. */
export interface LogHead {
  readonly logId: LogId;
  /** The last frame's op; 0 before the first. */
  readonly op: Op;
  /** The last committed position; 0 before the first. */
  readonly position: Position;
  /** Events so far: the next leaf index. */
  readonly leafCount: LeafIndex;
  readonly timestamp: TimestampMicros;
  readonly chainHash: Digest32;
  readonly sealingEpoch: number;
  /** The newest op that some frame says was durable. */
  readonly durableHead: Op;
  readonly lastKind: FrameHeader['kind'] | undefined;
}

export function emptyLogHead(logId: LogId): LogHead {
  return {
    logId,
    op: 0 as Op,
    position: 0 as Position,
    leafCount: 0 as LeafIndex,
    timestamp: 0 as TimestampMicros,
    chainHash: genesisHash(logId),
    sealingEpoch: 0,
    durableHead: 0 as Op,
    lastKind: undefined,
  };
}

/** The head after a frame. */
export function advance(head: LogHead, frame: CheckedFrame): LogHead {
  const { header } = frame;
  return {
    logId: head.logId,
    op: header.op,
    position: header.lastPosition,
    leafCount: (header.firstLeaf + header.leafCount) as LeafIndex,
    timestamp: header.timestamp,
    chainHash: frame.chainHash,
    sealingEpoch: header.sealingEpoch,
    durableHead: Math.max(head.durableHead, header.durableHead) as Op,
    lastKind: header.kind,
  };
}

/** The header of the segment that continues `head`. */
export function segmentHeaderAt(head: LogHead): SegmentHeader {
  return {
    logId: head.logId,
    firstPosition: (head.position + 1) as Position,
    firstOp: (head.op + 1) as Op,
    firstLeaf: head.leafCount,
    parent: head.chainHash,
  };
}
