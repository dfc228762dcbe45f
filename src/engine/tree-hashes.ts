/** The hashes of the Merkle tree (RFC 6962) in batches: the one place where they are made. */
import { assert } from '../base/index.ts';
import { digestBytes, sha256Into, sha256Lanes } from '../crypto/index.ts';
import { leafBytes } from '../log/index.ts';
import { tileBytes } from '../proof/index.ts';

/** Of a leaf: 0x00, and the commitment. */
const leafInput = new Uint8Array(1 + digestBytes);
/** So few leaves are hashed one behind the other. */
const batchMin = 3;

/** The hashes of leaves as they stand in a frame, one behind the other: their commitments end them. */
export function hashLeaves(leaves: Uint8Array): Uint8Array {
  return hashEach(leaves, leafBytes);
}

/** The hashes of leaves by their commitments, one behind the other. */
export function hashCommitments(commitments: Uint8Array): Uint8Array {
  return hashEach(commitments, digestBytes);
}

function hashEach(leaves: Uint8Array, bytesOfEach: number): Uint8Array {
  assert(leaves.length % bytesOfEach === 0, 'leaves are whole');
  const count = leaves.length / bytesOfEach;
  const hashes = new Uint8Array(count * digestBytes);
  if (count >= batchMin) {
    hashMany(leaves, bytesOfEach, hashes);
    return hashes;
  }
  for (let leaf = 0; leaf < count; leaf++) {
    writeLeaf(leafInput, 0, leaves, (leaf + 1) * bytesOfEach - digestBytes);
    sha256Into(hashes, leaf * digestBytes, leafInput);
  }
  return hashes;
}

function hashMany(leaves: Uint8Array, bytesOfEach: number, hashes: Uint8Array): void {
  const lanes = sha256Lanes();
  const count = leaves.length / bytesOfEach;
  let done = 0;
  for (let leaf = 0; leaf < count; leaf++) {
    const from = (leaf + 1) * bytesOfEach - digestBytes;
    writeLeaf(lanes.bytes, lanes.add(leafInput.length), leaves, from);
    if (leaf + 1 < count && lanes.hasRoom(leafInput.length)) continue;
    lanes.run();
    hashes.set(lanes.digests.subarray(0, (leaf + 1 - done) * digestBytes), done * digestBytes);
    done = leaf + 1;
  }
}

function writeLeaf(message: Uint8Array, at: number, leaves: Uint8Array, from: number): void {
  message[at] = 0;
  for (let byte = 0; byte < digestBytes; byte++)
    message[at + 1 + byte] = leaves[from + byte] as number;
}

/** The root over the 256 hashes of a full tile. */
export function tileRoot(tile: Uint8Array): Uint8Array {
  assert(tile.length === tileBytes, 'a tile is full');
  const lanes = sha256Lanes();
  const words = new Uint32Array(tile.slice().buffer);
  const wordsOfHash = digestBytes / 4;
  for (let count = tileBytes / digestBytes; count > 1; count /= 2) {
    for (let node = 0; node < count; node += 2)
      lanes.addNode(words, node * wordsOfHash, (node + 1) * wordsOfHash);
    lanes.run();
    for (let node = 0; node < count / 2; node++) lanes.digestInto(words, node * wordsOfHash, node);
  }
  return new Uint8Array(words.buffer, 0, digestBytes).slice();
}
