/** Walking the whole log, segment by segment and frame by frame, at the caller's pace. */
import {
  CorruptionError,
  type Disk,
  firstNonZero,
  type Op,
  type Position,
  type VerityError,
} from '../base/index.ts';
import {
  type CheckedFrame,
  checkSegmentHeader,
  type DurableFrame,
  type FrameProblem,
  FrameWalk,
  type LogHead,
  segmentHeaderBytes,
  segmentPath,
  type WalkEnd,
  type WalkProblem,
} from '../log/index.ts';
import { readStart, readWhole, segmentPaths, segmentPosition } from './files.ts';

/** Enough of a segment to see whether it holds a frame: frames without events are smaller. */
const firstFrameBytes = 4096;

/** Where a frame lies. */
export interface FrameSpan {
  readonly path: string;
  readonly offset: number;
  readonly end: number;
}

export interface LogTail {
  readonly head: LogHead;
  /** The last frame; undefined if there is none. */
  readonly frame: FrameSpan | undefined;
  /** The last segment that belongs to the log, and where it ends. */
  readonly path: string;
  readonly offset: number;
  /** An unfinished write behind the tail, to be cut. */
  readonly torn: { readonly offset: number; readonly length: number } | undefined;
  /** A segment that a crash left while the log was about to continue in it; it holds no frame. */
  readonly abandoned: string | undefined;
}

export interface FramePlace {
  readonly path: string;
  readonly offset: number;
  /** The head after the frame. */
  readonly after: LogHead;
}

export type LogStep =
  | { readonly kind: 'frame'; readonly frame: CheckedFrame; readonly place: FramePlace }
  /** A segment whose end frame has been passed. */
  | {
      readonly kind: 'finished';
      readonly path: string;
      readonly bytes: Uint8Array;
      readonly firstPosition: Position;
    };

export interface LogWalkSettings {
  readonly disk: Disk;
  /** The head before the first segment that is walked: of the log, or of a later segment. */
  readonly start: LogHead;
  /** The last frame of `start`: the walk begins behind it. Absent: it begins with a segment. */
  readonly behind?: FrameSpan | undefined;
  /** What the anchor says; the log must reach it. */
  readonly durable?: DurableFrame | undefined;
  readonly onSegment?: ((done: number, total: number) => void) | undefined;
  /**
   * Asked whenever a segment has been read: the newest op that counts then. What lies behind it in an owner's
   * own log is on its way, and not looked at.
   */
  readonly upTo?: () => Op | undefined;
}

interface OpenSegment {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly frames: FrameWalk;
  readonly firstPosition: Position;
  readonly upTo: Op | undefined;
}

/**
 * Checks all of the log that needs no key: checksums, digests, layout and chain. `next` throws CorruptionError,
 * naming file and offset, at the first damage; nothing is decided about a torn tail.
 */
export class LogWalk {
  readonly #settings: LogWalkSettings;
  #head: LogHead;
  #segment: OpenSegment | undefined;
  #segmentsDone = 0;
  #tail: LogTail | undefined;
  #frame: FrameSpan | undefined;

  constructor(settings: LogWalkSettings) {
    this.#settings = settings;
    this.#head = settings.start;
    this.#frame = settings.behind;
  }

