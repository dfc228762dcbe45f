import { expect, test } from 'vitest';
import { CorruptionError } from '../base/index.ts';
import { SimScheduler } from '../sim/index.ts';
import { pagesPath } from '../store/index.ts';
import { PageWalk } from './page-walk.ts';

const unreachable = (): void => {
  throw new Error('no damage was met');
};

/** What becomes of the map of free pages. */
function world(pageCount: number, damagedAt?: number) {
  const seen = { read: 0, ended: false, givenUp: false };
  function* steps(): Generator<void, void> {
    while (seen.read < pageCount) {
      if (seen.read === damagedAt)
        throw new CorruptionError('AUTHENTICATION_FAILED', pagesPath, 4096, 'A bad page lies');
      seen.read += 1;
      yield;
    }
  }
  const pages = {
    endMarking: () => {
      seen.ended = true;
    },
    giveUpMarking: () => {
      seen.givenUp = true;
    },
  };
  return { walk: new PageWalk(pages, steps()), seen };
}

test('a walk goes on in slices, others come to their turn between them, and it ends', async () => {
  const scheduler = new SimScheduler();
  const { walk, seen } = world(1_000);
  walk.step(100);
  expect([seen.read, walk.isOver]).toEqual([100, false]);
  walk.start(scheduler, unreachable);
  let turns = 0;
  const count = (): void => {
    turns += 1;
    if (!walk.isOver) scheduler.defer(count);
  };
  scheduler.defer(count);
  await scheduler.settle(new Promise<void>((resolve) => void scheduler.delay(1_000, resolve)));
  expect(turns).toBeGreaterThan(10);
  expect(seen).toEqual({ read: 1_000, ended: true, givenUp: false });
});

test('a damaged page ends it, and is told of once', async () => {
  const scheduler = new SimScheduler();
  const { walk, seen } = world(1_000, 300);
  const told: unknown[] = [];
  walk.start(scheduler, (error) => told.push(error));
  await scheduler.settle(new Promise<void>((resolve) => void scheduler.delay(1_000, resolve)));
  expect(told).toMatchObject([{ file: pagesPath, offset: 4096 }]);
  expect(seen).toEqual({ read: 300, ended: false, givenUp: true });
  expect(walk.isOver).toBe(true);
});

test('stopped, it reads no further page', async () => {
  const scheduler = new SimScheduler();
  const { walk, seen } = world(1_000);
  walk.start(scheduler, unreachable);
  walk.stop();
  await scheduler.settle(new Promise<void>((resolve) => void scheduler.delay(1_000, resolve)));
  expect(seen).toEqual({ read: 0, ended: false, givenUp: false });
});
