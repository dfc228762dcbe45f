import { assert, firstNonZero, VerityError, type DiskFile } from '../base/index.ts';
import { simulatedFailure, SimulatedCrash, type CallKind, type Verdict } from './faults.ts';
import type { FileNode } from './file-node.ts';
import type { Lie } from './lies.ts';

/** What an open file needs of its disk. */
export interface FileHost {
  isDead(): boolean;
  /** Counts the call and says what is to happen to it. Throws SimulatedCrash on a dead disk. */
  verdict(kind: CallKind, path: string): Verdict;
  /** Stops the machine: throws SimulatedCrash. */
  die(): never;
  /** A seeded number in [0, bound). */
  below(bound: number): number;
  freeBytes(): number;
  /** Lets the time pass that a flush takes its caller. */
  block(): void;
  /** Counts a write that makes its file grow; true if it is refused. */
  refusesGrowth(): boolean;
  /** The lie that the disk tells about the write that was counted last. */
  lieAbout(node: FileNode, path: string, lengthBytes: number): Lie | undefined;
  wrote(node: FileNode, path: string, lie: Lie | undefined): void;
  flushed(node: FileNode, through: number): void;
  /** Calls back when a background flush ends. */
  complete(callback: () => void): void;
}

export class SimFile implements DiskFile {
  readonly path: string;
  readonly #host: FileHost;
  readonly #node: FileNode;
  readonly #isWritable: boolean;
  #isOpen = true;
  #isFlushing = false;

  constructor(
    host: FileHost,
    node: FileNode,
    options: { readonly path: string; readonly isWritable: boolean },
  ) {
    this.#host = host;
    this.#node = node;
    this.path = options.path;
    this.#isWritable = options.isWritable;
  }

  sizeBytes(): number {
    this.#pass('sizeBytes');
    return this.#node.sizeBytes;
  }

  read(target: Uint8Array, offset: number): number {
    assertOffset(offset);
    this.#pass('read');
    return this.#node.read(target, offset);
  }

  /** A write that crashes, fails or finds the disk full may have written a part, from the start. */
  write(bytes: Uint8Array, offset: number): void {
    assertOffset(offset);
    this.#assertWritable('write');
    const verdict = this.#verdict('write');
    if (verdict !== 'pass') {
      this.#node.write(bytes.subarray(0, this.#host.below(bytes.length + 1)), offset);
      if (verdict === 'crash') this.#host.die();
      throw verdict;
    }
    const grows = offset + bytes.length > this.#node.sizeBytes;
    if (grows && this.#host.refusesGrowth())
      throw simulatedFailure('DISK_FULL', 'write', this.path);
    const room = this.#roomAt(offset);
    const lie = this.#host.lieAbout(this.#node, this.path, bytes.length);
    this.#node.write(bytes.subarray(0, room), offset, lie);
    // Zeros only make room: nothing can be learnt from them.
    if (lie !== undefined || firstNonZero(bytes) !== -1)
      this.#host.wrote(this.#node, this.path, lie);
    if (room < bytes.length) throw simulatedFailure('DISK_FULL', 'write', this.path);
  }

  flush(): void {
    const verdict = this.#verdict('flush');
    if (verdict === 'crash') this.#host.die();
    this.#host.block();
    if (verdict === 'pass') {
      this.#host.flushed(this.#node, this.#node.sequence);
      this.#node.commit(this.#node.sequence);
      return;
    }
    this.#node.drop(this.#node.sequence);
    throw verdict;
  }

  flushInBackground(): Promise<void> {
    assert(!this.#isFlushing, 'at most one flush of a file runs in the background');
    const through = this.#node.sequence;
    let failure: VerityError | undefined;
    try {
      const verdict = this.#verdict('flushInBackground');
      if (verdict === 'crash') this.#host.die();
      if (verdict !== 'pass') failure = verdict;
    } catch (error) {
      return Promise.reject(error);
    }
    if (failure !== undefined) this.#node.drop(through);
    this.#isFlushing = true;
    return new Promise((resolve, reject) => {
      this.#host.complete(() => {
        this.#isFlushing = false;
        if (this.#host.isDead()) {
          reject(new SimulatedCrash());
        } else if (failure === undefined) {
          this.#host.flushed(this.#node, through);
          this.#node.commit(through);
          resolve();
        } else {
          reject(failure);
        }
      });
    });
  }

  truncate(sizeBytes: number): void {
    assertOffset(sizeBytes);
    this.#assertWritable('truncate');
    const verdict = this.#verdict('truncate');
    if (verdict instanceof VerityError) throw verdict;
    if (sizeBytes > this.#node.sizeBytes + this.#host.freeBytes()) {
      throw simulatedFailure('DISK_FULL', 'truncate', this.path);
    }
    this.#node.truncate(sizeBytes);
    if (verdict === 'crash') this.#host.die();
  }

  close(): void {
    const verdict = this.#verdict('close');
    this.#isOpen = false;
    if (verdict === 'crash') this.#host.die();
    if (verdict !== 'pass') throw verdict;
  }

  /** How many bytes from `offset` on the disk has room for. */
  #roomAt(offset: number): number {
    return Math.max(0, this.#node.sizeBytes + this.#host.freeBytes() - offset);
  }

  #verdict(kind: CallKind): Verdict {
    assert(this.#isOpen || this.#host.isDead(), 'a file is used only while it is open');
    return this.#host.verdict(kind, this.path);
  }

  #pass(kind: CallKind): void {
    const verdict = this.#verdict(kind);
    if (verdict === 'crash') this.#host.die();
    if (verdict !== 'pass') throw verdict;
  }

  #assertWritable(what: string): void {
    if (!this.#isWritable) throw simulatedFailure('READ_ONLY', what, this.path);
  }
}

function assertOffset(offset: number): void {
  assert(
    Number.isSafeInteger(offset) && offset >= 0,
    'an offset in a file is a whole number from 0',
  );
}
