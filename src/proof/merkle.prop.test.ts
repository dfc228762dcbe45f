/** Proofs of random trees against RFC 6962 §2.1 as it is written, recursion and all; and every mutation of one is refused. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes, equalBytes, utf8Encode } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import {
  consistencyProof,
  inclusionProof,
  leafHash,
  nodeHash,
  nodesOfTiles,
  rootOf,
  tileHashes,
  tileWidth,
  type TreeNodes,
  verifyConsistency,
  verifyInclusion,
} from './index.ts';

const sizeMax = 700;
const leaves = Array.from({ length: sizeMax }, (_, leaf) =>
  leafHash(sha256, utf8Encode(`leaf ${leaf}`)),
);

/** The largest power of two below n. */
const below = (n: number): number => 2 ** Math.floor(Math.log2(n - 1));

function naiveRoot(part: readonly Uint8Array[]): Uint8Array {
  if (part.length === 0) return sha256(new Uint8Array(0));
  if (part.length === 1) return part[0] as Uint8Array;
  const k = below(part.length);
  return nodeHash(sha256, naiveRoot(part.slice(0, k)), naiveRoot(part.slice(k)));
}

/** PATH(m, D[n]) of §2.1.1. */
function naivePath(index: number, part: readonly Uint8Array[]): Uint8Array[] {
  if (part.length === 1) return [];
  const k = below(part.length);
  return index < k
    ? [...naivePath(index, part.slice(0, k)), naiveRoot(part.slice(k))]
    : [...naivePath(index - k, part.slice(k)), naiveRoot(part.slice(0, k))];
}

/** SUBPROOF(m, D[n], b) of §2.1.2. */
function naiveSubproof(from: number, part: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (from === part.length) return whole ? [] : [naiveRoot(part)];
  const k = below(part.length);
  return from <= k
    ? [...naiveSubproof(from, part.slice(0, k), whole), naiveRoot(part.slice(k))]
    : [...naiveSubproof(from - k, part.slice(k), false), naiveRoot(part.slice(0, k))];
}

const known = new Map<string, Uint8Array>();
let reads = 0;
const nodes: TreeNodes = {
  node(level, index) {
    reads++;
    const key = `${level}/${index}`;
    const width = 2 ** level;
    let hash = known.get(key);
    hash ??= naiveRoot(leaves.slice(index * width, (index + 1) * width));
    known.set(key, hash);
    return hash;
  },
};

const sizes = fc.integer({ min: 1, max: sizeMax });
const twoSizes = fc.tuple(sizes, sizes).map(([a, b]) => ({
  from: Math.min(a, b),
  to: Math.max(a, b),
}));
const leafOfTree = sizes.chain((size) =>
  fc.record({ size: fc.constant(size), index: fc.integer({ min: 0, max: size - 1 }) }),
);
const runs = { numRuns: 150, seed: 20_261_123 };

describe('proofs that are made', () => {
  test('are those of the recursive definitions, and hold', () => {
    fc.assert(
      fc.property(leafOfTree, twoSizes, ({ index, size }, { from, to }) => {
        const root = rootOf(sha256, nodes, size);
        expect(root).toEqual(naiveRoot(leaves.slice(0, size)));
        const proof = inclusionProof(sha256, nodes, index, size);
        expect(proof).toEqual(naivePath(index, leaves.slice(0, size)));
        const leaf = leaves[index] as Uint8Array;
        expect(verifyInclusion(sha256, { index, size, leafHash: leaf, proof, root })).toBe(true);

        const growth = consistencyProof(sha256, nodes, from, to);
        expect(growth).toEqual(naiveSubproof(from, leaves.slice(0, to), true));
        const fromRoot = rootOf(sha256, nodes, from);
        const toRoot = rootOf(sha256, nodes, to);
        const claim = { from, to, fromRoot, toRoot, proof: growth };
        expect(verifyConsistency(sha256, claim)).toBe(true);
      }),
      runs,
    );
  });

  test('read a number of nodes that grows with the logarithm of the size', () => {
    fc.assert(
      fc.property(leafOfTree, twoSizes, ({ index, size }, { from, to }) => {
        reads = 0;
        inclusionProof(sha256, nodes, index, size);
        expect(reads).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(size + 1)));
        reads = 0;
        consistencyProof(sha256, nodes, from, to);
        expect(reads).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(to + 1)) + 1);
      }),
      runs,
    );
  });

  test('come from tiles as from the tree', () => {
    const tile = (level: number, index: number): Uint8Array => {
      const count = tileHashes(level, sizeMax) - index * tileWidth;
      const hashes = Array.from({ length: Math.min(count, tileWidth) }, (_, hash) =>
        nodes.node(level * 8, index * tileWidth + hash),
      );
      return concatBytes(...hashes);
    };
    const tiles = nodesOfTiles(sha256, tile);
    fc.assert(
      fc.property(leafOfTree, ({ index, size }) => {
        expect(inclusionProof(sha256, tiles, index, size)).toEqual(
          inclusionProof(sha256, nodes, index, size),
        );
      }),
      { ...runs, numRuns: 50 },
    );
  });
});

