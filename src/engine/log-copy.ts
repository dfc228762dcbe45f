/**
 * A consistent copy of a database while it is used, by this process or another: the log up to one frame, with the keys
 * and subject pages that belong to it. The copy has the log's id and an instance id of its own.
 *
 * Invariants
 * - verity.json, which makes the directory a database, is written last: a copy that was interrupted is none.
 * - All that the log names is there: each secret that its sections are sealed under, each subject page as it was at
 *   the copy's last frame.
 */
import {
  assert,
  CorruptionError,
  type Disk,
  type Entropy,
  type Op,
  type Position,
  type TenantId,
  VerityError,
} from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import {
  type BlobRecord,
  type KernelState,
  type SegmentRecord,
  subjectPagesTree,
  unwrittenSubjectPages,
} from '../kernel/index.ts';
import {
  type CheckedFrame,
  emptyLogHead,
  type LogHead,
  segmentHeaderBytes,
  walkSegment,
} from '../log/index.ts';
import { anchoredAt, anchorKey, writeNewAnchor } from './anchor.ts';
import { readAnchorWith } from './anchor-reading.ts';
import { checkBlob } from './blob-check.ts';
import { blobFileBytes, blobPath, damagedBlob } from './blob-file.ts';
import { copyProofs } from './copy-proofs.ts';
import { CopyWriter } from './copy-writer.ts';
import {
  blobsDirectory,
  fileBytes,
  identityPath,
  keyringPath,
  logDirectory,
  readWhole,
  replaceFile,
  segmentPaths,
  segmentPosition,
  subjectsDirectory,
} from './files.ts';
import type { EngineHost } from './host.ts';
import { KeyHierarchy } from './key-hierarchy.ts';
import { encodeKeyring } from './keyring-file.ts';
import type { Keyring } from './keyring.ts';
import { corruption, frameCorruption, LogWalk } from './log-walk.ts';
import { decodeFrame } from './replay.ts';
import { keyringFor, reissueIdentity } from './reissue.ts';
import { isSameRecord, segmentRecordOf } from './segment-digests.ts';

const attemptsMax = 5;

/** Where a copy is made from. */
export interface CopySource {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** An open handle on it; absent when nobody writes, and all of the log counts. */
  readonly handle?: CopyHandle | undefined;
}

export interface CopyHandle {
  readonly state: KernelState;
  /** The head after the last durable frame, as of now. Throws CLOSED. */
  head(): LogHead;
}

export interface CopySettings {
  readonly source: CopySource;
  /** An empty directory. */
  readonly target: Disk;
  readonly entropy: Entropy;
  /** Gives other work its turn. */
  readonly pause: () => Promise<void>;
  /** Bytes. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly onRarePath?: EngineHost['onRarePath'];
}

export interface LogCopy {
  readonly head: LogHead;
  readonly instanceId: Uint8Array;
  readonly segments: number;
  readonly bytes: number;
}

/** Secrets by tenant: `tenant:number`. */
type Secrets = Set<string>;

interface CopiedSegment {
  readonly path: string;
  readonly before: LogHead;
  readonly after: LogHead;
  readonly needs: Secrets;
}

/** Copies the database and opens every frame of the copy. Throws CorruptionError for damage, in the source or the copy. */
export async function copyLog(settings: CopySettings): Promise<LogCopy> {
  const { target } = settings;
  target.makeDirectory(logDirectory);
  const writer = new CopyWriter(settings);
  try {
    return await new LogCopier(settings, writer).run();
  } catch (error) {
    writer.removeAll();
    throw error;
  }
}

class LogCopier {
  readonly #settings: CopySettings;
  readonly #source: CopySource;
  readonly #writer: CopyWriter;
  readonly #segments: CopiedSegment[] = [];
  /** Bytes that were copied, by segment, and bytes that there are. */
  readonly #done = new Map<string, number>();
  #total = 0;
  #blobBytes = 0;

  constructor(settings: CopySettings, writer: CopyWriter) {
    this.#settings = settings;
    this.#source = settings.source;
    this.#writer = writer;
  }

