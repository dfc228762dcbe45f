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

test('while it is marked what is used, nothing that was there is given out; then exactly the rest is free', () => {
  const used = fc.uniqueArray(fc.nat(199), { maxLength: 120 });
  const steps = fc.array(fc.record({ count: fc.integer({ min: 1, max: 9 }), back: fc.nat(9) }), {
    maxLength: 40,
  });
  fc.assert(
    fc.property(used, steps, fc.integer({ min: 200, max: 260 }), (pages, during, pageCount) => {
      const map = new FreeMap();
      map.take(0, 1);
      map.beginMarking(pageCount);
      const taken = new Set<number>([0, ...pages]);
      const ranges = pages.filter((page) => page > 0).map((page) => ({ page, count: 1 }));
      const toMark = [...ranges];
      for (const { count, back } of during) {
        const next = toMark.pop();
        if (next !== undefined) expect(map.mark(next.page, next.count)).toBe(true);
        const page = map.allocate(count);
        expect(page).toBeGreaterThanOrEqual(pageCount);
        for (let index = page; index < page + count; index++) taken.add(index);
        ranges.push({ page, count });
        const returned = ranges.splice(back, 1)[0];
        if (returned === undefined) continue;
        map.release(returned.page, returned.count);
        for (let index = 0; index < returned.count; index++) taken.delete(returned.page + index);
      }
      expect(map.isKnown).toBe(false);
      for (const { page, count } of toMark) expect(map.mark(page, count)).toBe(true);
      map.endMarking();
      expect(map.isKnown).toBe(true);
      for (let page = 0; page < map.pageCount; page++)
        expect(map.isTaken(page)).toBe(taken.has(page));
      expect(map.freeCount).toBe(map.pageCount - taken.size);
      const again = map.allocate(1);
      expect(taken.has(again)).toBe(false);
    }),
    { numRuns: 200 },
  );
});

test('what is marked as used twice, or was not there, is found out', () => {
  const map = new FreeMap();
  map.take(0, 1);
  map.beginMarking(9);
  expect([map.mark(5, 3), map.mark(1, 4), map.mark(7, 1), map.mark(8, 1), map.mark(9, 1)]).toEqual([
    true,
    true,
    false,
    true,
    false,
  ]);
  expect(map.mark(0, 1)).toBe(false);
});

test('where marking is given up, no page that is there is used again, until others are kept alone', () => {
  const map = new FreeMap();
  map.take(0, 1);
  map.beginMarking(9);
  map.mark(3, 2);
  map.giveUpMarking();
  const page = map.allocate(2);
  map.release(page, 2);
  map.release(3, 2);
  expect([page, map.allocate(1)]).toEqual([9, 11]);
  const rest: number[][] = [];
  map.settleMarking(
    (each) => each === 0 || each === 11,
    (first, count) => rest.push([first, count]),
  );
  expect(rest).toEqual([[1, 10]]);
  map.release(1, 10);
  expect([map.freeCount, map.allocate(10)]).toEqual([10, 1]);
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
