import type { Scheduler } from '../base/index.ts';
import type { PageFile } from '../store/index.ts';

/** Pages read within one turn of the event loop: less than a millisecond. */
const pagesPerTurn = 64;

/**
 * Finds out which pages of the store are free, while the database is used: what opening left of that. Until it is done
 * new pages come from the end of the file; where a page of the trees is damaged, that stays so until they are made anew.
 */
export class PageWalk {
  readonly #pages: Pick<PageFile, 'endMarking' | 'giveUpMarking'>;
  #steps: Iterator<void> | undefined;

  /** `steps` marks the pages that the trees use, and yields after each that it reads. */
  constructor(pages: Pick<PageFile, 'endMarking' | 'giveUpMarking'>, steps: Iterator<void>) {
    this.#pages = pages;
    this.#steps = steps;
  }

  get isOver(): boolean {
    return this.#steps === undefined;
  }

  /** Goes on by so many pages. Throws CorruptionError, with which it is over. */
  step(pagesMax: number): void {
    try {
      for (let left = pagesMax; left > 0 && this.#steps !== undefined; left--) {
        if (this.#steps.next().done !== true) continue;
        this.#steps = undefined;
        this.#pages.endMarking();
      }
    } catch (error) {
      this.#steps = undefined;
      this.#pages.giveUpMarking();
      throw error;
    }
  }

  /** Goes on in the background, a slice a turn. `onDamage` gets the page that ends it. */
  start(scheduler: Scheduler, onDamage: (error: unknown) => void): void {
    if (this.isOver) return;
    scheduler.defer(() => {
      try {
        this.step(pagesPerTurn);
      } catch (error) {
        onDamage(error);
        return;
      }
      this.start(scheduler, onDamage);
    });
  }

  /** Goes on no further. */
  stop(): void {
    this.#steps = undefined;
  }
}
