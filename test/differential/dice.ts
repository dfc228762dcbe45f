import { Prng } from '../../src/base/index.ts';

/** Choices by a seed. */
export class Dice {
  readonly #prng: Prng;

  constructor(seed: number) {
    this.#prng = new Prng(seed);
  }

  /** A whole number from 0 to `bound` − 1. */
  below(bound: number): number {
    return this.#prng.below(bound);
  }
  /** A whole number from `low` to `high`. */
  between(low: number, high: number): number {
    return low + this.#prng.below(high - low + 1);
  }
  chance(probability: number): boolean {
    return this.#prng.chance(probability);
  }
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new Error('nothing to pick from');
    return items[this.#prng.below(items.length)] as T;
  }
  some<T>(items: readonly T[], least: number, most: number): T[] {
    const rest = [...items];
    const count = Math.min(this.between(least, most), rest.length);
    return Array.from(
      { length: count },
      () => rest.splice(this.#prng.below(rest.length), 1)[0] as T,
    );
  }
  times<T>(least: number, most: number, make: (index: number) => T): T[] {
    return Array.from({ length: this.between(least, most) }, (_, index) => make(index));
  }
}