  async run(): Promise<LogCopy> {
    const { handle, hierarchy } = this.#source;
    // Most of the log first, so that little is left to be done at one frame.
    if (handle !== undefined) await this.#copyLog(handle.head().op);
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const { keyring: before, root } = hierarchy;
      try {
        const { upTo, hasSubjects } = await this.#copySubjects();
        await this.#copyLog(upTo);
        this.#writeAnchor();
        const keyring = await this.#completeKeyring();
        const { generation, misfits, blobs } = await this.#check(keyring);
        const hasBlobs = await this.#copyBlobs(keyring, blobs);
        const hasSecrets = !hasSubjects || keepsSecrets(before, keyring);
        if (!this.#isRenewed(root) && misfits.length === 0 && hasSecrets && hasBlobs) {
          await copyProofs({
            ...this.#settings,
            source: this.#source.disk,
            writer: this.#writer,
            leafCount: this.#end.head.leafCount,
          });
          return this.#finish(keyring, generation);
        }
        // Sealed anew behind the frame that the log was copied up to: the next round copies it up to a later one.
        for (const segment of misfits) await this.#copyAgain(segment);
      } catch (error) {
        // The root key was renewed meanwhile: what failed may have failed for that.
        if (!this.#isRenewed(root)) throw error;
      }
    }
    throw neverStill('keys');
  }

  /** Whether the root key is another one by now. */
  #isRenewed(root: SecretKey): boolean {
    if (this.#source.hierarchy.root === root) return false;
    this.#settings.onRarePath?.('root key renewed during a copy');
    return true;
  }

  #writeAnchor(): void {
    const { head, path } = this.#end;
    const key = anchorKey(this.#source.hierarchy);
    writeNewAnchor(this.#settings.target, anchoredAt(head, segmentPosition(path)), {
      logId: head.logId,
      key,
    });
    key.wipe();
  }

