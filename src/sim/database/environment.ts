/** What the actors of a database world share: the machine, what was seen and told, and how errors are judged. */
import { Prng, VerityError } from '../../base/index.ts';
import type { MasterKeyProvider } from '../../crypto/index.ts';
import type { EngineHost } from '../../engine/index.ts';
import { SimMachine } from '../machine.ts';
import type { SimProcess } from '../process.ts';
import { Violation } from '../violation.ts';
import type { WorldContext } from '../world.ts';
import { ChainWitness } from './chain.ts';
import { Client, type ClientSession, codeOf } from './client.ts';
import type { DatabaseUnderTest, RepairOutcome, SimDatabase, Suite } from './contract.ts';
import type { EngineSettings } from './generate.ts';
import { KeyChanges } from './key-changes.ts';
import { MasterKeys, simulatedKeyRing, simulatedMasterKey } from './master-key.ts';
import { Observations } from './observations.ts';
import { ProofWatch } from './proof-watch.ts';

/** A process with the database open. */
export interface Session extends ClientSession {
  readonly simProcess: SimProcess;
  /** The master key that it was opened with; undefined in plain mode, or if with any. */
  readonly key: number | undefined;
  /** The newest master key that there was then. */
  readonly drawn: number;
}

export interface DatabaseWorldOptions {
  readonly database: DatabaseUnderTest;
  readonly engine: EngineSettings;
  readonly suite: Suite;
  /** Whether those who only read have every master key, and so go on by themselves after a rotation. */
  readonly readersHaveAllKeys: boolean;
}

interface OpenAs {
  readonly readOnly: boolean;
  /** Default true. */
  readonly create?: boolean;
  readonly masterKey?: MasterKeyProvider;
}

/** What to take back if a lying disk has lost it. */
interface Excuse {
  readonly replies: number;
  readonly line: number;
  /** The oldest master key that might have been in force. */
  readonly oldestKey: number;
}

export class Environment {
  readonly context: WorldContext;
  readonly machine: SimMachine;
  readonly client = new Client<Session>();
  readonly observations = new Observations();
  readonly chain = new ChainWitness();
  readonly masterKeys = new MasterKeys();
  readonly keyChanges = new KeyChanges(this);
  readonly proofs: ProofWatch;
  /** Entropy of processes, and where checks look. */
  readonly prng: Prng;
  /** Of the log, once it is known. */
  logId: string | undefined;
  readonly #options: DatabaseWorldOptions;
  #excuse: Excuse | undefined;

