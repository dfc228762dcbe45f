import { VerityError } from '../base/index.ts';
import type { Command } from '../kernel/index.ts';

interface Waiting {
  readonly decide: () => void;
  readonly reject: (error: VerityError) => void;
}

/**
 * Commands that were submitted while there was no room: not decided yet, first come, first decided. Bounded:
 * who submits faster than the disk takes it, without waiting for answers, is refused with OVERLOADED.
 */
export class CommitQueue {
  readonly #countMax: number;
  #waiting: Waiting[] = [];
  #first = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /**
   * Calls `decide` when there is room; answers when that calls `resolve`: a promise more in between, and the answer
   * would come after those of later commands in the same frame. Rejects as `decide` does, with OVERLOADED, or with
   * what `fail` is given.
   */
  wait<T>(decide: (resolve: (answer: T) => void) => Promise<unknown>): Promise<T> {
    if (this.#waiting.length - this.#first >= this.#countMax) {
      return Promise.reject(
        new VerityError(
          'OVERLOADED',
          `${this.#countMax} commands wait for the log already; this one was not begun. Wait for answers before sending more.`,
        ),
      );
    }
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        decide: () => {
          try {
            decide(resolve).catch(reject);
          } catch (error) {
            reject(error as Error);
          }
        },
        reject,
      });
    });
  }

  /** Has the one decided that came first. */
  decideNext(): void {
    const next = this.#waiting[this.#first++];
    if (this.isEmpty) {
      this.#waiting = [];
      this.#first = 0;
    }
    next?.decide();
  }

  /** None of them will be decided. */
  fail(error: () => VerityError): void {
    const waiting = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    for (const { reject } of waiting) reject(error());
  }
}

/** A command that keeps what its caller may change while it waits. */
export function detached(command: Command): Command {
  if (command.kind !== 'statement') return command;
  const parameters = command.parameters.map((value) => {
    if (value instanceof Uint8Array) return value.slice();
    return value instanceof Date ? new Date(value) : value;
  });
  return { ...command, parameters };
}