  /** Where the copy of the log ends. */
  get #end(): { readonly head: LogHead; readonly path: string } {
    const last = this.#segments.at(-1);
    assert(last !== undefined, 'a copy has a segment');
    return { head: last.after, path: last.path };
  }

  /** Writes the keyring and then verity.json, which makes a database of it. */
  #finish(keyring: Keyring, loggedGeneration: number): LogCopy {
    const { entropy, target } = this.#settings;
    const { root } = this.#source.hierarchy;
    const { instanceId, identityBytes } = reissueIdentity(keyring, root, entropy);
    const issued = keyringFor(keyring, { identityBytes, loggedGeneration });
    replaceFile(target, keyringPath, encodeKeyring(issued, root));
    const bytes = this.#segments.reduce((sum, { path }) => sum + fileBytes(target, path), 0);
    replaceFile(target, identityPath, identityBytes);
    return {
      head: this.#end.head,
      instanceId,
      segments: this.#segments.length,
      bytes: bytes + this.#blobBytes,
    };
  }

  /** Copies the subject pages as they are at some frame: `upTo`, or undefined where nobody writes. */
  async #copySubjects(): Promise<{ readonly upTo: Op | undefined; readonly hasSubjects: boolean }> {
    const { disk, handle } = this.#source;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const before = handle?.head().position;
      const isSettled =
        handle === undefined || unwrittenSubjectPages(handle.state.store).length === 0;
      const names = disk.list(subjectsDirectory) ?? [];
      for (const name of names) await this.#writer.copyFile(disk, `${subjectsDirectory}/${name}`);
      const head = handle?.head();
      const isSame = before === undefined || !this.#subjectsChanged(before);
      if (isSettled && isSame) {
        if (names.length > 0) this.#settings.target.flushDirectory(subjectsDirectory);
        return { upTo: head?.op, hasSubjects: names.length > 0 };
      }
      await this.#settings.pause();
    }
    throw neverStill('data subjects');
  }

  #subjectsChanged(since: Position): boolean {
    const store = this.#source.handle?.state.store;
    return store?.changedSince(subjectPagesTree, { from: '' as never }, since) ?? false;
  }

  /** Copies the log up to an op, from where its copy ends; all of it if `upTo` is undefined. */
  async #copyLog(upTo: Op | undefined): Promise<void> {
    const { disk, hierarchy } = this.#source;
    const { logId } = hierarchy.keyring;
    const anchor = readAnchorWith(disk, hierarchy).newest;
    this.#total = segmentPaths(disk).reduce((sum, path) => sum + fileBytes(disk, path), 0);
    // The last segment is copied from its start once more: it was not finished then.
    const start = this.#segments.pop()?.before ?? emptyLogHead(logId);
    const walk = new LogWalk({
      disk,
      start,
      // A handle knows what is durable, and may be behind an anchor that was read since.
      durable: upTo === undefined || anchor.op <= upTo ? anchor : undefined,
      upTo: () => upTo,
    });
    let [before, after, needs] = [start, start, new Set<string>()];
    const add = async (path: string, bytes: Uint8Array): Promise<void> => {
      await this.#write(path, bytes);
      this.#segments.push({ path, before, after, needs });
      [before, needs] = [after, new Set()];
    };
    for (let step = walk.next(); step !== undefined; step = walk.next()) {
      if (step.kind === 'finished') {
        await add(step.path, step.bytes);
        continue;
      }
      addSecrets(needs, step.frame);
      after = step.place.after;
    }
    const { path, offset, head } = walk.tail;
    // The anchor may be behind what the owner knows to be durable.
    if (upTo !== undefined && head.op < upTo) throw durableMissing(path, offset);
    await add(path, walk.segmentBytes.subarray(0, offset));
    this.#settings.target.flushDirectory(logDirectory);
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#writer.write(path, bytes);
    this.#done.set(path, bytes.length);
    let done = 0;
    for (const length of this.#done.values()) done += length;
    this.#settings.onProgress?.(done, Math.max(done, this.#total));
  }

  /**
   * A keyring with every secret that the copied segments need. Rekeying may have let some go meanwhile: then those
   * segments are sealed under others by now, and are copied again.
   */
  async #completeKeyring(): Promise<Keyring> {
    const { handle, hierarchy } = this.#source;
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      // One that follows has the keyring that its newest frame names.
      handle?.head();
      const { keyring } = hierarchy;
      const stale = this.#segments.filter(
        ({ needs }) => ![...needs].every((name) => has(keyring, name)),
      );
      if (stale.length === 0) return keyring;
      for (const segment of stale) await this.#copyAgain(segment);
      this.#settings.target.flushDirectory(logDirectory);
    }
    throw neverStill('keys');
  }

  async #copyAgain({ path, before, after, needs }: CopiedSegment): Promise<void> {
    this.#settings.onRarePath?.('segment copied again');
    const bytes = readWhole(this.#source.disk, path) ?? new Uint8Array();
    const found: Secrets = new Set();
    let end = segmentHeaderBytes;
    const { head, end: walkEnd } = walkSegment(
      { bytes, offset: segmentHeaderBytes, head: before, last: true },
      (frame, offset, { op }) => {
        if (op > after.op) return undefined;
        addSecrets(found, frame);
        end = offset + frame.header.frameLength;
        return undefined;
      },
    );
    if (head.op < after.op && walkEnd.kind === 'damaged') throw corruption(path, walkEnd.problem);
    needs.clear();
    for (const name of found) needs.add(name);
    await this.#write(path, bytes.subarray(0, end));
  }

  /**
   * Copies the blobs that the copied log names and reads them back; false if one was sealed anew meanwhile, under a key
   * that the keyring lacks. Throws CorruptionError.
   */
  async #copyBlobs(keyring: Keyring, blobs: readonly BlobRecord[]): Promise<boolean> {
    const { disk, hierarchy } = this.#source;
    const { target, pause } = this.#settings;
    const { suite, root } = hierarchy;
    const check = { disk: target, hierarchy: new KeyHierarchy(root, keyring, { suite }), pause };
    for (const blob of blobs) {
      const path = blobPath(blob.id);
      // One that an earlier round copied may be under a key that went since.
      if (target.exists(path) && (await checkBlob(check, blob)) === undefined) continue;
      if (!disk.exists(path))
        throw damagedBlob('MISSING_DATA', blob, 0, 'The whole value is missing: nothing is left');
      await this.#writer.copyFile(disk, path);
      const error = await checkBlob(check, blob);
      if (error === undefined) continue;
      if (hierarchy.keyring === keyring) throw error;
      return false;
    }
    if (blobs.length > 0) {
      target.flushDirectory(blobsDirectory);
      target.flushDirectory('');
    }
    this.#blobBytes = blobs.reduce((sum, { lengthBytes }) => sum + blobFileBytes(lengthBytes), 0);
    return true;
  }

  /** Reads the copy back and opens every section in it. */
  async #check(keyring: Keyring): Promise<Checked> {
    const { hierarchy } = this.#source;
    const { target, pause } = this.#settings;
    const { head } = this.#end;
    const keys = new KeyHierarchy(hierarchy.root, keyring, { suite: hierarchy.suite });
    const records = new Map<Position, SegmentRecord[]>();
    const files = new Map<Position, SegmentRecord>();
    const blobs = new Map<string, BlobRecord>();
    let generation = 0;
    try {
      const walk = new LogWalk({ disk: target, start: emptyLogHead(head.logId), durable: head });
      for (let step = walk.next(); step !== undefined; step = walk.next()) {
        if (step.kind === 'finished') {
          files.set(step.firstPosition, segmentRecordOf(step.bytes));
          continue;
        }
        const events = decodeFrame(keys, step.frame);
        if ('code' in events) throw frameCorruption(step.place, events);
        for (const event of events) {
          if (event.type === 'keyringChanged') generation = event.generation;
          if ('blobs' in event)
            for (const blob of event.blobs ?? [])
              blobs.set(blobPath(blob.id), { ...blob, tenant: event.tenant });
          if (event.type !== 'segmentDigest') continue;
          const before = records.get(event.segment) ?? [];
          records.set(event.segment, [...before.slice(-1), event]);
        }
        await pause();
      }
    } finally {
      keys.wipeSectionKeys();
    }
    const misfits = this.#segments.filter(({ path }) => {
      const file = files.get(segmentPosition(path));
      const known = records.get(segmentPosition(path)) ?? [];
      return (
        file !== undefined && known.length > 0 && !known.some((one) => isSameRecord(one, file))
      );
    });
    return { generation, misfits, blobs: [...blobs.values()] };
  }
}

