/** Many seeds, as `verity sim` runs them. */
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { embeddedDatabase } from '../../src/cli/sim/world.ts';
import { runSeed, RunsSummary } from '../../src/sim/index.ts';

const seeds = 500;
const seedsPerTest = 50;
const kind = embeddedDatabase();
await kind.prepare();
const summary = new RunsSummary(kind.least);

describe('whatever the disk, the clock and the end of processes do, everything that was told is so', () => {
  for (let first = 1; first <= seeds; first += seedsPerTest) {
    test(`seeds ${first} to ${first + seedsPerTest - 1}`, async () => {
      for (let seed = first; seed < first + seedsPerTest; seed++) {
        const result = await runSeed(kind, seed);
        summary.add(result);
        const { violation } = result;
        if (violation === undefined) continue;
        throw new Error(
          `seed ${seed}, ${violation.checker}: ${violation.message}\n` +
            `Shrink it: npm run sim -- --seed ${seed}\n${violation.stack}`,
        );
      }
    });
  }

  test('the runs had load, faults and commits, and reached every checker and every rare path', () => {
    expect(summary.report().invalid).toEqual([]);
  });
});

afterAll(() => {
  const { rarePaths, faults, checks, simulatedHours } = summary.report();
  const figures = { rarePaths, faults, checks, simulatedHours: Math.round(simulatedHours) };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
});
