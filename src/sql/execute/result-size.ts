/** How much memory rows take, roughly: what is held at once is bounded by it. */
import { limits, type Value, VerityError } from '../../base/index.ts';

/** A row and its short values. */
const rowBytes = 64;
/** Characters and bytes of shorter values count for nothing. */
const countedLength = 64;

/** The length of a row's long values together, in characters or bytes. */
export function lengthOf(values: readonly Value[]): number {
  let length = 0;
  for (const value of values) {
    if (typeof value !== 'string' && !(value instanceof Uint8Array)) continue;
    if (value.length > countedLength) length += value.length;
  }
  return length;
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
