import { assert, type StoreKey } from '../base/index.ts';

/** 64 bits that nobody outside can know: without them, keys that collide cannot be made up. */
export interface HashSeed {
  readonly low: number;
  readonly high: number;
}

/** The seed that eight random bytes make. */
export function hashSeedOf(bytes: Uint8Array): HashSeed {
  assert(bytes.length === 8, 'a hash seed has 8 bytes');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { low: view.getInt32(0, true), high: view.getInt32(4, true) };
}

/**
 * HalfSipHash-1-3 over the bytes of keys (Aumasson and Bernstein, "SipHash: a fast short-input PRF"; the
 * 32-bit variant), seeded, because clients choose the keys. It keeps the last result: a write asks for the
 * same key several times.
 */
export class KeyHasher {
  readonly #seed: HashSeed;
  #lastKey = '' as StoreKey;
  #lastHash: number;

  constructor(seed: HashSeed) {
    this.#seed = { low: seed.low | 0, high: seed.high | 0 };
    this.#lastHash = sipHash(this.#lastKey, this.#seed);
  }

  hash(key: StoreKey): number {
    if (key === this.#lastKey) return this.#lastHash;
    this.#lastHash = sipHash(key, this.#seed);
    this.#lastKey = key;
    return this.#lastHash;
  }
}

function sipHash(key: StoreKey, seed: HashSeed): number {
  const length = key.length;
  let v0 = seed.low;
  let v1 = seed.high;
  let v2 = 0x6c79_6765 ^ seed.low;
  let v3 = 0x7465_6462 ^ seed.high;
  let word = 0;
  // The words of the key; then the rest with the length; then the three rounds that finish.
  for (let at = 0, finished = -1; finished < 3; at += 4) {
    if (finished >= 0) word = 0;
    else if (at + 4 <= length) word = wordAt(key, at);
    else word = lastWord(key, at);
    if (finished === 0) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
    if (finished >= 0 || at + 4 > length) finished += 1;
  }
  return v1 ^ v3;
}

function wordAt(key: StoreKey, at: number): number {
  return (
    key.charCodeAt(at) |
    (key.charCodeAt(at + 1) << 8) |
    (key.charCodeAt(at + 2) << 16) |
    (key.charCodeAt(at + 3) << 24)
  );
}

function lastWord(key: StoreKey, start: number): number {
  let word = key.length << 24;
  for (let at = start; at < key.length; at++) word |= key.charCodeAt(at) << ((at - start) * 8);
  return word;
}

const slotsMin = 16;

/**
 * A hash map of keys that finds out in one memory access that a key is absent, which every insert asks.
 * (The language's own Map follows a chain of strings for that, each of them somewhere else in memory.)
 *
 * Invariants: `#slots` holds hash and number + 1 of each entry where linear probing from its hash finds it,
 * and is at most half full; a deleted key keeps its entry, without a value, until `clear`.
 */
export class KeyTable<V extends object> {
  readonly #hasher: KeyHasher;
  #slots = new Int32Array(2 * slotsMin);
  #keys: StoreKey[] = [];
  #values: (V | undefined)[] = [];
  #size = 0;

  constructor(hasher: KeyHasher) {
    this.#hasher = hasher;
  }

  get size(): number {
    return this.#size;
  }

  get(key: StoreKey): V | undefined {
    const entry = this.#slots[this.#slotOf(key) + 1] as number;
    return entry === 0 ? undefined : this.#values[entry - 1];
  }

  set(key: StoreKey, value: V): void {
    const slot = this.#slotOf(key);
    const entry = this.#slots[slot + 1] as number;
    if (entry > 0) {
      if (this.#values[entry - 1] === undefined) this.#size += 1;
      this.#values[entry - 1] = value;
      return;
    }
    this.#keys.push(key);
    this.#values.push(value);
    this.#size += 1;
    this.#slots[slot] = this.#hasher.hash(key);
    this.#slots[slot + 1] = this.#keys.length;
    if (this.#keys.length * 4 > this.#slots.length) this.#grow();
  }

  delete(key: StoreKey): boolean {
    const entry = this.#slots[this.#slotOf(key) + 1] as number;
    if (entry === 0 || this.#values[entry - 1] === undefined) return false;
    this.#values[entry - 1] = undefined;
    this.#size -= 1;
    return true;
  }

  clear(): void {
    this.#slots = new Int32Array(2 * slotsMin);
    this.#keys = [];
    this.#values = [];
    this.#size = 0;
  }

  *keys(): Generator<StoreKey, undefined> {
    for (let index = 0; index < this.#keys.length; index++) {
      if (this.#values[index] !== undefined) yield this.#keys[index] as StoreKey;
    }
    return undefined;
  }

  /** Where the key's slot is, or the free one it would take. */
  #slotOf(key: StoreKey): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const hash = this.#hasher.hash(key);
    for (let slot = (hash << 1) & mask; ; slot = (slot + 2) & mask) {
      const entry = slots[slot + 1] as number;
      if (entry === 0 || (slots[slot] === hash && this.#keys[entry - 1] === key)) return slot;
    }
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Int32Array(old.length * 2);
    const mask = slots.length - 1;
    for (let at = 0; at < old.length; at += 2) {
      if (old[at + 1] === 0) continue;
      let slot = ((old[at] as number) << 1) & mask;
      while (slots[slot + 1] !== 0) slot = (slot + 2) & mask;
      slots[slot] = old[at] as number;
      slots[slot + 1] = old[at + 1] as number;
    }
    assert(this.#keys.length * 4 <= slots.length, 'a table is at most half full');
    this.#slots = slots;
  }
}
