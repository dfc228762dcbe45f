/**
 * Zeros, ones, exchanged blocks and files, cut, longer, older and missing files. Single changed bits are
 * in byte-sweep.test.ts; all of both, with a report: npm run evidence:corruption.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { checkSubjectKeys, openEngine } from '../../src/engine/index.ts';
import { damageKinds, damagesOf, isSubjects, judge, mayBeUnharmed, noTally } from './corruption.ts';
import { type CorruptionSample, corruptionSample } from './corruption-sample.ts';
import { diskOf, flipByte } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';
import { Judge } from './sweep.ts';

let sample: CorruptionSample;
beforeAll(async () => {
  sample = await corruptionSample(40);
});

const choice = { cutStep: 211, blockStep: 3 };

describe('a closed database', () => {
  test.each(damageKinds)('%s: refused with the file, or nothing is missing', async (kind) => {
    const tally = noTally();
    for (const damage of damagesOf(sample.image, sample.older, choice)) {
      if (damage.kind === kind) await judge(damage, sample.whole, tally);
    }
    const unharmed = tally.unharmed.filter((what) => !mayBeUnharmed(kind, what));
    const { silent, misplaced, crashed } = tally;
    expect({ silent, misplaced, crashed, unharmed }).toEqual({
      silent: [],
      misplaced: [],
      crashed: [],
      unharmed: [],
    });
    expect(tally.refused).toBeGreaterThan(2);
    expect(tally.slowestMs).toBeLessThan(5_000);
  });
});

test('a changed byte of the pages of subject keys is found, in its page: each third of all', async () => {
  const disk = diskOf(sample.image);
  const provider = new TestKey();
  const { hierarchy, state } = await openEngine(hostOn(diskOf(sample.image)), {
    provider,
    mode: 'owner',
    create: false,
  });
  const check = { disk, hierarchy, state };
  expect(checkSubjectKeys(check)).toEqual([]);
  const record = new Judge(sample.image);
  const wrong: string[] = [];
  let flips = 0;
  for (const [path, bytes] of [...sample.image].filter(([name]) => isSubjects(name))) {
    for (let offset = 0; offset < bytes.length; offset += 3) {
      const flip = { path, offset, mask: 1 << (offset % 8) };
      flipByte(disk, path, offset, flip.mask);
      const [found] = checkSubjectKeys(check);
      flipByte(disk, path, offset, flip.mask);
      flips += 1;
      if (found === undefined || !record.isRight(flip, found)) wrong.push(`${path} at ${offset}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(flips).toBe(4_096);
});
