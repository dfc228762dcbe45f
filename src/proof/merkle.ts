/**
 * The Merkle tree of RFC 6962 §2.1: roots, and proofs made and checked.
 *
 * - A leaf's hash is SHA-256(0x00 ‖ data), a node's SHA-256(0x01 ‖ left ‖ right); data is an event's commitment.
 * - Sizes and indices are numbers, exact to 2^53 − 1, so they are halved by division: shifts of JavaScript end at 32 bits.
 * - Checks take any input, return false for what does not fit, and never throw; a hash of other than 32 bytes fits nowhere.
 */
import { assert, concatBytes, equalBytes } from '../base/index.ts';

/** SHA-256, passed in: the engine has Node's, a browser another. Returns 32 new bytes. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array;

export const hashBytes = 32;
/** No tree of fewer than 2^63 leaves has a longer proof; tlog-witness allows as many lines. */
export const proofHashesMax = 63;

/** The tree that proofs are made from. */
export interface TreeNodes {
  /**
   * The hash of the complete subtree of 2^`level` leaves, number `index` (from 0) among those of its level:
   * over the leaves [index × 2^level, (index + 1) × 2^level). Level 0 is the leaves' hashes. 32 bytes, not changed by the caller.
   */
  node(level: number, index: number): Uint8Array;
}

const isHash = (hash: unknown): hash is Uint8Array =>
  hash instanceof Uint8Array && hash.length === hashBytes;
const isSize = (size: unknown): size is number => Number.isSafeInteger(size) && Number(size) >= 0;
const isOdd = (number: number): boolean => number % 2 === 1;
const half = (number: number): number => Math.floor(number / 2);

/** The hash of a leaf that holds `data` (an event's commitment): SHA-256(0x00 ‖ data). */
export function leafHash(sha256: Sha256, data: Uint8Array): Uint8Array {
  return sha256(concatBytes(leafPrefix, data));
}

/** The hash of the node above `left` and `right`: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(concatBytes(nodePrefix, left, right));
}
const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

/** The root of the tree without leaves: SHA-256 of nothing. */
export function emptyRoot(sha256: Sha256): Uint8Array {
  return sha256(new Uint8Array(0));
}

/** A leaf, the tree that it is said to be in, and the way up. */
export interface InclusionPath {
  readonly index: number;
  readonly size: number;
  readonly leafHash: Uint8Array;
  /** From the leaf's sibling upwards. */
  readonly proof: readonly Uint8Array[];
}

/** The root that an inclusion proof leads to (RFC 9162 §2.1.3.2), or undefined when it fits no tree of that size. */
function rootFromInclusion(sha256: Sha256, path: InclusionPath): Uint8Array | undefined {
  const { index, size, leafHash: leaf, proof } = path;
  if (!isSize(index) || !isSize(size) || index >= size || !isHash(leaf)) return undefined;
  let at = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of proof) {
    if (last === 0 || !isHash(sibling)) return undefined;
    if (isOdd(at) || at === last) {
      hash = nodeHash(sha256, sibling, hash);
      // The last node of an incomplete level has no sibling on the levels up to here.
      for (; !isOdd(at) && at !== 0; last = half(last)) at = half(at);
    } else {
      hash = nodeHash(sha256, hash, sibling);
    }
    at = half(at);
    last = half(last);
  }
  return last === 0 ? hash : undefined;
}

/** Whether the tree of `size` leaves with this root holds `leafHash` as leaf `index`. */
export function verifyInclusion(
  sha256: Sha256,
  claim: InclusionPath & { readonly root: Uint8Array },
): boolean {
  const root = rootFromInclusion(sha256, claim);
  return root !== undefined && isHash(claim.root) && equalBytes(root, claim.root);
}

