import type { Position, StoreKey, TreeId } from '../base/index.ts';
import type { KeyRange, StoreChange } from '../store/index.ts';

/** How much is remembered: about 4 MiB of keys at most. */
export interface RecentBounds {
  readonly changesMax: number;
  readonly charactersMax: number;
}

const defaultBounds: RecentBounds = { changesMax: 16_384, charactersMax: 4 << 20 };

/** The changed keys of one tree in order, as of one question. */
interface Sorted {
  readonly since: Position;
  readonly end: number;
  readonly byTree: Map<TreeId, StoreKey[]>;
}

/**
 * Which keys the newest commits changed, while transactions are about: so that what they read is checked in the time of
 * the changes since they began, and not in that of the keys they read. Bounded: older changes are forgotten.
 *
 * Invariant: while it is watched, every change of a position after `#from` is here.
 */
export class RecentChanges {
  readonly #bounds: RecentBounds;
  #positions: Position[] = [];
  #trees: TreeId[] = [];
  #keys: StoreKey[] = [];
  /** Of the arrays' first element that counts, and of all changes so far. */
  #first = 0;
  #characters = 0;
  #from = 0 as Position;
  /** Changes that may be forgotten before nobody is left who began to watch after them; 0: none is kept. */
  #left = 0;
  #sorted: Sorted | undefined;

  constructor(bounds: RecentBounds = defaultBounds) {
    this.#bounds = bounds;
  }

  /** A transaction begins at `position`, the newest one: changes from now on are kept, as long as they have room. */
  watch(position: Position): void {
    if (this.#left === 0) this.#from = position;
    this.#left = this.#size + 1;
  }

  /** What was committed at `position`. */
  add(position: Position, changes: readonly StoreChange[]): void {
    if (this.#left === 0) return;
    for (const { tree, key } of changes) {
      this.#positions.push(position);
      this.#trees.push(tree);
      this.#keys.push(key);
      this.#characters += key.length;
    }
    this.#sorted = undefined;
    this.#forget();
  }

  /** Whether a key in `range` changed after `since`; undefined if that is too long ago. */
  changedSince(tree: TreeId, range: KeyRange, since: Position): boolean | undefined {
    if (this.#left === 0 || since < this.#from) return undefined;
    const keys = this.#keysOf(tree, since);
    const at = range.from === undefined ? 0 : lowerBound(keys, range.from);
    const found = keys[at];
    return found !== undefined && (range.to === undefined || found < range.to);
  }

  get #size(): number {
    return this.#keys.length - this.#first;
  }

  #forget(): void {
    const { changesMax, charactersMax } = this.#bounds;
    while (this.#size > changesMax || this.#characters > charactersMax) {
      this.#from = this.#positions[this.#first] as Position;
      this.#characters -= (this.#keys[this.#first] as StoreKey).length;
      this.#first += 1;
      this.#left -= 1;
      if (this.#left > 0) continue;
      // Whoever watches began before all that is kept.
      this.#drop(this.#keys.length);
      return;
    }
    if (this.#first > changesMax) this.#drop(this.#first);
  }

  #drop(count: number): void {
    this.#positions = this.#positions.slice(count);
    this.#trees = this.#trees.slice(count);
    this.#keys = this.#keys.slice(count);
    this.#first = 0;
    if (this.#keys.length === 0) this.#characters = 0;
  }

  #keysOf(tree: TreeId, since: Position): readonly StoreKey[] {
    const end = this.#keys.length;
    if (this.#sorted?.since !== since || this.#sorted.end !== end)
      this.#sorted = { since, end, byTree: new Map() };
    const { byTree } = this.#sorted;
    let keys = byTree.get(tree);
    if (keys !== undefined) return keys;
    keys = [];
    for (let index = end - 1; index >= this.#first; index--) {
      if ((this.#positions[index] as Position) <= since) break;
      if (this.#trees[index] === tree) keys.push(this.#keys[index] as StoreKey);
    }
    keys.sort((left, right) => (left < right ? -1 : left > right ? 1 : 0));
    byTree.set(tree, keys);
    return keys;
  }
}

/** The index of the first key that is not before `key`. */
function lowerBound(keys: readonly StoreKey[], key: StoreKey): number {
  let from = 0;
  let to = keys.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((keys[middle] as StoreKey) < key) from = middle + 1;
    else to = middle;
  }
  return from;
}
