import { assert } from '../base/index.ts';
import { FreeMap } from './free-map.ts';
import type { PageDevice } from './page-device.ts';

/**
 * A part of a device for trees that are built beside those in use: it knows which pages it has taken, so that they can
 * all be given back, or all others be.
 */
export class RebuiltPages implements PageDevice {
  readonly #device: PageDevice;
  /** The pages that are ours count as free. */
  #own = new FreeMap();

  constructor(device: PageDevice) {
    this.#device = device;
  }

  has(page: number): boolean {
    return page < this.#own.pageCount && !this.#own.isTaken(page);
  }

  /** Gives everything back. */
  giveUp(): void {
    for (let page = 0; page < this.#own.pageCount; page++)
      if (this.has(page)) this.#device.free(page, 1);
    this.#own = new FreeMap();
  }

  allocate(count: number): number {
    const page = this.#device.allocate(count);
    const { pageCount } = this.#own;
    if (page + count > pageCount) this.#own.take(pageCount, page + count - pageCount);
    this.#own.release(page, count);
    return page;
  }

  free(page: number, count: number): void {
    assert(this.has(page + count - 1), 'only what was taken here is given back');
    const isOurs = this.#own.take(page, count);
    assert(isOurs, 'what is given back was taken as a whole');
    this.#device.free(page, count);
  }

  /** Nothing is frozen before it is taken over. */
  retire(page: number, count: number): void {
    this.free(page, count);
  }

  freeze(): void {
    assert(false, 'nothing is frozen before it is taken over');
  }

  readPage(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    this.#device.readPage(page, ref, refOffset, target);
  }

  writePage(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    this.#device.writePage(page, content, ref, refOffset);
  }

  readRun(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void {
    this.#device.readRun(page, ref, refOffset, target);
  }

  writeRun(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void {
    this.#device.writeRun(page, content, ref, refOffset);
  }
}
