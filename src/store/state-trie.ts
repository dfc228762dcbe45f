/**
 * A Merkle trie of what the rows of a table are now (and of tables: see the state hash in docs/format/state-hash.md,
 * which draws its bytes). An entry stands at the path that a keyed digest names, with the commitment of the event that
 * wrote the row, so that the trie shows no key and no value.
 *
 *   entry    path (32) ‖ commitment (32)
 *   bucket   SHA-256(0x00 ‖ entries, ascending by path), of 1 to 14 entries
 *   branch   SHA-256(0x01 ‖ which children there are, u8 ‖ their hashes, ascending), a child for each two bits of a path
 *
 * Invariants
 * - Below a prefix there is a bucket if it has at most 14 entries, else a branch. The shape, and so every hash, follows
 *   from the set of entries alone, whatever order they came in and whatever was there in between.
 * - A branch tells which of its children there are; nodes that no branch leads to mean nothing.
 * - An update that stopped half way is made good by doing it again, with the same changes and maybe later ones.
 */
import { assert } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import {
  comparePaths,
  type StateChanges,
  stateEntryBytes,
  stateHashBytes,
} from './state-changes.ts';

/** Nodes by their prefix, a digit from 0 to 3 for each two bits of the path; the top is ''. */
export interface TrieNodes {
  /** A copy, which is the caller's. */
  get(prefix: string): Uint8Array | undefined;
  /** `undefined` removes. The bytes stay the caller's, who writes over them. */
  put(prefix: string, node: Uint8Array | undefined): void;
}

/** What is in a trie: how many entries, and the hash of its top, 32 zero bytes if there are none. */
export interface TrieSummary {
  readonly count: number;
  readonly hash: Uint8Array;
}

export const bucketEntriesMax = 14;
const fanOut = 4;
const pathDigits = 4 * stateHashBytes;
const bucketTag = 0;
const branchTag = 1;
/** Of the number of entries below a child of a branch. */
const countBytes = 6;
const branchHeadBytes = 2;
/** So many changes below a prefix are applied at a stretch. */
const stretch = 64;
/** So many are looked at one after the other. */
const searched = 32;
/** What the work on a node costs, in units of hashing a short message. */
const nodeCost = 4;

const nothing: TrieSummary = { count: 0, hash: new Uint8Array(stateHashBytes) };
const emptyBucket = Uint8Array.of(bucketTag);
const digits = ['0', '1', '2', '3'] as const;

/** Applies the changes. Yields what the work of each slice cost; at each yield another may read or write other tries. */
export function* updateTrie(
  nodes: TrieNodes,
  changes: StateChanges,
): Generator<number, TrieSummary> {
  yield* changes.sort();
  return yield* new TrieUpdate(nodes, changes).update();
}

/** What is in the trie as it is. */
export const trieSummary = (nodes: TrieNodes): TrieSummary => summaryOf(nodes.get(''));

/** Applies sorted changes to the subtrees that they lie in. */
class TrieUpdate {
  readonly #nodes: TrieNodes;
  readonly #changes: StateChanges;
  /** One for each depth, made when needed. */
  readonly #branches: Branch[] = [];
  /** A bucket and the changes of a stretch; its first byte is the tag of a bucket. */
  readonly #merging = new Uint8Array(1 + (bucketEntriesMax + stretch) * stateEntryBytes);
  #cost = 0;

  constructor(nodes: TrieNodes, changes: StateChanges) {
    this.#nodes = nodes;
    this.#changes = changes;
  }

  *update(): Generator<number, TrieSummary> {
    const summary = yield* this.#slowly('', this.#nodes.get(''), 0, this.#changes.count);
    yield this.#takeCost();
    return summary;
  }

