import { expect, test } from 'vitest';
import type { LogId } from '../base/index.ts';
import { SecretKey, SectionKey } from '../crypto/index.ts';
import { SimClock, SimScheduler } from '../sim/index.ts';
import { KeyCache } from './key-cache.ts';

const logId = new Uint8Array(16) as LogId;
const made = (fill: number): SectionKey =>
  new SectionKey(new SecretKey(new Uint8Array(32).fill(fill)), new Uint8Array(32), {
    logId,
    tenant: 1,
    secretNumber: 1,
    algorithm: 'aes-256-gcm',
  });
const isWiped = (key: SectionKey): boolean => {
  try {
    key.seal(new Uint8Array(), new Uint8Array());
    return false;
  } catch {
    return true;
  }
};

function timed(bounds = { keysMax: 3, ageMsMax: 1_000 }) {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  return { clock, scheduler, cache: new KeyCache<string>(bounds, { clock, scheduler }) };
}

test('a key is made once and kept', () => {
  const { cache } = timed();
  const key = cache.get('a', () => made(1));
  expect(cache.get('a', () => expect.unreachable())).toBe(key);
  expect(cache.get('b', () => undefined)).toBeUndefined();
  expect(cache.size).toBe(1);
});

test('beyond its number of keys the one made first is wiped and goes', () => {
  const { cache } = timed();
  const keys = [1, 2, 3, 4].map((fill) => cache.get(String(fill), () => made(fill)) as SectionKey);
  expect(cache.size).toBe(3);
  expect(keys.map(isWiped)).toEqual([true, false, false, false]);
});

test('a key that is too old is wiped and made anew, by the clock', () => {
  const { cache, clock } = timed();
  const key = cache.get('a', () => made(1)) as SectionKey;
  clock.advance(999_000);
  expect(cache.get('a', () => expect.unreachable())).toBe(key);
  clock.advance(1_000);
  const again = cache.get('a', () => made(1)) as SectionKey;
  expect([isWiped(key), isWiped(again)]).toEqual([true, false]);
});

test('a clock that was set back keeps no key alive', () => {
  const { cache, clock } = timed();
  const key = cache.get('a', () => made(1)) as SectionKey;
  clock.advance(-10_000_000);
  cache.get('a', () => made(1));
  expect(isWiped(key)).toBe(true);
});

test('an idle process wipes its keys, too, and then no timer is left', async () => {
  const { cache, scheduler } = timed();
  const keys = [1, 2].map((fill) => cache.get(String(fill), () => made(fill)) as SectionKey);
  await scheduler.run();
  expect(keys.map(isWiped)).toEqual([true, true]);
  expect([cache.size, scheduler.pendingCount]).toEqual([0, 0]);
});

test('wiping takes every key and the timer', () => {
  const { cache, scheduler } = timed();
  const key = cache.get('a', () => made(1)) as SectionKey;
  cache.wipe();
  expect([isWiped(key), cache.size, scheduler.pendingCount]).toEqual([true, 0, 0]);
});
