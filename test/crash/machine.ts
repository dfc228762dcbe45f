/** A simulated machine, and processes on it that can be killed while its disk lives on. */
import { type Disk, type DiskFile, Prng, VerityError } from '../../src/base/index.ts';
import { type MasterKeyProvider, SecretKey } from '../../src/crypto/index.ts';
import { type OpenOptions, Verity } from '../../src/database/index.ts';
import { unwrapSlot, wrapSlot } from '../../src/keys/index.ts';
import { SimClock, type SimDisk, type SimFaults, SimScheduler } from '../../src/sim/index.ts';

/** Small files, so that short runs roll segments and run into the end of what is filled. */
export const smallLogSizes = { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };

/** A master key that is the same in every run. */
function fixedKey(): MasterKeyProvider {
  const master = (): SecretKey => new SecretKey(new Uint8Array(32).fill(7));
  return {
    kind: 'fixed',
    wrap: async (root) => wrapSlot(master(), root, 'fixed', new Uint8Array()),
    unwrap: async (slots) =>
      slots.map((slot) => unwrapSlot(master(), slot)).find((root) => root !== undefined),
  };
}

/** The process has ended: SIGKILL, while the machine and its page cache live on. */
class ProcessKilled extends Error {
  override readonly name = 'ProcessKilled';

  constructor() {
    super('The process was killed; nothing of it runs any more.');
  }
}

export interface ProcessOptions {
  /** The call, from 1, before which the process is killed. */
  readonly killAtCall?: number;
  /** The flush, from 1, in the middle of which the whole machine stops: when most is under way. */
  readonly crashAtFlush?: number;
  /** The disk says that it has flushed, and has not: what every checker must notice. */
  readonly flushesLie?: boolean;
}

/** A call that the disk refused. */
export interface Failure {
  readonly method: string;
  readonly code: string;
  /** Which call of the process it was, from 1. */
  readonly call: number;
}

/** What one process sees of a disk: passes every call on, until the process is killed. */
class ProcessDisk implements Disk {
  readonly root = ':process:';
  readonly #disk: SimDisk;
  readonly #options: ProcessOptions;
  #callCount = 0;
  #flushCount = 0;
  #isKilled = false;
  /** What went wrong, by the method called and the code: faults that hit. */
  readonly failures: Failure[] = [];

  constructor(disk: SimDisk, options: ProcessOptions = {}) {
    this.#disk = disk;
    this.#options = options;
  }

  get callCount(): number {
    return this.#callCount;
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Whether the process runs no more, by whatever end. */
  get isGone(): boolean {
    return this.#isKilled || this.#disk.isDead;
  }

  kill(): void {
    this.#isKilled = true;
  }

  list(directory: string): readonly string[] | undefined {
    return this.call('list', () => this.#disk.list(directory));
  }
  exists(path: string): boolean {
    return this.call('exists', () => this.#disk.exists(path));
  }
  makeDirectory(path: string): void {
    this.call('makeDirectory', () => this.#disk.makeDirectory(path));
  }
  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    return new ProcessFile(
      this,
      this.call('open', () => this.#disk.open(path, mode)),
    );
  }
  rename(from: string, to: string): void {
    this.call('rename', () => this.#disk.rename(from, to));
  }
  remove(path: string): void {
    this.call('remove', () => this.#disk.remove(path));
  }
  flushDirectory(path: string): void {
    this.call('flushDirectory', () => this.#disk.flushDirectory(path));
  }

  /** Counts a call and makes it, or kills the process before it. */
  call<T>(method: string, body: () => T): T {
    if (this.#isKilled) throw new ProcessKilled();
    if (++this.#callCount === this.#options.killAtCall) {
      this.#isKilled = true;
      throw new ProcessKilled();
    }
    if (method === 'flush' && ++this.#flushCount === this.#options.crashAtFlush) {
      this.#disk.setFaults({ crashAtCall: this.#disk.callCount + 1 });
    }
    if (method === 'flush' && this.#options.flushesLie === true) return undefined as T;
    try {
      return body();
    } catch (error) {
      if (error instanceof VerityError) {
        this.failures.push({ method, code: error.code, call: this.#callCount });
      }
      throw error;
    }
  }
}

class ProcessFile implements DiskFile {
  readonly path: string;
  readonly #process: ProcessDisk;
  readonly #file: DiskFile;

  constructor(process: ProcessDisk, file: DiskFile) {
    this.#process = process;
    this.#file = file;
    this.path = file.path;
  }

  sizeBytes(): number {
    return this.#process.call('sizeBytes', () => this.#file.sizeBytes());
  }
  read(target: Uint8Array, offset: number): number {
    return this.#process.call('read', () => this.#file.read(target, offset));
  }
  write(bytes: Uint8Array, offset: number): void {
    this.#process.call('write', () => this.#file.write(bytes, offset));
  }
  flush(): void {
    this.#process.call('flush', () => this.#file.flush());
  }
  flushInBackground(): Promise<void> {
    return this.#process.call('flushInBackground', () => this.#file.flushInBackground());
  }
  truncate(sizeBytes: number): void {
    this.#process.call('truncate', () => this.#file.truncate(sizeBytes));
  }
  close(): void {
    this.#process.call('close', () => this.#file.close());
  }
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
