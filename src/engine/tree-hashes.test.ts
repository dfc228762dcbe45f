import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashLeaves, tileRoot } from './tree-hashes.ts';

const reference = (...parts: readonly Uint8Array[]): Uint8Array => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};

test('leaves of frames of any size are hashed as RFC 6962 says', () => {
  for (const count of [0, 1, 2, 3, 4, 5, 63, 2_048, 2_049, 4_200]) {
    const leaves = Uint8Array.from({ length: 34 * count }, (_, index) => (index * 7) >> 1);
    const expected = Array.from({ length: count }, (_, leaf) =>
      reference(Uint8Array.of(0), leaves.subarray(leaf * 34 + 2, leaf * 34 + 34)),
    );
    expect(Buffer.from(hashLeaves(leaves)).equals(Buffer.concat(expected))).toBe(true);
  }
});

test("a tile's root is that of its hashes, and the tile stays as it is", () => {
  const tile = Uint8Array.from({ length: 8_192 }, (_, index) => (index * 31) >> 2);
  const before = tile.slice();
  let level: Uint8Array[] = Array.from({ length: 256 }, (_, hash) =>
    tile.subarray(hash * 32, hash * 32 + 32),
  );
  while (level.length > 1)
    level = level.flatMap((left, index) =>
      index % 2 === 0 ? [reference(Uint8Array.of(1), left, level[index + 1] as Uint8Array)] : [],
    );
  expect(Buffer.from(tileRoot(tile)).equals(level[0] as Uint8Array)).toBe(true);
  expect(tile).toEqual(before);
});
