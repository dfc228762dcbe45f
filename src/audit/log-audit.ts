/** The whole log from its segments, each of which was checked on its own: whether they follow each other, and where it ends. */
import {
  CorruptionError,
  type Disk,
  firstNonZero,
  type LeafIndex,
  type LogId,
  type Position,
} from '../base/index.ts';
import {
  type FrameSpan,
  holdsFrame,
  type LogTail,
  readWhole,
  segmentPaths,
  segmentPosition,
} from '../engine/index.ts';
import type { SegmentRecord } from '../kernel/index.ts';
import {
  checkSegmentHeader,
  decodeSegmentHeader,
  type DurableFrame,
  emptyLogHead,
  type LogHead,
  segmentHeaderBytes,
} from '../log/index.ts';
import { type AuditWorkers, runAll } from './jobs.ts';
import type { LiveState } from './live.ts';
import type { LostFrames } from './lost-frames.ts';
import type { SegmentAudit, SegmentJob } from './segment-job.ts';

/** Something of the log that is not as it was written. */
export interface LogDamage {
  readonly error: CorruptionError;
  /** The frames that are lost for it. */
  readonly lost: LostFrames;
}

export interface AuditedLog {
  readonly segments: readonly SegmentAudit[];
  /** In order of segments and offsets. Where there is none, all segments are one log up to `tail`. */
  readonly damages: readonly LogDamage[];
  readonly tail: LogTail;
  /** The finished segments as they are on the disk, by first position. */
  readonly records: ReadonlyMap<Position, SegmentRecord>;
  /** What the handle knew when the last segment was read. */
  readonly live: LiveState | undefined;
}

export interface LogAuditing {
  readonly disk: Disk;
  readonly logId: LogId;
  readonly durable: DurableFrame;
  readonly workers: AuditWorkers;
  /** Events before this leaf are not opened. */
  readonly opensFrom?: LeafIndex | undefined;
  /** What was found in a segment before. */
  readonly before?: ((path: string) => SegmentJob['before']) | undefined;
  /** What an open handle knows. An owner's own log is read up to what was committed when its last segment was read. */
  readonly live?: (() => LiveState) | undefined;
  readonly onSegment?: (result: SegmentAudit, done: number, total: number) => void;
}

/** Reads all segments, as many at a time as there are workers. */
export async function auditLog(auditing: LogAuditing): Promise<AuditedLog> {
  const { disk, logId } = auditing;
  const segments: SegmentAudit[] = [];
  let live: LiveState | undefined;
  for (;;) {
    const read = segments.at(-1)?.path ?? '';
    const later = segmentPaths(disk).filter((path) => path > read);
    // Beside an owner, who goes on in further segments meanwhile.
    if (later.length === 0) break;
    if (auditing.live === undefined) {
      segments.push(...(await auditSegments(auditing, later, { done: segments.length })));
    } else {
      live = auditing.live();
      const path = later.slice(0, 1);
      const after = { done: segments.length, later: later.slice(1), live };
      segments.push(...(await auditSegments(auditing, path, after)));
    }
    if (segments.at(-1)?.head.lastKind !== 'end') break;
  }
  const isWhole = live?.owner !== true || live.head.op > (segments.at(-1)?.head.op ?? 0);
  return { ...new LogLinks(disk, logId).link(segments, isWhole), live };
}

async function auditSegments(
  { disk, durable, workers, opensFrom, before, onSegment }: LogAuditing,
  paths: readonly string[],
  {
    done,
    later = [],
    live,
  }: { readonly done: number; readonly later?: readonly string[]; readonly live?: LiveState },
): Promise<SegmentAudit[]> {
  const all = [...paths, ...later];
  const total = done + all.length;
  let finished = done;
  const isNewer = live !== undefined && live.head.op > durable.op;
  const { op, chainHash } = isNewer ? live.head : durable;
  const jobs = paths.map((path, index): SegmentJob => {
    const last = !all.slice(index + 1).some((other) => holdsFrame(disk, other));
    const known = before?.(path);
    return {
      kind: 'segment',
      path,
      last,
      durable: { op, chainHash },
      ...(live?.owner === true && { upTo: live.head.op }),
      ...(opensFrom !== undefined && { opensFrom }),
      ...(known !== undefined && { before: known }),
    };
  });
  return runAll(workers, jobs, (result) => onSegment?.(result, ++finished, total));
}

class LogLinks {
  readonly #disk: Disk;
  readonly #damages: LogDamage[] = [];
  readonly #records = new Map<Position, SegmentRecord>();
  #head: LogHead;
  #frame: FrameSpan | undefined;
  #abandoned: string | undefined;

