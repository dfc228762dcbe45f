/** The Merkle tree of RFC 6962, section 2.1, as it is defined there: what the database's own is compared with. */
import { sha256 } from '../../crypto/index.ts';

/** The leaves' data; of complete parts their roots are kept. */
export class NaiveTree {
  readonly leaves: readonly Uint8Array[];
  readonly #roots = new Map<string, Uint8Array>();

  constructor(leaves: readonly Uint8Array[]) {
    this.leaves = leaves;
  }

  /** MTH(D[from:to]). */
  root(from: number, to: number): Uint8Array {
    const size = to - from;
    if (size === 0) return sha256(new Uint8Array());
    if (size === 1) return hash(0, this.leaves[from] as Uint8Array);
    const name = `${from}-${to}`;
    let root = this.#roots.get(name);
    if (root === undefined) {
      const middle = from + splitOf(size);
      root = hash(1, this.root(from, middle), this.root(middle, to));
      this.#roots.set(name, root);
    }
    return root;
  }

  /** PATH(leaf, D[from:to]). */
  path(leaf: number, from: number, to: number): Uint8Array[] {
    if (to - from <= 1) return [];
    const middle = from + splitOf(to - from);
    return leaf < middle
      ? [...this.path(leaf, from, middle), this.root(middle, to)]
      : [...this.path(leaf, middle, to), this.root(from, middle)];
  }

  /** PROOF(size, D[0:of]), where 0 < size. */
  consistency(size: number, of: number): Uint8Array[] {
    return this.#subproof({ size, from: 0, to: of, isWhole: true });
  }

  #subproof({ size, from, to, isWhole }: Part): Uint8Array[] {
    if (from + size === to) return isWhole ? [] : [this.root(from, to)];
    const split = splitOf(to - from);
    const middle = from + split;
    return size <= split
      ? [...this.#subproof({ size, from, to: middle, isWhole }), this.root(middle, to)]
      : [
          ...this.#subproof({ size: size - split, from: middle, to, isWhole: false }),
          this.root(from, middle),
        ];
  }
}

interface Part {
  /** Leaves from `from` on. */
  readonly size: number;
  readonly from: number;
  readonly to: number;
  readonly isWhole: boolean;
}

/** The largest power of two below `size`. */
function splitOf(size: number): number {
  let split = 1;
  while (split * 2 < size) split *= 2;
  return split;
}

function hash(prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(1 + parts.reduce((sum, { length }) => sum + length, 0));
  bytes[0] = prefix;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return sha256(bytes);
}
