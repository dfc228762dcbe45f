import { assert } from '../base/index.ts';
import { pageBytes } from './page-device.ts';

const pagesMax = 32;

/**
 * Sealed pages that follow one another in the file, kept until they are written together: a call of the system
 * takes about as long as sealing a page does, and pages are mostly written in the order of their numbers.
 */
export class AdjacentPages {
  #memory: Uint8Array | undefined;
  #first = 0;
  #count = 0;

  /** The number of the first one. */
  get first(): number {
    return this.#first;
  }
  get count(): number {
    return this.#count;
  }
  /** All of them, valid until the next `add`. */
  get bytes(): Uint8Array {
    return (this.#memory ?? noBytes).subarray(0, this.#count * pageBytes);
  }

  has(page: number): boolean {
    return page >= this.#first && page < this.#first + this.#count;
  }

  /** Whether `page` comes right behind the others, and there is room. */
  takes(page: number): boolean {
    return this.#count === 0 || (page === this.#first + this.#count && this.#count < pagesMax);
  }

  /** Copies the page. */
  add(page: number, sealed: Uint8Array): void {
    assert(this.takes(page), 'pages follow one another');
    assert(sealed.length === pageBytes, 'a page has its size');
    this.#memory ??= new Uint8Array(pagesMax * pageBytes);
    if (this.#count === 0) this.#first = page;
    this.#memory.set(sealed, this.#count * pageBytes);
    this.#count += 1;
  }

  clear(): void {
    this.#count = 0;
  }
}

const noBytes = new Uint8Array();
