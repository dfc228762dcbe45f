import { sha256 } from '../crypto/index.ts';
import { rootOf, type TreeNodes } from '../proof/index.ts';

/** Of levels that are this far above a row of hashes, so that making one takes at least 15 hashes. */
const levelsMin = 4;
const tileLevels = 8;
const nodesMax = 4_096;

/** Nodes of `made`, those kept that took many hashes: a complete subtree never changes. */
export class KeptNodes implements TreeNodes {
  readonly #made: TreeNodes;
  readonly #kept = new Map<string, Uint8Array>();
  #root: { readonly size: number; readonly hash: Uint8Array } | undefined;

  constructor(made: TreeNodes) {
    this.#made = made;
  }

  node(level: number, index: number): Uint8Array {
    if (level % tileLevels < levelsMin) return this.#made.node(level, index);
    const name = `${level} ${index}`;
    let node = this.#kept.get(name);
    if (node === undefined) {
      node = this.#made.node(level, index);
      if (this.#kept.size >= nodesMax) this.#kept.clear();
      this.#kept.set(name, node);
    }
    return node;
  }

  /** The root of the first `size` leaves, which must be there. The last one is kept: many proofs are of one size. */
  root(size: number): Uint8Array {
    if (this.#root?.size !== size) this.#root = { size, hash: rootOf(sha256, this, size) };
    return this.#root.hash;
  }

  /** What they were made from may have been wrong. */
  clear(): void {
    this.#kept.clear();
    this.#root = undefined;
  }
}
