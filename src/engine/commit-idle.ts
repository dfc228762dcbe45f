import type { Op, Scheduler } from '../base/index.ts';

const tickMs = 25;
/** Under steady load the anchor is moved on after so many ticks: about a second. */
const anchorTicks = 40;

export interface CommitIdleParts {
  readonly scheduler: Scheduler;
  /** The newest durable frame, or undefined while others are gathered or on their way. */
  readonly newest: () => { readonly op: Op; readonly isMark: boolean } | undefined;
  /** Writes a mark frame. */
  readonly mark: () => void;
  /** Names the newest durable frame in the anchor. */
  readonly anchor: () => void;
}

/**
 * When nothing was written for one to two ticks, a mark frame says that everything is durable. One timer for many
 * commits: setting and clearing one for each costs a lone writer more than deciding its command.
 */
export class CommitIdle {
  readonly #parts: CommitIdleParts;
  #cancel: (() => void) | undefined;
  #opAtTick = 0;
  #ticks = 0;

  constructor(parts: CommitIdleParts) {
    this.#parts = parts;
  }

  /** Something was written. */
  written(): void {
    this.#cancel ??= this.#parts.scheduler.delay(tickMs, () => this.#tick());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #tick(): void {
    this.#cancel = undefined;
    const newest = this.#parts.newest();
    const isIdle = newest !== undefined && newest.op === this.#opAtTick;
    this.#opAtTick = newest?.op ?? 0;
    this.#ticks = isIdle ? 0 : this.#ticks + 1;
    if (this.#ticks === anchorTicks) {
      this.#ticks = 0;
      this.#parts.anchor();
    }
    if (!isIdle) this.written();
    else if (!newest.isMark) this.#parts.mark();
  }
}
