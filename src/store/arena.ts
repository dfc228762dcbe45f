import { assert } from '../base/index.ts';
import { pageBytes } from './page-device.ts';

export const pageWords = pageBytes / 4;
export const pageHalves = pageBytes / 2;

const slotsMax = 1 << 19;
/** Slots that there is memory for at first: most stores are small. */
const slotsAtFirst = 64;
/** Memory doubles up to so many slots; then comes all of it, for copying more would halt everything else. */
const slotsDoubled = 2048;
/** Has changes that are written nowhere yet. */
const dirtyBit = 1;
/** Used since the clock came by. */
const usedBit = 2;
/** A frozen page that the tree has replaced by a copy: kept only until it is written. */
const replacedBit = 4;

/**
 * All pages in memory: slots of one page each in a single ArrayBuffer, so that there is no object a page or
 * row for the collector to trace.
 *
 * Invariants: `slotOf` and `pageOf` are inverses of each other; a slot is free, clean or dirty, and only clean
 * ones are evicted; `stamps` of a slot changes whenever indices into its page may mean something else.
 */
export class Arena {
  /** Slots that there is memory for; this and the arrays change when the arena grows. */
  slotCount = 0;
  bytes!: Uint8Array;
  halves!: Uint16Array;
  words!: Int32Array;
  view!: DataView;
  /** The number of a slot's page, or -1. */
  pageOf!: Int32Array<ArrayBuffer>;
  /** The generation that a slot's page began in. */
  bornIn!: Int32Array<ArrayBuffer>;
  stamps!: Int32Array<ArrayBuffer>;
  /** The slot of a page's number, or -1; grows with the file. */
  slotOf: Int32Array;
  readonly #slotMax: number;
  #state!: Uint8Array<ArrayBuffer>;
  #free!: Int32Array<ArrayBuffer>;
  #freeCount = 0;
  #dirtyCount = 0;
  #hand = 0;

  /** An arena that grows up to so many slots. */
  constructor(slotMax: number) {
    assert(slotMax > 0 && slotMax < slotsMax, 'an arena has 1 to 2^19 - 1 slots');
    this.#slotMax = slotMax;
    this.slotOf = new Int32Array(64).fill(-1);
    this.#growTo(Math.min(slotMax, slotsAtFirst));
  }

  /** A slot past the others, for a copy of a page while it is rebuilt. */
  get scratchSlot(): number {
    return this.slotCount;
  }
  /** Slots with a page. */
  get usedCount(): number {
    return this.slotCount - this.#freeCount;
  }

  /** Takes more memory, if there may be more, so that `count` slots are free; whether they are. Between operations only. */
  grow(count: number): boolean {
    while (this.#freeCount < count && this.slotCount < this.#slotMax) {
      const next = this.slotCount < slotsDoubled ? this.slotCount * 2 : this.#slotMax;
      this.#growTo(Math.min(this.#slotMax, next));
    }
    return this.#freeCount >= count;
  }

  #growTo(slotCount: number): void {
    const before = this.slotCount;
    const buffer = new ArrayBuffer((slotCount + 1) * pageBytes);
    const bytes = new Uint8Array(buffer);
    if (before > 0) bytes.set(this.bytes.subarray(0, before * pageBytes));
    this.bytes = bytes;
    this.halves = new Uint16Array(buffer);
    this.words = new Int32Array(buffer);
    this.view = new DataView(buffer);
    this.pageOf = longer(this.pageOf, slotCount).fill(-1, before);
    this.bornIn = longer(this.bornIn, slotCount);
    this.stamps = longer(this.stamps, slotCount);
    this.#free = longer(this.#free, slotCount);
    const state = new Uint8Array(slotCount);
    if (before > 0) state.set(this.#state);
    this.#state = state;
    for (let slot = slotCount - 1; slot >= before; slot--) this.#free[this.#freeCount++] = slot;
    this.slotCount = slotCount;
  }

