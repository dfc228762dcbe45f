/** The frame of simulations, with worlds that do next to nothing. */
import { expect, test } from 'vitest';
import {
  runSeed,
  RunsSummary,
  type SimulationResult,
  type WorldContext,
  type WorldKind,
} from '../../src/sim/index.ts';

/** Counts to the seed. `perform` may do worse. */
function countingWorld(
  perform: (event: number, context: WorldContext) => Promise<void> = async () => undefined,
): WorldKind<number> {
  return {
    name: 'counting',
    generate: (seed) => Array.from({ length: seed }, (_none, index) => index),
    start: (context) => ({
      perform: async (event) => {
        context.load.add('steps');
        await perform(event, context);
      },
      finish: async () => context.checks.add('end'),
    }),
    describe: (event) => `step ${event}`,
    prepare: async () => undefined,
    least: {
      perRun: { steps: 2 },
      average: { steps: 3 },
      faults: 0.5,
      faultKinds: ['flood'],
      checkers: ['end', 'start'],
      marks: ['detour'],
    },
  };
}

async function resultsOf(kind: WorldKind<number>, seeds: readonly number[]): Promise<RunsSummary> {
  const summary = new RunsSummary(kind.least);
  for (const seed of seeds) summary.add(await runSeed(kind, seed));
  return summary;
}

test('a run with too little load is invalid', async () => {
  const { ok, invalid } = (await resultsOf(countingWorld(), [5, 1])).report();
  expect(ok).toBe(false);
  expect(invalid).toEqual(['seed 1: steps: 1, not 2']);
});

test('many runs must reach every fault, checker and rare path, and an average load', async () => {
  const seeds = Array.from({ length: 100 }, (_none, index) => index + 2);
  const { invalid } = (await resultsOf(countingWorld(), seeds)).report();
  expect(invalid).toEqual([
    'faults: 0, not 50',
    'fault flood: 0, not 1',
    'checker start: 0, not 1',
    'rare path detour: 0, not 1',
  ]);
});

test('no run at all is invalid', () => {
  expect(new RunsSummary(countingWorld().least).report().ok).toBe(false);
});

test('the report does not depend on the order in which results come', async () => {
  const kind = countingWorld();
  const up = (await resultsOf(kind, [2, 3, 4])).report();
  expect((await resultsOf(kind, [4, 2, 3])).report()).toEqual(up);
  expect((await resultsOf(kind, [2, 3, 5])).report().traceHash).not.toBe(up.traceHash);
});

test('whatever is thrown ends as a violation with the seed', async () => {
  const kind = countingWorld(async (event) => {
    if (event === 2) throw new RangeError('out of range');
  });
  const { violation }: SimulationResult = await runSeed(kind, 4);
  expect(violation).toMatchObject({ checker: 'unexpected', message: 'RangeError: out of range' });
});

test('a world that waits for what never comes stands still', async () => {
  const kind = countingWorld(() => new Promise<void>(() => undefined));
  expect((await runSeed(kind, 2)).violation?.checker).toBe('answers');
});

test('simulated time passes without anybody waiting', async () => {
  const kind = countingWorld(
    (_event, { scheduler }) =>
      new Promise((resolve) => void scheduler.delay(3_600_000, () => resolve())),
  );
  expect((await resultsOf(kind, [8])).report().simulatedHours).toBe(8);
});
