import { CorruptionError, type Entropy, type Scheduler, VerityError } from '../base/index.ts';
import type { PageFile } from '../store/index.ts';
import type { CheckpointPlace } from './checkpoint-records.ts';
import type { CheckpointWriter } from './checkpoint-writer.ts';
import { asVerityError, closedError, isDiskFull } from './commit-errors.ts';
import type { StateHasher } from './state-hasher.ts';

/** When checkpoints are written, and how much memory the store takes. */
export interface CheckpointSettings {
  /** Memory for pages of the store. */
  readonly cacheBytes: number;
  /** A checkpoint begins when the log has grown by this since the last one: so much is replayed at most, or a little more. */
  readonly logBytesMax: number;
  /** Below this growth the log is replayed more cheaply than a checkpoint is written. */
  readonly logBytesMin: number;
  /** A checkpoint begins so long after the growth has passed `logBytesMin`. */
  readonly milliseconds: number;
  /** Written within one turn of the event loop: about a millisecond. */
  readonly pagesPerTurn: number;
}

export const defaultCheckpoints: CheckpointSettings = {
  cacheBytes: 256 << 20,
  logBytesMax: 64 << 20,
  logBytesMin: 1 << 20,
  milliseconds: 30_000,
  pagesPerTurn: 64,
};

const retryMilliseconds = 1_000;
/** Of the pages that may wait to be written: frames wait from here on. */
const pressedShare = 7 / 8;

export interface CheckpointerParts {
  readonly writer: CheckpointWriter;
  readonly hasher: StateHasher;
  readonly scheduler: Scheduler;
  readonly settings: CheckpointSettings;
  /** How many pages wait to be written, and how many may. */
  readonly pressure: () => { readonly dirtyPages: number; readonly dirtyPagesMax: number };
  /** Pages that a full disk did not take. */
  readonly pages: Pick<PageFile, 'isFull' | 'writeWaiting'>;
  /** Whether it is known which pages are free, or it will not be found out: nothing reads pages of older checkpoints any more. */
  readonly isWalked: () => boolean;
  /** Bytes of the log that were replayed behind the last checkpoint. */
  readonly replayedBytes: number;
}

/** What the commit loop gives the checkpointer. */
export interface CommittedLog {
  /** The newest committed state, and the bytes of all frames that became durable since opening; undefined: no frame. */
  readonly newest: () => { readonly place: CheckpointPlace; readonly bytes: number } | undefined;
  /** Has the anchor name the newest committed frame; whether it does. */
  readonly anchor: () => boolean;
  /** Room was made: what waited may go on. */
  readonly proceed: () => void;
  /** Accepts nothing any more: a write or flush failed. */
  readonly fail: (cause: unknown) => void;
}

/**
 * Has checkpoints written while the commit loop goes on: when the log has grown enough, when many pages wait to be
 * written, or after some time; a slice of pages a turn, and flushed in the background.
 *
 * Invariant: with more pages waiting than may, no further frame is written before a checkpoint is durable.
 */
export class Checkpointer {
  readonly #parts: CheckpointerParts;
  #log: CommittedLog | undefined;
  /** Log bytes at the last checkpoint that was begun. */
  #bytesBefore: number;
  #cancelTimer: (() => void) | undefined;
  #flushing: Promise<void> | undefined;
  #isStepping = false;
  #full: VerityError | undefined;
  #broken: VerityError | undefined;
  #halted: VerityError | undefined;
  /** The newest renewal of pages or key, which the next one waits for. */
  #renewals: Promise<unknown> = Promise.resolve();
  /** Those who wait until a checkpoint is durable, or cannot be written. */
  #waiting: (() => void)[] = [];

  constructor(parts: CheckpointerParts) {
    this.#parts = parts;
    this.#bytesBefore = -parts.replayedBytes;
  }

  attach(log: CommittedLog): void {
    this.#log = log;
  }

  /** Whether the next frame must wait for a checkpoint that is being written. Throws why there is none, e.g. DISK_FULL. */
  isBehind(): boolean {
    const { pages } = this.#parts;
    if (pages.isFull) pages.writeWaiting();
    const { dirtyPages, dirtyPagesMax } = this.#parts.pressure();
    // The store itself writes pages when it has to: before it comes to that, the checkpoint is to be done.
    if (dirtyPages <= dirtyPagesMax * pressedShare) return false;
    const stuck = this.#broken ?? this.#full;
    if (stuck !== undefined) throw stuck;
    this.#begin();
    return this.#parts.writer.running !== undefined;
  }

