import {
  assert,
  diskPathDirectory,
  diskPathNames,
  VerityError,
  type Disk,
  type DiskFile,
} from '../base/index.ts';

import { readOnlyError, withErrno, ioError } from './io-error.ts';

const capacityMin = 4096;

/** The bytes of a file; open handles keep them after the name is gone. */
interface MemoryContent {
  /** Zero from `sizeBytes` on. */
  bytes: Uint8Array;
  sizeBytes: number;
}

/** A new empty disk in memory, named ':memory:'. It is never durable; flushes do nothing. */
export function memoryDisk(): Disk {
  return new MemoryDisk();
}

class MemoryDisk implements Disk {
  readonly root = ':memory:';
  readonly #files = new Map<string, MemoryContent>();
  readonly #directories = new Set<string>(['']);

  list(directory: string): readonly string[] | undefined {
    diskPathNames(directory);
    if (this.#files.has(directory)) throw failure('list', directory, 'ENOTDIR');
    if (!this.#directories.has(directory)) return undefined;
    const names: string[] = [];
    for (const paths of [this.#files.keys(), this.#directories]) {
      for (const path of paths) {
        if (path !== '' && diskPathDirectory(path) === directory)
          names.push(path.slice(path.lastIndexOf('/') + 1));
      }
    }
    return names.sort();
  }

  exists(path: string): boolean {
    diskPathNames(path);
    return this.#files.has(path) || this.#directories.has(path);
  }

  makeDirectory(path: string): void {
    let directory = '';
    for (const name of diskPathNames(path)) {
      directory = directory === '' ? name : `${directory}/${name}`;
      if (this.#files.has(directory)) throw failure('create the directory', directory, 'EEXIST');
      this.#directories.add(directory);
    }
  }

  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    diskPathNames(path);
    if (this.#directories.has(path)) throw failure('open', path, 'EISDIR');
    let content = this.#files.get(path);
    if (mode === 'create') {
      if (content !== undefined) throw failure('create', path, 'EEXIST');
      if (!this.#directories.has(diskPathDirectory(path))) throw failure('create', path, 'ENOENT');
      content = { bytes: new Uint8Array(capacityMin), sizeBytes: 0 };
      this.#files.set(path, content);
    }
    if (content === undefined) throw failure('open', path, 'ENOENT');
    return new MemoryFile(path, content, mode !== 'read');
  }

  rename(from: string, to: string): void {
    diskPathNames(from);
    diskPathNames(to);
    const content = this.#files.get(from);
    if (content === undefined) throw failure('rename', from, 'ENOENT');
    if (this.#directories.has(to)) throw failure('rename to', to, 'EISDIR');
    if (!this.#directories.has(diskPathDirectory(to))) throw failure('rename to', to, 'ENOENT');
    this.#files.delete(from);
    this.#files.set(to, content);
  }

  remove(path: string): void {
    diskPathNames(path);
    if (!this.#files.delete(path)) {
      throw failure('remove', path, this.#directories.has(path) ? 'EISDIR' : 'ENOENT');
    }
  }

  flushDirectory(path: string): void {
    diskPathNames(path);
    if (!this.#directories.has(path)) throw failure('flush the directory', path, 'ENOENT');
  }
}

class MemoryFile implements DiskFile {
  readonly path: string;
  readonly #content: MemoryContent;
  readonly #writable: boolean;
  #isOpen = true;
  #isFlushing = false;

  constructor(path: string, content: MemoryContent, writable: boolean) {
    this.path = path;
    this.#content = content;
    this.#writable = writable;
  }

  sizeBytes(): number {
    this.#assertOpen();
    return this.#content.sizeBytes;
  }

  read(target: Uint8Array, offset: number): number {
    this.#assertOpen();
    assertOffset(offset);
    const { bytes, sizeBytes } = this.#content;
    const end = Math.min(offset + target.length, sizeBytes);
    if (end <= offset) return 0;
    target.set(bytes.subarray(offset, end));
    return end - offset;
  }

  write(bytes: Uint8Array, offset: number): void {
    this.#assertWritable('write');
    assertOffset(offset);
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    if (end > this.#content.sizeBytes) this.#grow(end);
    this.#content.bytes.set(bytes, offset);
  }

  flush(): void {
    this.#assertOpen();
  }

  flushInBackground(): Promise<void> {
    this.#assertOpen();
    assert(!this.#isFlushing, 'at most one flush of a file runs in the background');
    this.#isFlushing = true;
    return new Promise((resolve) => {
      // A loop of microtasks alone would starve timers and sockets.
      setImmediate(() => {
        this.#isFlushing = false;
        resolve();
      });
    });
  }

  truncate(sizeBytes: number): void {
    this.#assertWritable('change the size of');
    assertOffset(sizeBytes);
    const content = this.#content;
    if (sizeBytes > content.sizeBytes) {
      this.#grow(sizeBytes);
    } else {
      content.bytes.fill(0, sizeBytes, content.sizeBytes);
      content.sizeBytes = sizeBytes;
    }
  }

  close(): void {
    this.#assertOpen();
    this.#isOpen = false;
  }

  #grow(sizeBytes: number): void {
    const content = this.#content;
    if (sizeBytes > content.bytes.length) {
      const bytes = allocate(Math.max(capacityMin, sizeBytes, content.bytes.length * 2), this.path);
      bytes.set(content.bytes.subarray(0, content.sizeBytes));
      content.bytes = bytes;
    }
    content.sizeBytes = sizeBytes;
  }

  #assertOpen(): void {
    assert(this.#isOpen, 'a file is used only while it is open');
  }

  #assertWritable(verb: string): void {
    this.#assertOpen();
    if (!this.#writable) throw readOnlyError(verb, this.path);
  }
}

function allocate(sizeBytes: number, path: string): Uint8Array {
  try {
    return new Uint8Array(sizeBytes);
  } catch (error) {
    throw new VerityError(
      'DISK_FULL',
      `Cannot write ${path}: memory for ${sizeBytes} bytes could not be had.`,
      {
        cause: error,
        details: { path },
      },
    );
  }
}

function failure(verb: string, path: string, errno: string): VerityError {
  return ioError({ verb, path }, withErrno(errno));
}

function assertOffset(offset: number): void {
  assert(
    Number.isSafeInteger(offset) && offset >= 0,
    'an offset in a file is a whole number from 0',
  );
}
