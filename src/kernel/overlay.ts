import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import {
  type Cursor,
  type KeyRange,
  OrderedMap,
  type ReadView,
  type StoreChange,
  type StoredRow,
  type StoreEntry,
  type StoreVersion,
} from '../store/index.ts';

/** What an overlay lies on: a view that also knows deleted keys. */
export interface VersionedView extends ReadView {
  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined;
}

/** What the changes of one command were put under, and they themselves. */
interface OverlaidCommand {
  readonly position: Position;
  readonly changes: readonly StoreChange[];
}

interface OverlayEntry {
  readonly row: Uint8Array | undefined;
  readonly from: Position;
  readonly leaf: LeafIndex;
}

/**
 * Changes that are not committed, above a view. Reads see both, the overlay's first. It can be dropped
 * whole (a failed flush), or settled position by position as frames become durable.
 */
export class Overlay implements VersionedView {
  readonly #base: VersionedView;
  readonly #trees = new Map<TreeId, OrderedMap<OverlayEntry>>();
  /** Changes put and not settled. */
  #count = 0;

  constructor(base: VersionedView) {
    this.#base = base;
  }

  put(position: Position, change: StoreChange): void {
    let map = this.#trees.get(change.tree);
    if (map === undefined) {
      map = new OrderedMap();
      this.#trees.set(change.tree, map);
    }
    map.set(change.key, { row: change.row, from: position, leaf: change.leaf });
    this.#count += 1;
  }

  /** Forgets the entries that these commands made, once the base holds them. Newer entries stay. */
  settle(commands: readonly OverlaidCommand[]): void {
    let count = 0;
    for (const { changes } of commands) count += changes.length;
    // Nothing else is there: forgotten as a whole.
    if (count === this.#count) this.drop();
    else for (const { position, changes } of commands) this.#settle(position, changes);
  }

  #settle(position: Position, changes: readonly StoreChange[]): void {
    this.#count -= changes.length;
    for (const change of changes) {
      const map = this.#trees.get(change.tree);
      if (map?.get(change.key)?.from !== position) continue;
      map.delete(change.key);
      // Reads of trees that nobody changes, such as the catalog's, then go straight to the base.
      if (map.size === 0) this.#trees.delete(change.tree);
    }
  }

  drop(): void {
    this.#trees.clear();
    this.#count = 0;
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    const entry = this.#trees.get(tree)?.get(key);
    if (entry === undefined) return this.#base.get(tree, key);
    return entry.row === undefined ? undefined : (entry as StoredRow);
  }

  neverWas(tree: TreeId, key: StoreKey): boolean {
    return this.latest(tree, key) === undefined;
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    return this.#trees.get(tree)?.get(key) ?? this.#base.latest(tree, key);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    const map = this.#trees.get(tree);
    const base = this.#base.scan(tree, range);
    return map === undefined || map.size === 0 ? base : new MergeCursor(base, map, range);
  }

  /** Whether some entry of the overlay newer than `position` lies in `range`. */
  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean {
    const map = this.#trees.get(tree);
    if (map === undefined) return false;
    for (
      let entry = map.ceiling(range.from);
      entry !== undefined;
      entry = map.ceiling(entry.key, true)
    ) {
      if (range.to !== undefined && entry.key >= range.to) return false;
      if (entry.value.from > position) return true;
    }
    return false;
  }
}

type Local = { readonly key: StoreKey; readonly value: OverlayEntry };

/** Merges the base's entries with the overlay's; the overlay wins, its deletions hide. */
class MergeCursor implements Cursor {
  readonly #base: Cursor;
  readonly #map: OrderedMap<OverlayEntry>;
  readonly #range: KeyRange;
  #fromBase: StoreEntry | undefined;
  #fromLocal: Local | undefined;

  constructor(base: Cursor, map: OrderedMap<OverlayEntry>, range: KeyRange) {
    this.#base = base;
    this.#map = map;
    this.#range = range;
    this.#fromBase = base.next();
    this.#fromLocal = this.#local(undefined);
  }

  next(): StoreEntry | undefined {
    for (;;) {
      const base = this.#fromBase;
      const local = this.#fromLocal;
      if (local === undefined) {
        if (base !== undefined) this.#fromBase = this.#base.next();
        return base;
      }
      const baseFirst =
        base !== undefined &&
        base.key !== local.key &&
        base.key < local.key !== (this.#range.reverse === true);
      if (baseFirst) {
        this.#fromBase = this.#base.next();
        return base;
      }
      if (base?.key === local.key) this.#fromBase = this.#base.next();
      this.#fromLocal = this.#local(local.key);
      const { row, from, leaf } = local.value;
      if (row !== undefined) return { key: local.key, row, from, leaf };
    }
  }

  #local(after: StoreKey | undefined): Local | undefined {
    const { from, to, reverse } = this.#range;
    if (reverse === true) {
      const entry = this.#map.below(after ?? to);
      return entry === undefined || (from !== undefined && entry.key < from) ? undefined : entry;
    }
    const entry = after === undefined ? this.#map.ceiling(from) : this.#map.ceiling(after, true);
    return entry === undefined || (to !== undefined && entry.key >= to) ? undefined : entry;
  }
}
