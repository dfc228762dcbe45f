/**
 * Values over 1 MiB, which rows name and do not hold: made durable before the command that names them is decided to
 * its end, read back when a statement asks for them.
 *
 * Invariants
 * - What a logged row names is durable: its file was flushed, renamed and its directory flushed before the command
 *   was decided, so before its frame was written.
 * - A file is removed only by the owner, and only if no row names it: at open, when every frame that survived is
 *   applied and no command is on its way; or when the very command that it was made for was refused, or did without.
 * - Ids are random and never used twice, so no later command can come to name a file that was left behind.
 */
import {
  type Disk,
  type Entropy,
  equalBytes,
  type Scheduler,
  type TenantId,
  utf8Decode,
  utf8Encode,
} from '../base/index.ts';
import { blobIdBytes, BlobReference } from '../codec/index.ts';
import { Sha256, sha256 } from '../crypto/index.ts';
import {
  type BlobRecord,
  blobRecords,
  isBlobNamed,
  type KernelState,
  type StagedBlob,
} from '../kernel/index.ts';
import {
  blobChunkBytes,
  BlobFile,
  blobIdOf,
  blobPath,
  blobPaths,
  damagedBlob,
  writeBlob,
} from './blob-file.ts';
import { blobsDirectory, damagedDirectory, temporarySuffix } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';

export interface BlobStoreParts {
  readonly disk: Disk;
  readonly entropy: Entropy;
  readonly scheduler: Scheduler;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  /** Gives a tenant keys that has none yet. */
  readonly ensureKeys: (tenant: TenantId) => Promise<void>;
  /** Throws unless commands are accepted. */
  readonly checkSound: () => void;
  /** Poisons the handle: which names, or which of two files, a crash would leave is not known any more. */
  readonly fail: (cause: unknown) => void;
}

/** A text is encoded this many UTF-16 units at a time: at most a chunk. */
const textSliceUnits = Math.floor(blobChunkBytes / 3);

export class BlobStore {
  readonly #parts: BlobStoreParts;
  /** Written by this handle, and not known to be named by a row yet; by their paths. */
  readonly #pending = new Map<string, BlobRecord>();
  readonly #staging = new Set<Promise<unknown>>();

  constructor(parts: BlobStoreParts) {
    this.#parts = parts;
    parts.state.readBlob = (tenant, reference) => this.read(tenant, reference);
  }

  /**
   * Makes values durable that a command of the tenant is going to name, each in a file of its own; nobody may change
   * them meanwhile. Rejects with DISK_FULL, IO_ERROR and what `checkSound` throws; nothing stays then.
   */
  async stage(tenant: TenantId, values: readonly (string | Uint8Array)[]): Promise<StagedBlob[]> {
    const work = this.#stageAll(tenant, values);
    this.#staging.add(work);
    try {
      return await work;
    } finally {
      this.#staging.delete(work);
    }
  }

