import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FreeMap } from './free-map.ts';

test('pages are given out once until they come back, and free ones before new ones', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ count: fc.integer({ min: 1, max: 70 }), back: fc.nat(30) }), {
        maxLength: 80,
      }),
      (steps) => {
        const map = new FreeMap();
        const taken = new Set<number>();
        const ranges: { page: number; count: number }[] = [];
        for (const { count, back } of steps) {
          const returned = back < ranges.length ? ranges.splice(back, 1)[0] : undefined;
          if (returned !== undefined) {
            map.release(returned.page, returned.count);
            for (let index = 0; index < returned.count; index++)
              taken.delete(returned.page + index);
          }
          const before = map.pageCount;
          const hasRoom = longestFree(taken, before) >= count;
          const page = map.allocate(count);
          expect(page < before).toBe(hasRoom);
          for (let index = page; index < page + count; index++) {
            expect(taken.has(index)).toBe(false);
            taken.add(index);
          }
          ranges.push({ page, count });
          expect(map.freeCount).toBe(map.pageCount - taken.size);
        }
        for (let page = 0; page < map.pageCount + 40; page++)
          expect(map.isTaken(page)).toBe(taken.has(page));
      },
    ),
    { numRuns: 100 },
  );
});

test('what is marked as used twice is found out', () => {
  const map = new FreeMap();
  expect([map.take(5, 3), map.take(1, 4), map.take(7, 1), map.take(8, 1)]).toEqual([
    true,
    true,
    false,
    true,
  ]);
  expect([map.pageCount, map.freeCount]).toEqual([9, 1]);
});

function longestFree(taken: ReadonlySet<number>, pageCount: number): number {
  let longest = 0;
  let run = 0;
  for (let page = 0; page < pageCount; page++) {
    run = taken.has(page) ? 0 : run + 1;
    longest = Math.max(longest, run);
  }
  return longest;
}
