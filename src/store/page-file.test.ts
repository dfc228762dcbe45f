import { beforeEach, describe, expect, test } from 'vitest';
import { CorruptionError, type Disk, type LogId, Prng } from '../base/index.ts';
import type { Algorithm } from '../crypto/index.ts';
import { SimDisk } from '../sim/index.ts';
import { pageBytes, pageRefBytes } from './page-device.ts';
import { PageFile } from './page-file.ts';
import { StoreKeys } from './store-keys.ts';
import { pagesPath } from './store-paths.ts';

const logId = new Uint8Array(16).fill(5) as Uint8Array as LogId;
const otherId = new Uint8Array(16).fill(6) as Uint8Array as LogId;
let disk: Disk;
let damage: CorruptionError[];

beforeEach(() => {
  disk = new SimDisk({ seed: 1 });
  disk.makeDirectory('');
  damage = [];
});

function keysOf(algorithm: Algorithm = 'aes-256-gcm', of = logId): StoreKeys {
  return StoreKeys.draw({ logId: of, algorithm }, new Prng(1));
}

function fileOf(keys = keysOf(), epoch = 1, of = logId): PageFile {
  return new PageFile({
    disk,
    logId: of,
    keys,
    epoch,
    mode: 'readwrite',
    onDamage: (error) => damage.push(error),
  });
}

const contentOf = (seed: number, length = pageBytes): Uint8Array => new Prng(seed).bytes(length);

interface Written {
  readonly page: number;
  readonly ref: Uint8Array;
}

function written(pages: PageFile, content: Uint8Array): Written {
  const page = pages.allocate(1);
  const ref = new Uint8Array(pageRefBytes + 8);
  pages.writePage(page, content, ref, 8);
  pages.flush();
  return { page, ref };
}

function read(pages: PageFile, { page, ref }: Written): Uint8Array {
  const target = new Uint8Array(pageBytes);
  pages.readPage(page, ref, 8, target);
  return target;
}

function flip(path: string, offset: number, bit = 0): void {
  const file = disk.open(path, 'readwrite');
  const byte = new Uint8Array(1);
  file.read(byte, offset);
  file.write(Uint8Array.of((byte[0] as number) ^ (1 << bit)), offset);
  file.close();
}

function refusal(action: () => unknown): CorruptionError {
  try {
    action();
  } catch (error) {
    if (error instanceof CorruptionError) return error;
    throw error;
  }
  throw new Error('not refused');
}

describe.each(['aes-256-gcm', 'chacha20-poly1305', 'none'] as const)('%s', (algorithm) => {
  test('pages and runs come back, also through another handle and in a later epoch', () => {
    const pages = fileOf(keysOf(algorithm));
    const one = written(pages, contentOf(1));
    pages.beginEpoch(2);
    const two = written(pages, contentOf(2));
    const run = contentOf(3, 10_000);
    const runPage = pages.allocate(3);
    const runRef = new Uint8Array(pageRefBytes);
    pages.writeRun(runPage, run, runRef, 0);
    // Runs wait in memory until then.
    pages.flush();
    for (const reader of [pages, fileOf(keysOf(algorithm), 3)]) {
      expect(read(reader, one)).toEqual(contentOf(1));
      expect(read(reader, two)).toEqual(contentOf(2));
      const target = new Uint8Array(run.length);
      reader.readRun(runPage, runRef, 0, target);
      expect(target).toEqual(run);
    }
    expect(pages.counts).toEqual({ read: 5, written: 5 });
  });

  test('a flipped bit in any byte of a page, or of its reference, is refused with file and offset', () => {
    const pages = fileOf(keysOf(algorithm));
    written(pages, contentOf(1));
    const two = written(pages, contentOf(2));
    for (let offset = 0; offset < pageBytes; offset += 7) {
      flip(pagesPath, two.page * pageBytes + offset, offset % 8);
      const { file, code, offset: at } = refusal(() => read(pages, two));
      expect([file, code, at]).toEqual([pagesPath, 'AUTHENTICATION_FAILED', two.page * pageBytes]);
      flip(pagesPath, two.page * pageBytes + offset, offset % 8);
    }
    // Bytes 0 to 3 are the epoch, which pages without keys do not depend on.
    for (let offset = algorithm === 'none' ? 12 : 8; offset < two.ref.length; offset++) {
      const ref = two.ref.slice();
      ref[offset] = (ref[offset] as number) ^ 4;
      refusal(() => read(pages, { page: two.page, ref }));
    }
    expect(read(pages, two)).toEqual(contentOf(2));
    expect(damage.length).toBeGreaterThan(600);
  });

  test('a page in the place of another, an older one, a run, and the page of another database are refused', () => {
    const keys = keysOf(algorithm);
    const pages = fileOf(keys);
    const [one, two] = [written(pages, contentOf(1)), written(pages, contentOf(2))];
    refusal(() => read(pages, { page: two.page, ref: one.ref }));
    const raw = new Uint8Array(pageBytes);
    const file = disk.open(pagesPath, 'readwrite');
    file.read(raw, one.page * pageBytes);
    file.write(raw, two.page * pageBytes);
    refusal(() => read(pages, { page: two.page, ref: one.ref }));
    const before = { page: one.page, ref: one.ref.slice() };
    pages.writePage(one.page, contentOf(9), one.ref, 8);
    pages.flush();
    file.write(raw, one.page * pageBytes);
    file.close();
    refusal(() => read(pages, one));
    expect(read(pages, before)).toEqual(contentOf(1));
    refusal(() => pages.readRun(before.page, before.ref, 8, new Uint8Array(pageBytes)));
    refusal(() => read(fileOf(keysOf(algorithm, otherId), 1, otherId), before));
  });
});

