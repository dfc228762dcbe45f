import type { TimestampMicros } from './ids.ts';

/** Wall-clock time; may step back. The kernel makes command times monotone itself. */
export interface Clock {
  now(): TimestampMicros;
}

/** Cryptographic randomness, or a seeded stream in the simulator. The caller owns the returned bytes. */
export interface Entropy {
  bytes(count: number): Uint8Array;
}

/** Turns of the event loop. */
export interface Scheduler {
  /** Runs `callback` on a later turn, after pending I/O had its chance (setImmediate). */
  defer(callback: () => void): void;
  /** Runs `callback` after `milliseconds`; must not keep the process alive. Returns a cancel function. */
  delay(milliseconds: number, callback: () => void): () => void;
}
