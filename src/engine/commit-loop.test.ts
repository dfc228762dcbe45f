import { describe, expect, test } from 'vitest';
import { framesOf } from '../../test/crash/image.ts';
import {
  type Answer,
  append,
  burst,
  eagerPace,
  type EngineOptions,
  type EngineWorld,
  engineWorld,
  idle,
  openEngineOn,
  turn,
} from '../../test/support/engine-world.ts';
import { type ParsedStatement, parseScript } from '../sql/index.ts';
import { SimDisk, SimScheduler } from '../sim/index.ts';
import { defaultPace } from './commit-pace.ts';

function world(options: EngineOptions = {}): Promise<EngineWorld> {
  const scheduler = new SimScheduler();
  return engineWorld(new SimDisk({ seed: 1, scheduler }), scheduler, options);
}

const sizes = (count: number, sizeBytes = 10): number[] =>
  Array.from({ length: count }, () => sizeBytes);

const ascending = (answers: readonly Answer[]): Answer[] =>
  answers.toSorted((left, right) => (left as number) - (right as number));

describe('frames', () => {
  test('a lone writer is flushed on the calling turn, many in the background', async () => {
    const here = await world({ pace: { ...defaultPace, overlapMicrosPerWriter: 0 } });
    const before = { ...here.disk.calls };
    for (let count = 0; count < 3; count++) await here.scheduler.settle(append(here));
    expect(here.disk.calls.flush).toBe(before.flush + 3);
    expect(here.disk.calls.flushInBackground).toBe(before.flushInBackground);
    const answers = burst(here, sizes(64));
    await idle(here.scheduler);
    expect(answers).toHaveLength(64);
    expect(here.disk.calls.flushInBackground).toBeGreaterThan(before.flushInBackground);
  });

  test('two are on their way at most, each cut at half of those who wait', async () => {
    const here = await world();
    const { head } = here.engine;
    const answers = burst(here, sizes(64));
    await turn();
    // One is being flushed, one is written behind it; nothing of either is acknowledged.
    expect(framesOf(here.disk.image()).filter(({ header }) => header.op > head.op)).toHaveLength(2);
    expect(here.engine.busy).toBe(true);
    expect(answers).toEqual([]);
    await idle(here.scheduler);
    const frames = framesOf(here.disk.image()).filter(({ header }) => header.op > head.op);
    const counts = frames.map(({ header }) => header.leafCount).filter((count) => count > 0);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(64);
    expect(counts.slice(0, 2)).toEqual([4, 4]);
    expect(answers).toHaveLength(64);
  });

  test('what takes long to decide is written on the next turn, and answered after that', async () => {
    const here = await world({ pace: defaultPace });
    const { calls } = here.disk;
    for (const [count, isLong] of [
      [300, false],
      [520, true],
    ] as const) {
      const before = calls.write;
      const answers = burst(here, sizes(count));
      await turn();
      expect(calls.write > before).toBe(!isLong);
      expect(answers).toHaveLength(0);
      await idle(here.scheduler);
      expect(answers).toHaveLength(count);
      expect(answers).toEqual(ascending(answers));
    }
  });

  test('each names as durable only what was flushed when it was written', async () => {
    const here = await world();
    burst(here, sizes(64));
    await turn();
    const durable = here.engine.head.op;
    const written = framesOf(here.disk.image()).filter(({ header }) => header.op > durable);
    expect(written.map(({ header }) => header.durableHead)).toEqual([durable, durable]);
    await idle(here.scheduler);
    expect(here.engine.head.durableHead).toBe(here.engine.head.op - 1);
  });

  test('answers come in the order of positions, over many segments', async () => {
    const logSizes = { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };
    const here = await world({ logSizes });
    const answers: Answer[] = [];
    const writer = async (): Promise<void> => {
      for (let count = 0; count < 6; count++) answers.push(await append(here, 100));
    };
    await here.scheduler.settle(Promise.all(Array.from({ length: 32 }, writer)));
    expect(answers).toHaveLength(32 * 6);
    expect(answers).toEqual(ascending(answers));
    expect(here.disk.list('log')?.length).toBeGreaterThan(4);
    expect(framesOf(here.disk.image()).at(-1)?.header.op).toBe(here.engine.head.op);
  });

  test('answers come in the order of positions while flushes go back and forth', async () => {
    // On the turn a flush takes no simulated time: a microsecond at least is counted.
    const here = await world({ pace: { ...eagerPace, overlapMicrosPerWriter: 1e-9 } });
    const { calls } = here.disk;
    const before = { ...calls };
    const answers: Answer[] = [];
    const writer = async (): Promise<void> => {
      for (let count = 0; count < 80; count++) answers.push(await append(here));
    };
    await here.scheduler.settle(Promise.all(Array.from({ length: 16 }, writer)));
    // Of the 160 frames all but every 128th are flushed in the background.
    expect(calls.flushInBackground - before.flushInBackground).toBeGreaterThan(128);
    expect(calls.flush - before.flush).toBeGreaterThan(0);
    expect(answers).toHaveLength(16 * 80);
    expect(answers).toEqual(ascending(answers));
    expect(here.engine.committedPosition).toBe(answers.at(-1));
  });

  test('is marked as durable when nothing has come for a while', async () => {
    const here = await world();
    burst(here, sizes(10));
    await idle(here.scheduler);
    expect(here.engine.head.lastKind).toBe('mark');
    const { calls } = here.disk;
    const before = calls.flush + calls.flushInBackground;
    await idle(here.scheduler);
    expect(here.disk.calls.flush + here.disk.calls.flushInBackground).toBe(before);
  });
});

