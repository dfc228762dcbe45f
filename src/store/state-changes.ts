import { assert } from '../base/index.ts';

/** Bytes of a path and of a commitment. */
export const stateHashBytes = 32;
/** Bytes of an entry: its path, then its commitment. */
export const stateEntryBytes = 2 * stateHashBytes;

const entryWords = stateEntryBytes / 4;
const indexSpan = 2 ** 21;
/** Sorted at a stretch. */
const stretch = 4_096;
const groupCount = 256;
/** Looked at at a stretch. */
const partitioned = 32_768;

/**
 * What became of entries of a state trie: path and commitment of each side by side, without an object for each. First
 * all are added, then sorted; of several changes of a path the last one counts.
 */
export class StateChanges {
  #words: Uint32Array;
  #bytes: Uint8Array;
  #removed: Uint8Array;
  #count = 0;
  #isSorted = false;

  constructor(capacity: number) {
    this.#words = new Uint32Array(capacity * entryWords);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#removed = new Uint8Array(capacity);
  }

  /** How many there are; after `sort` of as many paths. */
  get count(): number {
    return this.#count;
  }

  /** `stateEntryBytes` for each change, in order; other memory after `sort`, and after an `add` beyond the capacity. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /**
   * Adds a change whose path, and commitment unless it is a removal, the caller writes: from the returned place of
   * `bytes` on.
   */
  add(isRemoval: boolean): number {
    assert(!this.#isSorted && this.#count < indexSpan, 'changes of one batch are bounded');
    const index = this.#count++;
    if (index === this.#removed.length) this.#grow(Math.max(16, 2 * index));
    if (isRemoval) this.#removed[index] = 1;
    return index * stateEntryBytes;
  }

  /** After `sort`: whether the change at `index` removes its entry. */
  isRemoval(index: number): boolean {
    return this.#removed[index] === 1;
  }

  /**
   * Brings them into the order of their paths; yields what the work of each slice cost. Those of one first byte are
   * brought together first: what is random then is within the processor's cache.
   */
  *sort(): Generator<number, void> {
    const added = this.#count;
    this.#isSorted = true;
    if (added <= 1) return;
    const source = { words: this.#words, bytes: this.#bytes, removed: this.#removed };
    const ends = new Int32Array(groupCount);
    const order = new Int32Array(added);
    yield* partition(source.bytes, order, ends);
    const words = new Uint32Array(added * entryWords);
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#removed = new Uint8Array(added);
    this.#count = 0;
    let from = 0;
    let done = 0;
    for (const end of ends) {
      if (end === from) continue;
      this.#takeSorted(source, order.subarray(from, end));
      from = end;
      if (end - done < stretch) continue;
      yield end - done;
      done = end;
    }
  }

  /** Takes those changes of `source`, all of one first byte, in the order of their paths. */
  #takeSorted(
    source: {
      readonly words: Uint32Array;
      readonly bytes: Uint8Array;
      readonly removed: Uint8Array;
    },
    order: Int32Array,
  ): void {
    // Four further bytes of the path and the place in one number: sorted without a call for each comparison.
    const heads = new Float64Array(order.length);
    for (let place = 0; place < order.length; place++)
      heads[place] = headAt(source.bytes, order[place] as number) * indexSpan + place;
    heads.sort();
    const first = this.#count;
    for (const head of heads) {
      const index = order[head % indexSpan] as number;
      const from = index * entryWords;
      // Paths of one head are few: they are put into their places one by one.
      let at = this.#count;
      const path = index * stateEntryBytes;
      let difference = 1;
      for (; at > first; at--) {
        difference = comparePaths(this.#bytes, (at - 1) * stateEntryBytes, source.bytes, path);
        if (difference <= 0) break;
      }
      if (at > first && difference === 0) at -= 1;
      else {
        if (at < this.#count) this.#makeRoom(at);
        this.#count += 1;
      }
      const to = at * entryWords;
      for (let word = 0; word < entryWords; word++)
        this.#words[to + word] = source.words[from + word] as number;
      this.#removed[at] = source.removed[index] as number;
    }
  }

  #makeRoom(at: number): void {
    this.#words.copyWithin((at + 1) * entryWords, at * entryWords, this.#count * entryWords);
    this.#removed.copyWithin(at + 1, at, this.#count);
  }

  #grow(capacity: number): void {
    const words = new Uint32Array(capacity * entryWords);
    words.set(this.#words);
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    const removed = new Uint8Array(capacity);
    removed.set(this.#removed);
    this.#removed = removed;
  }
}

/** Fills `order` with the numbers of the entries, by the first byte of their paths, and `ends` with where those of each end. */
function* partition(
  bytes: Uint8Array,
  order: Int32Array,
  ends: Int32Array,
): Generator<number, void> {
  for (let index = 0; index < order.length; index++) {
    if (index % partitioned === partitioned - 1) yield partitioned >> 4;
    const first = bytes[index * stateEntryBytes] as number;
    ends[first] = (ends[first] as number) + 1;
  }
  let start = 0;
  for (let first = 0; first < groupCount; first++) {
    const count = ends[first] as number;
    ends[first] = start;
    start += count;
  }
  for (let index = 0; index < order.length; index++) {
    const first = bytes[index * stateEntryBytes] as number;
    const place = ends[first] as number;
    order[place] = index;
    ends[first] = place + 1;
    if (index % partitioned === partitioned - 1) yield partitioned >> 4;
  }
}

/** The second to fifth byte of a path as a number. */
function headAt(bytes: Uint8Array, index: number): number {
  const at = index * stateEntryBytes + 1;
  return (
    (bytes[at] as number) * 0x100_0000 +
    (((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number))
  );
}

/** Compares the path at `leftAt` of `left` with that at `rightAt` of `right`. */
export function comparePaths(
  left: Uint8Array,
  leftAt: number,
  right: Uint8Array,
  rightAt: number,
): number {
  for (let index = 0; index < stateHashBytes; index++) {
    const difference = (left[leftAt + index] as number) - (right[rightAt + index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
