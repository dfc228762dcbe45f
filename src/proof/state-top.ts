/** The trie of a set of entries, made at once: for who has all rows of a table (docs/format/state-hash.md). */
import { concatBytes } from '../base/index.ts';
import { hashBytes, type Sha256 } from './merkle.ts';
import { stateBucketEntriesMax } from './state-proof.ts';

/** An entry: 32 bytes of path, and 32 of value. */
export interface StateEntry {
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

/** The hash of the top of the trie of these entries, whose paths all differ. */
export function stateTop(sha256: Sha256, entries: readonly StateEntry[]): Uint8Array {
  if (entries.length === 0) return new Uint8Array(hashBytes);
  return below(sha256, entries.toSorted(byPath), 0);
}

/** Of entries in ascending order that have the digits above `depth` in common. */
function below(sha256: Sha256, entries: readonly StateEntry[], depth: number): Uint8Array {
  if (entries.length <= stateBucketEntriesMax)
    return sha256(
      concatBytes(Uint8Array.of(0), ...entries.flatMap(({ path, value }) => [path, value])),
    );
  let children = 0;
  const hashes: Uint8Array[] = [];
  for (let start = 0; start < entries.length;) {
    const digit = digitAt((entries[start] as StateEntry).path, depth);
    let end = start + 1;
    while (end < entries.length && digitAt((entries[end] as StateEntry).path, depth) === digit)
      end++;
    children |= 1 << digit;
    hashes.push(below(sha256, entries.slice(start, end), depth + 1));
    start = end;
  }
  return sha256(concatBytes(Uint8Array.of(1, children), ...hashes));
}

function digitAt(path: Uint8Array, depth: number): number {
  return ((path[depth >> 2] as number) >> (6 - 2 * (depth & 3))) & 3;
}

function byPath({ path: left }: StateEntry, { path: right }: StateEntry): number {
  for (let index = 0; index < hashBytes; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
