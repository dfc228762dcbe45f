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
const roundsBeforeStandStill = 200;
/** Where nothing outside is waited for, timers that set themselves again may not go on for ever. */
const stepsInsideMax = 1_000_000;

/** Somebody waits for something, and nothing is left that could bring it about. */
export class StandStill extends Error {
  override readonly name = 'StandStill';

  constructor() {
    super('The simulated world stands still: something waits for what never comes.');
  }
}

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

  /** Something takes its time, and nothing else runs meanwhile: a call that blocks. */
  pass(micros: number): void {
    assert(micros >= 0, 'time does not go back');
    this.#clock?.advance(micros);
    this.#elapsedMicros += micros;
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
    this.pass(Math.max(0, timer.atMicros - this.#elapsedMicros));
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

  /**
   * Runs tasks until `promise` settles, and returns or throws what it settles to. Later tasks stay queued.
   * When nothing is left to do, it waits for what happens outside, such as a module that loads; with
   * 'inside' nothing may, and it throws StandStill.
   */
  async settle<T>(promise: Promise<T>, waitFor: 'outside' | 'inside' = 'outside'): Promise<T> {
    let isSettled = false;
    const settled = promise.then(
      () => void (isSettled = true),
      () => void (isSettled = true),
    );
    for (let steps = 0; ; steps++) {
      await microtasks();
      if (isSettled) return promise;
      if (waitFor === 'inside' && steps > stepsInsideMax) throw new StandStill();
      if (this.step()) continue;
      if (waitFor === 'inside') {
        // A long chain of promises takes more turns than follow a task.
        for (let round = 0; round < roundsBeforeStandStill && !isSettled; round++)
          await microtasks();
        if (isSettled) return promise;
        if (this.pendingCount > 0) continue;
        throw new StandStill();
      }
      await Promise.race([settled, new Promise<void>((resolve) => (this.#wake = resolve))]);
      this.#wake = undefined;
    }
  }
}

async function microtasks(): Promise<void> {
  for (let turn = 0; turn < microtasksPerTask; turn++) await Promise.resolve();
}
