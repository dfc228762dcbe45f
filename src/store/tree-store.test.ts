import { expect, test } from 'vitest';
import {
  CorruptionError,
  type LeafIndex,
  type Position,
  type StoreKey,
  type TreeId,
} from '../base/index.ts';
import { firstStoreDifference } from './compare.ts';
import { pageBytes } from './page-device.ts';
import { slotsMin } from './pager.ts';
import { MemoryStore } from './memory-store.ts';
import type { Cursor, KeyRange, StoreEntry } from './view.ts';
import { MemoryDevice } from './testing/memory-device.ts';
import { checkStructure, type StructureReport } from './testing/structure-check.ts';
import { TreeStore } from './tree-store.ts';

const tree = 7 as TreeId;
const smallest = { cacheBytes: slotsMin * pageBytes };

function keyOf(n: number): StoreKey {
  const bytes = [0x01, 0x80, n >>> 24, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff];
  return String.fromCharCode(...bytes) as StoreKey;
}

function rowOf(n: number, length = 24): Uint8Array {
  const row = new Uint8Array(length);
  new DataView(row.buffer).setUint32(0, n);
  return row;
}

function numberIn(row: Uint8Array): number {
  return new DataView(row.buffer, row.byteOffset).getUint32(0);
}

/** Puts one row at the next position. */
function put(store: TreeStore, key: StoreKey, row: Uint8Array | undefined): Position {
  const position = (store.appliedPosition + 1) as Position;
  store.apply(position, [{ tree, key, row, leaf: position as number as LeafIndex }]);
  return position;
}

function checkpoint(store: TreeStore, device: MemoryDevice): Uint8Array {
  store.freeze();
  return finish(store, device);
}

/** Ends the checkpoint that runs. */
function finish(store: TreeStore, device: MemoryDevice): Uint8Array {
  while (!store.writeSlice(8));
  device.checkpointIsDurable();
  return store.frozenRoots();
}

/** Ends the checkpoint that runs and begins the next. */
function checkpointAgain(store: TreeStore, device: MemoryDevice): void {
  finish(store, device);
  store.freeze();
}

function entriesOf(store: TreeStore, reverse = false): StoreEntry[] {
  const cursor = store.scan(tree, { reverse });
  const entries: StoreEntry[] = [];
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) entries.push(entry);
  return entries;
}

test('a row changed 10,000 times reads at every position as it was, in a memory of 256 KiB', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, smallest);
  put(store, keyOf(1), rowOf(0));
  for (let n = 2; n <= 10_000; n++) put(store, keyOf(1), n % 1000 === 0 ? undefined : rowOf(n));
  for (let n = 2; n <= 10_000; n++) {
    const found = store.getAt(tree, keyOf(1), n as Position);
    if (n % 1000 === 0) expect(found).toBeUndefined();
    else if (found === undefined || numberIn(found.row) !== n || found.from !== n)
      expect.fail(`position ${n} reads as another`);
  }
  expect(store.versions(tree, keyOf(1)).map(({ from }) => from)).toEqual(
    Array.from({ length: 10_000 }, (_, index) => 10_000 - index),
  );
  checkStructure(device, checkpoint(store, device));
});

test('rows of 1 MiB are kept out of the pages, at every position', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, smallest);
  const mebi = 1 << 20;
  for (let n = 1; n <= 6; n++) put(store, keyOf(n % 2), rowOf(n, mebi));
  store.apply(7 as Position, [
    { tree, key: keyOf(0), row: rowOf(70, mebi), leaf: 70 as LeafIndex },
    { tree, key: keyOf(0), row: rowOf(71, mebi), leaf: 71 as LeafIndex },
  ]);
  const roots = checkpoint(store, device);
  const { used } = checkStructure(device, roots);
  // The run of the row that was replaced at its own position is free again.
  expect(used.size).toBe(7 * 256 + 3);
  expect(device.pagesTaken.size).toBe(used.size);
  const again = new TreeStore(device, smallest, roots);
  for (let n = 1; n <= 6; n++) {
    const found = again.getAt(tree, keyOf(n % 2), n as Position);
    expect([found?.row.length, numberIn(found!.row)]).toEqual([mebi, n]);
  }
  expect(numberIn(again.get(tree, keyOf(0))!.row)).toBe(71);
});

