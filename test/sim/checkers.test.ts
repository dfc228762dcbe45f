/** A checker that never fires proves nothing: each must notice the fault that is planted for it. */
import { describe, expect, test } from 'vitest';
import { databaseWorld, runSeed, shrink } from '../../src/sim/index.ts';
import { embeddedDatabase } from '../../src/cli/sim/world.ts';
import { plantedFaults } from './planted.ts';

const seedsMax = 60;
await embeddedDatabase().prepare();

describe('each checker fires at the fault that is planted for it', () => {
  test.each(Object.keys(plantedFaults))('%s', async (checker) => {
    const kind = databaseWorld(plantedFaults[checker] as (typeof plantedFaults)[string]);
    const fired = new Set<string>();
    for (let seed = 1; seed <= seedsMax && !fired.has(checker); seed++) {
      fired.add((await runSeed(kind, seed)).violation?.checker ?? 'none');
    }
    expect([...fired]).toContain(checker);
  });

  test('there is one for every checker that a run must reach', () => {
    const { checkers } = embeddedDatabase().least;
    expect(checkers.filter((name) => !Object.hasOwn(plantedFaults, name))).toEqual([]);
  });
});

test('a failing seed shrinks to the events that it takes, and these fail again', async () => {
  const kind = databaseWorld(plantedFaults['no phantom'] as (typeof plantedFaults)[string]);
  let seed = 1;
  for (;;) {
    const { violation } = await runSeed(kind, seed);
    if (violation?.checker === 'no phantom') break;
    seed += 1;
  }
  const found = await shrink(kind, { seed, checker: 'no phantom', message: '' });
  expect(found.keep.length).toBeLessThan(8);
  expect(found.events.at(-1)).toContain('delete');
  const again = await runSeed(kind, seed, { keep: found.keep });
  expect(again.violation?.message).toBe(found.message);
  for (const left of found.keep) {
    const without = found.keep.filter((index) => index !== left);
    const { violation } = await runSeed(kind, seed, { keep: without });
    expect(violation?.checker).not.toBe('no phantom');
  }
});
