/** The pieces that an audit is divided into, and who does them: this thread, or others beside it. */
import { assert, CorruptionError, type Disk, type LogId } from '../base/index.ts';
import {
  fileBytes,
  isStoreDamage,
  type KeyHierarchy,
  openCheckpoint,
  segmentFileBytesMax,
} from '../engine/index.ts';
import type { DurableFrame } from '../log/index.ts';
import { readSuperblock, superblockPath, type TreeStore } from '../store/index.ts';
import type { Pause } from './pause.ts';
import { auditSegment, type SegmentAudit, type SegmentJob } from './segment-job.ts';
import { hashTiles, type TreeJob, type TreeTiles } from './tree-job.ts';
import {
  type ReplayedVersions,
  type ReplayJob,
  replaySegment,
  type WalkedVersions,
  type WalkJob,
  walkVersions,
} from './versions-job.ts';

/** A piece of an audit: data alone, and so is its result. Pieces may be done in any order, and anywhere. */
export type AuditJob = SegmentJob | TreeJob | ReplayJob | WalkJob;

export interface AuditResults {
  readonly segment: SegmentAudit;
  readonly tree: TreeTiles;
  readonly replay: ReplayedVersions;
  readonly walk: WalkedVersions;
}

export type AuditResult<Job extends AuditJob> = AuditResults[Job['kind']];

/** Does pieces of an audit. */
export interface AuditWorkers {
  /** How many pieces are done at the same time. */
  readonly count: number;
  /** Rejects with what the piece threw. */
  run<Job extends AuditJob>(job: Job): Promise<AuditResult<Job>>;
  /** Ends what was begun, and wipes keys. */
  close(): Promise<void>;
}

export interface AuditBenchParts {
  readonly disk: Disk;
  readonly logId: LogId;
  /** Absent: without a key. It stays the caller's. */
  readonly hierarchy: KeyHierarchy | undefined;
  /** Memory for pages of the store. */
  readonly cacheBytes?: number;
}

const cacheBytesOfOne = 16 << 20;

/** An owner may use pages again, for another checkpoint, while they are read: then the piece is done again. */
const attemptsMax = 4;

/** What one thread does pieces with. */
export class AuditBench {
  readonly #parts: AuditBenchParts;
  #opened: ReturnType<typeof openCheckpoint>;
  #bytes = new Uint8Array();

  constructor(parts: AuditBenchParts) {
    this.#parts = parts;
  }

  /** Does a piece; yields what each step of it cost, in bytes gone through. */
  *steps<Job extends AuditJob>(job: Job): Generator<number, AuditResult<Job>> {
    return (yield* this.#steps(job)) as AuditResult<Job>;
  }

  *#steps(job: AuditJob): Generator<number, AuditResults[AuditJob['kind']]> {
    const { disk, logId, hierarchy } = this.#parts;
    if (job.kind === 'segment') {
      const reading = { disk, logId, hierarchy, bytes: this.#read(job.path) };
      return yield* auditSegment(reading, job);
    }
    if (job.kind === 'tree') return yield* hashTiles(disk, job);
    assert(hierarchy !== undefined, 'the store is looked at with a key');
    for (let attempt = 1; ; attempt++) {
      try {
        const store = this.#store(hierarchy, job.durable);
        if (job.kind === 'walk') return yield* walkVersions(store, job);
        return yield* replaySegment({ hierarchy, store, bytes: this.#read(job.path) }, job);
      } catch (error) {
        if (!isStoreDamage(error) || attempt === attemptsMax || !this.#isReplaced()) throw error;
        this.#closeStore();
      }
    }
  }

  close(): void {
    this.#closeStore();
    this.#bytes.fill(0);
    this.#bytes = new Uint8Array();
  }

  #closeStore(): void {
    this.#opened?.pages.close();
    this.#opened?.keys.wipe();
    this.#opened = undefined;
  }

  /** A whole file, in memory that the next one takes: a segment's worth of garbage for each is never collected in time. */
  #read(path: string): Uint8Array {
    const { disk } = this.#parts;
    const size = fileBytes(disk, path);
    if (size > this.#bytes.length) this.#bytes = new Uint8Array(checkedSize(path, size));
    const file = disk.open(path, 'read');
    try {
      return this.#bytes.subarray(0, file.read(this.#bytes.subarray(0, size), 0));
    } finally {
      file.close();
    }
  }

  #store(hierarchy: KeyHierarchy, durable: DurableFrame): TreeStore {
    const { disk, cacheBytes = cacheBytesOfOne } = this.#parts;
    this.#opened ??= openCheckpoint({ disk, hierarchy, durable, cacheBytes, mode: 'follow' });
    if (this.#opened !== undefined) return this.#opened.store;
    const what = 'No checkpoint, where there was one before, lies';
    throw new CorruptionError('MISSING_DATA', superblockPath, 0, what);
  }

  /** Whether the checkpoint on the disk is another than the one that was opened. */
  #isReplaced(): boolean {
    const { disk, logId } = this.#parts;
    return readSuperblock(disk, logId)?.newest?.sequence !== this.#opened?.sequence;
  }
}

/** Throws for a file that is larger than any segment of ours. */
function checkedSize(path: string, size: number): number {
  if (size <= segmentFileBytesMax) return size;
  const what = `A file of ${size} bytes, which no segment has, lies`;
  throw new CorruptionError('CHECKSUM_MISMATCH', path, segmentFileBytesMax, what);
}

/** Does pieces in this thread, one after the other; other work gets its turn in between. */
export function inThisThread(parts: AuditBenchParts, pause: Pause): AuditWorkers {
  const bench = new AuditBench(parts);
  return {
    count: 1,
    run: async (job) => {
      const steps = bench.steps(job);
      for (;;) {
        const step = steps.next();
        if (step.done === true) return step.value;
        await pause(step.value);
      }
    },
    close: () => {
      bench.close();
      return Promise.resolve();
    },
  };
}

/** Does pieces with as many workers as there are; results come in the order of the pieces. */
export async function runAll<Job extends AuditJob>(
  workers: AuditWorkers,
  jobs: readonly Job[],
  onDone?: (result: AuditResult<Job>, index: number) => void,
): Promise<AuditResult<Job>[]> {
  const results: AuditResult<Job>[] = [];
  let next = 0;
  let hasFailed = false;
  const work = async (): Promise<void> => {
    while (next < jobs.length && !hasFailed) {
      const index = next++;
      try {
        const result = await workers.run(jobs[index] as Job);
        results[index] = result;
        onDone?.(result, index);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  const all = await Promise.allSettled(Array.from({ length: workers.count }, work));
  for (const each of all) if (each.status === 'rejected') throw each.reason;
  return results;
}
