/**
 * What was signed, in a copy of the log: checkpoints, cosignatures and time stamps cannot be made again. Those of checkpoints that the copy of
 * the log does not reach are left out: a log that ends before what it has signed is taken for one that was rolled back. So is what is
 * damaged, of which nothing is lost by that.
 */
import type { Disk } from '../base/index.ts';
import { checkpointsPath, type Entry, entriesOf, notesFile } from './checkpoint-notes.ts';
import type { CopyWriter } from './copy-writer.ts';
import { proofsDirectory, readWhole } from './files.ts';
import { timeStampLinesTo, timeStampsPath } from './timestamp-file.ts';

/** Read within one turn of the event loop. */
const entriesPerTurn = 500;

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
  const kept: Entry[] = [];
  let read = 0;
  for (const entry of entriesOf(readWhole(source, checkpointsPath) ?? new Uint8Array())) {
    if (entry.size <= leafCount) kept.push(entry);
    read += 1;
    if (read % entriesPerTurn === 0) await pause();
  }
  if (kept.length > 0) await writer.write(checkpointsPath, notesFile(kept));
  const lines = timeStampLinesTo(source, leafCount);
  if (lines !== undefined) await writer.write(timeStampsPath, lines);
  if (kept.length > 0 || lines !== undefined) target.flushDirectory(proofsDirectory);
}
