/** What the actors of a database world share: the machine, what was seen and told, and how errors are judged. */
import { Prng, VerityError } from '../../base/index.ts';
import type { EngineHost } from '../../engine/index.ts';
import { SimMachine } from '../machine.ts';
import type { SimProcess } from '../process.ts';
import { Violation } from '../violation.ts';
import type { WorldContext } from '../world.ts';
import { ChainWitness } from './chain.ts';
import { Client, type ClientSession, codeOf } from './client.ts';
import type { OpenDatabase, SimDatabase } from './contract.ts';
import type { EngineSettings } from './generate.ts';
import { simulatedMasterKey } from './master-key.ts';
import { Observations } from './observations.ts';

/** A process with the database open. */
export interface Session extends ClientSession {
  readonly simProcess: SimProcess;
}

export interface DatabaseWorldOptions {
  readonly open: OpenDatabase;
  readonly engine: EngineSettings;
}

/** What to take back if a lying disk has lost it. */
interface Excuse {
  readonly replies: number;
  readonly line: number;
}

export class Environment {
  readonly context: WorldContext;
  readonly machine: SimMachine;
  readonly client = new Client<Session>();
  readonly observations = new Observations();
  readonly chain = new ChainWitness();
  /** Entropy of processes, and where checks look. */
  readonly prng: Prng;
  readonly #options: DatabaseWorldOptions;
  #excuse: Excuse | undefined;

  constructor(context: WorldContext, options: DatabaseWorldOptions) {
    this.context = context;
    this.#options = options;
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

  /** Opens the database in a new process. Rejects as the database does. */
  async open(simProcess: SimProcess, readOnly: boolean): Promise<Session> {
    const db = await simProcess.live(this.openOn(simProcess, readOnly));
    return { db, simProcess, disk: simProcess.disk, scheduler: simProcess.scheduler };
  }

  openOn(simProcess: SimProcess, readOnly: boolean): Promise<SimDatabase> {
    const { clock, marks } = this.context;
    const host: EngineHost = {
      disk: simProcess.disk,
      clock,
      scheduler: simProcess.scheduler,
      entropy: new Prng(this.prng.nextUint32()),
      ...this.#options.engine,
      onRarePath: (path) => marks.add(path),
    };
    return this.#options.open(host, { readOnly, masterKey: simulatedMasterKey() });
  }

  /** Starts a process whose calls appear in the trace after `who`. */
  startProcess(who: string): SimProcess {
    return this.machine.start({ onCall: (line) => this.context.trace.add(who + line) });
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
    return isFaulted(simProcess, error) || (isIntegrity(error) && this.isDamaged);
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
    this.#excuse ??= { replies: this.client.replyCount, line: trace.lineCount };
  }
}

/** Whether a fault that hit this process accounts for an error. */
export function isFaulted(simProcess: SimProcess, error: unknown): boolean {
  const code = codeOf(error);
  const { failures } = simProcess.disk;
  if (failures.some((failure) => failure.code === code)) return true;
  return failures.length > 0 && (code === 'DATABASE_POISONED' || code === 'COMMIT_UNKNOWN');
}

/** Whether an error says that bytes are not as they were written. */
export function isIntegrity(error: unknown): boolean {
  return (
    error instanceof VerityError && (error.exitCode === 3 || error.code === 'FORMAT_UNSUPPORTED')
  );
}
