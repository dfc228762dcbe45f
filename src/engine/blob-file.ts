/**
 * A value over 1 MiB in a file of its own, sealed in chunks: docs/format/blobs.md draws its bytes.
 *
 * Invariants
 * - A file is written once, under another name, and flushed before it gets its own: what has that name is whole.
 * - Nothing is handed out before its tag was checked, nor before the file has exactly its length.
 */
import {
  assert,
  CorruptionError,
  type Disk,
  type DiskFile,
  type Entropy,
  equalBytes,
  type ErrorCode,
  type TenantId,
  toHex,
} from '../base/index.ts';
import { Reader, Writer } from '../codec/index.ts';
import {
  type Algorithm,
  algorithmId,
  BlobKey,
  crc32,
  isAlgorithmId,
  pae,
  Sha256,
  tagBytes,
} from '../crypto/index.ts';
import type { BlobRecord } from '../kernel/index.ts';
import { blobsDirectory, temporarySuffix } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';

const suffix = '.vblob';
const magic = 'VBLB';
const revision = 1;
const blobHeaderBytes = 128;
const crcOffset = 124;
export const blobChunkBytes = 1 << 20;

export const blobPath = (id: Uint8Array): string => `${blobsDirectory}/${toHex(id)}${suffix}`;

/** The id in a blob's name; undefined if it is none of ours. */
export function blobIdOf(name: string): Uint8Array | undefined {
  const hex = /^([0-9a-f]{32})\.vblob$/.exec(name)?.[1];
  if (hex === undefined) return undefined;
  return Uint8Array.from({ length: 16 }, (_, index) =>
    Number.parseInt(hex.slice(index * 2, index * 2 + 2), 16),
  );
}

/** The paths of everything that lies among the blobs. */
export function blobPaths(disk: Disk): string[] {
  return (disk.list(blobsDirectory) ?? []).map((name) => `${blobsDirectory}/${name}`);
}

/** How long the file of a value is. */
export const blobFileBytes = (lengthBytes: number): number =>
  blobHeaderBytes + lengthBytes + Math.ceil(lengthBytes / blobChunkBytes) * tagBytes;

interface BlobHeader {
  readonly logId: Uint8Array;
  readonly id: Uint8Array;
  readonly tenant: TenantId;
  readonly secretNumber: number;
  readonly algorithm: number;
  readonly lengthBytes: number;
  readonly salt: Uint8Array;
  readonly commitment: Uint8Array;
}

function encodeHeader(header: BlobHeader): Uint8Array {
  const writer = new Writer(blobHeaderBytes);
  for (const letter of magic) writer.u8(letter.charCodeAt(0));
  writer.u8(revision);
  writer.u8(header.algorithm);
  writer.u16(0);
  writer.raw(header.logId);
  writer.raw(header.id);
  writer.u32(header.tenant);
  writer.u32(header.secretNumber);
  writer.u64(header.lengthBytes);
  writer.raw(header.salt);
  writer.raw(header.commitment);
  writer.u32(0);
  writer.u32(crc32(writer.view()));
  return writer.finish();
}

/** Undefined unless header and checksum are those of a blob. */
function decodeHeader(bytes: Uint8Array): BlobHeader | undefined {
  if (bytes.length < blobHeaderBytes) return undefined;
  const reader = new Reader(bytes);
  const isOurs = [...reader.raw(4)].every((byte, index) => byte === magic.charCodeAt(index));
  const isRevision = reader.u8() === revision;
  const algorithm = reader.u8();
  const isZero = reader.u16() === 0;
  const crc = new Reader(bytes.subarray(crcOffset)).u32();
  if (!isOurs || !isRevision || !isZero || crc !== crc32(bytes.subarray(0, crcOffset)))
    return undefined;
  return {
    logId: reader.raw(16),
    id: reader.raw(16),
    tenant: reader.u32() as TenantId,
    secretNumber: reader.u32(),
    algorithm,
    lengthBytes: reader.u64(),
    salt: reader.raw(32),
    commitment: reader.raw(32),
  };
}

/** The AAD of every chunk: which value, in what chunks. The number of the chunk is in its nonce. */
const chunkAad = (header: Uint8Array): Uint8Array =>
  pae('veritydb/blob-chunk/v1', header.subarray(0, crcOffset));

export interface BlobSealing {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly entropy: Entropy;
  /** Gives other work its turn; throws when the work is to stop. */
  readonly pause: () => Promise<void>;
  /** Told when it is not known which names a crash would leave: nothing may rest on them any more. */
  readonly fail: (cause: unknown) => void;
}

/**
 * Writes the file of a blob under the tenant's newest secret, durably, in the place of one that is there. `chunks`
 * gives the value in pieces of `blobChunkBytes`, the last one shorter. Throws what `pause` throws, DISK_FULL and
 * IO_ERROR, with nothing changed.
 */
