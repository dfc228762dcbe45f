/** How an open handle behaves when its disk does not, and when it is closed under load. */
import { describe, expect, test } from 'vitest';
import type { TenantHandle } from '../../src/database/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { codeOf } from './client.ts';
import { openSession, type Session, wait } from './machine.ts';

const definition = 'CREATE TABLE rows (id integer PRIMARY KEY, memo text)';
const insert = 'INSERT INTO rows VALUES ($1, $2)';
const bigFiles = { segmentBytes: 1 << 20, fillBytesMin: 1_024, fillBytesMax: 4_096 };

interface World extends Session {
  readonly machine: SimDisk;
  readonly tenant: TenantHandle;
  /** Runs the simulation until `promise` settles; an error becomes its code. */
  readonly answer: (promise: Promise<unknown>) => Promise<unknown>;
  readonly put: (id: number, memoLength?: number) => Promise<unknown>;
}

async function world(options: Parameters<typeof openSession>[1] = {}): Promise<World> {
  const machine = new SimDisk({ seed: 9 });
  const session = await openSession(machine, options);
  const { db, scheduler } = session;
  const tenant = await scheduler.settle(db.createTenant('amber'));
  await scheduler.settle(tenant.execute(definition));
  const answer = (promise: Promise<unknown>): Promise<unknown> =>
    scheduler.settle(promise.then(() => 'done', codeOf));
  const put = (id: number, memoLength = 10): Promise<unknown> =>
    tenant.execute(insert, [id, 'm'.repeat(memoLength)]);
  return { ...session, machine, tenant, answer, put };
}

async function idsOf({ db, scheduler }: Session): Promise<number[]> {
  const query = db.tenant('amber').query<{ id: number }>('SELECT id FROM rows ORDER BY id');
  return (await scheduler.settle(query)).rows.map(({ id }) => id);
}

function failNext(
  machine: SimDisk,
  kind: 'flush' | 'write',
  code: 'IO_ERROR' | 'DISK_FULL' = 'IO_ERROR',
): void {
  machine.setFaults({ fail: [{ call: machine.calls[kind] + 1, kind, code }] });
}

describe('after a failed flush', () => {
  test('what is under way is COMMIT_UNKNOWN, writes are DATABASE_POISONED, reads and the feed go on', async () => {
    const here = await world();
    await here.answer(here.put(1));
    failNext(here.machine, 'flush');
    const answers = [
      here.put(2),
      here.put(3),
      here.put(1),
      here.tenant.execute('DELETE FROM rows WHERE id = 77'),
    ];
    expect(await Promise.all(answers.map(here.answer))).toEqual(Array(4).fill('COMMIT_UNKNOWN'));
    expect(await here.answer(here.put(4))).toBe('DATABASE_POISONED');
    expect(await here.answer(here.db.createTenant('birch'))).toBe('DATABASE_POISONED');
    expect(await here.answer(here.db.addRecoveryCode())).toBe('DATABASE_POISONED');
    expect(await here.answer(here.tenant.append('s', [1]))).toBe('DATABASE_POISONED');
    expect(
      await here.answer(
        here.tenant.transaction(async (tx) => void (await tx.execute(insert, [5, 'x']))),
      ),
    ).toBe('DATABASE_POISONED');
    expect(here.db.status().poisoned).toBe(true);
    expect(await idsOf(here)).toEqual([1]);
    expect(await feedLength(here)).toBe(2);
    expect((await here.scheduler.settle(here.db.verify())).findings).toEqual([]);
    const [writes, flushes] = [here.machine.calls.write, here.machine.calls.flush];
    await here.scheduler.settle(wait(here.scheduler, 200));
    expect(await here.answer(here.db.close())).toBe('done');
    expect([here.machine.calls.write, here.machine.calls.flush]).toEqual([writes, flushes]);
  });

  test('the feed goes on also over half a frame, which a failed write left', async () => {
    for (let seed = 0; seed < 8; seed++) {
      const here = await world();
      await here.answer(here.put(seed));
      failNext(here.machine, 'write');
      expect(await here.answer(here.put(100, 300 + seed * 50))).toBe('COMMIT_UNKNOWN');
      expect(await feedLength(here)).toBe(2);
    }
  });

  test('the flush is not retried at the next idle moment: a mark that fails poisons, too', async () => {
    for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
      const here = await world();
      expect(await here.answer(here.put(1))).toBe('done');
      failNext(here.machine, 'flush', code);
      await here.scheduler.settle(wait(here.scheduler, 60));
      expect(await here.answer(here.put(2))).toBe('DATABASE_POISONED');
      expect(await idsOf(here)).toEqual([1]);
    }
  });

  test('closing reports it and still answers what is under way', async () => {
    const here = await world();
    failNext(here.machine, 'flush');
    const answers = [here.put(1), here.put(2)].map((promise) =>
      promise.catch((error: { code: string }) => error.code),
    );
    await here.scheduler.settle(here.db.close());
    expect(await Promise.all(answers)).toEqual(['COMMIT_UNKNOWN', 'COMMIT_UNKNOWN']);
  });

  test('of the frame that closes the log, close() throws, and the next owner trusts nothing of it', async () => {
    const here = await world();
    await here.answer(here.put(1));
    failNext(here.machine, 'flush');
    expect(await here.answer(here.db.close())).toBe('IO_ERROR');
    here.disk.kill();
    const next = await openSession(here.machine);
    expect(next.db.status().recovery.cleanShutdown).toBe(false);
    await next.scheduler.settle(next.db.tenant('amber').execute(insert, [2, 'two']));
    expect(await idsOf(await openSession(here.machine.crash()))).toEqual([1, 2]);
  });
});

