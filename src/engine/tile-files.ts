/**
 * The Merkle tree's tiles on the disk: a file a level, full tiles one behind the other, and a record of how many leaves
 * they are good for. docs/format/proofs.md draws them. All of it is derived, and may be deleted.
 *
 * Invariants
 * - The record is written after what it stands for is durable, so no crash leaves one that promises more than there is.
 * - It is MACed with its root: whoever reads tiles that do not lead there takes none of them.
 */
import { type Disk, type DiskFile, equalBytes, type LogId } from '../base/index.ts';
import { Reader, Writer } from '../codec/index.ts';
import { constantTimeEqual, crc32, hmac, pae, type SecretKey } from '../crypto/index.ts';
import { tileBytes } from '../proof/index.ts';
import { fileBytes, proofsDirectory, readStart } from './files.ts';

export const treeRecordPath = `${proofsDirectory}/tree`;
const magic = 0x45525456; // "VTRE"
const revision = 1;
/** A sector: it is written whole or not at all. */
const recordBytes = 512;
const macOffset = 64;
const crcOffset = recordBytes - 4;
/** Of the key that the record is MACed with, and of the MAC. */
export const treeKeyPurpose = 'veritydb/tree/v1';

/** How many leaves the tiles on the disk are good for, and the root over these. */
export interface TileRecord {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface TileFilesParts {
  readonly disk: Disk;
  readonly logId: LogId;
  /** Of the record's MAC; overwritten when the files are closed. */
  readonly key: SecretKey;
  /** Whoever is not only reads. */
  readonly isOwner: boolean;
}

export function tilesPath(level: number): string {
  return `${proofsDirectory}/tile-${level}`;
}

export class TileFiles {
  readonly #parts: TileFilesParts;
  readonly #files = new Map<string, DiskFile>();
  /** Files whose bytes are not durable yet. */
  readonly #dirty = new Set<DiskFile>();
  #hasNewName = false;

  constructor(parts: TileFilesParts) {
    this.#parts = parts;
  }

  /** The record; undefined where there is none that the key's holder wrote for this log. */
  record(): TileRecord | undefined {
    const bytes = readStart(this.#parts.disk, treeRecordPath, recordBytes);
    if (bytes.length < recordBytes) return undefined;
    const reader = new Reader(bytes);
    const isOurs = reader.u32() === magic && reader.u32() === revision;
    if (!isWhole(bytes)) {
      // A crash may have torn it. Tiles that no record stands for are made again.
      if (this.#parts.isOwner) this.#parts.disk.remove(treeRecordPath);
      return undefined;
    }
    if (!isOurs || !equalBytes(reader.raw(16), this.#parts.logId)) return undefined;
    const size = reader.u64();
    const root = reader.raw(32).slice();
    const mac = bytes.subarray(macOffset, macOffset + 32);
    return constantTimeEqual(mac, this.#macOf(bytes)) ? { size, root } : undefined;
  }

  /** Makes durable what was written, and says what that is good for. For an owner. */
  async keep({ size, root }: TileRecord): Promise<void> {
    const dirty = [...this.#dirty];
    // More may be written meanwhile, for which the next record stands.
    this.#dirty.clear();
    try {
      for (const file of dirty) await file.flushInBackground();
    } catch (error) {
      for (const file of dirty) this.#dirty.add(file);
      throw error;
    }
    this.#writeRecord({ size, root });
    await this.#open(treeRecordPath).flushInBackground();
    this.#flushNames();
  }

  /** As `keep`, on this turn. */
  keepNow({ size, root }: TileRecord): void {
    for (const file of this.#dirty) file.flush();
    this.#dirty.clear();
    this.#writeRecord({ size, root });
    this.#open(treeRecordPath).flush();
    this.#flushNames();
  }

  /** Writes full tiles of a level, one behind the other, from tile `index` on. */
  write(level: number, index: number, tiles: Uint8Array): void {
    const file = this.#open(tilesPath(level));
    file.write(tiles, index * tileBytes);
    this.#dirty.add(file);
  }

  /** A full tile; undefined where the file ends before it. */
  read(level: number, index: number): Uint8Array | undefined {
    const path = tilesPath(level);
    const { disk } = this.#parts;
    if (!this.#files.has(path) && !disk.exists(path)) return undefined;
    const bytes = new Uint8Array(tileBytes);
    return this.#open(path).read(bytes, index * tileBytes) === tileBytes ? bytes : undefined;
  }

  /** Full tiles that the file of a level has room for. */
  count(level: number): number {
    return Math.floor(fileBytes(this.#parts.disk, tilesPath(level)) / tileBytes);
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
    this.#parts.key.wipe();
  }

  #writeRecord({ size, root }: TileRecord): void {
    const writer = new Writer(recordBytes);
    writer.u32(magic);
    writer.u32(revision);
    writer.raw(this.#parts.logId);
    writer.u64(size);
    writer.raw(root);
    writer.skip(recordBytes - writer.length);
    const bytes = writer.finish();
    bytes.set(this.#macOf(bytes), macOffset);
    new DataView(bytes.buffer).setUint32(crcOffset, crc32(bytes.subarray(0, crcOffset)), true);
    this.#open(treeRecordPath).write(bytes, 0);
  }

  #macOf(bytes: Uint8Array): Uint8Array {
    return hmac(this.#parts.key, pae(treeKeyPurpose, bytes.subarray(0, macOffset)));
  }

  #open(path: string): DiskFile {
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const { disk, isOwner } = this.#parts;
    const file = isOwner ? this.#openToWrite(path) : disk.open(path, 'read');
    this.#files.set(path, file);
    return file;
  }

  #openToWrite(path: string): DiskFile {
    const { disk } = this.#parts;
    if (disk.exists(path)) return disk.open(path, 'readwrite');
    disk.makeDirectory(proofsDirectory);
    this.#hasNewName = true;
    return disk.open(path, 'create');
  }

  #flushNames(): void {
    if (!this.#hasNewName) return;
    this.#hasNewName = false;
    this.#parts.disk.flushDirectory(proofsDirectory);
  }
}

const isWhole = (record: Uint8Array): boolean =>
  crc32(record.subarray(0, crcOffset)) === new Reader(record, crcOffset).u32();
