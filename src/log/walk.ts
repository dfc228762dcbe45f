/**
 * Walking the frames of a segment, and the torn-tail rule.
 *
 * The rule: a frame may be cut only if it is the first bad one at the end of the last segment, no frame
 * behind it was written when it was already durable, and it is what an unfinished write leaves: some
 * sectors' shares of it are zero or past the end of the file, or all is zero from some byte of it to the
 * end of the file, which lies further on. Anything else is damage: it is reported with its offset and
 * nothing is changed.
 */
import {
  type Digest32,
  equalBytes,
  type ErrorCode,
  firstNonZero,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  type TimestampMicros,
} from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  durableHeadOffset,
  type FrameHeader,
  frameAlignment,
  genesisHash,
  type HeaderProblem,
  physicalHeaderBytes,
  sectorBytes,
  type SegmentHeader,
  segmentHeaderBytes,
  trustedFrameLength,
} from './format.ts';
import { checkFrame, type CheckedFrame, type FrameProblem, isProblem } from './frame-reader.ts';

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

export interface WalkProblem {
  readonly code: ErrorCode;
  /** Byte offset in the segment. */
  readonly offset: number;
  readonly what: string;
}

export type WalkEnd =
  /** All is well up to `offset`; from there the segment is zero or ends. */
  | { readonly kind: 'tail'; readonly offset: number }
  /** An unfinished write, by the rule above: `length` bytes from `offset` were never acknowledged. */
  | { readonly kind: 'torn'; readonly offset: number; readonly length: number }
  | { readonly kind: 'damaged'; readonly problem: WalkProblem };

/** Checks a segment's header against where the log has got to. */
export function checkSegmentHeader(bytes: Uint8Array, head: LogHead): WalkProblem | undefined {
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') return headerProblem(header, 0, 'segment');
  if (!equalBytes(header.logId, head.logId)) {
    return { code: 'FOREIGN_FILE', offset: 8, what: 'A segment of another log lies' };
  }
  const expected = segmentHeaderAt(head);
  const linked =
    header.firstOp === expected.firstOp &&
    header.firstPosition === expected.firstPosition &&
    header.firstLeaf === expected.firstLeaf &&
    equalBytes(header.parent, expected.parent);
  if (linked) return undefined;
  const ahead = header.firstOp > expected.firstOp;
  return {
    code: ahead ? 'MISSING_DATA' : 'CHAIN_BROKEN',
    offset: 24,
    what: ahead
      ? `Frames ${expected.firstOp} to ${header.firstOp - 1} are missing before the segment`
      : 'A segment does not continue the one before it',
  };
}

export interface SegmentWalk {
  readonly bytes: Uint8Array;
  /** Where to start: segmentHeaderBytes, or a later frame's offset. */
  readonly offset: number;
  readonly head: LogHead;
  /** Only the last segment may have a torn tail. */
  readonly last: boolean;
}

/**
 * Walks intact frames in order and calls `visit` with each, its offset and the head after it. `visit`
 * may refuse a frame (its sections do not open) by returning what is wrong.
 */
export function walkSegment(
  walk: SegmentWalk,
  visit: (frame: CheckedFrame, offset: number, head: LogHead) => FrameProblem | undefined,
): { readonly end: WalkEnd; readonly head: LogHead } {
  const { bytes, last } = walk;
  let { offset, head } = walk;
  for (;;) {
    if (firstNonZero(bytes, offset, Math.min(offset + physicalHeaderBytes, bytes.length)) === -1) {
      const stray = firstNonZero(bytes, offset);
      if (stray === -1) return { end: { kind: 'tail', offset }, head };
    }
    if (head.lastKind === 'end' && offset > segmentHeaderBytes) {
      return {
        end: damaged(
          'CHECKSUM_MISMATCH',
          firstNonZero(bytes, offset),
          'Bytes follow the end of a finished segment',
        ),
        head,
      };
    }
    const header = decodeFrameHeader(bytes, offset);
    if (typeof header === 'string') {
      const at = header === 'magic' ? strayByte(bytes, offset) : offset;
      return {
        end: classify(bytes, offset, head, {
          last,
          header: undefined,
          problem: headerProblem(header, at, 'frame'),
        }),
        head,
      };
    }
    const end = offset + header.frameLength;
    const checked: CheckedFrame | FrameProblem =
      end > bytes.length
        ? { code: 'CHECKSUM_MISMATCH', offset: bytes.length - offset, what: 'A frame is cut short' }
        : checkFrame(bytes.subarray(offset, end), header);
    if (isProblem(checked)) {
      const problem = { ...checked, offset: offset + checked.offset };
      return { end: classify(bytes, offset, head, { last, header, problem }), head };
    }
    const link = checkLink(header, head);
    if (link !== undefined) return { end: damaged(link.code, offset, link.what), head };
    const next = advance(head, checked);
    const refused = visit(checked, offset, next);
    if (refused !== undefined)
      return { end: damaged(refused.code, offset + refused.offset, refused.what), head };
    head = next;
    offset = end;
  }
}