  get freeCount(): number {
    return this.#freeCount;
  }

  get dirtyCount(): number {
    return this.#dirtyCount;
  }

  /** The bytes of a slot's page, valid while it stays there. */
  pageView(slot: number): Uint8Array {
    return this.bytes.subarray(slot * pageBytes, (slot + 1) * pageBytes);
  }

  /** A free slot, now that of `page`, with whatever bytes it had. */
  take(page: number, generation: number): number {
    assert(this.#freeCount > 0, 'slots were reserved before the operation');
    if (page >= this.slotOf.length) this.#growPages(page + 1);
    assert(this.slotOf[page] === -1, 'a page is in one slot');
    const slot = this.#free[--this.#freeCount]!;
    this.slotOf[page] = slot;
    this.pageOf[slot] = page;
    this.bornIn[slot] = generation;
    this.stamps[slot]!++;
    this.#state[slot] = usedBit;
    return slot;
  }

  /** Makes a slot free. */
  drop(slot: number): void {
    const page = this.pageOf[slot]!;
    assert(page !== -1 && !this.isDirty(slot), 'only clean pages leave memory');
    this.slotOf[page] = -1;
    this.pageOf[slot] = -1;
    this.stamps[slot]!++;
    this.#state[slot] = 0;
    this.#free[this.#freeCount++] = slot;
  }

  /** Gives the page in `slot` another number; its bytes stay where they are. */
  renumber(slot: number, page: number, generation: number): void {
    if (page >= this.slotOf.length) this.#growPages(page + 1);
    assert(this.slotOf[page] === -1, 'a page is in one slot');
    this.slotOf[this.pageOf[slot]!] = -1;
    this.slotOf[page] = slot;
    this.pageOf[slot] = page;
    this.bornIn[slot] = generation;
  }

  isDirty(slot: number): boolean {
    return (this.#state[slot]! & dirtyBit) !== 0;
  }

  markDirty(slot: number): void {
    const state = this.#state[slot]!;
    if ((state & dirtyBit) !== 0) return;
    this.#state[slot] = state | dirtyBit;
    this.#dirtyCount++;
  }

  /** The page was written: it may be evicted, and is at once if the tree has replaced it. */
  markClean(slot: number): void {
    const state = this.#state[slot]!;
    assert((state & dirtyBit) !== 0, 'only dirty pages are written');
    this.#state[slot] = state & ~dirtyBit;
    this.#dirtyCount--;
    if ((state & replacedBit) !== 0) this.drop(slot);
  }

  /** The tree no longer refers to this dirty page; it stays until it is written. */
  markReplaced(slot: number): void {
    assert(this.isDirty(slot), 'a clean page that was replaced needs no slot');
    this.#state[slot]! |= replacedBit;
    this.stamps[slot]!++;
  }

  touch(slot: number): void {
    this.#state[slot]! |= usedBit;
  }

  /** Evicts clean pages, those used longest ago first (by the clock), until `count` slots are free or none is clean. */
  evict(count: number): void {
    const state = this.#state;
    for (let steps = 2 * this.slotCount; this.#freeCount < count && steps > 0; steps--) {
      const slot = this.#hand;
      this.#hand = slot + 1 === this.slotCount ? 0 : slot + 1;
      const bits = state[slot]!;
      if ((bits & dirtyBit) !== 0 || this.pageOf[slot] === -1) continue;
      if ((bits & usedBit) !== 0) state[slot] = bits & ~usedBit;
      else this.drop(slot);
    }
  }

  #growPages(length: number): void {
    const grown = new Int32Array(Math.max(length, this.slotOf.length * 2)).fill(-1);
    grown.set(this.slotOf);
    this.slotOf = grown;
  }
}

function longer(
  array: Int32Array<ArrayBuffer> | undefined,
  length: number,
): Int32Array<ArrayBuffer> {
  const grown = new Int32Array(length);
  if (array !== undefined) grown.set(array);
  return grown;
}
