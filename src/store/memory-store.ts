import {
  assert,
  type LeafIndex,
  type Position,
  type StoreKey,
  type TreeId,
} from '../base/index.ts';
import { type HashSeed, KeyHasher, KeyTable } from './key-table.ts';
import { OrderedMap } from './ordered-map.ts';
import { pastOf, viewOf } from './past-view.ts';
import type { Store, StoreChange, StoreVersion } from './store.ts';
import type {
  Cursor,
  HistoryCursor,
  KeyHistory,
  KeyRange,
  PastView,
  ReadView,
  StoredRow,
  StoreEntry,
} from './view.ts';

/** A key's newest version, and the ones before it in ascending order. */
interface VersionChain {
  row: Uint8Array | undefined;
  from: Position;
  leaf: LeafIndex;
  older: StoreVersion[] | undefined;
}

const none: readonly StoreVersion[] = [];

/**
 * The store in memory: rebuilt from the log at open. Every version of every key is kept, so any
 * position can be read. Rows are kept as the encoded bytes and never copied.
 */
export class MemoryStore implements Store {
  readonly #trees = new Map<TreeId, OrderedMap<VersionChain>>();
  readonly #hasher: KeyHasher;
  #appliedPosition = 0 as Position;

  /** `seed`: random where others choose the keys, so that they cannot choose colliding ones. */
  constructor(seed: HashSeed = { low: 0, high: 0 }) {
    this.#hasher = new KeyHasher(seed);
  }

  get appliedPosition(): Position {
    return this.#appliedPosition;
  }

