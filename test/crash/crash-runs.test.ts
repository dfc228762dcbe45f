/**
 * Seeded crash runs. VERITY_CRASH_SEED=n runs one seed; VERITY_CRASH_RUNS=n runs the first n.
 */
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { Violation } from './checker.ts';
import { crashRun, noCounts, type RunCounts } from './run.ts';

const firstSeed = 1;
const seedsPerTest = 50;
const replayed = process.env['VERITY_CRASH_SEED'];
const runs = Number(process.env['VERITY_CRASH_RUNS'] ?? 500);

/** Runs one seed; on failure the message says which, and how to see it again. */
async function runSeed(seed: number): Promise<RunCounts> {
  try {
    return (await crashRun(seed)).counts;
  } catch (error) {
    throw new Error(
      `Seed ${seed}: ${error instanceof Error ? error.message : String(error)}\n` +
        `Again: VERITY_CRASH_SEED=${seed} npx vitest run test/crash/crash-runs.test.ts`,
      { cause: error },
    );
  }
}

const total = noCounts();

async function runSeeds(first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    const counts = await runSeed(seed);
    for (const name of Object.keys(total) as (keyof RunCounts)[]) total[name] += counts[name];
  }
}

if (replayed !== undefined) {
  test(`crash run ${replayed}`, () => runSeeds(Number(replayed), 1));
} else {
  describe('after any crash, kill or fault everything that was told is so', () => {
    for (let done = 0; done < runs; done += seedsPerTest) {
      const first = firstSeed + done;
      const count = Math.min(seedsPerTest, runs - done);
      test(`seeds ${first} to ${first + count - 1}`, () => runSeeds(first, count));
    }

    // A run without load proves nothing. The figures are about half of what 500 seeds gave.
    test('the runs had load', () => {
      const least: RunCounts = {
        acknowledged: 30 * runs,
        answersWithoutChange: 40 * runs,
        unknownThere: runs,
        unknownAbsent: 2 * runs,
        crashesHit: runs / 2,
        crashesWhileOpening: runs / 4,
        killsHit: runs / 8,
        faultsHit: runs / 3,
        tornTails: runs / 14,
        uncleanOpens: runs,
        abandonedSegments: runs / 40,
        rolls: runs,
        cleanReopens: runs,
        checks: 2 * runs,
        verified: runs,
      };
      const tooLittle = (Object.keys(least) as (keyof RunCounts)[])
        .filter((name) => total[name] < least[name])
        .map((name) => `${name}: ${total[name]}, not ${least[name]}`);
      expect(tooLittle).toEqual([]);
    });
  });

  test('the same seed does the same', async () => {
    for (const seed of [3, 5, 8]) expect(await crashRun(seed)).toEqual(await crashRun(seed));
  });

  test('the checker sees it when flushes lie', async () => {
    let found = 0;
    for (let seed = 1; seed <= 20; seed++) {
      const lost = crashRun(seed, { flushesLie: true });
      await lost.catch((error: unknown) => {
        expect(error).toBeInstanceOf(Violation);
        found += 1;
      });
    }
    expect(found).toBeGreaterThan(14);
  });
}