async function feedLength({ db, scheduler }: Session): Promise<number> {
  const count = async (): Promise<number> => {
    let changes = 0;
    for await (const _change of db.tenant('amber').changes()) changes += 1;
    return changes;
  };
  return scheduler.settle(count());
}

describe('on a full disk', () => {
  function used(machine: SimDisk): number {
    return [...machine.image().values()].reduce((sum, bytes) => sum + bytes.length, 0);
  }

  test('a command is refused with DISK_FULL, and the same handle goes on when there is room again', async () => {
    const here = await world();
    let id = 0;
    for (let round = 0; round < 6; round++) {
      here.machine.setFaults({ capacityBytes: used(here.machine) + 400 });
      const refused: number[] = [];
      for (let tries = 0; tries < 12; tries++) {
        const answer = await here.answer(here.put(++id, 900));
        expect(['done', 'DISK_FULL']).toContain(answer);
        if (answer === 'DISK_FULL') refused.push(id);
      }
      expect(refused.length).toBeGreaterThan(0);
      await here.scheduler.settle(wait(here.scheduler, 60));
      here.machine.setFaults({});
      for (const again of refused) expect(await here.answer(here.put(again, 900))).toBe('done');
    }
    expect(here.db.status()).toMatchObject({ poisoned: false });
    expect(here.db.status().segments).toBeGreaterThan(3);
    expect((await here.scheduler.settle(here.db.verify())).findings).toEqual([]);
    const ids = await idsOf(here);
    expect(ids).toHaveLength(id);
    expect(await idsOf(await openSession(here.machine.crash()))).toEqual(ids);
  });

  test('a new tenant is refused and nothing is ever sealed under keys that are not on the disk', async () => {
    const here = await world({ logSizes: bigFiles });
    // Room in the log, none for another keyring.
    await here.answer(here.put(1, 20));
    here.machine.setFaults({ capacityBytes: used(here.machine) });
    const birch = await here.answer(here.db.createTenant('birch'));
    expect(birch).toBe('done');
    const tenant = here.db.tenant('birch');
    expect(await here.answer(tenant.execute(definition))).toBe('DISK_FULL');
    expect(await here.answer(tenant.execute(definition))).toBe('DISK_FULL');
    here.machine.setFaults({});
    expect(await here.answer(tenant.execute(definition))).toBe('done');
    const after = await openSession(here.machine.crash());
    expect(after.db.tenants()).toEqual(['amber', 'birch']);
    expect(await idsOf(after)).toEqual([1]);
  });

  test('a keyring whose record was refused with its batch is logged with the next one', async () => {
    const here = await world({ logSizes: bigFiles });
    await here.answer(here.db.createTenant('birch'));
    const birch = here.db.tenant('birch');
    // The write of the keyring passes; the next one, which makes room in the log, does not.
    here.machine.setFaults({
      fail: [{ call: here.machine.calls.write + 2, kind: 'write', code: 'IO_ERROR' }],
    });
    expect(await here.answer(birch.append('s', ['x'.repeat(9_000)]))).toBe('IO_ERROR');
    const keyring = here.machine.image().get('keyring') as Uint8Array;
    expect(await here.answer(here.put(1))).toBe('done');
    // An older keyring, put back, is refused only if the log names the newer one.
    const image = here.machine.image();
    expect(image.get('keyring')).toEqual(keyring);
    const fresh = await world({ logSizes: bigFiles });
    const older = fresh.machine.image().get('keyring') as Uint8Array;
    image.set('keyring', older);
    await expect(openSession(SimDisk.fromImage(image))).rejects.toMatchObject({
      code: 'KEYRING_ROLLED_BACK',
    });
  });

  test('a no-op after a refused batch names a position that is there', async () => {
    const here = await world();
    here.machine.setFaults({ capacityBytes: used(here.machine) });
    expect(await here.answer(here.put(1, 5_000))).toBe('DISK_FULL');
    const { position } = await here.scheduler.settle(
      here.tenant.execute('DELETE FROM rows WHERE id = 9'),
    );
    const there = here.tenant.queryAt('SELECT count(*) FROM rows', [], position);
    expect((await here.scheduler.settle(there)).position).toBe(position);
  });

  test('a batch is refused whole: a reply that rests on a refused row is refused with it', async () => {
    const here = await world();
    here.machine.setFaults({ capacityBytes: used(here.machine) });
    const answers = [
      here.put(1, 5_000),
      here.put(1),
      here.tenant.execute('DELETE FROM rows WHERE id = 9'),
    ];
    expect(await Promise.all(answers.map(here.answer))).toEqual([
      'DISK_FULL',
      'DISK_FULL',
      'DISK_FULL',
    ]);
    expect(await here.answer(here.put(1))).toBe('DISK_FULL');
    here.machine.setFaults({});
    expect(await here.answer(here.put(1))).toBe('done');
  });

  test('closing loses nothing, and the next open needs no more than room', async () => {
    const here = await world();
    while ((await here.answer(here.put((await idsOf(here)).length, 900))) === 'done') {
      here.machine.setFaults({ capacityBytes: used(here.machine) + 100 });
    }
    const ids = await idsOf(here);
    expect(await here.answer(here.db.close())).toBe('done');
    here.machine.setFaults({});
    expect(await idsOf(await openSession(here.machine))).toEqual(ids);
  });
});

