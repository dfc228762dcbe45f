import { expect, test } from 'vitest';
import { AssertionError, Prng } from '../base/index.ts';
import { SimClock, SimScheduler } from './index.ts';

test('deferred tasks run in order and before any delay, delays by time and then by order', async () => {
  const scheduler = new SimScheduler();
  const order: string[] = [];
  scheduler.delay(2, () => order.push('2 ms'));
  scheduler.delay(1, () => order.push('1 ms'));
  scheduler.delay(1, () => order.push('1 ms again'));
  scheduler.defer(() => {
    order.push('first');
    scheduler.defer(() => order.push('third'));
  });
  scheduler.defer(() => order.push('second'));
  await scheduler.run();
  expect(order).toEqual(['first', 'second', 'third', '1 ms', '1 ms again', '2 ms']);
  expect(scheduler.pendingCount).toBe(0);
});

test('nothing runs by itself, and step runs one task', () => {
  const scheduler = new SimScheduler();
  let runs = 0;
  scheduler.defer(() => runs++);
  scheduler.defer(() => runs++);
  expect(runs).toBe(0);
  expect(scheduler.step()).toBe(true);
  expect(runs).toBe(1);
  expect(scheduler.step()).toBe(true);
  expect(scheduler.step()).toBe(false);
});

test('a cancelled delay never runs and takes no time', async () => {
  const scheduler = new SimScheduler();
  const cancel = scheduler.delay(10, () => expect.unreachable());
  cancel();
  cancel();
  await scheduler.run();
  expect(scheduler.elapsedMicros).toBe(0);
});

test('delays move the clock by as much, wherever it was set meanwhile', async () => {
  const clock = new SimClock(1_000_000);
  const scheduler = new SimScheduler(clock);
  scheduler.delay(1.5, () => {
    expect(clock.now()).toBe(1_001_500);
    clock.set(5);
  });
  scheduler.delay(2, () => expect(clock.now()).toBe(505));
  await scheduler.run();
  expect(scheduler.elapsedMicros).toBe(2_000);
});

test('run also carries the promises between tasks', async () => {
  const scheduler = new SimScheduler();
  const order: string[] = [];
  const turn = (): Promise<void> => new Promise((resolve) => scheduler.defer(resolve));
  const work = async (name: string): Promise<void> => {
    for (let round = 1; round <= 2; round++) {
      await turn();
      order.push(`${name}${round}`);
    }
  };
  void work('a');
  void work('b');
  await scheduler.run();
  expect(order).toEqual(['a1', 'b1', 'a2', 'b2']);
});

test('run reports a task that schedules itself for ever', async () => {
  const scheduler = new SimScheduler();
  const again = (): void => void scheduler.delay(1, again);
  again();
  await expect(scheduler.run(100)).rejects.toThrow(AssertionError);
});

test('settle runs until the promise settles, leaves later tasks queued, and passes failures on', async () => {
  const scheduler = new SimScheduler();
  const after = (milliseconds: number): Promise<number> =>
    new Promise((resolve) => scheduler.delay(milliseconds, () => resolve(milliseconds)));
  scheduler.delay(50, () => expect.unreachable());
  expect(await scheduler.settle(after(5))).toBe(5);
  expect(scheduler.pendingCount).toBe(1);
  await expect(scheduler.settle(Promise.reject(new RangeError('no')))).rejects.toThrow(RangeError);
});

test('settle waits for what happens outside the simulation', async () => {
  const scheduler = new SimScheduler();
  const outside = new Promise<string>((resolve) =>
    setTimeout(() => scheduler.defer(() => resolve('done')), 5),
  );
  expect(await scheduler.settle(outside)).toBe('done');
});

test('the clock stands still, moves, steps and goes back as told', () => {
  const clock = new SimClock(100);
  expect([clock.now(), clock.now()]).toEqual([100, 100]);
  clock.advance(-150);
  expect(clock.now()).toBe(-50);
  const stepping = new SimClock(0, 3);
  expect([stepping.now(), stepping.now(), stepping.now()]).toEqual([0, 3, 6]);
  expect(() => clock.set(0.5)).toThrow(AssertionError);
});

test('the same seed gives the same random bytes', () => {
  expect(new Prng(5).bytes(32)).toEqual(new Prng(5).bytes(32));
  expect(new Prng(5).bytes(32)).not.toEqual(new Prng(6).bytes(32));
});
