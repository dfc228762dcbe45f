/** What the review of the store on disk found (docs/security-review.md, 40 on). Each test failed before its fix. */
import { expect, test } from 'vitest';
import { type Disk, type DiskFile, type LogId, Prng, VerityError } from '../../src/base/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import {
  pageBytes,
  PageFile,
  pageRefBytes,
  pagesPath,
  StoreKeys,
  superblockBytes,
  SuperblockFile,
  superblockPath,
} from '../../src/store/index.ts';
import { burst, engineWorld, idle, openEngineOn } from '../support/engine-world.ts';

const logId = new Uint8Array(16).fill(5) as Uint8Array as LogId;
const checkpoints = { logBytesMin: 0, logBytesMax: 1 << 30, milliseconds: 1e9, pagesPerTurn: 2 };

/** `target` with some methods replaced. */
function replaced<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      if (name in methods) return Reflect.get(methods, name) as unknown;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** `disk`, whose files of this path have some methods replaced. */
function withFile(disk: Disk, path: string, change: (file: DiskFile) => Partial<DiskFile>): Disk {
  return replaced(disk, {
    open: (name, mode) => {
      const file = disk.open(name, mode);
      return name === path ? replaced(file, change(file)) : file;
    },
  });
}

type Write = { readonly offset: number; readonly bytes: Uint8Array };

/** `disk`, which has no room for one write to the superblock, counted from 1; what the others write is noted. */
function fullOnce(disk: SimDisk, which: number, writes: Write[]): SimDisk {
  let count = 0;
  const full = withFile(disk, superblockPath, (file) => ({
    write: (bytes, offset) => {
      if (++count === which) throw new VerityError('DISK_FULL', 'No room.');
      writes.push({ offset, bytes: bytes.slice() });
      file.write(bytes, offset);
    },
  }));
  return full as SimDisk;
}

/** `disk`, which has no room for the first `count` writes to the file. */
function fullAt(disk: Disk, path: string, count: number): Disk {
  let left = count;
  return withFile(disk, path, (file) => ({
    write: (bytes, offset) => {
      if (left-- > 0) throw new VerityError('DISK_FULL', 'No room.');
      file.write(bytes, offset);
    },
  }));
}

const pageFileOn = (disk: Disk): PageFile =>
  new PageFile({
    disk,
    logId,
    keys: StoreKeys.draw({ logId, algorithm: 'aes-256-gcm' }, new Prng(1)),
    epoch: 1,
    mode: 'readwrite',
  });

test('a disk that is full when the file of pages is made leaves none without its header', () => {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory('');
  const pages = pageFileOn(fullAt(disk, pagesPath, 2));
  pages.writePage(pages.allocate(1), new Uint8Array(pageBytes), new Uint8Array(pageRefBytes), 0);
  expect(() => pages.flush()).toThrow('No room');
  pages.flush();
  pages.close();
  expect(() => pageFileOn(disk.crash({ seed: 1 })).checkHeader()).not.toThrow();
});

test('a disk that is full when the superblock is made does not leave its name to chance', () => {
  for (let seed = 1; seed <= 16; seed++) {
    const disk = new SimDisk({ seed });
    disk.makeDirectory('store');
    disk.flushDirectory('');
    const file = new SuperblockFile(fullAt(disk, superblockPath, 1));
    expect(() => file.write(new Uint8Array(superblockBytes))).toThrow('No room');
    file.write(new Uint8Array(superblockBytes));
    expect(disk.crash({ seed }).exists(superblockPath), `seed ${seed}`).toBe(true);
  }
});

test('copies of the superblock that no flush reached are made durable before others are written', () => {
  const disk = new SimDisk({ seed: 1 });
  disk.makeDirectory('store');
  disk.flushDirectory('');
  const file = new SuperblockFile(disk);
  file.write(new Uint8Array(superblockBytes).fill(1));
  file.close();
  // The process was killed before its first flush of the next superblock.
  const newer = new Uint8Array(superblockBytes).fill(2);
  const killed = disk.open(superblockPath, 'readwrite');
  killed.write(newer, 0);
  killed.write(newer, superblockBytes);
  killed.close();
  const calls: string[] = [];
  const watched = withFile(disk, superblockPath, (real) => ({
    write: (bytes, offset) => {
      calls.push('write');
      real.write(bytes, offset);
    },
    flush: () => {
      calls.push('flush');
      real.flush();
    },
  }));
  new SuperblockFile(watched).heal(newer);
  expect(calls).toEqual(['flush', 'write', 'write', 'flush']);
});

test('a store whose superblock, or header, the disk cannot read stops no open', async () => {
  const unreadable = (disk: Disk, path: string, below: number): Disk =>
    withFile(disk, path, (file) => ({
      read: (target, offset) => {
        if (offset < below) throw new VerityError('IO_ERROR', `Cannot read ${path}.`);
        return file.read(target, offset);
      },
    }));
  for (const { path, below, isBuiltAnew } of [
    { path: superblockPath, below: superblockBytes, isBuiltAnew: false },
    { path: superblockPath, below: 4 * superblockBytes, isBuiltAnew: true },
    { path: pagesPath, below: pageBytes, isBuiltAnew: true },
  ]) {
    const scheduler = new SimScheduler(new SimClock());
    const disk = new SimDisk({ seed: 1, scheduler });
    const here = await engineWorld(disk, scheduler, { checkpoints });
    burst(here, Array<number>(20).fill(100));
    await idle(scheduler);
    await scheduler.settle(here.engine.close());
    expect(disk.exists(superblockPath)).toBe(true);
    const bad = unreadable(disk, path, below) as SimDisk;
    const engine = await openEngineOn(bad, scheduler, { checkpoints });
    const found = engine.recovery.storeRebuilt;
    expect(found?.file, `${path} below ${below}`).toBe(isBuiltAnew ? path : undefined);
    await scheduler.settle(engine.close());
  }
});

test('a superblock that a full disk stopped half way is written on as it was begun', async () => {
  const scheduler = new SimScheduler(new SimClock());
  const writes: Write[] = [];
  const disk = fullOnce(new SimDisk({ seed: 1, scheduler }), 4, writes);
  const here = await engineWorld(disk, scheduler, { checkpoints });
  await expect(scheduler.settle(here.engine.checkpoint())).rejects.toThrow('No room');
  // Another generation of the keyring, which a superblock of now would name.
  await scheduler.settle(here.engine.submit({ kind: 'createTenant', name: 'birch', origin: {} }));
  await scheduler.settle(here.engine.renewTenant(here.tenant));
  await idle(scheduler);
  const copies = writes.filter(({ bytes }) => bytes.length === superblockBytes);
  expect(copies.length).toBeGreaterThanOrEqual(7);
  const [begun] = copies as [Write];
  for (const { bytes } of copies.slice(0, 7)) expect(bytes).toEqual(begun.bytes);
  await scheduler.settle(here.engine.checkpoint());
  await scheduler.settle(here.engine.close());
});
