import { describe, expect, test } from 'vitest';
import { CorruptionError, type TimestampMicros, utf8Decode, VerityError } from '../base/index.ts';
import type { Command } from '../kernel/index.ts';
import { SimClock, SimScheduler } from '../sim/index.ts';
import { SecurityMonitor, type SecurityFailure, SecurityRecorder } from './security.ts';

const wrongKey = (): VerityError => new VerityError('WRONG_KEY', 'No.');
const forged = (offset: number): CorruptionError =>
  new CorruptionError('AUTHENTICATION_FAILED', 'log/1.vlog', offset, 'A section lies');

interface World {
  readonly clock: SimClock;
  readonly scheduler: SimScheduler;
  readonly monitor: SecurityMonitor;
  readonly reported: SecurityFailure[];
  readonly recorded: Record<string, unknown>[];
  readonly wait: (milliseconds: number) => Promise<void>;
}

function world(submit?: (command: Command) => Promise<unknown>): World & {
  recorder: SecurityRecorder;
} {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const reported: SecurityFailure[] = [];
  const recorded: Record<string, unknown>[] = [];
  const monitor = new SecurityMonitor({ clock, onFailure: (failure) => reported.push(failure) });
  const record = (command: Command): Promise<unknown> => {
    if (command.kind === 'append')
      for (const event of command.events)
        recorded.push(JSON.parse(utf8Decode(event)) as Record<string, unknown>);
    return Promise.resolve();
  };
  const recorder = new SecurityRecorder({ monitor, scheduler, submit: submit ?? record });
  const wait = (milliseconds: number): Promise<void> =>
    scheduler.settle(new Promise((resolve) => void scheduler.delay(milliseconds, resolve)));
  return { clock, scheduler, monitor, reported, recorded, wait, recorder };
}

describe('the monitor', () => {
  test('counts failures of authentication, and no others', () => {
    const { monitor } = world();
    monitor.observe(wrongKey());
    monitor.observe(forged(7));
    monitor.observe(forged(9));
    monitor.observe(new VerityError('DISK_FULL', 'No.'));
    monitor.observe(new CorruptionError('CHECKSUM_MISMATCH', 'log', 1, 'Bytes lie'));
    monitor.observe(new Error('no'));
    monitor.observe(undefined);
    expect(monitor.figures).toMatchObject({
      failures: 3,
      byCode: { WRONG_KEY: 1, AUTHENTICATION_FAILED: 2 },
      suppressed: 0,
    });
  });

  test('counts an error that passes two places once', () => {
    const { monitor } = world();
    const error = forged(7);
    expect(() =>
      monitor.watch(() =>
        monitor.watch(() => {
          throw error;
        }),
      ),
    ).toThrow(error);
    expect(monitor.figures.failures).toBe(1);
  });

  test('reports ten a minute, then how many it kept back', async () => {
    const { monitor, reported, wait } = world();
    for (let count = 0; count < 1_000; count++) monitor.observe(forged(count));
    expect(reported).toHaveLength(10);
    expect(reported[0]).toMatchObject({ file: 'log/1.vlog', offset: 0, suppressed: 0 });
    await wait(59_000);
    monitor.observe(wrongKey());
    expect(reported).toHaveLength(10);
    await wait(2_000);
    monitor.observe(wrongKey());
    expect(reported).toHaveLength(11);
    expect(reported[10]).toMatchObject({ code: 'WRONG_KEY', suppressed: 991 });
    expect(monitor.figures).toMatchObject({ failures: 1_002, suppressed: 991 });
  });

  test('goes on when the clock is set back', () => {
    const { monitor, reported, clock } = world();
    for (let count = 0; count < 20; count++) monitor.observe(wrongKey());
    clock.set((clock.now() - 3_600_000_000) as TimestampMicros);
    monitor.observe(wrongKey());
    expect(reported).toHaveLength(11);
  });
});

describe('the recorder', () => {
  test('records soon, then one summary a minute, whatever comes', async () => {
    const { monitor, recorded, wait } = world();
    monitor.observe(forged(7));
    // Not in the middle of what met it, which may be another command.
    expect(recorded).toEqual([]);
    await wait(0);
    expect(recorded).toEqual([
      expect.objectContaining({
        failures: 1,
        byCode: { AUTHENTICATION_FAILED: 1 },
        file: 'log/1.vlog',
        offset: 7,
      }),
    ]);
    for (let second = 0; second < 180; second++) {
      for (let count = 0; count < 100; count++) monitor.observe(wrongKey());
      await wait(1_000);
    }
    expect(recorded.length).toBeGreaterThan(2);
    expect(recorded.length).toBeLessThanOrEqual(4);
    const sum = recorded.reduce((total, { failures }) => total + (failures as number), 0);
    expect(sum).toBeGreaterThan(11_000);
  });

  test('waits its minute also when recording fails in the same way', async () => {
    let submitted = 0;
    const failing = world(() => {
      submitted += 1;
      failing.monitor.observe(wrongKey());
      return Promise.resolve();
    });
    failing.monitor.observe(wrongKey());
    await failing.wait(180_000);
    expect(submitted).toBeGreaterThan(1);
    expect(submitted).toBeLessThanOrEqual(4);
  });

  test('is quiet when nothing failed', async () => {
    const { recorder, recorded, wait } = world();
    recorder.start();
    await wait(200_000);
    recorder.finish();
    expect(recorded).toEqual([]);
  });

  test('records what failed before it, and what is left at the end', async () => {
    const { monitor, recorded, recorder, wait } = world();
    monitor.observe(wrongKey());
    monitor.observe(wrongKey());
    await wait(0);
    monitor.observe(wrongKey());
    expect(recorded).toHaveLength(1);
    recorder.finish();
    expect(recorded).toHaveLength(2);
    monitor.observe(wrongKey());
    expect(recorded).toHaveLength(2);
  });

  test('a record that cannot be written stops nobody', async () => {
    const thrown = world(() => {
      throw new VerityError('DATABASE_POISONED', 'No.');
    });
    thrown.monitor.observe(wrongKey());
    const rejected = world(() => Promise.reject(new VerityError('DISK_FULL', 'No.')));
    rejected.monitor.observe(wrongKey());
    await rejected.wait(61_000);
    expect(thrown.monitor.figures.failures + rejected.monitor.figures.failures).toBe(2);
  });
});