interface Checked {
  /** The newest generation of the keyring that the copied log names. */
  readonly generation: number;
  /** Segments that are not the files that the copied log records. */
  readonly misfits: readonly CopiedSegment[];
  /** Blobs that rows of the copied log name. */
  readonly blobs: readonly BlobRecord[];
}

function addSecrets(secrets: Secrets, frame: CheckedFrame): void {
  for (const { tenant, secretNumber } of frame.sections) secrets.add(`${tenant}:${secretNumber}`);
}

function has(keyring: Keyring, name: string): boolean {
  const [tenant, secretNumber] = name.split(':').map(Number);
  return keyring.secretNumbers(tenant as TenantId).includes(secretNumber as number);
}

/** Whether no secret of the one is missing in the other. */
function keepsSecrets(before: Keyring, after: Keyring): boolean {
  for (const tenant of before.contents.tenants.keys()) {
    const kept = new Set(after.secretNumbers(tenant));
    if (!before.secretNumbers(tenant).every((secretNumber) => kept.has(secretNumber))) return false;
  }
  return true;
}

function durableMissing(path: string, offset: number): CorruptionError {
  const what = 'A frame that is durable is damaged or missing; it should lie';
  return new CorruptionError('MISSING_DATA', path, offset, what);
}

function neverStill(what: string): VerityError {
  return new VerityError(
    'TIMEOUT',
    `The ${what} of the database changed each of the ${attemptsMax} times that they were copied. Copy it again ` +
      'when less is going on.',
  );
}
