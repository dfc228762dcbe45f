/**
 * What was signed, in a copy of the log: checkpoints, cosignatures and time stamps cannot be made again. Those of checkpoints that the copy of
 * the log does not reach are left out: a log that ends before what it has signed is taken for one that was rolled back.
 */
import type { Disk, DiskFile } from '../base/index.ts';
import { noteBytesMax } from '../proof/index.ts';
import { checkpointsPath, noteEntryAt } from './checkpoint-notes.ts';
import type { CopyWriter } from './copy-writer.ts';
import { proofsDirectory } from './files.ts';
import { timeStampLinesTo, timeStampsPath } from './timestamp-file.ts';

const sectorBytes = 512;
/** Entries that begin in its first half are whole in it. */
const windowBytes = 2 * (noteBytesMax + 2 * sectorBytes);

export interface ProofsCopy {
  readonly source: Disk;
  readonly target: Disk;
  readonly writer: CopyWriter;
  readonly pause: () => Promise<void>;
  /** Events of the copied log. */
  readonly leafCount: number;
}

export async function copyProofs({
  source,
  target,
  writer,
  pause,
  leafCount,
}: ProofsCopy): Promise<void> {
  const hasNotes = source.exists(checkpointsPath);
  if (hasNotes) {
    await writer.copyFile(source, checkpointsPath);
    const file = target.open(checkpointsPath, 'readwrite');
    try {
      file.truncate(await endOfNotes(file, leafCount, pause));
      file.flush();
    } finally {
      file.close();
    }
  }
  const lines = timeStampLinesTo(source, leafCount);
  if (lines !== undefined) await writer.write(timeStampsPath, lines);
  if (hasNotes || lines !== undefined) target.flushDirectory(proofsDirectory);
}

/** Where the first entry begins that is of more than `leafCount` events; entries are written as the log grows. */
async function endOfNotes(
  file: DiskFile,
  leafCount: number,
  pause: () => Promise<void>,
): Promise<number> {
  const size = file.sizeBytes();
  let end = 0;
  for (let start = 0; start < size;) {
    const window = new Uint8Array(Math.min(windowBytes, size - start));
    const bytes = window.subarray(0, file.read(window, start));
    const isLast = start + bytes.length >= size;
    let at = 0;
    // An entry that may go on behind the window begins the next one.
    while (at < bytes.length && (isLast || at < windowBytes / 2)) {
      const found = noteEntryAt(bytes, at);
      if (found !== undefined && found.entry.size > leafCount) return end;
      at = found?.end ?? at + sectorBytes;
      if (found !== undefined) end = start + at;
    }
    start += at;
    await pause();
  }
  return end;
}
