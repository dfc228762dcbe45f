import type { Scheduler } from '../base/index.ts';

/** When checkpoints are made without being asked for. */
export interface ProofSettings {
  /** After so many events; 0: never. */
  readonly checkpointEvents: number;
  /** So many seconds after the first event that no checkpoint covers; 0: never. */
  readonly checkpointSeconds: number;
}

export const defaultProofs: ProofSettings = { checkpointEvents: 10_000, checkpointSeconds: 60 };

export interface CheckpointTimesParts {
  readonly settings: ProofSettings;
  readonly scheduler: Scheduler;
  /** Events of the log. */
  readonly leafCount: () => number;
  /** Makes a checkpoint in the background; never rejects. */
  readonly make: () => Promise<void>;
}

/** Sees to it that no event stays long without a checkpoint that covers it. */
export class CheckpointTimes {
  readonly #parts: CheckpointTimesParts;
  #isRunning = false;
  /** Events that a checkpoint covers. */
  #covered = 0;
  #cancelTimer: (() => void) | undefined;
  #isDue = false;

  constructor(parts: CheckpointTimesParts) {
    this.#parts = parts;
  }

  start(covered: number): void {
    this.#isRunning = true;
    this.#covered = covered;
    this.committed();
  }

  stop(): void {
    this.#isRunning = false;
    this.#cancelTimer?.();
  }

  /** A checkpoint of so many events is there. */
  covered(size: number): void {
    this.#covered = size;
  }

  /** A frame was committed. */
  committed(): void {
    if (!this.#isRunning) return;
    const { settings, scheduler, leafCount } = this.#parts;
    const { checkpointEvents, checkpointSeconds } = settings;
    const behind = leafCount() - this.#covered;
    if (behind <= 0) return;
    if (checkpointEvents > 0 && behind >= checkpointEvents) this.#later();
    else if (checkpointSeconds > 0)
      this.#cancelTimer ??= scheduler.delay(checkpointSeconds * 1_000, () => {
        this.#cancelTimer = undefined;
        this.#later();
      });
  }

  #later(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#parts.scheduler.defer(() => {
      void this.#parts.make().finally(() => {
        this.#isDue = false;
      });
    });
  }
}
