/**
 * SHA-256 of many short messages at once: four side by side in WebAssembly's vectors, one behind the other where there are
 * none. Up to three blocks (183 bytes) it takes a half to two thirds of the time of `crypto.hash`, which has the processor's own
 * instructions and wins from five blocks on (docs/BENCHMARKS.md).
 */
import { hash } from 'node:crypto';
import { assert } from '../base/index.ts';
import { digestBytes } from './hash.ts';
import { laneMemory, lanesModule, roundConstants } from './sha256-lanes-module.ts';

/** What of WebAssembly is used here: neither Node's types nor the language's have it. */
interface WebAssemblyLike {
  Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (
    module: object,
    imports: { a: { m: object } },
  ) => { readonly exports: { readonly r: (count: number) => void } };
}

declare const WebAssembly: WebAssemblyLike | undefined;

const pageBytes = 65_536;
/** Messages begin three bytes behind a word, so that hashes behind a first byte lie on words. */
const messagesAt = laneMemory.messages + 3;
const messagesBytes = laneMemory.pages * pageBytes - messagesAt;
/** Longer messages are no faster here. */
export const laneMessageBytesMax = 183;
/** Lanes that stay empty cost as much as full ones: two messages are hashed one behind the other. */
const messagesMin = 3;
export const digestWords = digestBytes / 4;
const leafMessageBytes = 1 + digestBytes;
const nodeMessageBytes = 1 + 2 * digestBytes;

/**
 * A batch of messages. `add` makes room for one, which the caller then writes into `bytes`; `run` hashes all of them, and the digest of
 * the n-th (from 0) is in `digests` from 32 n on until the next `run`. The messages are no longer there to be read then.
 */
export class Sha256Lanes {
  readonly bytes: Uint8Array;
  readonly digests: Uint8Array;
  readonly #jobs: Uint32Array;
  /** All memory: what is written by words costs a quarter. */
  readonly #words: Uint32Array;
  readonly #hashAll: ((count: number) => void) | undefined;
  /** Views of the first message by its length: one costs more than hashing it. */
  readonly #firstViews: (Uint8Array | undefined)[] = [];
  #count = 0;
  #end = 0;
  /** How much of `bytes` and of `digests` was written since the last wipe. */
  #bytesTouched = 0;
  #digestsTouched = 0;

  /** `vectors: false` hashes one message behind the other, as where WebAssembly has no vectors. */
  constructor({ vectors = true }: { readonly vectors?: boolean } = {}) {
    const made = vectors ? instantiate() : undefined;
    const memory = made?.memory ?? new ArrayBuffer(laneMemory.pages * pageBytes);
    this.bytes = new Uint8Array(memory, messagesAt, messagesBytes);
    this.#words = new Uint32Array(memory);
    this.digests = new Uint8Array(memory, laneMemory.digests, laneMemory.jobsMax * digestBytes);
    this.#jobs = new Uint32Array(memory, laneMemory.jobs, laneMemory.jobsMax * 2);
    this.#hashAll = made?.hashAll;
  }

  /** Whether four messages are hashed at a time. */
  get hasVectors(): boolean {
    return this.#hashAll !== undefined;
  }

  /** Messages added since the last `run`. */
  get count(): number {
    return this.#count;
  }

  /** Whether there is room for another message of this length. */
  hasRoom(length: number): boolean {
    return this.#count < laneMemory.jobsMax && paddedEnd(this.#end, length) <= messagesBytes;
  }

  /** Makes room for a message of `length` bytes; returns where in `bytes` it begins. There must be room. */
  add(length: number): number {
    assert(this.hasRoom(length), 'a batch has room for what is added');
    const at = this.#end;
    const job = this.#count * 2;
    this.#jobs[job] = messagesAt + at;
    this.#jobs[job + 1] = length;
    this.#count += 1;
    this.#end = paddedEnd(at, length);
    return at;
  }