test('keys of 8 KiB that differ in their last byte only keep their order', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, smallest);
  const start = 'k'.repeat(8191);
  const keys = Array.from({ length: 200 }, (_, n) => (start + String.fromCharCode(n)) as StoreKey);
  for (let n = 0; n < 200; n++) put(store, keys[(n * 77) % 200]!, rowOf((n * 77) % 200));
  put(store, start.slice(0, 480) as StoreKey, rowOf(900));
  put(store, start.slice(0, 479) as StoreKey, rowOf(901));
  const short = (key: string): string => `${key.length} ${key.charCodeAt(key.length - 1)}`;
  const expected = [start.slice(0, 479), start.slice(0, 480), ...keys].map(short);
  expect(entriesOf(store).map(({ key }) => short(key))).toEqual(expected);
  expect(entriesOf(store, true).map(({ key }) => short(key))).toEqual(expected.toReversed());
  expect(numberIn(store.get(tree, keys[55]!)!.row)).toBe(55);
  expect(store.get(tree, `${start}!!` as StoreKey)).toBeUndefined();
  checkStructure(device, checkpoint(store, device));
});

test('every range of long keys and their beginnings is that of the store in memory', () => {
  const keys = [0, 1, 479, 480, 481, 959, 960, 961, 1_440, 1_441].flatMap((length) =>
    ['', 'a', 'z'].map((end) => ('k'.repeat(length) + end) as StoreKey),
  );
  const store = new TreeStore(new MemoryDevice(), smallest);
  const model = new MemoryStore();
  const changes = keys.map((key, n) => ({ tree, key, row: rowOf(n), leaf: n as LeafIndex }));
  for (const one of [store, model]) one.apply(1 as Position, changes);
  for (const key of keys) expect(store.get(tree, key)?.row).toEqual(model.get(tree, key)?.row);
  expect(firstStoreDifference(store, model)).toBeUndefined();
  const bounds = [undefined, ...keys, 'k'.repeat(480) + 'b', 'k'.repeat(970)] as StoreKey[];
  for (const from of bounds) {
    for (const to of bounds) {
      for (const reverse of [false, true]) {
        const range = { from, to, reverse } as KeyRange;
        const [mine, theirs] = [store, model].map((one) => drain(one.scan(tree, range)));
        if (mine !== theirs) expect.fail(`range ${from?.length} to ${to?.length}, ${reverse}`);
      }
    }
  }
});

function drain(cursor: Cursor): string {
  let seen = '';
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next())
    seen += `${numberIn(entry.row)} `;
  return seen;
}

test('records are replaced, removed and walked, and give back the pages of long ones', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, smallest);
  const name = (n: number): StoreKey => keyOf(n);
  for (const length of [20_000, 10, 9_000, 30_000])
    for (let n = 0; n < 50; n++) store.meta.put(name(n), rowOf(length, length));
  store.meta.put(name(0), undefined);
  store.meta.put(name(1), undefined);
  store.meta.put(name(99), undefined);
  expect(store.meta.get(name(0))).toBeUndefined();
  const again = new TreeStore(device, smallest, checkpoint(store, device));
  expect(again.meta.ceiling('' as StoreKey)?.key).toBe(name(2));
  expect(again.meta.get(name(49))).toEqual(rowOf(30_000, 30_000));
  expect(again.meta.ceiling(name(50))).toBeUndefined();
  const { used } = checkStructure(device, store.frozenRoots());
  expect(device.pagesTaken.size).toBe(used.size);
});

interface Load {
  readonly name: string;
  readonly order: (n: number) => number;
  readonly fillMin: number;
}

const count = 20_000;
const loads: Load[] = [
  { name: 'ascending', order: (n) => n, fillMin: 0.9 },
  { name: 'descending', order: (n) => count - n, fillMin: 0.9 },
  { name: 'scattered', order: (n) => (n * 7_919) % count, fillMin: 0.6 },
];

