/** The Merkle vectors of transparency-dev (test/vectors/PROVENANCE.md), and the proofs that RFC 6962 §2.1.3 draws. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toHex } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import {
  emptyRoot,
  isSubtree,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
  verifySubtreeConsistency,
} from './index.ts';

interface Vector {
  readonly wantErr: boolean;
  readonly proof: readonly string[] | null;
  readonly [field: string]: unknown;
}

const url = new URL('../../test/vectors/merkle/merkle.json', import.meta.url);
const vectors = Object.entries(JSON.parse(readFileSync(url, 'utf8')) as Record<string, Vector>);
const bytes = (text: unknown): Uint8Array => new Uint8Array(Buffer.from(text as string, 'base64'));

function verdict(path: string, vector: Vector): boolean {
  const number = (field: string): number => vector[field] as number;
  const proof = (vector.proof ?? []).map(bytes);
  const [kind] = path.split('/');
  if (kind === 'inclusion') {
    return verifyInclusion(sha256, {
      index: number('leafIdx'),
      size: number('treeSize'),
      leafHash: bytes(vector['leafHash']),
      proof,
      root: bytes(vector['root']),
    });
  }
  if (kind === 'subtreeinclusion') {
    // A subtree is a tree: its leaves count from its start.
    const [start, end] = [number('start'), number('end')];
    const claim = { index: number('leafIdx') - start, size: end - start, proof };
    return (
      isSubtree(start, end) &&
      verifyInclusion(sha256, {
        ...claim,
        leafHash: bytes(vector['leafHash']),
        root: bytes(vector['root']),
      })
    );
  }
  const [first, second] = [bytes(vector['root1']), bytes(vector['root2'])];
  if (kind === 'consistency') {
    const [from, to] = [number('size1'), number('size2')];
    return verifyConsistency(sha256, { from, to, fromRoot: first, toRoot: second, proof });
  }
  const [start, end, size] = [number('start'), number('end'), number('size')];
  return verifySubtreeConsistency(sha256, {
    start,
    end,
    size,
    proof,
    subtreeRoot: first,
    root: second,
  });
}

/** Accepted by the vectors, refused by us, and why. */
const refused: Readonly<Record<string, string>> = {
  'consistency/additional/sizes-are-equal-one-and-proof-is-empty': 'roots of 12 bytes',
  'subtreeconsistency/additional/sizes-are-equal-one-and-proof-is-empty': 'roots of 12 bytes',
  'subtreeconsistency/additional/subtree-is-empty-sizes-are-equal-one-subtree-root-valid-tree-root-random-proof-is-empty':
    'a root of 12 bytes',
  'subtreeconsistency/additional/subtree-is-empty-sizes-are-equal-zero-subtree-root-valid-tree-root-random-proof-is-empty':
    'a root of 12 bytes',
};

test.each([
  { kind: 'inclusion', count: 98, accepted: 6 },
  { kind: 'consistency', count: 98, accepted: 5 },
  { kind: 'subtreeinclusion', count: 204, accepted: 12 },
  { kind: 'subtreeconsistency', count: 118, accepted: 9 },
])('every vector of $kind has its verdict', ({ kind, count, accepted }) => {
  const ours = vectors.filter(([path]) => path.startsWith(`${kind}/`));
  expect(ours).toHaveLength(count);
  const differ = ours.filter(([path, vector]) => verdict(path, vector) === vector.wantErr);
  const named = Object.keys(refused).filter((path) => path.startsWith(`${kind}/`));
  expect(differ.map(([path]) => path).toSorted()).toEqual(named);
  expect(ours.filter(([path, vector]) => verdict(path, vector))).toHaveLength(accepted);
});

test('a subtree begins at a multiple of its width', () => {
  const subtrees = [
    [0, 1],
    [0, 5],
    [4, 7],
    [4, 8],
    [6, 7],
    [6, 8],
  ] as const;
  expect(subtrees.filter(([start, end]) => !isSubtree(start, end))).toEqual([]);
  const others = [
    [1, 3],
    [2, 5],
    [2, 6],
    [3, 5],
    [4, 9],
    [1, 1],
    [2, 1],
    [-2, -1],
    [0.5, 1],
  ] as const;
  expect(others.filter(([start, end]) => isSubtree(start, end))).toEqual([]);
});

test('a tree of one leaf has no proof with hashes: the root of two is not taken for its', () => {
  const [left, right] = [0, 1].map((leaf) => leafHash(sha256, Uint8Array.of(leaf)));
  if (left === undefined || right === undefined) throw new Error('two leaves');
  const claim = { index: 0, leafHash: left, proof: [right], root: nodeHash(sha256, left, right) };
  expect(verifyInclusion(sha256, { ...claim, size: 2 })).toBe(true);
  expect(verifyInclusion(sha256, { ...claim, size: 1 })).toBe(false);
  const last = { ...claim, root: nodeHash(sha256, right, left) };
  expect(verifyInclusion(sha256, { ...last, size: 1 })).toBe(false);
});

describe('roots and leaves', () => {
  test('the empty tree has the hash of nothing, a leaf its prefix', () => {
    expect(toHex(emptyRoot(sha256))).toBe(
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    );
    expect(toHex(leafHash(sha256, new Uint8Array(0)))).toBe(
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    );
  });
});
