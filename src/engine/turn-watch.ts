import type { Scheduler } from '../base/index.ts';

/** After so much work the event loop gets its turn: four to six milliseconds. */
const workMicrosMax = 4_000;
/** What it costs to decide and to write an event of a table with an index, and a byte of it, measured. */
const eventMicros = 8;
const byteMicros = 1 / 400;
/** What it costs to move one change of the store into the trees. */
const changeMicros = 4;

/**
 * Knows how much the commit loop has done since the event loop had its turn. It counts work instead of reading the
 * clock, so that the same commands always make the same frames.
 */
export class TurnWatch {
  readonly #scheduler: Scheduler;
  readonly #onNext: () => void;
  #workMicros = 0;
  #isLong = false;

  /** `onNext` is called on the turn after a long one. */
  constructor(scheduler: Scheduler, onNext: () => void) {
    this.#scheduler = scheduler;
    this.#onNext = onNext;
  }

  /** Whether what is left is to wait for the next turn. */
  get isLong(): boolean {
    return this.#isLong;
  }

  /** So many events, of so many bytes, were decided. */
  decided(events: number, bytes: number): void {
    this.#worked(events * eventMicros + bytes * byteMicros);
  }

  /** So many changes of the store were committed. */
  committed(changes: number): void {
    this.#worked(changes * changeMicros);
  }

  #worked(micros: number): void {
    this.#workMicros += micros;
    if (this.#isLong || this.#workMicros <= workMicrosMax) return;
    this.#isLong = true;
    this.#scheduler.defer(() => {
      this.#isLong = false;
      this.#workMicros = 0;
      this.#onNext();
    });
  }

  /** The event loop has turned. */
  turned(): void {
    if (!this.#isLong) this.#workMicros = 0;
  }
}
