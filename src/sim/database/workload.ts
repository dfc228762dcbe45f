/** Random commands, by seed: narrow ranges of keys, so that they get in each other's way. */
import type { Prng } from '../../base/index.ts';
import type { Account, Spec } from './model.ts';

const idsBelow = 14;
const emailsBelow = 18;
export const streamNames = ['orders', 'visits'] as const;

/** How often each kind of command comes, and how large they get. */
export interface LoadMix {
  readonly weights: Readonly<Record<Spec['kind'], number>>;
  /** The longest text of a row: long ones fill segments. */
  readonly memoLengthMax: number;
}

export function drawMix(prng: Prng): LoadMix {
  const weight = (usual: number): number => (prng.chance(0.25) ? 0 : 1 + prng.below(usual * 2));
  const weights = {
    insert: 1 + prng.below(10),
    add: weight(2),
    email: weight(1),
    delete: weight(2),
    notes: weight(1),
    null: weight(1),
    table: weight(1),
    transfer: weight(2),
    replace: weight(1),
    append: weight(2),
  };
  const lengths = [40, 600, 1_800, 6_000] as const;
  return { weights, memoLengthMax: lengths[prng.below(lengths.length)] as number };
}

/** Makes commands of a mix; the same from the same generator. */
export class Workload {
  readonly #prng: Prng;
  readonly #mix: LoadMix;
  readonly #kinds: readonly Spec['kind'][];
  #nextNote = 1;

  constructor(prng: Prng, mix: LoadMix) {
    this.#prng = prng;
    this.#mix = mix;
    this.#kinds = (Object.keys(mix.weights) as Spec['kind'][]).flatMap((kind) =>
      Array.from({ length: mix.weights[kind] }, () => kind),
    );
  }

  next(): Spec {
    const prng = this.#prng;
    const from = prng.below(idsBelow);
    const kind = this.#kinds[prng.below(this.#kinds.length)] as Spec['kind'];
    switch (kind) {
      case 'insert':
        return { kind, rows: this.#rows(1 + prng.below(4)) };
      case 'add':
        return { kind, from, to: from + prng.below(4), delta: prng.below(60) - 20 };
      case 'email':
        return { kind, id: from, email: this.#email() };
      case 'delete':
        // Now and then where nothing is, for answers without a change.
        return prng.chance(0.4)
          ? { kind, from: 1_000 + from, to: 1_003 + from }
          : { kind, from, to: from + prng.below(3) };
      case 'notes':
        return { kind, texts: this.#texts(1 + prng.below(3)) };
      case 'null':
        return { kind, id: from };
      case 'table': {
        const name = prng.chance(0.5) ? 'accounts' : 'notes';
        return { kind, name, ifNotExists: prng.chance(0.7) };
      }
      case 'transfer':
        return this.#transfer(from);
      case 'replace':
        return this.#replace(from);
      case 'append':
        return this.#append();
    }
  }

  #transfer(from: number): Spec {
    const prng = this.#prng;
    return {
      kind: 'transfer',
      from,
      to: (from + 1 + prng.below(4)) % idsBelow,
      amount: prng.below(30),
      ...(prng.chance(0.5) && { thinkMs: prng.below(20) }),
    };
  }

  #replace(id: number): Spec {
    const rows = this.#rows(2).filter((row) => row.id !== id);
    if (rows.length === 0) return { kind: 'delete', from: id, to: id };
    return { kind: 'replace', id, rows };
  }

  #append(): Spec {
    const prng = this.#prng;
    const stream = streamNames[prng.below(streamNames.length)] as string;
    const events = Array.from({ length: prng.below(4) }, () => prng.below(1_000));
    if (prng.chance(0.6)) return { kind: 'append', stream, events };
    return { kind: 'append', stream, events, expectedVersion: prng.below(6) };
  }

  #rows(count: number): Account[] {
    const long = this.#mix.memoLengthMax;
    return Array.from({ length: count }, () => ({
      id: this.#prng.below(idsBelow),
      email: this.#prng.chance(0.2) ? null : this.#email(),
      balance: this.#prng.below(100) - (this.#prng.chance(0.04) ? 100 : 0),
      memo: 'm'.repeat(this.#prng.below(this.#prng.chance(0.25) ? long : 40)),
    }));
  }

  #texts(count: number): string[] {
    return Array.from({ length: count }, () => `note ${this.#nextNote++}`);
  }

  #email(): string {
    return `e${this.#prng.below(emailsBelow)}`;
  }
}