export async function writeBlob(
  { disk, hierarchy, entropy, pause, fail }: BlobSealing,
  blob: BlobRecord,
  chunks: Iterable<Uint8Array>,
): Promise<void> {
  const path = blobPath(blob.id);
  const temporary = path + temporarySuffix;
  const { key, header } = newKey(hierarchy, entropy, blob);
  disk.makeDirectory(blobsDirectory);
  try {
    if (disk.exists(temporary)) disk.remove(temporary);
    const file = disk.open(temporary, 'create');
    try {
      await writeChunks(file, { key, header, blob, chunks, pause });
      await file.flushInBackground();
    } finally {
      file.close();
    }
    await pause();
    disk.rename(temporary, path);
  } catch (error) {
    if (disk.exists(temporary)) disk.remove(temporary);
    throw error;
  } finally {
    key.wipe();
  }
  try {
    disk.flushDirectory(blobsDirectory);
    disk.flushDirectory('');
  } catch (error) {
    fail(error);
    throw error;
  }
}

async function writeChunks(
  file: DiskFile,
  how: {
    readonly key: BlobKey;
    readonly header: Uint8Array;
    readonly blob: BlobRecord;
    readonly chunks: Iterable<Uint8Array>;
    readonly pause: () => Promise<void>;
  },
): Promise<void> {
  const { key, header, blob, chunks, pause } = how;
  const aad = chunkAad(header);
  const hash = new Sha256();
  file.write(header, 0);
  let offset = header.length;
  let done = 0;
  let index = 0;
  for (const chunk of chunks) {
    hash.update(chunk);
    done += chunk.length;
    const { ciphertext, tag } = key.seal(aad, { index, isLast: done === blob.lengthBytes }, chunk);
    file.write(ciphertext, offset);
    file.write(tag, offset + chunk.length);
    offset += chunk.length + tagBytes;
    index += 1;
    await pause();
  }
  assert(done === blob.lengthBytes, 'a value is as long as it was');
  assert(equalBytes(hash.digest(), blob.digest), 'a value stays what it was');
}

function newKey(
  hierarchy: KeyHierarchy,
  entropy: Entropy,
  blob: BlobRecord,
): { readonly key: BlobKey; readonly header: Uint8Array } {
  const { id, tenant, lengthBytes } = blob;
  const { logId } = hierarchy.keyring;
  const { algorithm } = hierarchy.suite;
  const secretNumber = hierarchy.keyring.newestSecret(tenant) ?? 0;
  const salt = entropy.bytes(32);
  const key = keyOf(hierarchy, blob, { secretNumber, salt, algorithm });
  if (key === undefined) throw noSecret(blob);
  const header = encodeHeader({
    logId,
    id,
    tenant,
    secretNumber,
    algorithm: algorithmId(algorithm),
    lengthBytes,
    salt,
    commitment: key.commitment,
  });
  return { key, header };
}

function keyOf(
  hierarchy: KeyHierarchy,
  { id, tenant, digest, lengthBytes }: BlobRecord,
  how: {
    readonly secretNumber: number;
    readonly salt: Uint8Array;
    readonly algorithm: Algorithm;
  },
): BlobKey | undefined {
  const { keyring, root } = hierarchy;
  const { secretNumber, salt, algorithm } = how;
  const secret = keyring.epochSecret(tenant, secretNumber, root);
  if (secret === undefined) return undefined;
  const { logId } = keyring;
  const purpose = { logId, blobId: id, tenant, secretNumber, algorithm, digest, lengthBytes };
  const key = new BlobKey(secret, salt, purpose);
  secret.wipe();
  return key;
}

/** A blob's file, open and found to be that of the value, so far without its chunks. `close` it. */
export class BlobFile {
  readonly secretNumber: number;
  readonly #file: DiskFile;
  readonly #blob: BlobRecord;
  readonly #header: Uint8Array;
  readonly #key: BlobKey;

  private constructor(
    file: DiskFile,
    blob: BlobRecord,
    opened: { readonly header: Uint8Array; readonly key: BlobKey; readonly secretNumber: number },
  ) {
    this.#file = file;
    this.#blob = blob;
    this.#header = opened.header;
    this.#key = opened.key;
    this.secretNumber = opened.secretNumber;
  }