  /** The trees that hold anything, ascending. */
  trees(): TreeId[] {
    return [...this.#trees.keys()].toSorted((left, right) => left - right);
  }

  apply(position: Position, batch: readonly StoreChange[]): void {
    assert(position > this.#appliedPosition, 'positions are applied in strictly increasing order');
    for (const change of batch) this.#put(position, change);
    this.#appliedPosition = position;
  }

  /** All of it is in memory. */
  reach(): void {}

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    const chain = this.#trees.get(tree)?.get(key);
    return chain === undefined || chain.row === undefined ? undefined : (chain as StoredRow);
  }

  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined {
    const chain = this.#trees.get(tree)?.get(key);
    return chain === undefined ? undefined : rowAt(chain, position);
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    return this.#trees.get(tree)?.get(key);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    return this.scanAt(tree, range, this.#appliedPosition);
  }

  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor {
    const map = this.#trees.get(tree);
    return map === undefined ? emptyCursor : new MapCursor(map, range, position);
  }

  viewAt(position: Position): ReadView {
    return viewOf(this, position);
  }

  get past(): PastView {
    return pastOf(this, this.#appliedPosition);
  }

  historiesAt(tree: TreeId, range: KeyRange, position: Position): HistoryCursor {
    const map = this.#trees.get(tree);
    if (map === undefined) return { next: () => undefined };
    return new HistoryWalk(map, range, (key) =>
      this.versions(tree, key).filter((version) => version.from <= position),
    );
  }

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

  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[] {
    const chain = this.#trees.get(tree)?.get(key);
    if (chain === undefined) return none;
    const newest = { row: chain.row, from: chain.from, leaf: chain.leaf };
    return [newest, ...(chain.older ?? none).toReversed()];
  }

  /** Every key of a tree that ever was, ascending, with its versions newest first. */
  *history(tree: TreeId): Generator<{ key: StoreKey; versions: readonly StoreVersion[] }> {
    const map = this.#trees.get(tree);
    if (map === undefined) return;
    for (
      let entry = map.ceiling(undefined);
      entry !== undefined;
      entry = map.ceiling(entry.key, true)
    ) {
      yield { key: entry.key, versions: this.versions(tree, entry.key) };
    }
  }

  #put(position: Position, change: StoreChange): void {
    let map = this.#trees.get(change.tree);
    if (map === undefined) {
      map = new OrderedMap(new KeyTable<VersionChain>(this.#hasher));
      this.#trees.set(change.tree, map);
    }
    const chain = map.get(change.key);
    if (chain === undefined) {
      map.set(change.key, { row: change.row, from: position, leaf: change.leaf, older: undefined });
      return;
    }
    assert(chain.from <= position, 'versions of a key ascend');
    if (chain.from < position) {
      const before = { row: chain.row, from: chain.from, leaf: chain.leaf };
      if (chain.older === undefined) chain.older = [before];
      else chain.older.push(before);
    }
    chain.row = change.row;
    chain.from = position;
    chain.leaf = change.leaf;
  }
}

function rowAt(chain: VersionChain, position: Position): StoredRow | undefined {
  if (chain.from <= position) return chain.row === undefined ? undefined : (chain as StoredRow);
  const older = chain.older;
  if (older === undefined) return undefined;
  let low = 0;
  let high = older.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((older[middle] as StoreVersion).from <= position) low = middle + 1;
    else high = middle;
  }
  const version = older[low - 1];
  return version === undefined || version.row === undefined ? undefined : (version as StoredRow);
}

const emptyCursor: Cursor = { next: () => undefined };

/** Walks the keys of a range that have versions, deleted ones too. */
class HistoryWalk implements HistoryCursor {
  readonly #map: OrderedMap<VersionChain>;
  readonly #range: KeyRange;
  readonly #versionsOf: (key: StoreKey) => readonly StoreVersion[];
  #last: StoreKey | undefined;

  constructor(
    map: OrderedMap<VersionChain>,
    range: KeyRange,
    versionsOf: (key: StoreKey) => readonly StoreVersion[],
  ) {
    this.#map = map;
    this.#range = range;
    this.#versionsOf = versionsOf;
  }

  next(): KeyHistory | undefined {
    for (;;) {
      const entry = this.#step();
      if (entry === undefined) return undefined;
      this.#last = entry.key;
      const versions = this.#versionsOf(entry.key);
      if (versions.length > 0) return { key: entry.key, versions };
    }
  }

  #step(): { readonly key: StoreKey } | undefined {
    const { from, to, reverse } = this.#range;
    if (reverse === true) {
      const entry = this.#map.below(this.#last ?? to);
      return entry === undefined || (from !== undefined && entry.key < from) ? undefined : entry;
    }
    const entry =
      this.#last === undefined ? this.#map.ceiling(from) : this.#map.ceiling(this.#last, true);
    return entry === undefined || (to !== undefined && entry.key >= to) ? undefined : entry;
  }
}

/** Seeks from its last key at each step, so later changes of the map never confuse it. */
class MapCursor implements Cursor {
  readonly #map: OrderedMap<VersionChain>;
  readonly #range: KeyRange;
  readonly #position: Position;
  #last: StoreKey | undefined;
  #done = false;

  constructor(map: OrderedMap<VersionChain>, range: KeyRange, position: Position) {
    this.#map = map;
    this.#range = range;
    this.#position = position;
  }

  next(): StoreEntry | undefined {
    while (!this.#done) {
      const entry = this.#step();
      if (entry === undefined) break;
      this.#last = entry.key;
      const row = rowAt(entry.value, this.#position);
      if (row !== undefined)
        return { key: entry.key, row: row.row, from: row.from, leaf: row.leaf };
    }
    this.#done = true;
    return undefined;
  }

  #step(): { key: StoreKey; value: VersionChain } | undefined {
    const { from, to, reverse } = this.#range;
    if (reverse === true) {
      const entry = this.#map.below(this.#last ?? to);
      return entry === undefined || (from !== undefined && entry.key < from) ? undefined : entry;
    }
    const entry =
      this.#last === undefined ? this.#map.ceiling(from) : this.#map.ceiling(this.#last, true);
    return entry === undefined || (to !== undefined && entry.key >= to) ? undefined : entry;
  }
}