/** Two trees of which the second is said to begin with the leaves of the first. */
export interface ConsistencyClaim {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Uint8Array;
  readonly toRoot: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/** Whether the tree of `to` leaves begins with the leaves of the tree of `from` (RFC 9162 §2.1.4.2); every tree begins with the empty one. */
export function verifyConsistency(sha256: Sha256, claim: ConsistencyClaim): boolean {
  const { from, to, fromRoot, toRoot, proof } = claim;
  const whole = { start: 0, end: from, size: to, subtreeRoot: fromRoot, root: toRoot, proof };
  return verifySubtreeConsistency(sha256, whole);
}

/** Leaves [start, end) of a tree of `size` leaves, as a tree of their own. */
export interface SubtreeClaim {
  readonly start: number;
  readonly end: number;
  readonly size: number;
  readonly subtreeRoot: Uint8Array;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
}

/**
 * Whether the leaves [start, end) of the tree are those of the subtree (draft-ietf-plants-merkle-tree-certs §4.4.3, of which
 * RFC 9162 §2.1.4.2 is the case of start 0). `start` is a multiple of the smallest power of two that is at least end − start.
 * Of no leaves there is nothing to prove: the subtree's root must be the empty root, and the proof empty.
 */
export function verifySubtreeConsistency(sha256: Sha256, claim: SubtreeClaim): boolean {
  const { start, end, size, subtreeRoot, root, proof } = claim;
  if (!isSize(size) || !isHash(subtreeRoot) || !isHash(root)) return false;
  if (start === end && isSize(start) && end <= size) {
    const empty = emptyRoot(sha256);
    const fits = equalBytes(subtreeRoot, empty) && (size > 0 || equalBytes(root, empty));
    return fits && proof.length === 0;
  }
  if (!isSubtree(start, end) || end > size) return false;
  let first = start;
  let at = end - 1;
  let last = size - 1;
  const up = (): void => {
    first = half(first);
    at = half(at);
    last = half(last);
  };
  if (at === last) while (first !== at) up();
  else while (first !== at && isOdd(at)) up();
  // A subtree that is one node of the tree is where the way up begins; of any other the proof begins with its last part.
  const begin = first === at ? subtreeRoot : proof[0];
  if (!isHash(begin)) return false;
  let sub = begin;
  let whole = begin;
  for (const hash of first === at ? proof : proof.slice(1)) {
    if (last === 0 || !isHash(hash)) return false;
    if (isOdd(at) || at === last) {
      if (first < at) sub = nodeHash(sha256, hash, sub);
      whole = nodeHash(sha256, hash, whole);
      while (!isOdd(at)) up();
    } else {
      whole = nodeHash(sha256, whole, hash);
    }
    up();
  }
  return last === 0 && equalBytes(sub, subtreeRoot) && equalBytes(whole, root);
}

/** Whether [start, end) are the leaves of one node, or of the left part of one. */
export function isSubtree(start: number, end: number): boolean {
  if (!isSize(start) || !isSize(end) || start >= end) return false;
  let width = 1;
  while (width < end - start) width *= 2;
  return start % width === 0;
}

/** The root of the first `size` leaves. */
export function rootOf(sha256: Sha256, nodes: TreeNodes, size: number): Uint8Array {
  assert(isSize(size), 'a tree has a size');
  return size === 0 ? emptyRoot(sha256) : rangeHash(sha256, nodes, 0, size);
}

/** The hash over the leaves [start, end); start is a multiple of the smallest power of two that is at least end − start. */
function rangeHash(sha256: Sha256, nodes: TreeNodes, start: number, end: number): Uint8Array {
  let hash: Uint8Array | undefined;
  let stop = end;
  let level = 0;
  let width = 1;
  // The complete subtrees from the right, the smallest first: those of the bits of the length.
  while (stop > start) {
    const length = stop - start;
    while (length % (width * 2) === 0) {
      width *= 2;
      level++;
    }
    const part = nodes.node(level, (stop - width) / width);
    hash = hash === undefined ? part : nodeHash(sha256, part, hash);
    stop -= width;
  }
  assert(hash !== undefined, 'a range holds leaves');
  return hash;
}

/** The largest power of two below `length` (at least 2), and its exponent. */
function split(length: number): { readonly level: number; readonly width: number } {
  let width = 1;
  let level = 0;
  for (; width * 2 < length; width *= 2) level++;
  return { level, width };
}

/** The inclusion proof of leaf `index` in the tree of the first `size` leaves, from the leaf's sibling upwards: O(log size) nodes are read. */
export function inclusionProof(
  sha256: Sha256,
  nodes: TreeNodes,
  index: number,
  size: number,
): Uint8Array[] {
  assert(isSize(index) && isSize(size) && index < size, 'the leaf is in the tree');
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const { level, width } = split(end - start);
    const middle = start + width;
    if (index < middle) {
      proof.push(rangeHash(sha256, nodes, middle, end));
      end = middle;
    } else {
      proof.push(nodes.node(level, start / width));
      start = middle;
    }
  }
  return proof.reverse();
}

/** The proof that the tree of `to` leaves begins with that of `from`; empty when they are one, or the first is empty. O(log to) nodes are read. */
export function consistencyProof(
  sha256: Sha256,
  nodes: TreeNodes,
  from: number,
  to: number,
): Uint8Array[] {
  assert(isSize(from) && isSize(to) && from <= to, 'a tree grows');
  if (from === 0) return [];
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = to;
  while (from !== end) {
    const { level, width } = split(end - start);
    const middle = start + width;
    if (from <= middle) {
      proof.push(rangeHash(sha256, nodes, middle, end));
      end = middle;
    } else {
      proof.push(nodes.node(level, start / width));
      start = middle;
    }
  }
  // The first tree itself is known to who checks; a part of it is not.
  if (start > 0) proof.push(rangeHash(sha256, nodes, start, end));
  return proof.reverse();
}