  constructor(disk: Disk, logId: LogId) {
    this.#disk = disk;
    this.#head = emptyLogHead(logId);
  }

  /** `isWhole`: whether the log ends where the last segment does. */
  link(segments: readonly SegmentAudit[], isWhole: boolean): Omit<AuditedLog, 'live'> {
    let tail: SegmentAudit | undefined;
    for (const [index, segment] of segments.entries()) {
      if (tail !== undefined && !isFinished(tail)) {
        if (this.#isAbandoned(segments.slice(index))) {
          this.#abandoned = segment.path;
          break;
        }
        // What is wrong with the end of the segment before may have been told already.
        if (tail.end.kind !== 'damaged') {
          const what =
            'The end of a segment is missing though frames follow it in the next; the gap lies';
          this.#add(new CorruptionError('MISSING_DATA', tail.path, tail.end.offset, what), segment);
        }
      }
      this.#take(segment);
      tail = segment;
    }
    if (tail === undefined) {
      const missing = new CorruptionError(
        'MISSING_DATA',
        'log',
        0,
        'Every segment of the log is missing',
      );
      this.#add(missing, undefined);
    } else if (isWhole && isFinished(tail)) {
      const what = 'The segment after a finished one is missing; a finished segment lies';
      this.#add(new CorruptionError('MISSING_DATA', tail.path, endOf(tail), what), undefined);
    }
    const torn =
      tail?.end.kind === 'torn' ? { offset: tail.end.offset, length: tail.end.length } : undefined;
    return {
      segments,
      damages: this.#damages,
      records: this.#records,
      tail: {
        head: this.#head,
        frame: this.#frame,
        path: tail?.path ?? 'log',
        offset: tail === undefined ? 0 : endOf(tail),
        torn,
        abandoned: this.#abandoned,
      },
    };
  }

  #take(segment: SegmentAudit): void {
    const { path, header, head, frames } = segment;
    const isReadable = typeof decodeSegmentHeader(header) !== 'string';
    const problem = isReadable ? checkSegmentHeader(header, this.#head) : undefined;
    if (problem !== undefined) {
      const error = new CorruptionError(problem.code, path, problem.offset, problem.what);
      this.#add(error, segment);
    } else if ((segment.firstTimestamp ?? this.#head.timestamp) < this.#head.timestamp) {
      const what = 'A frame does not continue the one before it';
      this.#add(new CorruptionError('CHAIN_BROKEN', path, segmentHeaderBytes, what), segment);
    }
    // What is wrong within a segment of another log follows from that.
    const damages = problem?.code === 'FOREIGN_FILE' ? [] : segment.damages;
    for (const { code, offset, what, lost } of damages)
      this.#damages.push({ error: new CorruptionError(code, path, offset, what), lost });
    if (isFinished(segment))
      this.#records.set(segmentPosition(path), {
        digest: segment.digest,
        lengthBytes: segment.bytes,
      });
    if (frames === 0) return;
    const durableHead = Math.max(
      this.#head.durableHead,
      head.durableHead,
    ) as LogHead['durableHead'];
    this.#head = { ...head, durableHead };
    this.#frame = segment.frame;
  }

  /** Frames are missing between where the log has got to and a later segment, or its end. */
  #add(error: CorruptionError, next: SegmentAudit | undefined): void {
    const header = next === undefined ? 'short' : decodeSegmentHeader(next.header);
    const { op, position, leafCount } = this.#head;
    this.#damages.push({
      error,
      lost: {
        firstOp: (op + 1) as LostFrames['firstOp'],
        firstPosition: (position + 1) as Position,
        firstLeaf: leafCount,
        ...(typeof header !== 'string' && {
          next: { op: header.firstOp, position: header.firstPosition, leaf: header.firstLeaf },
        }),
        tenants: [],
      },
    });
  }

  /** Only a roll that crashed leaves a segment behind one that is not finished: it holds no frame yet. */
  #isAbandoned(later: readonly SegmentAudit[]): boolean {
    if (later.some(({ path }) => holdsFrame(this.#disk, path))) return false;
    const bytes = readWhole(this.#disk, (later[0] as SegmentAudit).path) ?? new Uint8Array();
    return firstNonZero(bytes, Math.min(segmentHeaderBytes, bytes.length)) === -1;
  }
}

const isFinished = ({ head, frames, end }: SegmentAudit): boolean =>
  head.lastKind === 'end' && frames > 0 && end.kind === 'tail';

const endOf = ({ end, frame }: SegmentAudit): number =>
  end.kind === 'damaged' ? (frame?.end ?? segmentHeaderBytes) : end.offset;
