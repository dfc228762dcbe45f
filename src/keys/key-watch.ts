import { type ErrorCode, type Scheduler, VerityError } from '../base/index.ts';

export interface KeyWatchParts {
  /** From the end of one check to the start of the next. */
  readonly everyMs: number;
  /** How long work goes on after the last check that succeeded. */
  readonly graceMs: number;
  readonly scheduler: Pick<Scheduler, 'delay'>;
  /**
   * Asks the provider; rejects when the master key does not open the database any more. False says nothing either
   * way: the keys were being changed.
   */
  readonly check: () => Promise<boolean>;
  readonly warn: (warning: string) => void;
}

/**
 * Sees to it that work on cached keys is bounded in time: asks the key provider again and again whether it still
 * opens the database, and refuses commands and reads when no check has succeeded for `graceMs`, until one does.
 * Time is the scheduler's, so that a clock that is set changes nothing.
 */
export class KeyWatch {
  readonly #parts: KeyWatchParts;
  #cancelCheck = (): void => undefined;
  #cancelGrace = (): void => undefined;
  #lastFailure: ErrorCode | undefined;
  #isOver = false;
  #isStopped = false;

  /** Starts as if a check had just succeeded: the database was opened with the key. */
  constructor(parts: KeyWatchParts) {
    this.#parts = parts;
    this.#succeeded();
    this.#schedule();
  }

  /** Throws KEY_PROVIDER_UNAVAILABLE when the time on cached keys is over. */
  admit(): void {
    if (!this.#isOver) return;
    throw new VerityError(
      'KEY_PROVIDER_UNAVAILABLE',
      `The master key was not confirmed for ${this.#parts.graceMs} ms (${this.#why()}), so commands and reads are ` +
        'refused. They are accepted again as soon as the key provider opens the database.',
      { details: { reason: this.#why() } },
    );
  }

  /** The code of the last check's error, if it failed; whether commands and reads are refused. */
  get state(): { readonly lastFailure: ErrorCode | undefined; readonly isRefusing: boolean } {
    return { lastFailure: this.#lastFailure, isRefusing: this.#isOver };
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelCheck();
    this.#cancelGrace();
  }

  #schedule(): void {
    this.#cancelCheck = this.#parts.scheduler.delay(this.#parts.everyMs, () => void this.#check());
  }

  async #check(): Promise<void> {
    try {
      const isConfirmed = await this.#parts.check();
      if (isConfirmed && !this.#isStopped) this.#succeeded();
    } catch (error) {
      if (!this.#isStopped) this.#failed(error instanceof VerityError ? error.code : 'IO_ERROR');
    }
    if (!this.#isStopped) this.#schedule();
  }

  #succeeded(): void {
    this.#lastFailure = undefined;
    this.#isOver = false;
    this.#cancelGrace();
    this.#cancelGrace = this.#parts.scheduler.delay(this.#parts.graceMs, () => {
      this.#isOver = true;
      this.#parts.warn(
        `The master key was not confirmed for ${this.#parts.graceMs} ms (${this.#why()}): commands and reads are refused now.`,
      );
    });
  }

  #failed(code: ErrorCode): void {
    const isFirst = this.#lastFailure === undefined;
    this.#lastFailure = code;
    if (!isFirst || this.#isOver) return;
    this.#parts.warn(
      `The key provider no longer confirms the master key (${code}). Work goes on with the keys in memory until no ` +
        `check has succeeded for ${this.#parts.graceMs} ms.`,
    );
  }

  #why(): string {
    return this.#lastFailure ?? 'no answer';
  }
}
