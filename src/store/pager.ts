import { assert } from '../base/index.ts';
import { Arena } from './arena.ts';
import { childPage, childRef, patchChildren } from './inner-page.ts';
import { pageBytes, type PageDevice } from './page-device.ts';
import { formatPage, levelOf } from './page-layout.ts';
import { PageRefs } from './page-refs.ts';
import { PageWriter } from './page-writer.ts';

/** Fewest pages of memory that every operation gets by with. */
export const slotsMin = 64;
/** Pages that a change writes when too many are dirty: few, so that it takes no longer than a slice. */
const pagesAtOnce = 24;

/**
 * Pages by number: in memory or read from the device, copied before they are changed.
 *
 * A page belongs to the generation in which its number was taken. A page of the current generation is changed
 * where it is; one of an earlier generation is part of a frozen state, and a change goes to a copy under another
 * number.
 *
 * Invariants: the parent of a page of the current generation is of the current generation, and that of a dirty
 * page is dirty (so it is in memory); an operation first reserves slots and evicts nothing after that, so a slot
 * number stays good while the operation lasts.
 */
export class Pager {
  readonly arena: Arena;
  device: PageDevice;
  readonly refs = new PageRefs();
  readonly writer: PageWriter;
  /** What is changed now belongs to this generation. */
  generation = 1;
  /** Whether all pages of all trees are in memory, so that no operation reads one. */
  isComplete: boolean;
  /** More dirty pages than this are written before the next change. */
  readonly dirtyMax: number;

  constructor(device: PageDevice, slotCount: number, isEmpty: boolean) {
    assert(slotCount >= slotsMin, 'the arena holds the pages of one operation');
    this.device = device;
    this.isComplete = isEmpty;
    this.arena = new Arena(slotCount);
    this.writer = new PageWriter(this);
    this.dirtyMax = slotCount >> 1;
  }

  /** Makes `count` slots free, by evicting pages and, if it must be, writing some. Slot numbers from before are void. */
  reserve(count: number): void {
    if (this.arena.freeCount < count) this.#makeRoom(count);
  }

  /** As reserve, and writes pages while too many are dirty. */
  reserveForWrite(count: number): void {
    const { arena, dirtyMax } = this;
    if (arena.dirtyCount > dirtyMax) this.writer.reduceDirty(dirtyMax - pagesAtOnce);
    if (this.arena.freeCount < count) this.#makeRoom(count);
  }

  /** The slot of the child at `index` of the inner page in `slot`. */
  child(slot: number, index: number): number {
    const { arena } = this;
    const page = childPage(arena, slot, index);
    const found = page < arena.slotOf.length ? arena.slotOf[page]! : -1;
    if (found === -1) return this.load(page, arena.bytes, childRef(arena, slot, index));
    arena.touch(found);
    return found;
  }

  /** Reads a page into a slot. `refs` at `refOffset` proves it, unless it was written since. Throws CorruptionError. */
  load(page: number, refs: Uint8Array, refOffset: number): number {
    const { arena, refs: recent } = this;
    const slot = arena.take(page, recent.generationOf(page));
    try {
      const place = recent.offsetOf(page);
      if (place === -1) this.device.readPage(page, refs, refOffset, arena.pageView(slot));
      else this.device.readPage(page, recent.bytes, place, arena.pageView(slot));
    } catch (error) {
      arena.drop(slot);
      throw error;
    }
    return slot;
  }

  /** The slot of a new, empty page. */
  create(level: number, prefix: { readonly bytes: Uint8Array; readonly length: number }): number {
    const { arena } = this;
    const slot = arena.take(this.device.allocate(1), this.generation);
    formatPage(arena, slot, level, prefix);
    arena.markDirty(slot);
    return slot;
  }

  /** The slot in which the page of `slot` may be changed. Another slot or page number means that the parent must learn of it. */
  writable(slot: number): number {
    const { arena, generation } = this;
    if (arena.bornIn[slot] === generation) {
      arena.markDirty(slot);
      return slot;
    }
    const old = arena.pageOf[slot]!;
    const page = this.device.allocate(1);
    let copy = slot;
    if (arena.isDirty(slot)) {
      copy = arena.take(page, generation);
      const from = slot * pageBytes;
      arena.bytes.copyWithin(copy * pageBytes, from, from + pageBytes);
      arena.markReplaced(slot);
    } else arena.renumber(slot, page, generation);
    this.device.retire(old, 1);
    arena.markDirty(copy);
    if (levelOf(arena, copy) > 0) patchChildren(arena, copy, this.refs);
    return copy;
  }

  #makeRoom(count: number): void {
    const { arena, writer } = this;
    if (arena.grow(count)) return;
    this.isComplete = false;
    arena.evict(count);
    while (arena.freeCount < count) {
      const before = arena.freeCount;
      writer.reduceDirty(Math.max(0, arena.dirtyCount - 2 * count));
      arena.evict(count);
      assert(arena.freeCount > before, 'written pages can be evicted');
    }
  }
}
