/**
 * Rekeying: finished segments that use older secrets of some tenant are sealed anew under its newest one, file by
 * file, and then the older secrets are forgotten.
 *
 * Invariants
 * - A segment's new file is durable, was read back and opened whole, and its digest is recorded durably in the log,
 *   before it takes the place of the old one. Until then, and if a crash comes, the old file is as good as ever.
 * - The record before the newest one is always that of the file that lies there: an unfinished attempt is followed by
 *   a record of the old file again.
 * - A secret goes only when no segment, no tail and no subject page uses it. What is still to do is seen from what the
 *   segments use, so there is no journal.
 */
import {
  assert,
  CorruptionError,
  type Disk,
  type Entropy,
  equalBytes,
  type Position,
  type Scheduler,
  type TenantId,
  VerityError,
} from '../base/index.ts';
import { Sha256 } from '../crypto/index.ts';
import {
  type Command,
  decodeSegmentRecord,
  type KernelState,
  segmentKey,
  type SegmentRecord,
  segmentsTree,
  subjectPages,
} from '../kernel/index.ts';
import type { CheckedFrame } from '../log/index.ts';
import { blobChunkBytes } from './blob-file.ts';
import {
  logDirectory,
  readWhole,
  segmentPaths,
  segmentPosition,
  temporarySuffix,
} from './files.ts';
import type { EngineHost } from './host.ts';
import { type KeyHierarchy, SealingEpoch } from './key-hierarchy.ts';
import type { Keyring } from './keyring.ts';
import { checkOpens, framesOf, resealFrame } from './reseal.ts';
import { fitsRecord, segmentDigestCommand } from './segment-digests.ts';

/** Done within one turn of the event loop: a few milliseconds. */
const sliceBytes = 1 << 20;
/** Within a rate, work pauses at least this often. */
const pauseMsMax = 50;

export interface RekeyProgress {
  readonly segmentsDone: number;
  readonly segmentsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

export interface RekeyResult {
  /** Segments that were sealed anew, and their bytes. */
  readonly segments: number;
  readonly bytes: number;
  /** Blobs that were. */
  readonly blobs: number;
  /** Secrets that nothing needs any more and that the keyring has forgotten. */
  readonly secretsRemoved: number;
}

export interface RekeyOptions {
  readonly onProgress?: ((progress: RekeyProgress) => void) | undefined;
  /** Seals no more than this. */
  readonly bytesPerSecond?: number | undefined;
  /** Throws when the work is to stop; asked every slice. */
  readonly proceed?: () => void;
}

export interface RekeyParts {
  readonly disk: Disk;
  readonly entropy: Entropy;
  readonly scheduler: Scheduler;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  /** First position of the segment that is being written. */
  readonly tip: () => Position;
  /** Bytes of that segment that were written, durable or not. */
  readonly written: () => number;
  /** Goes on in a new segment. */
  readonly finishSegment: () => Promise<void>;
  readonly submit: (command: Command) => Promise<unknown>;
  readonly changeKeyring: (change: (next: Keyring) => void) => Promise<void>;
  /** Has a tenant's subject pages sealed under its newest secret. */
  readonly renewSubjects: (tenant: TenantId) => Promise<void>;
  /** Seals the blobs that use older secrets anew. */
  readonly renewBlobs: (
    pause: () => Promise<void>,
  ) => Promise<{ readonly blobs: number; readonly bytes: number }>;
  /** Seals all pages of the store that use older keys anew under the newest, and forgets those. */
  readonly renewStore: () => Promise<void>;
  /** Throws unless commands are accepted. */
  readonly checkWritable: () => void;
  /** Poisons the handle: which file a crash would leave is not known any more. */
  readonly fail: (cause: unknown) => void;
  readonly onRarePath: EngineHost['onRarePath'];
}

export class Rekey {
  readonly #parts: RekeyParts;
  readonly #options: RekeyOptions;
  /** The newest secret of each tenant when the work began: what uses an older one is sealed anew. */
  readonly #targets: ReadonlyMap<TenantId, number>;
  #sliceBytes = 0;
  #owedMs = 0;

