/** What the simulator found, each as it shrank. */
import { expect, test } from 'vitest';
import type { TenantId } from '../../src/base/index.ts';
import { SimDisk, SimMachine, SimScheduler } from '../../src/sim/index.ts';
import { openSession, wait } from '../crash/machine.ts';
import { type Answer, append, engineWorld } from '../support/engine-world.ts';

test('a command that waited for room is answered before later ones of the same frame', async () => {
  const scheduler = new SimScheduler();
  const world = await engineWorld(new SimDisk({ seed: 1, scheduler }), scheduler, {
    pace: {
      writersOnTurnMax: 0,
      cutCommandsMin: 3,
      frameBytesTarget: 500,
      commandsWaitingMax: 1_000,
    },
  });
  const answers: Answer[] = [];
  const writer = async (_none: unknown, number: number): Promise<void> => {
    for (let count = 0; count < 8; count++) {
      answers.push(await append(world, 20 + 30 * ((number + count) % 7)));
      if ((number + count) % 3 === 0) await wait(scheduler, (number * count) % 4);
    }
  };
  await scheduler.settle(Promise.all(Array.from({ length: 14 }, writer)));
  expect(answers.filter((answer) => typeof answer === 'number')).toHaveLength(14 * 8);
  expect(answers).toEqual(answers.toSorted((left, right) => Number(left) - Number(right)));
});

test('a command whose frame is durable is answered when the anchor cannot be written then', async () => {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ seed: 1, scheduler });
  const { engine } = await engineWorld(disk, scheduler);
  const created = await scheduler.settle(
    engine.submit({ kind: 'createTenant', name: 'birch', origin: {} }),
  );
  const tenant = created.outcome.tenant as TenantId;
  // A tenant's first write: the keyring is flushed, the frame in the background, and then the anchor.
  disk.setFaults({ fail: [{ kind: 'flush', call: disk.calls.flush + 2, code: 'IO_ERROR' }] });
  const answer = await scheduler.settle(append({ engine, tenant }), 'inside');
  expect(engine.poisoned).toBe(true);
  expect(['number', 'string']).toContain(typeof answer);
});

test('a bit that rots before its segment is finished is not vouched for', async () => {
  const scheduler = new SimScheduler();
  const machine = new SimMachine({ seed: 1, scheduler, onLie: () => undefined });
  const session = await openSession(machine.disk);
  const { db } = session;
  const clinic = await session.scheduler.settle(db.createTenant('clinic'));
  const fill = async (): Promise<void> => {
    for (let count = 0; count < 3; count++) await clinic.append('visits', ['x'.repeat(700)]);
  };
  await session.scheduler.settle(fill());
  const [first] = machine.disk.list('log') ?? [];
  expect(machine.disk.rot(`log/${first}`, 700, 4)).toBe(true);
  await session.scheduler.settle(
    fill()
      .then(fill)
      .then(() => wait(session.scheduler, 200)),
  );
  expect(machine.disk.list('log')?.length).toBeGreaterThan(1);
  session.disk.kill();
  machine.mend();
  const again = await openSession(machine.disk);
  const report = await again.scheduler.settle(again.db.verify());
  expect(report.findings).toEqual([]);
});
