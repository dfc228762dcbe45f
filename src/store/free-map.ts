import { assert } from '../base/index.ts';

const bitsPerWord = 32;

/**
 * Which pages of a file are taken: a bit a page. It is never stored: whoever opens the file marks what its trees use,
 * so no crash leaves a list behind that says something else than the trees do.
 *
 * While that is being marked (`beginMarking` to `endMarking`) every page of the file counts as taken, new ones come from its end,
 * and what is released waits: so no page is used again before it is known which are free.
 */
export class FreeMap {
  #taken: Uint32Array = new Uint32Array(64);
  #pageCount = 0;
  #freeCount = 0;
  /** Where the next search starts. */
  #next = 0;
  /** The shortest run that was looked for in vain since pages last became free. */
  #noRunOf = Number.POSITIVE_INFINITY;

  /** What was marked as used, of the pages that were there when that began. */
  #marked: FreeMap | undefined;
  #markedCount = 0;
  /** Released while pages are marked; undefined when it is given up. */
  #released: { readonly page: number; readonly count: number }[] | undefined = [];

  /** Whether it is known which pages are free. */
  get isKnown(): boolean {
    return this.#marked === undefined;
  }

  /** Begins to mark what is used of a file of so many pages; the map is new. */
  beginMarking(pageCount: number): void {
    const first = this.#pageCount;
    this.take(first, Math.max(0, pageCount - first));
    this.#marked = new FreeMap();
    this.#marked.take(0, first);
    this.#markedCount = this.#pageCount;
  }

  /** Marks pages as used; false if one of them is already, or was not there when marking began. */
  mark(page: number, count: number): boolean {
    assert(this.#marked !== undefined, 'marking has begun');
    return page + count <= this.#markedCount && this.#marked.take(page, count);
  }

  /** All that is used is marked: the rest is free. */
  endMarking(): void {
    const marked = this.#marked;
    assert(marked !== undefined, 'marking has begun');
    this.#marked = undefined;
    const words = Math.ceil(this.#markedCount / bitsPerWord);
    for (let word = 0; word < words; word++) {
      const rest = this.#markedCount - word * bitsPerWord;
      // Pages that were taken since are behind those that were marked.
      const isSince = rest >= bitsPerWord ? 0 : -1 << rest;
      const before = this.#taken[word] as number;
      const after = (before & ((marked.#taken[word] ?? 0) | isSince)) >>> 0;
      this.#taken[word] = after;
      this.#freeCount += bitsOf(before) - bitsOf(after);
    }
    this.#noRunOf = Number.POSITIVE_INFINITY;
    for (const { page, count } of this.#released ?? []) this.#free(page, count);
    this.#released = [];
  }

  /** It will not be known what is used: nothing that is there is used again. */
  giveUpMarking(): void {
    this.#released = undefined;
  }

  /** Every page counts as taken but those known to be free. Calls `other` for each run of taken pages that `isKept` does not hold of. */
  settleMarking(
    isKept: (page: number) => boolean,
    other: (page: number, count: number) => void,
  ): void {
    this.#marked = undefined;
    this.#released = [];
    this.#forRanges((page) => this.isTaken(page) && !isKept(page), other);
  }

  /** Pages of the file, free ones too. */
  get pageCount(): number {
    return this.#pageCount;
  }
  get freeCount(): number {
    return this.#freeCount;
  }

  isTaken(page: number): boolean {
    return (
      page < this.#pageCount &&
      ((this.#taken[page >>> 5] as number) & (1 << (page & (bitsPerWord - 1)))) !== 0
    );
  }

  /** Marks pages as taken; false if one of them is already. The file grows to hold them. */
  take(page: number, count: number): boolean {
    this.#grow(page + count);
    for (let index = page; index < page + count; index++) {
      if (this.isTaken(index)) return false;
      this.#set(index);
    }
    return true;
  }

  /** The first of `count` pages in a row, which are taken then: free ones, or new ones at the end. */
  allocate(count: number): number {
    assert(count > 0, 'at least one page is asked for');
    const found = count <= this.#freeCount && count < this.#noRunOf ? this.#find(count) : -1;
    const page = found === -1 ? this.#pageCount : found;
    const isNew = this.take(page, count);
    assert(isNew, 'a page is given out once');
    this.#next = page + count;
    return page;
  }

  release(page: number, count: number): void {
    if (this.#marked === undefined) this.#free(page, count);
    else this.#released?.push({ page, count });
  }

  /** Calls `found` for each longest run of pages that `belongs` holds of. */
  #forRanges(
    belongs: (page: number) => boolean,
    found: (page: number, count: number) => void,
  ): void {
    let first = -1;
    for (let page = 0; page <= this.#pageCount; page++) {
      const isIn = page < this.#pageCount && belongs(page);
      if (isIn && first === -1) first = page;
      if (isIn || first === -1) continue;
      found(first, page - first);
      first = -1;
    }
  }

  #free(page: number, count: number): void {
    for (let index = page; index < page + count; index++) {
      assert(this.isTaken(index), 'only a page that is taken is released');
      this.#taken[index >>> 5] =
        (this.#taken[index >>> 5] as number) & ~(1 << (index & (bitsPerWord - 1)));
    }
    this.#freeCount += count;
    this.#noRunOf = Number.POSITIVE_INFINITY;
  }

  #find(count: number): number {
    const start = this.#next < this.#pageCount ? this.#next : 0;
    const page = this.#findIn(start, this.#pageCount, count);
    if (page !== -1) return page;
    // A run may begin before where the search started.
    const again = this.#findIn(0, Math.min(this.#pageCount, start + count), count);
    if (again === -1) this.#noRunOf = count;
    return again;
  }

  #findIn(from: number, to: number, count: number): number {
    let run = 0;
    for (let page = from; page < to; page++) {
      if (
        run === 0 &&
        (page & (bitsPerWord - 1)) === 0 &&
        this.#taken[page >>> 5] === 0xffff_ffff
      ) {
        page += bitsPerWord - 1;
        continue;
      }
      run = this.isTaken(page) ? 0 : run + 1;
      if (run === count) return page - count + 1;
    }
    return -1;
  }

  #set(page: number): void {
    this.#taken[page >>> 5] =
      (this.#taken[page >>> 5] as number) | (1 << (page & (bitsPerWord - 1)));
    this.#freeCount -= 1;
  }

  #grow(pageCount: number): void {
    if (pageCount <= this.#pageCount) return;
    const words = Math.ceil(pageCount / bitsPerWord);
    if (words > this.#taken.length) {
      const taken = new Uint32Array(Math.max(words, this.#taken.length * 2));
      taken.set(this.#taken);
      this.#taken = taken;
    }
    this.#freeCount += pageCount - this.#pageCount;
    this.#pageCount = pageCount;
  }
}

function bitsOf(word: number): number {
  let count = 0;
  for (let rest = word; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}
