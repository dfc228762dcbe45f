import type { Entropy } from '../base/index.ts';
import { pageBytes } from './page-device.ts';
import { type BasePages, type ScratchFile, scratchMemory, ScratchPages } from './scratch-pages.ts';
import { TreeStore } from './tree-store.ts';

/** Pages written, for each that memory holds, before what proves them is let go from memory: that takes 48 bytes a page. */
const writtenShare = 2;

export interface ScratchStoreParts {
  readonly cacheBytes: number;
  readonly entropy: Entropy;
  /** Opens the file for pages that memory does not hold, if there are any; absent: they stay in memory. */
  readonly scratch?: (() => ScratchFile) | undefined;
  /** Goes on from a checkpoint: its pages, and what leads to them. */
  readonly from?: { readonly base: BasePages; readonly roots: Uint8Array };
}

/** A store for this process only, in bounded memory. */
export class ScratchStore {
  readonly store: TreeStore;
  readonly #pages: ScratchPages;
  readonly #pagesBetween: number;
  #writtenBefore = 0;

  constructor({ cacheBytes, entropy, scratch, from }: ScratchStoreParts) {
    this.#pagesBetween = writtenShare * Math.floor(cacheBytes / pageBytes);
    this.#pages = new ScratchPages({
      entropy,
      open: scratch ?? scratchMemory,
      ...(from !== undefined && { base: from.base }),
    });
    this.store = new TreeStore(this.#pages, { cacheBytes }, from?.roots);
  }

  /** Between changes, now and then: keeps memory bounded. */
  relieve(): void {
    if (this.#pages.writtenPages - this.#writtenBefore < this.#pagesBetween) return;
    this.store.freeze();
    this.store.writeSlice(Number.POSITIVE_INFINITY);
    this.#pages.settled();
    this.#writtenBefore = this.#pages.writtenPages;
  }

  close(): void {
    this.#pages.close();
  }
}
