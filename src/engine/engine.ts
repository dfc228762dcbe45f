import {
  assert,
  type LeafIndex,
  type Op,
  type Position,
  type TenantId,
  type TimestampMicros,
  VerityError,
  type View,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { type Command, decide, type KernelState } from '../kernel/index.ts';
import {
  type BuiltFrame,
  digestsBytes,
  FrameBuilder,
  frameBytesMax,
  type FrameKind,
  leafBytes,
  logicalHeaderFixedBytes,
  type LogHead,
  physicalHeaderBytes,
  sectionHeaderBytes,
  sectionOrderBytes,
} from '../log/index.ts';
import { tagBytes } from '../crypto/index.ts';
import { CommitBatch, type CommandResult } from './commit-batch.ts';
import { keyringPath, smallFileBytesMax, writeTemporary } from './files.ts';
import type { Follower } from './follower.ts';
import type { EngineHost } from './host.ts';
import { type KeyHierarchy, SealingEpoch } from './key-hierarchy.ts';
import type { Keyring } from './keyring.ts';
import type { LogIndex } from './log-index.ts';
import { LogReader } from './log-reader.ts';
import { type LogWriter, publishSegment, writeSegment } from './log-writer.ts';

/** A frame is flushed early when it has gathered this much, so that memory stays bounded. */
const frameBytesTarget = 4 << 20;
/** After this long without a command a mark frame says that everything before it is durable. */
const idleMarkMs = 50;
const frameOverheadBytes = physicalHeaderBytes + logicalHeaderFixedBytes + digestsBytes + 16;
const sectionOverheadBytes = sectionOrderBytes + sectionHeaderBytes + tagBytes;

/** What opening found and did. */
export interface Recovery {
  readonly cleanShutdown: boolean;
  readonly cut: readonly {
    readonly file: string;
    readonly offset: number;
    readonly length: number;
  }[];
}

export interface EngineParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  readonly index: LogIndex;
  readonly head: LogHead;
  readonly recovery: Recovery;
  /** Absent: the engine follows another process's log and writes nothing. */
  readonly writer: LogWriter | undefined;
  readonly follower: Follower | undefined;
}

/**
 * The commit loop. Commands are decided at once against the newest state; all that are decided within
 * one turn share one frame and one flush; replies go out, in order, when the frame is durable.
 *
 * Invariants
 * - No reply – result, rejection or no-op – goes out before the newest position it was decided on is durable.
 * - After a failed write or flush nothing is written or acknowledged any more; committed state is read on.
 * - Trees, index and head know durable frames only.
 */
export class Engine {
  readonly state: KernelState;
  readonly hierarchy: KeyHierarchy;
  readonly reader: LogReader;
  readonly recovery: Recovery;
  readonly #host: EngineHost;
  readonly #index: LogIndex;
  readonly #writer: LogWriter | undefined;
  readonly #follower: Follower | undefined;
  readonly #builder = new FrameBuilder();
  #batch = new CommitBatch();
  #epoch: SealingEpoch | undefined;
  #head: LogHead;
  #scheduled = false;
  #poison: VerityError | undefined;
  #closed = false;
  #cancelMark: (() => void) | undefined;
  /** The digest of a keyring that no durable frame names yet, and whether the frame being gathered does. */
  #unloggedKeyring: Uint8Array | undefined;
  #keyringGathered = false;
  readonly #commitListeners = new Set<() => void>();

  constructor(parts: EngineParts) {
    this.state = parts.state;
    this.hierarchy = parts.hierarchy;
    this.recovery = parts.recovery;
    this.#host = parts.host;
    this.#index = parts.index;
    this.#writer = parts.writer;
    this.#follower = parts.follower;
    this.#head = parts.head;
    this.reader = new LogReader({
      disk: parts.host.disk,
      hierarchy: parts.hierarchy,
      index: parts.index,
      head: () => this.#head.op,
    });
  }

