import { assert, type StoreKey } from '../base/index.ts';

const chunkMax = 512;

interface Chunk<V> {
  readonly keys: StoreKey[];
  readonly values: V[];
}

/**
 * A sorted map from keys to values: sorted chunks of at most 512 keys under one sorted list of chunks.
 * Ascending inserts fill chunks whole. Invariants: keys ascend strictly; no chunk is empty.
 */
export class OrderedMap<V> {
  readonly #chunks: Chunk<V>[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: StoreKey): V | undefined {
    const chunk = this.#chunks[this.#chunkFor(key)];
    if (chunk === undefined) return undefined;
    const index = lowerBound(chunk.keys, key);
    return chunk.keys[index] === key ? chunk.values[index] : undefined;
  }

  set(key: StoreKey, value: V): void {
    if (this.#chunks.length === 0) {
      this.#chunks.push({ keys: [key], values: [value] });
      this.#size = 1;
      return;
    }
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at] as Chunk<V>;
    const index = lowerBound(chunk.keys, key);
    if (chunk.keys[index] === key) {
      chunk.values[index] = value;
      return;
    }
    this.#size += 1;
    if (index === chunk.keys.length) {
      if (index === chunkMax && at === this.#chunks.length - 1) {
        this.#chunks.push({ keys: [key], values: [value] });
        return;
      }
      chunk.keys.push(key);
      chunk.values.push(value);
    } else {
      chunk.keys.splice(index, 0, key);
      chunk.values.splice(index, 0, value);
    }
    if (chunk.keys.length > chunkMax) this.#split(at);
  }

  delete(key: StoreKey): boolean {
    const at = this.#chunkFor(key);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return false;
    const index = lowerBound(chunk.keys, key);
    if (chunk.keys[index] !== key) return false;
    chunk.keys.splice(index, 1);
    chunk.values.splice(index, 1);
    this.#size -= 1;
    if (chunk.keys.length === 0) this.#chunks.splice(at, 1);
    return true;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#size = 0;
  }

  /** The first entry with key ≥ `from` (or > when `exclusive`), or the very first when `from` is undefined. */
  ceiling(from: StoreKey | undefined, exclusive = false): { key: StoreKey; value: V } | undefined {
    let at = from === undefined ? 0 : this.#chunkFor(from);
    let chunk = this.#chunks[at];
    if (chunk === undefined) return undefined;
    let index = from === undefined ? 0 : lowerBound(chunk.keys, from);
    if (exclusive && from !== undefined && chunk.keys[index] === from) index += 1;
    if (index === chunk.keys.length) {
      at += 1;
      index = 0;
      chunk = this.#chunks[at];
      if (chunk === undefined) return undefined;
    }
    return { key: chunk.keys[index] as StoreKey, value: chunk.values[index] as V };
  }

  /** The last entry with key < `to`, or the very last when `to` is undefined. */
  below(to: StoreKey | undefined): { key: StoreKey; value: V } | undefined {
    let at = to === undefined ? this.#chunks.length - 1 : this.#chunkFor(to);
    let chunk = this.#chunks[at];
    if (chunk === undefined) return undefined;
    let index = (to === undefined ? chunk.keys.length : lowerBound(chunk.keys, to)) - 1;
    if (index < 0) {
      at -= 1;
      chunk = this.#chunks[at];
      if (chunk === undefined) return undefined;
      index = chunk.keys.length - 1;
    }
    return { key: chunk.keys[index] as StoreKey, value: chunk.values[index] as V };
  }

  /** The last chunk whose first key is ≤ `key`, or 0. */
  #chunkFor(key: StoreKey): number {
    const chunks = this.#chunks;
    let low = 0;
    let high = chunks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (((chunks[middle] as Chunk<V>).keys[0] as StoreKey) <= key) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #split(at: number): void {
    const chunk = this.#chunks[at] as Chunk<V>;
    const half = chunk.keys.length >> 1;
    const right: Chunk<V> = { keys: chunk.keys.splice(half), values: chunk.values.splice(half) };
    assert(right.keys.length > 0 && chunk.keys.length > 0, 'a split leaves no empty chunk');
    this.#chunks.splice(at + 1, 0, right);
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