  /** A frame was committed. */
  committed(): void {
    if (this.#halted !== undefined || this.#parts.writer.running !== undefined) return;
    const { settings, pressure, scheduler } = this.#parts;
    const { dirtyPages, dirtyPagesMax } = pressure();
    const grown = this.#grownBytes;
    if (grown >= settings.logBytesMax || dirtyPages > dirtyPagesMax / 2) this.#begin();
    else if (grown >= settings.logBytesMin)
      this.#cancelTimer ??= scheduler.delay(settings.milliseconds, () => {
        this.#cancelTimer = undefined;
        this.#begin();
      });
  }

  /** Writes a checkpoint of all that is committed, whatever its size; resolves when it is durable. */
  async write(): Promise<void> {
    await this.settled();
    this.#checkSound();
    const wanted = this.#log?.newest()?.place.head.op ?? 0;
    this.#begin();
    await this.settled();
    if ((this.#parts.writer.place?.head.op ?? 0) >= wanted) return;
    this.#checkSound();
    throw new VerityError('DISK_FULL', 'There is no room for a checkpoint of the store.');
  }

  /**
   * Has all pages that an older key of the store seals written again, and forgets those keys. `turn` gives other work
   * its turn.
   */
  renewPages(turn: () => Promise<void>): Promise<void> {
    return this.alone(() => this.#renewAllPages(turn));
  }

  async #renewAllPages(turn: () => Promise<void>): Promise<void> {
    const { writer, settings } = this.#parts;
    await this.settled();
    // Keys that no superblock ever held were never under the old root key.
    if (!writer.hasOlderKeys || writer.place === undefined) return;
    // It reads pages under the keys that are to go.
    while (!this.#parts.isWalked()) await turn();
    // What an unfinished renewal has written again may be under a key that is an older one by now.
    writer.beginTouching();
    while (!writer.touchPages(settings.pagesPerTurn)) {
      await turn();
      const { dirtyPages, dirtyPagesMax } = this.#parts.pressure();
      if (dirtyPages > dirtyPagesMax / 2) await this.write();
    }
    // The first makes the old pages' places free, the second is the first that names the newest key alone.
    await this.write();
    writer.dropOlderKeys();
    await this.write();
  }

  /** Seals under a new key from now on, which is wrapped under the root key of now. */
  renewKey(entropy: Entropy, turn: () => Promise<void>): Promise<void> {
    return this.alone(() => this.#renewKey(entropy, turn));
  }

  async #renewKey(entropy: Entropy, turn: () => Promise<void>): Promise<void> {
    const { writer } = this.#parts;
    if (!writer.renewKey(entropy)) {
      await this.#renewAllPages(turn);
      writer.renewKey(entropy);
    }
    if (writer.place === undefined && writer.running === undefined) return;
    try {
      await this.write();
    } catch (error) {
      // Until there is room the superblock is of the root key before: the next open builds the store anew.
      if (!isDiskFull(error)) throw error;
    }
  }

  /** Whether no checkpoint is being written, or it cannot be. */
  get isSettled(): boolean {
    return (
      this.#parts.writer.running === undefined ||
      this.#broken !== undefined ||
      this.#full !== undefined ||
      this.#halted !== undefined
    );
  }

  /** Resolves when `isSettled` holds. */
  async settled(): Promise<void> {
    while (!this.isSettled) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** The store goes on in other trees, and `isSettled` holds: what stopped checkpoints of those before is over. */
  renewed(): void {
    this.#parts.writer.renewed();
    if (this.#broken instanceof CorruptionError) this.#broken = undefined;
    this.#full = undefined;
  }

  /** Resolves when a checkpoint of the trees that `renewed` told of is durable. */
  async writeRenewed(): Promise<void> {
    await this.write();
    if (!this.#parts.writer.isRenewed) return;
    this.#checkSound();
    throw new VerityError('DISK_FULL', 'There is no room for a checkpoint of the store.');
  }

  /** One after the other: a key that came while pages are renewed would make those done before older ones. */
  alone(work: () => Promise<void>): Promise<void> {
    const done = this.#renewals.then(work);
    this.#renewals = done.catch(() => undefined);
    return done;
  }

  /** Resolves when the next frame need not wait any more, or never will be written. */
  async relieved(): Promise<void> {
    await this.settled();
  }

  /** Finishes what is under way, and writes a last checkpoint if it pays. The log is complete. */
  async close(): Promise<void> {
    try {
      await this.settled();
      const isSound = this.#halted === undefined && this.#broken === undefined;
      // From here on nobody else begins one: who waited for this turn is told so.
      this.#halted ??= closedError();
      if (isSound) await this.#writeLast();
    } catch (error) {
      // The log is complete without it; the next open replays more of it.
      if (!isDiskFull(error) && !(error instanceof CorruptionError)) throw error;
    } finally {
      this.halt(closedError());
      await this.#flushing;
      this.#parts.writer.close();
    }
  }

  /** Writes nothing any more, and tells those who wait why; the files stay open for who reads. */
  halt(why: VerityError): void {
    this.#halted ??= why;
    this.#parts.hasher.stop(why);
    this.#cancelTimer?.();
    this.#wake();
  }

  async #writeLast(): Promise<void> {
    const { settings, writer, hasher, scheduler } = this.#parts;
    // One that a full disk stopped.
    if (writer.running !== undefined) writer.complete(settings.pagesPerTurn);
    const newest = this.#log?.newest();
    if (newest === undefined || this.#grownBytes < settings.logBytesMin) return;
    if (this.#log?.anchor() !== true) return;
    if (hasher.isDue) await hasher.update(scheduler);
    writer.begin(newest.place);
    writer.complete(settings.pagesPerTurn);
  }

  get #grownBytes(): number {
    return (this.#log?.newest()?.bytes ?? 0) - this.#bytesBefore;
  }

  #begin(): void {
    const { writer } = this.#parts;
    if (this.#halted !== undefined || this.#broken !== undefined || writer.running !== undefined)
      return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const log = this.#log;
    const newest = log?.newest();
    if (log === undefined || newest === undefined) return;
    try {
      // On a full disk the anchor stays behind: tried again with the next commit.
      if (!log.anchor()) return;
      writer.begin(newest.place);
      this.#bytesBefore = newest.bytes;
    } catch (error) {
      // What it had begun to keep would be missing in the next one.
      this.#breakWith(asVerityError(error, 'A checkpoint of the store could not be begun.'));
      return;
    }
    this.#later();
    this.#updateHash();
  }

  /** While the checkpoint is written: the next one keeps what becomes of the tries, and this one what they lack. */
  #updateHash(): void {
    const { hasher, scheduler } = this.#parts;
    // What stops it stops the next checkpoint, too.
    if (hasher.isDue) hasher.update(scheduler).catch(() => undefined);
  }

  #later(): void {
    if (this.#isStepping) return;
    this.#isStepping = true;
    this.#parts.scheduler.defer(() => {
      this.#isStepping = false;
      if (this.#halted === undefined) this.#step();
    });
  }

  #step(): void {
    const { writer, settings } = this.#parts;
    try {
      if (!writer.step(settings.pagesPerTurn)) {
        this.#full = undefined;
        this.#later();
        return;
      }
      this.#full = undefined;
      this.#flushing = writer.flushInBackground().then(
        () => this.#flushed(),
        (error: unknown) => this.#failed(error),
      );
    } catch (error) {
      this.#failed(error);
    }
  }

  #flushed(): void {
    this.#flushing = undefined;
    if (this.#halted !== undefined) return;
    try {
      this.#parts.writer.finish();
      this.#full = undefined;
    } catch (error) {
      this.#failed(error);
      return;
    }
    this.#wake();
    this.#log?.proceed();
  }

  #failed(cause: unknown): void {
    this.#flushing = undefined;
    const error = asVerityError(cause, 'The store could not be written.');
    if (isDiskFull(cause)) {
      // Nothing is lost: the log goes on while there is room for it, and the pages stay in memory.
      this.#full = error;
      this.#parts.scheduler.delay(retryMilliseconds, () => {
        const isRunning = this.#parts.writer.running !== undefined && this.#full !== undefined;
        if (this.#halted === undefined && isRunning) this.#step();
      });
      this.#wake();
      this.#log?.proceed();
      return;
    }
    this.#breakWith(error);
  }

  #breakWith(error: VerityError): void {
    this.#broken = error;
    this.#wake();
    // A damaged page stops checkpoints, not the database; after a failed write or flush the disk is not trusted.
    if (!(error instanceof CorruptionError)) this.#log?.fail(error);
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  #checkSound(): void {
    const stuck = this.#broken ?? this.#halted ?? this.#full;
    if (stuck !== undefined) throw stuck;
  }
}