  constructor(parts: RekeyParts, options: RekeyOptions) {
    this.#parts = parts;
    this.#options = options;
    const { keyring } = parts.hierarchy;
    this.#targets = new Map(
      [...keyring.contents.tenants.keys()].map((tenant) => [
        tenant,
        keyring.newestSecret(tenant) ?? 0,
      ]),
    );
  }

  /** Throws what `proceed` throws, CorruptionError, and the errors of a failed write; what was done stays done. */
  async run(): Promise<RekeyResult> {
    await this.#renewSubjects();
    await this.#finishTail();
    const { disk, tip } = this.#parts;
    const paths = segmentPaths(disk).filter((path) => segmentPosition(path) < tip());
    const sizes = paths.map((path) => sizeOf(disk, path));
    const bytesTotal = sizes.reduce((sum, size) => sum + size, 0);
    let [segments, bytes, bytesDone] = [0, 0, 0];
    for (const [index, path] of paths.entries()) {
      const size = sizes[index] as number;
      if (await this.#rekeySegment(path)) {
        segments += 1;
        bytes += size;
      }
      bytesDone += size;
      const segmentsDone = index + 1;
      const { length: segmentsTotal } = paths;
      this.#options.onProgress?.({ segmentsDone, segmentsTotal, bytesDone, bytesTotal });
    }
    const { blobs } = await this.#parts.renewBlobs(() =>
      this.#turn(blobChunkBytes, this.#options.bytesPerSecond),
    );
    await this.#parts.renewStore();
    return { segments, bytes, blobs, secretsRemoved: await this.#dropSecrets() };
  }

