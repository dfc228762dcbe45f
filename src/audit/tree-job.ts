/** The Merkle tree over the commitments of a log: made from its leaves, and held against the tiles on the disk. */
import { type Disk, equalBytes } from '../base/index.ts';
import { hashCommitments, tileRoot, tilesPath } from '../engine/index.ts';
import { hashBytes, tileBytes, tileWidth } from '../proof/index.ts';

export interface TreeJob {
  readonly kind: 'tree';
  /** Of the commitments' tiles: their number among those of level 0. */
  readonly firstTile: number;
  /** Of whole tiles, 256 for each; of the last one fewer. */
  readonly commitments: Uint8Array;
}

export interface TreeTiles {
  /** The root of each full tile: the hashes of level 1. */
  readonly roots: Uint8Array;
  /** Where the first bad byte of the file of level 0 is; absent if none is there. */
  readonly badByte?: number;
}

/** Hashes leaves and compares them with the file of level 0, as far as that goes; yields the bytes that each step went through. */
export function* hashTiles(disk: Disk, job: TreeJob): Generator<number, TreeTiles> {
  const { commitments, firstTile } = job;
  const count = commitments.length / hashBytes;
  const full = Math.floor(count / tileWidth);
  const roots = new Uint8Array(full * hashBytes);
  let badByte: number | undefined;
  const path = tilesPath(0);
  const file = disk.exists(path) ? disk.open(path, 'read') : undefined;
  try {
    const stored = new Uint8Array(tileBytes);
    for (let tile = 0; tile < full; tile++) {
      const at = tile * tileBytes;
      const hashes = hashCommitments(commitments.subarray(at, at + tileBytes));
      roots.set(tileRoot(hashes), tile * hashBytes);
      const offset = (firstTile + tile) * tileBytes;
      const length = badByte === undefined ? (file?.read(stored, offset) ?? 0) : 0;
      const bad = firstDifference(stored.subarray(0, length), hashes);
      if (bad !== undefined) badByte = offset + bad;
      yield tileBytes;
    }
  } finally {
    file?.close();
  }
  return { roots, ...(badByte !== undefined && { badByte }) };
}

/** Where bytes differ from the beginning of others; undefined if they do not. */
export function firstDifference(bytes: Uint8Array, whole: Uint8Array): number | undefined {
  if (equalBytes(bytes, whole.subarray(0, bytes.length))) return undefined;
  return bytes.findIndex((byte, index) => byte !== whole[index]);
}
