import { VerityError } from '../../base/index.ts';
import { type MasterKeyProvider, SecretKey, unwrapKey, wrapKey } from '../../crypto/index.ts';

const kind = 'simulated';

function master(number: number): SecretKey {
  const bytes = new Uint8Array(32).fill(7);
  bytes[0] = number >> 8;
  bytes[1] = number;
  return new SecretKey(bytes);
}

/** The master key of a number, the same in every run and everywhere. Protects nothing. */
export function simulatedMasterKey(number: number): MasterKeyProvider {
  return providerOf(number, () => [number]);
}

/** Opens what any of the keys up to `newest()` opens. */
export function simulatedKeyRing(newest: () => number): MasterKeyProvider {
  const all = (): number[] => Array.from({ length: newest() }, (_none, index) => index + 1);
  return providerOf(1, all);
}

function providerOf(wrapping: number, opening: () => readonly number[]): MasterKeyProvider {
  return {
    kind,
    wrap: async (root) => ({
      kind,
      parameters: new Uint8Array(),
      commitment: new Uint8Array(32).fill(7),
      wrapped: wrapKey(master(wrapping), root),
    }),
    unwrap: async (slots) => {
      for (const slot of slots.filter((one) => one.kind === kind)) {
        for (const number of opening()) {
          const root = unwrapKey(master(number), slot.wrapped);
          if (root !== undefined) return { root, slotId: slot.id };
        }
      }
      return undefined;
    },
    describe: () => ({ kind, source: '', parameters: {}, rotates: false }),
    rotate: async () => {
      throw new VerityError('KEY_ROTATION_UNSUPPORTED', 'The simulated master key stays.');
    },
  };
}

/**
 * Which master keys may open the database: one, unless a rotation got no answer, or has none yet. Keys are numbered in
 * the order in which rotations asked for them.
 */
export class MasterKeys {
  #drawn = 1;
  #possible: readonly number[] = [1];

  /** The number of the newest key. */
  get drawn(): number {
    return this.#drawn;
  }

  /** Oldest first. */
  get possible(): readonly number[] {
    return this.#possible;
  }

  /** The newest key that must open nothing. */
  get refused(): number | undefined {
    for (let number = this.#drawn; number > 0; number--) {
      if (!this.#possible.includes(number)) return number;
    }
    return undefined;
  }

  /** Whether this key, or the only one there is, opens the database for sure. */
  isCertain(number: number | undefined): boolean {
    const [only, ...more] = this.#possible;
    return more.length === 0 && (number === undefined || number === only);
  }

  /** A new key, to which a rotation begins now. */
  draw(): number {
    this.#drawn += 1;
    this.#possible = [...this.#possible, this.#drawn];
    return this.#drawn;
  }

  /** The rotation to this key was acknowledged. */
  rotated(number: number): void {
    this.#possible = this.#possible.filter((other) => other >= number);
  }

  /** An owner opened the database with this key, and no rotation is under way. */
  opened(number: number): void {
    this.#possible = [number];
  }
}
