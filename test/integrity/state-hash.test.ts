/** The state hash through the SDK: equal logs have equal ones, differences show, and verification finds what is wrong. */
import { afterEach, expect, test, vi } from 'vitest';
import { auditDatabase } from '../../src/audit/index.ts';
import type { Disk } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { StateHasher } from '../../src/engine/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { diskOf, imageOf } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';

const key = new TestKey();
const never = { logBytesMin: 1 << 30, logBytesMax: 1 << 30, milliseconds: 1e9 };
/** A checkpoint at every close, and whenever the log has grown by a few commands. */
const often = { logBytesMin: 0, logBytesMax: 4_000, milliseconds: 1e9, pagesPerTurn: 4 };
const atClose = { ...often, logBytesMax: 1 << 30 };

interface How {
  readonly checkpoints?: typeof never | typeof often;
  readonly cacheBytes?: number;
  readonly masterKey?: TestKey;
  readonly readOnly?: boolean;
}

const openings: Verity[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const db of openings.splice(0)) await db.close();
});

async function open(disk: Disk, how: How = {}): Promise<Verity> {
  const { checkpoints = often, cacheBytes = 256 << 10, masterKey = key, readOnly = false } = how;
  const db = await Verity.openOn(
    { ...hostOn(disk), checkpoints: { ...checkpoints, cacheBytes } },
    { masterKey, readOnly, onWarning: () => undefined },
  );
  openings.push(db);
  return db;
}

const verified = (disk: Disk): ReturnType<typeof auditDatabase> =>
  auditDatabase({ disk, root: key });

/** Rows of two tenants in several tables, one of them dropped. */
async function fill(db: Verity): Promise<void> {
  const clinic = await db.createTenant('clinic');
  const other = await db.createTenant('other');
  await clinic.execute('CREATE TABLE patients (id int PRIMARY KEY, name text UNIQUE, notes text)');
  await clinic.execute('CREATE TABLE gone (id int PRIMARY KEY)');
  await other.execute('CREATE TABLE rooms (name text, floor int)');
  for (let id = 0; id < 200; id += 20) {
    const rows = Array.from({ length: 20 }, (_, index) => id + index);
    await clinic.execute(
      `INSERT INTO patients VALUES ${rows.map((row) => `(${row}, 'p${row}', 'n')`).join(', ')}`,
    );
    await clinic.execute(`INSERT INTO gone VALUES ${rows.map((row) => `(${row})`).join(', ')}`);
    await other.execute('INSERT INTO rooms VALUES ($1, $2)', [`room ${id}`, id]);
  }
  await clinic.execute('DROP TABLE gone');
  await clinic.execute("UPDATE patients SET notes = 'seen' WHERE id % 3 = 0");
  await clinic.execute('DELETE FROM patients WHERE id % 7 = 0');
  await clinic.append('visits', [{ visit: 1 }]);
}

test('equal logs have equal state hashes, whatever the cache, checkpoints, crashes, rebuilds, rotation and readers', async () => {
  const disk = memoryDisk();
  const db = await open(disk);
  await fill(db);
  const { hash, position } = await db.stateHash();
  expect(db.status().stateHash).toEqual({ hash, position: db.status().position });
  expect(position).toBe(db.status().position);
  expect(hash).toMatch(/^[0-9a-f]{64}$/);
  // As a crash leaves it.
  const crashed = imageOf(disk);
  await db.close();
  const closed = imageOf(disk);
  const without = new Map([...closed].filter(([path]) => !path.startsWith('store/')));
  const of = async (image: ReadonlyMap<string, Uint8Array>, how?: How): Promise<string> => {
    const again = await open(diskOf(image), how);
    return (await again.stateHash()).hash;
  };
  expect(await of(crashed)).toBe(hash);
  expect(await of(closed)).toBe(hash);
  expect(await of(without)).toBe(hash);
  expect(await of(without, { checkpoints: never, cacheBytes: 8 << 20 })).toBe(hash);
  expect(await of(without, { checkpoints: atClose })).toBe(hash);
  expect(await of(closed, { readOnly: true })).toBe(hash);
  expect(await of(without, { readOnly: true })).toBe(hash);

  const rotated = diskOf(closed);
  const masterKey = new TestKey('another key');
  const handle = await open(rotated);
  await handle.keys.rotate({ masterKey });
  await handle.keys.rekey();
  expect((await handle.stateHash()).hash).toBe(hash);
  await handle.rebuildStore();
  expect((await handle.stateHash()).hash).toBe(hash);
  await handle.close();
  const after = await open(rotated, { masterKey });
  expect((await after.stateHash()).hash).toBe(hash);
});

test('each row makes a difference; what is undone leaves none, and dropped tables none', async () => {
  const db = await open(memoryDisk());
  const empty = await db.stateHash();
  await fill(db);
  const clinic = db.tenant('clinic');
  const hashes = [empty.hash];
  const changed = async (sql: string): Promise<string> => {
    await clinic.execute(sql);
    const { hash } = await db.stateHash();
    hashes.push(hash);
    return hash;
  };
  const before = await changed('CREATE INDEX by_notes ON patients (notes)');
  await changed("INSERT INTO patients VALUES (1000, 'new', 'x')");
  await changed("UPDATE patients SET notes = 'y' WHERE id = 1000");
  // The same contents, written by another command.
  await changed("UPDATE patients SET notes = 'y' WHERE id = 1000");
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(await changed('DELETE FROM patients WHERE id = 1000')).toBe(before);
  await changed('CREATE TABLE more (id int PRIMARY KEY)');
  expect(await changed('INSERT INTO more VALUES (1), (2)')).not.toBe(before);
  expect(await changed('DROP TABLE more')).toBe(before);
  await clinic.append('visits', [{ visit: 2 }]);
  expect((await db.stateHash()).hash).toBe(before);
});

test('verification says what the log yields, and that is what is kept', async () => {
  const disk = memoryDisk();
  const db = await open(disk, { checkpoints: atClose });
  await fill(db);
  const known = await db.stateHash();
  expect(await db.verify()).toMatchObject({ ok: true, stateHash: known });
  await db.close();
  const report = await verified(disk);
  const position = Number(known.position);
  const stateHash = { hash: known.hash, position };
  expect(report).toMatchObject({ ok: true, stateHash, storeCompared: position });
});

test('one commitment that is left out is found, in a handle and in the store', async () => {
  const disk = memoryDisk();
  const note = Reflect.get(StateHasher.prototype, 'note') as StateHasher['note'];
  let left = 1;
  vi.spyOn(StateHasher.prototype, 'note').mockImplementation(function (
    this: StateHasher,
    events,
    ...rest
  ) {
    const all = events.filter(({ type }) => type !== 'rowUpdated' || left-- !== 1);
    note.call(this, all, ...rest);
  });
  const db = await open(disk, { checkpoints: atClose });
  await fill(db);
  expect(left).toBeLessThan(0);
  const finding = { code: 'STATE_MISMATCH', message: expect.stringContaining('state hash') };
  expect((await db.verify()).findings).toMatchObject([finding]);
  await db.close();
  expect((await verified(disk)).findings).toMatchObject([finding]);
  // The log is right: what is made from it again is.
  const image = new Map([...imageOf(disk)].filter(([path]) => !path.startsWith('store/')));
  expect(await verified(diskOf(image))).toMatchObject({ ok: true });
});