  constructor(context: WorldContext, options: DatabaseWorldOptions) {
    this.context = context;
    this.#options = options;
    this.proofs = new ProofWatch(this);
    this.prng = new Prng(context.seed + 2 ** 40);
    const { seed, scheduler } = context;
    this.machine = new SimMachine({ seed, scheduler, onLie: () => this.#lied() });
    this.client.onReply = ({ id }, answer) => {
      const code = answer.kind === 'done' ? (answer.position ?? 'done') : answer.code;
      context.trace.add(`answer ${id} ${code}`);
      context.checks.add('answers');
      context.load.add(answer.kind === 'done' ? 'acknowledged' : 'refused');
    };
  }

  get isPlain(): boolean {
    return this.#options.suite.encryption === 'none';
  }

  /** Opens the database in a new process, with the key that opens it. Rejects as the database does. */
  async open(simProcess: SimProcess, readOnly: boolean): Promise<Session> {
    const { drawn } = this.masterKeys;
    const { disk, scheduler } = simProcess;
    const known = { simProcess, disk, scheduler, drawn };
    if (this.isPlain || (readOnly && this.#options.readersHaveAllKeys)) {
      const masterKey = this.keyRing;
      const db = await simProcess.live(this.openOn(simProcess, { readOnly, masterKey }));
      return { ...known, db, key: undefined };
    }
    const candidates = this.#keysThatMayOpen();
    for (const key of candidates.toReversed()) {
      const masterKey = simulatedMasterKey(key);
      const opening = simProcess.live(this.openOn(simProcess, { readOnly, masterKey }));
      const db = await opening.catch(ignoreWrongKey);
      if (db === undefined) continue;
      if (!readOnly) this.masterKeys.opened(key);
      return { ...known, db, key };
    }
    // A rotation may go on while a reader tries one key after the other.
    if (readOnly && candidates.length > 1) throw new BetweenKeys();
    throw new Violation('keys', `none of the master keys ${candidates.join()} opens the database`);
  }

  openOn(
    simProcess: SimProcess,
    { readOnly, create = !readOnly, masterKey }: OpenAs,
  ): Promise<SimDatabase> {
    const key = this.isPlain || masterKey === undefined ? {} : { masterKey };
    const options = {
      ...this.#options.suite,
      ...key,
      readOnly,
      create,
      onWarning: () => undefined,
    };
    return this.#options.database.open(this.#host(simProcess), options);
  }

  /** Repairs the database of one process from that of another. Rejects as the repair does. */
  repair(simProcess: SimProcess, copy: SimProcess): Promise<RepairOutcome> {
    const { encryption } = this.#options.suite;
    const [newest = 1, ...others] = this.masterKeys.possible.toReversed();
    // Of a rotation without an answer nobody knows which key is in force.
    const masterKey = others.length > 0 ? this.keyRing : simulatedMasterKey(newest);
    const key = encryption === 'none' ? { encryption } : { masterKey };
    const options = { ...key, from: 'copy' };
    return this.#options.database.repair(this.#host(simProcess), this.#host(copy), options);
  }

  /** Opens what any master key opens. */
  get keyRing(): MasterKeyProvider {
    return simulatedKeyRing(() => this.masterKeys.drawn);
  }

  /** Oldest first. If a disk has lied, what was told of rotations since may not hold. */
  #keysThatMayOpen(): readonly number[] {
    const { possible, drawn } = this.masterKeys;
    const oldest = Math.min(possible[0] ?? 1, this.#excuse?.oldestKey ?? drawn);
    if (this.#excuse === undefined) return possible;
    return Array.from({ length: drawn - oldest + 1 }, (_none, index) => oldest + index);
  }

  #host(simProcess: SimProcess): EngineHost {
    const { clock, marks } = this.context;
    return {
      disk: simProcess.disk,
      clock,
      scheduler: simProcess.scheduler,
      entropy: new Prng(this.prng.nextUint32()),
      ...this.#options.engine,
      onRarePath: (path) => marks.add(path),
    };
  }

  /** Starts a process whose calls appear in the trace after `who`. */
  startProcess(who: string): SimProcess {
    return this.machine.start({ onCall: (line) => this.context.trace.add(who + line) });
  }

  /** Deletes what is derived from the log and nobody has open; a fault may strike. */
  delete(what: 'tiles' | 'record of the tree'): void {
    const { disk } = this.machine;
    try {
      const names = disk.list('proofs') ?? [];
      const files = names.filter((name) =>
        what === 'tiles' ? name.startsWith('tile-') : name === 'tree',
      );
      if (files.length === 0) return;
      for (const name of files) disk.remove(`proofs/${name}`);
      this.context.marks.add('derived files of proofs deleted');
      this.context.trace.add(`deleted ${files.join()}`);
    } catch (error) {
      if (!disk.isDead && !(error instanceof VerityError)) throw error;
    }
  }

  get isDamaged(): boolean {
    return this.machine.disk.damagedFiles().length > 0;
  }

  /** Runs what reads. A fault, the end of the process, or damage may strike while it does. */
  async guarded({ simProcess }: Session, body: () => Promise<void>): Promise<void> {
    const failuresBefore = simProcess.disk.failures.length;
    try {
      await body();
    } catch (error) {
      if (simProcess.isGone) return;
      if (simProcess.disk.failures.length > failuresBefore) return;
      if (!(error instanceof Violation) && this.isExplained(simProcess, error)) return;
      throw error;
    }
  }

  /** Whether a fault that hit this process, or damage on its disk, accounts for an error. */
  isExplained(simProcess: SimProcess, error: unknown): boolean {
    if (isFaulted(simProcess, error)) return true;
    // A durable command that a damaged page keeps from being applied ends the handle.
    return this.isDamaged && (isIntegrity(error) || isOfPoisoned(codeOf(error)));
  }

  /** The machine is about to lose power: may what its disk lied about be lost without anybody noticing? */
  judgeLies(): void {
    if (this.machine.disk.hidesLie) this.context.faults.add('hidden lie');
    else this.#excuse = undefined;
  }

  /** The database opened after a loss of power: what the disk had lied about is forgiven. */
  forgive(): void {
    const excuse = this.#excuse;
    if (excuse === undefined || this.machine.disk.hidesLie) return;
    this.client.forgetRepliesAfter(excuse.replies);
    this.observations.forgetAfter(excuse.line);
    this.chain.forgetAfter(excuse.line);
    this.proofs.forgetAfter(excuse.line);
    this.keyChanges.forget();
    this.#excuse = undefined;
  }

  /** Somebody was told of the damage: an operator puts a good copy back, and nothing is lost. */
  mend(): void {
    this.context.checks.add('damage');
    this.context.trace.add('damage noticed');
    this.#excuse = undefined;
    this.machine.mend();
  }

  #lied(): void {
    const { faults, trace } = this.context;
    faults.add('false write');
    const oldestKey = this.masterKeys.possible[0] ?? 1;
    this.#excuse ??= { replies: this.client.replyCount, line: trace.lineCount, oldestKey };
  }
}

/** None of the keys opened the database, one after the other, while one took the place of another. */
export class BetweenKeys extends Error {
  override readonly name = 'BetweenKeys';
}

function ignoreWrongKey(error: unknown): undefined {
  if (codeOf(error) !== 'WRONG_KEY') throw error;
}

/** Whether a fault that hit this process accounts for an error. */
export function isFaulted(simProcess: SimProcess, error: unknown): boolean {
  const code = codeOf(error);
  const { failures } = simProcess.disk;
  if (failures.some((failure) => failure.code === code)) return true;
  return failures.length > 0 && isOfPoisoned(code);
}

const isOfPoisoned = (code: string): boolean =>
  code === 'DATABASE_POISONED' || code === 'COMMIT_UNKNOWN';

/** Whether an error says that bytes are not as they were written. */
export function isIntegrity(error: unknown): boolean {
  return (
    error instanceof VerityError && (error.exitCode === 3 || error.code === 'FORMAT_UNSUPPORTED')
  );
}