  async #renewSubjects(): Promise<void> {
    const { hierarchy, state, renewSubjects } = this.#parts;
    const owners = new Set<TenantId>();
    for (const { owner } of subjectPages(state.store)) owners.add(owner);
    for (const owner of owners) {
      if (hierarchy.keyring.secretNumbers(owner).length > 1) await renewSubjects(owner);
    }
  }

  /** The tail cannot be replaced: it is finished first, if it uses older secrets. Throws CorruptionError. */
  async #finishTail(): Promise<void> {
    const { disk, state, tip, written, finishSegment, changeKeyring, onRarePath } = this.#parts;
    const segment = tip();
    const path = segmentPaths(disk).find((each) => segmentPosition(each) === segment);
    // Frames are sealed and written in one turn: what is not there yet will use the newest secrets.
    const end = written();
    const bytes = path === undefined ? undefined : readWhole(disk, path);
    if (bytes === undefined || path === undefined) return;
    if (bytes.length < end) throw cutOff(path, bytes.length);
    let holdsCommand = false;
    let usesOlder = false;
    for (const { frame } of framesOf(path, bytes.subarray(0, end))) {
      holdsCommand ||= frame.header.kind === 'data';
      usesOlder ||= this.#usesOlder(frame);
      await this.#turn(frame.header.frameLength);
    }
    if (!usesOlder) return;
    // Two segments differ in their first position, so the tail needs a command: any will do.
    if (!holdsCommand) {
      onRarePath?.('empty tail given a command for rekeying');
      await changeKeyring(() => undefined);
      // That waited until the command was durable, or refused; one that was found written before may still be on its way.
      if (tip() === segment && state.store.appliedPosition < segment) throw noRoom();
    }
    // The commands of others may have filled it meanwhile.
    if (tip() !== segment) return;
    onRarePath?.('tail finished for rekeying');
    await finishSegment();
  }

  #usesOlder({ sections }: CheckedFrame): boolean {
    return sections.some(
      ({ tenant, secretNumber }) => secretNumber < (this.#targets.get(tenant) ?? 0),
    );
  }

  /** Whether the segment had to be sealed anew, which is done then. */
  async #rekeySegment(path: string): Promise<boolean> {
    const { disk } = this.#parts;
    const bytes = readWhole(disk, path);
    assert(bytes !== undefined, 'a finished segment stays');
    let usesOlder = false;
    let isWhole = false;
    for (const { frame } of framesOf(path, bytes)) {
      usesOlder ||= this.#usesOlder(frame);
      isWhole = frame.header.kind === 'end';
      await this.#turn(frame.header.frameLength);
      if (usesOlder) break;
    }
    if (!usesOlder && !isWhole) throw cutOff(path, bytes.length);
    if (!usesOlder) return false;
    const temporary = path + temporarySuffix;
    try {
      const current = await this.#recordOf(bytes);
      this.#checkRecorded(path, current);
      // Opens every section: a record of damaged bytes would stand against every good copy of the file.
      const resealed = await this.#reseal(path, bytes);
      await this.#recordCurrent(path, current);
      await this.#replaceSegment(path, bytes, resealed);
    } finally {
      if (disk.exists(temporary)) disk.remove(temporary);
    }
    return true;
  }

  #checkRecorded(path: string, current: SegmentRecord): void {
    if (fitsRecord(this.#parts.state, segmentPosition(path), current) !== false) return;
    throw new CorruptionError(
      'CHECKSUM_MISMATCH',
      path,
      0,
      'A file that is not the one that the log records, though its frames are good, lies',
    );
  }

  /** Sees to it that the newest record is that of the file as it lies there. */
  async #recordCurrent(path: string, current: SegmentRecord): Promise<void> {
    const { state, submit, onRarePath } = this.#parts;
    const segment = segmentPosition(path);
    const newest = state.store.get(segmentsTree, segmentKey(segment));
    if (newest !== undefined && isSame(decodeSegmentRecord(newest.row), current)) return;
    if (newest !== undefined) onRarePath?.('segment recorded again after unfinished rekeying');
    await submit(segmentDigestCommand(segment, current));
  }

  async #replaceSegment(path: string, bytes: Uint8Array, resealed: Uint8Array): Promise<void> {
    const { disk, submit } = this.#parts;
    const temporary = path + temporarySuffix;
    await this.#write(temporary, resealed);
    const written = readWhole(disk, temporary) ?? new Uint8Array();
    await this.#check(path, bytes, written);
    const record = await this.#recordOf(written);
    await submit(segmentDigestCommand(segmentPosition(path), record));
    this.#putInPlace(temporary, path);
    this.#parts.onRarePath?.('segment sealed anew');
  }

  #putInPlace(temporary: string, path: string): void {
    const { disk, fail } = this.#parts;
    disk.rename(temporary, path);
    try {
      disk.flushDirectory(logDirectory);
    } catch (error) {
      // A crash may bring the old file back, so no secret may go any more.
      fail(error);
      throw error;
    }
  }

  async #reseal(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const { entropy, hierarchy } = this.#parts;
    const epoch = new SealingEpoch(0, entropy, hierarchy);
    const keys = {
      opening: (
        { tenant, secretNumber }: { tenant: TenantId; secretNumber: number },
        salt: Uint8Array,
      ) => hierarchy.sectionKey(tenant, secretNumber, salt),
      sealing: (tenant: TenantId) => epoch.keyFor(tenant),
      epochSalt: epoch.salt,
    };
    const resealed = bytes.slice(0, bytes.length);
    try {
      for (const { frame, offset } of framesOf(path, bytes)) {
        resealed.set(resealFrame(path, { bytes, frame, offset }, keys), offset);
        await this.#turn(frame.header.frameLength, this.#options.bytesPerSecond);
      }
    } finally {
      epoch.wipe();
    }
    return resealed;
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const { disk } = this.#parts;
    if (disk.exists(path)) disk.remove(path);
    const file = disk.open(path, 'create');
    try {
      for (let offset = 0; offset < bytes.length; offset += sliceBytes) {
        const slice = bytes.subarray(offset, offset + sliceBytes);
        file.write(slice, offset);
        await this.#turn(slice.length);
      }
      await file.flushInBackground();
    } finally {
      file.close();
    }
  }

  /** Reads the new file as a reader will: the same logical frames, each of which opens under the newest secrets. */
  async #check(path: string, before: Uint8Array, after: Uint8Array): Promise<void> {
    const { hierarchy } = this.#parts;
    const temporary = path + temporarySuffix;
    const originals = framesOf(path, before);
    for (const { frame, offset } of framesOf(temporary, after)) {
      const original = originals.next().value;
      const isSameFrame =
        original !== undefined &&
        original.offset === offset &&
        equalBytes(original.frame.chainHash, frame.chainHash);
      if (!isSameFrame || this.#usesOlder(frame)) throw notAsWritten(temporary, offset);
      checkOpens(temporary, { frame, offset }, ({ tenant, secretNumber }) =>
        hierarchy.sectionKey(tenant, secretNumber, frame.header.epochSalt),
      );
      await this.#turn(frame.header.frameLength);
    }
    if (originals.next().done !== true) throw notAsWritten(temporary, after.length);
  }

  async #recordOf(bytes: Uint8Array): Promise<SegmentRecord> {
    const hash = new Sha256();
    for (let offset = 0; offset < bytes.length; offset += sliceBytes) {
      const slice = bytes.subarray(offset, offset + sliceBytes);
      hash.update(slice);
      await this.#turn(slice.length);
    }
    return { digest: hash.digest(), lengthBytes: bytes.length };
  }

  async #dropSecrets(): Promise<number> {
    const { hierarchy, changeKeyring } = this.#parts;
    let count = 0;
    for (const [tenant, target] of this.#targets) {
      count += hierarchy.keyring.secretNumbers(tenant).filter((each) => each < target).length;
    }
    if (count === 0) return 0;
    await changeKeyring((next) => {
      for (const [tenant, target] of this.#targets) next.dropSecretsBelow(tenant, target);
    });
    // What was derived from them goes, too.
    hierarchy.wipeSectionKeys();
    return count;
  }

  /** Gives other work its turn when a slice is done; with a rate, after as long as that many bytes take. */
  async #turn(bytes: number, bytesPerSecond?: number): Promise<void> {
    this.#sliceBytes += bytes;
    const { scheduler, checkWritable } = this.#parts;
    if (bytesPerSecond !== undefined) this.#owedMs += (bytes / bytesPerSecond) * 1_000;
    if (this.#sliceBytes < sliceBytes && this.#owedMs < pauseMsMax) return;
    const owedMs = this.#owedMs;
    this.#sliceBytes = 0;
    this.#owedMs = 0;
    await new Promise<void>((resolve) => {
      if (owedMs === 0) scheduler.defer(resolve);
      else scheduler.delay(owedMs, resolve);
    });
    this.#options.proceed?.();
    checkWritable();
  }
}

function isSame(left: SegmentRecord, right: SegmentRecord): boolean {
  return left.lengthBytes === right.lengthBytes && equalBytes(left.digest, right.digest);
}

function sizeOf(disk: Disk, path: string): number {
  const file = disk.open(path, 'read');
  try {
    return file.sizeBytes();
  } finally {
    file.close();
  }
}

/** The command that the tail needs was refused, and waits for room. */
function noRoom(): VerityError {
  return new VerityError('DISK_FULL', 'There is no room for another segment of the log.');
}

/** What is missing may be sealed under an older secret. */
function cutOff(path: string, offset: number): CorruptionError {
  return new CorruptionError(
    'MISSING_DATA',
    path,
    offset,
    'The end of a segment is missing; it ends',
  );
}

function notAsWritten(path: string, offset: number): CorruptionError {
  return new CorruptionError(
    'CHECKSUM_MISMATCH',
    path,
    offset,
    'What was read back is not what was written; it lies',
  );
}
