/**
 * The bytes of a simulated file: what reads see, what is durable, and the way from one to the other.
 *
 * Invariants
 * - `durable` changes only by `commit`; applying all of `pending` to it, in order, gives what reads
 *   see, unless a flush failed.
 * - A sector is atomic. A pending write holds its sectors as they were in memory after it, as a page
 *   cache would write them out: a sector after a crash is one that was, never a mixture.
 * - The size is metadata and changes in order: after a crash it is one that the file had, while each
 *   sector goes its own way. A sector inside the size that was never written reads as zeros.
 */
import { assert } from '../base/index.ts';
import type { CrashDice } from './crash-dice.ts';
import { SparseBytes } from './sparse-bytes.ts';

const sectorSizeBytes = 512;

interface PendingWrite {
  readonly kind: 'write';
  readonly sequence: number;
  /** A multiple of the sector size. */
  readonly offset: number;
  /** Whole sectors. */
  readonly bytes: Uint8Array;
}
interface PendingSize {
  readonly kind: 'size';
  readonly sequence: number;
  readonly sizeBytes: number;
}
type Pending = PendingWrite | PendingSize;

export class FileNode {
  readonly kind = 'file';
  readonly #cached: SparseBytes;
  readonly #durable: SparseBytes;
  #pending: Pending[] = [];
  #sequence = 0;

  /** A file whose `content` is durable. */
  constructor(content: Uint8Array) {
    this.#cached = new SparseBytes(content);
    this.#durable = new SparseBytes(content);
  }

  get sizeBytes(): number {
    return this.#cached.sizeBytes;
  }

  /** The number of the newest change, for `commit` and `drop`. */
  get sequence(): number {
    return this.#sequence;
  }

  read(target: Uint8Array, offset: number): number {
    return this.#cached.read(target, offset);
  }

  write(bytes: Uint8Array, offset: number): void {
    if (bytes.length === 0) return;
    const end = offset + bytes.length;
    if (end > this.#cached.sizeBytes) this.truncate(end);
    this.#cached.put(bytes, offset);
    const first = Math.floor(offset / sectorSizeBytes) * sectorSizeBytes;
    const last = Math.ceil(end / sectorSizeBytes) * sectorSizeBytes;
    const sectors = this.#cached.copy(first, last);
    this.#pending.push({
      kind: 'write',
      sequence: ++this.#sequence,
      offset: first,
      bytes: sectors,
    });
  }

  truncate(sizeBytes: number): void {
    this.#cached.resize(sizeBytes);
    this.#pending.push({ kind: 'size', sequence: ++this.#sequence, sizeBytes });
  }

  /** A flush succeeded: changes up to number `through` are durable. */
  commit(through: number): void {
    const rest: Pending[] = [];
    for (const change of this.#pending) {
      if (change.sequence > through) rest.push(change);
      else if (change.kind === 'size') this.#durable.resize(change.sizeBytes);
      else this.#durable.put(change.bytes, change.offset);
    }
    assert(rest.length === 0 || through < this.#sequence, 'a flush of everything leaves nothing');
    this.#pending = rest;
  }

  /**
   * A flush failed: writes up to number `through` will never reach the disk. Reads go on seeing
   * them, as on Linux, where the pages stay in memory, marked clean. Only a later write to the same
   * sector takes it to the disk. Sizes stay pending: they are the journal's.
   */
  drop(through: number): void {
    this.#pending = this.#pending.filter(
      (change) => change.kind === 'size' || change.sequence > through,
    );
  }

  content(): Uint8Array {
    return this.#cached.copy(0, this.#cached.sizeBytes);
  }

  durableContent(): Uint8Array {
    return this.#durable.copy(0, this.#durable.sizeBytes);
  }

  /** One of the contents that a crash now may leave behind. Changes nothing. */
  contentAfterCrash(dice: CrashDice): Uint8Array {
    const content = new SparseBytes(this.durableContent());
    let sizesGoOn = true;
    for (const change of this.#pending) {
      if (change.kind === 'size') {
        sizesGoOn &&= dice.keeps();
        if (sizesGoOn) content.resize(change.sizeBytes);
      } else {
        applyTorn(content, change, dice);
      }
    }
    return content.copy(0, content.sizeBytes);
  }
}

function applyTorn(content: SparseBytes, write: PendingWrite, dice: CrashDice): void {
  const fate = dice.fate();
  if (fate === 'lost') return;
  if (fate === 'applied') {
    content.put(write.bytes, write.offset);
    return;
  }
  for (let start = 0; start < write.bytes.length; start += sectorSizeBytes) {
    if (!dice.keepsSector()) continue;
    content.put(write.bytes.subarray(start, start + sectorSizeBytes), write.offset + start);
  }
}
