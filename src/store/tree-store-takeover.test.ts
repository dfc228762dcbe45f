import { expect, test } from 'vitest';
import { type LeafIndex, type Position, Prng, type StoreKey, type TreeId } from '../base/index.ts';
import { pageBytes } from './page-device.ts';
import { slotsMin } from './pager.ts';
import { MemoryDevice } from './testing/memory-device.ts';
import { TreeStore } from './tree-store.ts';

const tree = 7 as TreeId;
const count = 1_000;

/** The same rows of one position, put in an order that `seed` shuffles: the pages differ, what they hold does not. */
function storeOn(device: MemoryDevice, seed: number): TreeStore {
  const prng = new Prng(seed);
  const numbers = Array.from({ length: count }, (_, number) => number)
    .map((number) => ({ number, order: prng.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) }))
    .toSorted((left, right) => left.order - right.order);
  const store = new TreeStore(device, { cacheBytes: 4 * slotsMin * pageBytes });
  store.apply(
    1 as Position,
    numbers.map(({ number }) => ({
      tree,
      key: `key ${String(number).padStart(6, '0')}` as StoreKey,
      row: new Uint8Array(60).fill(number % 251),
      leaf: number as LeafIndex,
    })),
  );
  return store;
}

test('cursors go on in trees that hold the same on other pages, wherever they are', () => {
  const device = new MemoryDevice();
  const store = storeOn(device, 1);
  for (const reverse of [false, true]) {
    for (let seed = 2; seed < 12; seed++) {
      const cursor = store.scan(tree, { reverse });
      const keys: string[] = [];
      for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
        keys.push(entry.key);
        if (keys.length % 97 === seed) store.takeOver(storeOn(device, seed + keys.length), device);
      }
      expect(keys).toHaveLength(count);
      expect(keys).toEqual(reverse ? keys.toSorted().toReversed() : keys.toSorted());
    }
  }
});

test('changes go on in the trees that were taken over', () => {
  const device = new MemoryDevice();
  const store = storeOn(device, 1);
  store.takeOver(storeOn(device, 2), device);
  const key = 'key 000500' as StoreKey;
  const change = { tree, key, row: Uint8Array.of(1), leaf: count as LeafIndex };
  store.apply(2 as Position, [change]);
  expect(store.get(tree, key)?.row).toEqual(Uint8Array.of(1));
  expect(store.getAt(tree, key, 1 as Position)?.row[0]).toBe(500 % 251);
  store.freeze();
  while (!store.writeSlice(8));
  const again = new TreeStore(device, { cacheBytes: slotsMin * pageBytes }, store.frozenRoots());
  expect([...again.history(tree)]).toEqual([...store.history(tree)]);
});
