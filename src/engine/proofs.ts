import {
  assert,
  CorruptionError,
  equalBytes,
  type LeafIndex,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import { ed25519Sign, ed25519Verify, sha256 } from '../crypto/index.ts';
import type { CheckpointRecord, LoggedCheckpoint } from '../kernel/index.ts';
import {
  addSignatures,
  formatCheckpoint,
  formatNote,
  makeVkey,
  type NoteSignature,
  openNote,
  parseCheckpoint,
  signatureTypes,
  type Vkey,
} from '../proof/index.ts';
import { asVerityError, isDiskFull } from './commit-errors.ts';
import { CheckpointTimes } from './checkpoint-times.ts';
import type { ProofsParts, SignedCheckpoint } from './proofs-parts.ts';
import { SignedBefore } from './signed-before.ts';
import type { LogTree } from './log-tree.ts';
import type { HandOver } from './signing-keys.ts';
import { StateCaptures } from './state-captures.ts';
import type { StateHash } from './state-hasher.ts';

/**
 * Checkpoints of the log: a record in the log of what it was, and over that a signed note. docs/proofs.md says what for.
 *
 * Invariants
 * - A note is of a committed prefix of the log that ends with its record.
 * - What a note says is durable before it is signed, and of two that were signed the smaller is a prefix of the larger.
 * - One checkpoint is made at a time; whoever asks meanwhile gets that one or the next.
 */
export class Proofs {
  readonly tree: LogTree;
  readonly origin: string;
  /** Told of each new note, when it is there. */
  onCheckpoint: ((signed: SignedCheckpoint) => void) | undefined;
  readonly #parts: ProofsParts;
  #newest: SignedCheckpoint | undefined;
  #making: Promise<unknown> = Promise.resolve();
  readonly #captures: StateCaptures;
  readonly #before: SignedBefore;
  #isStarted = false;
  readonly #times: CheckpointTimes;
  #isClosed = false;
  #failure: VerityError | undefined;
  /** Whether what was signed last was compared with the tree. */
  #isCompared = false;
  /** Whether the note of the newest record was looked for. */
  #isNoteSought = false;

  constructor(parts: ProofsParts) {
    this.#parts = parts;
    this.tree = parts.tree;
    const { notes, tree, origin, setting, head, settings, scheduler } = parts;
    const leafCount = (): number => head().leafCount;
    this.#times = new CheckpointTimes({
      settings,
      scheduler,
      leafCount,
      make: async () => {
        // What keeps a checkpoint from being made, whoever asks for one is told.
        await this.#alone(() => this.#makeAtHand()).catch(() => undefined);
      },
    });
    this.#before = new SignedBefore({ notes, tree, origin, setting, leafCount });
    this.#captures = new StateCaptures(parts.scheduler, (capture) =>
      this.#alone(() => this.#checkpointAt(capture)),
    );
    this.origin = parts.origin;
  }

  /**
   * For an owner, before it does anything: compares the log with what was signed last. Throws LOG_ROLLED_BACK when that is not
   * of this log, unless it is accepted, now or before: then the log says so, and notes of events that are gone are forgotten.
   */
  async checkRollback(isAccepted: boolean): Promise<void> {
    const { submit, notes } = this.#parts;
    if (submit === undefined) return;
    // What is shown to anybody from now on must be there after a loss of power.
    notes.secure();
    await this.#before.check(isAccepted, submit);
  }

  /** The newest signed checkpoint; undefined before the first. Throws CorruptionError. */
  get newest(): SignedCheckpoint | undefined {
    if (this.#parts.submit === undefined) {
      this.#parts.notes.refresh();
      this.#newest = undefined;
    }
    return (this.#newest ??= this.#readNewest());
  }

  /** All signed checkpoints, the oldest first, each with the signatures that were added last. */
  all(): SignedCheckpoint[] {
    const bySize = new Map<number, SignedCheckpoint>();
    for (const note of this.#parts.notes.all()) {
      const signed = this.#opened(note);
      if (signed !== undefined) bySize.set(signed.size, signed);
    }
    return [...bySize.values()].toSorted((a, b) => a.size - b.size);
  }

  /** All keys that sign, or signed, checkpoints; the oldest first. */
  get vkeys(): readonly Vkey[] {
    return this.#parts.vkeys();
  }

  /** What each signing key said of the one after it, the oldest first. */
  handovers(): readonly HandOver[] {
    return this.#parts.handOvers();
  }

  /** Checkpoints are made from now on without being asked for. */
  start(): void {
    if (this.#parts.submit === undefined || this.#isStarted) return;
    this.#isStarted = true;
    // What the log has that the tree lacks; who needs it before waits for it.
    this.tree.catchUp().catch(() => undefined);
    const record = this.#parts.newestRecord();
    // What stands against it, whoever asks for a checkpoint is told.
    if (record !== undefined) this.#alone(async () => undefined).catch(() => undefined);
    this.#times.start((record?.leaf ?? -1) + 1);
  }

  /** A frame was committed. */
  committed(): void {
    if (this.#failure === undefined) this.#times.committed();
  }

  /**
   * A signed checkpoint of all that is committed: a new one, or the newest if nothing was committed behind it. A handle that
   * only reads gives the newest. Rejects with READ_ONLY where there is none for it, and with what a commit rejects with.
   */
  async checkpoint(): Promise<SignedCheckpoint> {
    return this.#alone(async () => {
      if (this.#parts.submit === undefined) return this.#current() ?? this.#make(undefined);
      const state = await this.#parts.stateHash();
      return this.#currentOf(state) ?? this.#make(state);
    });
  }

  /**
   * Brings the state hash up to now, calls `capture` in the turn in which the state's tries are of it, and resolves when a
   * checkpoint with that state hash is signed. Callers that wait for one another share state and checkpoint.
   */
  async captureAtState<T>(
    capture: (state: StateHash) => T,
  ): Promise<{ readonly captured: T; readonly checkpoint: SignedCheckpoint }> {
    return this.#captures.capture(capture);
  }

  async #checkpointAt(capture: (state: StateHash) => void): Promise<SignedCheckpoint> {
    const { stateHash, stateHashNow } = this.#parts;
    await stateHash();
    // What was committed since that promise was kept is little, and in this turn nothing more comes.
    const state = stateHashNow();
    capture(state);
    const newest = this.#currentOf(state);
    if (newest === undefined) return this.#make(state);
    await this.tree.catchUp();
    return newest;
  }

  /** The newest checkpoint, if it covers all that is committed, and names this state. */
  #currentOf({ hash }: StateHash): SignedCheckpoint | undefined {
    const { newest } = this;
    // With equal states alone, a definition that a proof rests on might be behind the checkpoint.
    if (newest?.size !== this.#parts.head().leafCount) return undefined;
    const { state } = newest.record;
    return state !== undefined && equalBytes(state.hash, hash) ? newest : undefined;
  }

  /** A state hash that would cost more than the commits themselves is left at where it was. */
  async #makeAtHand(): Promise<SignedCheckpoint> {
    return this.#current() ?? this.#make(await this.#parts.stateHashAtHand());
  }

  /** Does something while no checkpoint is made. */
  whileNoneIsMade<T>(work: () => Promise<T>): Promise<T> {
    return this.#alone(work);
  }

  /** Adds signatures of others to the note of this size, if that is there. */
  amend(size: number, signatures: readonly NoteSignature[]): void {
    const { notes } = this.#parts;
    for (const signed of this.#newest?.size === size ? [this.#newest] : this.all()) {
      if (signed.size !== size) continue;
      const note = addSignatures(signed.note, signatures);
      notes.add(note);
      if (this.#newest?.size === size) this.#newest = { ...signed, note };
      return;
    }
  }

  /** Makes no further checkpoint, waits for one that is being made, and keeps the tree. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#times.stop();
    await this.#making.catch(() => undefined);
  }

  /** Gives the files back, when the log is complete. */
  async closeFiles(): Promise<void> {
    try {
      await this.tree.close();
    } finally {
      this.#parts.notes.close();
    }
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#making.then(async () => {
      if (this.#isClosed) throw new VerityError('CLOSED', 'The database is closed. Open it again.');
      if (this.#failure !== undefined) throw this.#failure;
      await this.#signAgain();
      return work();
    });
    this.#making = done.catch(() => undefined);
    return done;
  }

  /** The newest checkpoint, if it covers all that is committed; for who only reads, whatever it covers. */
  #current(): SignedCheckpoint | undefined {
    const { newest } = this;
    const { submit, head } = this.#parts;
    if (submit !== undefined) return newest?.size === head().leafCount ? newest : undefined;
    if (newest !== undefined) return newest;
    throw new VerityError(
      'READ_ONLY',
      'There is no signed checkpoint yet, and this handle only reads. Make one with "verity checkpoint", or open the database for writing.',
    );
  }

  /**
   * The note of the newest record, which a crash took, or somebody with the files of proofs, is signed again, and comes out
   * the same. Once the key of the record has handed over to another, that can no more be done.
   */
  async #signAgain(): Promise<void> {
    const { tree, newestRecord, signingKey, submit } = this.#parts;
    if (this.#isNoteSought || submit === undefined) return;
    const record = newestRecord();
    if (record !== undefined && (this.newest?.size ?? 0) <= record.leaf) {
      const { number, seed } = signingKey();
      seed.wipe();
      if (number === record.keyNumber) {
        await tree.catchUp();
        this.#compare();
        await this.#sign(record);
      }
    }
    this.#isNoteSought = true;
  }

  async #make(state: StateHash | undefined): Promise<SignedCheckpoint> {
    const { tree, submit, head, signingKey, notes } = this.#parts;
    if (submit === undefined) {
      throw new VerityError(
        'READ_ONLY',
        'No signed checkpoint is of this state, and this handle only reads. Open the database for writing.',
      );
    }
    await tree.catchUp();
    this.#compare();
    const key = signingKey();
    key.seed.wipe();
    const { leafCount: size, position, chainHash } = head();
    const record: CheckpointRecord = {
      size,
      root: tree.root(size),
      chainHash,
      covered: position,
      ...(state !== undefined && { state }),
      keyNumber: key.number,
    };
    this.#add(() => notes.reserve(this.#noteBytes(size + 1, key.publicKey)));
    await submit({ kind: 'checkpoint', record, origin: {} });
    const logged = this.#parts.newestRecord();
    assert(logged !== undefined && logged.covered === position, 'the record is committed');
    return this.#sign(logged);
  }

  /** Of a note of this size that nobody else has signed. */
  #noteBytes(size: number, publicKey: Uint8Array): number {
    const text = formatCheckpoint({ origin: this.origin, size, root: new Uint8Array(32) });
    const { name, id } = makeVkey(sha256, this.origin, signatureTypes.ed25519, publicKey);
    return utf8Encode(formatNote(text, [{ name, id, signature: new Uint8Array(64) }])).length;
  }

  /** Signs the note that the record stands under. Throws what the disk throws; nothing is signed then. */
  async #sign(record: LoggedCheckpoint): Promise<SignedCheckpoint> {
    const { tree, notes, signingKey } = this.#parts;
    await tree.catchUp();
    const size = record.leaf + 1;
    const root = tree.root(size);
    const text = formatCheckpoint({ origin: this.origin, size, root });
    this.#add(() => notes.intend({ size, root }));
    this.#durably(() => notes.flush());
    const { seed, publicKey } = signingKey();
    const { name, id } = makeVkey(sha256, this.origin, signatureTypes.ed25519, publicKey);
    const signature = ed25519Sign(seed, utf8Encode(text));
    seed.wipe();
    const note = formatNote(text, [{ name, id, signature }]);
    this.#add(() => notes.add(note));
    // It can be signed again only while its record is the newest, and its key signs.
    this.#durably(() => notes.flush());
    const signed: SignedCheckpoint = { note, size, root, record };
    this.#newest = signed;
    this.#times.covered(size);
    this.onCheckpoint?.(signed);
    return signed;
  }

  #add(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!isDiskFull(error)) throw this.#failed(error);
      // With room it is signed again, before anything else is.
      this.#isNoteSought = false;
      throw error;
    }
  }

  #durably(flush: () => void): void {
    try {
      flush();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Whether that is durable nobody knows. */
  #failed(error: unknown): VerityError {
    this.#failure = asVerityError(error, 'The checkpoint could not be kept.');
    return this.#failure;
  }

  /** What was signed last must be what the log's tree says, or nothing is signed any more. */
  #compare(): void {
    if (this.#isCompared) return;
    this.#failure = this.#before.contradiction;
    if (this.#failure !== undefined) throw this.#failure;
    this.#isCompared = true;
  }

  /** The newest note that lies there and is of this log. */
  #readNewest(): SignedCheckpoint | undefined {
    for (const note of this.#parts.notes.newestFirst()) {
      const signed = this.#opened(note);
      if (signed !== undefined) return signed;
    }
    return undefined;
  }

  /** A note that one of our keys signed and whose record the log has; undefined for any other. */
  #opened(note: string): SignedCheckpoint | undefined {
    try {
      const { text } = openNote(note, this.vkeys, ed25519Verify);
      const { origin, size, root } = parseCheckpoint(text);
      if (origin !== this.origin || size === 0 || size > this.#parts.head().leafCount)
        return undefined;
      const record = this.#parts.recordAt((size - 1) as LeafIndex);
      if (record === undefined || this.#before.isOfOtherLog({ size, root })) return undefined;
      return { note, size, root, record };
    } catch (error) {
      if (error instanceof CorruptionError || !(error instanceof VerityError)) throw error;
      return undefined;
    }
  }
}
