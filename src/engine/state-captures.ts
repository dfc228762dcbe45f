import { assert, type Scheduler } from '../base/index.ts';
import type { SignedCheckpoint } from './proofs-parts.ts';
import type { StateHash } from './state-hasher.ts';

type Capture = (state: StateHash) => void;

/**
 * Brings the state up to now, calls the function in the turn in which its tries are of that state, and resolves with a
 * checkpoint of it that is signed.
 */
export type CheckpointAt = (capture: Capture) => Promise<SignedCheckpoint>;

interface Group {
  readonly captures: Capture[];
  readonly done: Promise<SignedCheckpoint>;
}

/** Those who want proofs of the state: who waits for one checkpoint shares the next. */
export class StateCaptures {
  readonly #scheduler: Scheduler;
  readonly #checkpointAt: CheckpointAt;
  /** Those who are captured with the next state. */
  #waiting: Group | undefined;
  #turn = Promise.resolve();

  constructor(scheduler: Scheduler, checkpointAt: CheckpointAt) {
    this.#scheduler = scheduler;
    this.#checkpointAt = checkpointAt;
  }

  /** See Proofs.captureAtState. */
  async capture<T>(
    capture: (state: StateHash) => T,
  ): Promise<{ readonly captured: T; readonly checkpoint: SignedCheckpoint }> {
    let outcome: { readonly captured: T } | { readonly error: unknown } | undefined;
    const group = (this.#waiting ??= this.#begin());
    group.captures.push((state) => {
      try {
        outcome = { captured: capture(state) };
      } catch (error) {
        // Of this caller alone.
        outcome = { error };
      }
    });
    const checkpoint = await group.done;
    // One caller a turn of the event loop: what each makes of its capture takes milliseconds.
    await (this.#turn = this.#turn.then(() => new Promise((go) => this.#scheduler.defer(go))));
    assert(outcome !== undefined, 'a checkpoint is made after the captures');
    if ('error' in outcome) throw outcome.error;
    return { captured: outcome.captured, checkpoint };
  }

  #begin(): Group {
    const captures: Capture[] = [];
    const ended = (): void => {
      if (this.#waiting?.captures === captures) this.#waiting = undefined;
    };
    const done = this.#checkpointAt((state) => {
      ended();
      for (const capture of captures) capture(state);
    });
    // Nobody is captured any more where it fails before that.
    done.catch(ended);
    return { captures, done };
  }
}
