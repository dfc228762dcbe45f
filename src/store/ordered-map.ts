import { assert, type StoreKey } from '../base/index.ts';

const chunkMax = 512;

/** What of a Map an OrderedMap needs for its entries. */
export interface KeyIndex<V> {
  readonly size: number;
  get(key: StoreKey): V | undefined;
  set(key: StoreKey, value: V): unknown;
  delete(key: StoreKey): boolean;
  clear(): void;
  keys(): Iterable<StoreKey>;
}

/**
 * A map from keys to values that can also be walked in the order of its keys. Points are read and
 * written through a hash map; the order is worked out when it is first asked for, and kept from then on
 * by sorting in what was added since. So writing without walking, such as replaying a log, never sorts.
 *
 * Invariants: `#entries` alone says what is in the map; every key of it is in `#chunks` or `#added`, which
 * may also hold keys deleted since; keys in `#chunks` ascend strictly and no chunk is empty.
 */
export class OrderedMap<V extends object> {
  readonly #entries: KeyIndex<V>;
  #chunks: StoreKey[][] = [];
  #added: StoreKey[] = [];
  #deletedCount = 0;

  constructor(entries: KeyIndex<V> = new Map<StoreKey, V>()) {
    this.#entries = entries;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: StoreKey): V | undefined {
    return this.#entries.get(key);
  }

  set(key: StoreKey, value: V): void {
    const entries = this.#entries;
    const before = entries.size;
    entries.set(key, value);
    if (entries.size !== before) this.#added.push(key);
  }

  delete(key: StoreKey): boolean {
    if (!this.#entries.delete(key)) return false;
    this.#deletedCount += 1;
    if (this.#entries.size === 0) this.clear();
    else if (this.#deletedCount > this.#entries.size + chunkMax) this.#forgetDeleted();
    return true;
  }

  clear(): void {
    this.#entries.clear();
    this.#chunks = [];
    this.#added = [];
    this.#deletedCount = 0;
  }

  /** The first entry with key ≥ `from` (or > when `exclusive`), or the very first when `from` is undefined. */
  ceiling(from: StoreKey | undefined, exclusive = false): { key: StoreKey; value: V } | undefined {
    this.#order();
    let at = from === undefined ? 0 : this.#chunkFor(from);
    let chunk = this.#chunks[at];
    let index = from === undefined || chunk === undefined ? 0 : lowerBound(chunk, from);
    if (exclusive && chunk?.[index] === from) index += 1;
    while (chunk !== undefined) {
      for (; index < chunk.length; index++) {
        const key = chunk[index] as StoreKey;
        const value = this.#entries.get(key);
        if (value !== undefined) return { key, value };
      }
      at += 1;
      index = 0;
      chunk = this.#chunks[at];
    }
    return undefined;
  }

  /** The last entry with key < `to`, or the very last when `to` is undefined. */
  below(to: StoreKey | undefined): { key: StoreKey; value: V } | undefined {
    this.#order();
    let at = to === undefined ? this.#chunks.length - 1 : this.#chunkFor(to);
    let chunk = this.#chunks[at];
    if (chunk === undefined) return undefined;
    let index = (to === undefined ? chunk.length : lowerBound(chunk, to)) - 1;
    while (chunk !== undefined) {
      for (; index >= 0; index--) {
        const key = chunk[index] as StoreKey;
        const value = this.#entries.get(key);
        if (value !== undefined) return { key, value };
      }
      at -= 1;
      chunk = this.#chunks[at];
      index = (chunk?.length ?? 0) - 1;
    }
    return undefined;
  }

  /** Brings the keys added since the last walk into their chunks. */
  #order(): void {
    if (this.#added.length === 0) return;
    // Sorted, neighbours fall into the same chunk, and a first walk fills chunk after chunk.
    const added = this.#added.sort();
    this.#added = [];
    for (const key of added) this.#place(key);
  }

  #place(key: StoreKey): void {
    const chunks = this.#chunks;
    const last = chunks[chunks.length - 1];
    if (
      last === undefined ||
      ((last[last.length - 1] as StoreKey) < key && last.length === chunkMax)
    ) {
      chunks.push([key]);
      return;
    }
    const at = (last[0] as StoreKey) <= key ? chunks.length - 1 : this.#chunkFor(key);
    const chunk = chunks[at] as StoreKey[];
    const index = lowerBound(chunk, key);
    // It may have been deleted and added again.
    if (chunk[index] === key) return;
    if (index === chunk.length) chunk.push(key);
    else chunk.splice(index, 0, key);
    if (chunk.length > chunkMax) this.#split(at);
  }

  /** The last chunk whose first key is ≤ `key`, or 0. */
  #chunkFor(key: StoreKey): number {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((chunks[middle] as StoreKey[])[0] as StoreKey) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #split(at: number): void {
    const chunk = this.#chunks[at] as StoreKey[];
    const right = chunk.splice(chunk.length >> 1);
    assert(right.length > 0 && chunk.length > 0, 'a split leaves no empty chunk');
    this.#chunks.splice(at + 1, 0, right);
  }

  /** Starts the order anew, so that deleted keys take neither room nor time. */
  #forgetDeleted(): void {
    this.#chunks = [];
    this.#added = [...this.#entries.keys()];
    this.#deletedCount = 0;
  }
}

/** The index of the first key ≥ `key`. */
function lowerBound(keys: readonly StoreKey[], key: StoreKey): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((keys[middle] as StoreKey) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