describe('replies without changes', () => {
  test('wait for the frames that they were decided on, also when nothing is gathered', async () => {
    const here = await world();
    const order: string[] = [];
    burst(here, sizes(8));
    await turn();
    const rejected = append(here, 1, 10_000).then((answer) => {
      order.push(`${answer} at ${here.engine.committedPosition}`);
    });
    const decidedOn = here.engine.state.decidedPosition;
    expect(here.engine.committedPosition).toBeLessThan(decidedOn);
    await turn();
    expect(order).toEqual([]);
    await here.scheduler.settle(rejected);
    expect(order).toEqual([`VERSION_CONFLICT at ${decidedOn}`]);
  });

  test('name a position that there is when what was dropped left a gap and a mark is on its way', async () => {
    const here = await world();
    const { engine, disk, scheduler, tenant } = here;
    // So slow that the next one is not waited for on the turn.
    const flushMicrosMax = 2_000_000;
    disk.setFaults({ flushMicrosMax });
    const done = await scheduler.settle(append(here));
    const call = disk.calls.write + 1;
    disk.setFaults({
      flushMicrosMax,
      fail: [{ kind: 'write', call, code: 'DISK_FULL', forGood: true }],
    });
    expect(await scheduler.settle(append(here, 200_000))).toBe('DISK_FULL');
    disk.setFaults({ flushMicrosMax });
    expect(engine.state.decidedPosition).toBeGreaterThan(done as number);
    for (let steps = 0; !engine.busy && steps < 1_000 && scheduler.step(); steps++) await turn();
    expect(framesOf(disk.image()).at(-1)?.header.kind).toBe('mark');
    const nothing = { kind: 'append', tenant, stream: 'visits', events: [], origin: {} } as const;
    const { position } = await scheduler.settle(
      engine.submit({ ...nothing, expectedVersion: undefined }),
    );
    expect(position).toBe(done);
  });
});