  /** Throws CorruptionError: MISSING_DATA, FOREIGN_FILE, CHECKSUM_MISMATCH or AUTHENTICATION_FAILED. */
  static open(disk: Disk, hierarchy: KeyHierarchy, blob: BlobRecord): BlobFile {
    const path = blobPath(blob.id);
    if (!disk.exists(path))
      throw damagedBlob('MISSING_DATA', blob, 0, 'The whole value is missing: nothing is left');
    const file = disk.open(path, 'read');
    try {
      const bytes = new Uint8Array(blobHeaderBytes);
      const header = bytes.subarray(0, file.read(bytes, 0));
      return new BlobFile(file, blob, checked(hierarchy, blob, header, file.sizeBytes()));
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** The value's chunks, in order. Throws CorruptionError at the first that is not as it was written. */
  *chunks(): Generator<Uint8Array, undefined> {
    const { lengthBytes } = this.#blob;
    const aad = chunkAad(this.#header);
    let offset = this.#header.length;
    for (let done = 0, index = 0; done < lengthBytes; index++) {
      const length = Math.min(blobChunkBytes, lengthBytes - done);
      const sealed = new Uint8Array(length + tagBytes);
      const count = this.#file.read(sealed, offset);
      const place = { index, isLast: done + length === lengthBytes };
      const chunk = count < sealed.length ? undefined : this.#key.open(aad, place, sealed);
      if (chunk === undefined)
        throw damagedBlob(
          'AUTHENTICATION_FAILED',
          this.#blob,
          offset,
          'A chunk that does not open lies',
        );
      yield chunk;
      done += length;
      offset += sealed.length;
    }
    return undefined;
  }

  close(): void {
    this.#key.wipe();
    this.#file.close();
  }
}

function checked(
  hierarchy: KeyHierarchy,
  blob: BlobRecord,
  bytes: Uint8Array,
  sizeBytes: number,
): { readonly header: Uint8Array; readonly key: BlobKey; readonly secretNumber: number } {
  const header = decodeHeader(bytes);
  if (header === undefined)
    throw damagedBlob('CHECKSUM_MISMATCH', blob, 0, 'A header that is not as it was written lies');
  const { logId } = hierarchy.keyring;
  const isOurs = equalBytes(header.logId, logId) && equalBytes(header.id, blob.id);
  if (!isOurs) throw damagedBlob('FOREIGN_FILE', blob, 8, 'Another value lies');
  const wanted = blobFileBytes(blob.lengthBytes);
  if (sizeBytes !== wanted) {
    const isCut = sizeBytes < wanted;
    throw damagedBlob(
      isCut ? 'MISSING_DATA' : 'CHECKSUM_MISMATCH',
      blob,
      isCut ? sizeBytes : wanted,
      isCut ? 'The end of a value is missing; it ends' : 'Bytes that nobody wrote lie',
    );
  }
  const { algorithm } = hierarchy.suite;
  const isSame =
    header.tenant === blob.tenant &&
    header.lengthBytes === blob.lengthBytes &&
    isAlgorithmId(header.algorithm) &&
    header.algorithm === algorithmId(algorithm);
  const { secretNumber, salt } = header;
  const key = isSame ? keyOf(hierarchy, blob, { secretNumber, salt, algorithm }) : undefined;
  if (key?.fits(header.commitment) === true) return { header: bytes, key, secretNumber };
  key?.wipe();
  throw damagedBlob('AUTHENTICATION_FAILED', blob, 0, 'A header that is not of this value lies');
}

/** What is wrong with a blob's file as far as it can be told without a key; undefined if nothing is. */
export function checkBlobHeader(disk: Disk, id: Uint8Array): CorruptionError | undefined {
  const path = blobPath(id);
  // Removed since its directory was read.
  if (!disk.exists(path)) return undefined;
  const file = disk.open(path, 'read');
  try {
    const bytes = new Uint8Array(blobHeaderBytes);
    const header = decodeHeader(bytes.subarray(0, file.read(bytes, 0)));
    if (header === undefined || !equalBytes(header.id, id))
      return damagedBlob(
        'CHECKSUM_MISMATCH',
        { id },
        0,
        'A header that is not as it was written lies',
      );
    const [size, wanted] = [file.sizeBytes(), blobFileBytes(header.lengthBytes)];
    if (size === wanted) return undefined;
    const what =
      size < wanted ? 'The end of a value is missing; it ends' : 'Bytes that nobody wrote lie';
    return damagedBlob(
      size < wanted ? 'MISSING_DATA' : 'CHECKSUM_MISMATCH',
      { id },
      Math.min(size, wanted),
      what,
    );
  } finally {
    file.close();
  }
}

export function damagedBlob(
  code: ErrorCode,
  { id }: Pick<BlobRecord, 'id'>,
  offset: number,
  what: string,
): CorruptionError {
  return new CorruptionError(code, blobPath(id), offset, what);
}

const noSecret = (blob: BlobRecord): CorruptionError =>
  damagedBlob('MISSING_DATA', blob, 0, 'No key of the tenant opens: a value that is to be sealed');
