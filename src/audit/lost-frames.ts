/** Where frames say that the log stood before and behind them, and what is lost between two of them. */
import type { LeafIndex, LogId, Op, Position, TenantId, TimestampMicros } from '../base/index.ts';
import { decodeSegmentHeader, type FrameHeader, type LogHead } from '../log/index.ts';

/** Frames that are damaged or missing: all that lies between two good ones. */
export interface LostFrames {
  readonly firstOp: Op;
  readonly firstPosition: Position;
  readonly firstLeaf: LeafIndex;
  /** Behind the last that is lost; absent: up to the end of the segment, which is not known. */
  readonly next?: { readonly op: Op; readonly position: Position; readonly leaf: LeafIndex };
  /** Whose events these are, as far as a header still tells. */
  readonly tenants: readonly TenantId[];
}

/** What a segment goes on from, as its header says; what that does not say is filled in by whoever knows. */
export function claimedHead(bytes: Uint8Array, logId: LogId): LogHead {
  const header = decodeSegmentHeader(bytes);
  const nothing = { timestamp: 0 as TimestampMicros, sealingEpoch: 0, durableHead: 0 as Op };
  if (typeof header === 'string') {
    const chainHash = new Uint8Array(32) as LogHead['chainHash'];
    const start = { op: 0 as Op, position: 0 as Position, leafCount: 0 as LeafIndex };
    return { ...nothing, ...start, logId, chainHash, lastKind: undefined };
  }
  return {
    ...nothing,
    // Copies: the next segment is read into the same bytes.
    logId: header.logId.slice() as LogId,
    op: (header.firstOp - 1) as Op,
    position: (header.firstPosition - 1) as Position,
    leafCount: header.firstLeaf,
    chainHash: header.parent.slice() as LogHead['chainHash'],
    lastKind: undefined,
  };
}

export function headBefore(header: FrameHeader, head: LogHead): LogHead {
  const { op, position, leaf } = before(header);
  return {
    ...head,
    op: (op - 1) as Op,
    position: (position - 1) as Position,
    leafCount: leaf,
    timestamp: header.timestamp,
    chainHash: header.parent.slice() as LogHead['chainHash'],
    lastKind: undefined,
  };
}

export const before = (header: FrameHeader): NonNullable<LostFrames['next']> => ({
  op: header.op,
  position: header.firstPosition,
  leaf: header.firstLeaf,
});

export const behind = (header: FrameHeader): NonNullable<LostFrames['next']> => ({
  op: (header.op + 1) as Op,
  position: (header.lastPosition + 1) as Position,
  leaf: (header.firstLeaf + header.leafCount) as LeafIndex,
});

export const lostFrame = (header: FrameHeader): LostFrames => ({
  firstOp: header.op,
  firstPosition: header.firstPosition,
  firstLeaf: header.firstLeaf,
  next: behind(header),
  tenants: header.sections.map(({ tenant }) => tenant),
});