describe('back-pressure', () => {
  test('commands beyond the room of three frames wait undecided, and are served in order', async () => {
    const here = await world();
    const before = here.engine.state.decidedPosition;
    const answers = burst(here, sizes(60, 1_000));
    await turn();
    // Two frames on their way and one gathered, of about four commands each.
    expect(here.engine.state.decidedPosition - before).toBeLessThanOrEqual(15);
    expect(here.engine.state.decidedPosition - before).toBeGreaterThanOrEqual(12);
    await idle(here.scheduler);
    expect(answers).toHaveLength(60);
    expect(answers).toEqual(ascending(answers));
    const lengths = framesOf(here.disk.image()).map(({ offset, end }) => end - offset);
    expect(Math.max(...lengths)).toBeLessThan(4_096 + 2_500);
  });

  test('a command that waits keeps the values that it was sent with', async () => {
    const here = await world();
    const run = (sql: string, parameters: readonly unknown[]): Promise<unknown> =>
      here.engine.submit({
        kind: 'statement',
        tenant: here.tenant,
        statement: parseScript(sql)[0] as ParsedStatement,
        parameters,
        origin: {},
      });
    await here.scheduler.settle(run('CREATE TABLE t (id integer PRIMARY KEY, b bytea)', []));
    burst(here, sizes(40, 1_000));
    const bytes = Uint8Array.of(1, 2, 3);
    const parameters = [1, bytes];
    const inserted = run('INSERT INTO t VALUES ($1, $2)', parameters);
    bytes.fill(9);
    parameters[0] = 7;
    await here.scheduler.settle(inserted);
    const found = await here.scheduler.settle(
      run('UPDATE t SET id = 2 WHERE id = 1 AND b = $1', [Uint8Array.of(1, 2, 3)]),
    );
    expect(found).toMatchObject({ outcome: { rowCount: 1 } });
  });

  test('who sends more than may wait is refused, and nothing of it is begun', async () => {
    const here = await world();
    const answers = burst(here, sizes(eagerPace.commandsWaitingMax + 100, 1_000));
    await turn();
    const refused = answers.filter((answer) => answer === 'OVERLOADED').length;
    expect(refused).toBeGreaterThan(80);
    expect(answers).toHaveLength(refused);
    const before = here.engine.committedPosition;
    await idle(here.scheduler);
    const done = answers.filter((answer) => typeof answer === 'number');
    expect(done).toHaveLength(eagerPace.commandsWaitingMax + 100 - refused);
    expect(here.engine.committedPosition).toBe(Math.max(...done));
    expect(here.engine.committedPosition - before).toBeLessThanOrEqual(done.length);
  });
});

describe('a flush that fails in the background', () => {
  test('leaves nothing acknowledged of all frames on their way, and reads go on', async () => {
    const here = await world();
    const { head } = here.engine;
    const { calls } = here.disk;
    const next = calls.flushInBackground + 1;
    here.disk.setFaults({ fail: [{ call: next, kind: 'flushInBackground', code: 'IO_ERROR' }] });
    const answers = burst(here, sizes(60, 1_000));
    await turn();
    expect(framesOf(here.disk.image()).filter(({ header }) => header.op > head.op)).toHaveLength(2);
    await idle(here.scheduler);
    // Everybody gets an answer. Those on their way may be durable; those that waited were never begun.
    expect(answers).toHaveLength(60);
    expect(new Set(answers)).toEqual(new Set(['COMMIT_UNKNOWN', 'DATABASE_POISONED']));
    expect(answers.indexOf('DATABASE_POISONED')).toBeGreaterThanOrEqual(0);
    expect(here.engine.poisoned).toBe(true);
    expect(here.engine.head).toEqual(head);
    expect(here.engine.committedPosition).toBe(head.position);
    expect(here.engine.state.leafCount).toBe(head.leafCount);
    expect(await append(here)).toBe('DATABASE_POISONED');
    const flushes = calls.flush + calls.flushInBackground;
    await here.scheduler.settle(here.engine.close());
    expect(here.disk.calls.flush + here.disk.calls.flushInBackground).toBe(flushes);
    const reopened = await openEngineOn(here.disk, here.scheduler);
    expect(reopened.committedPosition).toBeGreaterThanOrEqual(head.position);
    const after = await here.scheduler.settle(append({ ...here, engine: reopened }));
    expect(after).toBeGreaterThan(head.position);
  });

  test('a write that fails while another frame is flushed acknowledges neither', async () => {
    const here = await world();
    const { head } = here.engine;
    const next = here.disk.calls.write + 2;
    here.disk.setFaults({ fail: [{ call: next, kind: 'write', code: 'IO_ERROR' }] });
    const answers = burst(here, sizes(8));
    await idle(here.scheduler);
    expect(answers).toEqual(Array.from({ length: 8 }, () => 'COMMIT_UNKNOWN'));
    expect(here.engine.head).toEqual(head);
  });

  test('leaves what was durable and not answered yet its results, in order before all failures', async () => {
    const here = await world({ pace: defaultPace });
    const next = here.disk.calls.write + 2;
    here.disk.setFaults({ fail: [{ call: next, kind: 'write', code: 'IO_ERROR' }] });
    // More than a turn decides: the answers to the first frame wait for a turn that decides on.
    const answers = burst(here, sizes(1_600));
    await idle(here.scheduler);
    expect(answers).toHaveLength(1_600);
    const done = answers.findIndex((answer) => typeof answer !== 'number');
    expect(done).toBeGreaterThan(400);
    expect(answers.slice(0, done)).toEqual(ascending(answers.slice(0, done)));
    expect(here.engine.committedPosition).toBe(answers[done - 1]);
    const failures = answers.slice(done);
    expect(failures.filter((answer) => typeof answer === 'number')).toEqual([]);
    expect(new Set(failures)).toEqual(new Set(['COMMIT_UNKNOWN', 'DATABASE_POISONED']));
    await here.scheduler.settle(here.engine.close(), 'inside');
  });
});

