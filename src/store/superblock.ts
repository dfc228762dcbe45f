/**
 * The superblock: where the newest checkpoint's trees begin, and the place in the log that they stand for. Four copies,
 * written in order; docs/format/store.md draws their bytes.
 *
 * Invariants
 * - Copies are written only when all pages that they lead to are durable, and no such page is written again before the
 *   copies of a later checkpoint are.
 * - The newest contents on which two copies agree count. So a crash while copies are written leaves the old or the new.
 */
import {
  assert,
  CorruptionError,
  type Digest32,
  type Disk,
  type DiskFile,
  equalBytes,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  type TenantId,
  type TimestampMicros,
  VerityError,
} from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import { constantTimeEqual, crc32, hmac, pae, wrappedKeyBytes } from '../crypto/index.ts';
import { storeKeysMax, type StoreKeys, type WrappedStoreKey } from './store-keys.ts';
import { storeDirectory, superblockPath } from './store-paths.ts';

const magic = 0x4250_5356; // "VSPB"
const revision = 1;
export const superblockBytes = 4_096;
export const superblockCopies = 4;
const macOffset = superblockBytes - 36;
const macPurpose = 'veritydb/superblock-mac/v1';
const rootsBytesMax = 512;

/** The log's head that a checkpoint stands for, and where its last frame lies. */
export interface CheckpointHead {
  readonly op: Op;
  readonly position: Position;
  readonly leafCount: LeafIndex;
  readonly timestamp: TimestampMicros;
  readonly chainHash: Digest32;
  readonly sealingEpoch: number;
  readonly durableHead: Op;
  /** The number of the last frame's kind, as in its header. */
  readonly lastKind: number;
  /** First position of the segment that holds that frame. */
  readonly segment: Position;
  readonly frameOffset: number;
  readonly frameEnd: number;
}

export interface Superblock {
  readonly sequence: number;
  readonly epoch: number;
  /** Pages of the file at that time. */
  readonly pageCount: number;
  readonly head: CheckpointHead;
  readonly nextTenant: TenantId;
  /** Of the keyring whose root key wraps `keys`. */
  readonly keyringGeneration: number;
  /** What leads to the trees: the store's own business. */
  readonly roots: Uint8Array;
  readonly keys: readonly WrappedStoreKey[];
}

export interface SuperblockReading {
  /** Undefined if no two copies agree. */
  readonly newest: Superblock | undefined;
  /** Whether all copies are the same. */
  readonly isWhole: boolean;
  /** Of a copy of it. */
  readonly bytes: Uint8Array;
  /** Copies that no write of ours leaves, in a file that two others agree on; a crash may leave one or two. */
  readonly damaged: readonly CorruptionError[];
}

export function encodeSuperblock(logId: LogId, of: Superblock, keys: StoreKeys): Uint8Array {
  assert(of.roots.length <= rootsBytesMax, 'the roots have their room');
  assert(of.keys.length <= storeKeysMax, 'the keys have their room');
  const { head } = of;
  const writer = new Writer(superblockBytes);
  writer.u32(magic);
  writer.u32(revision);
  writer.raw(logId);
  writer.u64(of.sequence);
  writer.u32(of.epoch);
  writer.u32(of.pageCount);
  writer.u32(of.nextTenant);
  writer.u64(of.keyringGeneration);
  writer.u64(head.op);
  writer.u64(head.position);
  writer.u64(head.leafCount);
  writer.u64(head.timestamp);
  writer.u64(head.sealingEpoch);
  writer.u64(head.durableHead);
  writer.u64(head.segment);
  writer.u32(head.frameOffset);
  writer.u32(head.frameEnd);
  writer.raw(head.chainHash);
  writer.u8(head.lastKind);
  writer.u8(of.keys.length);
  writer.u16(of.roots.length);
  writer.raw(of.roots);
  for (const { firstEpoch, wrapped } of of.keys) {
    writer.u32(firstEpoch);
    writer.raw(wrapped);
  }
  writer.skip(macOffset - writer.length);
  writer.raw(macOf(writer.view(), keys));
  writer.u32(crc32(writer.view()));
  return writer.finish();
}

/** Whether a holder of the store's keys wrote the copy. */
export function superblockIsAuthentic(bytes: Uint8Array, keys: StoreKeys): boolean {
  return constantTimeEqual(bytes.subarray(macOffset, macOffset + 32), macOf(bytes, keys));
}

function macOf(bytes: Uint8Array, keys: StoreKeys): Uint8Array {
  const key = keys.macKey();
  const mac = hmac(key, pae(macPurpose, bytes.subarray(0, macOffset)));
  key.wipe();
  return mac;
}

/** Reads the file and checks all that needs no key; undefined if there is no such file. */
export function readSuperblock(disk: Disk, logId: LogId): SuperblockReading | undefined {
  if (!disk.exists(superblockPath)) return undefined;
  const copies = readCopies(disk);
  const decoded = copies.map((copy) => decodeCopy(copy, logId));
  let found = -1;
  for (const [index, one] of decoded.entries()) {
    if ('what' in one) continue;
    const best = decoded[found];
    if (best !== undefined && !('what' in best) && best.sequence >= one.sequence) continue;
    const isAgreed = copies.some(
      (other, at) => at !== index && equalBytes(other, copies[index] as Uint8Array),
    );
    if (isAgreed) found = index;
  }
  const newest = decoded[found];
  return {
    newest: newest === undefined || 'what' in newest ? undefined : newest,
    isWhole: copies.every((copy) => equalBytes(copy, copies[0] as Uint8Array)),
    bytes: copies[found] ?? new Uint8Array(),
    damaged: decoded.flatMap((one, index) =>
      'what' in one
        ? [new CorruptionError(one.code, superblockPath, index * superblockBytes, one.what)]
        : [],
    ),
  };
}

