/** How much memory rows take, roughly: what is held at once is bounded by it. */
import { limits, type Value, VerityError } from '../../base/index.ts';

/** A row and its short values. */
const rowBytes = 64;
/** Characters and bytes of shorter values count for nothing. */
const countedLength = 64;

/** The length of a row's long values together, in characters or bytes. */
export function lengthOf(values: readonly Value[]): number {
  let length = 0;
  for (const value of values) length += lengthOfValue(value);
  return length;
}

function lengthOfValue(value: Value): number {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) return 0;
  return value.length > countedLength ? value.length : 0;
}

/** 256 characters of long values count as a row. */
const heldShift = 8;

/** Counts what a statement keeps in memory, in rows; a long row is several. */
export class HeldRows {
  #held = 0;

  /** Counts a row kept. Throws QUERY_TOO_LARGE. */
  countHeld(values: readonly Value[]): void {
    this.#count(1 + (lengthOf(values) >>> heldShift));
  }

  /** Counts that `after` is kept in the place of `before`. Throws QUERY_TOO_LARGE. */
  countReplaced(before: Value, after: Value): void {
    this.#count((lengthOfValue(after) >>> heldShift) - (lengthOfValue(before) >>> heldShift));
  }

  /** Rows held so far; what a finished subquery held is given back by `release` to that number. */
  get held(): number {
    return this.#held;
  }

  release(held: number): void {
    this.#held = held;
  }

  #count(rows: number): void {
    this.#held += rows;
    if (this.#held > limits.queryRowsHeldMax) {
      throw new VerityError(
        'QUERY_TOO_LARGE',
        `The query holds more than ${limits.queryRowsHeldMax} rows at once, or fewer long ones, to sort, group, join or change them; narrow it with WHERE or LIMIT.`,
      );
    }
  }
}

/** Counts the rows of a result that is returned as a whole. */
export class ResultSize {
  #bytes = 0;

  /** Throws QUERY_TOO_LARGE past the limit. */
  add(values: readonly Value[]): void {
    this.#bytes += rowBytes + lengthOf(values);
    if (this.#bytes > limits.resultBytesMax) {
      throw new VerityError(
        'QUERY_TOO_LARGE',
        `The result takes more than ${limits.resultBytesMax} bytes; narrow it with WHERE or LIMIT, or read it row by row with stream().`,
      );
    }
  }
}
