import { expect, test } from 'vitest';
import { SimScheduler } from '../sim/index.ts';
import { Background } from './background.ts';

/** Defers so many slices, one after the other, and notes each. */
function work(background: Background, name: string, slices: number, done: string[]): void {
  background.defer(() => {
    done.push(name);
    if (slices > 1) work(background, name, slices - 1, done);
  });
}

test('one slice runs in a turn, first come, first served', () => {
  const scheduler = new SimScheduler();
  const background = new Background(scheduler);
  const done: string[] = [];
  work(background, 'a', 3, done);
  work(background, 'b', 1, done);
  work(background, 'c', 2, done);
  for (const expected of ['a', 'b', 'c', 'a', 'c', 'a']) {
    expect(scheduler.pendingCount).toBe(1);
    scheduler.step();
    expect(done.splice(0)).toEqual([expected]);
  }
  expect(scheduler.pendingCount).toBe(0);
  work(background, 'd', 1, done);
  scheduler.step();
  expect(done).toEqual(['d']);
});

test('a slice that throws takes nothing from the others', () => {
  const scheduler = new SimScheduler();
  const background = new Background(scheduler);
  const done: string[] = [];
  background.defer(() => {
    throw new Error('planned');
  });
  work(background, 'a', 1, done);
  expect(() => scheduler.step()).toThrow('planned');
  scheduler.step();
  expect(done).toEqual(['a']);
});

test('delays are those of the scheduler', async () => {
  const scheduler = new SimScheduler();
  const background = new Background(scheduler);
  const done: string[] = [];
  background.delay(5, () => done.push('later'));
  background.delay(1, () => done.push('never'))();
  await scheduler.run();
  expect(done).toEqual(['later']);
  expect(scheduler.elapsedMicros).toBe(5_000);
});