  /** Adds the Merkle leaf (RFC 6962) over the 32 bytes of `hashes` from word `at` on. */
  addLeaf(hashes: Uint32Array, at: number): void {
    const to = this.add(leafMessageBytes);
    this.bytes[to] = 0;
    this.#copyHash(hashes, at, to + 1);
  }

  /** Adds the Merkle node over the hashes that begin at words `left` and `right`. */
  addNode(hashes: Uint32Array, left: number, right: number): void {
    const to = this.add(nodeMessageBytes);
    this.bytes[to] = 1;
    this.#copyHash(hashes, left, to + 1);
    this.#copyHash(hashes, right, to + 1 + digestBytes);
  }

  #copyHash(hashes: Uint32Array, from: number, to: number): void {
    const words = this.#words;
    const at = (messagesAt + to) >> 2;
    for (let word = 0; word < digestWords; word++) words[at + word] = hashes[from + word] as number;
  }

  /** Copies the digest of message `number` of the last `run` into `target` from word `at` on. */
  digestInto(target: Uint32Array, at: number, number: number): void {
    const words = this.#words;
    const from = (laneMemory.digests >> 2) + number * digestWords;
    for (let word = 0; word < digestWords; word++) target[at + word] = words[from + word] as number;
  }

  /** Hashes what was added, and forgets it. */
  run(): void {
    const count = this.#count;
    if (count === 0) return;
    if (this.#hashAll !== undefined && count >= messagesMin) this.#hashAll(count);
    else this.#hashEach(count);
    this.#bytesTouched = Math.max(this.#bytesTouched, this.#end);
    this.#digestsTouched = Math.max(this.#digestsTouched, count * digestBytes);
    this.#count = 0;
    this.#end = 0;
  }

  /** Forgets what was added and not run: whoever begins a batch that is shared does so with this. */
  drop(): void {
    this.#bytesTouched = Math.max(this.#bytesTouched, this.#end);
    this.#count = 0;
    this.#end = 0;
  }

  /** Overwrites all messages and digests; for batches of secrets. Drops what was added. */
  wipe(): void {
    this.drop();
    this.bytes.fill(0, 0, this.#bytesTouched);
    this.digests.fill(0, 0, this.#digestsTouched);
    this.#bytesTouched = 0;
    this.#digestsTouched = 0;
  }

  #hashEach(count: number): void {
    for (let index = 0; index < count; index++) {
      const at = (this.#jobs[index * 2] as number) - messagesAt;
      const length = this.#jobs[index * 2 + 1] as number;
      const message =
        at === 0 && length <= laneMessageBytesMax
          ? (this.#firstViews[length] ??= this.bytes.subarray(0, length))
          : this.bytes.subarray(at, at + length);
      const digest = hash('sha256', message, 'binary');
      const to = index * digestBytes;
      for (let byte = 0; byte < digestBytes; byte++)
        this.digests[to + byte] = digest.charCodeAt(byte);
    }
  }
}

/** Behind a message come a byte 80 and eight bytes of length, and zeros up to a whole block. */
function paddedEnd(at: number, length: number): number {
  return at + Math.ceil((length + 9) / 64) * 64;
}

/** Undefined where WebAssembly or its vectors are missing. */
function instantiate(): { memory: ArrayBuffer; hashAll: (count: number) => void } | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  try {
    const { pages } = laneMemory;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const module = new WebAssembly.Module(lanesModule());
    const { r: hashAll } = new WebAssembly.Instance(module, { a: { m: memory } }).exports;
    const constants = new Uint32Array(memory.buffer, laneMemory.constants, 4 * 64);
    for (const [index, constant] of roundConstants.entries())
      constants.fill(constant, index * 4, index * 4 + 4);
    return { memory: memory.buffer, hashAll };
  } catch {
    // No vectors here, or nobody may compile: as before, then.
    return undefined;
  }
}

let shared: Sha256Lanes | undefined;

/**
 * The one batch of this thread, empty, made at its first use. Whoever asks for it runs it, and reads the digests, before
 * anybody else can.
 */
export function sha256Lanes(): Sha256Lanes {
  shared ??= new Sha256Lanes();
  shared.drop();
  return shared;
}
