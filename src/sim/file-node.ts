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
 * - Once the medium has been damaged (a rotten bit, a write that went elsewhere) `honest` says what would be
 *   durable on a good one; both then take every later change.
 */
import { assert, equalBytes } from '../base/index.ts';
import type { CrashDice } from './crash-dice.ts';
import type { Lie } from './lies.ts';
import { SparseBytes } from './sparse-bytes.ts';

const sectorSizeBytes = 512;

interface PendingWrite {
  readonly kind: 'write';
  readonly sequence: number;
  /** A multiple of the sector size. */
  readonly offset: number;
  /** Whole sectors. */
  readonly bytes: Uint8Array;
  /** The part of `bytes` that was written; the rest is what memory held. */
  readonly from: number;
  readonly to: number;
  /** The medium will not take it here, whatever a flush says. */
  readonly lie: Lie | undefined;
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
  /** What would be durable if the medium had not been damaged; undefined while it has not. */
  #honest: SparseBytes | undefined;
  #pending: Pending[] = [];
  #sequence = 0;

  /** A file whose `content` is durable, and would be `honest` on a good medium. */
  constructor(content: Uint8Array, honest?: Uint8Array) {
    this.#cached = new SparseBytes(content);
    this.#durable = new SparseBytes(content);
    if (honest !== undefined) this.#honest = new SparseBytes(honest);
  }

  /** Whether what is durable is not what flushes have promised. */
  get isDamaged(): boolean {
    return this.#honest !== undefined && !equalBytes(this.honestContent(), this.durableContent());
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

  /** Writes into memory. With `lie` no flush will take the bytes to their place. */
  write(bytes: Uint8Array, offset: number, lie?: Lie): void {
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
      from: offset - first,
      to: end - first,
      lie,
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
      else if (change.kind === 'size') this.#resize(change.sizeBytes);
      else if (change.lie === undefined) this.#put(change);
      else this.#deceive(change, change.lie);
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

  /** Flips the bits of `mask` in a byte that no unsynced write covers; false where there is none. */
  rot(offset: number, mask: number): boolean {
    const isCovered = this.#pending.some(
      (change) =>
        change.kind === 'size' ||
        (offset >= change.offset && offset < change.offset + change.bytes.length),
    );
    if (isCovered || offset >= this.#durable.sizeBytes) return false;
    this.#honestBytes();
    for (const bytes of [this.#durable, this.#cached]) {
      const byte = bytes.copy(offset, offset + 1);
      bytes.put(Uint8Array.of((byte[0] as number) ^ mask), offset);
    }
    return true;
  }

  /** A write for another place arrives here. Memory goes on showing what was here before. */
  strike(bytes: Uint8Array, offset: number): void {
    this.#honestBytes();
    const room = Math.max(0, this.#durable.sizeBytes - offset);
    this.#durable.put(bytes.subarray(0, room), offset);
  }

  content(): Uint8Array {
    return this.#cached.copy(0, this.#cached.sizeBytes);
  }

  durableContent(): Uint8Array {
    return this.#durable.copy(0, this.#durable.sizeBytes);
  }

  /** What would be durable if the medium had not been damaged. */
  honestContent(): Uint8Array {
    const honest = this.#honest ?? this.#durable;
    return honest.copy(0, honest.sizeBytes);
  }

  /** A file with one of the contents that a crash now may leave behind. Changes nothing here. */
  afterCrash(dice: CrashDice): FileNode {
    const content = new SparseBytes(this.durableContent());
    const honest = new SparseBytes(this.honestContent());
    let sizesGoOn = true;
    for (const change of this.#pending) {
      if (change.kind === 'size') {
        sizesGoOn &&= dice.keeps();
        if (sizesGoOn) for (const bytes of [content, honest]) bytes.resize(change.sizeBytes);
      } else if (change.lie === undefined) {
        applyTorn({ content, honest }, change, dice);
      }
    }
    return new FileNode(
      content.copy(0, content.sizeBytes),
      this.#honest === undefined ? undefined : honest.copy(0, honest.sizeBytes),
    );
  }

  #honestBytes(): SparseBytes {
    this.#honest ??= new SparseBytes(this.durableContent());
    return this.#honest;
  }

  #resize(sizeBytes: number): void {
    this.#durable.resize(sizeBytes);
    this.#honest?.resize(sizeBytes);
  }

  #put(write: PendingWrite): void {
    this.#durable.put(write.bytes, write.offset);
    if (this.#honest !== undefined) putWritten(this.#honest, write);
  }

  #deceive(write: PendingWrite, lie: Lie): void {
    putWritten(this.#honestBytes(), write);
    lie.target?.node.strike(write.bytes, lie.target.offset);
  }
}

/** Only what was written: memory around it may hold rotten bits. Of the sectors from `start` to `end` of the write. */
function putWritten(
  honest: SparseBytes,
  { bytes, offset, from, to }: PendingWrite,
  start = 0,
  end = bytes.length,
): void {
  const first = Math.max(from, start);
  const last = Math.min(to, end);
  if (first < last) honest.put(bytes.subarray(first, last), offset + first);
}

function applyTorn(
  { content, honest }: { readonly content: SparseBytes; readonly honest: SparseBytes },
  write: PendingWrite,
  dice: CrashDice,
): void {
  const fate = dice.fate();
  if (fate === 'lost') return;
  const { bytes, offset } = write;
  for (let start = 0; start < bytes.length; start += sectorSizeBytes) {
    if (fate !== 'applied' && !dice.keepsSector()) continue;
    content.put(bytes.subarray(start, start + sectorSizeBytes), offset + start);
    putWritten(honest, write, start, start + sectorSizeBytes);
  }
}
