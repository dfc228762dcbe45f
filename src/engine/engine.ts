import {
  CorruptionError,
  type Position,
  type TenantId,
  type TimestampMicros,
  VerityError,
} from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import {
  type BuildPlace,
  type Command,
  type CommandOrigin,
  dataOfTree,
  type KernelState,
  settingOf,
} from '../kernel/index.ts';
import type { LogHead } from '../log/index.ts';
import type { StateProof } from '../proof/index.ts';
import { pageBytes, type WalkedStore } from '../store/index.ts';
import { type AnchorFile, anchorKey } from './anchor.ts';
import type { CommandResult } from './commit-batch.ts';
import { Background } from './background.ts';
import { BlobStore } from './blob-store.ts';
import type { Checkpointer } from './checkpointer.ts';
import { closedError } from './commit-errors.ts';
import { CommitLoop } from './commit-loop.ts';
import type { Follower } from './follower.ts';
import type { EngineHost } from './host.ts';
import { IndexBuilder } from './index-builder.ts';
import { proofsOf, treeOf } from './engine-proofs.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { Keyring } from './keyring.ts';
import type { LogIndex } from './log-index.ts';
import { LogReader } from './log-reader.ts';
import type { FrameSpan } from './log-walk.ts';
import type { LogWriter } from './log-writer.ts';
import { cutCommand, isLogged } from './logged-cut.ts';
import { OpenedEvents } from './opened-events.ts';
import type { LogTree } from './log-tree.ts';
import type { Proofs } from './proofs.ts';
import { Rekey, type RekeyOptions, type RekeyResult } from './rekey.ts';
import type { StoredState } from './replay-store.ts';
import { RootRenewal } from './root-renewal.ts';
import { SecurityRecorder } from './security.ts';
import {
  finishSigningKeys,
  rotateSigningKey,
  type SigningKeyRotationParts,
} from './signing-keys.ts';
import { type StoreProblem, storeProblemOf } from './store-opening.ts';
import type { StateHash, StateHasher } from './state-hasher.ts';
import type { StateRow } from './state-prover.ts';
import { TimeStampFile } from './timestamp-file.ts';
import { StoreRebuild } from './store-rebuild.ts';
import { SubjectKeys } from './subject-keys.ts';

/** Keys of about this many tenants are made within one turn of the event loop. */
const tenantsPerTurn = 32;

/** What opening found and did. */
export interface Recovery {
  readonly cleanShutdown: boolean;
  readonly cut: readonly {
    readonly file: string;
    readonly offset: number;
    readonly length: number;
  }[];
  /** A slot of the anchor was torn by a crash, or damaged, and was written again. */
  readonly anchorRenewed?: boolean;
  /** Frames of the log that were replayed behind the store's checkpoint: all of them without one. */
  readonly replayedFrames: number;
  /** The store was damaged, or not of this log, and was built anew from the log. */
  readonly storeRebuilt?: StoreProblem;
}

export interface EngineParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  readonly index: LogIndex;
  /** The store behind `state`, to be walked whole. */
  readonly walked: WalkedStore;
  readonly head: LogHead;
  /** The last frame of `head`; absent if there is none. */
  readonly lastFrame: FrameSpan | undefined;
  /** The owner's store on the disk. */
  readonly stored: StoredState | undefined;
  readonly recovery: Recovery;
  /** Absent: the engine follows another process's log and writes nothing. */
  readonly writer: LogWriter | undefined;
  /** The writer's. */
  readonly anchor: AnchorFile | undefined;
  readonly follower: Follower | undefined;
  readonly hasher: StateHasher;
}

/** Where the store on the disk stands. */
export interface StoreStatus {
  /** The position of the newest durable checkpoint; 0 without one. */
  readonly checkpoint: Position;
  /** Of `store/pages`, free pages included. */
  readonly fileBytes: number;
  readonly freeBytes: number;
  readonly cacheBytes: number;
  readonly cacheUsedBytes: number;
  /** Of pages that wait to be written. */
  readonly dirtyBytes: number;
  readonly pagesRead: number;
  readonly pagesWritten: number;
  /** Damaged pages that this handle has met since the store was made, and the first of them. */
  readonly damagedPages: number;
  readonly damage: StoreProblem | undefined;
}

