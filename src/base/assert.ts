/** An invariant of ours does not hold: our bug, never the caller's or the disk's. */
export class AssertionError extends Error {
  override readonly name = 'AssertionError';
}

/** Throws AssertionError unless `condition`; `what` says the property that holds, positively. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) {
    throw new AssertionError(`Assertion failed: ${what}`);
  }
}

/** Marks a branch that types rule out. */
export function unreachable(value: never): never {
  throw new AssertionError(`Unreachable: ${String(value)}`);
}
