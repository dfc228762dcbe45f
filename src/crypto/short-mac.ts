import { assert } from '../base/index.ts';
import { digestBytes, sha256Into } from './hash.ts';

const blockBytes = 64;
const innerPad = 0x36;
const outerPad = 0x5c;

/** Where a message stands; without either, from the beginning and to the end. */
export interface ByteRange {
  readonly start?: number;
  readonly end?: number;
}

const whole: ByteRange = {};

/**
 * HMAC-SHA256 of many short messages: two plain hashes each, which is several times quicker than setting up an HMAC
 * object. One object serves many keys, one after the other.
 */
export class ShortMac {
  #inner = new Uint8Array(blockBytes + 256);
  /** Views of `#inner`, by length of the message: a view costs more than the copy of a short one. */
  #views: (Uint8Array | undefined)[] = [];
  readonly #outer = new Uint8Array(blockBytes + digestBytes);

  /** Takes another key of 32 bytes, which stays the caller's. */
  setKey(key: Uint8Array): void {
    assert(key.length === digestBytes, 'a key has 32 bytes');
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

  /** Overwrites the key and what is left of messages. */
  wipe(): void {
    this.#inner.fill(0);
    this.#outer.fill(0);
  }

  #grow(length: number): void {
    const grown = new Uint8Array(length);
    grown.set(this.#inner.subarray(0, blockBytes));
    this.#inner.fill(0);
    this.#inner = grown;
    this.#views = [];
  }
}
