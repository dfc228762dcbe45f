import { expect, test } from 'vitest';
import {
  type LeafIndex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  treeOf,
} from '../base/index.ts';
import { MemoryStore, type Store, type StoredRow } from '../store/index.ts';
import { DefinitionCache } from './definition-cache.ts';
import { catalogObject } from './objects.ts';

/** A store that returns another object at each read, as one on pages does. */
class CopyingStore extends MemoryStore {
  reads = 0;

  override get(...of: Parameters<Store['get']>): StoredRow | undefined {
    return this.#copy(super.get(...of));
  }
  override getAt(...of: Parameters<Store['getAt']>): StoredRow | undefined {
    return this.#copy(super.getAt(...of));
  }

  #copy(row: StoredRow | undefined): StoredRow | undefined {
    this.reads += 1;
    return row && { row: row.row.slice(), from: row.from, leaf: row.leaf };
  }
}

const definitions = treeOf(1 as TenantId, catalogObject);
const table = treeOf(1 as TenantId, 16 as ObjectId);
const key = 'k' as StoreKey;

function put(store: Store, position: number, value: number | undefined, tree = definitions): void {
  const row = value === undefined ? undefined : Uint8Array.of(value);
  store.apply(position as Position, [{ tree, key, row, leaf: position as LeafIndex }]);
}

test('a definition is the same object at each read, until it changes, and at each of its positions', () => {
  const store = new CopyingStore();
  const cache = new DefinitionCache(store);
  expect(cache.get(definitions, key)).toBeUndefined();
  put(cache, 1, 7);
  const first = cache.get(definitions, key);
  expect(first?.row).toEqual(Uint8Array.of(7));
  const { reads } = store;
  expect(cache.get(definitions, key)).toBe(first);
  expect(cache.getAt(definitions, key, 1 as Position)).toBe(first);
  expect(store.reads).toBe(reads);
  put(cache, 2, 8);
  const second = cache.get(definitions, key);
  expect(second?.row).toEqual(Uint8Array.of(8));
  expect(cache.getAt(definitions, key, 1 as Position)).toBe(first);
  expect(cache.viewAt(2 as Position).get(definitions, key)).toBe(second);
  put(cache, 3, undefined);
  expect(cache.get(definitions, key)).toBeUndefined();
  expect(cache.getAt(definitions, key, 2 as Position)).toBe(second);
  expect(cache.getAt(definitions, key, 0 as Position)).toBeUndefined();
});

test('rows of tables are not kept', () => {
  const cache = new DefinitionCache(new CopyingStore());
  put(cache, 1, 7, table);
  expect(cache.get(table, key)).not.toBe(cache.get(table, key));
});

test('what is kept is bounded, and right when it was forgotten', () => {
  const cache = new DefinitionCache(new CopyingStore());
  for (let number = 1; number <= 9_000; number++) {
    const change = { tree: definitions, key: `k${number}` as StoreKey, leaf: 0 as LeafIndex };
    cache.apply(number as Position, [{ ...change, row: Uint8Array.of(number & 0xff) }]);
    expect(cache.get(definitions, change.key)?.row[0]).toBe(number & 0xff);
  }
  expect(cache.get(definitions, 'k1' as StoreKey)?.row[0]).toBe(1);
});
