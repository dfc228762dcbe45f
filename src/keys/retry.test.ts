import { expect, test } from 'vitest';
import { type Entropy, Prng, VerityError } from '../base/index.ts';
import { SimScheduler } from '../sim/index.ts';
import { askWithRetry, ProviderDown, type ProviderNames, type RetrySettings } from './retry.ts';

const names: ProviderNames = {
  kind: 'test',
  service: 'The test',
  source: 'key-1',
  check: 'Check the test.',
};

interface Asked<T> {
  /** When each question came, in simulated milliseconds. */
  readonly times: number[];
  readonly result: T | VerityError;
  readonly endedAt: number;
  readonly timersLeft: number;
}

/** Asks in simulated time; `answer` gets the number of the attempt, from 1. */
async function asked<T>(
  settings: RetrySettings,
  answer: (attempt: number, signal: AbortSignal) => Promise<T>,
): Promise<Asked<T>> {
  const scheduler = new SimScheduler();
  const times: number[] = [];
  const ask = (signal: AbortSignal): Promise<T> => {
    times.push(scheduler.elapsedMicros / 1000);
    return answer(times.length, signal);
  };
  const whole = askWithRetry(names, { entropy: new Prng(1), ...settings, scheduler }, ask);
  const result = await scheduler
    .settle(whole, 'inside')
    .catch((error: unknown) => error as VerityError);
  const endedAt = scheduler.elapsedMicros / 1000;
  return { times, result, endedAt, timersLeft: scheduler.pendingCount };
}

const down = (): Promise<never> => Promise.reject(new ProviderDown('ETEST'));
const fixed = (byte: number): Entropy => ({ bytes: (count) => new Uint8Array(count).fill(byte) });

test('an answer ends it at once, and leaves no timer behind', async () => {
  const { times, result, endedAt, timersLeft } = await asked({}, async () => 'key');
  expect({ times, result, endedAt, timersLeft }).toEqual({
    times: [0],
    result: 'key',
    endedAt: 0,
    timersLeft: 0,
  });
});

test('pauses double up to their limit; jitter takes up to half of each', async () => {
  const settings = { forMs: 60_000, firstPauseMs: 100, pauseMsMax: 1_000 };
  const answer = (attempt: number): Promise<string> =>
    attempt <= 7 ? down() : Promise.resolve('key');
  const longest = await asked({ ...settings, entropy: fixed(255) }, answer);
  expect(longest.times).toEqual([0, 100, 300, 700, 1_500, 2_500, 3_500, 4_500]);
  const shortest = await asked({ ...settings, entropy: fixed(0) }, answer);
  expect(shortest.times).toEqual([0, 50, 150, 350, 750, 1_250, 1_750, 2_250]);
  const random = await asked(settings, answer);
  const pauses = random.times.slice(1).map((time, index) => time - (random.times[index] ?? 0));
  expect(new Set(pauses.slice(4)).size).toBeGreaterThan(1);
});

test('after the time it asks once more, then gives up and says why', async () => {
  const settings = { forMs: 1_000, firstPauseMs: 400, pauseMsMax: 400, entropy: fixed(255) };
  const { times, result, endedAt, timersLeft } = await asked(settings, down);
  expect(times).toEqual([0, 400, 800, 1_000]);
  expect([endedAt, timersLeft]).toEqual([1_000, 0]);
  expect(result).toMatchObject({
    code: 'KEY_PROVIDER_UNAVAILABLE',
    retryable: true,
    details: { provider: 'test', key: 'key-1', reason: 'ETEST', attempts: 4 },
  });
  expect((result as VerityError).message).toBe(
    'The test does not answer for the key key-1 (4 attempts; last: ETEST). Check the test.',
  );
});

test('silence counts as no answer after its time, and the question is withdrawn', async () => {
  const withdrawn: boolean[] = [];
  const { times, result } = await asked(
    { forMs: 5_000, firstPauseMs: 10, attemptMs: 2_000, entropy: fixed(255) },
    (_attempt, signal) =>
      new Promise<never>(() => {
        signal.addEventListener('abort', () => withdrawn.push(true));
      }),
  );
  expect(times).toEqual([0, 2_010, 4_030]);
  expect(withdrawn).toEqual([true, true, true]);
  expect(result).toMatchObject({ details: { reason: 'no answer within 2000 ms', attempts: 3 } });
});

test('the first failure is told, once', async () => {
  const told: string[] = [];
  const onWait = (reason: string): void => void told.push(reason);
  await asked({ forMs: 60_000, onWait }, (attempt) =>
    attempt <= 5 ? down() : Promise.resolve('key'),
  );
  await asked({ forMs: 0, onWait }, down);
  await asked({ onWait }, () => Promise.resolve('key'));
  expect(told).toEqual(['ETEST']);
});

test('a refusal is an answer: it is not asked again', async () => {
  const refusal = new VerityError('KEY_PROVIDER_DENIED', 'No.');
  const { times, result } = await asked({}, () => Promise.reject(refusal));
  expect(times).toHaveLength(1);
  expect(result).toBe(refusal);
});

test('no time at all is one question', async () => {
  const { times, result } = await asked({ forMs: 0 }, down);
  expect(times).toEqual([0]);
  expect(result).toMatchObject({ code: 'KEY_PROVIDER_UNAVAILABLE' });
});