/** Where most of the magic is zero no frame begins: the first byte that is not zero is the one that should not be there. */
function strayByte(bytes: Uint8Array, offset: number): number {
  const zeros = bytes
    .subarray(offset, offset + 4)
    .reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  return zeros >= 2 ? firstNonZero(bytes, offset) : offset;
}

function damaged(code: WalkProblem['code'], offset: number, what: string): WalkEnd {
  return { kind: 'damaged', problem: { code, offset, what } };
}

function headerProblem(
  problem: HeaderProblem,
  offset: number,
  of: 'frame' | 'segment',
): WalkProblem {
  if (problem === 'revision') {
    return {
      code: 'FORMAT_UNSUPPORTED',
      offset: offset + 4,
      what: `A ${of} of another format revision lies`,
    };
  }
  return { code: 'CHECKSUM_MISMATCH', offset, what: `A ${of} header is damaged (${problem})` };
}

function checkLink(
  header: FrameHeader,
  head: LogHead,
): { code: WalkProblem['code']; what: string } | undefined {
  if (!equalBytes(header.logId, head.logId))
    return { code: 'FOREIGN_FILE', what: 'A frame of another log lies' };
  if (header.op > head.op + 1)
    return {
      code: 'MISSING_DATA',
      what: `Frames ${head.op + 1} to ${header.op - 1} are missing before the frame`,
    };
  const fits =
    header.op === head.op + 1 &&
    equalBytes(header.parent, head.chainHash) &&
    header.firstLeaf === head.leafCount &&
    header.firstPosition > head.position &&
    header.timestamp >= head.timestamp &&
    (header.leafCount === 0
      ? header.lastPosition === head.position && header.firstPosition === head.position + 1
      : header.lastPosition >= header.firstPosition);
  return fits
    ? undefined
    : { code: 'CHAIN_BROKEN', what: 'A frame does not continue the one before it' };
}

function classify(
  bytes: Uint8Array,
  offset: number,
  head: LogHead,
  found: {
    readonly last: boolean;
    readonly header: FrameHeader | undefined;
    readonly problem: WalkProblem;
  },
): WalkEnd {
  const { header, problem } = found;
  const asDamage: WalkEnd = { kind: 'damaged', problem };
  if (!found.last || problem.code !== 'CHECKSUM_MISMATCH') return asDamage;
  const extent = header?.frameLength ?? trustedFrameLength(bytes, offset) ?? physicalHeaderBytes;
  let writtenEnd = bytes.length;
  while (writtenEnd > offset && bytes[writtenEnd - 1] === 0) writtenEnd -= 1;
  // Files are cut to their last frame once it is flushed: one that goes on may hold a part of a write.
  const isPrefix = writtenEnd < offset + extent && offset + extent < bytes.length;
  if (!isPrefix && !hasUnwrittenSector(bytes, offset, offset + extent)) return asDamage;
  if (provenDurable(bytes, offset + frameAlignment, head)) return asDamage;
  return { kind: 'torn', offset, length: writtenEnd - offset };
}

/** Whether some sector's share of [start, end) is all zero or lies past the end of the file. */
function hasUnwrittenSector(bytes: Uint8Array, start: number, end: number): boolean {
  if (end > bytes.length) return true;
  for (let from = start; from < end;) {
    const to = Math.min((Math.floor(from / sectorBytes) + 1) * sectorBytes, end);
    if (firstNonZero(bytes, from, to) === -1) return true;
    from = to;
  }
  return false;
}

/**
 * The durable head that a physical header at `offset` names, or 0 where none of this log stands. The logical
 * header is not checked: one half written still tells, and a crafted file cannot make this look twice at a byte.
 */
function durableHeadAt(bytes: Uint8Array, offset: number, logId: LogId): number {
  if (trustedFrameLength(bytes, offset) === undefined) return 0;
  const logicalStart = offset + physicalHeaderBytes;
  if (!equalBytes(bytes.subarray(logicalStart, logicalStart + logId.length), logId)) return 0;
  const reader = new Reader(bytes, offset + durableHeadOffset, logicalStart);
  return reader.u32() + reader.u32() * 0x1_0000_0000;
}

/** Whether a frame behind `start` was written knowing that the frame after `head` was durable. */
function provenDurable(bytes: Uint8Array, start: number, head: LogHead): boolean {
  for (let offset = start; offset + physicalHeaderBytes <= bytes.length; offset += frameAlignment) {
    if (bytes[offset] !== 0x56) continue;
    if (durableHeadAt(bytes, offset, head.logId) > head.op) return true;
  }
  return false;
}
