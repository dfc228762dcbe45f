import { describe, expect, test } from 'vitest';
import { SignedLog } from '../../test/support/signed-log.ts';
import type { Disk } from '../base/index.ts';
import { memoryDisk } from '../host/index.ts';
import { CheckpointNotes, checkpointsPath } from './checkpoint-notes.ts';
import { copyProofs } from './copy-proofs.ts';
import { CopyWriter } from './copy-writer.ts';
import { TimeStampFile } from './timestamp-file.ts';

const log = new SignedLog('log.example/a').grow(40);
const pause = (): Promise<void> => Promise.resolve();

function signed(sizes: readonly number[]): Disk {
  const disk = memoryDisk();
  const notes = new CheckpointNotes(disk, true);
  const stamps = new TimeStampFile(disk);
  for (const size of sizes) {
    notes.intend({ size, root: log.root(size) });
    notes.add(log.note(size));
    stamps.add(size, new Uint8Array(500).fill(size));
  }
  notes.close();
  return disk;
}

async function copied(source: Disk, leafCount: number): Promise<Disk> {
  const target = memoryDisk();
  const writer = new CopyWriter({ target, pause });
  await copyProofs({ source, target, writer, pause, leafCount });
  return target;
}

const notesOf = (disk: Disk): string[] => [...new CheckpointNotes(disk, false).all()];

describe('what was signed is copied with the log', () => {
  test('all of it, when the log reaches as far', async () => {
    const source = signed([5, 9, 12]);
    const target = await copied(source, 12);
    expect(notesOf(target)).toEqual([5, 9, 12].map((size) => log.note(size)));
    expect(new CheckpointNotes(target, false).intent?.size).toBe(12);
    expect(new TimeStampFile(target).sizes()).toEqual([5, 9, 12]);
    expect(new TimeStampFile(target).of(9)).toEqual(new TimeStampFile(source).of(9));
  });

  test('up to where the copied log ends, the intent to sign included', async () => {
    const target = await copied(signed([5, 9, 12]), 11);
    expect(notesOf(target)).toEqual([5, 9].map((size) => log.note(size)));
    expect(new CheckpointNotes(target, false).intent?.size).toBe(9);
    expect(new TimeStampFile(target).sizes()).toEqual([5, 9]);
    const none = await copied(signed([5, 9]), 4);
    expect([notesOf(none), new CheckpointNotes(none, false).intent]).toEqual([[], undefined]);
    expect(new TimeStampFile(none).sizes()).toEqual([]);
  });

  test('also a file that is larger than what is looked at at once', async () => {
    const few = Array.from({ length: 6 }, (_, index) => log.note(index + 1));
    const wanted = few.flatMap((note) => Array<string>(1_000).fill(note));
    const disk = memoryDisk();
    const notes = new CheckpointNotes(disk, true);
    for (const note of wanted) notes.add(note);
    notes.add(log.note(40));
    notes.close();
    expect(disk.open(checkpointsPath, 'read').sizeBytes()).toBeGreaterThan(2.5 * 2 ** 20);
    const target = await copied(disk, 30);
    expect([...new CheckpointNotes(target, false).all()]).toEqual(wanted);
  });

  test('nothing, where nothing was signed', async () => {
    const target = await copied(memoryDisk(), 10);
    expect(target.list('')).toEqual([]);
  });
});
