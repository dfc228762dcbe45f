/**
 * One proof for any set of leaves of the log's tree (docs/format/receipt.md, The tree): the hashes of those subtrees in which
 * nothing is opened, from left to right, each as large as it can be. For one leaf they are those of its inclusion proof.
 */
import { assert } from '../base/index.ts';
import { nodeHash, type Sha256 } from '../proof/index.ts';

/** A leaf's hash in the tree, and its place. */
export interface OpenedLeaf {
  readonly leaf: number;
  readonly hash: Uint8Array;
}

/** Some leaves of a tree and what lies beside the ways to them. */
export interface OpenedTree {
  /** Leaves of the whole tree. */
  readonly size: number;
  /** Ascending, each once, at least one, all below `size`. */
  readonly opened: readonly OpenedLeaf[];
  readonly proof: readonly Uint8Array[];
}

/** The largest power of two below `length`, which is at least 2. */
function splitWidth(length: number): number {
  let width = 1;
  while (width * 2 < length) width *= 2;
  return width;
}

/** A part of the tree: leaves [start, end), of which those opened are [first, last) of the list. */
interface Part {
  readonly start: number;
  readonly end: number;
  readonly first: number;
  readonly last: number;
}

function halvesOf({ start, end, first, last }: Part, leafAt: (index: number) => number): Part[] {
  const middle = start + splitWidth(end - start);
  let low = first;
  let high = last;
  while (low < high) {
    const between = (low + high) >> 1;
    if (leafAt(between) < middle) low = between + 1;
    else high = between;
  }
  return [
    { start, end: middle, first, last: low },
    { start: middle, end, first: low, last },
  ];
}

/** The root that the opened leaves and the proof lead to, or undefined when the proof has a hash too few or too many. */
export function rootOfOpened(sha256: Sha256, tree: OpenedTree): Uint8Array | undefined {
  return walkOpened(sha256, tree, () => undefined);
}

/** The RFC 6962 inclusion proof of one of the opened leaves, from its sibling upwards; undefined where there is none. */
export function inclusionProofOf(
  sha256: Sha256,
  tree: OpenedTree,
  leaf: number,
): Uint8Array[] | undefined {
  if (!tree.opened.some((each) => each.leaf === leaf)) return undefined;
  const way: Uint8Array[] = [];
  const root = walkOpened(sha256, tree, (part, middle, [left, right]) => {
    // Parts end before those around them, so that the way grows upwards.
    if (leaf >= part.start && leaf < part.end) way.push(leaf < middle ? right : left);
  });
  return root && way;
}

function walkOpened(
  sha256: Sha256,
  { size, opened, proof }: OpenedTree,
  visit: (part: Part, middle: number, children: readonly [Uint8Array, Uint8Array]) => void,
): Uint8Array | undefined {
  const leafAt = (index: number): number => (opened[index] as OpenedLeaf).leaf;
  let next = 0;
  // At most 53 calls deep: each halves the part.
  const hashOf = (part: Part): Uint8Array | undefined => {
    if (part.first === part.last) return proof[next++];
    if (part.end - part.start === 1) return (opened[part.first] as OpenedLeaf).hash;
    const [low, high] = halvesOf(part, leafAt) as [Part, Part];
    const left = hashOf(low);
    const right = left && hashOf(high);
    if (left === undefined || right === undefined) return undefined;
    visit(part, high.start, [left, right]);
    return nodeHash(sha256, left, right);
  };
  const root = hashOf({ start: 0, end: size, first: 0, last: opened.length });
  return next === proof.length ? root : undefined;
}

/**
 * The proof for these leaves (ascending, each once, at least one) in the tree of `size`. `inclusionProof` gives the RFC 6962 proof
 * of a leaf, from its sibling upwards; it is asked about those leaves only beside whose ways nothing is opened.
 */
export function proofOfOpened(
  size: number,
  leaves: readonly number[],
  inclusionProof: (leaf: number) => readonly Uint8Array[],
): Uint8Array[] {
  assert(leaves.length > 0, 'a proof is of at least one leaf');
  const leafAt = (index: number): number => leaves[index] as number;
  const known = new Map<number, readonly Uint8Array[]>();
  const proof: Uint8Array[] = [];
  const wayOf = (leaf: number): readonly Uint8Array[] => {
    let way = known.get(leaf);
    if (way === undefined) known.set(leaf, (way = inclusionProof(leaf)));
    return way;
  };
  /** The hash beside the part of this depth (the tree has 0) in which this leaf lies. */
  const beside = (leaf: number, depth: number): Uint8Array => {
    const way = wayOf(leaf);
    const hash = way[way.length - depth];
    assert(hash !== undefined, 'an inclusion proof has a hash for each level');
    return hash;
  };
  const walk = (part: Part, depth: number): void => {
    if (part.end - part.start === 1) return;
    const [low, high] = halvesOf(part, leafAt) as [Part, Part];
    if (low.first === low.last) proof.push(beside(leafAt(high.first), depth));
    else walk(low, depth + 1);
    if (high.first === high.last) proof.push(beside(leafAt(low.first), depth));
    else walk(high, depth + 1);
  };
  walk({ start: 0, end: size, first: 0, last: leaves.length }, 1);
  return proof;
}
