import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoreKey } from '../base/index.ts';
import { hashSeedOf, KeyHasher, KeyTable } from './key-table.ts';

interface Value {
  readonly number: number;
}

test('keys of every length are hashed as the definition of HalfSipHash-1-3 says', () => {
  const seed = hashSeedOf(Uint8Array.from({ length: 8 }, (_, index) => index));
  const hasher = new KeyHasher(seed);
  for (let length = 0; length < 64; length++) {
    const bytes = Uint8Array.from({ length }, (_, index) => index);
    expect(hasher.hash(keyOf(bytes))).toBe(referenceHash(bytes, seed));
  }
});

test('another seed gives other hashes', () => {
  const key = keyOf(Uint8Array.of(1, 2, 3));
  const hashes = Array.from({ length: 100 }, (_, low) => new KeyHasher({ low, high: 7 }).hash(key));
  expect(new Set(hashes).size).toBe(100);
});

test('a table holds what a Map would after any sets and deletes, in any number', () => {
  const steps = fc.array(
    fc.record({ from: fc.nat(500), count: fc.integer({ min: 1, max: 300 }), remove: fc.boolean() }),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(steps, fc.integer(), (given, low) => {
      const table = new KeyTable<Value>(new KeyHasher({ low, high: 0 }));
      const model = new Map<StoreKey, Value>();
      let written = 0;
      for (const { from, count, remove } of given) {
        for (let number = from; number < from + count; number++) {
          const key = String(number % 600) as StoreKey;
          const value = { number: ++written };
          if (remove) expect(table.delete(key)).toBe(model.delete(key));
          else {
            table.set(key, value);
            model.set(key, value);
          }
        }
        expect(table.size).toBe(model.size);
      }
      expect(new Set(table.keys())).toEqual(new Set(model.keys()));
      for (let number = 0; number < 700; number++) {
        const key = String(number) as StoreKey;
        expect(table.get(key)).toBe(model.get(key));
      }
      table.clear();
      expect([table.size, table.get('1' as StoreKey), [...table.keys()]]).toEqual([
        0,
        undefined,
        [],
      ]);
    }),
    { numRuns: 100 },
  );
});

test('keys whose hashes are equal are told apart', () => {
  const hasher = new KeyHasher({ low: 1, high: 2 });
  const byHash = new Map<number, StoreKey>();
  let pair: readonly [StoreKey, StoreKey] | undefined;
  for (let number = 0; pair === undefined; number++) {
    const key = `key ${number}` as StoreKey;
    const other = byHash.get(hasher.hash(key));
    if (other !== undefined) pair = [other, key];
    byHash.set(hasher.hash(key), key);
  }
  const table = new KeyTable<Value>(hasher);
  table.set(pair[0], { number: 0 });
  expect(table.get(pair[1])).toBeUndefined();
  table.set(pair[1], { number: 1 });
  expect(pair.map((key) => table.get(key)?.number)).toEqual([0, 1]);
});

function keyOf(bytes: Uint8Array): StoreKey {
  return String.fromCharCode(...bytes) as StoreKey;
}

/** HalfSipHash-1-3 word for word as in the paper's C code. */
function referenceHash(
  bytes: Uint8Array,
  seed: { readonly low: number; readonly high: number },
): number {
  const v: [number, number, number, number] = [
    seed.low,
    seed.high,
    0x6c79_6765 ^ seed.low,
    0x7465_6462 ^ seed.high,
  ];
  const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
  const round = (): void => {
    v[0] = (v[0] + v[1]) | 0;
    v[1] = rotate(v[1], 5);
    v[1] ^= v[0];
    v[0] = rotate(v[0], 16);
    v[2] = (v[2] + v[3]) | 0;
    v[3] = rotate(v[3], 8);
    v[3] ^= v[2];
    v[0] = (v[0] + v[3]) | 0;
    v[3] = rotate(v[3], 7);
    v[3] ^= v[0];
    v[2] = (v[2] + v[1]) | 0;
    v[1] = rotate(v[1], 13);
    v[1] ^= v[2];
    v[2] = rotate(v[2], 16);
  };
  const left = bytes.length & 3;
  const whole = bytes.length - left;
  const words = new DataView(bytes.buffer);
  for (let at = 0; at < whole; at += 4) {
    const word = words.getInt32(at, true);
    v[3] ^= word;
    round();
    v[0] ^= word;
  }
  let last = bytes.length << 24;
  for (let index = 0; index < left; index++)
    last |= (bytes[whole + index] as number) << (8 * index);
  v[3] ^= last;
  round();
  v[0] ^= last;
  v[2] ^= 0xff;
  for (let count = 0; count < 3; count++) round();
  return v[1] ^ v[3];
}
