/**
 * A process on a simulated machine. It sees the machine's disk, clock and event loop until it ends: then
 * nothing of it runs any more, while the disk and its page cache live on.
 *
 * Invariant: after the end no callback of the process is called, and every call of the disk throws.
 */
import { type Disk, type DiskFile, type Scheduler, VerityError } from '../base/index.ts';
import { crc32 } from '../crypto/index.ts';
import type { SimDisk } from './disk.ts';
import { type CallKind, SimulatedCrash } from './faults.ts';

/** The process has ended: killed, or with its machine. No code under test may go on after it. */
export class ProcessGone extends Error {
  override readonly name = 'ProcessGone';

  constructor() {
    super('The process has ended; nothing of it runs any more.');
  }
}

export interface ProcessOptions {
  /** The call, from 1, before which the process is killed. */
  readonly killAtCall?: number;
  /** The flush, from 1, in the middle of which the whole machine stops: when most is under way. */
  readonly crashAtFlush?: number;
  /** The disk says that it has flushed, and has not: what every checker must notice. */
  readonly flushesLie?: boolean;
  /** Told of each call of the disk and what became of it. */
  readonly onCall?: (line: string) => void;
}

/** A call that the disk refused. */
export interface Failure {
  readonly method: CallKind;
  readonly code: string;
  /** Which call of the process it was, from 1. */
  readonly call: number;
}

/** What one process sees of a disk: passes every call on, until the process ends. */
export class ProcessDisk implements Disk {
  readonly root = ':process:';
  readonly #disk: SimDisk;
  readonly #options: ProcessOptions;
  readonly #onEnd: () => void;
  #callCount = 0;
  #flushCount = 0;
  #isKilled = false;
  #killAtCall: number | undefined;
  #crashAtFlush: number | undefined;
  /** What went wrong: faults that hit. */
  readonly failures: Failure[] = [];

  constructor(disk: SimDisk, options: ProcessOptions = {}, onEnd: () => void = () => undefined) {
    this.#disk = disk;
    this.#options = options;
    this.#onEnd = onEnd;
    this.#killAtCall = options.killAtCall;
    this.#crashAtFlush = options.crashAtFlush;
  }

  get callCount(): number {
    return this.#callCount;
  }

  get flushCount(): number {
    return this.#flushCount;
  }

  get isKilled(): boolean {
    return this.#isKilled;
  }

  /** Whether the process runs no more, by whatever end. */
  get isGone(): boolean {
    return this.#isKilled || this.#disk.isDead;
  }

