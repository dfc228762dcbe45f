/**
 * The event loop of a simulated world.
 *
 * Invariants: one task at a time; deferred tasks in the order they came, before any delay ends;
 * delays by simulated time, equal ones in the order they came. Simulated time never goes back,
 * whatever the SimClock is set to.
 */
import { assert, type Scheduler } from '../base/index.ts';
import type { SimClock } from './clock.ts';

interface Timer {
  readonly atMicros: number;
  readonly sequence: number;
  readonly callback: () => void;
}

const microsPerMilli = 1000;
/** How many turns of promises may follow a task before the next one starts. */
const microtasksPerTask = 64;

export class SimScheduler implements Scheduler {
  readonly #clock: SimClock | undefined;
  #deferred: (() => void)[] = [];
  #timers: Timer[] = [];
  #elapsedMicros = 0;
  #sequence = 0;
  #wake: (() => void) | undefined;

  /** Moves `clock`, when given, along with simulated time. */
  constructor(clock?: SimClock) {
    this.#clock = clock;
  }

  /** Simulated time since the start, in microseconds. */
  get elapsedMicros(): number {
    return this.#elapsedMicros;
  }

  /** Tasks that wait. */
  get pendingCount(): number {
    return this.#deferred.length + this.#timers.length;
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
    this.#wake?.();
  }

  delay(milliseconds: number, callback: () => void): () => void {
    assert(milliseconds >= 0, 'a delay is not negative');
    const atMicros = this.#elapsedMicros + Math.round(milliseconds * microsPerMilli);
    const timer: Timer = { atMicros, sequence: this.#sequence++, callback };
    let index = this.#timers.length;
    while (index > 0 && (this.#timers[index - 1] as Timer).atMicros > atMicros) index--;
    this.#timers.splice(index, 0, timer);
    this.#wake?.();
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** Runs the next task, moving time on when only delays are left. False if there is none. */
  step(): boolean {
    const deferred = this.#deferred.shift();
    if (deferred !== undefined) {
      deferred();
      return true;
    }
    const timer = this.#timers.shift();
    if (timer === undefined) return false;
    this.#clock?.advance(timer.atMicros - this.#elapsedMicros);
    this.#elapsedMicros = timer.atMicros;
    timer.callback();
    return true;
  }

  /**
   * Runs tasks, and the promises that they settle, until none is left. Throws AssertionError after
   * `stepsMax` tasks: something schedules itself for ever.
   */
  async run(stepsMax = 1_000_000): Promise<void> {
    await microtasks();
    for (let steps = 0; this.step(); steps++) {
      assert(steps < stepsMax, 'the tasks of a simulation come to an end');
      await microtasks();
    }
  }

  /** Runs tasks until `promise` settles, and returns or throws what it settles to. Later tasks stay queued. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settled = promise.then(
      () => void (isSettled = true),
      () => void (isSettled = true),
    );
    for (;;) {
      await microtasks();
      if (isSettled) return promise;
      if (this.step()) continue;
      // Nothing to do here: the promise waits for something outside, such as a module that loads.
      await Promise.race([settled, new Promise<void>((resolve) => (this.#wake = resolve))]);
      this.#wake = undefined;
    }
  }
}

async function microtasks(): Promise<void> {
  for (let turn = 0; turn < microtasksPerTask; turn++) await Promise.resolve();
}
