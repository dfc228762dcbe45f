import { afterEach, expect, test } from 'vitest';
import { CorruptionError, type Disk } from '../../src/base/index.ts';
import {
  type OpenOptions,
  type Progress,
  type TenantHandle,
  Verity,
} from '../../src/database/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { pageBytes, pagesPath } from '../../src/store/index.ts';
import { diskOf, flipByte, imageOf, readFile } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';

const key = new TestKey();
/** A checkpoint at every close and on request; memory for few pages. */
const checkpoints = { logBytesMin: 0, logBytesMax: 1 << 30, milliseconds: 1e9, pagesPerTurn: 8 };
const logSizes = { segmentBytes: 100_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };
const patientCount = 300;

const open = (disk: Disk, options: OpenOptions = {}): Promise<Verity> =>
  Verity.openOn(
    { ...hostOn(disk), logSizes, checkpoints: { ...checkpoints, cacheBytes: 256 << 10 } },
    { masterKey: key, onWarning: () => undefined, ...options },
  );

const nameOf = (id: number): string => `patient ${id} ${'x'.repeat(60)}`;

/** A database whose tables fill a hundred pages, closed. */
async function clinicOn(disk: Disk): Promise<void> {
  const db = await open(disk);
  const clinic = await db.createTenant('clinic');
  const other = await db.createTenant('other');
  await clinic.execute('CREATE TABLE patients (id int PRIMARY KEY, name text UNIQUE, notes text)');
  await other.execute('CREATE TABLE rooms (id int PRIMARY KEY, name text)');
  for (let id = 0; id < patientCount; id += 20) {
    const rows = Array.from({ length: 20 }, (_, index) => id + index);
    await clinic.execute(
      `INSERT INTO patients VALUES ${rows.map((row) => `(${row}, '${nameOf(row)}', '${'n'.repeat(row >= 290 ? 3_000 : 100)}')`).join(', ')}`,
    );
    await other.execute('INSERT INTO rooms VALUES ($1, $2)', [id, nameOf(id)]);
  }
  await clinic.execute("UPDATE patients SET notes = 'seen' WHERE id % 3 = 0");
  await db.close();
}

const damage = (disk: Disk, page: number): void =>
  flipByte(disk, pagesPath, page * pageBytes + 100, 0xff);

let open1: Verity | undefined;
afterEach(async () => {
  await open1?.close();
  open1 = undefined;
});

/** The error of what `action` rejects with. */
async function failureOf(action: () => Promise<unknown>): Promise<unknown> {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error;
  }
}

interface Tried {
  readonly failed: CorruptionError[];
  succeeded: number;
}

async function tryAll(ids: readonly number[], action: (id: number) => Promise<unknown>) {
  const tried: Tried = { failed: [], succeeded: 0 };
  for (const id of ids) {
    const error = await failureOf(() => action(id));
    if (error === undefined) tried.succeeded += 1;
    else if (error instanceof CorruptionError) tried.failed.push(error);
    else throw error as Error;
  }
  return tried;
}

const everyId = Array.from({ length: patientCount }, (_, id) => id);
const someIds = everyId.filter((id) => id % 12 === 2);

const selectOne = (tenant: TenantHandle) => (id: number) =>
  tenant.query('SELECT name, notes FROM patients WHERE id = $1', [id]);
const updateOne = (tenant: TenantHandle) => (id: number) =>
  tenant.execute('UPDATE patients SET notes = $2 WHERE id = $1', [id, `changed ${id}`]);

async function notesOf(tenant: TenantHandle): Promise<string[]> {
  const { rows } = await tenant.query('SELECT id, notes FROM patients ORDER BY id');
  return rows.map(({ id, notes }) => `${String(id)} ${String(notes)}`);
}

