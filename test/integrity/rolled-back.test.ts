/** A log that was put back to what it was: who opens it is told, and leaves it as it is, so that it can be extended from a newer copy. */
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { Verity } from '../../src/database/index.ts';
import { type EngineHost, openEngine } from '../../src/engine/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { logicalFrames } from '../crash/logical-frames.ts';
import { imageOf } from './disk-image.ts';

const masterKey = new HeldKeyProvider(
  'held',
  'held',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);
const logSizes = { segmentBytes: 4_096, fillBytesMin: 1_024, fillBytesMax: 2_048 };

interface World {
  readonly host: EngineHost;
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

function worldOn(disk: SimDisk, seed: number): World {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const host = { disk, clock, scheduler, entropy: new Prng(seed), logSizes };
  return { host, settle: (promise) => scheduler.settle(promise) };
}

/** A database that nobody closed, and what became of it later. */
async function oldAndNew(): Promise<{
  readonly old: Map<string, Uint8Array>;
  readonly newest: Map<string, Uint8Array>;
}> {
  const disk = new SimDisk();
  const { host, settle } = worldOn(disk, 1);
  const db = await settle(Verity.openOn(host, { masterKey }));
  const tenant = await settle(db.createTenant('acme'));
  await settle(tenant.execute('CREATE TABLE t (id integer PRIMARY KEY)'));
  for (let id = 0; id < 20; id++) await settle(tenant.execute('INSERT INTO t VALUES ($1)', [id]));
  const old = new Map(imageOf(disk));
  await settle(tenant.execute('INSERT INTO t VALUES (100)'));
  await settle(db.proofs.checkpoint());
  await settle(db.close());
  return { old, newest: imageOf(disk) };
}

const ofLog = (disk: SimDisk): (readonly [string, string])[] =>
  [...imageOf(disk)]
    .filter(([path]) => path.startsWith('log/') || path === 'anchor')
    .map(([path, bytes]) => [path, Buffer.from(bytes).toString('hex')] as const);

test('that lacks what was signed is refused, with not a byte of it changed, unless that is accepted', async () => {
  const { old, newest } = await oldAndNew();
  const image = new Map(old).set('proofs/checkpoints', newest.get('proofs/checkpoints')!);
  const disk = SimDisk.fromImage(image, { seed: 2 });
  const before = ofLog(disk);
  expect(before.length).toBeGreaterThan(2);
  const { host, settle } = worldOn(disk, 2);
  for (let time = 0; time < 2; time++) {
    await expect(settle(Verity.openOn(host, { masterKey }))).rejects.toMatchObject({
      code: 'LOG_ROLLED_BACK',
    });
    expect(ofLog(disk)).toEqual(before);
  }
  const db = await settle(Verity.openOn(host, { masterKey, acceptRollback: true }));
  await settle(db.tenant('acme').execute('INSERT INTO t VALUES (101)'));
  await settle(db.close());
  const again = await settle(Verity.openOn(host, { masterKey }));
  expect((await settle(again.verify())).ok).toBe(true);
  await settle(again.close());
});

test('that others do not admit gets no frame', async () => {
  const { old, newest } = await oldAndNew();
  const disk = SimDisk.fromImage(old, { seed: 3 });
  const { host, settle } = worldOn(disk, 3);
  const frames = logicalFrames(disk);
  const refusal = new Error('seen further');
  let isAsked = false;
  const opening = openEngine(host, {
    provider: masterKey,
    mode: 'owner',
    create: false,
    admit: async () => {
      isAsked = true;
      // Records of finished segments, and marks, have all the time they want.
      await new Promise<void>((go) => void host.scheduler.delay(60_000, go));
      throw refusal;
    },
  });
  await expect(settle(opening)).rejects.toBe(refusal);
  expect(isAsked).toBe(true);
  expect(logicalFrames(disk)).toEqual(frames);
  // All of it is the beginning of the newer one still.
  expect(logicalFrames(SimDisk.fromImage(newest)).slice(0, frames.length)).toEqual(frames);
});
