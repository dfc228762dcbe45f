/** The store on the disk and its keys: rotation, rekeying, plain mode, copies. */
import { beforeEach, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { type MasterKeyProvider, Verity } from '../../src/database/index.ts';
import { copyLog, loadKeys } from '../../src/engine/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { HeldKeyProvider, plainProvider } from '../../src/keys/index.ts';
import {
  PageFile,
  pagesPath,
  readSuperblock,
  StoreKeys,
  type Superblock,
  superblockPath,
  walkUsed,
} from '../../src/store/index.ts';
import { diskOf, imageOf, readFile } from './disk-image.ts';
import { hostOn } from './sample-database.ts';

const held = (fill: number): MasterKeyProvider =>
  new HeldKeyProvider('held', 'held', () => new SecretKey(new Uint8Array(32).fill(fill)));
const checkpoints = { logBytesMin: 0, cacheBytes: 1 << 20, pagesPerTurn: 4 };
const logSizes = { segmentBytes: 16_384, fillBytesMin: 1_024, fillBytesMax: 4_096 };

let disk: Disk;
/** Other random bytes at each open: the same would draw the same keys. */
let seed = 10;

const open = (masterKey?: MasterKeyProvider, on = disk): Promise<Verity> =>
  Verity.openOn(
    { ...hostOn(on, ++seed), logSizes, checkpoints },
    masterKey === undefined ? { encryption: 'none', onWarning: () => undefined } : { masterKey },
  );

/** Rows of all lengths: in leaves, and in runs of their own. */
async function insert(db: Verity, from: number, to: number): Promise<void> {
  const tenant = db.tenant('acme');
  for (let id = from; id < to; id++)
    await tenant.execute('INSERT INTO t VALUES ($1, $2)', [id, 'x'.repeat((id % 5) * 700)]);
}

async function fill(masterKey?: MasterKeyProvider): Promise<void> {
  const db = await open(masterKey);
  await db.createTenant('acme');
  await db.tenant('acme').execute('CREATE TABLE t (id integer PRIMARY KEY, v text)');
  await insert(db, 0, 4);
  await db.close();
}

async function idsOf(db: Verity): Promise<unknown[]> {
  const { rows } = await db.tenant('acme').query('SELECT id, v FROM t ORDER BY id');
  return rows;
}

async function newestOf(masterKey: MasterKeyProvider, on = disk): Promise<Superblock> {
  const hierarchy = await loadKeys(on, masterKey);
  const { logId } = hierarchy.keyring;
  hierarchy.wipe();
  const newest = readSuperblock(on, logId)?.newest;
  if (newest === undefined) throw new Error('there is no superblock');
  return newest;
}

/** How many pages of the newest checkpoint's trees open with `keys`. */
async function opensWith(keys: StoreKeys, masterKey: MasterKeyProvider): Promise<number> {
  const hierarchy = await loadKeys(disk, masterKey);
  const { logId } = hierarchy.keyring;
  hierarchy.wipe();
  const { roots } = await newestOf(masterKey);
  const pages = new PageFile({ disk, logId, keys, epoch: 1 << 20, mode: 'read' });
  try {
    for (const _page of walkUsed(pages, roots, () => undefined));
  } catch {
    // A page that these keys do not open.
  }
  const { read } = pages.counts;
  pages.close();
  return read;
}

beforeEach(() => {
  disk = memoryDisk();
});

test('after a rotation the old root key opens no key of the store, and what is written then opens with none of the old ones', async () => {
  await fill(held(1));
  const oldHierarchy = await loadKeys(disk, held(1));
  const of = { logId: oldHierarchy.keyring.logId, algorithm: 'aes-256-gcm' } as const;
  const old = StoreKeys.unwrap(of, (await newestOf(held(1))).keys, oldHierarchy.root);
  const db = await open(held(1));
  await insert(db, 4, 8);
  await db.keys.rotate({ masterKey: held(2) });
  const rotated = await newestOf(held(2));
  expect(rotated.keys.length).toBe(2);
  expect(StoreKeys.unwrap(of, rotated.keys, oldHierarchy.root)).toBeUndefined();
  expect(rotated.keys[1]?.firstEpoch).toBeGreaterThan(1);
  await insert(db, 8, 12);
  const rows = await idsOf(db);
  await db.close();
  const again = await open(held(2));
  expect(again.status().store).toMatchObject({ replayedFrames: 0 });
  expect(await idsOf(again)).toEqual(rows);
  expect(await again.keys.rekey()).toMatchObject({ segments: expect.any(Number) });
  expect((await newestOf(held(2))).keys.length).toBe(1);
  await again.close();
  // Not even the first page.
  expect(await opensWith(old as StoreKeys, held(2))).toBe(1);
  const last = await open(held(2));
  expect(last.status().store).toMatchObject({ replayedFrames: 0 });
  expect(last.status().store.rebuilt).toBeUndefined();
  expect(await idsOf(last)).toEqual(rows);
  expect(await last.verify()).toMatchObject({ ok: true, storeCompared: expect.any(BigInt) });
  await last.close();
});

test('a crash between the keyring and the superblock of a rotation is no damage: the store is made again', async () => {
  await fill(held(1));
  const before = imageOf(disk);
  const db = await open(held(1));
  await db.keys.rotate({ masterKey: held(2) });
  const rows = await idsOf(db);
  await db.close();
  const image = imageOf(disk);
  for (const path of [pagesPath, superblockPath]) image.set(path, before.get(path) as Uint8Array);
  const crashed = diskOf(image);
  expect(await auditDatabase({ disk: crashed, root: held(2) })).toMatchObject({ ok: true });
  const again = await open(held(2), crashed);
  expect(again.status().store.rebuilt).toBeUndefined();
  expect(again.status().store.replayedFrames).toBe(again.status().frames);
  expect(await idsOf(again)).toEqual(rows);
  await again.close();
});

test('more rotations than a superblock holds keys for', async () => {
  await fill(held(1));
  const db = await open(held(1));
  for (let count = 0; count < 34; count++)
    await db.keys.rotate({ masterKey: held(1 + (count % 3)) });
  const rows = await idsOf(db);
  await db.close();
  expect((await newestOf(held(1))).keys.length).toBeLessThan(10);
  const again = await open(held(1));
  expect(again.status().store).toMatchObject({ replayedFrames: 0 });
  expect(await idsOf(again)).toEqual(rows);
  await again.close();
});

test('in plain mode pages stand as they are, and damage is found all the same', async () => {
  await fill();
  const db = await open();
  expect(db.status().store).toMatchObject({ replayedFrames: 0 });
  await db.close();
  const bytes = readFile(disk, pagesPath);
  const text = Buffer.from(bytes).toString('latin1');
  const at = text.indexOf('x'.repeat(600));
  expect(at).toBeGreaterThan(4_096);
  const file = disk.open(pagesPath, 'readwrite');
  file.write(Uint8Array.of(0x79), at + 300);
  file.close();
  const report = await auditDatabase({
    disk,
    root: plainProvider(),
  });
  expect(report.findings).toMatchObject([{ code: 'AUTHENTICATION_FAILED', file: pagesPath }]);
});

test('ids of rows, tables and tenants go on behind those of the checkpoint', async () => {
  await fill(held(1));
  let db = await open(held(1));
  await db.tenant('acme').execute('CREATE TABLE plain (n integer)');
  await db.createTenant('beta');
  for (let n = 0; n < 3; n++) await db.tenant('acme').execute('INSERT INTO plain VALUES ($1)', [n]);
  await db.close();
  for (let round = 0; round < 3; round++) {
    db = await open(held(1));
    expect(db.status().store.replayedFrames).toBe(0);
    const acme = db.tenant('acme');
    await acme.execute('INSERT INTO plain VALUES ($1)', [10 + round]);
    await acme.execute(`CREATE TABLE more${round} (id integer PRIMARY KEY)`);
    await acme.execute(`INSERT INTO more${round} VALUES (1)`);
    const gamma = await db.createTenant(`gamma ${round}`);
    await gamma.execute('CREATE TABLE t (id integer PRIMARY KEY)');
    const { rows } = await acme.query('SELECT n FROM plain ORDER BY n');
    expect(rows).toHaveLength(4 + round);
    expect((await acme.query('SELECT id, v FROM t')).rows).toHaveLength(4);
    await db.close();
  }
  db = await open(held(1));
  expect(await db.verify()).toMatchObject({ ok: true });
  expect(db.tenants()).toHaveLength(5);
  await db.close();
});

test('a copy of the log needs no store, and has none', async () => {
  await fill(held(1));
  const hierarchy = await loadKeys(disk, held(1));
  const target = memoryDisk();
  const { entropy } = hostOn(disk, 5);
  await copyLog({
    source: { disk, hierarchy },
    target,
    entropy,
    pause: () => Promise.resolve(),
  });
  expect(target.list('store')).toBeUndefined();
  const db = await open(held(1));
  const copy = await open(held(1), target);
  expect(await idsOf(copy)).toEqual(await idsOf(db));
  await db.close();
  await copy.close();
});
