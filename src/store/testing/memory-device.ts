import { assert, CorruptionError, equalBytes } from '../../base/index.ts';
import { pageBytes, pageRefBytes, type PageDevice, runPages } from '../page-device.ts';

interface StoredContent {
  readonly ref: Uint8Array;
  readonly content: Uint8Array;
}

/**
 * Pages in memory, for tests. It hands out freed numbers first, so that a page that is used after it was given
 * back is soon another; a reference proves exactly what was written under it.
 */
export class MemoryDevice implements PageDevice {
  readonly #contents = new Map<number, StoredContent>();
  readonly #taken = new Set<number>();
  #retired: number[] = [];
  #dropped: number[] = [];
  #free: number[] = [];
  readonly #isFree = new Set<number>();
  #end = 1;
  #writes = 0;
  reads = 0;

  get writes(): number {
    return this.#writes;
  }

  /** Numbers of the pages that are neither free nor retired. */
  get pagesTaken(): ReadonlySet<number> {
    return this.#taken;
  }

  allocate(count: number): number {
    let page = count === 1 ? this.#free.pop() : undefined;
    if (page === undefined) {
      page = this.#end;
      this.#end += count;
    }
    for (let at = page; at < page + count; at++) {
      assert(!this.#taken.has(at), 'a page is handed out once');
      this.#taken.add(at);
      this.#isFree.delete(at);
    }
    return page;
  }

  free(page: number, count: number): void {
    for (let at = page; at < page + count; at++) {
      assert(this.#taken.delete(at), 'only taken pages are freed');
      this.#release(at);
    }
  }

  retire(page: number, count: number): void {
    for (let at = page; at < page + count; at++) {
      assert(this.#taken.delete(at), 'only taken pages are retired');
      this.#retired.push(at);
    }
  }

  freeze(): void {
    this.#dropped.push(...this.#retired);
    this.#retired = [];
  }

  /** The checkpoint that began with the last freeze is durable: what it dropped may be taken again. */
  checkpointIsDurable(): void {
    for (const page of this.#dropped) this.#release(page);
    this.#dropped = [];
  }

  /** The process ended: only the pages that a walk of a durable state found are taken. */
  restart(used: ReadonlySet<number>): void {
    this.#taken.clear();
    this.#isFree.clear();
    this.#retired = [];
    this.#dropped = [];
    this.#free = [];
    for (let page = 1; page < this.#end; page++) {
      if (used.has(page)) this.#taken.add(page);
      else this.#release(page);
    }
  }

  #release(page: number): void {
    this.#contents.delete(page);
    this.#free.push(page);
    this.#isFree.add(page);
  }

  /** Changes one byte of a page. */
  damage(page: number): void {
    this.#contents.get(page)!.ref[0]! ^= 1;
  }

  readPage(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    assert(target.length === pageBytes, 'a page is read whole');
    this.readRun(page, ref, refOffset, target);
  }

  writePage(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    assert(content.length === pageBytes, 'a page is written whole');
    this.writeRun(page, content, ref, refOffset);
  }

  readRun(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    this.reads++;
    const stored = this.#contents.get(page);
    const given = ref.subarray(refOffset, refOffset + pageRefBytes);
    if (
      stored === undefined ||
      stored.content.length !== target.length ||
      !equalBytes(stored.ref, given)
    )
      throw new CorruptionError(
        'AUTHENTICATION_FAILED',
        'store/pages',
        page * pageBytes,
        'A page does not open',
      );
    target.set(stored.content);
  }

  writeRun(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    for (let at = page; at < page + runPages(content.length); at++)
      assert(!this.#isFree.has(at), 'free pages are not written');
    const mine = new Uint8Array(pageRefBytes);
    new DataView(mine.buffer).setUint32(4, ++this.#writes);
    mine[0] = 1;
    ref.set(mine, refOffset);
    this.#contents.set(page, { ref: mine, content: content.slice() });
  }
}