describe('closing', () => {
  test('answers every command under way, then refuses', async () => {
    const here = await world();
    const answers = Array.from({ length: 200 }, (_unused, id) => here.put(id));
    const duplicate = here.put(7).catch((error: { code: string }) => error.code);
    await here.scheduler.settle(here.db.close());
    const positions = (await Promise.all(answers)) as { position: bigint }[];
    expect(await duplicate).toBe('UNIQUE_VIOLATION');
    expect(new Set(positions.map(({ position }) => position)).size).toBe(200);
    expect(await here.answer(here.put(500))).toBe('CLOSED');
    expect(await here.answer(here.db.close())).toBe('done');
    const after = await openSession(here.machine);
    expect(after.db.status().recovery).toEqual({ cleanShutdown: true, cut: [] });
    expect(await idsOf(after)).toHaveLength(200);
  });

  test('lets go of every file, also when the disk fails', async () => {
    for (let call = 1; call < 40; call++) {
      const here = await world();
      await here.answer(here.put(1, 3_000));
      await here.answer(here.put(2, 3_000));
      here.machine.setFaults({ fail: [{ call: here.machine.callCount + call, code: 'IO_ERROR' }] });
      void here.put(3).catch(() => undefined);
      // An error of the disk, or none; never one of ours.
      expect(['done', 'IO_ERROR']).toContain(await here.answer(here.db.close()));
    }
  });
});

test('1,000 concurrent inserts are acknowledged in the order of their positions', async () => {
  const here = await world();
  const order: bigint[] = [];
  const all = Array.from({ length: 1_000 }, async (_unused, id) => {
    const { position } = (await here.put(id)) as { position: bigint };
    order.push(position);
  });
  await here.scheduler.settle(Promise.all(all));
  expect(order).toHaveLength(1_000);
  expect(order).toEqual(order.toSorted((left, right) => (left < right ? -1 : 1)));
  expect(new Set(order).size).toBe(1_000);
  expect(await idsOf(await openSession(here.machine.crash()))).toHaveLength(1_000);
});

test('a full disk only puts a roll off', async () => {
  const put = async (here: World, id: number): Promise<void> => {
    expect(await here.answer(here.put(id, 900))).toBe('done');
  };
  // Which row it is that fills a segment, and how often each method was called by the end of it.
  const pilot = await world();
  let rows = 0;
  const before = pilot.machine.calls.makeDirectory;
  while (pilot.machine.calls.makeDirectory === before) await put(pilot, rows++);
  const { calls } = pilot.machine;
  for (const kind of ['makeDirectory', 'open', 'write'] as const) {
    const here = await world();
    for (let id = 0; id < rows - 1; id++) await put(here, id);
    // The roll's own calls come last: it makes the directory, creates the file, writes its header, the end frame and the anchor.
    const call = kind === 'write' ? calls.write - 2 : here.machine.calls[kind] + 1;
    expect(call).toBeGreaterThan(here.machine.calls[kind]);
    here.machine.setFaults({ fail: [{ call, kind, code: 'DISK_FULL' }] });
    await put(here, rows - 1);
    expect(here.disk.failures, kind).toMatchObject([{ method: kind, code: 'DISK_FULL' }]);
    expect(here.db.status()).toMatchObject({ poisoned: false, segments: 1 });
    await put(here, rows);
    expect(here.db.status().segments).toBe(2);
    expect(await idsOf(await openSession(here.machine.crash()))).toHaveLength(rows + 1);
  }
});

test('a failure anywhere in a roll loses no row', async () => {
  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    for (let call = 1; call <= 30; call++) {
      const here = await world();
      for (let id = 1; id <= 3; id++) expect(await here.answer(here.put(id, 1_500))).toBe('done');
      here.machine.setFaults({ fail: [{ call: here.machine.callCount + call, code }] });
      const acknowledged = [1, 2, 3];
      for (let id = 4; id <= 9; id++) {
        if ((await here.answer(here.put(id, 1_500))) === 'done') acknowledged.push(id);
      }
      const ids = await idsOf(await openSession(here.machine.crash()));
      expect(
        ids.filter((id) => acknowledged.includes(id)),
        `${code} at ${call}`,
      ).toEqual(acknowledged);
    }
  }
});