function fill({ leaves, leafBytesUsed }: StructureReport): number {
  return leafBytesUsed / (leaves * pageBytes);
}

test.each(loads)('$name keys leave pages well filled', ({ order, fillMin }) => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 0; n < count; n++) put(store, keyOf(order(n)), rowOf(n, 100));
  expect(entriesOf(store)).toHaveLength(count);
  const report = checkStructure(device, checkpoint(store, device));
  expect(report.entries).toBe(count);
  expect(fill(report)).toBeGreaterThan(fillMin);
});

test('streams of ascending and descending keys beside each other fill pages to the last byte', () => {
  for (let length = 0; length < 48; length++) {
    const device = new MemoryDevice();
    const store = new TreeStore(device, { cacheBytes: 1 << 20 });
    for (let n = 0; n < 900; n++) {
      // Streams 0 to 3 go up, 4 and 5 down; now and then a long row comes in between.
      const stream = n % 6;
      const at = stream < 4 ? n : 900 - n;
      const size = (n * 31 + length) % 41 === 0 ? 940 - length : length;
      put(store, keyOf(stream * 70_000 + at), new Uint8Array(size));
    }
    const { entries } = checkStructure(device, checkpoint(store, device));
    expect(entries).toBe(900);
    expect(entriesOf(store)).toHaveLength(900);
  }
});

test.each([1, 8, 61, 151])(
  'pages without a byte to spare are split (values of %i bytes)',
  (length) => {
    const device = new MemoryDevice();
    const store = new TreeStore(device, { cacheBytes: 1 << 20 });
    // Keys so short that a longer prefix would save nothing.
    const name = (n: number): StoreKey =>
      String.fromCharCode(n % 3, (n / 3) >> 8, (n / 3) & 0xff) as StoreKey;
    for (let n = 0; n < 1_500; n++)
      store.meta.put(name(n), rowOf(n, Math.max(length, 4)).slice(0, length));
    for (let n = 0; n < 1_500; n++) expect(store.meta.get(name(n))).toHaveLength(length);
    checkStructure(device, checkpoint(store, device));
  },
);

test('older versions, which come in descending order, fill their pages', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 0; n < count; n++) put(store, keyOf(n % 3), rowOf(n, 100));
  expect(fill(checkStructure(device, checkpoint(store, device)))).toBeGreaterThan(0.8);
  for (let position = 10; position <= count; position += 7) {
    for (const one of [0, 1, 2]) {
      const { from, row } = store.getAt(tree, keyOf(one), position as Position)!;
      expect(from).toBeGreaterThan(position - 3);
      expect(numberIn(row)).toBe(from - 1);
    }
  }
});

test('a page that is copied twice before it is written knows all its children', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 0; n < 1_000; n++) put(store, keyOf(n), rowOf(n, 100));
  store.freeze();
  put(store, keyOf(1), rowOf(1));
  // The second leaf is written when its parent has a copy already; what proves it is forgotten with the next checkpoint but one.
  checkpointAgain(store, device);
  put(store, keyOf(1), rowOf(2));
  checkpointAgain(store, device);
  const again = new TreeStore(device, smallest, finish(store, device));
  expect(entriesOf(again)).toHaveLength(1_000);
});

test('numbers of pages are used again, also in a memory that holds them all', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 4 << 20 });
  for (let n = 0; n < 1_000; n++) put(store, keyOf(n), rowOf(n, 100));
  store.freeze();
  for (let round = 0; round < 30; round++) {
    for (let n = 0; n < 20; n++) put(store, keyOf(n * 50), rowOf(round, 100));
    checkpointAgain(store, device);
  }
  const { used } = checkStructure(device, finish(store, device));
  expect(device.pagesTaken.size).toBe(used.size);
  expect(Math.max(...used)).toBeLessThan(4 * used.size);
});

