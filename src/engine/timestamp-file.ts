/**
 * Time stamps of checkpoints on the disk: `proofs/timestamps`, lines `<size> <base64 of the token>`. Only whole lines count; a torn
 * one at the end is written over. Nothing needs them to be there: they are asked for again.
 */
import { concatBytes, type Disk, type DiskFile, utf8Decode, utf8Encode } from '../base/index.ts';
import { fromBase64, toBase64 } from '../proof/index.ts';
import { proofsDirectory, readWhole } from './files.ts';

export const timeStampsPath = `${proofsDirectory}/timestamps`;

const chunkBytes = 1 << 18;
/** A token has 256 KiB at most: no line of ours is longer. */
const lineBytesMax = 1 << 19;
const newline = 10;

interface Place {
  readonly size: number;
  readonly offset: number;
  readonly length: number;
}

export class TimeStampFile {
  readonly #disk: Disk;
  #places: Place[] = [];
  /** Behind the last whole line. */
  #end = 0;

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Sizes of checkpoints that have time stamps, in the order in which those came; a size stands once for each. */
  sizes(): number[] {
    this.#read();
    return this.#places.map(({ size }) => size);
  }

  /** The tokens, in DER, of the checkpoint of this size. */
  of(size: number): Uint8Array[] {
    this.#read();
    const places = this.#places.filter((place) => place.size === size);
    if (places.length === 0) return [];
    return this.#with((file) =>
      places.flatMap(({ offset, length }) => {
        const token = tokenIn(lineAt(file, offset, length));
        return token === undefined ? [] : [token];
      }),
    );
  }

  /** Adds a token. Throws what the disk throws. */
  add(size: number, token: Uint8Array): void {
    this.#read();
    const line = utf8Encode(`${size} ${toBase64(token)}\n`);
    const isNew = !this.#disk.exists(timeStampsPath);
    if (isNew) this.#disk.makeDirectory(proofsDirectory);
    const file = this.#disk.open(timeStampsPath, isNew ? 'create' : 'readwrite');
    try {
      file.truncate(this.#end);
      file.write(line, this.#end);
      file.flush();
    } finally {
      file.close();
    }
    if (isNew) this.#disk.flushDirectory(proofsDirectory);
    this.#places.push({ size, offset: this.#end, length: line.length - 1 });
    this.#end += line.length;
  }

  /** Finds the lines that were added since. */
  #read(): void {
    if (!this.#disk.exists(timeStampsPath)) return;
    this.#with((file) => {
      const chunk = new Uint8Array(chunkBytes);
      let start = this.#end;
      for (let at = start; at - start <= lineBytesMax;) {
        const count = file.read(chunk, at);
        if (count === 0) return;
        for (let index = 0; index < count; index++) {
          if (chunk[index] !== newline) continue;
          this.#note(file, start, at + index - start);
          start = at + index + 1;
        }
        at += count;
        this.#end = start;
      }
    });
  }

  #note(file: DiskFile, offset: number, length: number): void {
    const size =
      length > lineBytesMax ? undefined : sizeIn(lineAt(file, offset, Math.min(length, 20)));
    if (size !== undefined) this.#places.push({ size, offset, length });
  }

  #with<T>(work: (file: DiskFile) => T): T {
    const file = this.#disk.open(timeStampsPath, 'read');
    try {
      return work(file);
    } finally {
      file.close();
    }
  }
}

function lineAt(file: DiskFile, offset: number, length: number): string {
  const bytes = new Uint8Array(length);
  return utf8Text(bytes.subarray(0, file.read(bytes, offset)));
}

function utf8Text(bytes: Uint8Array): string {
  try {
    return utf8Decode(bytes);
  } catch {
    return '';
  }
}

function sizeIn(line: string): number | undefined {
  const [, size] = /^(0|[1-9][0-9]{0,15}) /.exec(line) ?? [];
  return size === undefined ? undefined : Number(size);
}

function tokenIn(line: string): Uint8Array | undefined {
  return fromBase64(line.slice(line.indexOf(' ') + 1));
}

/** The lines of a disk's file that are of checkpoints of at most `leafCount` events; undefined where there are none. */
export function timeStampLinesTo(disk: Disk, leafCount: number): Uint8Array | undefined {
  const bytes = readWhole(disk, timeStampsPath) ?? new Uint8Array();
  const kept: Uint8Array[] = [];
  for (let offset = 0, end = 0; (end = bytes.indexOf(newline, offset)) >= 0; offset = end + 1) {
    const head = utf8Text(bytes.subarray(offset, Math.min(end, offset + 20)));
    if ((sizeIn(head) ?? Number.POSITIVE_INFINITY) <= leafCount) {
      kept.push(bytes.subarray(offset, end + 1));
    }
  }
  return kept.length === 0 ? undefined : concatBytes(...kept);
}
