/** Rotation and rekeying on a disk that stops, or fails, at every one of their calls. */
import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import { type Disk, Prng } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { type MasterKeyProvider, Verity, VerityError } from '../../src/database/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { imageOf } from '../integrity/disk-image.ts';
import { logicalFrames } from './logical-frames.ts';

const held = (name: string): MasterKeyProvider =>
  new HeldKeyProvider('held', 'held', () => {
    return new SecretKey(new Uint8Array(createHash('sha256').update(name).digest()));
  });
const oldKey = held('old');
const newKey = held('new');
const logSizes = { segmentBytes: 2_500, fillBytesMin: 1_024, fillBytesMax: 2_048 };
const rowsBefore = 8;

interface World {
  readonly host: Parameters<typeof Verity.openOn>[0];
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

function worldOn(disk: Disk, seed: number): World {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const host = { disk, clock, scheduler, entropy: new Prng(seed), logSizes };
  return { host, settle: (promise) => scheduler.settle(promise) };
}

/** What callers were told. */
interface Told {
  rows: number;
  isRotated: boolean;
  isRekeyed: boolean;
}

async function insert(db: Verity, id: number): Promise<void> {
  await db.tenant('acme').execute("INSERT INTO t VALUES ($1, 'a row of some length')", [id]);
}

async function create(disk: Disk): Promise<void> {
  const { host, settle } = worldOn(disk, 1);
  const db = await settle(Verity.openOn(host, { masterKey: oldKey }));
  const acme = await settle(db.createTenant('acme'));
  await settle(acme.execute('CREATE TABLE t (id integer PRIMARY KEY, v text)'));
  for (let id = 0; id < rowsBefore; id++) await settle(insert(db, id));
  await settle(db.close());
}

/** Rotates and rekeys, and writes between the steps and while the second is under way. */
async function change(world: World, told: Told, started: () => void): Promise<void> {
  const { host, settle } = world;
  const db = await settle(Verity.openOn(host, { masterKey: oldKey }));
  started();
  await settle(db.keys.rotate({ masterKey: newKey }));
  told.isRotated = true;
  await settle(insert(db, rowsBefore));
  told.rows += 1;
  const rekeyed = db.keys.rekey();
  const written = insert(db, rowsBefore + 1).then(() => (told.rows += 1));
  await settle(Promise.all([rekeyed, written]));
  told.isRekeyed = true;
  await settle(db.close());
}

let image: Map<string, Uint8Array>;
let frames: string[];
beforeAll(async () => {
  const disk = new SimDisk();
  await create(disk);
  image = imageOf(disk);
  frames = logicalFrames(disk);
});

async function opensWith(world: World, masterKey: MasterKeyProvider): Promise<Verity | undefined> {
  try {
    return await world.settle(Verity.openOn(world.host, { masterKey, create: false }));
  } catch (error) {
    if (error instanceof VerityError && error.code === 'WRONG_KEY') return undefined;
    throw error;
  }
}

/** Reopens with whichever key opens, looks at everything, and does again what was not done. */
async function checkAfter(
  disk: Disk,
  told: Told,
  { where, doAgain }: { readonly where: string; readonly doAgain: boolean },
): Promise<void> {
  const world = worldOn(disk, 99);
  const { settle } = world;
  const withOld = await opensWith(world, oldKey);
  const db = withOld ?? (await opensWith(world, newKey));
  if (db === undefined) throw new Error(`${where}: neither key opens`);
  expect(withOld !== undefined && told.isRotated, `${where}: the old key opens`).toBe(false);
  const count = async (): Promise<number> => {
    const { rows } = await settle(db.tenant('acme').query('SELECT id FROM t'));
    return rows.length;
  };
  expect(await count(), where).toBeGreaterThanOrEqual(told.rows);
  expect((await settle(db.verify())).findings, where).toEqual([]);
  if (told.isRekeyed) expect(db.keys.list().rekeyDue, where).toBe(false);
  if (doAgain) {
    await settle(db.keys.rotate({ masterKey: newKey }));
    await settle(db.keys.rekey());
    expect(db.keys.list().rekeyDue, where).toBe(false);
    expect((await settle(db.verify())).findings, where).toEqual([]);
    expect(await count(), where).toBeGreaterThanOrEqual(told.rows);
  }
  await settle(db.close());
  expect(logicalFrames(disk).slice(0, frames.length), where).toEqual(frames);
}

async function callsOfChange(): Promise<{ readonly first: number; readonly last: number }> {
  const disk = SimDisk.fromImage(image);
  let first = 0;
  const told = { rows: 0, isRotated: false, isRekeyed: false };
  await change(worldOn(disk, 2), told, () => (first = disk.callCount));
  return { first, last: disk.callCount };
}

test('a machine that stops at any call of a rotation and a rekeying loses nothing, and one of the keys opens', async () => {
  const { first, last } = await callsOfChange();
  const seen = { old: 0, rotated: 0, rekeyed: 0 };
  for (let call = first + 1; call <= last; call++) {
    const disk = SimDisk.fromImage(image, { seed: call, faults: { crashAtCall: call } });
    const told: Told = { rows: rowsBefore, isRotated: false, isRekeyed: false };
    await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
    seen[told.isRekeyed ? 'rekeyed' : told.isRotated ? 'rotated' : 'old'] += 1;
    await checkAfter(disk.crash(), told, { where: `call ${call}`, doAgain: call % 4 === 0 });
  }
  expect(Math.min(seen.old, seen.rotated, seen.rekeyed)).toBeGreaterThan(3);
}, 120_000);

test.each(['IO_ERROR', 'DISK_FULL'] as const)(
  'a disk that answers %s once, at any call of a rotation and a rekeying, loses nothing',
  async (code) => {
    const { first, last } = await callsOfChange();
    for (let call = first + 1; call <= last; call += 7) {
      const disk = SimDisk.fromImage(image, { seed: call, faults: { fail: [{ call, code }] } });
      const told: Told = { rows: rowsBefore, isRotated: false, isRekeyed: false };
      await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
      const where = `${code} at call ${call}`;
      await checkAfter(disk.crash(), told, { where, doAgain: true });
    }
  },
  120_000,
);
