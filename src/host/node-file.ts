import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  ftruncateSync,
  readSync,
  writeSync,
} from 'node:fs';
import { assert, VerityError, type DiskFile } from '../base/index.ts';
import { ioError, readOnlyError } from './io-error.ts';

const closed = -1;

export interface NodeFileOptions {
  readonly descriptor: number;
  /** Relative to the disk's root. */
  readonly path: string;
  /** For messages. */
  readonly fullPath: string;
  readonly writable: boolean;
}

/**
 * An open file of the operating system.
 *
 * Invariants: a descriptor is never used after it was given back (its number may already name
 * another file); after a failed flush every further flush fails without asking the kernel, which
 * would report success for pages that it has dropped.
 */
export class NodeFile implements DiskFile {
  readonly path: string;
  readonly #fullPath: string;
  readonly #writable: boolean;
  #descriptor: number;
  #flushing = false;
  #closing = false;
  #flushFailure: VerityError | undefined;

  constructor(options: NodeFileOptions) {
    this.path = options.path;
    this.#fullPath = options.fullPath;
    this.#writable = options.writable;
    this.#descriptor = options.descriptor;
  }

  sizeBytes(): number {
    const descriptor = this.#open();
    try {
      return fstatSync(descriptor).size;
    } catch (error) {
      throw this.#error('read the size of', error);
    }
  }

  read(target: Uint8Array, offset: number): number {
    const descriptor = this.#open();
    assertOffset(offset);
    const length = target.length;
    let done = 0;
    while (done < length) {
      const count = this.#readSome(descriptor, target, done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  write(bytes: Uint8Array, offset: number): void {
    const descriptor = this.#openForWriting('write');
    assertOffset(offset);
    const length = bytes.length;
    let done = 0;
    while (done < length) {
      done += this.#writeSome(descriptor, bytes, done, offset + done);
    }
  }

  flush(): void {
    const descriptor = this.#open();
    if (!this.#writable) return;
    if (this.#flushFailure !== undefined) throw this.#flushAgainError();
    try {
      fdatasyncSync(descriptor);
    } catch (error) {
      throw this.#flushFailed(error);
    }
  }

  flushInBackground(): Promise<void> {
    assert(!this.#flushing, 'at most one flush of a file runs in the background');
    const descriptor = this.#open();
    if (!this.#writable) return Promise.resolve();
    if (this.#flushFailure !== undefined) return Promise.reject(this.#flushAgainError());
    this.#flushing = true;
    return new Promise((resolve, reject) => {
      fdatasync(descriptor, (error) => {
        this.#flushing = false;
        const failure = error === null ? this.#flushFailure : this.#flushFailed(error);
        if (this.#closing) this.#closeQuietly();
        if (failure === undefined) resolve();
        else reject(failure);
      });
    });
  }

  truncate(sizeBytes: number): void {
    const descriptor = this.#openForWriting('change the size of');
    assertOffset(sizeBytes);
    try {
      ftruncateSync(descriptor, sizeBytes);
    } catch (error) {
      throw this.#error('change the size of', error);
    }
  }

  /** Closes the file; while a flush runs in the background, as soon as it has ended. */
  close(): void {
    const descriptor = this.#open();
    if (this.#flushing) {
      this.#closing = true;
      return;
    }
    this.#descriptor = closed;
    try {
      closeSync(descriptor);
    } catch (error) {
      throw this.#error('close', error);
    }
  }

  #readSome(descriptor: number, target: Uint8Array, start: number, offset: number): number {
    try {
      return readSync(descriptor, target, start, target.length - start, offset);
    } catch (error) {
      throw this.#error('read', error);
    }
  }

  #writeSome(descriptor: number, bytes: Uint8Array, start: number, offset: number): number {
    let count: number;
    try {
      count = writeSync(descriptor, bytes, start, bytes.length - start, offset);
    } catch (error) {
      throw this.#error('write', error);
    }
    if (count === 0) throw this.#error('write', new Error('The operating system wrote no byte.'));
    return count;
  }

  #open(): number {
    assert(this.#descriptor !== closed && !this.#closing, 'a file is used only while it is open');
    return this.#descriptor;
  }

  #openForWriting(verb: string): number {
    const descriptor = this.#open();
    if (!this.#writable) throw readOnlyError(verb, this.#fullPath);
    return descriptor;
  }

  #closeQuietly(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = closed;
    try {
      closeSync(descriptor);
    } catch {
      // The owner has left; what counts was reported by the flush.
    }
  }

  #error(verb: string, cause: unknown): VerityError {
    return ioError({ verb, path: this.#fullPath }, cause);
  }

  #flushFailed(cause: unknown): VerityError {
    this.#flushFailure ??= this.#error('flush', cause);
    return this.#flushFailure;
  }

  #flushAgainError(): VerityError {
    const message = `Cannot flush ${this.#fullPath}: an earlier flush failed and must not be repeated. Open the database again.`;
    return new VerityError('IO_ERROR', message, {
      cause: this.#flushFailure,
      details: { path: this.#fullPath },
    });
  }
}

function assertOffset(offset: number): void {
  assert(
    Number.isSafeInteger(offset) && offset >= 0,
    'an offset in a file is a whole number from 0',
  );
}
