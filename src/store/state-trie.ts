/**
 * The state hash: a Merkle trie over what every row is now. A row stands at the path that its key's keyed digest names,
 * with the commitment of the event that wrote it, so that the root shows no key and no value.
 *
 *   entry    path (32) ‖ commitment (32)
 *   bucket   SHA-256(0x00 ‖ entries, ascending by path), of 1 to 16 entries
 *   branch   SHA-256(0x01 ‖ 16 hashes, one a nibble of the path; 32 zero bytes where there is nothing)
 *   root     SHA-256(0x02 ‖ number of entries, u64 little-endian ‖ hash of the top; 32 zero bytes if there is nothing)
 *
 * Invariant: below a prefix there is a bucket if it has at most 16 entries, else a branch. The shape, and so the root,
 * follows from the set of entries alone, whatever order they came in and whatever was there in between.
 */
import { assert, type Digest32 } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';

/** Nodes by the hex nibbles of their prefix; the top is ''. */
export interface TrieNodes {
  get(prefix: string): Uint8Array | undefined;
  /** `undefined` removes. The bytes are the store's from then on. */
  put(prefix: string, node: Uint8Array | undefined): void;
}

/** What a row is now; without `commitment` it is no more. */
export interface StateChange {
  /** 32 bytes. */
  readonly path: Uint8Array;
  /** 32 bytes. */
  readonly commitment: Uint8Array | undefined;
}

export const bucketEntriesMax = 16;
const hashBytes = 32;
const entryBytes = 2 * hashBytes;
const fanOut = 16;
const bucketTag = 0;
const branchTag = 1;
const rootTag = 2;
/** A branch node: its tag, then of each child the hash and the number of entries (u48 little-endian). */
const countBytes = 6;
const childBytes = hashBytes + countBytes;
const branchBytes = 1 + fanOut * childBytes;
const nibbles = '0123456789abcdef';

/** What is below a prefix. */
interface Summary {
  readonly count: number;
  readonly hash: Uint8Array;
}

const emptyHash = new Uint8Array(hashBytes);
const nothing: Summary = { count: 0, hash: emptyHash };

/** Brings the trie up to date; later changes of a path win. Returns the state hash. */
export function updateTrie(nodes: TrieNodes, changes: readonly StateChange[]): Digest32 {
  const ordered = order(changes);
  return rootOf(new TrieUpdate(nodes, ordered).below('', 0, ordered.length));
}

/** The state hash of the trie as it is. */
export const stateHash = (nodes: TrieNodes): Digest32 => rootOf(summaryOf(nodes.get('')));

function rootOf({ count, hash }: Summary): Digest32 {
  const bytes = new Uint8Array(1 + 8 + hashBytes);
  bytes[0] = rootTag;
  writeCount(bytes, 1, count);
  bytes.set(hash, 9);
  return sha256(bytes);
}

const indexSpan = 2 ** 21;

/** Ascending by path, the last change of each path only. */
function order(changes: readonly StateChange[]): StateChange[] {
  assert(changes.length < indexSpan, 'more changes at once than can be ordered');
  // The first four bytes and the index in one number: sorted without a call for each comparison.
  const heads = new Float64Array(changes.length);
  for (const [index, { path }] of changes.entries())
    heads[index] = headOf(path) * indexSpan + index;
  heads.sort();
  const ordered: StateChange[] = [];
  for (const head of heads) {
    const change = changes[head % indexSpan] as StateChange;
    let at = ordered.length;
    // Paths of one head are few: they are put into their places one by one.
    while (at > 0 && comparePaths((ordered[at - 1] as StateChange).path, 0, change.path) > 0)
      at -= 1;
    const before = ordered[at - 1];
    if (before !== undefined && comparePaths(before.path, 0, change.path) === 0)
      ordered[at - 1] = change;
    else ordered.splice(at, 0, change);
  }
  return ordered;
}

const headOf = (path: Uint8Array): number =>
  (path[0] as number) * 0x100_0000 +
  (((path[1] as number) << 16) | ((path[2] as number) << 8) | (path[3] as number));

/** Applies changes, ascending by path, to the subtrees that they lie in. */
class TrieUpdate {
  readonly #nodes: TrieNodes;
  readonly #changes: readonly StateChange[];

  constructor(nodes: TrieNodes, changes: readonly StateChange[]) {
    this.#nodes = nodes;
    this.#changes = changes;
  }

  /** The changes from `first` to before `last` lie below `prefix`. */
  below(prefix: string, first: number, last: number): Summary {
    const node = this.#nodes.get(prefix);
    if (first === last) return summaryOf(node);
    if (node !== undefined && node[0] === branchTag) return this.#branch(prefix, node, first, last);
    return this.#build(prefix, merged(node, this.#changes, first, last));
  }

