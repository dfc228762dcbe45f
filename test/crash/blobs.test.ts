/** Values that are kept as blobs, and something going wrong at calls of the disk; at every one of them: blobs.long.ts. */
import { expect, test } from 'vitest';
import { callsOfRun, runInto, troubles } from './blobs-run.ts';

const step = 9;
const calls = await callsOfRun();

test.each(troubles)('%s may strike', async (trouble) => {
  expect(calls).toBeGreaterThan(100);
  const first = 1 + 2 * troubles.indexOf(trouble);
  for (let call = first; call <= calls; call += step) await runInto(trouble, call);
});
