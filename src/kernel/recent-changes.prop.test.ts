import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import { RecentChanges } from './recent-changes.ts';

const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 3 });
const step = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: 'watch' } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('commit' as const),
      changes: fc.array(fc.record({ tree: fc.nat(2), key }), { maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('ask' as const),
      tree: fc.nat(2),
      from: fc.option(key, { nil: undefined }),
      to: fc.option(key, { nil: undefined }),
      back: fc.nat(12),
    }),
  },
);

test('what is remembered is what changed; what a watcher began before few enough changes is remembered', () => {
  let asked = 0;
  let known = 0;
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      (steps, max) => {
        const recent = new RecentChanges({ changesMax: max, charactersMax: 2 * max });
        const log: { position: number; tree: number; key: string }[] = [];
        let position = 0;
        let watchedAt: number | undefined;
        for (const each of steps) {
          if (each.kind === 'watch') {
            recent.watch(position as Position);
            watchedAt = position;
          } else if (each.kind === 'commit') {
            position += 1;
            const changes = each.changes.map((change) => ({
              tree: change.tree as TreeId,
              key: change.key as StoreKey,
              row: undefined,
              leaf: 0 as LeafIndex,
            }));
            for (const change of changes) log.push({ position, ...change });
            recent.add(position as Position, changes);
          } else {
            const since = Math.max(0, position - each.back);
            const { from, to, tree } = each;
            const range = {
              ...(from !== undefined && { from: from as StoreKey }),
              ...(to !== undefined && { to: to as StoreKey }),
            };
            const answer = recent.changedSince(tree as TreeId, range, since as Position);
            const newer = log.filter((change) => change.position > since);
            asked += 1;
            if (answer !== undefined) {
              known += 1;
              const hit = newer.some(
                (change) =>
                  change.tree === tree &&
                  (from === undefined || change.key >= from) &&
                  (to === undefined || change.key < to),
              );
              expect(answer).toBe(hit);
            } else if (watchedAt !== undefined && since >= watchedAt) {
              const characters = newer.reduce((sum, change) => sum + change.key.length, 0);
              const all = log.filter((change) => change.position > watchedAt!);
              const charactersOfAll = all.reduce((sum, change) => sum + change.key.length, 0);
              // Only what had no room is forgotten.
              expect(
                newer.length > max ||
                  characters > 2 * max ||
                  all.length > max ||
                  charactersOfAll > 2 * max,
              ).toBe(true);
            }
          }
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(known).toBeGreaterThan(asked / 10);
});
