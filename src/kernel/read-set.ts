import type { Position, StoreKey, TreeId } from '../base/index.ts';
import type { Cursor, KeyRange, ReadView, StoredRow } from '../store/index.ts';

/** Of keys, and of ranges, of one tree: more of them count as the whole tree. */
const readsMax = 65_536;

interface TreeReads {
  readonly keys: Set<StoreKey>;
  readonly ranges: KeyRange[];
  isWhole: boolean;
}

/**
 * What a transaction read: keys (absent ones too) and ranges (empty ones too). Bounded: of a tree of which very much was
 * read any change is a conflict, also one of what was not read.
 */
export class ReadSet {
  readonly #trees = new Map<TreeId, TreeReads>();

  addKey(tree: TreeId, key: StoreKey): void {
    const reads = this.#readsOf(tree);
    if (reads.isWhole) return;
    reads.keys.add(key);
    if (reads.keys.size > readsMax) takeWhole(reads);
  }

  addRange(tree: TreeId, range: KeyRange): void {
    const reads = this.#readsOf(tree);
    if (reads.isWhole) return;
    reads.ranges.push(range);
    if (reads.ranges.length > readsMax) takeWhole(reads);
  }

  /** Whether anything read has a version newer than `snapshot`. */
  changedSince(state: ConflictView, snapshot: Position): boolean {
    for (const [tree, { keys, ranges }] of this.#trees) {
      for (const key of keys) {
        const latest = state.latest(tree, key);
        if (latest !== undefined && latest.from > snapshot) return true;
      }
      if (ranges.some((range) => state.changedSince(tree, range, snapshot))) return true;
    }
    return false;
  }

  #readsOf(tree: TreeId): TreeReads {
    let reads = this.#trees.get(tree);
    if (reads === undefined) {
      reads = { keys: new Set(), ranges: [], isWhole: false };
      this.#trees.set(tree, reads);
    }
    return reads;
  }
}

function takeWhole(reads: TreeReads): void {
  reads.isWhole = true;
  reads.keys.clear();
  reads.ranges.splice(0, reads.ranges.length, {});
}

export interface ConflictView {
  latest(tree: TreeId, key: StoreKey): { readonly from: Position } | undefined;
  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean;
}

/** A view that notes every read. */
export class TrackingView implements ReadView {
  readonly #base: ReadView;
  readonly reads = new ReadSet();

  constructor(base: ReadView) {
    this.#base = base;
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    this.reads.addKey(tree, key);
    return this.#base.get(tree, key);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    this.reads.addRange(tree, range);
    return this.#base.scan(tree, range);
  }
}
