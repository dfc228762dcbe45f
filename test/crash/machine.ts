/** A simulated machine, and processes on it that can be killed while its disk lives on. */
import { limits, Prng } from '../../src/base/index.ts';
import { type MasterKeyProvider, SecretKey } from '../../src/crypto/index.ts';
import { type OpenOptions, Verity } from '../../src/database/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import {
  ProcessDisk,
  type ProcessOptions,
  SimClock,
  type SimDisk,
  type SimFaults,
  SimScheduler,
} from '../../src/sim/index.ts';

export type { Failure } from '../../src/sim/index.ts';

/** Small files, so that short runs roll segments and run into the end of what is filled. */
export const smallLogSizes = { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };

/** Three writers at once are flushed in the background, two frames on their way, as thirty-two are else. */
export const smallPace = {
  writersOnTurnMax: 2,
  overlapMicrosPerWriter: 0,
  cutCommandsMin: 2,
  frameBytesTarget: 512 << 10,
  commandsWaitingMax: limits.commandsWaitingMax,
  bytesWaitingMax: limits.commandsWaitingBytesMax,
};

/** A master key that is the same in every run. */
export function fixedKey(): MasterKeyProvider {
  return new HeldKeyProvider('fixed', 'fixed', () => new SecretKey(new Uint8Array(32).fill(7)));
}

/** A process with the database open on a simulated disk. */
export interface Session {
  readonly db: Verity;
  readonly disk: ProcessDisk;
  readonly scheduler: SimScheduler;
}

export interface SessionOptions
  extends ProcessOptions, Pick<OpenOptions, 'readOnly' | 'masterKey'> {
  readonly seed?: number;
  readonly faults?: SimFaults;
  readonly clock?: SimClock;
  readonly logSizes?: typeof smallLogSizes;
  readonly pace?: typeof smallPace;
}

const elapsed = new WeakMap<SimDisk, SimClock>();

/** A process that has not opened the database yet. */
export interface Process extends Omit<Session, 'db'> {
  readonly open: () => Promise<Verity>;
}

/** Starts a process on `disk`. */
export function startProcess(disk: SimDisk, options: SessionOptions = {}): Process {
  const clock = options.clock ?? elapsed.get(disk) ?? new SimClock();
  elapsed.set(disk, clock);
  const scheduler = new SimScheduler(clock);
  const process = new ProcessDisk(disk, options);
  if (options.faults !== undefined) disk.setFaults(options.faults);
  const host = {
    disk: process,
    clock,
    scheduler,
    entropy: new Prng(options.seed ?? 1),
    logSizes: options.logSizes ?? smallLogSizes,
    ...(options.pace !== undefined && { pace: options.pace }),
  };
  const { readOnly, masterKey = fixedKey() } = options;
  return {
    disk: process,
    scheduler,
    open: () =>
      Verity.openOn(host, {
        masterKey,
        ...(readOnly !== undefined && { readOnly }),
      }),
  };
}

/** Starts a process on `disk` and opens the database, creating it when absent. */
export async function openSession(disk: SimDisk, options: SessionOptions = {}): Promise<Session> {
  const process = startProcess(disk, options);
  const db = await process.scheduler.settle(process.open());
  return { db, disk: process.disk, scheduler: process.scheduler };
}

/** Lets simulated time pass, from within a simulation. */
export function wait(scheduler: SimScheduler, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    scheduler.delay(milliseconds, resolve);
  });
}
