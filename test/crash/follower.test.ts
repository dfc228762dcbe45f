/** A read-only handle beside an owner, on one disk. */
import { expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { framesOf } from './image.ts';
import { openSession, type Session, smallLogSizes, wait } from './machine.ts';

async function followerOn(disk: SimDisk): Promise<Session> {
  return openSession(disk, { readOnly: true, seed: 99 });
}

async function idsSeenBy({ db }: Session): Promise<number[]> {
  if (!db.tenants().includes('amber')) return [];
  const tenant = db.tenant('amber');
  if ((await tenant.tables()).length === 0) return [];
  return (await tenant.query<{ id: number }>('SELECT id FROM rows ORDER BY id')).rows.map(
    ({ id }) => id,
  );
}

const insert = 'INSERT INTO rows VALUES ($1, $2)';

async function ownerOn(disk: SimDisk, logSizes = smallLogSizes): Promise<Session> {
  const owner = await openSession(disk, { logSizes });
  const work = async (): Promise<void> => {
    const tenant = await owner.db.createTenant('amber');
    await tenant.execute('CREATE TABLE rows (id integer PRIMARY KEY, memo text)');
  };
  await owner.scheduler.settle(work());
  return owner;
}

test('it sees what is durable, at every step, through rolls, new tenants and clean reopens', async () => {
  const disk = new SimDisk({ seed: 1 });
  let owner = await ownerOn(disk);
  const follower = await followerOn(disk);
  const prng = new Prng(4);
  let acknowledged: number[] = [];
  for (let id = 1; id <= 60; id++) {
    const memo = 'm'.repeat(prng.below(1_400));
    await owner.scheduler.settle(owner.db.tenant('amber').execute(insert, [id, memo]));
    acknowledged = [...acknowledged, id];
    if (id % 9 === 0) await owner.scheduler.settle(owner.db.createTenant(`tenant ${id}`));
    if (id % 20 === 0) {
      await owner.scheduler.settle(owner.db.close());
      owner = await openSession(disk);
    }
    const seen = await idsSeenBy(follower);
    // Nothing but what was acknowledged, in order; at most the newest frame still waits for a mark.
    expect(acknowledged.slice(0, seen.length)).toEqual(seen);
    expect(seen.length).toBeGreaterThanOrEqual(id - 1);
    if (prng.chance(0.2)) {
      await owner.scheduler.settle(wait(owner.scheduler, 60));
      expect(await idsSeenBy(follower)).toEqual(acknowledged);
    }
  }
  expect(owner.db.status().segments).toBeGreaterThan(4);
  expect(follower.db.tenants()).toEqual(owner.db.tenants());
  await owner.scheduler.settle(owner.db.close());
  expect(await idsSeenBy(follower)).toEqual(acknowledged);
  expect((await follower.scheduler.settle(follower.db.verify())).findings).toEqual([]);
});

test('it never throws and never runs ahead, whatever moment of a write it looks at', async () => {
  // The owner is stopped in the middle of every call in turn; what the page cache then shows is looked at.
  const load = async ({ db }: Session): Promise<void> => {
    const tenant = db.tenant('amber');
    for (let id = 1; id <= 6; id++) await tenant.execute(insert, [id, 'm'.repeat(1_500)]);
    await db.createTenant('birch');
    await db.close();
  };
  const whole = new SimDisk({ seed: 2 });
  const first = await ownerOn(whole);
  await first.scheduler.settle(first.db.close());
  const image = whole.image();
  const counting = SimDisk.fromImage(image);
  const counted = await openSession(counting);
  await counted.scheduler.settle(load(counted));
  const calls = counted.disk.callCount;
  expect(
    framesOf(counting.image()).filter(({ header }) => header.kind === 'end').length,
  ).toBeGreaterThan(1);
  for (let call = 1; call <= calls; call++) {
    const disk = SimDisk.fromImage(image);
    const early = await followerOn(disk);
    const killed = await openSession(disk, { killAtCall: call }).catch(() => undefined);
    if (killed !== undefined) await killed.scheduler.settle(load(killed).catch(() => undefined));
    const durable = await idsAfterPowerFailure(disk);
    for (const follower of [early, await followerOn(disk)]) {
      const seen = await idsSeenBy(follower);
      expect(durable.slice(0, seen.length), `call ${call}`).toEqual(seen);
    }
    // The next owner repairs the tail; who followed before follows on.
    const owner = await openSession(disk);
    const next = { db: owner.db, disk: owner.disk, scheduler: owner.scheduler };
    await next.scheduler.settle(next.db.tenant('amber').execute(insert, [100, 'after']));
    await next.scheduler.settle(wait(next.scheduler, 60));
    expect(await idsSeenBy(early), `call ${call}`).toEqual(await idsSeenBy(next));
  }
});

/** What would be left if the machine lost all that was not flushed. */
async function idsAfterPowerFailure(disk: SimDisk): Promise<number[]> {
  return idsSeenBy(await openSession(SimDisk.fromImage(disk.durableImage())));
}

test('it keeps its footing when a frame that it has seen, but that was not durable, is lost', async () => {
  for (const kind of ['data', 'close'] as const) {
    const disk = new SimDisk({ seed: 3 });
    const owner = await ownerOn(disk);
    await owner.scheduler.settle(owner.db.tenant('amber').execute(insert, [1, 'one']));
    const before = disk.image();
    const follower = await followerOn(disk);
    disk.setFaults({ fail: [{ call: disk.calls.flush + 1, kind: 'flush', code: 'IO_ERROR' }] });
    const lost: Promise<unknown> =
      kind === 'data' ? owner.db.tenant('amber').execute(insert, [2, 'two']) : owner.db.close();
    await expect(owner.scheduler.settle(lost)).rejects.toMatchObject({
      code: kind === 'data' ? 'COMMIT_UNKNOWN' : 'IO_ERROR',
    });
    expect(await idsSeenBy(follower)).toEqual([1]);
    // The kernel drops the pages whose flush failed, and reads the file anew.
    const segment = disk.open('log/00000000000000000001.vlog', 'readwrite');
    segment.write(before.get('log/00000000000000000001.vlog') as Uint8Array, 0);
    const next = await openSession(disk, { seed: 8 });
    await next.scheduler.settle(next.db.tenant('amber').execute(insert, [3, 'three']));
    await next.scheduler.settle(next.db.close());
    expect(await idsSeenBy(follower)).toEqual([1, 3]);
  }
});

test('it reports damage below the mark and does not serve a part as the whole', async () => {
  const disk = new SimDisk({ seed: 4 });
  const owner = await ownerOn(disk);
  const tenant = owner.db.tenant('amber');
  for (let id = 1; id <= 12; id++) {
    await owner.scheduler.settle(tenant.execute(insert, [id, 'm'.repeat(1_500)]));
  }
  await owner.scheduler.settle(owner.db.close());
  const image = disk.image();
  const frames = framesOf(image);
  const last = frames.at(-1)?.path;
  for (const { path, offset, end } of frames.filter((frame) => frame.path !== last)) {
    for (const damage of ['flip', 'zero'] as const) {
      const damaged = SimDisk.fromImage(image);
      const bytes = (image.get(path) as Uint8Array).slice(offset, end);
      if (damage === 'zero') bytes.fill(0);
      else bytes[200] = (bytes[200] as number) ^ 1;
      damaged.open(path, 'readwrite').write(bytes, offset);
      await expect(followerOn(damaged)).rejects.toMatchObject({
        name: 'CorruptionError',
        file: path,
      });
    }
  }
});

test('it refuses to write', async () => {
  const disk = new SimDisk({ seed: 5 });
  const owner = await ownerOn(disk);
  await owner.scheduler.settle(owner.db.close());
  const callsBefore = disk.calls.write + disk.calls.flush + disk.calls.remove + disk.calls.rename;
  const follower = await followerOn(disk);
  const write = follower.db.tenant('amber').execute(insert, [1, 'one']);
  await expect(follower.scheduler.settle(write)).rejects.toMatchObject({ code: 'READ_ONLY' });
  await follower.scheduler.settle(follower.db.close());
  expect(disk.calls.write + disk.calls.flush + disk.calls.remove + disk.calls.rename).toBe(
    callsBefore,
  );
});