test.each([false, true])(
  'a cursor goes on while keys come in around it (reverse: %s)',
  (reverse) => {
    const store = new TreeStore(new MemoryDevice(), { cacheBytes: 1 << 20 });
    for (let n = 0; n < 500; n++) put(store, keyOf(n * 10), rowOf(n));
    const cursor = store.scan(tree, { reverse });
    const seen: number[] = [];
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      seen.push(numberIn(entry.row));
      // Before and behind it in its page, and at the key itself.
      const at = numberIn(entry.row) * 10;
      for (const step of [-7, 5, 0]) put(store, keyOf(Math.max(at + step, 0)), rowOf(9_999));
    }
    const expected = Array.from({ length: 500 }, (_, n) => n);
    expect(seen).toEqual(reverse ? expected.toReversed() : expected);
  },
);

test('positions of every size keep their order in the history', () => {
  const store = new TreeStore(new MemoryDevice(), smallest);
  const positions = [1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 53 - 2];
  for (const [n, position] of positions.entries()) {
    const leaf = position as LeafIndex;
    store.apply(position as Position, [{ tree, key: keyOf(1), row: rowOf(n), leaf }]);
  }
  for (const [n, position] of positions.entries()) {
    for (const at of [position, (positions[n + 1] ?? Infinity) - 1]) {
      const found = store.getAt(tree, keyOf(1), at as Position)!;
      expect([found.from, found.leaf, numberIn(found.row)]).toEqual([position, position, n]);
    }
  }
});

test('ten thousand small trees share pages', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 1; n <= 10_000; n++) {
    const leaf = n as LeafIndex;
    const changes = [1, 2].map((one) => ({ tree: (n * 2 ** 20) as TreeId, key: keyOf(one), leaf }));
    store.apply(
      n as Position,
      changes.map((change) => ({ ...change, row: rowOf(n) })),
    );
  }
  expect(store.trees()).toHaveLength(10_000);
  const { used } = checkStructure(device, checkpoint(store, device));
  expect(used.size).toBeLessThan(400);
});

test('a damaged page is reported where it is needed, and nowhere else', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 0; n < 2_000; n++) put(store, keyOf(n), rowOf(n, 100));
  const roots = checkpoint(store, device);
  const pages = [...checkStructure(device, roots).used];
  device.damage(pages.at(-5)!);
  const again = new TreeStore(device, smallest, roots);
  let failed = 0;
  for (let n = 0; n < 2_000; n++) {
    try {
      expect(numberIn(again.get(tree, keyOf(n))!.row)).toBe(n);
    } catch (error) {
      expect(error).toBeInstanceOf(CorruptionError);
      expect((error as CorruptionError).file).toBe('store/pages');
      failed++;
    }
  }
  expect(failed).toBeGreaterThan(10);
  expect(failed).toBeLessThan(50);
});

test('after a change that failed on a damaged page no other is taken', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 1 << 20 });
  for (let n = 0; n < 2_000; n++) put(store, keyOf(n), rowOf(n, 100));
  const roots = checkpoint(store, device);
  for (const page of checkStructure(device, roots).used) device.damage(page);
  const again = new TreeStore(device, smallest, roots);
  expect(() => put(again, keyOf(5), rowOf(5))).toThrow(CorruptionError);
  expect(() => put(again, keyOf(6), rowOf(6))).toThrow(CorruptionError);
  expect(() => again.freeze()).toThrow(CorruptionError);
  expect(again.appliedPosition).toBe(2_000);
});

test('a point read of a store on disk reads one page a level, and none again', () => {
  const device = new MemoryDevice();
  const store = new TreeStore(device, { cacheBytes: 4 << 20 });
  for (let n = 0; n < count; n++) put(store, keyOf(n), rowOf(n, 100));
  const again = new TreeStore(device, { cacheBytes: 4 << 20 }, checkpoint(store, device));
  device.reads = 0;
  again.get(tree, keyOf(12_345));
  expect(device.reads).toBe(3);
  again.get(tree, keyOf(12_345));
  expect(device.reads).toBe(3);
});

test('a cache out of bounds is refused', () => {
  expect(() => new TreeStore(new MemoryDevice(), { cacheBytes: 1 })).toThrow(RangeError);
  expect(() => new TreeStore(new MemoryDevice(), { cacheBytes: Number.NaN })).toThrow(RangeError);
  expect(() => new TreeStore(new MemoryDevice(), { cacheBytes: 2 ** 31 })).toThrow(RangeError);
});
