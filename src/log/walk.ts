/**
 * Walking the frames of a segment, and the torn-tail rule.
 *
 * The rule: a frame may be cut only if it is the first bad one at the end of the last segment, no frame
 * behind it was written when it was already durable, the anchor does not lie at or behind it, and it is
 * what an unfinished write leaves: some sectors' shares of it are zero or past the end of the file, or all
 * is zero from some byte of it to the end of the file. Anything else is damage: it is reported with its
 * offset and nothing is changed.
 */
import {
  assert,
  type Digest32,
  equalBytes,
  type ErrorCode,
  firstNonZero,
  type LogId,
  type Op,
} from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  durableHeadOffset,
  type FrameHeader,
  frameAlignment,
  type HeaderProblem,
  physicalHeaderBytes,
  sectorBytes,
  segmentHeaderBytes,
  trustedFrameLength,
} from './format.ts';
import { checkFrame, type CheckedFrame, type FrameProblem, isProblem } from './frame-reader.ts';
import { advance, type LogHead, segmentHeaderAt } from './head.ts';

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

/** A frame that is known to be durable: nothing up to it is ever cut. */
export interface DurableFrame {
  readonly op: Op;
  readonly chainHash: Digest32;
}

export interface SegmentWalk {
  readonly bytes: Uint8Array;
  /** Where to start: segmentHeaderBytes, or a later frame's offset. */
  readonly offset: number;
  readonly head: LogHead;
  /** Only the last segment may have a torn tail. */
  readonly last: boolean;
  /** What the database's anchor says. */
  readonly durable?: DurableFrame | undefined;
}

export interface WalkedFrame {
  readonly frame: CheckedFrame;
  readonly offset: number;
  /** The head after it. */
  readonly head: LogHead;
}

/** Walks the intact frames of a segment in order, one a call of `next`. */
export class FrameWalk {
  readonly #walk: SegmentWalk;
  #offset: number;
  #head: LogHead;
  #end: WalkEnd | undefined;

  constructor(walk: SegmentWalk) {
    this.#walk = walk;
    this.#offset = walk.offset;
    this.#head = walk.head;
  }

  /** The head after the last frame that `next` returned. */
  get head(): LogHead {
    return this.#head;
  }
  /** Where the next frame starts. */
  get offset(): number {
    return this.#offset;
  }
  /** How the walk ended; undefined while it goes on. */
  get end(): WalkEnd | undefined {
    return this.#end;
  }

  /** The next intact frame; undefined at the end, which `end` then tells. */
  next(): WalkedFrame | undefined {
    if (this.#end !== undefined) return undefined;
    const { bytes, durable } = this.#walk;
    const found = this.#look();
    if ('kind' in found) {
      this.#end = this.#checkedEnd(found);
      return undefined;
    }
    const before = this.#head;
    const offset = this.#offset;
    const head = advance(before, found);
    if (durable?.op === head.op && !equalBytes(durable.chainHash, head.chainHash)) {
      this.#end = damaged(
        'CHAIN_BROKEN',
        offset,
        'Another frame than the one that was durable lies',
      );
      return undefined;
    }
    assert(head.op === before.op + 1, 'frames are walked one by one');
    this.#head = head;
    this.#offset = offset + found.header.frameLength;
    assert(this.#offset <= bytes.length, 'a frame lies within its segment');
    return { frame: found, offset, head };
  }

  /** The frame that `next` just returned is not good after all: the walk ends before it. */
  refuse({ offset }: WalkedFrame, problem: FrameProblem, before: LogHead): void {
    this.#end = damaged(problem.code, offset + problem.offset, problem.what);
    this.#head = before;
    this.#offset = offset;
  }

  #look(): CheckedFrame | WalkEnd {
    const { bytes, last, durable } = this.#walk;
    const anchored = durable !== undefined;
    const offset = this.#offset;
    const head = this.#head;
    if (firstNonZero(bytes, offset, Math.min(offset + physicalHeaderBytes, bytes.length)) === -1) {
      const stray = firstNonZero(bytes, offset);
      if (stray === -1) return { kind: 'tail', offset };
    }
    if (head.lastKind === 'end' && offset > segmentHeaderBytes) {
      const stray = firstNonZero(bytes, offset);
      return damaged('CHECKSUM_MISMATCH', stray, 'Bytes follow the end of a finished segment');
    }
    const header = decodeFrameHeader(bytes, offset);
    if (typeof header === 'string') {
      const at = header === 'magic' ? strayByte(bytes, offset) : offset;
      const problem = headerProblem(header, at, 'frame');
      return classify(bytes, offset, head, { last, anchored, header: undefined, problem });
    }
    const end = offset + header.frameLength;
    const checked: CheckedFrame | FrameProblem =
      end > bytes.length
        ? { code: 'CHECKSUM_MISMATCH', offset: bytes.length - offset, what: 'A frame is cut short' }
        : checkFrame(bytes.subarray(offset, end), header);
    if (isProblem(checked)) {
      const problem = { ...ofThisRevision(checked), offset: offset + checked.offset };
      return classify(bytes, offset, head, { last, anchored, header, problem });
    }
    const link = frameProblemAfter(header, head);
    return link === undefined ? checked : damaged(link.code, offset, link.what);
  }

