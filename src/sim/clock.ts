import { assert, type Clock, type TimestampMicros } from '../base/index.ts';

/** 2025-01-01T00:00:00Z. */
const defaultStart = 1_735_689_600_000_000;

/** A clock that moves only when it is told to, forwards or backwards. */
export class SimClock implements Clock {
  #micros: number;
  #stepMicros: number;

  /** Starts at `start` and moves by `stepMicros` (default 0; may be negative) after each reading. */
  constructor(start: number = defaultStart, stepMicros = 0) {
    assert(
      Number.isSafeInteger(start) && Number.isSafeInteger(stepMicros),
      'times are whole microseconds',
    );
    this.#micros = start;
    this.#stepMicros = stepMicros;
  }

  now(): TimestampMicros {
    const micros = this.#micros;
    this.#micros += this.#stepMicros;
    return micros as TimestampMicros;
  }

  set(micros: number): void {
    assert(Number.isSafeInteger(micros), 'times are whole microseconds');
    this.#micros = micros;
  }

  /** Moves the clock by `micros`; a negative number sets it back. */
  advance(micros: number): void {
    this.set(this.#micros + micros);
  }
}
