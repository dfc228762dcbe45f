import type { VerityError } from '../base/index.ts';
import type { CommitBatch } from './commit-batch.ts';

/** Answers of batches of which it is known what became of them: given in the order of the batches. */
export class CommitReplies {
  #settled: (() => void)[] = [];
  readonly #listeners = new Set<() => void>();

  succeeded(batch: CommitBatch): void {
    this.#settled.push(() => batch.succeed());
  }

  /** Every reply becomes the error that `failure` makes. */
  failed(batch: CommitBatch, failure: () => VerityError): void {
    this.#settled.push(() => batch.fail(failure));
  }

  /** Answers everybody who is not answered yet. */
  answer(): void {
    const settled = this.#settled;
    this.#settled = [];
    for (const settle of settled) settle();
    for (const listener of this.#listeners) listener();
  }

  /** Calls `listener` after each commit until the returned function is called. */
  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
