/** A copy that answers otherwise when it is read again: a bad medium, or somebody who changes it meanwhile. */
import { beforeAll, expect, test } from 'vitest';
import type { Disk, TenantId } from '../../src/base/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import { type RepairReport, Verity } from '../../src/database/index.ts';
import { openEngine } from '../../src/engine/index.ts';
import { differing, type DiskImage, diskOf, imageOf, withFlip } from './disk-image.ts';
import { hostOn, sampleDatabase, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const sizes = { segmentBytes: 4_096, fillBytesMin: 4_096, fillBytesMax: 4_096 };

let whole: DiskImage;
let segment: string;
let subjects: string;

beforeAll(async () => {
  const { db, disk } = await sampleDatabase(40, sizes);
  await db.close();
  const host = { ...hostOn(disk, 11), logSizes: sizes };
  const engine = await openEngine(host, { provider: masterKey, mode: 'owner', create: false });
  await engine.subjects.create(1 as TenantId, 3);
  await engine.close();
  whole = imageOf(disk);
  const segments = [...whole.keys()].filter((path) => path.endsWith('.vlog')).toSorted();
  segment = segments[Math.floor(segments.length / 2)] as string;
  subjects = [...whole.keys()].find((path) => path.startsWith('subjects/')) as string;
});

interface ChangingCopy {
  readonly disk: Disk;
  /** How often the file was opened. */
  readonly opens: () => number;
}

type Answers = (open: number) => 'as it was' | 'changed';

const steadily: Answers = () => 'as it was';
const changedFrom =
  (first: number): Answers =>
  (open) =>
    open < first ? 'as it was' : 'changed';

/** A disk with `image` on it. `answers` says which openings of `path`, from 1, find another byte there. */
function changingCopy(image: DiskImage, path: string, answers: Answers): ChangingCopy {
  const before = diskOf(image);
  const bytes = image.get(path) as Uint8Array;
  const after = diskOf(withFlip(image, path, Math.floor(bytes.length / 2), 4));
  let opens = 0;
  const disk: Disk = {
    root: before.root,
    list: (directory) => before.list(directory),
    exists: (name) => before.exists(name),
    open(name, mode) {
      if (name === path) opens += 1;
      const isChanged = name === path && answers(opens) === 'changed';
      return (isChanged ? after : before).open(name, mode);
    },
    makeDirectory: (name) => before.makeDirectory(name),
    rename: (from, to) => before.rename(from, to),
    remove: (name) => before.remove(name),
    flushDirectory: (name) => before.flushDirectory(name),
  };
  return { disk, opens: () => opens };
}

function repair(disk: Disk, copy: Disk): Promise<RepairReport> {
  const host = { ...hostOn(disk, 3), logSizes: sizes };
  return repairOn(host, hostOn(copy), { masterKey, from: 'copy' });
}

const files: [string, () => [path: string, damaged: DiskImage]][] = [
  ['a segment', () => [segment, withFlip(whole, segment, 900, 4)]],
  [
    'a segment that is missing here',
    () => [segment, new Map([...whole].filter(([path]) => path !== segment))],
  ],
  ['a file of subject keys', () => [subjects, withFlip(whole, subjects, 5_000, 2)]],
  ['the keyring', () => ['keyring', withFlip(whole, 'keyring', 200, 1)]],
];

test.each(files)('%s: what was not checked is never put in place', async (_what, make) => {
  const [path, damaged] = make();
  const steady = changingCopy(whole, path, steadily);
  expect((await repair(diskOf(damaged), steady.disk)).ok).toBe(true);
  expect(steady.opens()).toBeGreaterThan(1);
  const codes: unknown[] = [];
  for (let first = 1; first <= steady.opens(); first++) {
    const disk = diskOf(damaged);
    const copy = changingCopy(whole, path, changedFrom(first));
    const outcome = await repair(disk, copy.disk).catch((error: { code: string }) => error.code);
    if (typeof outcome === 'string') {
      codes.push(outcome);
      // The file is as it was; with a copy that holds still the same repair is done.
      const own = new Map([...imageOf(disk)].filter(([name]) => name === path));
      const was = new Map([...damaged].filter(([name]) => name === path));
      expect(differing(own, was)).toEqual([]);
      expect((await repair(disk, diskOf(whole))).ok).toBe(true);
    } else {
      expect(outcome.verification?.findings).toEqual([]);
    }
    const db = await Verity.openOn({ ...hostOn(disk, 5), logSizes: sizes }, { masterKey });
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
  }
  expect(codes.length).toBeGreaterThan(0);
  if (path !== 'keyring') expect(codes.at(-1)).toBe('CHECKSUM_MISMATCH');
});

test('a change between the check and the use is told, and nothing is left half done', async () => {
  const damaged = withFlip(whole, segment, 900, 4);
  const steady = changingCopy(whole, segment, steadily);
  await repair(diskOf(damaged), steady.disk);
  const disk = diskOf(damaged);
  await expect(
    repair(disk, changingCopy(whole, segment, changedFrom(steady.opens())).disk),
  ).rejects.toMatchObject({
    code: 'CHECKSUM_MISMATCH',
    exitCode: 3,
    details: { file: segment, offset: 0 },
    message: expect.stringContaining('is not what was checked'),
  });
  expect(differing(imageOf(disk), damaged)).toEqual([]);
});

test('a copy that shows good bytes to the check alone is refused', async () => {
  const damaged = withFlip(whole, subjects, 5_000, 2);
  const steady = changingCopy(whole, subjects, steadily);
  await repair(diskOf(damaged), steady.disk);
  let refused = 0;
  for (let pattern = 1; pattern < 1 << steady.opens(); pattern++) {
    const answers: Answers = (open) => ((pattern >> (open - 1)) & 1 ? 'changed' : 'as it was');
    const disk = diskOf(damaged);
    const copy = changingCopy(whole, subjects, answers);
    const report = await repair(disk, copy.disk).catch(() => undefined);
    if (report === undefined) refused += 1;
    else expect(report.ok).toBe(true);
    expect(differing(imageOf(disk), report === undefined ? damaged : whole)).toEqual([]);
  }
  expect(refused).toBeGreaterThan(0);
});
