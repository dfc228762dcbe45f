/** Records of finished segments: what lets an auditor compare each file with what the log says of it. */
import {
  type Disk,
  type DiskFile,
  equalBytes,
  type Position,
  type Scheduler,
} from '../base/index.ts';
import { Sha256, sha256 } from '../crypto/index.ts';
import {
  type Command,
  decodeSegmentRecord,
  type KernelState,
  segmentKey,
  type SegmentRecord,
  segmentsTree,
} from '../kernel/index.ts';
import { segmentHeaderBytes } from '../log/index.ts';
import { readStart, segmentPaths, segmentPosition } from './files.ts';
import { SegmentCheck } from './segment-check.ts';

/** Hashed and checked within one turn of the event loop: about a millisecond. */
const sliceBytes = 512 << 10;

/** The record of a finished segment whose file has these bytes. */
export function segmentRecordOf(bytes: Uint8Array): SegmentRecord {
  return { digest: sha256(bytes), lengthBytes: bytes.length };
}

/**
 * The command that records a finished segment's file. Whoever replaces such a file logs this first, waits until it is
 * durable, and then renames the new file into place: until then the record before it still holds.
 */
export function segmentDigestCommand(segment: Position, record: SegmentRecord): Command {
  return { kind: 'segmentDigest', segment, ...record, origin: {} };
}

/**
 * Whether a finished segment's file is as the log records it: as the newest record says, or the one before, if a
 * crash came between a new record and the file that it is of. Undefined if there is no record yet.
 */
export function fitsRecord(
  state: Pick<KernelState, 'store'>,
  segment: Position,
  record: SegmentRecord,
): boolean | undefined {
  const records = recordsOf(state, segment);
  return records.length === 0 ? undefined : records.some((one) => isSameRecord(one, record));
}

/** The newest record of a finished segment, and the one before, as far as there are any. */
export function recordsOf(state: Pick<KernelState, 'store'>, segment: Position): SegmentRecord[] {
  const versions = state.store.versions(segmentsTree, segmentKey(segment)).slice(0, 2);
  return versions.flatMap(({ row }) => (row === undefined ? [] : [decodeSegmentRecord(row)]));
}

/** Whether two records are of the same file. */
export function isSameRecord(left: SegmentRecord, right: SegmentRecord): boolean {
  return left.lengthBytes === right.lengthBytes && equalBytes(left.digest, right.digest);
}

export interface SegmentDigesterParts {
  readonly disk: Disk;
  readonly scheduler: Scheduler;
  readonly state: KernelState;
  /** First position of the segment that is being written: those before it are finished. */
  readonly tip: () => Position;
  readonly submit: (command: Command) => Promise<unknown>;
}

interface Hashing {
  readonly segment: Position;
  readonly file: DiskFile;
  readonly hash: Sha256;
  readonly check: SegmentCheck;
  /** The segment that follows. */
  readonly nextPath: string;
  offset: number;
}

/**
 * Hashes finished segments that the log has no record of, a slice a turn, and logs the records. What is not done when
 * the database closes or its process ends, the next open does.
 */
export class SegmentDigester {
  readonly #parts: SegmentDigesterParts;
  #hashing: Hashing | undefined;
  #isBusy = false;
  #isStopped = false;
  /** All segments up to this path have records. */
  #recordedTo = '';

  constructor(parts: SegmentDigesterParts) {
    this.#parts = parts;
  }

  /** Looks for finished segments without a record, soon. */
  look(): void {
    if (this.#isBusy || this.#isStopped) return;
    this.#isBusy = true;
    this.#later();
  }

  stop(): void {
    this.#isStopped = true;
    const file = this.#hashing?.file;
    this.#hashing = undefined;
    file?.close();
  }

  #later(): void {
    this.#parts.scheduler.defer(() => {
      if (this.#isStopped) return;
      try {
        this.#step();
      } catch {
        // A segment that cannot be read is for verification to report, and for the next open to record.
        this.#isStopped = true;
        this.#hashing = undefined;
      }
    });
  }

  #step(): void {
    this.#hashing ??= this.#next();
    const hashing = this.#hashing;
    if (hashing === undefined) {
      this.#isBusy = false;
      return;
    }
    const slice = new Uint8Array(sliceBytes);
    const count = hashing.file.read(slice, hashing.offset);
    const bytes = slice.subarray(0, count);
    hashing.hash.update(bytes);
    hashing.offset += count;
    const isSound = hashing.check.take(bytes);
    if (isSound && count === sliceBytes) this.#later();
    else if (isSound && this.#isWhole(hashing)) this.#record(hashing);
    // Damage is for verification to report: to record it would be to vouch for it.
    else this.stop();
  }

  #next(): Hashing | undefined {
    const { disk, state, tip } = this.#parts;
    const paths = segmentPaths(disk);
    let allRecorded = true;
    for (const [index, path] of paths.entries()) {
      if (path <= this.#recordedTo) continue;
      const segment = segmentPosition(path);
      const nextPath = paths[index + 1];
      if (segment >= tip() || nextPath === undefined) break;
      const key = segmentKey(segment);
      if (state.store.get(segmentsTree, key) !== undefined) {
        if (allRecorded) this.#recordedTo = path;
        continue;
      }
      // Whoever replaces the file has recorded it, in a frame that is on its way: that may be dropped yet.
      if (state.overlay.get(segmentsTree, key) !== undefined) {
        allRecorded = false;
        continue;
      }
      const file = disk.open(path, 'read');
      const check = new SegmentCheck();
      return { segment, file, hash: new Sha256(), check, nextPath, offset: 0 };
    }
    return undefined;
  }

  #isWhole({ check, nextPath }: Hashing): boolean {
    return check.endsBefore(readStart(this.#parts.disk, nextPath, segmentHeaderBytes));
  }

  #record({ segment, file, hash, offset }: Hashing): void {
    this.#hashing = undefined;
    file.close();
    const { state, submit } = this.#parts;
    // Whoever replaced the file meanwhile has recorded it.
    if (state.overlay.get(segmentsTree, segmentKey(segment)) !== undefined) {
      this.#later();
      return;
    }
    const record = { digest: hash.digest(), lengthBytes: offset };
    submit(segmentDigestCommand(segment, record)).then(
      () => this.#later(),
      () => (this.#isBusy = false),
    );
  }
}
