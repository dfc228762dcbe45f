import type { CorruptionError } from '../base/index.ts';

/** Distinct places that are remembered. */
const placesMax = 1_024;

/** Where the store was found damaged since it was made: each page once. */
export class DamagedPages {
  readonly #offsets = new Set<number>();
  #first: CorruptionError | undefined;

  add(error: CorruptionError): void {
    this.#first ??= error;
    if (this.#offsets.size < placesMax) this.#offsets.add(error.offset);
  }

  /** Damaged pages that reads met, 1,024 at most. */
  get count(): number {
    return this.#offsets.size;
  }

  /** What was met first. */
  get first(): CorruptionError | undefined {
    return this.#first;
  }

  /** The store was made anew. */
  clear(): void {
    this.#offsets.clear();
    this.#first = undefined;
  }
}
