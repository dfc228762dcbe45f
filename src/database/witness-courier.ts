/** Carries checkpoints to one witness in the background: the newest only, one at a time, ever more seldom while it does not answer. */
import type { Scheduler } from '../base/index.ts';
import { VerityError } from '../base/index.ts';
import {
  type RequestTimes,
  submitCheckpoint,
  type SubmissionResult,
  type WitnessAddress,
} from '../witness/index.ts';
import type { AttestedLog } from './attested-log.ts';

const firstPauseMs = 1_000;
const pauseMsMax = 300_000;
const requestMs = 10_000;

export interface CourierParts {
  readonly witness: WitnessAddress;
  readonly log: AttestedLog;
  readonly scheduler: Scheduler;
  /** Told when the witness contradicts the log, and of the first of several failures in a row. */
  readonly onTrouble: (error: VerityError) => void;
}

interface Signed {
  readonly note: string;
  readonly size: number;
}

/** How one attempt ended. */
export type Delivery =
  | { readonly outcome: 'cosigned'; readonly size: number; readonly time: number }
  | { readonly outcome: 'failed'; readonly error: VerityError };

export class WitnessCourier {
  readonly witness: WitnessAddress;
  readonly #parts: CourierParts;
  readonly #ended = new AbortController();
  /** What the witness is thought to have. */
  #from = 0;
  #waiting: Signed | undefined;
  #running = false;
  #failures = 0;
  #cancelPause: (() => void) | undefined;
  /** How the last attempt ended. */
  last: Delivery | undefined;

  constructor(parts: CourierParts) {
    this.#parts = parts;
    this.witness = parts.witness;
  }

  /** Has the checkpoint cosigned some time soon, unless a newer one comes first. */
  send(signed: Signed): void {
    if (this.#ended.signal.aborted) return;
    this.#waiting = signed;
    if (!this.#running && this.#cancelPause === undefined) void this.#run();
  }

  /** Has the checkpoint cosigned now; never throws. */
  async deliver(signed: Signed, times: RequestTimes = { timeoutMs: requestMs }): Promise<Delivery> {
    const { log, witness } = this.#parts;
    const signal = this.#ended.signal;
    try {
      const submission = {
        note: signed.note,
        from: this.#from,
        consistency: (from: number, to: number) => log.consistencyProof(from, to),
      };
      const result = await submitCheckpoint(witness, submission, { signal, ...times });
      this.last = this.#noted(signed, result);
    } catch (error) {
      if (!(error instanceof VerityError)) throw error;
      this.last = { outcome: 'failed', error };
    }
    return this.last;
  }

  #noted(signed: Signed, result: SubmissionResult): Delivery {
    const { log, witness } = this.#parts;
    if (result.outcome !== 'cosigned')
      return { outcome: 'failed', error: contradiction(witness, result) };
    this.#from = signed.size;
    if (!this.#ended.signal.aborted) log.amend(signed.size, result.signatures);
    return { outcome: 'cosigned', size: signed.size, time: result.signatures[0]?.time ?? 0 };
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting !== undefined && !this.#ended.signal.aborted) {
      const signed = this.#waiting;
      this.#waiting = undefined;
      const delivery = await this.deliver(signed);
      if (this.#ended.signal.aborted) break;
      if (delivery.outcome === 'cosigned') {
        this.#failures = 0;
        continue;
      }
      this.#failures++;
      if (this.#failures === 1) this.#parts.onTrouble(delivery.error);
      // Trying again does not help against a contradiction; the next checkpoint is tried all the same.
      if (delivery.error.retryable) this.#pause(signed);
      break;
    }
    this.#running = false;
  }

  #pause(signed: Signed): void {
    const pauseMs = Math.min(firstPauseMs * 2 ** (this.#failures - 1), pauseMsMax);
    this.#waiting ??= signed;
    this.#cancelPause = this.#parts.scheduler.delay(pauseMs, () => {
      this.#cancelPause = undefined;
      void this.#run();
    });
  }

  /** Ends what is under way. */
  stop(): void {
    this.#ended.abort();
    this.#cancelPause?.();
  }
}

function contradiction(
  { vkey }: WitnessAddress,
  result: Exclude<SubmissionResult, { outcome: 'cosigned' }>,
): VerityError {
  const what =
    result.outcome === 'ahead'
      ? `a larger log of this name, of ${result.size} events`
      : `a log of this name whose first ${result.size} events are others`;
  return new VerityError(
    'LOG_ROLLED_BACK',
    `The witness "${vkey.name}" has cosigned ${what}. Somebody writes another copy of this database, or its disk was rolled back: find out which before you go on.`,
    { details: { witness: vkey.name, cosigned: result.size } },
  );
}
