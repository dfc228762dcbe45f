import {
  assert,
  CorruptionError,
  type LeafIndex,
  type Position,
  type Scheduler,
  VerityError,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import {
  type Command,
  dataOfTree,
  decide,
  type DecidedChanges,
  type Decision,
  type KernelState,
  type StagedBlob,
} from '../kernel/index.ts';
import type { LogHead } from '../log/index.ts';
import type { AnchorFile } from './anchor.ts';
import type { BlobStore } from './blob-store.ts';
import type { Checkpointer, CommittedLog } from './checkpointer.ts';
import { CommitBatch, type CommandResult } from './commit-batch.ts';
import { asVerityError, closedError, commitUnknown, poisonedError } from './commit-errors.ts';
import { CommitFlights } from './commit-flights.ts';
import { CommitFrames, type FrameParts } from './commit-frames.ts';
import { CommitPace, defaultPace } from './commit-pace.ts';
import { CommitQueue, detached, sizeOf } from './commit-queue.ts';
import { CommitReplies } from './commit-replies.ts';
import { CommitTail } from './commit-tail.ts';
import { TurnWatch } from './turn-watch.ts';
import type { EngineHost } from './host.ts';
import { loggedKeyring } from './keyring-record.ts';
import { KeyringStore } from './keyring-store.ts';

/** One is flushed while the next, sealed and written, waits for the same disk; a third would only wait. */
const framesOnTheirWayMax = 2;

type Wanting = Extract<Decision, { kind: 'wanting' }>;

export interface CommitLoopParts extends FrameParts {
  readonly state: KernelState;
  readonly anchor: AnchorFile;
  /** For what can wait. */
  readonly background: Scheduler;
  /** Has checkpoints of the store written, if that is on the disk. */
  readonly checkpoints?: Checkpointer | undefined;
  readonly blobs: BlobStore;
}

/**
 * The commit loop. Commands are decided at once against the newest state and gathered into a frame. It is
 * written at the end of the turn, or when about half of all who wait are in it; while it is flushed the next
 * is gathered, sealed and written. Replies go out, in order, as frames become durable.
 *
 * Invariants
 * - No reply – result, rejection or no-op – goes out before the newest position it was decided on is durable.
 * - After a failed write or flush nothing is written or acknowledged any more; committed state is read on.
 * - Trees, index and head know durable frames only. What is decided lies in the overlay until then and is
 *   dropped whole or not at all.
 * - At most `framesOnTheirWayMax` frames are on their way and one is gathered; behind them commands wait undecided.
 */
export class CommitLoop {
  readonly keyring: KeyringStore;
  readonly #host: EngineHost;
  readonly #state: KernelState;
  readonly #frames: CommitFrames;
  readonly #tail: CommitTail;
  readonly #checkpoints: Checkpointer | undefined;
  readonly #pace: CommitPace;
  readonly #frameBytesTarget: number;
  readonly #queue: CommitQueue;
  readonly #turn: TurnWatch;
  readonly #replies = new CommitReplies();
  #batch = new CommitBatch();
  readonly #flights: CommitFlights;
  readonly #blobs: BlobStore;
  /** Commands whose large values are being made durable. */
  readonly #staging = new Set<Promise<unknown>>();
  #scheduled = false;
  /** No room could be had for the next frame while others are on their way: tried again when they are durable. */
  #stalled = false;
  #poison: VerityError | undefined;
  #closing = false;
  #closed = false;
  #pumping = false;
  #pumpAgain = false;

  constructor(parts: CommitLoopParts) {
    this.#host = parts.host;
    this.#state = parts.state;
    this.#frames = new CommitFrames(parts);
    const pace = parts.host.pace ?? defaultPace;
    this.#pace = new CommitPace(pace);
    this.#queue = new CommitQueue(pace);
    this.#turn = new TurnWatch(parts.host.scheduler, () => this.#pump());
    this.#frameBytesTarget = pace.frameBytesTarget;
    this.#checkpoints = parts.checkpoints;
    this.#blobs = parts.blobs;
    this.#checkpoints?.attach({
      newest: () => this.#newestPlace,
      anchor: () => this.#tail.reach(),
      proceed: () => this.#proceed(),
      fail: (cause) => this.#fail(cause),
    });
    this.#flights = new CommitFlights({
      clock: parts.host.clock,
      scheduler: parts.host.scheduler,
      pace: this.#pace,
      replies: this.#replies,
      turn: this.#turn,
      flush: () => this.#frames.flush(),
      flushInBackground: () => this.#frames.flushInBackground(),
      commit: () => this.#commit(),
      landed: () => {
        this.#stalled = false;
        this.#pump();
      },
      fail: (cause) => this.#fail(cause),
      hasFailed: () => this.#poison !== undefined,
    });
    this.#tail = new CommitTail({
      host: parts.host,
      background: parts.background,
      state: parts.state,
      frames: this.#frames,
      anchor: parts.anchor,
      submit: async (command) => this.submitFor(command, () => undefined),
      isBusy: () => this.#isBusy,
      isOver: () => this.#poison !== undefined || this.#closing,
      sendEmpty: (bytes) => this.#send(new CommitBatch(), bytes),
      fail: (cause) => this.#fail(cause),
    });
    this.keyring = new KeyringStore({
      host: parts.host,
      hierarchy: parts.hierarchy,
      logged: () => loggedKeyring(parts.state)?.generation ?? 0,
      checkWritable: () => this.checkSound(),
      gather: (command) => this.#gatherSystem(command),
      fail: (cause) => this.#fail(cause),
    });
  }

  get head(): LogHead {
    return this.#frames.head;
  }
  /** First position of the segment that is written. */
  get segment(): Position {
    return this.#frames.segment;
  }
  /** Its bytes up to where the next frame goes. */
  get written(): number {
    return this.#frames.written;
  }
  /** Whether frames are written that are not known to be durable. */
  get busy(): boolean {
    return this.#flights.count > 0;
  }
  get poisoned(): boolean {
    return this.#poison !== undefined;
  }

  /** Appends what the log itself needs, from now on. */
  begin(): void {
    this.#tail.begin();
  }

  /** Throws CLOSED or DATABASE_POISONED unless commands are accepted. */
  checkWritable(): void {
    if (this.#closing) throw closedError();
    this.checkSound();
  }

  /** Calls `listener` after each commit until the returned function is called. */
  onCommit(listener: () => void): () => void {
    return this.#replies.onCommit(listener);
  }

  /**
   * Decides a command – now, or when there is room for it – and answers, with the result in the caller's form, when
   * everything the answer rests on is durable. Rejects with the command's rejection, with COMMIT_UNKNOWN and the
   * other errors of a failed write, and with OVERLOADED. Throws at once what `checkWritable` throws.
   */
  submitFor<T>(command: Command, answer: (result: CommandResult) => T): Promise<T> {
    this.checkWritable();
    if (this.#queue.isEmpty && this.#hasRoom && !this.#turn.isLong)
      return this.#decide(command, answer);
    const later = detached(command);
    // A parameter's own code may have closed the database while it was copied.
    this.checkWritable();
    return this.#wait(later, answer);
  }

  #wait<T>(later: Command, answer: (result: CommandResult) => T): Promise<T> {
    return this.#queue.wait(sizeOf(later), (resolve: (answer: T) => void) =>
      this.#decide(later, (result) => resolve(answer(result))),
    );
  }

  /** Accepts nothing any more: what the disk holds is not known after `cause`. */
  fail(cause: unknown): void {
    this.#fail(cause);
  }

  /** Has the anchor written with another key, which is taken over; whether all of it is now. Throws IO_ERROR. */
  renewAnchor(key: SecretKey): boolean {
    return this.#tail.renewAnchor(key);
  }

  /**
   * Finishes the segment that is being written, which holds a command, and goes on in a new one. Rejects with
   * DISK_FULL when there is no room for one.
   */
  async finishSegment(): Promise<void> {
    const segment = this.#frames.segment;
    this.#frames.finishSegment(true);
    try {
      for (;;) {
        this.checkWritable();
        if (this.#frames.segment !== segment) return;
        if (this.#flights.count === 0) break;
        await this.#flights.landing();
      }
      this.#tail.roll();
      this.checkWritable();
      if (this.#frames.segment === segment) {
        throw new VerityError('DISK_FULL', 'There is no room for another segment of the log.');
      }
    } finally {
      if (this.#frames.segment === segment) this.#frames.finishSegment(false);
    }
    this.#schedule();
  }

  /**
   * Has everything that was submitted decided and made durable, marks the clean end of the log and wipes the
   * sealing keys. New commands are refused from the first moment.
   */
  async close(): Promise<void> {
    this.#closing = true;
    this.#tail.stopDigests();
    // One turn's commands, and a frame refused, may leave others behind that wait.
    while (this.#poison === undefined && (this.#isBusy || this.#staging.size > 0)) {
      if (this.#staging.size > 0) await Promise.allSettled(this.#staging);
      this.#pump();
      await this.#flights.landing();
      if (this.#stalled) await this.#checkpoints?.relieved();
    }
    if (this.#staging.size > 0) await Promise.allSettled(this.#staging);
    this.#closed = true;
    this.#tail.stop();
    try {
      if (this.#poison === undefined) {
        this.#frames.close();
        this.#tail.settle();
      } else {
        this.#frames.abandon();
      }
    } catch (error) {
      this.#checkpoints?.halt(closedError());
      throw error;
    } finally {
      try {
        await this.#checkpoints?.close();
      } finally {
        this.#tail.close();
        this.#frames.wipe();
      }
    }
  }

  /** Throws DATABASE_POISONED after a failed write. */
  checkSound(): void {
    if (this.#poison !== undefined) throw poisonedError(this.#poison);
  }

  get #isBusy(): boolean {
    return this.#flights.count > 0 || !this.#frames.isEmpty || !this.#queue.isEmpty;
  }

  /** Whether the frame being gathered takes another command. */
  get #hasRoom(): boolean {
    return this.#frames.sizeBytes < this.#frameBytesTarget && !this.#batch.isFull;
  }

  #decide<T>(command: Command, answer: (result: CommandResult) => T): Promise<T> {
    const time = this.#state.timeAt(this.#host.clock.now());
    let decision = decide(this.#state, command, { time });
    // A parameter's own code may have closed the database while it was read.
    if (this.#closed) throw closedError();
    if (decision.kind === 'accepted') {
      this.checkSound();
      const gathered = this.#gather(decision.events);
      if (!(gathered instanceof CorruptionError)) {
        const batch = this.#batch;
        batch.add(decision.position, gathered);
        const reply = batch.reply(decision.position, decision.outcome, answer);
        this.#gathered();
        return reply;
      }
      decision = { kind: 'rejected', error: gathered };
    }
    if (decision.kind === 'rejected') this.#name(decision.error);
    if (decision.kind === 'wanting') return this.#stage(command, decision, answer);
    const outcome = decision.kind === 'rejected' ? decision.error : decision.outcome;
    // A reply without changes still waits for what it was decided on; what was dropped has left a gap behind it.
    const newest = this.#batch.isEmpty ? this.#flights.newest : this.#batch;
    const first = decision.kind === 'repeated' ? decision.position : undefined;
    // With nothing but a mark on its way, all that was decided is durable.
    return newest === undefined || newest.isEmpty
      ? this.#batch.reply(first ?? this.#frames.head.position, outcome, answer)
      : newest.reply(first ?? this.#state.decidedPosition, outcome, answer);
  }

  /** Makes the large values of a command durable, and then has it decided again. */
  async #stage<T>(
    command: Command,
    { values, bound }: Wanting,
    answer: (result: CommandResult) => T,
  ): Promise<T> {
    assert(command.kind === 'statement', 'only a statement makes large values');
    const work = this.#decideStaged({ ...command, bound }, values, answer);
    this.#staging.add(work);
    const { reply } = await work.finally(() => this.#staging.delete(work));
    return reply;
  }

  /** The reply is in an object, so that who waits for the work does not wait for it. */
  async #decideStaged<T>(
    command: Extract<Command, { kind: 'statement' }>,
    values: readonly (string | Uint8Array)[],
    answer: (result: CommandResult) => T,
  ): Promise<{ readonly reply: Promise<T> }> {
    let blobs = command.blobs ?? [];
    try {
      blobs = [...blobs, ...(await this.#blobs.stage(command.tenant, values))];
      this.checkSound();
      const later = { ...command, blobs };
      const isNext = this.#hasRoom && this.#queue.isEmpty;
      const reply = isNext ? this.#decide(later, answer) : this.#wait(later, answer);
      return { reply: this.#tidied(reply, blobs) };
    } catch (error) {
      this.#blobs.discard(blobs);
      throw error;
    }
  }

  /** Removes what a command brought and no row names in the end. */
  async #tidied<T>(reply: Promise<T>, blobs: readonly StagedBlob[]): Promise<T> {
    try {
      return await reply;
    } finally {
      // After a failed write nobody knows which commands are in the log: the next open does.
      if (this.#poison === undefined) this.#blobs.discard(blobs);
    }
  }

  #gatherSystem(command: Command): Position {
    const time = this.#state.timeAt(this.#host.clock.now());
    const decision = decide(this.#state, command, { time });
    assert(decision.kind === 'accepted', 'a keyring record is always accepted');
    const gathered = this.#gather(decision.events);
    if (gathered instanceof CorruptionError) {
      // The keyring is replaced and its record is not: only the next open can bring the two together.
      this.#fail(gathered);
      throw gathered;
    }
    this.#batch.add(decision.position, gathered);
    this.#schedule();
    return decision.position;
  }

  /**
   * Applies events to the overlay and puts them into the frame being gathered. Returns the error if the store is damaged
   * where committing them would need it: then nothing was done.
   */
  #gather(events: readonly LogEvent[]): ReturnType<KernelState['evolve']> | CorruptionError {
    try {
      const changes = this.#state.evolveNew(events, () => this.#decided());
      const before = this.#frames.sizeBytes;
      for (const event of events) this.#frames.add(event);
      this.#turn.decided(events.length, this.#frames.sizeBytes - before);
      return changes;
    } catch (error) {
      if (error instanceof CorruptionError) return error;
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

  /** Says in an error of a damaged page whose table was asked for. */
  #name(error: VerityError): void {
    if (error instanceof CorruptionError && error.tree !== undefined)
      error.nameData(dataOfTree(this.#state.store, error.tree));
  }

  /** All commands that are decided and not committed, in order. */
  *#decided(): Generator<DecidedChanges> {
    yield* this.#flights.commands();
    yield* this.#batch.commands;
  }

  #gathered(): void {
    const enough = this.#batch.commands.length >= this.#pace.cutCommands || !this.#hasRoom;
    if (enough && this.#mayLaunch) this.#launch();
    else this.#schedule();
  }

  #schedule(): void {
    // With the next turn, what was decided is written.
    if (this.#scheduled || this.#turn.isLong) return;
    this.#scheduled = true;
    // At the end of this turn's microtasks: everybody who was woken by the last frame has decided by then.
    void Promise.resolve().then(() => {
      this.#scheduled = false;
      this.#pump();
    });
  }

  get #mayLaunch(): boolean {
    const onTheirWay = this.#flights.count;
    // A full segment is rolled when nothing is on its way; where the disk is full too, it grows on.
    const mayWrite = onTheirWay === 0 || !this.#frames.isSegmentFull;
    return onTheirWay < framesOnTheirWayMax && mayWrite && !this.#stalled && this.#hasTime;
  }

  /** Does whatever can be done now: rolls, launches a frame, has those decided that wait for room. Never throws. */
  #pump(): void {
    // What is done here may land on this turn and come back: there is more to do then, such as a roll.
    this.#pumpAgain = true;
    if (this.#pumping) return;
    this.#pumping = true;
    while (this.#pumpAgain) {
      this.#pumpAgain = false;
      this.#pumpAll();
    }
    this.#pumping = false;
  }

  #pumpAll(): void {
    for (;;) {
      if (this.#poison !== undefined || this.#closed) return;
      if (this.#flights.count === 0 && this.#frames.isSegmentFull) this.#tail.roll();
      const pays =
        this.#flights.count === 0 || this.#batch.commands.length >= this.#pace.cutCommands;
      if (!this.#frames.isEmpty && this.#mayLaunch && (pays || !this.#hasRoom)) this.#launch();
      if (!this.#decidesNext) return;
      while (this.#decidesNext) this.#queue.decideNext();
    }
  }

  /** Whether a command that waits may be decided. */
  get #decidesNext(): boolean {
    return !this.#queue.isEmpty && this.#hasRoom && this.#hasTime;
  }

  /** Whether more is to be done on this turn. What is left when the log is closed does not wait for turns. */
  get #hasTime(): boolean {
    return this.#closing || !this.#turn.isLong;
  }

  #stall(): void {
    this.#stalled = true;
    this.#host.onRarePath?.('frame waited for room');
  }

  /** Seals and writes what is gathered, and has it flushed. Never throws. */
  #launch(): void {
    try {
      if (this.#checkpoints?.isBehind() === true) {
        this.#stalled = true;
        return;
      }
      this.keyring.prepare(this.#frames.tenants);
      this.#frames.reserve();
    } catch (error) {
      // The overlay is dropped whole or not at all: what is on its way is waited for.
      if (this.#flights.count === 0) this.#refuse(error);
      else this.#stall();
      return;
    }
    const batch = this.#batch;
    let bytes: number;
    try {
      bytes = this.#frames.write({
        position: this.#state.decidedPosition,
        leafCount: this.#state.leafCount,
        timestamp: this.#state.timeAt(this.#frames.head.timestamp),
      });
      this.keyring.written();
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#batch = new CommitBatch();
    this.#send(batch, bytes);
  }

  #send(batch: CommitBatch, bytes: number): void {
    if (this.#flights.count === 1) this.#host.onRarePath?.('two frames on their way');
    this.#tail.written();
    this.#flights.send(batch, bytes);
  }

  /** The oldest frame on its way is durable: its commands move from the overlay into the trees. */
  #commit(): void {
    const batch = this.#flights.oldest;
    assert(batch !== undefined, 'only a frame on its way becomes durable');
    this.#frames.landed();
    this.#state.commitAll(batch.commands);
    let changes = 0;
    for (const command of batch.commands) changes += command.changes.length;
    this.#turn.committed(changes);
    const { position } = this.#frames.head;
    assert(this.#state.store.appliedPosition === position, 'a durable frame is applied whole');
    // Whatever becomes of the anchor: these commands are durable. Until here a failure answers them, too.
    this.#flights.shift();
    this.#replies.succeeded(batch);
    this.#tail.durable(this.keyring.committed(position));
    this.#checkpoints?.committed();
  }

  /** The newest durable frame, for a checkpoint. */
  get #newestPlace(): ReturnType<CommittedLog['newest']> {
    const { head, lastFrame: frame, durableBytes: bytes } = this.#frames;
    return frame === undefined ? undefined : { place: { head, frame }, bytes };
  }

  /** What waited for a checkpoint goes on. */
  #proceed(): void {
    this.#stalled = false;
    this.#pump();
  }

  /** Nothing of the frame was written and no other is on its way: the batch is refused, the handle stays usable. */
  #refuse(cause: unknown): void {
    const error = asVerityError(cause, 'The log could not be extended.');
    this.#host.onRarePath?.('batch refused');
    this.#drop(() => error);
  }

  /** Bytes may or may not be durable: nothing more is written or acknowledged. */
  #fail(cause: unknown): void {
    if (this.#poison !== undefined) return;
    const poison = asVerityError(cause, 'The log could not be written.');
    this.#poison = poison;
    this.#checkpoints?.halt(poisonedError(poison));
    this.#host.onRarePath?.('handle poisoned');
    if (this.#flights.count > 1) this.#host.onRarePath?.('poisoned with two frames on their way');
    this.#drop(() => commitUnknown(poison));
    this.#queue.fail(() => poisonedError(poison));
    this.#flights.land();
  }

  #drop(failure: () => VerityError): void {
    this.#frames.drop();
    this.keyring.dropped();
    this.#state.drop(this.#frames.head.leafCount as LeafIndex);
    for (const batch of [...this.#flights.drop(), this.#batch])
      this.#replies.failed(batch, failure);
    this.#batch = new CommitBatch();
    this.#host.scheduler.defer(() => this.#replies.answer());
  }
}