test('the same page sealed again gives the same bytes, and another content never the same nonce', () => {
  const pages = fileOf();
  const { page, ref } = written(pages, contentOf(1));
  const again = new Uint8Array(ref.length);
  pages.writePage(page, contentOf(1), again, 8);
  expect(again).toEqual(ref);
  const nonces = new Set<string>();
  for (let seed = 0; seed < 50; seed++) {
    pages.writePage(page, contentOf(seed), again, 8);
    nonces.add(String(again.subarray(12, 24)));
  }
  expect(nonces.size).toBe(50);
});

test('nothing of a page stands readable in the file, but in plain mode', () => {
  for (const algorithm of ['aes-256-gcm', 'none'] as const) {
    disk = new SimDisk({ seed: 1 });
    disk.makeDirectory('');
    const pages = fileOf(keysOf(algorithm));
    written(pages, new Uint8Array(pageBytes).fill(0x41));
    const raw = new Uint8Array(2 * pageBytes);
    const file = disk.open(pagesPath, 'read');
    file.read(raw, 0);
    file.close();
    expect(raw.filter((byte) => byte === 0x41).length > 200).toBe(algorithm === 'none');
  }
});

test('a page that a checkpoint may hold is given out again only when the next one is durable', () => {
  const pages = fileOf();
  const [first, second] = [pages.allocate(1), pages.allocate(1)];
  pages.free(second, 1);
  expect(pages.allocate(1)).toBe(second);
  pages.freeze();
  pages.settled();
  pages.retire(first, 1);
  const third = pages.allocate(1);
  expect(third).toBe(second + 1);
  pages.freeze();
  expect(pages.allocate(1)).toBe(third + 1);
  pages.settled();
  expect(pages.allocate(1)).toBe(first);
});

test('the pages of trees that were replaced are given out again only when a checkpoint of the new ones is durable', () => {
  const pages = fileOf();
  const old = [pages.allocate(2), pages.allocate(3)];
  // One that runs, and one that was retired: both are of the trees before.
  pages.retire(old[0] as number, 1);
  pages.freeze();
  const rebuilt = pages.beginRebuild();
  const kept = [rebuilt.allocate(1), rebuilt.allocate(2)];
  rebuilt.free(kept[1] as number, 1);
  pages.takeOver(rebuilt);
  const since = pages.allocate(1);
  const behind = pages.allocate(1);
  expect(old.includes(since)).toBe(false);
  pages.freeze();
  expect(pages.allocate(1)).toBe(behind + 1);
  pages.settled();
  const again = Array.from({ length: 5 }, () => pages.allocate(1));
  expect(again.toSorted((left, right) => left - right)).toEqual([1, 2, 3, 4, 5]);
  expect(pages.allocate(1)).toBe(behind + 2);
});

test('trees that were not finished give all their pages back', () => {
  const pages = fileOf();
  const used = pages.allocate(2);
  const rebuilt = pages.beginRebuild();
  rebuilt.allocate(3);
  rebuilt.retire(rebuilt.allocate(2), 1);
  const { pageCount } = pages;
  rebuilt.giveUp();
  expect(pages.freePages).toBe(pageCount - 1 - 2);
  expect(pages.allocate(5)).toBe(used + 2);
  expect(() => rebuilt.free(used, 1)).toThrow(/taken here/);
});

test('the file is made at the first write, and its name is durable after the first flush', () => {
  const pages = fileOf();
  const page = pages.allocate(1);
  expect(disk.exists(pagesPath)).toBe(false);
  const ref = new Uint8Array(pageRefBytes);
  pages.writePage(page, contentOf(1), ref, 0);
  pages.flush();
  disk = (disk as SimDisk).crash();
  const target = new Uint8Array(pageBytes);
  fileOf().readPage(page, ref, 0, target);
  expect(target).toEqual(contentOf(1));
});

test('any flipped bit of the header page, another database and a missing or short file are refused', () => {
  const pages = fileOf();
  expect(refusal(() => fileOf().checkHeader()).code).toBe('MISSING_DATA');
  const one = written(pages, contentOf(1));
  fileOf().checkHeader();
  for (let offset = 0; offset < pageBytes; offset++) {
    flip(pagesPath, offset);
    expect(refusal(() => fileOf().checkHeader()).code).toBe('CHECKSUM_MISMATCH');
    flip(pagesPath, offset);
  }
  const other = fileOf(keysOf('aes-256-gcm', otherId), 1, otherId);
  expect(refusal(() => other.checkHeader()).code).toBe('FOREIGN_FILE');
  const file = disk.open(pagesPath, 'readwrite');
  file.truncate(2 * pageBytes - 1);
  file.close();
  expect(refusal(() => read(pages, one))).toMatchObject({
    code: 'MISSING_DATA',
    offset: pageBytes,
  });
});