  #takeCost(): number {
    const cost = this.#cost;
    this.#cost = 0;
    return cost;
  }

  /** The changes from `first` to before `last` lie below `prefix`, at which `node` stands. */
  *#slowly(
    prefix: string,
    node: Uint8Array | undefined,
    first: number,
    last: number,
  ): Generator<number, TrieSummary> {
    if (last - first <= stretch) return this.#below(prefix, node, first, last);
    const branch = this.#opened(prefix, node);
    for (let digit = 0, start = first; digit < fanOut; digit++) {
      const end = this.#endOf(prefix, digit, start, last);
      if (end === start) continue;
      const child = prefix + (digits[digit] as string);
      branch.set(digit, yield* this.#slowly(child, this.#child(branch, digit, child), start, end));
      yield this.#takeCost();
      start = end;
    }
    return this.#close(prefix, branch);
  }

  #below(prefix: string, node: Uint8Array | undefined, first: number, last: number): TrieSummary {
    if (first === last) return summaryOf(node);
    if (node?.[0] !== branchTag)
      return this.#build(prefix, this.#merged(node ?? emptyBucket, first, last));
    const branch = this.#opened(prefix, node);
    for (let digit = 0, start = first; digit < fanOut; digit++) {
      const end = this.#endOf(prefix, digit, start, last);
      if (end === start) continue;
      const child = prefix + (digits[digit] as string);
      branch.set(digit, this.#below(child, this.#child(branch, digit, child), start, end));
      start = end;
    }
    return this.#close(prefix, branch);
  }

  /** The branch at `prefix`; a bucket becomes one first, so that what stands there is whole whenever others look. */
  #opened(prefix: string, node: Uint8Array | undefined): Branch {
    assert(prefix.length < pathDigits, 'entries of one path are one entry');
    const branch = (this.#branches[prefix.length] ??= new Branch());
    if (node?.[0] === branchTag) {
      branch.read(node);
      return branch;
    }
    branch.clear();
    this.#divide(prefix, branch, node ?? emptyBucket);
    this.#put(prefix, branch.encode());
    return branch;
  }

  #child(branch: Branch, digit: number, prefix: string): Uint8Array | undefined {
    return branch.has(digit) ? this.#nodes.get(prefix) : undefined;
  }

  /** Where the changes below the child end that begin at `start`. */
  #endOf(prefix: string, digit: number, start: number, last: number): number {
    const changes = this.#changes;
    let end = start;
    // Of many, half is looked at after half.
    for (let behind = last; behind - end > searched;) {
      const middle = (end + behind) >> 1;
      if (digitAt(changes.bytes, middle * stateEntryBytes, prefix.length) > digit) behind = middle;
      else end = middle;
    }
    while (end < last && digitAt(changes.bytes, end * stateEntryBytes, prefix.length) === digit)
      end += 1;
    return end;
  }

  #close(prefix: string, branch: Branch): TrieSummary {
    const count = branch.total();
    if (count <= bucketEntriesMax) return this.#gather(prefix, branch, count);
    const node = branch.encode();
    this.#put(prefix, node);
    return { count, hash: hashOf(node) };
  }

  /** The few entries below a branch become one bucket. */
  #gather(prefix: string, branch: Branch, count: number): TrieSummary {
    const bucket = new Uint8Array(1 + count * stateEntryBytes);
    let end = 1;
    for (let digit = 0; digit < fanOut; digit++) {
      const child = prefix + (digits[digit] as string);
      const node = this.#child(branch, digit, child);
      if (node === undefined) continue;
      // What is below a branch of few entries was made a bucket when its own changes were applied.
      assert(node[0] === bucketTag, 'a subtree of few entries is a bucket');
      bucket.set(node.subarray(1), end);
      end += node.length - 1;
      this.#put(child, undefined);
    }
    assert(end === bucket.length, 'a branch counts the entries below it');
    return this.#build(prefix, bucket);
  }

  /** `bucket`: all entries below `prefix`, as in a bucket, but maybe too many. */
  #build(prefix: string, bucket: Uint8Array): TrieSummary {
    const count = (bucket.length - 1) / stateEntryBytes;
    if (count === 0) {
      this.#put(prefix, undefined);
      return nothing;
    }
    if (count <= bucketEntriesMax) {
      this.#put(prefix, bucket);
      return { count, hash: sha256(bucket) };
    }
    const branch = (this.#branches[prefix.length] ??= new Branch());
    branch.clear();
    this.#divide(prefix, branch, bucket);
    return this.#close(prefix, branch);
  }

  /** Builds the children that hold the entries of `bucket`. */
  #divide(prefix: string, branch: Branch, bucket: Uint8Array): void {
    for (let start = 1; start < bucket.length;) {
      const digit = digitAt(bucket, start, prefix.length);
      let end = start;
      while (end < bucket.length && digitAt(bucket, end, prefix.length) === digit)
        end += stateEntryBytes;
      const part = new Uint8Array(1 + end - start);
      part[0] = bucketTag;
      part.set(bucket.subarray(start, end), 1);
      branch.set(digit, this.#build(prefix + (digits[digit] as string), part));
      start = end;
    }
  }

  /** The bucket with the changes from `first` to before `last`, all ascending by path: maybe too many for one. */
  #merged(old: Uint8Array, first: number, last: number): Uint8Array {
    const changes = this.#changes;
    const result = this.#merging;
    let end = 1;
    let next = 1;
    for (let index = first; index < last; index++) {
      const change = index * stateEntryBytes;
      let at = next;
      let difference = -1;
      for (; at < old.length; at += stateEntryBytes) {
        difference = comparePaths(old, at, changes.bytes, change);
        if (difference >= 0) break;
      }
      if (at > next) {
        result.set(old.subarray(next, at), end);
        end += at - next;
      }
      next = at < old.length && difference === 0 ? at + stateEntryBytes : at;
      if (changes.isRemoval(index)) continue;
      result.set(changes.bytes.subarray(change, change + stateEntryBytes), end);
      end += stateEntryBytes;
    }
    if (next < old.length) {
      result.set(old.subarray(next), end);
      end += old.length - next;
    }
    return result.subarray(0, end);
  }

  #put(prefix: string, node: Uint8Array | undefined): void {
    this.#cost += nodeCost;
    this.#nodes.put(prefix, node);
  }
}

