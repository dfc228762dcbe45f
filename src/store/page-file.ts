/**
 * The pages of the store in their file, sealed. docs/format/store.md draws its bytes.
 *
 * Invariants
 * - What a page number holds is told by the 32 bytes – epoch, nonce, tag – that its parent keeps: a page that is
 *   damaged, moved, stale or another database's does not open.
 * - A page that a durable checkpoint leads to is not written again before the next one is durable.
 */
import {
  assert,
  CorruptionError,
  type Disk,
  type DiskFile,
  equalBytes,
  type LogId,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import { Reader, Writer } from '../codec/index.ts';
import { crc32, nonceBytes, type PageKey, sealsPerKeyMax, tagBytes } from '../crypto/index.ts';
import { AdjacentPages } from './adjacent-pages.ts';
import { FreeMap } from './free-map.ts';
import { type PageDevice, pageBytes, pageRefBytes, runPages } from './page-device.ts';
import { RebuiltPages } from './rebuilt-pages.ts';
import type { StoreKeys } from './store-keys.ts';
import { pagesPath, storeDirectory } from './store-paths.ts';

const magic = 0x4750_5356; // "VSPG"
const revision = 1;
const headerLength = 28;
const headerPages = 1;
const kinds = { page: 1, run: 2 } as const;
/** Of runs that are sealed and not written. */
const waitingBytesMax = 1 << 20;
/** Larger scratch memory, for one long run, is not kept. */
const scratchBytesMax = 1 << 20;

export interface PageFileParts {
  readonly disk: Disk;
  readonly logId: LogId;
  readonly keys: StoreKeys;
  /** Of pages that are written from now on. */
  readonly epoch: number;
  readonly mode: 'readwrite' | 'read';
  /** Told of every page that does not open. */
  readonly onDamage?: (error: CorruptionError) => void;
}

interface PageRange {
  readonly page: number;
  readonly count: number;
}

/** How often the file was read and written, in pages. */
export interface PageCounts {
  read: number;
  written: number;
}

export class PageFile implements PageDevice {
  readonly counts: PageCounts = { read: 0, written: 0 };
  readonly #parts: PageFileParts;
  readonly #map = new FreeMap();
  readonly #aad: Uint8Array;
  readonly #aadView: DataView;
  #epoch: number;
  #file: DiskFile | undefined;
  #scratch = new Uint8Array(pageBytes + tagBytes);
  /** Sealed runs that were not written yet, and what a full disk did not take, by first page. */
  readonly #waiting = new Map<number, Uint8Array>();
  #waitingBytes = 0;
  /** Sealed pages that are written before anything else is. */
  readonly #adjacent = new AdjacentPages();
  #isFull = false;
  #isNew = false;
  #isDirty = false;
  /** Given back since the last freeze, and before it. */
  #retired: PageRange[] = [];
  #dropped: PageRange[] | undefined;

  constructor(parts: PageFileParts) {
    this.#parts = parts;
    this.#epoch = parts.epoch;
    const aad = new Writer(64);
    aad.raw(aadPrefix);
    aad.raw(parts.logId);
    aad.skip(5);
    this.#aad = aad.finish();
    this.#aadView = new DataView(this.#aad.buffer);
    this.#map.take(0, headerPages);
  }

  /** Of pages written from now on. */
  get epoch(): number {
    return this.#epoch;
  }
  /** Pages of the file, the header and free ones too. */
  get pageCount(): number {
    return this.#map.pageCount;
  }
  get freePages(): number {
    return this.#map.freeCount;
  }

  /** The file has so many pages, of which `markUsed` is to tell which are used. Until `endMarking` none of them is written. */
  beginMarking(pageCount: number): void {
    // None that lies behind the file's end was ever written: of a superblock that anybody can write, nothing larger is taken.
    const there = Math.ceil(this.#open().sizeBytes() / pageBytes);
    this.#map.beginMarking(Math.min(pageCount, there));
  }

  /** Whether pages that the trees use are as they must be: within the file, and used once. For `walkUsed`. */
  markUsed(page: number, count: number): boolean {
    return count > 0 && page >= headerPages && this.#map.mark(page, count);
  }

  /** Everything that the trees use is marked. */
  endMarking(): void {
    this.#map.endMarking();
  }

  /** What the trees use cannot be told, for a page of theirs is damaged: what is there is not used again. */
  giveUpMarking(): void {
    this.#map.giveUpMarking();
  }

  /** Pages for other trees beside those that are there; to be taken over, or given back, as a whole. */
  beginRebuild(): RebuiltPages {
    return new RebuiltPages(this);
  }

  /** The trees on these pages replace those before, whose pages are free once a checkpoint of the next freeze is durable. */
  takeOver(rebuilt: RebuiltPages): void {
    this.#dropped = undefined;
    this.#retired = [];
    this.#map.settleMarking(
      (page) => page < headerPages || rebuilt.has(page),
      (page, count) => this.retire(page, count),
    );
  }

  allocate(count: number): number {
    return this.#map.allocate(count);
  }

  free(page: number, count: number): void {
    this.#forgetWaiting(page, count);
    this.#map.release(page, count);
  }

  retire(page: number, count: number): void {
    this.#retired.push({ page, count });
  }

  freeze(): void {
    assert(this.#dropped === undefined, 'one checkpoint is written at a time');
    this.#dropped = this.#retired;
    this.#retired = [];
  }

  /** The superblock of the frozen state is durable: what that dropped can be used again. */
  settled(): void {
    for (const { page, count } of this.#dropped ?? []) this.free(page, count);
    this.#dropped = undefined;
  }

  /** Seals with another key from now on. */
  beginEpoch(epoch: number): void {
    assert(epoch > this.#epoch, 'an epoch is new');
    this.#epoch = epoch;
  }

  readPage(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    assert(target.length === pageBytes, 'a page has its size');
    this.#read({ kind: 'page', page, bytes: pageBytes }, ref.subarray(refOffset), target);
  }

  writePage(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    assert(content.length === pageBytes, 'a page has its size');
    this.#write({ kind: 'page', page }, content, ref.subarray(refOffset));
  }

  readRun(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    const place = { kind: 'run', page, bytes: target.length } as const;
    this.#read(place, ref.subarray(refOffset), target);
  }

  writeRun(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    this.#write({ kind: 'run', page }, content, ref.subarray(refOffset));
  }

  /** Whether a full disk did not take some pages. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Writes what waits. Throws DISK_FULL while there is no room. */
  writeWaiting(): void {
    this.#writeAdjacent();
    for (const [page, sealed] of this.#waiting) {
      this.#open().write(sealed, page * pageBytes);
      this.#isDirty = true;
      this.#forgetWaiting(page, 1);
    }
    this.#isFull = false;
  }

  /** Makes what was written durable. Throws DISK_FULL while there is no room; after another failure the file must not be used again. */
  flush(): void {
    this.writeWaiting();
    if (!this.#isDirty || this.#file === undefined) return;
    this.#isDirty = false;
    this.#file.flush();
    this.#flushName();
  }

  /** As `flush`, without blocking the event loop: of what was written until now. One at a time. */
  async flushInBackground(): Promise<void> {
    this.writeWaiting();
    if (!this.#isDirty || this.#file === undefined) return;
    this.#isDirty = false;
    await this.#file.flushInBackground();
    this.#flushName();
  }

  /** Checks the file's header. Throws CorruptionError. */
  checkHeader(): void {
    const { disk } = this.#parts;
    if (!disk.exists(pagesPath))
      throw this.#damage('MISSING_DATA', 0, 'The whole file is missing: nothing is left');
    const bytes = new Uint8Array(pageBytes);
    const count = this.#readBytes(bytes, 0);
    const expected = encodeHeader(this.#parts.logId);
    if (count === pageBytes && equalBytes(bytes, expected)) return;
    const header = new Reader(bytes, 0, headerLength);
    const isForeign =
      count === pageBytes &&
      crc32(bytes.subarray(0, headerLength - 4)) === new Reader(bytes, headerLength - 4).u32() &&
      header.u32() === magic &&
      !equalBytes(bytes.subarray(8, 24), this.#parts.logId);
    throw isForeign
      ? this.#damage('FOREIGN_FILE', 8, 'The pages of another database lie')
      : this.#damage('CHECKSUM_MISMATCH', 0, 'A header that is not as it was written lies');
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.#scratch.fill(0);
  }

  #read(
    place: { readonly kind: keyof typeof kinds; readonly page: number; readonly bytes: number },
    ref: Uint8Array,
    target: Uint8Array,
  ): void {
    const { page, bytes } = place;
    const offset = page * pageBytes;
    const { disk, keys } = this.#parts;
    if (this.#adjacent.has(page)) this.#writeAdjacent();
    if (this.#file === undefined && !this.#waiting.has(page) && !disk.exists(pagesPath))
      throw this.#damage(
        'MISSING_DATA',
        offset,
        'The whole file is missing: a page that should lie',
      );
    const sealed = this.#scratchOf(bytes + tagBytes);
    const waiting = this.#waiting.get(page);
    if (waiting !== undefined) sealed.set(waiting);
    const count = waiting?.length ?? this.#readBytes(sealed.subarray(0, bytes), offset);
    this.counts.read += runPages(bytes);
    if (count < bytes)
      throw this.#damage(
        'MISSING_DATA',
        offset,
        'A page is missing: the file ends before it; it should lie',
      );
    const epoch = new DataView(ref.buffer, ref.byteOffset).getUint32(0, true);
    const nonce = ref.subarray(4, 4 + nonceBytes);
    sealed.set(ref.subarray(4 + nonceBytes, pageRefBytes), bytes);
    const opened = keys.pageKey(epoch)?.open(this.#aadOf(place), nonce, sealed);
    if (opened === undefined)
      throw this.#damage(
        'AUTHENTICATION_FAILED',
        offset,
        'A page that is damaged, or is not the one that belongs there, lies',
      );
    target.set(opened);
    sealed.fill(0);
    if (bytes > pageBytes) opened.fill(0);
  }

  #readBytes(target: Uint8Array, offset: number): number {
    try {
      return this.#open().read(target, offset);
    } catch (error) {
      if (!(error instanceof VerityError) || error.code !== 'IO_ERROR') throw error;
      throw this.#damage('IO_ERROR', offset, 'A page that the disk cannot read lies');
    }
  }

  #write(
    place: { readonly kind: keyof typeof kinds; readonly page: number },
    content: Uint8Array,
    ref: Uint8Array,
  ): void {
    assert(this.#parts.mode === 'readwrite', 'only an owner writes pages');
    assert(
      place.page >= headerPages && this.#map.isTaken(place.page),
      'a page is allocated before it is written',
    );
    const { nonce, ciphertext, tag } = this.#sealingKey().seal(this.#aadOf(place), content);
    // In plain mode the ciphertext is the caller's.
    if (place.kind === 'run')
      this.#delay(place.page, ciphertext === content ? content.slice() : ciphertext);
    else this.#put(place.page, ciphertext);
    this.counts.written += runPages(content.length);
    new DataView(ref.buffer, ref.byteOffset).setUint32(0, this.#epoch, true);
    ref.set(nonce, 4);
    ref.set(tag, 4 + nonceBytes);
  }

  #put(page: number, sealed: Uint8Array): void {
    if (!this.#adjacent.takes(page)) this.#writeAdjacent();
    this.#forgetWaiting(page, 1);
    this.#adjacent.add(page, sealed);
  }

  /** On a full disk sealed bytes wait in memory, so that no change of the trees stops half way. */
  #writeAdjacent(): void {
    const { first, count, bytes } = this.#adjacent;
    if (count === 0) return;
    this.#adjacent.clear();
    try {
      this.#open().write(bytes, first * pageBytes);
      this.#isDirty = true;
    } catch (error) {
      if (!(error instanceof VerityError) || error.code !== 'DISK_FULL') throw error;
      this.#isFull = true;
      for (let index = 0; index < count; index++)
        this.#wait(first + index, bytes.slice(index * pageBytes, (index + 1) * pageBytes));
    }
  }

  /** Runs are sealed when a row is inserted: they are written many together, and those of a small database never before a checkpoint. */
  #delay(page: number, sealed: Uint8Array): void {
    this.#writeAdjacent();
    this.#forgetWaiting(page, runPages(sealed.length));
    this.#wait(page, sealed);
    if (this.#isFull || this.#waitingBytes <= waitingBytesMax) return;
    try {
      this.writeWaiting();
    } catch (error) {
      if (!(error instanceof VerityError) || error.code !== 'DISK_FULL') throw error;
      this.#isFull = true;
    }
  }

  #wait(page: number, sealed: Uint8Array): void {
    this.#waiting.set(page, sealed);
    this.#waitingBytes += sealed.length;
  }

  #forgetWaiting(page: number, count: number): void {
    if (this.#waiting.size === 0) return;
    for (let index = page; index < page + count; index++) {
      this.#waitingBytes -= this.#waiting.get(index)?.length ?? 0;
      this.#waiting.delete(index);
    }
  }

  #sealingKey(): PageKey {
    let key = this.#parts.keys.pageKey(this.#epoch);
    if (key !== undefined && key.seals >= sealsPerKeyMax - 1) {
      this.#epoch += 1;
      key = this.#parts.keys.pageKey(this.#epoch);
    }
    assert(key !== undefined, 'an epoch that seals has a key');
    return key;
  }

  #aadOf({ kind, page }: { kind: keyof typeof kinds; page: number }): Uint8Array {
    this.#aadView.setUint32(this.#aad.length - 5, page, true);
    this.#aad[this.#aad.length - 1] = kinds[kind];
    return this.#aad;
  }

  #scratchOf(bytes: number): Uint8Array {
    if (bytes > scratchBytesMax) return new Uint8Array(bytes);
    if (bytes > this.#scratch.length) this.#scratch = new Uint8Array(bytes);
    return this.#scratch.subarray(0, bytes);
  }

  #open(): DiskFile {
    if (this.#file !== undefined) return this.#file;
    const { disk, logId, mode } = this.#parts;
    if (mode === 'readwrite' && !disk.exists(pagesPath)) {
      disk.makeDirectory(storeDirectory);
      this.#isNew = true;
      const file = disk.open(pagesPath, 'create');
      try {
        file.write(encodeHeader(logId), 0);
      } catch (error) {
        // On a full disk this is tried again: without its header the file would be taken for a damaged one.
        file.close();
        disk.remove(pagesPath);
        throw error;
      }
      this.#file = file;
      this.#isDirty = true;
    } else {
      this.#file = disk.open(pagesPath, mode);
    }
    return this.#file;
  }

  #flushName(): void {
    if (!this.#isNew) return;
    this.#isNew = false;
    const { disk } = this.#parts;
    disk.flushDirectory(storeDirectory);
    disk.flushDirectory('');
  }

  #damage(code: CorruptionError['code'], offset: number, what: string): CorruptionError {
    const error = new CorruptionError(code, pagesPath, offset, what);
    this.#parts.onDamage?.(error);
    return error;
  }
}

/** PAE("veritydb/store-page/v1", log id ‖ page number ‖ kind) up to the log id. */
const aadPrefix = aadPrefixOf('veritydb/store-page/v1', 16 + 4 + 1);

function aadPrefixOf(format: string, placeBytes: number): Uint8Array {
  const writer = new Writer(64);
  const name = utf8Encode(format);
  writer.u64(2);
  writer.u64(name.length);
  writer.raw(name);
  writer.u64(placeBytes);
  return writer.finish();
}

function encodeHeader(logId: LogId): Uint8Array {
  const writer = new Writer(pageBytes);
  writer.u32(magic);
  writer.u32(revision);
  writer.raw(logId);
  writer.u32(crc32(writer.view()));
  writer.skip(pageBytes - writer.length);
  return writer.finish();
}
