/**
 * The SQL subset against a model in plain JavaScript: random tables, writes, transactions and queries,
 * now and at any earlier position. VERITY_MODEL_RUNS=50000 makes it a long run; VERITY_MODEL_SEED repeats one.
 */
import process from 'node:process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { programs } from './sql-model/program.ts';
import { compareVersions, runProgram } from './sql-model/run.ts';
import { World } from './sql-model/world.ts';

const runs = Number(process.env['VERITY_MODEL_RUNS'] ?? 400);
const seed = process.env['VERITY_MODEL_SEED'];
/** Each table of which this is the divisor of its number is compared again after each reopening. */
const reopenedEach = 3;
const timeoutMs = 60_000 + runs * 60;

const worlds = [new World('date'), new World('microseconds')] as const;

beforeAll(async () => {
  for (const world of worlds) await world.open();
});

afterAll(async () => {
  for (const world of worlds) await world.close();
});

describe('SQL', () => {
  test(
    `agrees with the model in ${runs} random programs`,
    async () => {
      let count = 0;
      await fc.assert(
        fc.asyncProperty(programs, async (program) => {
          const world = worlds[count++ % worlds.length] as World;
          await runProgram(world, program);
        }),
        { numRuns: runs, ...(seed !== undefined && { seed: Number(seed) }) },
      );
    },
    timeoutMs,
  );

  test.each(['closed', 'crashed'] as const)(
    'agrees at every position after it is opened again from the disk of a database that was %s',
    async (how) => {
      for (const world of worlds) {
        await world.reopen(how);
        for (const [index, twin] of world.twins.entries()) {
          if (index % reopenedEach === 0) await compareVersions(world, twin);
        }
      }
    },
    timeoutMs,
  );

  test(
    'leaves a log that verifies',
    async () => {
      for (const world of worlds) {
        const report = await world.db.verify();
        expect(report).toMatchObject({ ok: true, findings: [], tornTail: undefined });
      }
    },
    timeoutMs,
  );
});
