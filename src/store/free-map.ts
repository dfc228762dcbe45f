import { assert } from '../base/index.ts';

const bitsPerWord = 32;

/**
 * Which pages of a file are taken: a bit a page. It is never stored: whoever opens the file marks what its trees use,
 * so no crash leaves a list behind that says something else than the trees do.
 */
export class FreeMap {
  #taken: Uint32Array = new Uint32Array(64);
  #pageCount = 0;
  #freeCount = 0;
  /** Where the next search starts. */
  #next = 0;
  /** The shortest run that was looked for in vain since pages last became free. */
  #noRunOf = Number.POSITIVE_INFINITY;

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
