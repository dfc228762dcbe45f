import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StoreKey } from '../base/index.ts';
import { OrderedMap } from './ordered-map.ts';

const keysBelow = 1_600;
interface Value {
  readonly number: number;
}

const keyOf = (number: number): StoreKey => String(number).padStart(4, '0') as StoreKey;

/** Long enough to split chunks of 512 keys and to empty them again. */
const steps = fc.array(
  fc.record({
    from: fc.nat(keysBelow),
    count: fc.integer({ min: 1, max: 700 }),
    step: fc.constantFrom(-1, 1, 7),
    remove: fc.boolean(),
  }),
  { minLength: 1, maxLength: 12 },
);

test('it holds what a sorted list would, after any sets and deletes', () => {
  fc.assert(
    fc.property(
      steps,
      fc.array(fc.nat(keysBelow), { minLength: 5, maxLength: 40 }),
      (given, probes) => {
        const map = new OrderedMap<Value>();
        const model = new Map<StoreKey, Value>();
        let written = 0;
        for (const { from, count, step, remove } of given) {
          for (let index = 0; index < count; index++) {
            const key = keyOf((from + index * step + keysBelow * 10) % keysBelow);
            if (remove) expect(map.delete(key)).toBe(model.delete(key));
            else {
              const value = { number: ++written };
              map.set(key, value);
              model.set(key, value);
            }
          }
          // Walked in between, too: what is added later must find its place among what is in order.
          expect(map.ceiling(undefined)?.key).toBe([...model.keys()].toSorted()[0]);
        }
        const sorted = [...model].toSorted(([left], [right]) => (left < right ? -1 : 1));
        expect(map.size).toBe(sorted.length);
        expect(walkUp(map)).toEqual(sorted);
        expect(walkDown(map)).toEqual(sorted.toReversed());
        for (const probe of probes) probeAt(map, sorted, keyOf(probe));
      },
    ),
    { numRuns: 60 },
  );
});

function walkUp(map: OrderedMap<Value>): [StoreKey, Value][] {
  const seen: [StoreKey, Value][] = [];
  for (
    let entry = map.ceiling(undefined);
    entry !== undefined;
    entry = map.ceiling(entry.key, true)
  ) {
    seen.push([entry.key, entry.value]);
  }
  return seen;
}

function walkDown(map: OrderedMap<Value>): [StoreKey, Value][] {
  const seen: [StoreKey, Value][] = [];
  for (let entry = map.below(undefined); entry !== undefined; entry = map.below(entry.key)) {
    seen.push([entry.key, entry.value]);
  }
  return seen;
}

function probeAt(map: OrderedMap<Value>, sorted: [StoreKey, Value][], key: StoreKey): void {
  const pair = (entry: { key: StoreKey; value: Value } | undefined) =>
    entry && [entry.key, entry.value];
  expect(map.get(key)).toBe(sorted.find(([other]) => other === key)?.[1]);
  expect(pair(map.ceiling(key))).toEqual(sorted.find(([other]) => other >= key));
  expect(pair(map.ceiling(key, true))).toEqual(sorted.find(([other]) => other > key));
  expect(pair(map.below(key))).toEqual(sorted.findLast(([other]) => other < key));
}

test('a cleared map is empty and can be filled again', () => {
  const map = new OrderedMap<Value>();
  for (let number = 0; number < 1_200; number++) map.set(keyOf(number), { number });
  map.clear();
  expect([map.size, map.ceiling(undefined), map.below(undefined), map.get(keyOf(3))]).toEqual([
    0,
    undefined,
    undefined,
    undefined,
  ]);
  map.set(keyOf(3), { number: 3 });
  expect(walkUp(map)).toEqual([[keyOf(3), { number: 3 }]]);
});