  #branch(prefix: string, node: Uint8Array, first: number, last: number): Summary {
    assert(prefix.length < entryBytes, 'entries of one path are one entry');
    const branch = node.slice();
    let total = 0;
    let next = first;
    for (let nibble = 0; nibble < fanOut; nibble++) {
      const start = next;
      while (next < last && nibbleAt(this.#path(next), 0, prefix) === nibble) next += 1;
      const at = 1 + nibble * childBytes;
      if (next > start)
        writeChild(branch, at, this.below(prefix + nibbles.charAt(nibble), start, next));
      total += readCount(branch, at + hashBytes);
    }
    if (total <= bucketEntriesMax) return this.#gather(prefix, total);
    this.#nodes.put(prefix, branch);
    return { count: total, hash: hashOfBranch(branch) };
  }

  #path(index: number): Uint8Array {
    return (this.#changes[index] as StateChange).path;
  }

  /** The few entries below a branch become one bucket. */
  #gather(prefix: string, count: number): Summary {
    const entries = new Uint8Array(count * entryBytes);
    let end = 0;
    for (let nibble = 0; nibble < fanOut; nibble++) {
      const child = prefix + nibbles.charAt(nibble);
      const node = this.#nodes.get(child);
      if (node === undefined) continue;
      // What is below a branch of few entries was made a bucket when its own changes were applied.
      assert(node[0] === bucketTag, 'a subtree of few entries is a bucket');
      entries.set(node.subarray(1), end);
      end += node.length - 1;
      this.#nodes.put(child, undefined);
    }
    return this.#build(prefix, entries);
  }

  /** `entries`: all below `prefix`, ascending by path. */
  #build(prefix: string, entries: Uint8Array): Summary {
    const count = entries.length / entryBytes;
    if (count === 0) {
      this.#nodes.put(prefix, undefined);
      return nothing;
    }
    if (count <= bucketEntriesMax) {
      const bucket = new Uint8Array(1 + entries.length);
      bucket[0] = bucketTag;
      bucket.set(entries, 1);
      this.#nodes.put(prefix, bucket);
      return { count, hash: sha256(bucket) };
    }
    const branch = new Uint8Array(branchBytes);
    branch[0] = branchTag;
    let next = 0;
    for (let nibble = 0; nibble < fanOut; nibble++) {
      const start = next;
      while (next < entries.length && nibbleAt(entries, next, prefix) === nibble)
        next += entryBytes;
      if (next === start) continue;
      const child = this.#build(prefix + nibbles.charAt(nibble), entries.subarray(start, next));
      writeChild(branch, 1 + nibble * childBytes, child);
    }
    this.#nodes.put(prefix, branch);
    return { count, hash: hashOfBranch(branch) };
  }
}

/** The entries of a bucket with the changes from `first` to before `last`, all ascending by path. */
function merged(
  bucket: Uint8Array | undefined,
  changes: readonly StateChange[],
  first: number,
  last: number,
): Uint8Array {
  const old = bucket ?? emptyBucket;
  const result = new Uint8Array(old.length - 1 + (last - first) * entryBytes);
  let end = 0;
  let next = 1;
  const keep = (to: number): void => {
    result.set(old.subarray(next, to), end);
    end += to - next;
  };
  for (let index = first; index < last; index++) {
    const { path, commitment } = changes[index] as StateChange;
    let at = next;
    let difference = -1;
    for (; at < old.length; at += entryBytes) {
      difference = comparePaths(old, at, path);
      if (difference >= 0) break;
    }
    if (at > next) keep(at);
    next = at < old.length && difference === 0 ? at + entryBytes : at;
    if (commitment === undefined) continue;
    result.set(path, end);
    result.set(commitment, end + hashBytes);
    end += entryBytes;
  }
  if (next < old.length) keep(old.length);
  return result.subarray(0, end);
}

const emptyBucket = Uint8Array.of(bucketTag);

function summaryOf(node: Uint8Array | undefined): Summary {
  if (node === undefined) return nothing;
  if (node[0] === bucketTag) return { count: (node.length - 1) / entryBytes, hash: sha256(node) };
  let count = 0;
  for (let nibble = 0; nibble < fanOut; nibble++)
    count += readCount(node, 1 + nibble * childBytes + hashBytes);
  return { count, hash: hashOfBranch(node) };
}

const scratch = new Uint8Array(1 + fanOut * hashBytes);

function hashOfBranch(branch: Uint8Array): Uint8Array {
  scratch[0] = branchTag;
  for (let nibble = 0; nibble < fanOut; nibble++) {
    const at = 1 + nibble * childBytes;
    scratch.set(branch.subarray(at, at + hashBytes), 1 + nibble * hashBytes);
  }
  return sha256(scratch);
}

function writeChild(branch: Uint8Array, at: number, { count, hash }: Summary): void {
  branch.set(hash, at);
  writeCount(branch, at + hashBytes, count);
}

function writeCount(bytes: Uint8Array, at: number, count: number): void {
  let rest = count;
  for (let index = 0; index < countBytes; index++) {
    bytes[at + index] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}

function readCount(bytes: Uint8Array, at: number): number {
  let count = 0;
  for (let index = countBytes - 1; index >= 0; index--)
    count = count * 256 + (bytes[at + index] as number);
  return count;
}

/** The nibble that follows `prefix` of the path that stands at `at`. */
function nibbleAt(bytes: Uint8Array, at: number, prefix: string): number {
  const byte = bytes[at + (prefix.length >> 1)] as number;
  return prefix.length % 2 === 0 ? byte >> 4 : byte & 15;
}

/** Compares the path at `at` of `left` with `right`. */
function comparePaths(left: Uint8Array, at: number, right: Uint8Array): number {
  for (let index = 0; index < hashBytes; index++) {
    const difference = (left[at + index] as number) - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