  /** Where the log ends; only after `next` has returned undefined. */
  get tail(): LogTail {
    if (this.#tail === undefined) throw new Error('the log has not been walked to its end');
    return this.#tail;
  }

  /** The bytes of the last segment, as they were when it was read. */
  get segmentBytes(): Uint8Array {
    return this.#segment?.bytes ?? new Uint8Array();
  }

  next(): LogStep | undefined {
    if (this.#tail !== undefined) return undefined;
    this.#segment ??= this.#openNext(undefined);
    const { path, frames, bytes, firstPosition, upTo } = this.#segment;
    if (upTo !== undefined && frames.head.op >= upTo && !isFinished(frames.head, frames.offset)) {
      this.#tail = this.#endOf(path, frames.head, { kind: 'tail', offset: frames.offset });
      return undefined;
    }
    const found = frames.next();
    if (found !== undefined) {
      this.#head = found.head;
      this.#frame = { path, offset: found.offset, end: frames.offset };
      const place = { path, offset: found.offset, after: found.head };
      return { kind: 'frame', frame: found.frame, place };
    }
    const tail = this.#endOf(path, frames.head, frames.end as WalkEnd);
    if (!isFinished(tail.head, tail.offset)) {
      this.#tail = this.#withAbandoned(tail);
      return undefined;
    }
    this.#segment = this.#openNext(tail);
    return { kind: 'finished', path, bytes, firstPosition };
  }

  #openNext(before: LogTail | undefined): OpenSegment {
    const { disk, durable, onSegment, upTo, start, behind } = this.#settings;
    const paths = segmentPaths(disk);
    const first = behind?.path ?? segmentPath((start.position + 1) as Position);
    const later = paths.filter((path) =>
      before === undefined ? start.op === 0 || path >= first : path > before.path,
    );
    const path = later[0];
    if (path === undefined) throw missingSegment(before, paths);
    const earlier = behind === undefined ? 0 : paths.indexOf(behind.path);
    onSegment?.(this.#segmentsDone++, paths.length - earlier);
    const last = noneHoldsFrame(disk, later.slice(1));
    const bytes = readWhole(disk, path) ?? new Uint8Array();
    const isBehind = before === undefined && behind !== undefined;
    // Of a segment that is begun in its middle, whoever named the place has checked it.
    const problem = isBehind ? undefined : checkSegmentHeader(bytes, this.#head);
    if (problem !== undefined) throw corruption(path, problem);
    const head = this.#head;
    const offset = isBehind ? behind.end : segmentHeaderBytes;
    return {
      path,
      bytes,
      frames: new FrameWalk({ bytes, offset, head, last, durable }),
      firstPosition: segmentPosition(path),
      upTo: upTo?.(),
    };
  }

  #endOf(path: string, head: LogHead, end: WalkEnd): LogTail {
    if (end.kind === 'damaged') throw corruption(path, end.problem);
    const torn = end.kind === 'torn' ? { offset: end.offset, length: end.length } : undefined;
    const frame = this.#frame;
    return { head, frame, path, offset: end.offset, torn, abandoned: undefined };
  }

  /** Only a roll that crashed leaves a segment behind one that is not finished: it holds no frame yet. */
  #withAbandoned(tail: LogTail): LogTail {
    const { disk } = this.#settings;
    const later = segmentPaths(disk).filter((path) => path > tail.path);
    const [abandoned] = later;
    if (abandoned === undefined) return tail;
    if (noneHoldsFrame(disk, later) && isEmptySegment(disk, abandoned))
      return { ...tail, abandoned };
    throw new CorruptionError(
      'MISSING_DATA',
      tail.path,
      tail.offset,
      'The end of a segment is missing though frames follow it in the next; the gap lies',
    );
  }
}

function missingSegment(before: LogTail | undefined, paths: readonly string[]): VerityError {
  if (before === undefined) {
    return new CorruptionError('MISSING_DATA', 'log', 0, 'Every segment of the log is missing');
  }
  return new CorruptionError(
    'MISSING_DATA',
    paths.at(-1) ?? before.path,
    before.offset,
    'The segment after a finished one is missing; a finished segment lies',
  );
}

/** Whether the segment's own last frame says that the log goes on in another. */
function isFinished(head: LogHead, offset: number): boolean {
  return head.lastKind === 'end' && offset > segmentHeaderBytes;
}

function noneHoldsFrame(disk: Disk, paths: readonly string[]): boolean {
  return paths.every((path) => !holdsFrame(disk, path));
}

function isEmptySegment(disk: Disk, path: string): boolean {
  const bytes = readWhole(disk, path) ?? new Uint8Array();
  return firstNonZero(bytes, Math.min(segmentHeaderBytes, bytes.length)) === -1;
}

/** Whether a segment holds more than its header. */
export function holdsFrame(disk: Disk, path: string): boolean {
  const start = readStart(disk, path, segmentHeaderBytes + firstFrameBytes);
  return firstNonZero(start, Math.min(segmentHeaderBytes, start.length)) !== -1;
}

/** The error for a problem in a segment. */
export function corruption(path: string, problem: WalkProblem): VerityError {
  return new CorruptionError(problem.code, path, problem.offset, problem.what);
}

/** The error for a problem within the frame at `place`. */
export function frameCorruption(place: FramePlace, problem: FrameProblem): VerityError {
  return corruption(place.path, { ...problem, offset: place.offset + problem.offset });
}