  kill(): void {
    if (this.#isKilled) return;
    this.#isKilled = true;
    this.#onEnd();
  }

  /** Kills the process before its call number `call`. */
  killAt(call: number): void {
    this.#killAtCall = call;
  }

  /** Stops the machine in flush number `flush` of this process. */
  crashAtFlush(flush: number): void {
    this.#crashAtFlush = flush;
  }

  list(directory: string): readonly string[] | undefined {
    return this.call('list', directory, () => this.#disk.list(directory));
  }
  exists(path: string): boolean {
    return this.call('exists', path, () => this.#disk.exists(path));
  }
  makeDirectory(path: string): void {
    this.call('makeDirectory', path, () => this.#disk.makeDirectory(path));
  }
  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    const file = this.call('open', `${path} ${mode}`, () => this.#disk.open(path, mode));
    return new ProcessFile(this, file);
  }
  rename(from: string, to: string): void {
    this.call('rename', `${from} ${to}`, () => this.#disk.rename(from, to));
  }
  remove(path: string): void {
    this.call('remove', path, () => this.#disk.remove(path));
  }
  flushDirectory(path: string): void {
    this.call('flushDirectory', path, () => this.#disk.flushDirectory(path));
  }

  /** Counts a call and makes it, or ends the process before it. */
  call<T>(method: CallKind, what: string, body: () => T): T {
    if (this.#isKilled) throw new ProcessGone();
    this.#callCount += 1;
    if (this.#callCount === this.#killAtCall) {
      this.#options.onCall?.(`kill before ${method} ${what}`);
      this.kill();
      throw new ProcessGone();
    }
    if (method === 'flush' || method === 'flushInBackground') this.#countFlush();
    if (method === 'flush' && this.#options.flushesLie === true) return undefined as T;
    try {
      const result = body();
      this.#options.onCall?.(`${method} ${what}`);
      return result;
    } catch (error) {
      this.#failed(method, what, error);
      throw error;
    }
  }

  #countFlush(): void {
    this.#flushCount += 1;
    if (this.#flushCount === this.#crashAtFlush) this.#disk.crashAt(this.#disk.callCount + 1);
  }

  #failed(method: CallKind, what: string, error: unknown): void {
    if (error instanceof VerityError) {
      this.failures.push({ method, code: error.code, call: this.#callCount });
      this.#options.onCall?.(`${method} ${what}: ${error.code}`);
    }
    if (error instanceof SimulatedCrash) this.#options.onCall?.(`crash in ${method} ${what}`);
  }

  /** A background flush failed after its call had returned. */
  failedLater(error: unknown): void {
    if (this.isGone || !(error instanceof VerityError)) return;
    this.failures.push({ method: 'flushInBackground', code: error.code, call: this.#callCount });
  }

  get flushesLie(): boolean {
    return this.#options.flushesLie === true;
  }
}

class ProcessFile implements DiskFile {
  readonly path: string;
  readonly #process: ProcessDisk;
  readonly #file: DiskFile;

  constructor(simProcess: ProcessDisk, file: DiskFile) {
    this.#process = simProcess;
    this.#file = file;
    this.path = file.path;
  }

  sizeBytes(): number {
    return this.#process.call('sizeBytes', this.path, () => this.#file.sizeBytes());
  }
  read(target: Uint8Array, offset: number): number {
    const what = `${this.path} ${offset}+${target.length}`;
    return this.#process.call('read', what, () => this.#file.read(target, offset));
  }
  write(bytes: Uint8Array, offset: number): void {
    const what = `${this.path} ${offset}+${bytes.length} ${crc32(bytes, 1)}`;
    this.#process.call('write', what, () => this.#file.write(bytes, offset));
  }
  flush(): void {
    this.#process.call('flush', this.path, () => this.#file.flush());
  }
  flushInBackground(): Promise<void> {
    const flushed = this.#process.call('flushInBackground', this.path, () =>
      this.#process.flushesLie ? Promise.resolve() : this.#file.flushInBackground(),
    );
    flushed.catch((error: unknown) => this.#process.failedLater(error));
    return flushed;
  }
  truncate(sizeBytes: number): void {
    this.#process.call('truncate', `${this.path} ${sizeBytes}`, () =>
      this.#file.truncate(sizeBytes),
    );
  }
  close(): void {
    this.#process.call('close', this.path, () => this.#file.close());
  }
}

/** The event loop as one process sees it. */
class ProcessScheduler implements Scheduler {
  readonly #scheduler: Scheduler;
  readonly #isGone: () => boolean;

  constructor(scheduler: Scheduler, isGone: () => boolean) {
    this.#scheduler = scheduler;
    this.#isGone = isGone;
  }

  defer(callback: () => void): void {
    this.#scheduler.defer(() => this.#run(callback));
  }

  delay(milliseconds: number, callback: () => void): () => void {
    return this.#scheduler.delay(milliseconds, () => this.#run(callback));
  }

  #run(callback: () => void): void {
    if (!this.#isGone()) callback();
  }
}

export class SimProcess {
  readonly disk: ProcessDisk;
  readonly scheduler: Scheduler;
  readonly #gone: Promise<never>;
  #end: (error: ProcessGone) => void = () => undefined;

  constructor(disk: SimDisk, scheduler: Scheduler, options: ProcessOptions = {}) {
    this.#gone = new Promise((_resolve, reject) => {
      this.#end = reject;
    });
    // Nobody may be waiting when the process ends.
    this.#gone.catch(() => undefined);
    this.disk = new ProcessDisk(disk, options, () => this.#end(new ProcessGone()));
    this.scheduler = new ProcessScheduler(scheduler, () => this.isGone);
  }

  get isGone(): boolean {
    return this.disk.isGone;
  }

  kill(): void {
    this.disk.kill();
  }

  /** What `promise` settles to; rejects with ProcessGone if the process ends before. */
  live<T>(promise: Promise<T>): Promise<T> {
    return Promise.race([promise, this.#gone]);
  }
}
