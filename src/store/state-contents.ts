import { StateChanges, stateEntryBytes } from './state-changes.ts';
import {
  branchSummary,
  bucketEntriesMax,
  bucketSummary,
  digitAt,
  type TrieSummary,
} from './state-trie.ts';

const fanOut = 4;
/** Entries are gathered by the first byte of their path. */
const groups = fanOut ** 4;

/**
 * All entries of a trie of state at once, and what is at its top: straight from the definition, without nodes and without
 * what was there before.
 */
export class StateContents {
  readonly #groups = Array.from({ length: groups }, () => new StateChanges(0));

  /** Adds an entry: path (32 bytes) and commitment (32), which are copied. No path comes twice. */
  add(path: Uint8Array, commitment: Uint8Array): void {
    const group = this.#groups[path[0] as number] as StateChanges;
    const at = group.add(false);
    group.bytes.set(path, at);
    group.bytes.set(commitment, at + path.length);
  }

  /** Yields what the work of each slice cost, as `updateTrie` does. */
  *summary(): Generator<number, TrieSummary> {
    for (const group of this.#groups) {
      yield* group.sort();
      yield group.count;
    }
    return yield* below(this.#groups, 0);
  }
}

/** What the groups make, whose paths have `depth` digits in common. */
function* below(part: readonly StateChanges[], depth: number): Generator<number, TrieSummary> {
  const [group] = part;
  if (countOf(part) <= bucketEntriesMax) return bucketSummary(entriesOf(part));
  if (part.length === 1 && group !== undefined) {
    yield group.count;
    return within(group, depth, 0, group.count);
  }
  const children: [number, TrieSummary][] = [];
  const each = part.length / fanOut;
  for (let digit = 0; digit < fanOut; digit++)
    children.push([digit, yield* below(part.slice(digit * each, (digit + 1) * each), depth + 1)]);
  return branchSummary(children);
}

/** What the entries of a group from `first` to before `last` make, whose paths have `depth` digits in common. */
function within(group: StateChanges, depth: number, first: number, last: number): TrieSummary {
  if (last - first <= bucketEntriesMax) return bucketSummary(entriesFrom(group, first, last));
  const children: [number, TrieSummary][] = [];
  for (let start = first; start < last;) {
    const digit = digitAt(group.bytes, start * stateEntryBytes, depth);
    let end = start;
    while (end < last && digitAt(group.bytes, end * stateEntryBytes, depth) === digit) end += 1;
    children.push([digit, within(group, depth + 1, start, end)]);
    start = end;
  }
  return branchSummary(children);
}

const countOf = (part: readonly StateChanges[]): number =>
  part.reduce((sum, { count }) => sum + count, 0);

function entriesOf(part: readonly StateChanges[]): Uint8Array {
  const entries = new Uint8Array(countOf(part) * stateEntryBytes);
  let end = 0;
  for (const group of part) {
    entries.set(entriesFrom(group, 0, group.count), end);
    end += group.count * stateEntryBytes;
  }
  return entries;
}

const entriesFrom = (group: StateChanges, first: number, last: number): Uint8Array =>
  group.bytes.subarray(first * stateEntryBytes, last * stateEntryBytes);
