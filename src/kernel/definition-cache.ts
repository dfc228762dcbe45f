import { limits, type Position, type StoreKey, type TreeId } from '../base/index.ts';
import type {
  Cursor,
  KeyRange,
  PastView,
  ReadView,
  Store,
  StoreChange,
  StoredRow,
  StoreVersion,
} from '../store/index.ts';
import { catalogObject, definitionsObject, tablesObject } from './objects.ts';

const cachedObjects: ReadonlySet<number> = new Set([
  catalogObject,
  tablesObject,
  definitionsObject,
]);

/** Definitions that are kept; then all are forgotten and read again. */
const rowsMax = 8_192;
/** Versions of one key: more are only asked for by whoever reads many old positions. */
const versionsMax = 8;

interface Known {
  /** Newest first; the first is current if `isCurrent`. */
  versions: StoredRow[];
  isCurrent: boolean;
}

/**
 * A store whose rows of definitions are the same objects at each read: what is
 * made of a schema is kept by its identity, and every row event asks for one. What it holds follows `apply`.
 */
export class DefinitionCache implements Store {
  readonly #store: Store;
  readonly #known = new Map<TreeId, Map<StoreKey, Known>>();
  #count = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  get appliedPosition(): Position {
    return this.#store.appliedPosition;
  }

  apply(position: Position, batch: readonly StoreChange[]): void {
    for (const { tree, key } of batch) {
      if (!isDefinitions(tree)) continue;
      const known = this.#known.get(tree)?.get(key);
      if (known !== undefined) known.isCurrent = false;
    }
    this.#store.apply(position, batch);
  }

  reach(batch: readonly StoreChange[]): void {
    this.#store.reach(batch);
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    if (!isDefinitions(tree)) return this.#store.get(tree, key);
    const known = this.#known.get(tree)?.get(key);
    if (known?.isCurrent === true) return known.versions[0];
    const row = this.#store.get(tree, key);
    return row === undefined ? undefined : this.#keep(tree, key, row, true);
  }

  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined {
    if (!isDefinitions(tree)) return this.#store.getAt(tree, key, position);
    const [newest] = this.#known.get(tree)?.get(key)?.versions ?? [];
    if (
      newest !== undefined &&
      newest.from <= position &&
      this.#known.get(tree)?.get(key)?.isCurrent === true
    )
      return newest;
    const row = this.#store.getAt(tree, key, position);
    return row === undefined ? undefined : this.#keep(tree, key, row, false);
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    return this.#store.latest(tree, key);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    return this.#store.scan(tree, range);
  }

  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor {
    return this.#store.scanAt(tree, range, position);
  }

  viewAt(position: Position): ReadView {
    const pastAt = (): PastView | undefined => this.#pastAt(position);
    return {
      get: (tree, key) => this.getAt(tree, key, position),
      scan: (tree, range) => this.scanAt(tree, range, position),
      get past() {
        return pastAt();
      },
    };
  }

  get past(): PastView | undefined {
    return this.#pastAt(this.appliedPosition);
  }

  #pastAt(position: Position): PastView | undefined {
    const { past } = this.#store.viewAt(position);
    return past === undefined ? undefined : { ...past, viewAt: (earlier) => this.viewAt(earlier) };
  }

  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean {
    return this.#store.changedSince(tree, range, position);
  }

  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[] {
    return this.#store.versions(tree, key);
  }

  /** The object that stands for a row from now on: one for each version. */
  #keep(tree: TreeId, key: StoreKey, row: StoredRow, isCurrent: boolean): StoredRow {
    const known = this.#entry(tree, key);
    const same = known.versions.find(({ from }) => from === row.from);
    if (same === undefined) {
      known.versions = [row, ...known.versions]
        .toSorted((left, right) => right.from - left.from)
        .slice(0, versionsMax);
    }
    if (isCurrent) known.isCurrent = true;
    return same ?? row;
  }

  #entry(tree: TreeId, key: StoreKey): Known {
    let keys = this.#known.get(tree);
    let known = keys?.get(key);
    if (known !== undefined) return known;
    if (this.#count >= rowsMax) {
      this.#known.clear();
      this.#count = 0;
      keys = undefined;
    }
    if (keys === undefined) {
      keys = new Map();
      this.#known.set(tree, keys);
    }
    known = { versions: [], isCurrent: false };
    keys.set(key, known);
    this.#count += 1;
    return known;
  }
}

function isDefinitions(tree: TreeId): boolean {
  return cachedObjects.has(tree % limits.objectsPerTenantMax);
}
