/** A disk as it would be after a repair: to read and check before anything is changed. */
import { type Disk, type DiskFile, VerityError } from '../base/index.ts';
import { type CopiedFile, readCopied } from './repair-copied.ts';

/** What is to stand in a file's place: bytes, a file of another disk, or nothing. */
export type Replacement =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | CopiedFile
  | { readonly kind: 'nothing' };

export class OverlayDisk implements Disk {
  readonly root: string;
  readonly #under: Disk;
  readonly #replacements: ReadonlyMap<string, Replacement>;

  constructor(under: Disk, replacements: ReadonlyMap<string, Replacement>) {
    this.root = under.root;
    this.#under = under;
    this.#replacements = replacements;
  }

  list(directory: string): readonly string[] | undefined {
    const under = this.#under.list(directory);
    const names = new Set(under);
    for (const [path, { kind }] of this.#replacements) {
      const slash = path.lastIndexOf('/');
      if (path.slice(0, Math.max(0, slash)) !== directory) continue;
      if (kind === 'nothing') names.delete(path.slice(slash + 1));
      else names.add(path.slice(slash + 1));
    }
    return under === undefined && names.size === 0 ? undefined : [...names].toSorted();
  }

  exists(path: string): boolean {
    const replacement = this.#replacements.get(path);
    return replacement === undefined ? this.#under.exists(path) : replacement.kind !== 'nothing';
  }

  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    if (mode !== 'read') throw readOnly(path);
    const replacement = this.#replacements.get(path);
    switch (replacement?.kind) {
      case undefined:
        return this.#under.open(path, 'read');
      case 'file':
        return new BytesFile(path, readCopied(replacement));
      case 'bytes':
        return new BytesFile(path, replacement.bytes);
      case 'nothing':
        throw new VerityError('IO_ERROR', `The file ${path} is to be removed.`);
    }
  }

  makeDirectory(path: string): void {
    throw readOnly(path);
  }
  rename(from: string): void {
    throw readOnly(from);
  }
  remove(path: string): void {
    throw readOnly(path);
  }
  flushDirectory(path: string): void {
    throw readOnly(path);
  }
}

class BytesFile implements DiskFile {
  readonly path: string;
  readonly #bytes: Uint8Array;

  constructor(path: string, bytes: Uint8Array) {
    this.path = path;
    this.#bytes = bytes;
  }

  sizeBytes(): number {
    return this.#bytes.length;
  }
  read(target: Uint8Array, offset: number): number {
    const slice = this.#bytes.subarray(offset, offset + target.length);
    target.set(slice);
    return slice.length;
  }
  write(): void {
    throw readOnly(this.path);
  }
  flush(): void {
    throw readOnly(this.path);
  }
  flushInBackground(): Promise<void> {
    return Promise.reject(readOnly(this.path));
  }
  truncate(): void {
    throw readOnly(this.path);
  }
  close(): void {
    // Nothing is held.
  }
}

function readOnly(path: string): VerityError {
  return new VerityError('READ_ONLY', `A repair that is only planned does not change ${path}.`);
}
