/** Files of a copy: written in slices, flushed beside the event loop, removed when the copy is given up. */
import type { Disk } from '../base/index.ts';
import { anchorPath, identityPath, keyringPath, temporarySuffix } from './files.ts';

const sliceBytes = 1 << 20;

export interface CopyTarget {
  readonly target: Disk;
  readonly pause: () => Promise<void>;
}

export class CopyWriter {
  readonly #target: Disk;
  readonly #pause: () => Promise<void>;
  readonly #written = new Set<string>();

  constructor({ target, pause }: CopyTarget) {
    this.#target = target;
    this.#pause = pause;
  }

  /** Writes a file, in the place of one that is there. */
  async write(path: string, bytes: Uint8Array): Promise<void> {
    await this.#writeFrom(path, (offset) => bytes.subarray(offset, offset + sliceBytes));
  }

  /** Copies a file of another disk under the same name, as it is while it is read. */
  async copyFile(from: Disk, path: string): Promise<void> {
    await copyFileAs(from, path, (read) => this.#writeFrom(path, read));
  }

  /** Removes what was written, as far as that is possible. */
  removeAll(): void {
    const left = [keyringPath, anchorPath, identityPath].flatMap((path) => [
      path,
      path + temporarySuffix,
    ]);
    for (const path of [...this.#written, ...left]) {
      try {
        if (this.#target.exists(path)) this.#target.remove(path);
      } catch {
        // Whatever stays is no database without verity.json.
      }
    }
  }

  async #writeFrom(path: string, read: (offset: number) => Uint8Array): Promise<void> {
    if (this.#target.exists(path)) this.#target.remove(path);
    else this.#target.makeDirectory(path.slice(0, path.lastIndexOf('/')));
    this.#written.add(path);
    await writeSlices(this.#target, path, { read, pause: this.#pause });
  }
}

/** Reads a file slice by slice while `write` asks for it. */
export async function copyFileAs(
  from: Disk,
  path: string,
  write: (read: (offset: number) => Uint8Array) => Promise<void>,
): Promise<void> {
  const file = from.open(path, 'read');
  try {
    await write((offset) => {
      const slice = new Uint8Array(sliceBytes);
      return slice.subarray(0, file.read(slice, offset));
    });
  } finally {
    file.close();
  }
}

/** Creates a file of what `read` gives until that is empty, and flushes it. */
export async function writeSlices(
  disk: Disk,
  path: string,
  from: { read: (offset: number) => Uint8Array; pause: () => Promise<void> },
): Promise<void> {
  const file = disk.open(path, 'create');
  try {
    let offset = 0;
    for (;;) {
      const slice = from.read(offset);
      if (slice.length === 0) break;
      file.write(slice, offset);
      offset += slice.length;
      await from.pause();
    }
    await file.flushInBackground();
  } finally {
    file.close();
  }
}
