import { type ChildProcess, fork } from 'node:child_process';
import { VerityError } from '../../base/index.ts';
import type { SimulationResult } from '../../sim/index.ts';

/** Seeds that a process gets at a time: few enough that all end at about the same time. */
const rangeMax = 50;

export interface SeedRange {
  readonly first: number;
  readonly count: number;
}

export type WorkerMessage =
  | { readonly kind: 'idle' }
  | { readonly kind: 'result'; readonly result: SimulationResult };

export interface SharedSeeds {
  readonly seed: number;
  readonly runs: number;
  readonly jobs: number;
  /** Ends the work early. */
  readonly stop: AbortSignal;
}

/** Runs the seeds in `jobs` processes; `onResult` gets each result, in whatever order. Throws IO_ERROR if one dies. */
export async function runInProcesses(
  { seed, runs, jobs, stop }: SharedSeeds,
  onResult: (result: SimulationResult) => void,
): Promise<void> {
  const end = seed + runs;
  let next = seed;
  const takeRange = (): SeedRange | undefined => {
    const count = Math.min(rangeMax, Math.ceil((end - next) / jobs));
    if (count <= 0) return undefined;
    const range = { first: next, count };
    next += count;
    return range;
  };
  const workers: ChildProcess[] = [];
  try {
    const served = Array.from({ length: Math.min(jobs, runs) }, () => {
      const worker = fork(new URL('./worker.js', import.meta.url));
      workers.push(worker);
      return serve(worker, takeRange, onResult);
    });
    const stopped = new Promise((resolve) => stop.addEventListener('abort', resolve));
    await Promise.race([Promise.all(served), stopped]);
  } finally {
    for (const worker of workers) worker.kill();
  }
}

/** Keeps one process busy until there is nothing left. */
function serve(
  worker: ChildProcess,
  takeRange: () => SeedRange | undefined,
  onResult: (result: SimulationResult) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: WorkerMessage) => {
      if (message.kind === 'result') {
        onResult(message.result);
        return;
      }
      const range = takeRange();
      if (range === undefined) resolve();
      else worker.send(range);
    });
    worker.on('error', reject);
    worker.on('exit', (code, signal) => {
      const how = signal ?? `exit code ${code}`;
      reject(new VerityError('IO_ERROR', `A process of the simulation ended early: ${how}.`));
    });
  });
}