test('on a full disk what is on its way is acknowledged, the rest refused, and the handle goes on', async () => {
  const here = await world();
  let used = 0;
  for (const bytes of here.disk.image().values()) used += bytes.length;
  here.disk.setFaults({ capacityBytes: used + 100 });
  // Short enough for a leaf of the store: a longer row takes a page of its own at once.
  const answers = burst(here, sizes(80, 800));
  await idle(here.scheduler);
  const done = answers.filter((answer) => typeof answer === 'number');
  const refused = answers.filter((answer) => answer === 'DISK_FULL');
  expect(done.length).toBeGreaterThan(8);
  expect(refused.length).toBeGreaterThan(8);
  expect(done.length + refused.length).toBe(80);
  expect(here.engine.poisoned).toBe(false);
  expect(here.engine.state.leafCount).toBe(here.engine.head.leafCount);
  here.disk.setFaults({});
  const after = append(here);
  await idle(here.scheduler);
  expect(await after).toBeGreaterThan(here.engine.head.position - 2);
});

test('a durable frame that cannot be applied is answered as unknown, and poisons the handle', async () => {
  const here = await world();
  here.engine.state.commitAll = () => {
    throw new Error('a defect of ours');
  };
  expect(await here.scheduler.settle(append(here))).toBe('COMMIT_UNKNOWN');
  expect(here.engine.poisoned).toBe(true);
});

describe('closing', () => {
  test('makes durable what is on its way, gathered and waiting, and marks the clean end', async () => {
    const here = await world();
    const answers = burst(here, sizes(60, 1_000));
    await turn();
    const closing = here.engine.close();
    expect(await append(here)).toBe('CLOSED');
    await here.scheduler.settle(closing);
    await idle(here.scheduler);
    expect(answers.filter((answer) => typeof answer === 'number')).toHaveLength(60);
    const reopened = await openEngineOn(here.disk, here.scheduler);
    expect(reopened.recovery.cleanShutdown).toBe(true);
    expect(reopened.committedPosition).toBe(Math.max(...(answers as number[])));
  });

  test('does not wait for the turns that long work waits for, nor takes answers with it', async () => {
    for (const turns of [0, 1, 2]) {
      const here = await world({ pace: defaultPace });
      const answers = burst(here, sizes(1_600));
      await turn();
      for (let step = 0; step < turns; step++) {
        here.scheduler.step();
        await turn();
      }
      expect(answers.length).toBeLessThan(1_600);
      await here.scheduler.settle(here.engine.close(), 'inside');
      await idle(here.scheduler);
      expect(answers).toHaveLength(1_600);
      expect(answers).toEqual(ascending(answers));
      expect(here.engine.committedPosition).toBe(answers.at(-1));
    }
  });
});