  async #stageAll(
    tenant: TenantId,
    values: readonly (string | Uint8Array)[],
  ): Promise<StagedBlob[]> {
    const staged: StagedBlob[] = [];
    try {
      await this.#parts.ensureKeys(tenant);
      for (const value of values) staged.push(await this.#stageOne(tenant, value));
      return staged;
    } catch (error) {
      this.discard(staged);
      throw error;
    }
  }

  async #stageOne(tenant: TenantId, value: string | Uint8Array): Promise<StagedBlob> {
    const { entropy } = this.#parts;
    const pause = (): Promise<void> => this.#turn();
    const hash = new Sha256();
    let lengthBytes = 0;
    for (const chunk of chunksOf(value)) {
      hash.update(chunk);
      lengthBytes += chunk.length;
      await pause();
    }
    const digest = hash.digest();
    const id = entropy.bytes(blobIdBytes);
    const record: BlobRecord = { id, tenant, lengthBytes, digest };
    this.#pending.set(blobPath(id), record);
    try {
      await writeBlob({ ...this.#parts, pause }, record, chunksOf(value));
    } catch (error) {
      this.#pending.delete(blobPath(id));
      throw error;
    }
    const isText = typeof value === 'string';
    return { value, reference: new BlobReference({ id, lengthBytes, digest, isText }) };
  }

  /** The command that they were staged for is done with: those that no row names go. */
  discard(staged: readonly StagedBlob[]): void {
    const { disk, state } = this.#parts;
    for (const { reference } of staged) {
      const path = blobPath(reference.id);
      this.#pending.delete(path);
      if (isBlobNamed(state.overlay, reference.id)) continue;
      try {
        if (disk.exists(path)) disk.remove(path);
      } catch {
        // The next open removes it.
      }
    }
  }

  /** Resolves when nothing is being written. */
  async settle(): Promise<void> {
    while (this.#staging.size > 0) await Promise.allSettled(this.#staging);
  }

  /** A value, of which every byte was checked. Throws CorruptionError; on the calling turn. */
  read(tenant: TenantId, reference: BlobReference): string | Uint8Array {
    const { id, lengthBytes, digest, isText } = reference;
    const record: BlobRecord = { id, tenant, lengthBytes, digest };
    const bytes = this.#parts.hierarchy.security.watch(() => this.#readBytes(record));
    if (!isText) return bytes;
    try {
      return utf8Decode(bytes);
    } catch {
      throw damagedBlob('CHECKSUM_MISMATCH', record, 0, 'A text that is not UTF-8 lies');
    }
  }

  #readBytes(record: BlobRecord): Uint8Array {
    const { disk, hierarchy } = this.#parts;
    const file = BlobFile.open(disk, hierarchy, record);
    try {
      const bytes = new Uint8Array(record.lengthBytes);
      let offset = 0;
      for (const chunk of file.chunks()) {
        bytes.set(chunk, offset);
        offset += chunk.length;
      }
      // Sealed chunks open only under a key that was made from the digest; plain ones say nothing of it.
      const isPlain = hierarchy.suite.algorithm === 'none';
      if (isPlain && !equalBytes(sha256(bytes), record.digest))
        throw damagedBlob('CHECKSUM_MISMATCH', record, 0, 'Another value than the log names lies');
      return bytes;
    } finally {
      file.close();
    }
  }

  /**
   * At open, when the log is applied whole and nothing is on its way: removes what no row names, which a crash left
   * between the file and the command. `keep`: into `damaged/`, since a repair cut commands that may name them.
   * Returns how many there were. Throws IO_ERROR.
   */
  sweep(keep: boolean): number {
    const { disk, state } = this.#parts;
    let count = 0;
    for (const path of blobPaths(disk)) {
      const name = path.slice(blobsDirectory.length + 1);
      const isTemporary = name.endsWith(temporarySuffix);
      const id = blobIdOf(isTemporary ? name.slice(0, -temporarySuffix.length) : name);
      // What is none of ours is not touched; `verify` names it.
      if (id === undefined || (!isTemporary && isBlobNamed(state.store, id))) continue;
      count += 1;
      if (keep && !isTemporary) {
        disk.makeDirectory(`${damagedDirectory}/${blobsDirectory}`);
        disk.rename(path, `${damagedDirectory}/${path}`);
      } else {
        disk.remove(path);
      }
    }
    if (count === 0) return 0;
    if (keep) disk.flushDirectory(`${damagedDirectory}/${blobsDirectory}`);
    disk.flushDirectory(blobsDirectory);
    return count;
  }

  /** Seals blobs anew that use an older secret than the tenant's newest. Returns how many, and their bytes. */
  async rekey(
    pause: () => Promise<void>,
  ): Promise<{ readonly blobs: number; readonly bytes: number }> {
    // What is being written may be under a key that was the newest when it began.
    await this.settle();
    const { disk, hierarchy, state } = this.#parts;
    let [blobs, bytes] = [0, 0];
    for (const record of [...this.#pending.values(), ...blobRecords(state.overlay)]) {
      const { keyring } = hierarchy;
      if (keyring.secretNumbers(record.tenant).length <= 1) continue;
      if (this.#pending.has(blobPath(record.id)) && !disk.exists(blobPath(record.id))) continue;
      const file = BlobFile.open(disk, hierarchy, record);
      try {
        if (file.secretNumber === keyring.newestSecret(record.tenant)) continue;
        await writeBlob({ ...this.#parts, pause }, record, file.chunks());
        blobs += 1;
        bytes += record.lengthBytes;
      } finally {
        file.close();
      }
    }
    return { blobs, bytes };
  }

  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.#parts.scheduler.defer(resolve));
    this.#parts.checkSound();
  }
}

/** A value's bytes in pieces of `blobChunkBytes`, the last one shorter. Each piece is the caller's until the next. */
function* chunksOf(value: string | Uint8Array): Generator<Uint8Array, undefined> {
  if (typeof value !== 'string') {
    for (let at = 0; at < value.length; at += blobChunkBytes)
      yield value.subarray(at, at + blobChunkBytes);
    return undefined;
  }
  const held = new Uint8Array(2 * blobChunkBytes);
  let length = 0;
  for (let at = 0; at < value.length;) {
    let end = Math.min(at + textSliceUnits, value.length);
    // A pair of surrogates is one character.
    if (end < value.length && (value.charCodeAt(end - 1) & 0xfc00) === 0xd800) end -= 1;
    const bytes = utf8Encode(value.slice(at, end));
    at = end;
    held.set(bytes, length);
    length += bytes.length;
    if (length < blobChunkBytes) continue;
    yield held.slice(0, blobChunkBytes);
    held.copyWithin(0, blobChunkBytes, length);
    length -= blobChunkBytes;
  }
  if (length > 0) yield held.subarray(0, length);
  return undefined;
}
