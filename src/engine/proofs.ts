import {
  assert,
  CorruptionError,
  equalBytes,
  type LeafIndex,
  type Scheduler,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import { ed25519Sign, ed25519Verify, sha256 } from '../crypto/index.ts';
import type { CheckpointRecord, Command, LoggedCheckpoint } from '../kernel/index.ts';
import type { LogHead } from '../log/index.ts';
import {
  addSignatures,
  formatCheckpoint,
  formatNote,
  makeVkey,
  type NoteSignature,
  openNote,
  parseCheckpoint,
  parseNote,
  signatureTypes,
  toBase64,
  type Vkey,
} from '../proof/index.ts';
import { type CheckpointNotes, checkpointsPath, type SigningIntent } from './checkpoint-notes.ts';
import { asVerityError } from './commit-errors.ts';
import type { LogTree } from './log-tree.ts';
import type { HandOver, SigningKey } from './signing-keys.ts';
import { StateCaptures } from './state-captures.ts';
import type { StateHash } from './state-hasher.ts';

/** When checkpoints are made without being asked for. */
export interface ProofSettings {
  /** After so many events; 0: never. */
  readonly checkpointEvents: number;
  /** So many seconds after the first event that no checkpoint covers; 0: never. */
  readonly checkpointSeconds: number;
}

/** The setting that lists states of the log that were signed, or cosigned, and that somebody decided to go on without. */
export const rollbackSetting = 'rollback-accepted';

interface AcceptedRollback {
  readonly size: number;
  /** Base64. */
  readonly root: string;
}

/** So many leaves that the tree lacks are hashed while the database is opened. */
const comparedAtOpenMax = 65_536;

export const defaultProofs: ProofSettings = { checkpointEvents: 10_000, checkpointSeconds: 60 };

/** A signed checkpoint: the record is the last leaf under the note. */
export interface SignedCheckpoint {
  /** A C2SP signed note, cosignatures included. */
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly record: LoggedCheckpoint;
}

export interface ProofsParts {
  readonly tree: LogTree;
  readonly notes: CheckpointNotes;
  readonly scheduler: Scheduler;
  readonly origin: string;
  readonly settings: ProofSettings;
  /** Absent for a handle that only reads. */
  readonly submit: ((command: Command) => Promise<unknown>) | undefined;
  readonly signingKey: () => SigningKey;
  /** All keys of the log, the oldest first. */
  readonly vkeys: () => readonly Vkey[];
  /** How each of them but the first was handed over to. */
  readonly handOvers: () => readonly HandOver[];
  readonly head: () => LogHead;
  /** The value of a setting of the database. */
  readonly setting: (name: string) => unknown;
  readonly stateHash: () => Promise<StateHash>;
  /** As `stateHash` if that takes little for each change, else the newest that is known; undefined where none is kept. */
  readonly stateHashAtHand: () => Promise<StateHash | undefined>;
  /** As `stateHash`, of what is committed now, on this turn. */
  readonly stateHashNow: () => StateHash;
  /** The newest checkpoint record among what is committed. */
  readonly newestRecord: () => LoggedCheckpoint | undefined;
  /** The record at this leaf. */
  readonly recordAt: (leaf: LeafIndex) => LoggedCheckpoint | undefined;
}

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
  #isStarted = false;
  /** Events that a checkpoint covers. */
  #covered = 0;
  #isClosed = false;
  #cancelTimer: (() => void) | undefined;
  #isDue = false;
  #failure: VerityError | undefined;
  /** Whether what was signed last was compared with the tree. */
  #isCompared = false;
  /** Whether the note of the newest record was looked for. */
  #isNoteSought = false;

  constructor(parts: ProofsParts) {
    this.#parts = parts;
    this.tree = parts.tree;
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
    const { notes, tree, head, submit } = this.#parts;
    const { intent } = notes;
    const { leafCount } = head();
    // If the tree must be made anew it is compared before the next checkpoint is signed.
    if (intent === undefined || leafCount - tree.size > comparedAtOpenMax) return;
    if (intent.size <= leafCount) await tree.catchUp();
    const error = this.#contradictionOf(intent);
    if (error === undefined || submit === undefined) return;
    if (!isAccepted) throw error;
    const root = toBase64(intent.root);
    const accepted = { witness: this.origin, size: intent.size, root, leaves: leafCount };
    const value = [...this.#acceptedRollbacks, accepted];
    await submit({ kind: 'changeSetting', name: rollbackSetting, value, origin: {} });
    await tree.catchUp();
    notes.keepOnly((note) => {
      const { size, root: signed } = parseCheckpoint(parseNote(note).text);
      return size <= leafCount && equalBytes(tree.root(size), signed);
    });
  }

  /** The newest signed checkpoint; undefined before the first. Throws CorruptionError. */
  get newest(): SignedCheckpoint | undefined {
    if (this.#parts.submit === undefined) {
      this.#parts.notes.refresh();
      this.#newest = undefined;
    }
    return (this.#newest ??= this.#readNewest());
  }

  /** All signed checkpoints, the oldest first. */
  *all(): Generator<SignedCheckpoint, void> {
    let last: SignedCheckpoint | undefined;
    for (const note of this.#parts.notes.all()) {
      const signed = this.#opened(note);
      if (signed === undefined) continue;
      if (last !== undefined && last.size !== signed.size) yield last;
      last = signed;
    }
    if (last !== undefined) yield last;
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
    this.#covered = (this.#parts.newestRecord()?.leaf ?? -1) + 1;
    // What stands against it, whoever asks for a checkpoint is told.
    if (this.#covered > 0) this.#alone(async () => undefined).catch(() => undefined);
    this.committed();
  }

  /** A frame was committed. */
  committed(): void {
    if (!this.#isStarted || this.#isClosed || this.#failure !== undefined) return;
    const { settings, scheduler, head } = this.#parts;
    const { checkpointEvents, checkpointSeconds } = settings;
    const behind = head().leafCount - this.#covered;
    if (behind <= 0) return;
    if (checkpointEvents > 0 && behind >= checkpointEvents) this.#later();
    else if (checkpointSeconds > 0)
      this.#cancelTimer ??= scheduler.delay(checkpointSeconds * 1_000, () => {
        this.#cancelTimer = undefined;
        this.#later();
      });
  }

  /**
   * A signed checkpoint of all that is committed: a new one, or the newest if nothing was committed behind it. A handle that
   * only reads gives the newest. Rejects with READ_ONLY where there is none for it, and with what a commit rejects with.
   */
  async checkpoint(): Promise<SignedCheckpoint> {
    return this.#alone(async () => this.#current() ?? this.#make(await this.#parts.stateHash()));
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
    const { stateHash, stateHashNow, head } = this.#parts;
    await stateHash();
    // What was committed since that promise was kept is little, and in this turn nothing more comes.
    const state = stateHashNow();
    capture(state);
    const { newest } = this;
    // With equal states alone, a definition that a proof rests on might be behind the checkpoint.
    const isCovered =
      newest?.size === head().leafCount &&
      newest.record.state !== undefined &&
      equalBytes(newest.record.state.hash, state.hash);
    if (!isCovered) return this.#make(state);
    await this.tree.catchUp();
    return newest;
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
    this.#cancelTimer?.();
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

  /** In the background: what keeps a checkpoint from being made, whoever asks for one is told. */
  #later(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#parts.scheduler.defer(() => {
      // A state hash that would cost more than the commits themselves is left at where it was.
      this.#alone(async () => this.#current() ?? this.#make(await this.#parts.stateHashAtHand()))
        .catch(() => undefined)
        .finally(() => {
          this.#isDue = false;
        });
    });
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
    const { tree, submit, head, signingKey } = this.#parts;
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
    await submit({ kind: 'checkpoint', record, origin: {} });
    const logged = this.#parts.newestRecord();
    assert(logged !== undefined && logged.covered === position, 'the record is committed');
    return this.#sign(logged);
  }

  /** Signs the note that the record stands under. Throws what the disk throws; nothing is signed then. */
  async #sign(record: LoggedCheckpoint): Promise<SignedCheckpoint> {
    const { tree, notes, signingKey } = this.#parts;
    await tree.catchUp();
    const size = record.leaf + 1;
    const root = tree.root(size);
    const text = formatCheckpoint({ origin: this.origin, size, root });
    this.#durably(() => notes.intend({ size, root }));
    const { seed, publicKey } = signingKey();
    const { name, id } = makeVkey(sha256, this.origin, signatureTypes.ed25519, publicKey);
    const signature = ed25519Sign(seed, utf8Encode(text));
    seed.wipe();
    const note = formatNote(text, [{ name, id, signature }]);
    notes.add(note);
    // It can be signed again only while its record is the newest, and its key signs.
    this.#durably(() => notes.flush());
    const signed: SignedCheckpoint = { note, size, root, record };
    this.#newest = signed;
    this.#covered = size;
    this.onCheckpoint?.(signed);
    return signed;
  }

  #durably(flush: () => void): void {
    try {
      flush();
    } catch (error) {
      // Whether that is durable nobody knows.
      this.#failure = asVerityError(error, 'The checkpoint could not be kept.');
      throw this.#failure;
    }
  }

  /** What was signed last must be what the log's tree says, or nothing is signed any more. */
  #compare(): void {
    if (this.#isCompared) return;
    const { intent } = this.#parts.notes;
    this.#failure = intent && this.#contradictionOf(intent);
    if (this.#failure !== undefined) throw this.#failure;
    this.#isCompared = true;
  }

  /** What is wrong with a log of which this was signed; undefined if nothing is, or that was accepted. The tree is as large. */
  #contradictionOf(intent: SigningIntent): VerityError | undefined {
    const { size, root } = intent;
    const { leafCount } = this.#parts.head();
    if (size <= leafCount && equalBytes(this.tree.root(size), root)) return undefined;
    const text = toBase64(root);
    if (this.#acceptedRollbacks.some((one) => one.size === size && one.root === text))
      return undefined;
    return rolledBack(intent, leafCount);
  }

  get #acceptedRollbacks(): readonly AcceptedRollback[] {
    return (this.#parts.setting(rollbackSetting) ?? []) as AcceptedRollback[];
  }

  /** The note that lies there last; made anew if a crash, or somebody, took it. */
  #readNewest(): SignedCheckpoint | undefined {
    const { notes } = this.#parts;
    return notes.newest === undefined ? undefined : this.#opened(notes.newest);
  }

  /** A note that one of our keys signed and whose record the log has; undefined for any other. */
  #opened(note: string): SignedCheckpoint | undefined {
    try {
      const { text } = openNote(note, this.vkeys, ed25519Verify);
      const { origin, size, root } = parseCheckpoint(text);
      if (origin !== this.origin || size === 0 || size > this.#parts.head().leafCount)
        return undefined;
      const record = this.#parts.recordAt((size - 1) as LeafIndex);
      return record && { note, size, root, record };
    } catch (error) {
      if (error instanceof CorruptionError || !(error instanceof VerityError)) throw error;
      return undefined;
    }
  }
}

function rolledBack({ size }: SigningIntent, leafCount: number): VerityError {
  const what =
    size > leafCount
      ? `The log has ${leafCount} events, and a checkpoint of ${size} was signed: what came since is missing. `
      : `The checkpoint of ${size} events that was signed last is not one of this log, which has others. `;
  return new VerityError(
    'LOG_ROLLED_BACK',
    `${what}Restore the log from a newer copy (verity repair --from COPY --extend). To go on with what is here, and have the ` +
      'log say so, open it with --accept-rollback. It can be read with readOnly.',
    { details: { file: checkpointsPath, size, events: leafCount } },
  );
}
