import { type Position, type VerityError } from '../base/index.ts';
import type { Outcome } from '../kernel/index.ts';
import type { StoreChange } from '../store/index.ts';

/** What a caller gets when everything its reply rests on is durable. */
export interface CommandResult {
  /** The command's position; for a no-op, the position it was decided at. */
  readonly position: Position;
  readonly outcome: Outcome;
}

/** A reply that waits until `position` is durable. */
export interface Waiting {
  readonly position: Position;
  /** The changes to commit; undefined for rejections and no-ops, which only wait. */
  readonly changes: readonly StoreChange[] | undefined;
  readonly succeed: () => void;
  readonly fail: (error: VerityError) => void;
}

/** Replies in the order of their positions. */
export class CommitQueue {
  #waiting: Waiting[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  add(waiting: Waiting): void {
    this.#waiting.push(waiting);
  }

  /** Takes everything that waits. */
  takeAll(): Waiting[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
