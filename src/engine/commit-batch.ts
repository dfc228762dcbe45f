import { limits, type Position, VerityError } from '../base/index.ts';
import type { DecidedChanges, Outcome } from '../kernel/index.ts';
import type { StoreChange } from '../store/index.ts';

/** What a caller gets when everything its reply rests on is durable. */
export interface CommandResult {
  /** The command's position; for a no-op, the position it was decided at. */
  readonly position: Position;
  readonly outcome: Outcome;
}

/**
 * The commands that share a frame, and everybody who waits for it: those whose commands are in it, and those
 * whose rejection or no-op was decided on them. One promise for all of them: replies go out in the
 * order in which they began to wait.
 */
export class CommitBatch {
  readonly commands: DecidedChanges[] = [];
  /** Resolves, never rejects, when it is known what became of the batch. */
  readonly #settled: Promise<void>;
  #settle: () => void = () => undefined;
  #failure: (() => VerityError) | undefined;

  constructor() {
    this.#settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  get isEmpty(): boolean {
    return this.commands.length === 0;
  }

  get isFull(): boolean {
    return this.commands.length >= limits.frameCommandsMax;
  }

  add(position: Position, changes: readonly StoreChange[]): void {
    this.commands.push({ position, changes });
  }

  succeed(): void {
    this.#settle();
  }

  /** Every reply becomes the error that `failure` makes. */
  fail(failure: () => VerityError): void {
    this.#failure = failure;
    this.#settle();
  }

  /**
   * Answers with what `answer` makes of `outcome` once the batch is durable; rejects if the batch was dropped, or
   * if `outcome` is a rejection.
   */
  reply<T>(
    position: Position,
    outcome: Outcome | VerityError,
    answer: (result: CommandResult) => T,
  ): Promise<T> {
    if (this.isEmpty) {
      return outcome instanceof VerityError
        ? Promise.reject(outcome)
        : Promise.resolve(answer({ position, outcome }));
    }
    return this.#settled.then(() => {
      if (this.#failure !== undefined) throw this.#failure();
      if (outcome instanceof VerityError) throw outcome;
      return answer({ position, outcome });
    });
  }
}
