/**
 * Tiles (C2SP tlog-tiles): 256 hashes of the tree side by side, from which every other hash within is made.
 * Tile `index` of level L holds the hashes of the complete subtrees of 256^L leaves from 256 × index on.
 */
import { assert } from '../base/index.ts';
import { hashBytes, nodeHash, type Sha256, type TreeNodes } from './merkle.ts';

/** A tile stands for this many levels of the tree. */
const tileHeight = 8;
/** Hashes of a full tile. */
export const tileWidth = 1 << tileHeight;
export const tileBytes = tileWidth * hashBytes;

/** Where a tile is served: `tile/<L>/x001/x234/067`, with `.p/<W>` for the first `width` (1 to 255) hashes of it. */
export function tilePath(level: number, index: number, width = tileWidth): string {
  let path = String(index % 1000).padStart(3, '0');
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    path = `x${String(rest % 1000).padStart(3, '0')}/${path}`;
  }
  return `tile/${level}/${path}${width === tileWidth ? '' : `.p/${width}`}`;
}

/** The complete subtrees of 256^level leaves in a tree of `size` leaves: full tiles of that level are the 256ths of it, the rest is the width of its partial tile. */
export function tileHashes(level: number, size: number): number {
  return Math.floor(size / tileWidth ** level);
}

/**
 * The tree's nodes, read from tiles: `tile(level, index)` returns at least those hashes of a tile that the tree has. A node within
 * a tile costs at most 127 hashes.
 */
export function nodesOfTiles(
  sha256: Sha256,
  tile: (level: number, index: number) => Uint8Array,
): TreeNodes {
  return {
    node(level, index) {
      const within = level % tileHeight;
      const count = 2 ** within;
      const first = index * count;
      const bytes = tile((level - within) / tileHeight, Math.floor(first / tileWidth));
      const start = (first % tileWidth) * hashBytes;
      assert(
        bytes.length >= start + count * hashBytes,
        'a tile holds the hashes that are asked for',
      );
      let hashes = Array.from({ length: count }, (_, hash) =>
        bytes.subarray(start + hash * hashBytes, start + (hash + 1) * hashBytes),
      );
      while (hashes.length > 1) hashes = pairs(sha256, hashes);
      return hashes[0] as Uint8Array;
    },
  };
}

/** The level above an even number of hashes. */
function pairs(sha256: Sha256, hashes: readonly Uint8Array[]): Uint8Array[] {
  return Array.from({ length: hashes.length / 2 }, (_, index) =>
    nodeHash(sha256, hashes[2 * index] as Uint8Array, hashes[2 * index + 1] as Uint8Array),
  );
}
