import { assert } from '../base/index.ts';
import { digestBytes, sha256Into } from './hash.ts';
import { laneMessageBytesMax, type Sha256Lanes, sha256Lanes } from './sha256-lanes.ts';

const blockBytes = 64;
const innerPad = 0x36;
const outerPad = 0x5c;

/** Where a message stands; without either, from the beginning and to the end. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

const whole: ByteRange = {};

/** Made at a stretch, when they can wait for one another. */
const waitingMax = 256;

/**
 * HMAC-SHA256 of many short messages: two plain hashes each, which is several times quicker than setting up an HMAC
 * object. One object serves many keys, one after the other.
 */
export class ShortMac {
  #inner = new Uint8Array(blockBytes + 256);
  #innerBlock = this.#inner.subarray(0, blockBytes);
  /** Views of `#inner`, by length of the message: a view costs more than the copy of a short one. */
  #views: (Uint8Array | undefined)[] = [];
  readonly #outer = new Uint8Array(blockBytes + digestBytes);
  readonly #outerBlock = this.#outer.subarray(0, blockBytes);
  /** What `macLater` has begun: where the MACs go, and the batch that the messages are in. */
  #lanes: Sha256Lanes | undefined;
  #target: Uint8Array | undefined;
  readonly #offsets = new Int32Array(waitingMax);

  /** Takes another key of 32 bytes, which stays the caller's. */
  setKey(key: Uint8Array): void {
    assert(key.length === digestBytes, 'a key has 32 bytes');
    assert(this.#target === undefined, 'MACs that were begun are finished under their key');
    this.#inner.fill(innerPad, 0, blockBytes);
    this.#outer.fill(outerPad, 0, blockBytes);
    for (let index = 0; index < digestBytes; index++) {
      const byte = key[index] as number;
      this.#inner[index] = byte ^ innerPad;
      this.#outer[index] = byte ^ outerPad;
    }
  }

  /** Writes the MAC of the bytes of `source` from `start` to before `end` into `target` at `offset` (32 bytes). */
  macInto(
    target: Uint8Array,
    offset: number,
    source: Uint8Array,
    { start = 0, end = source.length } = whole,
  ): void {
    const length = end - start;
    if (blockBytes + length > this.#inner.length) this.#grow(2 * (blockBytes + length));
    const inner = this.#inner;
    if (length <= 32)
      for (let index = 0; index < length; index++)
        inner[blockBytes + index] = source[start + index] as number;
    else inner.set(source.subarray(start, end), blockBytes);
    const view = (this.#views[length] ??= inner.subarray(0, blockBytes + length));
    sha256Into(this.#outer, blockBytes, view);
    sha256Into(target, offset, this.#outer);
  }

  /**
   * As `macInto`, but the MAC is there after `finish` only: several are made side by side, in a third of the time. Until then
   * `target` must be the same, the key too, and nobody on this turn may use `sha256Lanes`.
   */
  macLater(
    target: Uint8Array,
    offset: number,
    source: Uint8Array,
    range: Required<ByteRange>,
  ): void {
    const { start, end } = range;
    const length = blockBytes + end - start;
    if (length > laneMessageBytesMax) return this.macInto(target, offset, source, range);
    if (this.#target === undefined) {
      this.#lanes = sha256Lanes();
      this.#target = target;
    }
    const lanes = this.#lanes as Sha256Lanes;
    assert(this.#target === target, 'MACs made side by side go to one place');
    const at = lanes.add(length);
    const { bytes } = lanes;
    bytes.set(this.#innerBlock, at);
    for (let from = start, to = at + blockBytes; from < end; from++, to++)
      bytes[to] = source[from] as number;
    this.#offsets[lanes.count - 1] = offset;
    if (lanes.count === waitingMax) this.finish();
  }

  /** Writes the MACs that `macLater` has begun. */
  finish(): void {
    const target = this.#target;
    const lanes = this.#lanes as Sha256Lanes;
    if (target === undefined) return;
    this.#target = undefined;
    const { bytes, digests, count } = lanes;
    lanes.run();
    for (let from = 0; from < count * digestBytes; from += digestBytes) {
      const at = lanes.add(blockBytes + digestBytes);
      bytes.set(this.#outerBlock, at);
      for (let byte = 0; byte < digestBytes; byte++)
        bytes[at + blockBytes + byte] = digests[from + byte] as number;
    }
    lanes.run();
    for (let number = 0; number < count; number++) {
      const from = number * digestBytes;
      const to = this.#offsets[number] as number;
      for (let byte = 0; byte < digestBytes; byte++)
        target[to + byte] = digests[from + byte] as number;
    }
    lanes.wipe();
  }

  /** Overwrites the key and what is left of messages. */
  wipe(): void {
    this.#target = undefined;
    this.#lanes?.wipe();
    this.#inner.fill(0);
    this.#outer.fill(0);
  }

  #grow(length: number): void {
    const grown = new Uint8Array(length);
    grown.set(this.#inner.subarray(0, blockBytes));
    this.#inner.fill(0);
    this.#inner = grown;
    this.#innerBlock = grown.subarray(0, blockBytes);
    this.#views = [];
  }
}
