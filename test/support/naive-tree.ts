/** The Merkle tree hash as RFC 6962, section 2.1, defines it, made of all leaves: what quicker ones are compared with. */
import { createHash } from 'node:crypto';

function hash(...parts: readonly Uint8Array[]): Uint8Array {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return new Uint8Array(digest.digest());
}

export function naiveLeafHash(commitment: Uint8Array): Uint8Array {
  return hash(Uint8Array.of(0), commitment);
}

/** Roots of many leaves that were made before; leaves may be added to the array, and none changed. */
const known = new WeakMap<readonly Uint8Array[], Map<string, Uint8Array>>();

/** The root over the leaves from `from` up to, and without, `to`. */
export function naiveRoot(
  commitments: readonly Uint8Array[],
  from = 0,
  to = commitments.length,
): Uint8Array {
  const size = to - from;
  if (size === 0) return hash();
  if (size === 1) return naiveLeafHash(commitments[from] as Uint8Array);
  const roots = known.get(commitments) ?? new Map<string, Uint8Array>();
  known.set(commitments, roots);
  const name = `${from}-${to}`;
  let root = roots.get(name);
  if (root === undefined) {
    let half = 1;
    while (half * 2 < size) half *= 2;
    const left = naiveRoot(commitments, from, from + half);
    root = hash(Uint8Array.of(1), left, naiveRoot(commitments, from + half, to));
    if (size >= 64) roots.set(name, root);
  }
  return root;
}
