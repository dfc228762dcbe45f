import { expect, test } from 'vitest';
import {
  type LeafIndex,
  type Position,
  Prng,
  type StoreKey,
  type TreeId,
  VerityError,
} from '../base/index.ts';
import { firstStoreDifference } from './compare.ts';
import { MemoryStore } from './memory-store.ts';
import { pageBytes } from './page-device.ts';
import { slotsMin } from './pager.ts';
import type { ScratchFile } from './scratch-pages.ts';
import { ScratchStore } from './scratch-store.ts';
import type { Store, StoreChange } from './store.ts';
import { MemoryDevice } from './testing/memory-device.ts';
import { TreeStore } from './tree-store.ts';

const cacheBytes = slotsMin * pageBytes;
const text = 'a patient of this clinic ';

/** A file in memory that can be looked at, and damaged. */
class HeldFile implements ScratchFile {
  bytes = Buffer.alloc(0);
  isOpen = true;

  read(target: Uint8Array, offset: number): number {
    const bytes = this.bytes.subarray(offset, offset + target.length);
    target.set(bytes);
    return bytes.length;
  }
  write(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.bytes.length) this.bytes = Buffer.concat([this.bytes, Buffer.alloc(end)]);
    this.bytes.set(bytes, offset);
  }
  close(): void {
    this.isOpen = false;
  }
}

/** Changes of rows, some of them longer than a page. */
function changesAt(position: number, prng: Prng): StoreChange[] {
  return Array.from({ length: 1 + prng.below(4) }, (_, index) => {
    const length = prng.chance(0.03) ? 4_000 + prng.below(9_000) : prng.below(300);
    const key = `\x01${String.fromCharCode(prng.below(30), prng.below(200))}` as StoreKey;
    const row = prng.chance(0.1) ? undefined : Buffer.from(text.repeat(length).slice(0, length));
    return { tree: 3 as TreeId, key, row, leaf: (position * 8 + index) as LeafIndex };
  });
}

function fill(stores: readonly Store[], from: number, to: number, after: () => void): void {
  const prng = new Prng(from);
  for (let position = from; position < to; position++) {
    const changes = changesAt(position, prng);
    for (const store of stores) store.apply(position as Position, changes);
    after();
  }
}

test('a store with scratch holds what one in memory does, and seals it', () => {
  const file = new HeldFile();
  const model = new MemoryStore();
  const held = new ScratchStore({ cacheBytes, entropy: new Prng(1), scratch: () => file });
  fill([model, held.store], 1, 6_000, () => held.relieve());
  expect(firstStoreDifference(held.store, model)).toBeUndefined();
  expect(file.bytes.length).toBeGreaterThan(4 * cacheBytes);
  // What is in it is sealed.
  expect(file.bytes.includes(text.slice(0, 12))).toBe(false);
  held.close();
  expect(file.isOpen).toBe(false);
});

test('no file is opened for what memory holds', () => {
  const scratch = (): ScratchFile => expect.fail('a file is opened');
  const held = new ScratchStore({ cacheBytes: 4 << 20, entropy: new Prng(1), scratch });
  for (let position = 1; position < 1_000; position++) {
    const key = String.fromCharCode(position >> 8, position & 0xff) as StoreKey;
    const row = new Uint8Array(500);
    const change = { tree: 3 as TreeId, key, row, leaf: position as LeafIndex };
    held.store.apply(position as Position, [change]);
    held.relieve();
  }
  held.close();
});

test('a store goes on from pages that are only read', () => {
  const device = new MemoryDevice();
  const model = new MemoryStore();
  const below = new TreeStore(device, { cacheBytes });
  fill([model, below], 1, 1_500, () => undefined);
  below.freeze();
  below.writeSlice(Number.POSITIVE_INFINITY);
  device.checkpointIsDurable();
  const { writes } = device;
  const from = {
    base: { pages: device, pageCount: 1 + Math.max(...device.pagesTaken) },
    roots: below.frozenRoots(),
  };
  // Also without a file.
  const held = new ScratchStore({ cacheBytes, entropy: new Prng(1), from });
  expect(firstStoreDifference(held.store, model)).toBeUndefined();
  fill([model, held.store], 1_500, 4_000, () => held.relieve());
  expect(firstStoreDifference(held.store, model)).toBeUndefined();
  expect(device.writes).toBe(writes);
  held.close();
});

test('what comes back from a damaged file is refused, and is not called damage of the database', () => {
  const file = new HeldFile();
  const held = new ScratchStore({ cacheBytes, entropy: new Prng(1), scratch: () => file });
  fill([held.store], 1, 3_000, () => held.relieve());
  for (let offset = 0; offset < file.bytes.length; offset += 64)
    (file.bytes[offset] as number) ^= 1;
  const read = (): unknown => held.store.scan(3 as TreeId, {}).next();
  expect(read).toThrow(expect.objectContaining({ code: 'IO_ERROR' }));
  expect(read).toThrow(VerityError);
});
