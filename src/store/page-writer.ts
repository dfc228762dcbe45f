import { assert } from '../base/index.ts';
import { patchChildren } from './inner-page.ts';
import { levelOf } from './page-layout.ts';
import type { Pager } from './pager.ts';

const levelsMax = 16;

/**
 * Writes dirty pages: those of a frozen state in slices, level by level from the leaves up, so that each page is
 * sealed after it holds what proves its children; and, when too many are dirty, pages of the current generation
 * where they are (spilling).
 *
 * Invariant: a page is written only when none of its children is dirty.
 */
export class PageWriter {
  readonly #pager: Pager;
  /** Numbers of the frozen state's pages that are still to be written, by level; each list ascends. */
  #frozen: Int32Array[] = [];
  #level = 0;
  #next = 0;
  #running = false;
  #hand = 0;

  constructor(pager: Pager) {
    this.#pager = pager;
  }

  /** Whether a frozen state is not written in full yet. */
  get running(): boolean {
    return this.#running;
  }

  /** Freezes what is there now. What was frozen before must be written in full. */
  freeze(): void {
    assert(!this.#running, 'one frozen state is written before the next');
    const { arena, device } = this.#pager;
    const lists: number[][] = Array.from({ length: levelsMax }, () => []);
    for (let slot = 0; slot < arena.slotCount; slot++) {
      if (arena.isDirty(slot)) lists[levelOf(arena, slot)]!.push(arena.pageOf[slot]!);
    }
    this.#frozen = lists.map((list) => Int32Array.from(list).sort());
    this.#level = 0;
    this.#next = 0;
    this.#running = true;
    this.#pager.generation++;
    device.freeze();
  }

  /** Writes up to `pagesMax` pages of the frozen state. Returns true when it is written in full. */
  write(pagesMax: number): boolean {
    const { arena, refs } = this.#pager;
    let left = pagesMax;
    while (this.#running) {
      const list = this.#frozen[this.#level];
      if (list === undefined) {
        refs.dropBefore(this.#pager.generation - 1);
        this.#frozen = [];
        this.#running = false;
      } else if (this.#next === list.length) {
        this.#level++;
        this.#next = 0;
      } else if (left-- > 0) {
        this.#writePage(arena.slotOf[list[this.#next]!]!, this.#pager.generation - 1);
        this.#next++;
      } else return false;
    }
    return true;
  }

  /** Writes pages until at most `dirtyMax` are dirty: of the frozen state first, then of the current generation. */
  reduceDirty(dirtyMax: number): void {
    const { arena } = this.#pager;
    while (this.#running && arena.dirtyCount > dirtyMax) this.write(32);
    for (let level = 0; level < levelsMax && arena.dirtyCount > dirtyMax; level++)
      this.#spill(level, dirtyMax);
  }

  /** Writes dirty pages of one level; those of the levels below are all clean. */
  #spill(level: number, dirtyMax: number): void {
    const { arena, generation } = this.#pager;
    for (let steps = arena.slotCount; steps > 0 && arena.dirtyCount > dirtyMax; steps--) {
      const slot = this.#hand;
      this.#hand = slot + 1 === arena.slotCount ? 0 : slot + 1;
      if (arena.isDirty(slot) && levelOf(arena, slot) === level) this.#writePage(slot, generation);
    }
  }

  #writePage(slot: number, generation: number): void {
    const { arena, device, refs } = this.#pager;
    assert(arena.isDirty(slot), 'a page stays dirty until it is written');
    if (levelOf(arena, slot) > 0) patchChildren(arena, slot, refs);
    const page = arena.pageOf[slot]!;
    const place = refs.place(page, generation);
    device.writePage(page, arena.pageView(slot), refs.bytes, place);
    arena.markClean(slot);
  }
}
