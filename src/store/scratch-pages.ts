import { assert, type Entropy, VerityError } from '../base/index.ts';
import { nonceBytes, PageKey, SecretKey, sealsPerKeyMax, tagBytes } from '../crypto/index.ts';
import { FreeMap } from './free-map.ts';
import { type PageDevice, pageBytes, pageRefBytes, runPages } from './page-device.ts';

/** Bytes that nobody else sees or keeps, by offset; gone when it is closed, or its process ends. */
export interface ScratchFile {
  /** Fills `target` from `offset`; returns the bytes read. */
  read(target: Uint8Array, offset: number): number;
  write(bytes: Uint8Array, offset: number): void;
  close(): void;
}

/** Where pages come from that lie somewhere else: all numbers below `pageCount`. */
export interface BasePages {
  readonly pages: Pick<PageDevice, 'readPage' | 'readRun'>;
  readonly pageCount: number;
}

export interface ScratchPagesParts {
  readonly entropy: Entropy;
  /** Opens the file, when the first page is written. */
  readonly open: () => ScratchFile;
  readonly base?: BasePages;
}

const kinds = { page: 1, run: 2 } as const;
const algorithm = 'aes-256-gcm';
const epochBytes = 4;
/** Larger memory, for one long run, is not kept. */
const keptBytesMax = 1 << 20;

/**
 * The pages of a store that nobody needs later, sealed under a key that is in memory only; on top of pages of another
 * file, if there are any, which are only read.
 */
export class ScratchPages implements PageDevice {
  readonly #parts: ScratchPagesParts;
  /** The first number of a page of our own: page n lies at n - first. */
  readonly #first: number;
  readonly #map = new FreeMap();
  readonly #secret: SecretKey;
  /** One for each epoch, the last for new pages. */
  readonly #keys: PageKey[] = [];
  #file: ScratchFile | undefined;
  #sealed = new Uint8Array(pageBytes + tagBytes);
  #retired: PageRange[] = [];
  #dropped: PageRange[] | undefined;
  #writtenPages = 0;

  constructor(parts: ScratchPagesParts) {
    this.#parts = parts;
    this.#first = parts.base?.pageCount ?? 1;
    this.#secret = new SecretKey(parts.entropy.bytes(32));
  }

  /** Pages written so far, each as often as it was. */
  get writtenPages(): number {
    return this.#writtenPages;
  }

  allocate(count: number): number {
    return this.#first + this.#map.allocate(count);
  }

  free(page: number, count: number): void {
    assert(page >= this.#first, 'pages of the base are not given back');
    this.#map.release(page - this.#first, count);
  }

  retire(page: number, count: number): void {
    if (page >= this.#first) this.#retired.push({ page, count });
  }

  freeze(): void {
    assert(this.#dropped === undefined, 'one state is frozen at a time');
    this.#dropped = this.#retired;
    this.#retired = [];
  }

  /** The frozen state is written: what it dropped can be used again. */
  settled(): void {
    for (const { page, count } of this.#dropped ?? []) this.free(page, count);
    this.#dropped = undefined;
  }

  readPage(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    if (page >= this.#first) this.#read({ kind: 'page', page }, ref.subarray(refOffset), target);
    else this.#parts.base?.pages.readPage(page, ref, refOffset, target);
  }

  readRun(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    if (page >= this.#first) this.#read({ kind: 'run', page }, ref.subarray(refOffset), target);
    else this.#parts.base?.pages.readRun(page, ref, refOffset, target);
  }

  writePage(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    this.#write({ kind: 'page', page }, content, ref.subarray(refOffset));
  }

  writeRun(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    this.#write({ kind: 'run', page }, content, ref.subarray(refOffset));
  }

  /** Gives the file back and wipes the keys. */
  close(): void {
    this.#file?.close();
    this.#file = undefined;
    for (const key of this.#keys) key.wipe();
    this.#secret.wipe();
    this.#sealed.fill(0);
  }

  #read({ kind, page }: PagePlace, ref: Uint8Array, target: Uint8Array): void {
    const length = target.length;
    const sealed = this.#sealedOf(length + tagBytes);
    const count = this.#file?.read(sealed.subarray(0, length), this.#offsetOf(page));
    sealed.set(ref.subarray(epochBytes + nonceBytes, pageRefBytes), length);
    const key = this.#keys[new DataView(ref.buffer, ref.byteOffset).getUint32(0, true)];
    const nonce = ref.subarray(epochBytes, epochBytes + nonceBytes);
    const opened = count === length ? key?.open(aadOf(kind, page), nonce, sealed) : undefined;
    if (opened === undefined)
      throw new VerityError(
        'IO_ERROR',
        'The scratch file of this process is not as it was written. Check the disk that it is on (TMPDIR), and try again.',
      );
    target.set(opened);
    opened.fill(0);
  }

  #write({ kind, page }: PagePlace, content: Uint8Array, ref: Uint8Array): void {
    assert(page >= this.#first, 'pages of the base are not written');
    const { nonce, ciphertext, tag } = this.#sealingKey().seal(aadOf(kind, page), content);
    this.#file ??= this.#parts.open();
    this.#file.write(ciphertext, this.#offsetOf(page));
    this.#writtenPages += runPages(content.length);
    new DataView(ref.buffer, ref.byteOffset).setUint32(0, this.#keys.length - 1, true);
    ref.set(nonce, epochBytes);
    ref.set(tag, epochBytes + nonceBytes);
  }

  #sealingKey(): PageKey {
    const newest = this.#keys.at(-1);
    if (newest !== undefined && newest.seals < sealsPerKeyMax) return newest;
    const logId = new Uint8Array(16);
    const key = new PageKey(this.#secret, { logId, epoch: this.#keys.length, algorithm });
    this.#keys.push(key);
    return key;
  }

  #offsetOf(page: number): number {
    return (page - this.#first) * pageBytes;
  }

  #sealedOf(bytes: number): Uint8Array {
    if (bytes > keptBytesMax) return new Uint8Array(bytes);
    if (bytes > this.#sealed.length) this.#sealed = new Uint8Array(bytes);
    return this.#sealed.subarray(0, bytes);
  }
}

interface PageRange {
  readonly page: number;
  readonly count: number;
}

interface PagePlace {
  readonly kind: keyof typeof kinds;
  readonly page: number;
}

function aadOf(kind: keyof typeof kinds, page: number): Uint8Array {
  const aad = new Uint8Array(5);
  new DataView(aad.buffer).setUint32(0, page, true);
  aad[4] = kinds[kind];
  return aad;
}

/** A scratch file in memory, for where no disk is at hand. */
export function scratchMemory(): ScratchFile {
  const parts = new Map<number, Uint8Array>();
  return {
    read: (target, offset) => {
      const bytes = parts.get(offset)?.subarray(0, target.length);
      if (bytes !== undefined) target.set(bytes);
      return bytes?.length ?? 0;
    },
    write: (bytes, offset) => parts.set(offset, bytes.slice()),
    close: () => parts.clear(),
  };
}