test('whatever page is damaged: what needs it fails and names it, the rest goes on, and a rebuild heals it', async () => {
  const original = memoryDisk();
  await clinicOn(original);
  const image = imageOf(original);
  const pageCount = readFile(original, pagesPath).length / pageBytes;
  expect(pageCount).toBeGreaterThan(40);
  const seen = { reads: 0, writes: 0, atOpen: 0, unhurt: 0, named: 0 };
  for (let page = 1; page < pageCount; page += 13) {
    const disk = diskOf(image);
    damage(disk, page);
    const db = await open(disk);
    open1 = db;
    if (db.status().store.rebuilt !== undefined) seen.atOpen += 1;
    const clinic = db.tenant('clinic');
    const reads = await tryAll(everyId, selectOne(clinic));
    const writes = await tryAll(someIds, updateOne(clinic));
    for (const error of [...reads.failed, ...writes.failed]) {
      expect(error).toMatchObject({
        code: 'AUTHENTICATION_FAILED',
        file: pagesPath,
        offset: page * pageBytes,
        details: { file: pagesPath, offset: page * pageBytes },
      });
      // Names may lie on the damaged page, too.
      expect(['clinic', undefined]).toContain(error.details['tenant']);
      if (error.details['table'] === 'patients') seen.named += 1;
    }
    expect(db.status().poisoned).toBe(false);
    if (reads.failed.length > 0) seen.reads += 1;
    if (writes.failed.length > 0) seen.writes += 1;
    const isHurt = reads.failed.length + writes.failed.length > 0;
    const found = db.status().store.damage;
    if (isHurt) {
      expect(reads.succeeded + writes.succeeded).toBeGreaterThan(0);
      expect(found).toMatchObject({ pages: 1, first: { offset: page * pageBytes } });
      expect(db.status().security.failures).toBeGreaterThan(0);
    } else seen.unhurt += 1;
    await db.rebuildStore();
    expect(db.status().store.damage).toBeUndefined();
    expect((await tryAll(everyId, selectOne(clinic))).failed).toEqual([]);
    const notes = await notesOf(clinic);
    expect(notes).toHaveLength(patientCount);
    // What failed was not done.
    const done = someIds.filter((id) => notes[id] === `${id} changed ${id}`);
    expect(done).toHaveLength(writes.succeeded);
    await db.close();
    const again = await open(disk);
    open1 = again;
    expect(again.status().store).toMatchObject({ replayedFrames: 0 });
    expect(await notesOf(again.tenant('clinic'))).toEqual(notes);
    expect(await again.verify()).toMatchObject({ ok: true, storeCompared: expect.any(BigInt) });
    await again.close();
  }
  expect(seen.reads).toBeGreaterThan(0);
  expect(seen.writes).toBeGreaterThan(0);
  expect(seen.named).toBeGreaterThan(0);
  expect(seen.unhurt).toBeGreaterThan(0);
}, 60_000);

test('no damaged page that a command needs poisons the handle: the command alone fails', async () => {
  const original = memoryDisk();
  await clinicOn(original);
  const image = imageOf(original);
  const pageCount = readFile(original, pagesPath).length / pageBytes;
  let refused = 0;
  for (let page = 2; page < pageCount; page += 2) {
    const disk = diskOf(image);
    damage(disk, page);
    const db = await open(disk);
    open1 = db;
    const { failed, succeeded } = await tryAll(someIds, updateOne(db.tenant('clinic')));
    expect(db.status().poisoned).toBe(false);
    expect(failed.length + succeeded).toBe(someIds.length);
    if (failed.length > 0) refused += 1;
    await db.close();
  }
  expect(refused).toBeGreaterThan(3);
}, 60_000);

test('a store that is gone is made again at open, with progress; so is one that is rebuilt while it is used', async () => {
  const disk = memoryDisk();
  await clinicOn(disk);
  for (const name of disk.list('store') ?? []) disk.remove(`store/${name}`);
  const seen: Progress[] = [];
  const onProgress = (progress: Progress): void => void seen.push(progress);
  const db = await open(disk, { onProgress });
  open1 = db;
  expect(seen.length).toBeGreaterThan(1);
  expect(seen[0]).toEqual({ phase: 'replay', done: 0, total: (disk.list('log') ?? []).length });
  expect(seen.map(({ done }) => done)).toEqual(
    seen.map(({ done }) => done).toSorted((left, right) => left - right),
  );
  expect(await notesOf(db.tenant('clinic'))).toHaveLength(patientCount);
  seen.length = 0;
  await db.rebuildStore({ onProgress });
  const { frames } = db.status();
  expect(seen.length).toBeGreaterThan(2);
  expect(seen.at(-1)).toEqual({ phase: 'replay', done: frames, total: frames });
});

test('after a rebuild ids of rows and tables go on behind those that were given out', async () => {
  const disk = memoryDisk();
  await clinicOn(disk);
  const first = await open(disk);
  open1 = first;
  const clinic = first.tenant('clinic');
  await clinic.execute('CREATE TABLE notes (text text)');
  await clinic.execute("INSERT INTO notes VALUES ('a'), ('b'), ('c')");
  await first.rebuildStore();
  await first.tenant('other').execute('INSERT INTO rooms VALUES (1000, $1)', ['new']);
  await first.close();
  const db = await open(disk);
  open1 = db;
  expect(db.status().store.replayedFrames).toBe(0);
  await db.tenant('clinic').execute("INSERT INTO notes VALUES ('d')");
  await db.tenant('clinic').execute('CREATE TABLE more (text text)');
  await db.tenant('clinic').execute("INSERT INTO more VALUES ('e')");
  const { rows } = await db.tenant('clinic').query('SELECT text FROM notes ORDER BY text');
  expect(rows.map(({ text }) => text)).toEqual(['a', 'b', 'c', 'd']);
  expect((await db.tenant('clinic').tables()).map(({ name }) => name)).toEqual([
    'more',
    'notes',
    'patients',
  ]);
  expect(await db.verify()).toMatchObject({ ok: true });
});
