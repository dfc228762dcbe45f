/** What the second security review found (docs/security-review.md, 26 on). Each test failed before its fix. */
import { expect, test } from 'vitest';
import { type Disk, type DiskFile, VerityError } from '../../src/base/index.ts';
import type { SecretKey } from '../../src/crypto/index.ts';
import { Verity } from '../../src/database/index.ts';
import { encodeKeyring, decodeKeyring } from '../../src/engine/keyring-file.ts';
import type { Keyring } from '../../src/engine/keyring.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { plainProvider } from '../../src/keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { engineWorld, openEngineOn } from '../support/engine-world.ts';
import { diskOf, imageOf, readFile } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const crashes = Array.from({ length: 24 }, (_, index) => index + 1);

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

const schedulerOf = (): SimScheduler => new SimScheduler(new SimClock());

test('one who only reads refuses a keyring that is older than the log, also one that has all keys', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  const tenant = await db.createTenant('north');
  await tenant.append('notes', [{ text: 'first' }]);
  const older = readFile(disk, 'keyring');
  await db.addRecoveryCode();
  await db.addRecoveryCode();
  await db.close();
  const image = imageOf(disk).set('keyring', older);
  for (const readOnly of [false, true]) {
    await expect(
      Verity.openOn(hostOn(diskOf(image)), { masterKey, readOnly }),
    ).rejects.toMatchObject({ code: 'KEYRING_ROLLED_BACK', details: { file: 'keyring' } });
  }
});

test('a sealed database with a way in for everybody is refused, by whomever it was put there', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  await db.close();
  const keyring = decodeKeyring(readFile(disk, 'keyring')) as Keyring;
  const root = (await masterKey.unwrap(keyring.slots))?.root as SecretKey;
  const next = keyring.copy();
  next.generation += 1;
  next.addSlot(await plainProvider().wrap(root, next), root);
  const image = imageOf(disk).set('keyring', encodeKeyring(next, root));
  await expect(Verity.openOn(hostOn(diskOf(image)), { masterKey })).rejects.toMatchObject({
    code: 'NOT_ENCRYPTED',
  });
});

test('after a segment sealed anew may have lost its name, no secret is forgotten and nothing is written', async () => {
  const disk = new SimDisk({ seed: 5 });
  const scheduler = schedulerOf();
  const clock = new SimClock();
  const logSizes = { segmentBytes: 2_500, fillBytesMin: 1_024, fillBytesMax: 2_048 };
  let isArmed = false;
  const failing = replaced<Disk>(disk, {
    rename: (from, to) => {
      disk.rename(from, to);
      if (!isArmed || !to.startsWith('log/')) return;
      const call = disk.calls.flushDirectory + 1;
      disk.setFaults({ fail: [{ call, kind: 'flushDirectory', code: 'IO_ERROR' }] });
      isArmed = false;
    },
  });
  const host = { ...hostOn(failing), clock, scheduler, logSizes };
  const db = await scheduler.settle(Verity.openOn(host, { masterKey }));
  const tenant = await scheduler.settle(db.createTenant('north'));
  for (let row = 0; row < 20; row++) {
    await scheduler.settle(tenant.append('notes', [{ text: `a note of some length, ${row}` }]));
  }
  await scheduler.settle(db.keys.rotate({ masterKey: new TestKey('another') }));
  isArmed = true;
  await expect(scheduler.settle(db.keys.rekey())).rejects.toMatchObject({ code: 'IO_ERROR' });
  await expect(scheduler.settle(db.keys.rekey())).rejects.toMatchObject({
    code: 'DATABASE_POISONED',
  });
  for (const seed of crashes) {
    const after = schedulerOf();
    const left = { ...hostOn(disk.crash({ seed }), 9), clock: new SimClock(), scheduler: after };
    const again = await after.settle(
      Verity.openOn({ ...left, logSizes }, { masterKey: new TestKey('another') }),
    );
    expect((await after.settle(again.verify())).findings).toEqual([]);
    await after.settle(again.close());
  }
});

/** How many of the crashes that may follow leave subject `number` without its key. */
async function keysLost(disk: SimDisk, tenant: never, number: number): Promise<number> {
  let lost = 0;
  for (const seed of crashes) {
    const scheduler = schedulerOf();
    try {
      const engine = await openEngineOn(disk.crash({ seed, scheduler }), scheduler);
      engine.subjects.key(tenant, number).wipe();
      await scheduler.settle(engine.close());
    } catch {
      lost += 1;
    }
  }
  return lost;
}

test('the first subject key of a tenant outlives a crash though its file had no room at first', async () => {
  const scheduler = schedulerOf();
  const disk = new SimDisk({ seed: 3, scheduler });
  let isFull = true;
  const open: Disk['open'] = (path, mode) => {
    const file = disk.open(path, mode);
    if (!path.startsWith('subjects/')) return file;
    const write: DiskFile['write'] = (bytes, offset) => {
      if (isFull) throw new VerityError('DISK_FULL', 'There is no space left.');
      file.write(bytes, offset);
    };
    return replaced<DiskFile>(file, { write });
  };
  const failing = replaced<Disk>(disk, { open });
  const { engine, tenant } = await engineWorld(failing as SimDisk, scheduler);
  await expect(scheduler.settle(engine.subjects.create(tenant, 1))).rejects.toMatchObject({
    code: 'DISK_FULL',
  });
  isFull = false;
  const number = await scheduler.settle(engine.subjects.create(tenant, 1));
  expect(await keysLost(disk, tenant as never, number)).toBe(0);
});

test('the first subject key of a tenant outlives a crash though the process that made its file was killed', async () => {
  const scheduler = schedulerOf();
  const disk = new SimDisk({ seed: 3, scheduler });
  const killed = new VerityError('IO_ERROR', 'The process was killed here.');
  const stopping = replaced<Disk>(disk, {
    flushDirectory: (path) => {
      if (path === 'subjects') throw killed;
      disk.flushDirectory(path);
    },
  });
  const { engine, tenant } = await engineWorld(stopping as SimDisk, scheduler);
  await expect(scheduler.settle(engine.subjects.create(tenant, 1))).rejects.toBe(killed);
  // The next process sees the name, which is in memory only.
  const next = await openEngineOn(disk, scheduler);
  const number = await scheduler.settle(next.subjects.create(tenant, 1));
  expect(await keysLost(disk, tenant as never, number)).toBe(0);
});

test('a lent subject key is overwritten when its subject is erased, not when it is asked for again', async () => {
  const scheduler = schedulerOf();
  const { engine, tenant } = await engineWorld(new SimDisk({ scheduler }), scheduler);
  await scheduler.settle(engine.subjects.create(tenant, 2));
  const [erased, kept] = [engine.subjects.lend(tenant, 0), engine.subjects.lend(tenant, 1)];
  const bytes = erased.expose();
  await scheduler.settle(engine.subjects.erase(tenant, [0]));
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  expect(kept.expose().some((byte) => byte !== 0)).toBe(true);
  await scheduler.settle(engine.close());
});
