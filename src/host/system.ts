import { randomFillSync } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { Clock, Entropy, Scheduler, TimestampMicros } from '../base/index.ts';

const microsPerMilli = 1000;

/**
 * The wall clock in microseconds. The millisecond is always that of Date.now(), so that it follows
 * every correction of the system's clock; the rest comes from the monotonic clock.
 */
class SystemClock implements Clock {
  /** What to add to the monotonic clock; corrected when the two disagree on the millisecond. */
  #offsetMicros = 0;

  now(): TimestampMicros {
    const low = Date.now() * microsPerMilli;
    const high = low + microsPerMilli - 1;
    const monotonicMicros = Math.floor(performance.now() * microsPerMilli);
    const micros = monotonicMicros + this.#offsetMicros;
    if (micros >= low && micros <= high) return micros as TimestampMicros;
    const corrected = micros < low ? low : high;
    this.#offsetMicros = corrected - monotonicMicros;
    return corrected as TimestampMicros;
  }
}

export const systemClock: Clock = new SystemClock();

/** The operating system's cryptographic random numbers. */
export const systemEntropy: Entropy = {
  // Not randomBytes: a Buffer's slice() would share memory where a Uint8Array's copies.
  bytes: (count) => randomFillSync(new Uint8Array(count)),
};

/** The event loop of this process. */
export const systemScheduler: Scheduler = {
  defer(callback) {
    setImmediate(callback);
  },
  delay(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    timer.unref();
    return () => clearTimeout(timer);
  },
};