/** Every proof that is one small change away from `proof`. */
function mutations(proof: readonly Uint8Array[]): Uint8Array[][] {
  const changed = proof.flatMap((hash, at) =>
    [0, 131, 255].map((bit) => {
      const other = hash.slice();
      other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
      return proof.with(at, other);
    }),
  );
  const odd = new Uint8Array(31);
  return [
    ...changed,
    ...proof.map((_, at) => proof.toSpliced(at, 1)),
    ...proof.map((hash, at) => proof.toSpliced(at, 0, hash)),
    ...proof.map((hash, at) => proof.with(at, hash.subarray(0, 31))),
    ...proof.slice(1).map((hash, at) => proof.with(at, hash).with(at + 1, proof[at] as Uint8Array)),
    [...proof, new Uint8Array(32)],
    [...proof, odd],
    [odd, ...proof],
  ];
}

/** Numbers that a proof for `number` is not a proof for. */
const others = (number: number): number[] =>
  [-1, 0.5, 1, 2 ** 32, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY].map((more) => number + more);

describe('of a proof that holds', () => {
  test('every mutation is refused: inclusion', () => {
    fc.assert(
      fc.property(leafOfTree, ({ index, size }) => {
        const root = rootOf(sha256, nodes, size);
        const leaf = leaves[index] as Uint8Array;
        const proof = inclusionProof(sha256, nodes, index, size);
        const claim = { index, size, leafHash: leaf, proof, root };
        const bad = [
          ...mutations(proof).map((changed) => ({ ...claim, proof: changed })),
          ...others(index).map((other) => ({ ...claim, index: other })),
          { ...claim, leafHash: root.subarray(0, 31) },
          { ...claim, leafHash: leaf.map((byte) => byte ^ 1) },
          { ...claim, root: root.map((byte) => byte ^ 128) },
          { ...claim, root: new Uint8Array(0) },
        ];
        for (const change of bad) expect(verifyInclusion(sha256, change)).toBe(false);
      }),
      { ...runs, numRuns: 60 },
    );
  });

  test('every mutation is refused: consistency', () => {
    fc.assert(
      fc.property(twoSizes, ({ from, to }) => {
        const fromRoot = rootOf(sha256, nodes, from);
        const toRoot = rootOf(sha256, nodes, to);
        const proof = consistencyProof(sha256, nodes, from, to);
        const claim = { from, to, fromRoot, toRoot, proof };
        const bad = [
          ...mutations(proof).map((changed) => ({ ...claim, proof: changed })),
          { ...claim, fromRoot: fromRoot.map((byte) => byte ^ 1) },
          { ...claim, toRoot: toRoot.map((byte) => byte ^ 1) },
          { ...claim, fromRoot: fromRoot.subarray(1) },
          { ...claim, toRoot: new Uint8Array(33) },
          ...(equalBytes(fromRoot, toRoot)
            ? [{ ...claim, proof: [fromRoot] }]
            : [{ ...claim, fromRoot: toRoot, toRoot: fromRoot }]),
          { ...claim, from: to, to: from, proof: from === to ? [fromRoot] : proof },
          { ...claim, from: -1 },
          { ...claim, from: 0.5 },
          { ...claim, to: Number.NaN },
        ];
        for (const change of bad) expect(verifyConsistency(sha256, change)).toBe(false);
      }),
      { ...runs, numRuns: 60 },
    );
  });

  test('sizes beyond 32 bits are told apart', () => {
    // A chain of left siblings: the last leaf of a tree of 2^40 + 1 has one hash above it.
    const left = sha256(utf8Encode('the first 2^40 leaves'));
    const leaf = leaves[0] as Uint8Array;
    const claim = { leafHash: leaf, proof: [left], root: nodeHash(sha256, left, leaf) };
    const size = 2 ** 40 + 1;
    expect(verifyInclusion(sha256, { ...claim, index: 2 ** 40, size })).toBe(true);
    expect(verifyInclusion(sha256, { ...claim, index: 2 ** 40 - 1, size })).toBe(false);
    expect(verifyInclusion(sha256, { ...claim, index: 2 ** 40, size: size + 1 })).toBe(false);
    const growth = { from: 2 ** 40, to: size, fromRoot: left, toRoot: claim.root, proof: [leaf] };
    expect(verifyConsistency(sha256, growth)).toBe(true);
    expect(verifyConsistency(sha256, { ...growth, from: 2 ** 39 })).toBe(false);
  });
});