  /** Nothing at or below what is known to be durable is a tail. */
  #checkedEnd(end: WalkEnd): WalkEnd {
    const { durable, last } = this.#walk;
    if (durable === undefined || this.#head.op >= durable.op || end.kind === 'damaged') return end;
    if (end.kind === 'torn')
      return damaged(
        'CHECKSUM_MISMATCH',
        end.offset,
        'A frame that was durable, and is torn, lies',
      );
    // What is missing behind a finished segment is missing in the next one.
    const isFinished = this.#head.lastKind === 'end' && end.offset > segmentHeaderBytes;
    if (!last || isFinished) return end;
    const first = this.#head.op + 1;
    const which =
      first === durable.op
        ? `Frame ${first}, which was durable, is`
        : `Frames ${first} to ${durable.op}, which were durable, are`;
    return damaged('MISSING_DATA', end.offset, `${which} missing: the log ends`);
  }
}

/**
 * Walks intact frames in order and calls `visit` with each, its offset and the head after it. `visit`
 * may refuse a frame (its sections do not open) by returning what is wrong.
 */
export function walkSegment(
  walk: SegmentWalk,
  visit: (frame: CheckedFrame, offset: number, head: LogHead) => FrameProblem | undefined,
): { readonly end: WalkEnd; readonly head: LogHead } {
  const frames = new FrameWalk(walk);
  let before = walk.head;
  for (let found = frames.next(); found !== undefined; found = frames.next()) {
    const refused = visit(found.frame, found.offset, found.head);
    if (refused !== undefined) frames.refuse(found, refused, before);
    else before = found.head;
  }
  return { end: frames.end as WalkEnd, head: frames.head };
}

/** Where most of the magic is zero no frame begins: the first byte that is not zero is the one that should not be there. */
function strayByte(bytes: Uint8Array, offset: number): number {
  const zeros = bytes
    .subarray(offset, offset + 4)
    .reduce((count, byte) => count + (byte === 0 ? 1 : 0), 0);
  return zeros >= 2 ? firstNonZero(bytes, offset) : offset;
}

/** verity.json names revision, algorithm and compression of the whole database, and was read before: others are damage. */
function ofThisRevision(problem: FrameProblem): FrameProblem {
  return problem.code === 'FORMAT_UNSUPPORTED'
    ? { ...problem, code: 'AUTHENTICATION_FAILED' }
    : problem;
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
    // verity.json names the revision of the whole database, and was read before.
    return {
      code: 'AUTHENTICATION_FAILED',
      offset: offset + 4,
      what: `A ${of} that names another format revision than verity.json lies`,
    };
  }
  return { code: 'CHECKSUM_MISMATCH', offset, what: `A ${of} header is damaged (${problem})` };
}

/** What is wrong with a frame, whose bytes are good, as the one that follows `head`; undefined if nothing is. */
export function frameProblemAfter(
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
    readonly anchored: boolean;
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
  // A file that ends with the frame was cut to it, once it was flushed and anchored; or the room for the frame was lost
  // in a crash, while a part of it arrived. Only the anchor tells.
  const isInside = offset + extent < bytes.length || found.anchored;
  const isPrefix = writtenEnd < offset + extent && isInside;
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
