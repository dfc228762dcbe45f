import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Op, Position, TimestampMicros } from '../base/index.ts';
import { LogIndex, type LogPlace } from './log-index.ts';

/** Frames of a log: how long each is, how many positions and how much time it takes, and whether a segment starts. */
const frames = fc.array(
  fc.record({
    bytes: fc.integer({ min: 300, max: 50_000 }),
    positions: fc.oneof(fc.nat(3), fc.nat(700)),
    micros: fc.nat(2),
    roll: fc.nat(9),
  }),
  { maxLength: 60 },
);

function placesOf(
  given: readonly { bytes: number; positions: number; micros: number; roll: number }[],
): LogPlace[] {
  let [segment, offset, position, time] = [0, 128, 1, 1_000];
  return given.map(({ bytes, positions, micros, roll }, number) => {
    if (roll === 0) [segment, offset] = [segment + 1, 128];
    time += micros;
    const place = {
      path: `log/${segment}`,
      offset,
      op: (number + 1) as Op,
      position: position as Position,
      timestamp: time as TimestampMicros,
    };
    [offset, position] = [offset + bytes, position + positions];
    return place;
  });
}

test('reading from the place it names misses no frame at or after the position or time', () => {
  fc.assert(
    fc.property(frames, (given) => {
      const places = placesOf(given);
      const index = new LogIndex();
      for (const place of places) index.add(place);
      for (const wanted of places) {
        const byPosition = places.indexOf(index.before(wanted.position) as LogPlace);
        expect(byPosition).not.toBe(-1);
        expect(places[byPosition]?.position).toBeLessThanOrEqual(wanted.position);
        // The frame that holds the position is the last that starts at or before it.
        const holds = places.findLastIndex(({ position }) => position <= wanted.position);
        expect(byPosition).toBeLessThanOrEqual(holds);
        const byTime = places.indexOf(index.beforeTime(wanted.timestamp) as LogPlace);
        expect(byTime).toBeLessThanOrEqual(
          places.findLastIndex(({ timestamp }) => timestamp <= wanted.timestamp),
        );
        // And it is not far off: at most 64 KiB and one frame, within one segment.
        const near = places[byPosition] as LogPlace;
        const target = places[holds] as LogPlace;
        expect(near.path).toBe(target.path);
        expect(target.offset - near.offset).toBeLessThan(128 << 10);
      }
    }),
    { numRuns: 200 },
  );
});

test('before the first frame it names the first, and of an empty log none', () => {
  const index = new LogIndex();
  expect([index.before(1 as Position), index.beforeTime(1)]).toEqual([undefined, undefined]);
  const [first] = placesOf([{ bytes: 300, positions: 1, micros: 0, roll: 1 }]) as [LogPlace];
  index.add(first);
  expect([index.before(0 as Position), index.beforeTime(1)]).toEqual([first, first]);
});
