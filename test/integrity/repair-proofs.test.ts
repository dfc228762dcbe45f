/** Damage of `proofs/` that a repair from a copy sees to: what is derived goes, what was signed is kept or taken from the copy. */
import { beforeAll, expect, test } from 'vitest';
import { Verity } from '../../src/database/index.ts';
import { type DiskImage, diskOf, imageOf } from './disk-image.ts';
import { type ProofsSample, proofsSample } from './proofs-flips.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const checkpoints = 'proofs/checkpoints';
let sample: ProofsSample;
beforeAll(async () => {
  sample = await proofsSample();
});

const bytesOf = (path: string): Uint8Array => sample.image.get(path) as Uint8Array;

function flipped(path: string, offset: number): DiskImage {
  const bytes = Uint8Array.from(bytesOf(path));
  bytes[offset] = (bytes[offset] as number) ^ 4;
  return new Map(sample.image).set(path, bytes);
}

interface Outcome {
  readonly ok: boolean;
  readonly restored: readonly string[];
  readonly notes: ReadonlyMap<bigint, string>;
  readonly files: DiskImage;
}

/** What a repair reports, and the notes that are there afterwards. */
async function repaired(damaged: DiskImage, copy: DiskImage = sample.image): Promise<Outcome> {
  const disk = diskOf(damaged);
  const from = { masterKey, from: 'copy' };
  const { ok, restored } = await Verity.repairOn(hostOn(disk), hostOn(diskOf(copy)), from);
  const files = imageOf(disk);
  const db = await Verity.openOn(hostOn(disk), { masterKey, create: false });
  const notes = new Map(db.proofs.list().map(({ size, note }) => [size, note]));
  expect((await db.verify()).findings).toEqual([]);
  await db.close();
  return { ok, restored, notes, files };
}

test.each([3, 40, 520, 700, 1_100, 2_000, 3_500])(
  'of checkpoints, with byte %i changed, what is good is kept, and what is not is taken from the copy',
  async (offset) => {
    const { ok, restored, notes } = await repaired(flipped(checkpoints, offset));
    expect({ ok, restored }).toEqual({ ok: true, restored: [checkpoints] });
    expect(notes).toEqual(sample.notes);
  },
);

test.each(['proofs/tile-0', 'proofs/tree'])(
  'a damaged %s is removed, and made again',
  async (path) => {
    const { ok, restored, notes, files } = await repaired(flipped(path, 100));
    expect(ok).toBe(true);
    expect(restored.toSorted()).toEqual(['proofs/tile-0', 'proofs/tree']);
    expect(files.has('proofs/tile-0')).toBe(false);
    expect(notes).toEqual(sample.notes);
  },
);

test.each([
  [checkpoints, 3],
  [checkpoints, 1_100],
  [checkpoints, 3_700],
  ['proofs/tile-0', 99],
  ['proofs/tree', 40],
] as const)('without a copy, %s with byte %i changed is whole afterwards', async (path, offset) => {
  const damaged = diskOf(flipped(path, offset));
  const { ok, restored, kept } = await Verity.repairOn(hostOn(damaged), undefined, { masterKey });
  expect([ok, restored.includes(path)]).toEqual([true, true]);
  expect(imageOf(damaged).get(path)).not.toEqual(flipped(path, offset).get(path));
  expect(damaged.exists(`${kept}/${path}`)).toBe(true);
  const db = await Verity.openOn(hostOn(damaged), { masterKey, create: false });
  const notes = db.proofs.list();
  expect(notes.length).toBeGreaterThanOrEqual(sample.notes.size - 1);
  for (const { size, note } of notes) expect(note).toBe(sample.notes.get(size));
  expect(db.proofs.newest()?.note).toBe(sample.notes.get(BigInt(sample.size)));
  await db.close();
});

test('what is sound stays, and what the copy alone has is taken', async () => {
  const other = new Map(sample.image);
  other.delete(checkpoints);
  expect((await repaired(sample.image, other)).restored).toEqual([]);
  const taken = await repaired(other);
  expect(taken.restored).toEqual([checkpoints]);
  expect(taken.notes).toEqual(sample.notes);
});

test('a note of the copy that is of no state of this log is not taken', async () => {
  const other = await proofsSample();
  const foreign = new Map(sample.image).set(
    checkpoints,
    other.image.get(checkpoints) as Uint8Array,
  );
  const without = new Map(sample.image);
  without.delete(checkpoints);
  expect(other.notes).not.toEqual(sample.notes);
  // Of the same keys and the same origin; what was written is not the same.
  const { ok, restored } = await repaired(without, foreign);
  // Without the notes that its records tell of it is not whole.
  expect({ ok, restored }).toEqual({ ok: false, restored: [] });
});
