import type { StoreKey, TreeId } from '../base/index.ts';
import type { Arena } from './arena.ts';
import { copyKey, countOf } from './page-layout.ts';
import { keyOf, Probe, treeBytes, treeOfKey } from './probe.ts';
import type { VersionTrees } from './version-trees.ts';

const probe = new Probe();
const keyBytes = new Uint8Array(1024);

/**
 * Walks the entries of one logical tree, deletions and layers included, up or down. It keeps the last key and
 * where that was; when the page changed since, or is at its end, it looks the key up again.
 */
export class LayerCursor {
  readonly tree: TreeId;
  readonly #trees: VersionTrees;
  readonly #reverse: boolean;
  readonly #bound: StoreKey | undefined;
  #last: StoreKey | undefined;
  #slot = -1;
  #index = 0;
  #stamp = 0;
  /** Whose slot that is: the trees may go on in another. */
  #arena: Arena | undefined;

  /** `bound`: upwards the first key that may come; downwards the first one that may not. */
  constructor(trees: VersionTrees, tree: TreeId, bound: StoreKey | undefined, reverse: boolean) {
    this.#trees = trees;
    this.tree = tree;
    this.#bound = bound;
    this.#reverse = reverse;
  }

  /** The next key, or undefined at the end of the tree. The version is where `readCell` finds it. */
  next(): StoreKey | undefined {
    const { arena } = this.#trees.pager;
    const isSame = this.#arena === arena && arena.stamps[this.#slot] === this.#stamp;
    if (!isSame || !this.#stepInPage()) {
      if (!(this.#reverse ? this.#seekBelow() : this.#seekAbove())) return undefined;
      const { current } = this.#trees;
      this.#arena = arena;
      this.#slot = current.leaf;
      this.#index = current.index;
      this.#stamp = arena.stamps[this.#slot]!;
    }
    const length = copyKey(arena, this.#slot, this.#index, keyBytes);
    if (treeOfKey(keyBytes) !== this.tree) return undefined;
    this.#last = keyOf(keyBytes, treeBytes, length);
    return this.#last;
  }

  /** Fills the trees' `cell` with the version at the last key; before anything else is read. */
  readCell(): void {
    this.#trees.readCellAt(this.#slot, this.#index);
  }

  #stepInPage(): boolean {
    if (this.#reverse) return --this.#index >= 0;
    return ++this.#index < countOf(this.#trees.pager.arena, this.#slot);
  }

  #seekAbove(): boolean {
    const { current, pager } = this.#trees;
    pager.reserve(current.readSlots);
    const last = this.#last;
    probe.setCurrent(this.tree, last ?? this.#bound ?? ('' as StoreKey));
    current.find(probe);
    // The last key is still there: entries are never removed.
    if (last !== undefined) current.indices[0]!++;
    return current.settle();
  }

  #seekBelow(): boolean {
    const { current, pager } = this.#trees;
    pager.reserve(current.readSlots);
    const bound = this.#last ?? this.#bound;
    if (bound === undefined) probe.setCurrent((this.tree + 1) as TreeId, '' as StoreKey);
    else probe.setCurrent(this.tree, bound);
    current.find(probe);
    return current.back();
  }
}
