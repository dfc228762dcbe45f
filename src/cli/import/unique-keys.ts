import { randomInt } from 'node:crypto';

const capacityMin = 1 << 12;
/** A slot holds hash + 1, so that 0 means empty. */
const empty = 0;

/**
 * Notices keys that may have been seen before, in 8 to 16 bytes a key however long keys are. It never
 * misses a repeated key; it may, very rarely, suspect a new one, so suspects are compared afterwards.
 */
export class SeenKeys {
  readonly #seedLow = randomInt(2 ** 32);
  readonly #seedHigh = randomInt(2 ** 32);
  #slots = new Float64Array(capacityMin);
  #count = 0;

  /** Adds a key; returns its hash when it may have been there already, else undefined. */
  add(key: string): number | undefined {
    if (this.#count * 2 >= this.#slots.length) this.#grow();
    const hash = this.hash(key);
    return this.#insert(hash) ? undefined : hash;
  }

  /** A 53-bit hash, seeded at random, so that no file can be made to collide on purpose. */
  hash(key: string): number {
    let low = this.#seedLow;
    let high = this.#seedHigh;
    for (let index = 0; index < key.length; index++) {
      const code = key.charCodeAt(index);
      low = Math.imul(low ^ code, 0x85ebca6b);
      high = Math.imul(high ^ code, 0xc2b2ae35);
      low ^= low >>> 15;
      high ^= high >>> 13;
    }
    low = Math.imul(low ^ (high >>> 16), 0x9e3779b1);
    high = Math.imul(high ^ (low >>> 16), 0x27d4eb2f);
    return ((high >>> 0) & 0x1f_ffff) * 2 ** 32 + (low >>> 0);
  }

  #insert(hash: number): boolean {
    const slots = this.#slots;
    let slot = hash % slots.length;
    while (slots[slot] !== empty) {
      if (slots[slot] === hash + 1) return false;
      slot = slot + 1 === slots.length ? 0 : slot + 1;
    }
    slots[slot] = hash + 1;
    this.#count++;
    return true;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Float64Array(old.length * 2);
    this.#count = 0;
    for (const stored of old) {
      if (stored !== empty) this.#insert(stored - 1);
    }
  }
}
