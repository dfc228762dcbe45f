import { VerityError } from '../base/index.ts';
import type { CommandOrigin, Outcome } from '../kernel/index.ts';
import { commandLate } from './deadline.ts';
import { decodeAnswer, encodeAnswer } from './requests.ts';
import { BufferedTransaction, type TransactionScope } from './transaction.ts';
import type { Transaction } from './types.ts';

const attemptsMax = 10;

/** Runs a transaction's body until what it read is unchanged at its commit, within one time limit for all attempts. */
export class TransactionAttempts {
  readonly #scope: TransactionScope;
  readonly #origin: CommandOrigin;
  #current: BufferedTransaction | undefined;
  #isCommitting = false;
  #stopped: VerityError | undefined;

  constructor(scope: TransactionScope, origin: CommandOrigin) {
    this.#scope = scope;
    this.#origin = origin;
  }

  async run<T>(body: (tx: Transaction) => Promise<T>): Promise<T> {
    const before = await this.#answered();
    if (before !== undefined) return decodeAnswer(before.value) as T;
    try {
      return await this.#attempt(body);
    } catch (error) {
      // What the body met may be the work of another call of the same request.
      const meanwhile = await this.#answered().catch(() => undefined);
      if (meanwhile !== undefined) return decodeAnswer(meanwhile.value) as T;
      throw error;
    }
  }

  async #attempt<T>(body: (tx: Transaction) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      if (this.#stopped !== undefined) throw this.#stopped;
      const { engine } = this.#scope;
      engine.checkWritable();
      const transaction = new BufferedTransaction(this.#scope);
      this.#current = transaction;
      const result = await this.#runBody(transaction, body);
      const isKept = this.#origin.request !== undefined;
      const value = isKept ? encodeAnswer(result) : undefined;
      try {
        this.#isCommitting = true;
        const { outcome } = await engine.submit(transaction.finish(this.#origin, value));
        return outcome.repeated === true ? (decodeAnswer(outcome.value) as T) : result;
      } catch (error) {
        const again =
          error instanceof VerityError &&
          error.code === 'TRANSACTION_CONFLICT' &&
          attempt < attemptsMax;
        if (!again) throw error;
      } finally {
        this.#isCommitting = false;
        transaction.tidy();
      }
    }
  }

  /** What an earlier call of the same request was answered; undefined if there was none, or without a request id. */
  async #answered(): Promise<Outcome | undefined> {
    const origin = this.#origin;
    if (origin.request === undefined) return undefined;
    const { engine, tenant } = this.#scope;
    const { outcome } = await engine.submit({ kind: 'findRequest', tenant, origin });
    return outcome.repeated === true ? outcome : undefined;
  }

  /** Ends it because its caller no longer waits; returns the error that tells what became of it. */
  stop(why: 'aborted' | 'timeout'): VerityError {
    this.#stopped = this.#isCommitting ? commandLate(why) : transactionLate(why);
    this.#current?.abandon();
    return this.#stopped;
  }

  async #runBody<T>(
    transaction: BufferedTransaction,
    body: (tx: Transaction) => Promise<T>,
  ): Promise<T> {
    let result: T;
    try {
      result = await body(transaction);
    } catch (error) {
      transaction.abandon();
      throw error;
    }
    // The body may have gone on after its caller was told that nothing is committed.
    if (this.#stopped !== undefined) throw this.#stopped;
    return result;
  }
}

function transactionLate(why: 'aborted' | 'timeout'): VerityError {
  return why === 'aborted'
    ? new VerityError(
        'ABORTED',
        'The caller cancelled the transaction; nothing of it was committed.',
      )
    : new VerityError(
        'TIMEOUT',
        'The time limit ran out within the transaction; nothing of it was committed.',
      );
}
