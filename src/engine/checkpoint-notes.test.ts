import { expect, test } from 'vitest';
import { formatCheckpoint } from '../proof/index.ts';
import { SimDisk } from '../sim/index.ts';
import { CheckpointNotes, checkpointsPath, notesFile } from './checkpoint-notes.ts';

const sectorBytes = 512;
const root = (size: number): Uint8Array => new Uint8Array(32).fill(size);
const noteOf = (size: number): string =>
  `${formatCheckpoint({ origin: 'db.example', size, root: root(size) })}\n— db.example ${'A'.repeat(96)}\n`;

function diskWith(bytes: Uint8Array): SimDisk {
  return SimDisk.fromImage(new Map([[checkpointsPath, bytes]]));
}

function add(disk: SimDisk, size: number): void {
  const notes = new CheckpointNotes(disk, true);
  notes.secure();
  notes.intend({ size, root: root(size) });
  notes.flush();
  notes.add(noteOf(size));
  notes.flush();
  notes.close();
}

const shown = (disk: SimDisk): number[] => {
  const notes = new CheckpointNotes(disk, false);
  const sizes = [...notes.all()].map((note) => Number(note.split('\n')[1]));
  notes.close();
  return sizes;
};

const whole = notesFile(
  [1, 2].flatMap((size) => [
    { kind: 'intent', size, root: root(size) } as const,
    { kind: 'note', size, note: noteOf(size) } as const,
  ]),
);

test.each([0, 0xa7])(
  'entries that are damaged are left as they lie, and what comes goes behind them (%i)',
  (byte) => {
    const damaged = new Uint8Array(whole.length).fill(byte);
    const disk = diskWith(damaged);
    add(disk, 3);
    const bytes = disk.image().get(checkpointsPath)!;
    expect(bytes.subarray(0, damaged.length)).toEqual(damaged);
    expect(shown(disk)).toEqual([3]);
    // The file is mended: nothing was lost.
    bytes.set(whole);
    expect(shown(diskWith(bytes))).toEqual([1, 2, 3]);
  },
);

test('what a crash left of the entry that was written last is written over', () => {
  const torn = new Uint8Array(whole.length + sectorBytes);
  torn.set(whole);
  torn.set(whole.subarray(0, 40), whole.length);
  const disk = diskWith(torn);
  add(disk, 3);
  expect(disk.image().get(checkpointsPath)?.length).toBe(whole.length + 2 * sectorBytes);
  expect(shown(disk)).toEqual([1, 2, 3]);
});
