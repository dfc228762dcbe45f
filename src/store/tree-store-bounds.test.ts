/** What the store promises of many versions, and of reads with nothing in memory. */
import { expect, test } from 'vitest';
import { type LeafIndex, type Position, Prng, type StoreKey, type TreeId } from '../base/index.ts';
import { pageBytes } from './page-device.ts';
import { slotsMin } from './pager.ts';
import { decodeRoots } from './store-roots.ts';
import { MemoryDevice } from './testing/memory-device.ts';
import { TreeStore } from './tree-store.ts';

const tree = 9 as TreeId;
const smallest = { cacheBytes: slotsMin * pageBytes };

function keyOf(number: number): StoreKey {
  const bytes = [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
  return String.fromCharCode(...bytes) as StoreKey;
}

function rowOf(number: number, length: number): Uint8Array {
  const row = new Uint8Array(length);
  new DataView(row.buffer).setUint32(0, number);
  return row;
}

const numberIn = (row: Uint8Array): number => new DataView(row.buffer, row.byteOffset).getUint32(0);

test('200 keys changed 600 times each read at every position as they were', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 2 << 20 });
  const keys = 200;
  const changes = keys * 600;
  const of = (position: number): number => (position * 77) % keys;
  for (let position = 1; position <= changes; position++) {
    const row = position % 601 === 0 ? undefined : rowOf(position, 8 + (position % 50));
    store.apply(position as Position, [
      { tree, key: keyOf(of(position)), row, leaf: position as LeafIndex },
    ]);
    if (position % 20_000 !== 0) continue;
    store.freeze();
    store.writeSlice(Number.POSITIVE_INFINITY);
    device.checkpointIsDurable();
  }
  for (let position = 1; position <= changes; position += 3) {
    const found = store.getAt(tree, keyOf(of(position)), position as Position);
    if (position % 601 === 0) {
      if (found !== undefined) expect.fail(`the row deleted at ${position} is there`);
    } else if (found?.from !== position || numberIn(found.row) !== position)
      expect.fail(`position ${position} reads as another`);
    // A key that was not changed then is as it was by its last change.
    const other = store.getAt(tree, keyOf(of(position + 1)), position as Position);
    const before = position + 1 - keys;
    const expected = before > 0 && before % 601 !== 0 ? before : undefined;
    if (other?.from !== expected) expect.fail(`at ${position} another key is of ${other?.from}`);
  }
  const versions = Array.from(
    { length: keys },
    (_, key) => store.versions(tree, keyOf(key)).length,
  );
  expect(versions).toEqual(Array<number>(keys).fill(600));
}, 30_000);

test('with nothing in memory a row is read in as many pages as its tree is high', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 16 << 20 });
  const rows = 30_000;
  let position = 0;
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < rows; n += 100) {
      position += 1;
      const changes = Array.from({ length: 100 }, (_, index) => ({
        tree,
        key: keyOf(n + index),
        row: rowOf(position, 90),
        leaf: (position * 100 + index) as LeafIndex,
      }));
      store.apply(position as Position, changes);
    }
  }
  store.freeze();
  store.writeSlice(Number.POSITIVE_INFINITY);
  device.checkpointIsDurable();
  const roots = store.frozenRoots();
  const { current, history } = decodeRoots(roots);
  expect([current.height, history.height]).toEqual([3, 3]);
  const prng = new Prng(1);
  const pagesOf = (read: (cold: TreeStore) => unknown): number => {
    const cold = new TreeStore(device, smallest, roots);
    const before = device.reads;
    expect(read(cold)).toBeDefined();
    return device.reads - before;
  };
  for (let count = 0; count < 300; count++) {
    const key = keyOf(prng.below(rows));
    expect(pagesOf((cold) => cold.get(tree, key))).toBe(current.height);
    // What the newest version of the key is has to be known first.
    const at = (rows / 100 + prng.below(rows / 50)) as Position;
    const both = current.height + history.height;
    expect(pagesOf((cold) => cold.getAt(tree, key, at))).toBeLessThanOrEqual(both + 1);
  }
});