/** An open database: the state that readers see, and the commit loop (an owner) or the follower behind it. */
export class Engine {
  readonly state: KernelState;
  readonly hierarchy: KeyHierarchy;
  readonly reader: LogReader;
  /** Committed events with what opens their commitments. */
  readonly opened: OpenedEvents;
  readonly walked: WalkedStore;
  readonly recovery: Recovery;
  readonly subjects: SubjectKeys;
  readonly blobs: BlobStore;
  readonly proofs: Proofs;
  /** Time stamps of checkpoints, as they are on the disk. */
  readonly timeStamps: TimeStampFile;
  /** Throws while commands and reads are refused for a reason outside the log, e.g. a key provider long gone. */
  admission: (() => void) | undefined;
  readonly #host: EngineHost;
  readonly #loop: CommitLoop | undefined;
  readonly #follower: Follower | undefined;
  readonly #anchor: AnchorFile | undefined;
  readonly #start: LogHead;
  readonly #indexes: IndexBuilder;
  #recorder: SecurityRecorder | undefined;
  readonly #stored: StoredState | undefined;
  readonly #checkpoints: Checkpointer | undefined;
  readonly #hasher: StateHasher;
  readonly #background: Background;
  #closed = false;

  constructor(parts: EngineParts) {
    const { writer, anchor, stored } = parts;
    this.state = parts.state;
    this.walked = parts.walked;
    this.#hasher = parts.hasher;
    this.#stored = stored;
    this.#background = new Background(parts.host.scheduler);
    this.#checkpoints = stored?.checkpointer(this.#background);
    this.hierarchy = parts.hierarchy;
    this.recovery = parts.recovery;
    this.#host = parts.host;
    this.#follower = parts.follower;
    this.#anchor = anchor;
    this.#start = parts.head;
    const ensureKeys = async (tenant: TenantId): Promise<void> => {
      if (this.hierarchy.keyring.has(tenant)) return;
      await this.changeKeyring((next) => {
        if (!next.has(tenant)) next.addTenant(tenant, this.hierarchy.root, parts.host.entropy);
      });
    };
    const { disk } = parts.host;
    const { hierarchy, index } = parts;
    const head = (): LogHead => this.head;
    this.reader = new LogReader({ disk, hierarchy, index, head: () => this.head.op });
    this.timeStamps = new TimeStampFile(disk);
    const { reader } = this;
    this.opened = new OpenedEvents({ disk, hierarchy, index, reader });
    const isOwner = writer !== undefined;
    const tree = treeOf({ ...parts, reader, background: this.#background, isOwner, head });
    this.blobs = new BlobStore({
      disk: parts.host.disk,
      entropy: parts.host.entropy,
      scheduler: parts.host.scheduler,
      hierarchy: parts.hierarchy,
      state: parts.state,
      ensureKeys,
      checkSound: () => this.#loop?.checkSound(),
      fail: (cause) => this.#loop?.fail(cause),
    });
    this.#loop =
      writer === undefined || anchor === undefined
        ? undefined
        : new CommitLoop({
            ...parts,
            writer,
            anchor,
            background: this.#background,
            checkpoints: this.#checkpoints,
            hasher: parts.hasher,
            tree,
            blobs: this.blobs,
          });
    this.#indexes = new IndexBuilder({
      state: parts.state,
      scheduler: parts.host.scheduler,
      submit: (command) => this.submit(command),
    });
    stored?.walk?.start(this.#background, (error) => this.#noteDamage(error));
    this.subjects = new SubjectKeys({
      disk: parts.host.disk,
      entropy: parts.host.entropy,
      hierarchy: parts.hierarchy,
      state: parts.state,
      submit: (command) => this.submit(command),
      ensureKeys,
    });
    this.proofs = this.#proofsOf(parts, tree);
    this.onCommit(() => this.proofs.committed());
  }

  #proofsOf(parts: EngineParts, tree: LogTree): Proofs {
    return proofsOf({
      ...parts,
      tree,
      opened: this.opened,
      head: () => this.head,
      stateHash: () => this.stateHash(),
      stateHashAtHand: async () => (this.#hasher.isDue ? this.stateHash() : this.stateHashKnown),
      stateHashNow: () => {
        this.#hasher.updateNow();
        return this.#hasher.newest;
      },
      submit: this.#loop && ((command) => this.submit(command)),
    });
  }

  get committedPosition(): Position {
    return this.state.store.appliedPosition;
  }
  /** The head after the last frame that is durable. */
  get head(): LogHead {
    return this.#loop?.head ?? this.#follower?.head ?? this.#start;
  }
  /** Where the store on the disk stands; undefined for a handle that follows another process's log. */
  get storeStatus(): StoreStatus | undefined {
    const stored = this.#stored;
    if (stored === undefined) return undefined;
    const { store, pages, writer, settings, damage } = stored;
    return {
      checkpoint: writer.place?.head.position ?? (0 as Position),
      fileBytes: pages.pageCount * pageBytes,
      freeBytes: pages.freePages * pageBytes,
      cacheBytes: settings.cacheBytes,
      cacheUsedBytes: store.cacheUsedBytes,
      dirtyBytes: store.dirtyPages * pageBytes,
      pagesRead: pages.counts.read,
      pagesWritten: pages.counts.written,
      damagedPages: damage.count,
      damage: damage.first && storeProblemOf(damage.first),
    };
  }
  /** The newest state hash that is known; undefined where what keeps it has stopped. */
  get stateHashKnown(): StateHash | undefined {
    return this.#hasher.known;
  }
  get closed(): boolean {
    return this.#closed;
  }
  /** Whether frames behind the head are on their way to the disk. */
  get busy(): boolean {
    return this.#loop?.busy ?? false;
  }
  get poisoned(): boolean {
    return this.#loop?.poisoned ?? false;
  }
  get readOnly(): boolean {
    return this.#loop === undefined;
  }
  /** The time a command decided now would carry. */
  get now(): TimestampMicros {
    return this.state.timeAt(this.#host.clock.now());
  }

  /** Throws CLOSED, READ_ONLY or DATABASE_POISONED unless commands are accepted. */
  checkWritable(): void {
    this.#writable();
  }

  checkOpen(): void {
    if (this.#closed) throw new VerityError('CLOSED', 'The database is closed. Open it again.');
  }

  /** Throws CLOSED, or what `admission` throws, unless tenants' data may be read. */
  checkReadable(): void {
    this.checkOpen();
    this.admission?.();
  }

  /** For a follower: applies what the owner has made durable since. */
  catchUp(): void {
    const follower = this.#follower;
    if (this.#closed || follower === undefined) return;
    this.hierarchy.security.watch(() => follower.catchUp());
    this.#hasher.relieve();
  }

  /**
   * The state hash, brought up to what is committed now. Rejects with CLOSED, DATABASE_POISONED, and with damage of the
   * store.
   */
  async stateHash(): Promise<StateHash> {
    this.checkOpen();
    this.#loop?.checkWritable();
    return this.#hasher.update(this.#background);
  }

  /**
   * The proof that a row is there, or is not, in the state whose hash is known newest: within `proofs.captureAtState`
   * that of its state. Throws CorruptionError.
   */
  proveRow(row: StateRow): StateProof {
    this.checkOpen();
    return this.hierarchy.security.watch(() => this.#hasher.prove(row));
  }

  /** Calls `listener` after each commit until the returned function is called. */
  onCommit(listener: () => void): () => void {
    return this.#loop?.onCommit(listener) ?? (() => false);
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
    const loop = this.#writable();
    this.admission?.();
    return loop.submitFor(command, answer);
  }

  /** Resolves when indexes that were defined on many rows are complete. Rejects with what rows stand against. */
  async finishIndexes(places: readonly BuildPlace[]): Promise<void> {
    for (const place of places) await this.#indexes.build(place);
  }

  /** Replaces the keyring by a changed one of the next generation, durably. See KeyringStore. */
  changeKeyring(change: (next: Keyring) => SecretKey | undefined | void): Promise<void> {
    return this.#writable().keyring.change((next) => change(next) ?? undefined);
  }

  /**
   * Draws a new root key, and under it new keys for every tenant: what is written from now on opens with nothing that
   * the old root key and keyring give. `setSlots` puts the ways to the new root key into the new keyring. One rotation
   * at a time.
   */
  async renewRoot(
    root: SecretKey,
    setSlots: (next: Keyring, root: SecretKey) => void,
  ): Promise<void> {
    this.#writable();
    const { hierarchy } = this;
    const { entropy } = this.#host;
    const renewal = new RootRenewal(hierarchy.keyring, { from: hierarchy.root, to: root, entropy });
    while (renewal.step(hierarchy.keyring, tenantsPerTurn)) {
      await this.#turn();
    }
    await this.changeKeyring((next) => {
      renewal.finish(next);
      setSlots(next, root);
      return root;
    });
    await this.#checkpoints?.renewKey(entropy, () => this.#turn());
    await this.finishRotation();
  }

  /** Has a checkpoint of all that is committed written; resolves when it is durable. */
  async checkpoint(): Promise<void> {
    this.#writable();
    await this.#checkpoints?.write();
  }

  /**
   * Writes the anchor with its newest key and forgets the older ones, which a rotation leaves until then; false if
   * there are none, or that must wait.
   */
  async finishRotation(): Promise<boolean> {
    const [, ...older] = this.hierarchy.keyring.entryNumbers('anchor');
    if (older.length === 0) return false;
    if (!this.#writable().renewAnchor(anchorKey(this.hierarchy))) return false;
    await this.changeKeyring((next) => {
      for (const number of older) next.removeEntry('anchor', number);
    });
    return true;
  }

  /**
   * Makes the store anew from the log, while everything goes on; resolves when that is durable. Meanwhile it takes as
   * much memory and as much of the disk again. Rejects with damage of the log, DISK_FULL, CLOSED and DATABASE_POISONED, and
   * then all is as before; or, with DISK_FULL, the new trees are in use, and their checkpoint waits for room.
   * `onProgress`: frames done and in all.
   */
  async rebuildStore(onProgress?: (done: number, total: number) => void): Promise<void> {
    this.#writable();
    const stored = this.#stored;
    const checkpoints = this.#checkpoints;
    if (stored === undefined || checkpoints === undefined) return;
    await new StoreRebuild({
      host: this.#host,
      hierarchy: this.hierarchy,
      stored,
      checkpoints,
      reader: this.reader,
      head: () => this.head.op,
      turn: () => this.#turn(),
      onProgress,
    }).run();
  }

  /** Puts the slot that the key provider made anew at open, if it did, into the keyring. */
  async storeRenewedSlot(): Promise<void> {
    const { renewedSlot } = this.hierarchy;
    if (renewedSlot !== undefined)
      await this.changeKeyring((next) => next.replaceSlot(renewedSlot));
  }

  /** Gives a tenant a new key-encryption key and a new secret; what it writes from now on is sealed under that. */
  async renewTenant(tenant: TenantId): Promise<void> {
    await this.changeKeyring((next) => {
      const { root } = this.hierarchy;
      const { entropy } = this.#host;
      const keys = next.contents.tenants.get(tenant);
      if (keys === undefined) next.addTenant(tenant, root, entropy);
      else
        next.setTenant(tenant, next.renewedTenant(tenant, keys, { from: root, to: root, entropy }));
    });
  }

  /** Makes a new key sign checkpoints from now on; the log keeps what the one before it says of that. */
  async rotateSigningKey(): Promise<void> {
    this.#writable();
    await this.proofs.whileNoneIsMade(() => rotateSigningKey(this.#signingKeys));
  }

  /** Finishes a rotation of the signing key that a crash interrupted. Throws KEY_MISSING. */
  finishSigningKeys(): Promise<void> {
    return finishSigningKeys(this.#signingKeys);
  }

  /** A setting of the whole database as it is committed; undefined if it was not set. */
  setting(name: string): unknown {
    return settingOf(this.state.store, name);
  }

  /** Sets a setting of the whole database to what JSON can say, or removes it. Rejects as `submit` does. */
  async changeSetting(name: string, value: unknown): Promise<void> {
    await this.submit({ kind: 'changeSetting', name, value, origin: {} });
  }

  /** Seals what uses older secrets anew under the newest and forgets those. One at a time; see Rekey. */
  async rekey(options: RekeyOptions): Promise<RekeyResult> {
    const loop = this.#writable();
    const { disk, entropy, scheduler } = this.#host;
    const rekey = new Rekey(
      {
        disk,
        entropy,
        scheduler,
        hierarchy: this.hierarchy,
        state: this.state,
        tip: () => loop.segment,
        written: () => loop.written,
        finishSegment: () => loop.finishSegment(),
        submit: (command) => this.submit(command),
        changeKeyring: (change) => this.changeKeyring(change),
        renewSubjects: (tenant) => this.subjects.renew(tenant),
        renewBlobs: (pause) => this.blobs.rekey(pause),
        renewStore: async () => this.#checkpoints?.renewPages(() => this.#turn()),
        checkWritable: () => this.checkWritable(),
        fail: (cause) => loop.fail(cause),
        onRarePath: this.#host.onRarePath,
      },
      options,
    );
    return rekey.run();
  }

  /** Logs the keyring's generation and digest with the next frame. */
  logKeyring(digest: Uint8Array): void {
    this.#writable().keyring.log(digest);
  }

  /**
   * Begins with what appends to the log by itself: records of finished segments, of failures of authentication, also those that
   * opening met, and indexes that an earlier process left unfinished.
   */
  begin(): void {
    if (this.#loop === undefined) return;
    this.#loop.begin();
    this.#indexes.resume();
    this.#recorder = new SecurityRecorder({
      monitor: this.hierarchy.security,
      scheduler: this.#host.scheduler,
      submit: (command) => this.submit(command),
    });
    this.#recorder.start();
  }

  /** Logs the cut that a repair made, unless the log records it already; the anchor forgets it then. */
  async recordCut(origin: CommandOrigin): Promise<void> {
    const anchor = this.#anchor;
    const cut = anchor?.pendingCut;
    if (anchor === undefined || cut === undefined) return;
    if (!isLogged(this.state.store, cut)) await this.submit(cutCommand(cut, origin));
    anchor.cutRecorded();
  }

  /** As `close`, but appends nothing: whoever the opening was refused to may want to extend the log as it is. */
  async abandon(cause: unknown): Promise<void> {
    this.#loop?.fail(cause);
    await this.close();
  }

  /**
   * Makes durable what was submitted, marks the clean end of the log and wipes the keys. From the first moment
   * commands and reads are refused.
   */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#recorder?.finish();
    this.#closed = true;
    this.#stored?.walk?.stop();
    try {
      // The log first: nothing is taken from this turn on. A checkpoint whose record it holds is signed.
      const [closed] = await Promise.allSettled([this.#loop?.close(), this.proofs.close()]);
      if (closed.status === 'rejected') throw closed.reason;
    } finally {
      await this.proofs.closeFiles();
      this.#hasher.stop(closedError());
      this.#follower?.close();
      await this.blobs.settle();
      this.subjects.wipe();
      this.hierarchy.wipe();
    }
  }

  /** Says in an error of a damaged page whose table was asked for, as far as that can be read. */
  nameDamage(error: unknown): void {
    if (error instanceof CorruptionError && error.tree !== undefined)
      error.nameData(dataOfTree(this.state.store, error.tree));
  }

  /** Of pages that no command or query asked for. */
  #noteDamage(error: unknown): void {
    this.hierarchy.security.observe(error);
    if (error instanceof CorruptionError) this.#stored?.damage.add(error);
  }

  get #signingKeys(): SigningKeyRotationParts {
    return {
      hierarchy: this.hierarchy,
      entropy: this.#host.entropy,
      view: this.state.store,
      submit: (command) => this.submit(command),
      changeKeyring: (change) => this.changeKeyring(change),
    };
  }

  /** Gives other work its turn. Throws unless commands are accepted then. */
  async #turn(): Promise<void> {
    await new Promise<void>((resolve) => this.#host.scheduler.defer(resolve));
    this.#writable();
  }

  #writable(): CommitLoop {
    this.checkOpen();
    const loop = this.#loop;
    if (loop === undefined) {
      throw new VerityError(
        'READ_ONLY',
        'This handle only reads: another process has the database open for writing.',
      );
    }
    loop.checkWritable();
    return loop;
  }
}

const asItIs = (result: CommandResult): CommandResult => result;