  get committedPosition(): Position {
    return this.state.store.appliedPosition;
  }
  get head(): LogHead {
    return this.#head;
  }
  get closed(): boolean {
    return this.#closed;
  }
  get poisoned(): boolean {
    return this.#poison !== undefined;
  }
  get readOnly(): boolean {
    return this.#writer === undefined;
  }
  /** The time a command decided now would carry. */
  get now(): TimestampMicros {
    return this.state.timeAt(this.#host.clock.now());
  }

  /** Throws CLOSED, READ_ONLY or DATABASE_POISONED unless commands are accepted. */
  checkWritable(): void {
    this.checkOpen();
    if (this.#poison !== undefined) throw poisonedError(this.#poison);
    if (this.#writer === undefined) {
      throw new VerityError(
        'READ_ONLY',
        'This handle only reads: another process has the database open for writing.',
      );
    }
  }

  checkOpen(): void {
    if (this.#closed) throw new VerityError('CLOSED', 'The database is closed. Open it again.');
  }

  /** For a follower: applies what the owner has made durable since. */
  catchUp(): void {
    if (this.#follower === undefined || this.#closed) return;
    this.#follower.catchUp();
    this.#head = this.#follower.head;
  }

  /** Calls `listener` after each commit until the returned function is called. */
  onCommit(listener: () => void): () => void {
    this.#commitListeners.add(listener);
    return () => this.#commitListeners.delete(listener);
  }

  /**
   * Decides a command now and answers when everything the answer rests on is durable. Rejects with the
   * command's rejection, or COMMIT_UNKNOWN and the other errors of a failed write. Throws at once what
   * `checkWritable` throws.
   */
  submit(command: Command): Promise<CommandResult> {
    return this.submitFor(command, asItIs);
  }

  /** As `submit`, with the result in the caller's own form: one promise a command instead of two. */
  submitFor<T>(command: Command, answer: (result: CommandResult) => T): Promise<T> {
    this.checkWritable();
    const decision = decide(this.state, command, { time: this.now });
    // A parameter's own code may have closed the database while it was read.
    this.checkOpen();
    const batch = this.#batch;
    if (decision.kind === 'accepted') {
      this.#accept(decision.position, decision.events);
      return batch.reply(decision.position, decision.outcome, answer);
    }
    const outcome = decision.kind === 'rejected' ? decision.error : decision.outcome;
    // A reply without changes still waits for what it was decided on; what was dropped has left a gap behind it.
    return batch.reply(
      batch.isEmpty ? this.committedPosition : this.state.decidedPosition,
      outcome,
      answer,
    );
  }

  #accept(position: Position, events: readonly LogEvent[]): void {
    this.#batch.add(position, this.#gather(events));
    if (this.#builder.sizeBytes >= frameBytesTarget || this.#batch.isFull) this.#flush();
    else this.#schedule();
  }

  /** Applies events to the overlay and puts them into the frame being gathered. */
  #gather(events: readonly LogEvent[]): ReturnType<KernelState['evolve']> {
    try {
      const changes = this.state.evolve(events);
      for (const event of events) this.#builder.addEvent(event);
      return changes;
    } catch (error) {
      // The overlay may hold half a command: nothing that was decided may be acknowledged.
      this.#fail(
        new VerityError(
          'DATABASE_POISONED',
          'A command could not be applied. Reopen the database.',
          { cause: error },
        ),
      );
      throw error;
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // At the end of this turn's microtasks: everybody who was woken by the last frame has decided by then.
    void Promise.resolve().then(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  /** Makes everything gathered durable in one frame and answers its callers. Never throws. */
  #flush(): void {
    if (this.#builder.eventCount === 0 || this.#writer === undefined || this.#poison !== undefined)
      return;
    this.#cancelMark?.();
    try {
      this.#ensureKeys();
      const bytesMax = this.#frameBytesMax();
      // Readers refuse a longer one, so it must never be acknowledged.
      assert(bytesMax <= frameBytesMax, 'commands are bounded so that a frame is');
      this.#writer.reserve(bytesMax);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    try {
      this.#writeFrame('data', this.#build('data'));
      this.#commitBatch();
      if (this.#writer.full) this.#roll();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#cancelMark = this.#host.scheduler.delay(idleMarkMs, () => this.#mark());
  }

  #frameBytesMax(): number {
    let sections = 0;
    for (const _tenant of this.#builder.tenants) sections += 1;
    return (
      frameOverheadBytes +
      sections * sectionOverheadBytes +
      this.#builder.eventCount * leafBytes +
      this.#builder.sizeBytes
    );
  }

  /** Tenants that write for the first time get keys, durable in the keyring before the frame that uses them. */
  #ensureKeys(): void {
    const { keyring, root } = this.hierarchy;
    const without = [...this.#builder.tenants].filter((tenant) => !keyring.has(tenant));
    if (without.length > 0) {
      this.storeKeyring((next) => {
        for (const tenant of without) next.addTenant(tenant, root, this.#host.entropy);
      });
    } else if (this.#unloggedKeyring !== undefined && !this.#keyringGathered) {
      this.#gatherKeyring(this.#unloggedKeyring);
    }
  }

  /**
   * Replaces the keyring file by a changed one of the next generation, and logs generation and digest with the
   * next frame. If that fails the keyring in use stays as it was: nothing may be sealed under keys that only
   * memory holds.
   */
  storeKeyring(change: (keyring: Keyring) => void): void {
    this.checkWritable();
    const { keyring, root } = this.hierarchy;
    const next = keyring.copy();
    change(next);
    next.generation += 1;
    const bytes = next.encode(root);
    if (bytes.length > smallFileBytesMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The keyring would exceed ${smallFileBytesMax} bytes; put further tenants into another database.`,
      );
    }
    this.#replaceKeyring(bytes);
    this.hierarchy.replaceKeyring(next);
    this.logKeyring(next.digest(bytes));
  }

  #replaceKeyring(bytes: Uint8Array): void {
    const { disk } = this.#host;
    const temporary = writeTemporary(disk, keyringPath, bytes);
    let renamed = false;
    try {
      disk.rename(temporary, keyringPath);
      renamed = true;
      disk.flushDirectory('');
    } catch (error) {
      // Which of the two keyrings a crash would leave is not known from here on.
      if (renamed || !isDiskFull(error)) this.#fail(error);
      throw error;
    }
  }

  /** Logs the keyring's generation and digest: with the next frame, or the one after if that is refused. */
  logKeyring(digest: Uint8Array): void {
    this.#unloggedKeyring = digest;
    this.#gatherKeyring(digest);
  }

  #gatherKeyring(digest: Uint8Array): void {
    const command: Command = {
      kind: 'keyringChanged',
      generation: this.hierarchy.keyring.generation,
      digest,
      origin: {},
    };
    const decision = decide(this.state, command, { time: this.now });
    assert(decision.kind === 'accepted', 'a keyring record is always accepted');
    this.#batch.add(decision.position, this.#gather(decision.events));
    this.#keyringGathered = true;
    this.#schedule();
  }

  /** Writes and flushes a frame that there is room for. */
  #writeFrame(kind: FrameKind, frame: BuiltFrame): void {
    assert(this.#writer !== undefined, 'only a writer writes frames');
    const offset = this.#writer.tail;
    this.#writer.append(frame.bytes);
    this.#advance(kind, frame, offset);
  }

  /** Writes a frame without events. False if the disk is full: then nothing was written. */
  #writeEmptyFrame(kind: 'mark' | 'close'): boolean {
    assert(this.#writer !== undefined, 'only a writer writes frames');
    const frame = this.#build(kind);
    try {
      this.#writer.reserve(frame.bytes.length);
    } catch (error) {
      if (isDiskFull(error)) return false;
      throw error;
    }
    this.#writeFrame(kind, frame);
    return true;
  }

  #build(kind: FrameKind): BuiltFrame {
    const { entropy } = this.#host;
    if (this.#epoch === undefined || this.#epoch.exhausted) {
      this.#epoch?.wipe();
      this.#epoch = new SealingEpoch(this.#head.sealingEpoch + 1, entropy, this.hierarchy);
    }
    const epoch = this.#epoch;
    const last = kind === 'data' ? this.state.decidedPosition : this.#head.position;
    return this.#builder.build(
      {
        kind,
        op: (this.#head.op + 1) as Op,
        firstPosition: (this.#head.position + 1) as Position,
        lastPosition: last,
        firstLeaf: this.#head.leafCount,
        timestamp: this.state.timeAt(this.#head.timestamp),
        parent: this.#head.chainHash,
        durableHead: this.#head.op,
      },
      {
        logId: this.#head.logId,
        view: 0 as View,
        sealingEpoch: epoch.number,
        epochSalt: epoch.salt,
        entropy,
        keyFor: (tenant: TenantId) => epoch.keyFor(tenant),
      },
    );
  }

  #advance(kind: FrameKind, frame: BuiltFrame, offset: number): void {
    assert(
      this.#epoch !== undefined && this.#writer !== undefined,
      'a frame was written under an epoch',
    );
    const op = (this.#head.op + 1) as Op;
    const timestamp = this.state.timeAt(this.#head.timestamp);
    this.#index.add({
      path: this.#writer.path,
      offset,
      op,
      position: (this.#head.position + 1) as Position,
      timestamp,
    });
    this.#head = {
      logId: this.#head.logId,
      op,
      position: kind === 'data' ? this.state.decidedPosition : this.#head.position,
      leafCount: this.state.leafCount,
      timestamp,
      chainHash: frame.chainHash,
      sealingEpoch: this.#epoch.number,
      durableHead: (op - 1) as Op,
      lastKind: kind,
    };
  }

  #commitBatch(): void {
    const batch = this.#takeBatch();
    for (const { position, changes } of batch.commands) this.state.commit(position, changes);
    assert(
      this.state.store.appliedPosition === this.#head.position,
      'a durable frame is applied whole',
    );
    if (this.#keyringGathered) this.#unloggedKeyring = undefined;
    this.#keyringGathered = false;
    // A loop of microtasks alone would starve timers and sockets.
    this.#host.scheduler.defer(() => {
      batch.succeed();
      for (const listener of this.#commitListeners) listener();
    });
  }

  #takeBatch(): CommitBatch {
    const batch = this.#batch;
    this.#batch = new CommitBatch();
    return batch;
  }

  #roll(): void {
    assert(this.#writer !== undefined, 'only a writer rolls segments');
    const end = this.#build('end');
    const after: LogHead = {
      ...this.#head,
      op: (this.#head.op + 1) as Op,
      chainHash: end.chainHash,
    };
    let path: string;
    try {
      this.#writer.reserve(end.bytes.length);
      path = writeSegment(this.#host.disk, after);
    } catch (error) {
      // On a full disk the segment grows on; the next frame tries again.
      if (isDiskFull(error)) return;
      throw error;
    }
    // The next segment is durable before the end frame that promises it.
    publishSegment(this.#host.disk, path);
    this.#writeFrame('end', end);
    this.#writer.continueIn(path);
  }

  #mark(): void {
    if (
      this.#closed ||
      this.#poison !== undefined ||
      !this.#batch.isEmpty ||
      this.#head.lastKind !== 'data'
    )
      return;
    try {
      this.#writeEmptyFrame('mark');
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Nothing of the frame was written: the batch is refused, the handle stays usable. */
  #refuse(cause: unknown): void {
    const error =
      cause instanceof VerityError
        ? cause
        : new VerityError('IO_ERROR', 'The log could not be extended.', { cause });
    this.#drop(() => error);
  }

  /** Bytes may or may not be durable: nothing more is written or acknowledged. */
  #fail(cause: unknown): void {
    const poison =
      cause instanceof VerityError
        ? cause
        : new VerityError('IO_ERROR', 'The log could not be written.', { cause });
    this.#poison ??= poison;
    this.#drop(
      () =>
        new VerityError(
          'COMMIT_UNKNOWN',
          'Writing the log failed while this command was on its way; it may or may not be durable. Reopen the database and look.',
          { cause: poison },
        ),
    );
  }

  #drop(failure: () => VerityError): void {
    this.#builder.drop();
    this.#keyringGathered = false;
    this.state.drop(this.#head.leafCount as LeafIndex);
    const batch = this.#takeBatch();
    this.#host.scheduler.defer(() => batch.fail(failure));
  }

  /** Flushes what is gathered, marks the clean end of the log and wipes the keys. */
  close(): void {
    if (this.#closed) return;
    this.#flush();
    this.#cancelMark?.();
    this.#closed = true;
    try {
      if (this.#writer !== undefined && this.#poison === undefined) this.#closeLog(this.#writer);
      else this.#writer?.abandon();
    } finally {
      this.#epoch?.wipe();
      this.hierarchy.wipe();
    }
  }

  #closeLog(writer: LogWriter): void {
    let clean = false;
    try {
      clean =
        this.#head.op === 0 || this.#head.lastKind === 'close' || this.#writeEmptyFrame('close');
    } finally {
      // On a full disk the next open takes this for a crash; nothing acknowledged is lost.
      if (!clean) writer.abandon();
    }
    if (clean) writer.close();
  }
}

const asItIs = (result: CommandResult): CommandResult => result;

function isDiskFull(error: unknown): boolean {
  return error instanceof VerityError && error.code === 'DISK_FULL';
}

function poisonedError(cause: VerityError): VerityError {
  return new VerityError(
    'DATABASE_POISONED',
    'An earlier write of the log failed, so this handle accepts no more commands; committed data can still be read. Reopen the database.',
    { cause },
  );
}
