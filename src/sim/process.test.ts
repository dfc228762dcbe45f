/** Processes on a simulated machine, and what is left of them. */
import { expect, test } from 'vitest';
import { ProcessGone, SimDisk, SimProcess, SimScheduler } from './index.ts';

function processOn(disk = new SimDisk()): { process: SimProcess; scheduler: SimScheduler } {
  const scheduler = new SimScheduler();
  return { process: new SimProcess(disk, scheduler), scheduler };
}

test('nothing of a killed process runs any more', async () => {
  const { process, scheduler } = processOn();
  let ran = 0;
  process.scheduler.defer(() => void (ran += 1));
  process.scheduler.delay(5, () => void (ran += 1));
  process.kill();
  await scheduler.run();
  expect(ran).toBe(0);
  expect(() => process.disk.exists('')).toThrow(ProcessGone);
});

test('who waits for it learns that it is gone', async () => {
  const { process } = processOn();
  const waiting = process.live(new Promise(() => undefined));
  process.kill();
  await expect(waiting).rejects.toThrow(ProcessGone);
});

test('it is killed before the call that was named, which does not happen', () => {
  const disk = new SimDisk();
  const { process } = processOn(disk);
  process.disk.killAt(2);
  process.disk.makeDirectory('a');
  expect(() => process.disk.makeDirectory('b')).toThrow(ProcessGone);
  expect(disk.exists('a')).toBe(true);
  expect(disk.exists('b')).toBe(false);
});

test('a flush that blocks takes simulated time', () => {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ scheduler });
  disk.open('file', 'create').flush();
  expect(scheduler.elapsedMicros).toBeGreaterThanOrEqual(100);
});

test('failures of background flushes are noted when they come', async () => {
  const disk = new SimDisk({ faults: { fail: [{ call: 2, code: 'IO_ERROR' }] } });
  const { process } = processOn(disk);
  const flushed = process.disk.open('file', 'create').flushInBackground();
  expect(process.disk.failures).toEqual([]);
  await expect(flushed).rejects.toThrow('failed');
  expect(process.disk.failures).toMatchObject([{ method: 'flushInBackground', code: 'IO_ERROR' }]);
});