/**
 * A branch while its children change. As a node: tag, which children there are (u16), their hashes, and the number of
 * entries below each (u48); the last are not hashed.
 */
class Branch {
  readonly #hashes = new Uint8Array(fanOut * stateHashBytes);
  readonly #counts = new Float64Array(fanOut);

  clear(): void {
    this.#counts.fill(0);
  }

  read(node: Uint8Array): void {
    this.clear();
    const children = childrenOf(node);
    let at = branchHeadBytes;
    let countAt = at + countOfBits(children) * stateHashBytes;
    for (let digit = 0; digit < fanOut; digit++) {
      if ((children & (1 << digit)) === 0) continue;
      this.#hashes.set(node.subarray(at, at + stateHashBytes), digit * stateHashBytes);
      this.#counts[digit] = readCount(node, countAt);
      at += stateHashBytes;
      countAt += countBytes;
    }
  }

  has(digit: number): boolean {
    return (this.#counts[digit] as number) > 0;
  }

  set(digit: number, { count, hash }: TrieSummary): void {
    this.#counts[digit] = count;
    if (count > 0) this.#hashes.set(hash, digit * stateHashBytes);
  }

  total(): number {
    let total = 0;
    for (const count of this.#counts) total += count;
    return total;
  }

  encode(): Uint8Array {
    let children = 0;
    for (let digit = 0; digit < fanOut; digit++) if (this.has(digit)) children |= 1 << digit;
    const there = countOfBits(children);
    const node = new Uint8Array(branchHeadBytes + there * (stateHashBytes + countBytes));
    node[0] = branchTag;
    node[1] = children;
    let at = branchHeadBytes;
    let countAt = at + there * stateHashBytes;
    for (let digit = 0; digit < fanOut; digit++) {
      if (!this.has(digit)) continue;
      const from = digit * stateHashBytes;
      node.set(this.#hashes.subarray(from, from + stateHashBytes), at);
      writeCount(node, countAt, this.#counts[digit] as number);
      at += stateHashBytes;
      countAt += countBytes;
    }
    return node;
  }
}

/** What stands at a branch whose children hold that; at most one for each digit, ascending. */
export function branchSummary(children: Iterable<readonly [number, TrieSummary]>): TrieSummary {
  const branch = new Branch();
  for (const [digit, summary] of children) branch.set(digit, summary);
  return { count: branch.total(), hash: hashOf(branch.encode()) };
}

/** What a proof shows of a node, if it is a branch: which children there are, and their hashes, ascending. */
export function branchOf(
  node: Uint8Array,
):
  | { readonly children: number; readonly hashes: readonly { child: number; hash: Uint8Array }[] }
  | undefined {
  if (node[0] !== branchTag) return undefined;
  const children = childrenOf(node);
  const hashes: { child: number; hash: Uint8Array }[] = [];
  for (let child = 0, at = branchHeadBytes; child < fanOut; child++) {
    if ((children & (1 << child)) === 0) continue;
    hashes.push({ child, hash: node.subarray(at, (at += stateHashBytes)) });
  }
  return { children, hashes };
}

/** What stands at a bucket of these entries, ascending by path. */
export function bucketSummary(entries: Uint8Array): TrieSummary {
  const bucket = new Uint8Array(1 + entries.length);
  bucket[0] = bucketTag;
  bucket.set(entries, 1);
  return summaryOf(entries.length === 0 ? undefined : bucket);
}

function summaryOf(node: Uint8Array | undefined): TrieSummary {
  if (node === undefined) return nothing;
  if (node[0] === bucketTag)
    return { count: (node.length - 1) / stateEntryBytes, hash: hashOf(node) };
  let count = 0;
  for (let at = hashedBytes(node); at < node.length; at += countBytes) count += readCount(node, at);
  return { count, hash: hashOf(node) };
}

const hashOf = (node: Uint8Array): Uint8Array => sha256(node.subarray(0, hashedBytes(node)));

function hashedBytes(node: Uint8Array): number {
  if (node[0] === bucketTag) return node.length;
  return branchHeadBytes + countOfBits(childrenOf(node)) * stateHashBytes;
}

const childrenOf = (branch: Uint8Array): number => branch[1] as number;

function countOfBits(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
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

/** The digit at `depth` of the path that stands at `at`. */
export function digitAt(bytes: Uint8Array, at: number, depth: number): number {
  return ((bytes[at + (depth >> 2)] as number) >> (6 - 2 * (depth & 3))) & 3;
}