/** Each copy as far as it is there; nothing of one that the disk cannot read. */
function readCopies(disk: Disk): Uint8Array[] {
  const file = disk.open(superblockPath, 'read');
  try {
    return Array.from({ length: superblockCopies }, (_, index) => {
      const copy = new Uint8Array(superblockBytes);
      return copy.subarray(0, readCopy(file, index, copy) ?? 0);
    });
  } finally {
    file.close();
  }
}

/** How many bytes of a copy there are; undefined if the disk cannot read it, which is damage like any other. */
function readCopy(file: DiskFile, index: number, target: Uint8Array): number | undefined {
  try {
    return file.read(target, index * superblockBytes);
  } catch (error) {
    if (error instanceof VerityError && error.code === 'IO_ERROR') return undefined;
    throw error;
  }
}

interface CopyProblem {
  readonly code: CorruptionError['code'];
  readonly what: string;
}

function decodeCopy(bytes: Uint8Array, logId: LogId): Superblock | CopyProblem {
  const damaged = {
    code: 'CHECKSUM_MISMATCH',
    what: 'A copy of the superblock that does not match its checksum lies',
  } as const;
  if (bytes.length < superblockBytes) return damaged;
  const crc = new Reader(bytes, superblockBytes - 4).u32();
  if (crc32(bytes.subarray(0, superblockBytes - 4)) !== crc) return damaged;
  const reader = new Reader(bytes, 0, macOffset);
  if (reader.u32() !== magic || reader.u32() !== revision) return damaged;
  if (!equalBytes(reader.raw(16), logId)) {
    return { code: 'FOREIGN_FILE', what: 'The superblock of another database lies' };
  }
  try {
    return decodeFields(reader);
  } catch (error) {
    if (error instanceof DecodeError) return damaged;
    throw error;
  }
}

function decodeFields(reader: Reader): Superblock {
  const first = {
    sequence: reader.u64(),
    epoch: reader.u32(),
    pageCount: reader.u32(),
    nextTenant: reader.u32() as TenantId,
    keyringGeneration: reader.u64(),
  };
  const numbers = {
    op: reader.u64() as Op,
    position: reader.u64() as Position,
    leafCount: reader.u64() as LeafIndex,
    timestamp: reader.u64() as TimestampMicros,
    sealingEpoch: reader.u64(),
    durableHead: reader.u64() as Op,
    segment: reader.u64() as Position,
    frameOffset: reader.u32(),
    frameEnd: reader.u32(),
  };
  const chainHash = reader.raw(32).slice() as Digest32;
  const lastKind = reader.u8();
  const keyCount = reader.u8();
  const roots = reader.raw(reader.u16()).slice();
  const keys: WrappedStoreKey[] = [];
  for (let index = 0; index < keyCount; index++) {
    keys.push({ firstEpoch: reader.u32(), wrapped: reader.raw(wrappedKeyBytes).slice() });
  }
  return { ...first, head: { ...numbers, chainHash, lastKind }, roots, keys };
}

/** The superblock's file, for its writer. */
export class SuperblockFile {
  readonly #disk: Disk;
  #file: DiskFile | undefined;
  /** Whether its name is not durable yet. */
  #isNew = false;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Writes the copies that are not these bytes, on which two others agree, and makes them durable. */
  heal(bytes: Uint8Array): void {
    this.#file ??= this.#disk.open(superblockPath, 'readwrite');
    const file = this.#file;
    const copy = new Uint8Array(superblockBytes);
    let isWritten = false;
    for (let index = 0; index < superblockCopies; index++) {
      if (readCopy(file, index, copy) === superblockBytes && equalBytes(copy, bytes)) continue;
      // The two that agree may be those of a process that was killed before it flushed them.
      if (!isWritten) file.flush();
      file.write(bytes, index * superblockBytes);
      isWritten = true;
    }
    if (isWritten) file.flush();
  }

  /** Writes the four copies in order and makes them durable. */
  write(bytes: Uint8Array): void {
    assert(bytes.length === superblockBytes, 'a copy has its size');
    if (this.#file === undefined) {
      this.#isNew = !this.#disk.exists(superblockPath);
      this.#file = this.#disk.open(superblockPath, this.#isNew ? 'create' : 'readwrite');
    }
    const file = this.#file;
    // In two pairs: a crash may tear all that is not flushed, and two copies must agree at any moment.
    for (let copy = 0; copy < superblockCopies; copy++) {
      file.write(bytes, copy * superblockBytes);
      if (copy % 2 === 1) file.flush();
    }
    // Also where an earlier call, which a full disk stopped, made the file.
    if (this.#isNew) this.#disk.flushDirectory(storeDirectory);
    this.#isNew = false;
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }
}
