import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { systemClock, systemEntropy, systemScheduler } from './index.ts';

afterEach(() => void vi.restoreAllMocks());

const microsPerMilli = 1_000;

test('the clock agrees with Date.now() to the millisecond', () => {
  for (let round = 0; round < 10_000; round++) {
    const before = Date.now();
    const millis = Math.floor(systemClock.now() / microsPerMilli);
    expect(millis).toBeGreaterThanOrEqual(before);
    expect(millis).toBeLessThanOrEqual(Date.now());
  }
});

test('the clock tells times within a millisecond apart', () => {
  const seen = new Set<number>();
  const start = Date.now();
  while (Date.now() < start + 5) seen.add(systemClock.now());
  expect(seen.size).toBeGreaterThan(50);
});

test('the clock follows the system clock forwards and backwards', () => {
  const real = Date.now();
  for (const millis of [real + 3_600_000, real - 3_600_000, real]) {
    vi.spyOn(Date, 'now').mockReturnValue(millis);
    expect(Math.floor(systemClock.now() / microsPerMilli)).toBe(millis);
  }
});

test('entropy gives plain bytes that the caller owns, and never the same twice', () => {
  const first = systemEntropy.bytes(32);
  const second = systemEntropy.bytes(32);
  expect(Object.getPrototypeOf(first)).toBe(Uint8Array.prototype);
  expect(first.buffer.byteLength).toBe(32);
  expect(first).not.toEqual(second);
  expect(systemEntropy.bytes(0)).toHaveLength(0);
  expect(systemEntropy.bytes(100_000)).toHaveLength(100_000);
});

test('defer runs later and after promises; a cancelled delay never runs', async () => {
  const order: string[] = [];
  systemScheduler.delay(1, () => order.push('cancelled'))();
  await new Promise<void>((resolve) => {
    systemScheduler.defer(() => {
      order.push('deferred');
      systemScheduler.delay(5, resolve);
    });
    void Promise.resolve().then(() => order.push('promise'));
    order.push('now');
  });
  expect(order).toEqual(['now', 'promise', 'deferred']);
});

test('a delay does not keep the process alive', () => {
  const hostModule = pathToFileURL(join(import.meta.dirname, 'index.ts')).href;
  const script = `import { systemScheduler } from ${JSON.stringify(hostModule)}; systemScheduler.delay(600_000, () => {});`;
  const { status } = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', script],
    { timeout: 15_000 },
  );
  expect(status).toBe(0);
});
