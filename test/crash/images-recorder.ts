/**
 * A disk that writes down every change made to it and every promise it gave, so that what a crash
 * may have left at any moment can be built afterwards, again and again.
 */
import type { DiskFile } from '../../src/base/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import type { Image } from './image.ts';

/** Files are known by number, since names come and go. */
export type FileNumber = number;

/** A name in a directory gets a file, a directory, or nothing. */
export interface NameChange {
  readonly path: string;
  readonly to: FileNumber | 'directory' | undefined;
}

/** What a crash may take back. */
export type Change =
  | {
      readonly kind: 'write';
      readonly file: FileNumber;
      readonly offset: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'truncate'; readonly file: FileNumber; readonly sizeBytes: number }
  /** Whole or not at all. */
  | { readonly kind: 'names'; readonly changes: readonly NameChange[] };

export type Step =
  | Change
  /** Returned: what was done to the file before step `through` is durable. */
  | { readonly kind: 'flush'; readonly file: FileNumber; readonly through: number }
  | { readonly kind: 'flushDirectory'; readonly path: string };

export function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export class RecordingDisk extends SimDisk {
  /** What was there, durable, before the first step. Files are numbered in this order from 0. */
  readonly initial: Image;
  readonly steps: Step[] = [];
  readonly #numbers = new Map<string, FileNumber>();
  #nextNumber = 0;

  constructor(initial: Image = new Map(), seed = 0) {
    super({ seed });
    this.initial = initial;
    for (const [path, bytes] of initial) {
      this.#numbers.set(path, this.#nextNumber++);
      super.makeDirectory(directoryOf(path));
      const file = super.open(path, 'create');
      file.write(bytes, 0);
      file.flush();
      file.close();
    }
    for (const path of new Set([...initial.keys()].map(directoryOf))) super.flushDirectory(path);
    super.flushDirectory('');
  }

  override makeDirectory(path: string): void {
    const missing: string[] = [];
    for (let at = path; at !== '' && !this.exists(at); at = directoryOf(at)) missing.unshift(at);
    super.makeDirectory(path);
    for (const at of missing) this.#name([{ path: at, to: 'directory' }]);
  }

  override open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    const file = super.open(path, mode);
    if (mode === 'create') {
      this.#numbers.set(path, this.#nextNumber);
      this.#name([{ path, to: this.#nextNumber++ }]);
    }
    return new RecordingFile(file, this.#numbers.get(path) as FileNumber, this.steps);
  }

  override rename(from: string, to: string): void {
    super.rename(from, to);
    const number = this.#numbers.get(from) as FileNumber;
    this.#numbers.delete(from);
    this.#numbers.set(to, number);
    this.#name([
      { path: from, to: undefined },
      { path: to, to: number },
    ]);
  }

  override remove(path: string): void {
    super.remove(path);
    this.#numbers.delete(path);
    this.#name([{ path, to: undefined }]);
  }

  override flushDirectory(path: string): void {
    super.flushDirectory(path);
    this.steps.push({ kind: 'flushDirectory', path });
  }

  #name(changes: readonly NameChange[]): void {
    this.steps.push({ kind: 'names', changes });
  }
}

class RecordingFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #number: FileNumber;
  readonly #steps: Step[];

  constructor(file: DiskFile, number: FileNumber, steps: Step[]) {
    this.#file = file;
    this.#number = number;
    this.#steps = steps;
    this.path = file.path;
  }

  sizeBytes(): number {
    return this.#file.sizeBytes();
  }
  read(target: Uint8Array, offset: number): number {
    return this.#file.read(target, offset);
  }
  write(bytes: Uint8Array, offset: number): void {
    this.#file.write(bytes, offset);
    this.#steps.push({ kind: 'write', file: this.#number, offset, bytes: bytes.slice() });
  }
  flush(): void {
    const through = this.#steps.length;
    this.#file.flush();
    this.#steps.push({ kind: 'flush', file: this.#number, through });
  }
  async flushInBackground(): Promise<void> {
    const through = this.#steps.length;
    await this.#file.flushInBackground();
    this.#steps.push({ kind: 'flush', file: this.#number, through });
  }
  truncate(sizeBytes: number): void {
    this.#file.truncate(sizeBytes);
    this.#steps.push({ kind: 'truncate', file: this.#number, sizeBytes });
  }
  close(): void {
    this.#file.close();
  }
}
