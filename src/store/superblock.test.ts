import { beforeEach, expect, test } from 'vitest';
import {
  type Digest32,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  Prng,
  type TenantId,
  type TimestampMicros,
} from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { SimDisk } from '../sim/index.ts';
import { StoreKeys } from './store-keys.ts';
import { superblockPath } from './store-paths.ts';
import {
  encodeSuperblock,
  readSuperblock,
  type Superblock,
  superblockBytes,
  superblockCopies,
  SuperblockFile,
  superblockIsAuthentic,
} from './superblock.ts';

const logId = new Uint8Array(16).fill(5) as Uint8Array as LogId;
const otherId = new Uint8Array(16).fill(6) as Uint8Array as LogId;
const root = new SecretKey(new Uint8Array(32).fill(1));
const keys = StoreKeys.draw({ logId, algorithm: 'aes-256-gcm' }, new Prng(1));
let disk: SimDisk;

function superblockOf(sequence: number): Superblock {
  return {
    sequence,
    epoch: sequence + 1,
    pageCount: 7 * sequence,
    head: {
      op: (sequence * 10) as Op,
      position: (sequence * 20) as Position,
      leafCount: (sequence * 30) as LeafIndex,
      timestamp: 1_700_000_000_000_000 as TimestampMicros,
      chainHash: new Uint8Array(32).fill(sequence) as Digest32,
      sealingEpoch: 3,
      durableHead: 4 as Op,
      lastKind: 2,
      segment: 1 as Position,
      frameOffset: 128,
      frameEnd: 4_000_000_000,
    },
    nextTenant: 9 as TenantId,
    keyringGeneration: 5,
    roots: new Prng(sequence).bytes(120),
    keys: keys.wrap(root),
  };
}

const bytesOf = (sequence: number): Uint8Array =>
  encodeSuperblock(logId, superblockOf(sequence), keys);

const newest = (on = disk): number | undefined => readSuperblock(on, logId)?.newest?.sequence;

function put(offset: number, bytes: Uint8Array): void {
  const file = disk.open(superblockPath, 'readwrite');
  file.write(bytes, offset);
  file.close();
}

beforeEach(() => {
  disk = new SimDisk({ seed: 1 });
  disk.makeDirectory('store');
  disk.flushDirectory('');
  const file = new SuperblockFile(disk);
  file.write(bytesOf(1));
  file.close();
});

test('what is written comes back, and only who holds the keys could have written it', () => {
  const reading = readSuperblock(disk, logId);
  expect(reading?.newest).toEqual(superblockOf(1));
  expect(reading?.damaged).toEqual([]);
  expect(superblockIsAuthentic(reading?.bytes ?? new Uint8Array(), keys)).toBe(true);
  const others = StoreKeys.draw({ logId, algorithm: 'aes-256-gcm' }, new Prng(2));
  const forged = encodeSuperblock(logId, superblockOf(2), others);
  expect(superblockIsAuthentic(forged, keys)).toBe(false);
});

test('store keys open under the root key that wrapped them, in their database and order, and no other', () => {
  const wrapped = keys.wrap(root);
  const of = { logId, algorithm: 'aes-256-gcm' } as const;
  const opened = StoreKeys.unwrap(of, wrapped, root);
  const page = new Uint8Array(4_096).fill(3);
  const aad = new Uint8Array(5);
  expect(opened?.pageKey(4)?.seal(aad, page)).toEqual(keys.pageKey(4)?.seal(aad, page));
  expect(StoreKeys.unwrap(of, wrapped, new SecretKey(new Uint8Array(32).fill(2)))).toBeUndefined();
  expect(StoreKeys.unwrap({ ...of, logId: otherId }, wrapped, root)).toBeUndefined();
  const moved = wrapped.map((key) => ({ ...key, firstEpoch: key.firstEpoch + 1 }));
  expect(StoreKeys.unwrap(of, moved, root)).toBeUndefined();
});

test('a flipped bit in any byte of any copy leaves the others, and is named', () => {
  for (let offset = 0; offset < superblockBytes * superblockCopies; offset += 5) {
    const byte = new Uint8Array(1);
    const file = disk.open(superblockPath, 'readwrite');
    file.read(byte, offset);
    file.write(Uint8Array.of((byte[0] as number) ^ (1 << (offset % 8))), offset);
    const reading = readSuperblock(disk, logId);
    expect(reading?.newest?.sequence).toBe(1);
    expect(reading?.damaged).toMatchObject([
      {
        code: 'CHECKSUM_MISMATCH',
        file: superblockPath,
        offset: Math.floor(offset / superblockBytes) * superblockBytes,
      },
    ]);
    file.write(byte, offset);
    file.close();
  }
});

test('the newest contents on which two copies agree count, wherever they stand', () => {
  put(0, bytesOf(2));
  expect(newest()).toBe(1);
  put(2 * superblockBytes, bytesOf(2));
  expect(newest()).toBe(2);
  put(3 * superblockBytes, bytesOf(3));
  expect(newest()).toBe(2);
  put(superblockBytes, bytesOf(4));
  expect(newest()).toBe(2);
  put(0, bytesOf(5));
  expect(newest()).toBeUndefined();
});

test('the superblock of another database is named as such', () => {
  const others = StoreKeys.draw({ logId: otherId, algorithm: 'aes-256-gcm' }, new Prng(2));
  const file = new SuperblockFile(disk);
  file.write(encodeSuperblock(otherId, superblockOf(2), others));
  const reading = readSuperblock(disk, logId);
  expect(reading?.newest).toBeUndefined();
  expect(reading?.damaged.map(({ code }) => code)).toEqual(Array(4).fill('FOREIGN_FILE'));
});

test('a crash at any call while copies are written leaves the old or the new contents', () => {
  const seen = new Set<number | undefined>();
  for (let seed = 0; seed < 40; seed++) {
    for (let call = 1; ; call++) {
      const image = new SimDisk({ seed });
      image.makeDirectory('store');
      image.flushDirectory('');
      const before = new SuperblockFile(image);
      before.write(bytesOf(1));
      image.crashAt(image.callCount + call);
      let isDone = false;
      try {
        before.write(bytesOf(2));
        isDone = true;
      } catch {
        // The crash.
      }
      if (isDone) break;
      const after = newest(image.crash());
      expect([1, 2]).toContain(after);
      seen.add(after);
    }
  }
  expect(seen).toEqual(new Set([1, 2]));
});
