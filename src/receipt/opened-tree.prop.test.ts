import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sha256 } from '../../src/crypto/index.ts';
import {
  inclusionProof,
  leafHash,
  nodeHash,
  rootOf,
  type TreeNodes,
  verifyInclusion,
} from '../proof/index.ts';
import { inclusionProofOf, proofOfOpened, rootOfOpened } from './opened-tree.ts';

const hashOfLeaf = (leaf: number): Uint8Array => leafHash(sha256, Uint8Array.of(leaf >> 8, leaf));
const nodes: TreeNodes = {
  node: (level, index) =>
    level === 0
      ? hashOfLeaf(index)
      : nodeHash(sha256, nodes.node(level - 1, 2 * index), nodes.node(level - 1, 2 * index + 1)),
};

/** A size, and some of its leaves: sometimes neighbours, sometimes all. */
const trees = fc
  .integer({ min: 1, max: 70 })
  .chain((size) =>
    fc
      .uniqueArray(fc.nat(size - 1), { minLength: 1, maxLength: size })
      .map((leaves) => ({ size, leaves: leaves.toSorted((left, right) => left - right) })),
  );

const opened = (leaves: readonly number[]): { leaf: number; hash: Uint8Array }[] =>
  leaves.map((leaf) => ({ leaf, hash: hashOfLeaf(leaf) }));

test('the proof of any leaves leads to the root of the tree, and no hash of it can be spared or doubled', () => {
  fc.assert(
    fc.property(trees, fc.nat(1_000), ({ size, leaves }, where) => {
      const proof = proofOfOpened(size, leaves, (leaf) =>
        inclusionProof(sha256, nodes, leaf, size),
      );
      const tree = { size, opened: opened(leaves), proof };
      expect(rootOfOpened(sha256, tree)).toEqual(rootOf(sha256, nodes, size));
      const at = proof.length === 0 ? 0 : where % proof.length;
      const more = proof.toSpliced(at, 0, proof[at] ?? hashOfLeaf(0));
      expect(rootOfOpened(sha256, { ...tree, proof: more })).toBeUndefined();
      if (proof.length > 0)
        expect(rootOfOpened(sha256, { ...tree, proof: proof.toSpliced(at, 1) })).toBeUndefined();
    }),
    { numRuns: 300 },
  );
});

test('an RFC 6962 inclusion proof follows for each of the leaves', () => {
  fc.assert(
    fc.property(trees, ({ size, leaves }) => {
      const proof = proofOfOpened(size, leaves, (leaf) =>
        inclusionProof(sha256, nodes, leaf, size),
      );
      const root = rootOf(sha256, nodes, size);
      for (const index of leaves) {
        const way = inclusionProofOf(sha256, { size, opened: opened(leaves), proof }, index);
        expect(way).toEqual(inclusionProof(sha256, nodes, index, size));
        const claim = { index, size, leafHash: hashOfLeaf(index), proof: way ?? [], root };
        expect(verifyInclusion(sha256, claim)).toBe(true);
      }
      const other = [...Array(size).keys()].find((leaf) => !leaves.includes(leaf));
      if (other !== undefined)
        expect(
          inclusionProofOf(sha256, { size, opened: opened(leaves), proof }, other),
        ).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test('the proof of one leaf has as many hashes as its inclusion proof, that of all leaves none', () => {
  const asked: number[] = [];
  const of = (size: number, leaves: number[]): number =>
    proofOfOpened(size, leaves, (leaf) => {
      asked.push(leaf);
      return inclusionProof(sha256, nodes, leaf, size);
    }).length;
  expect(of(1_000, [431])).toBe(inclusionProof(sha256, nodes, 431, 1_000).length);
  expect(of(64, [...Array(64).keys()])).toBe(0);
  asked.length = 0;
  expect(
    of(
      1_000,
      [...Array(300).keys()].map((index) => index + 100),
    ),
  ).toBeLessThan(20);
  expect(asked.length).toBeLessThan(20);
});
