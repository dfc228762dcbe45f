/** Proofs that no honest trie yields, whatever hash whoever answers has had signed: each rule of their shape, one by one. */
import { createHash, createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../base/index.ts';
import { provedState, type StateBranch, type StateProof, type StateWay } from './state-proof.ts';

const sha256 = (bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(bytes).digest());
const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
const u64 = (value: number): Uint8Array => concatBytes(u32(value), u32(0));
const salt = new Uint8Array(32).fill(9);
const key = Uint8Array.of(1, 2, 3);
const named = concatBytes(u32(1), u32(16));
const tablePath = sha256(concatBytes(Uint8Array.of(4), named));
const rowPath = new Uint8Array(createHmac('sha256', salt).update(key).digest());
const value = new Uint8Array(32).fill(7);
const some = new Uint8Array(32).fill(3);

/** An entry whose path has as many digits of `path` as one wishes, and then others. */
function entryNear(path: Uint8Array, last: number): Uint8Array {
  const near = path.slice();
  near[31] = last;
  return concatBytes(near, value);
}
const ascending = (path: Uint8Array, count: number): Uint8Array =>
  concatBytes(...Array.from({ length: count }, (_, index) => entryNear(path, index)));
const own = concatBytes(rowPath, value);

/** Bits of a branch at the top of the row's path. */
const digit = (rowPath[0] as number) >> 6;
const on = 1 << digit;
const off = 15 ^ on;
const branch: StateBranch = { children: 15, beside: [some, some, some] };

/** The proof of a database whose tables are that one alone. */
function proofOf(way: StateWay, change: Partial<StateProof> = {}): StateProof {
  const bucket = concatBytes(tablePath, new Uint8Array(32));
  return {
    tenant: 1,
    table: 16,
    key,
    tables: { branches: [], bucket, count: 1 },
    rows: { way, salt },
    ...change,
  };
}

describe('the way of a proof is refused', () => {
  test.each<[string, string, StateWay]>([
    ['of no number', 'a count is not a number', { branches: [], bucket: own, count: 0.5 }],
    ['of less than none', 'a count is not a number', { branches: [], count: -1 }],
    [
      'longer than a path',
      'longer',
      { branches: Array.from({ length: 129 }, () => branch), bucket: own, count: 20 },
    ],
    [
      'of a branch without children',
      'no children',
      { branches: [{ children: 0, beside: [] }], count: 20 },
    ],
    [
      'of a branch of more',
      'no children',
      { branches: [{ children: 31, beside: [some, some, some, some] }], bucket: own, count: 20 },
    ],
    [
      'with a hash too many',
      'too many or too few',
      { branches: [{ children: on, beside: [some] }], bucket: own, count: 20 },
    ],
    [
      'with a hash too few',
      'too many or too few',
      { branches: [{ children: 15, beside: [some, some] }], bucket: own, count: 20 },
    ],
    [
      'with a hash in the place of its own child',
      'too many or too few',
      { branches: [{ children: 15, beside: [some, some, some, some] }], count: 20 },
    ],
    [
      'with hashes cut elsewhere',
      'has not 32 bytes',
      {
        branches: [
          { children: 15, beside: [some.subarray(1), concatBytes(some, some.subarray(31)), some] },
        ],
        bucket: own,
        count: 20,
      },
    ],
    [
      'that goes on behind its end',
      'where it has ended',
      { branches: [{ children: off, beside: [some, some, some] }, branch], bucket: own, count: 20 },
    ],
    [
      'that finds a bucket where no child is',
      'where it has ended',
      { branches: [{ children: off, beside: [some, some, some] }], bucket: own, count: 20 },
    ],
    ['that does not go to its end', 'to its end', { branches: [branch], count: 20 }],
    [
      'of branches above what a bucket holds',
      'fewer entries than a bucket',
      { branches: [branch], bucket: own, count: 14 },
    ],
    ['of nothing, where something is', 'the way is missing', { branches: [], count: 3 }],
    [
      'of a bucket that is too large',
      '1 to 14',
      { branches: [branch], bucket: ascending(rowPath, 15), count: 20 },
    ],
    ['of a bucket of none', '1 to 14', { branches: [branch], bucket: new Uint8Array(), count: 20 }],
    [
      'of a bucket of half an entry',
      '1 to 14',
      { branches: [], bucket: own.subarray(0, 32), count: 1 },
    ],
    [
      'of more entries than there are',
      'as many entries',
      { branches: [], bucket: ascending(rowPath, 3), count: 2 },
    ],
    [
      'of fewer entries than there are',
      'as many entries',
      { branches: [], bucket: ascending(rowPath, 3), count: 4 },
    ],
    [
      'of one path twice',
      'do not ascend',
      { branches: [], bucket: concatBytes(own, own), count: 2 },
    ],
    [
      'of entries that do not ascend',
      'do not ascend',
      { branches: [], bucket: concatBytes(entryNear(rowPath, 2), entryNear(rowPath, 1)), count: 2 },
    ],
    [
      'of an entry of another branch',
      'not below',
      {
        branches: [branch],
        bucket: concatBytes(
          rowPath.map((byte) => byte ^ 0x80),
          value,
        ),
        count: 20,
      },
    ],
  ])('%s', (_, what, way) => {
    expect(provedState(sha256, proofOf(way))).toMatch(
      new RegExp(`does not lead to the row: .*${what}`),
    );
    // The same of the way to the table.
    if (way.bucket === undefined || way.bucket.length === 0)
      expect(provedState(sha256, proofOf(way, { tables: way }))).toMatch(what);
  });
});

describe('a proof is refused', () => {
  const honest: StateWay = { branches: [], bucket: own, count: 1 };
  /** As the database would have it that has this way signed. */
  function tableOf(way: StateWay, top: Uint8Array, ofSalt = salt): Partial<StateProof> {
    const saltHash = sha256(concatBytes(Uint8Array.of(5), ofSalt));
    const hash = sha256(concatBytes(Uint8Array.of(2), named, saltHash, u64(way.count), top));
    return {
      tables: { branches: [], bucket: concatBytes(tablePath, hash), count: 1 },
      rows: { way, salt: ofSalt },
    };
  }
  const top = sha256(concatBytes(Uint8Array.of(0), own));

  test('but not where it is right', () => {
    const proof = proofOf(honest, tableOf(honest, top));
    expect(provedState(sha256, proof)).toMatchObject({ commitment: value });
  });

  test('whose table is there and has no rows', () => {
    const none: StateWay = { branches: [], count: 0 };
    const proof = proofOf(none, tableOf(none, new Uint8Array(32)));
    expect(provedState(sha256, proof)).toMatch('not those of the table');
  });

  test('whose salt has another length, though its hash is the table’s', () => {
    for (const other of [salt.subarray(1), concatBytes(salt, Uint8Array.of(0))])
      expect(provedState(sha256, proofOf(honest, tableOf(honest, top, other)))).toMatch(
        'salt of 32',
      );
  });

  test.each([-1, 0.5, 2 ** 32, Number.NaN, Infinity])('of tenant or table %d', (number) => {
    expect(provedState(sha256, proofOf(honest, { tenant: number }))).toMatch('no tenant and table');
    expect(provedState(sha256, proofOf(honest, { table: number }))).toMatch('no tenant and table');
  });

  test.each([0, 8_193])('of a key of %d bytes', (length) => {
    const proof = proofOf(honest, { key: new Uint8Array(length) });
    expect(provedState(sha256, proof)).toMatch('names no key');
  });
});
