/** A process that runs seeds for `verity sim --jobs`: gets ranges of them, sends each result. */
import { runSeed } from '../../sim/index.ts';
import type { SeedRange, WorkerMessage } from './processes.ts';
import { embeddedDatabase } from './world.ts';

const kind = embeddedDatabase();
await kind.prepare();

function send(message: WorkerMessage): void {
  process.send?.(message);
}

// Sent to all processes of a terminal: the first one decides when this one ends.
process.on('SIGINT', () => undefined);
process.on('message', ({ first, count }: SeedRange) => void runRange(first, count));
send({ kind: 'idle' });

async function runRange(first: number, count: number): Promise<void> {
  for (let seed = first; seed < first + count; seed++) {
    send({ kind: 'result', result: await runSeed(kind, seed) });
  }
  send({ kind: 'idle' });
}
