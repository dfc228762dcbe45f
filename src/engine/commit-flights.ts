import { assert, type Clock, type Scheduler } from '../base/index.ts';
import type { CommitBatch } from './commit-batch.ts';
import type { CommitPace } from './commit-pace.ts';
import type { CommitReplies } from './commit-replies.ts';
import type { TurnWatch } from './turn-watch.ts';

/** A longer frame is flushed in the background, whoever waits for it. */
const frameBytesOnTurnMax = 256 << 10;

export interface CommitFlightsParts {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly pace: CommitPace;
  readonly replies: CommitReplies;
  readonly turn: TurnWatch;
  /** Makes the oldest frame that is written durable. */
  readonly flush: () => void;
  readonly flushInBackground: () => Promise<void>;
  /** Takes over what the oldest frame on its way brought, which is durable now, with `shift`. */
  readonly commit: () => void;
  /** A frame has landed and its batch waits for its answer: there may be more to do. Never throws. */
  readonly landed: () => void;
  /** A flush or commit failed. Never throws. */
  readonly fail: (cause: unknown) => void;
  /** Whether anything failed before: then what comes from the disk is no longer heard. */
  readonly hasFailed: () => boolean;
}

interface Flight {
  readonly batch: CommitBatch;
  readonly bytes: number;
}

/**
 * The frames on their way: written, not known to be durable. One is flushed, on the calling turn or in the
 * background as the pace says; those behind it wait for the same disk. Their batches are committed and answered in order.
 */
export class CommitFlights {
  readonly #parts: CommitFlightsParts;
  /** Oldest first; a mark's batch is empty. */
  readonly #flights: Flight[] = [];
  /** Called once nothing is on its way. */
  #onLanded: (() => void)[] = [];

  constructor(parts: CommitFlightsParts) {
    this.#parts = parts;
  }

  get count(): number {
    return this.#flights.length;
  }
  get oldest(): CommitBatch | undefined {
    return this.#flights[0]?.batch;
  }
  get newest(): CommitBatch | undefined {
    return this.#flights.at(-1)?.batch;
  }

  /** A frame of so many bytes was written. Has it flushed, if it is the only one on its way. Never throws. */
  send(batch: CommitBatch, bytes: number): void {
    const flight = { batch, bytes };
    this.#flights.push(flight);
    let waiting = 0;
    for (const each of this.#flights) waiting += each.batch.commands.length;
    this.#parts.pace.launched(waiting);
    if (this.#flights.length > 1) return;
    if (this.#takesTurn(flight)) this.#flush();
    else this.#flushInBackground();
  }

  /** The oldest is on its way no longer. */
  shift(): void {
    const flight = this.#flights.shift();
    assert(flight !== undefined, 'only a frame on its way becomes durable');
  }

  /** None of them is on its way any more: their batches, oldest first. Who waits for them to land waits on. */
  drop(): CommitBatch[] {
    return this.#flights.splice(0).map(({ batch }) => batch);
  }

  /** The commands of all frames on their way, in order. */
  *commands(): Generator<CommitBatch['commands'][number]> {
    for (const { batch } of this.#flights) yield* batch.commands;
  }

  /** Resolves when no frame is on its way. */
  landing(): Promise<void> {
    if (this.#flights.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onLanded.push(resolve);
    });
  }

  /** Tells those who wait that nothing is on its way. */
  land(): void {
    if (this.#flights.length > 0) return;
    const waiting = this.#onLanded;
    this.#onLanded = [];
    for (const go of waiting) go();
  }

  #takesTurn(flight: Flight): boolean {
    const { pace, turn } = this.#parts;
    return flight.bytes <= frameBytesOnTurnMax && !turn.isLong && pace.takeTurn();
  }

  /** Flushes the oldest frame on the calling turn. Never throws. */
  #flush(): void {
    const { clock, scheduler, pace, replies, turn } = this.#parts;
    const start = clock.now();
    let end: number;
    try {
      this.#parts.flush();
      end = clock.now();
      this.#parts.commit();
    } catch (error) {
      this.#parts.fail(error);
      return;
    }
    if (pace.answersOnTurn(end - start) && !turn.isLong) {
      replies.answer();
    } else {
      scheduler.defer(() => {
        pace.turnEnded();
        turn.turned();
        replies.answer();
      });
    }
    this.#afterLanding();
  }

  /** Never throws. */
  #flushInBackground(): void {
    let flushed: Promise<void>;
    try {
      flushed = this.#parts.flushInBackground();
    } catch (error) {
      this.#parts.fail(error);
      return;
    }
    flushed.then(
      () => this.#flushed(),
      (error: unknown) => this.#parts.fail(error),
    );
  }

  /** The oldest has been flushed in the background. Never throws. */
  #flushed(): void {
    if (this.#parts.hasFailed()) return;
    this.#parts.turn.turned();
    const next = this.#flights[1];
    const takesTurn = next !== undefined && this.#takesTurn(next);
    try {
      // The disk goes on while we commit and answer.
      if (next !== undefined && !takesTurn) this.#flushInBackground();
      this.#parts.commit();
    } catch (error) {
      this.#parts.fail(error);
      return;
    }
    const { turn, scheduler, replies } = this.#parts;
    if (takesTurn && !turn.isLong) {
      this.#flush();
      return;
    }
    if (takesTurn) this.#flushInBackground();
    this.#afterLanding();
    if (turn.isLong) scheduler.defer(() => replies.answer());
    else replies.answer();
  }

  #afterLanding(): void {
    this.#parts.landed();
    this.land();
  }
}
