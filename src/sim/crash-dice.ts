import type { Prng } from '../base/index.ts';

/** What becomes of an unsynced write when the machine stops. */
export type WriteFate = 'applied' | 'lost' | 'torn';

const keepChances = [0, 1, 0.1, 0.5, 0.5, 0.9] as const;

/**
 * Decides one crash. Each crash first draws its character, so that "all is lost" and "all is there"
 * turn up as often as the mixtures, however many writes there are.
 */
export class CrashDice {
  readonly #prng: Prng;
  readonly #keepChance: number;

  constructor(prng: Prng) {
    this.#prng = prng;
    this.#keepChance = keepChances[prng.below(keepChances.length)] as number;
  }

  fate(): WriteFate {
    if (this.keeps()) return 'applied';
    return this.#keepChance > 0 && this.#prng.chance(0.5) ? 'torn' : 'lost';
  }

  /** Whether a change that cannot tear happened. */
  keeps(): boolean {
    return this.#prng.chance(this.#keepChance);
  }

  /** Whether a sector of a torn write reached the disk. */
  keepsSector(): boolean {
    return this.#prng.chance(0.5);
  }
}
