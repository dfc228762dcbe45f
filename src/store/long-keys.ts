import type { StoreKey, TreeId } from '../base/index.ts';
import type { VersionTrees } from './version-trees.ts';

/**
 * Keys of this length and more are cut: their first `sliceBytes` bytes lead to a layer, a tree of its own for the
 * rest of all keys that begin with them (Mao, Kohler, Morris: "Cache Craftiness for Fast Multicore Key-Value
 * Storage"). So no page holds a longer key, and the order of whole keys stays: a shorter key than a slice
 * comes before the slice that begins with it.
 */
const sliceBytes = 480;
/** Layers are numbered from here, above the numbers of all tenants' trees. */
export const firstLayer = 2 ** 52;

/** Where a key's last part is kept. */
export class LongKeys {
  readonly #trees: VersionTrees;
  /** The number that the next layer gets. */
  nextLayer: number;
  /** Where `resolve` found the key. */
  tree = 0 as TreeId;
  key = '' as StoreKey;

  constructor(trees: VersionTrees, nextLayer: number) {
    this.#trees = trees;
    this.nextLayer = nextLayer;
  }

  /** Sets `tree` and `key` to where a key is kept. Returns false when there are no keys like it. */
  resolve(tree: TreeId, key: StoreKey): boolean {
    this.tree = tree;
    this.key = key;
    while (this.key.length >= sliceBytes) {
      if (!this.#trees.findCurrent(this.tree, sliceOf(this.key))) return false;
      this.#enter();
    }
    return true;
  }

  /** As resolve, and makes the layers that the key needs. */
  resolveForPut(tree: TreeId, key: StoreKey): void {
    this.tree = tree;
    this.key = key;
    while (this.key.length >= sliceBytes) {
      const slice = sliceOf(this.key);
      if (!this.#trees.findCurrent(this.tree, slice)) {
        this.#trees.putLayer(this.tree, slice, this.nextLayer++ as TreeId);
        this.#trees.findCurrent(this.tree, slice);
      }
      this.#enter();
    }
  }

  #enter(): void {
    this.tree = this.#trees.layerOfCell();
    this.key = this.key.slice(sliceBytes) as StoreKey;
  }
}

export function sliceOf(key: StoreKey): StoreKey {
  return key.slice(0, sliceBytes) as StoreKey;
}
