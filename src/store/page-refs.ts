import { assert } from '../base/index.ts';
import { pageRefBytes } from './page-device.ts';

/**
 * What proves the pages that were written lately, until their parents hold it too: a parent is sealed after its
 * children, and a copy of it that was made before its children were written learns of them here.
 *
 * Invariant: an entry's parent, in every state that is still to be written, is patched before the entry goes:
 * entries of generation g are kept until generation g + 1 is written in full.
 */
export class PageRefs {
  bytes = new Uint8Array(256 * pageRefBytes);
  #pageAt = new Int32Array(256);
  #generationAt = new Int32Array(256);
  #count = 0;
  /** Number of a page's entry plus 1, or 0. */
  #entryOf = new Int32Array(1024);

  /** Where the reference of `page` is in `bytes`, or -1. */
  offsetOf(page: number): number {
    const entry = page < this.#entryOf.length ? this.#entryOf[page]! : 0;
    return entry === 0 ? -1 : (entry - 1) * pageRefBytes;
  }

  /** The generation in which `page` was written last, or -1 when that is not known here. */
  generationOf(page: number): number {
    const entry = page < this.#entryOf.length ? this.#entryOf[page]! : 0;
    return entry === 0 ? -1 : this.#generationAt[entry - 1]!;
  }

  /** Where in `bytes` the reference of `page`, written in `generation`, belongs. */
  place(page: number, generation: number): number {
    if (page >= this.#entryOf.length) this.#entryOf = grown(this.#entryOf, page + 1);
    let entry = this.#entryOf[page]!;
    if (entry === 0) {
      if (this.#count === this.#pageAt.length) this.#grow();
      entry = ++this.#count;
      this.#entryOf[page] = entry;
      this.#pageAt[entry - 1] = page;
    }
    this.#generationAt[entry - 1] = generation;
    return (entry - 1) * pageRefBytes;
  }

  /** Forgets what was written before `generation`. */
  dropBefore(generation: number): void {
    let kept = 0;
    for (let entry = 0; entry < this.#count; entry++) {
      const page = this.#pageAt[entry]!;
      if (this.#generationAt[entry]! < generation) {
        this.#entryOf[page] = 0;
        continue;
      }
      if (kept !== entry) {
        this.#pageAt[kept] = page;
        this.#generationAt[kept] = this.#generationAt[entry]!;
        const from = entry * pageRefBytes;
        this.bytes.copyWithin(kept * pageRefBytes, from, from + pageRefBytes);
        this.#entryOf[page] = kept + 1;
      }
      kept++;
    }
    this.#count = kept;
  }

  #grow(): void {
    const length = this.#pageAt.length * 2;
    assert(length < 1 << 26, 'a generation has fewer than 2^26 pages');
    this.#pageAt = grown(this.#pageAt, length);
    this.#generationAt = grown(this.#generationAt, length);
    const bytes = new Uint8Array(length * pageRefBytes);
    bytes.set(this.bytes);
    this.bytes = bytes;
  }
}

function grown(array: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const longer = new Int32Array(Math.max(length, array.length * 2));
  longer.set(array);
  return longer;
}
