/** A sample of changed bytes of `proofs/`; all of them are in `npm run evidence:corruption`. */
import { beforeAll, expect, test } from 'vitest';
import { judgeFlip, proofsSample, type ProofsSample } from './proofs-flips.ts';

let sample: ProofsSample;
beforeAll(async () => {
  sample = await proofsSample();
});

test.each([
  ['proofs/checkpoints', 131],
  ['proofs/tile-0', 307],
  ['proofs/tree', 29],
])('whichever byte of %s changed, it is found, and no proof is wrong', async (path, step) => {
  expect(sample.paths).toContain(path);
  const { length } = sample.image.get(path) as Uint8Array;
  const wrong: string[] = [];
  for (let offset = 3; offset < length; offset += step) {
    const what = await judgeFlip(sample, { path, offset, mask: 1 << (offset % 8) });
    if (what !== undefined) wrong.push(what);
  }
  expect(wrong).toEqual([]);
});
