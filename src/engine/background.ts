import type { Scheduler } from '../base/index.ts';

/**
 * A scheduler for work that can wait. Of all who defer to it one has its slice in a turn of the event loop, first come,
 * first served: together they take no longer from a turn than each takes alone.
 */
export class Background implements Scheduler {
  readonly #scheduler: Scheduler;
  readonly #waiting: (() => void)[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  defer(callback: () => void): void {
    this.#waiting.push(callback);
    if (this.#waiting.length === 1) this.#later();
  }

  delay(milliseconds: number, callback: () => void): () => void {
    return this.#scheduler.delay(milliseconds, callback);
  }

  #later(): void {
    this.#scheduler.defer(() => {
      const [callback] = this.#waiting;
      try {
        callback?.();
      } finally {
        this.#waiting.shift();
        if (this.#waiting.length > 0) this.#later();
      }
    });
  }
}
