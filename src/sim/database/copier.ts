/** Copies of the database, made while it is used, on another machine; each is opened and compared with what was told. */
import { SimMachine } from '../machine.ts';
import { ProcessGone } from '../process.ts';
import { Violation } from '../violation.ts';
import { checkRecovered } from './checker.ts';
import { type Client, codeOf } from './client.ts';
import { BetweenKeys, type Environment, type Session } from './environment.ts';
import type { DatabaseEvent } from './events.ts';

type CopyEvent = Extract<DatabaseEvent, { kind: 'copy' }>;

/** A copy that was made and found good. */
export interface Backup {
  readonly image: ReadonlyMap<string, Uint8Array>;
  readonly frames: number;
  /** See KeyChanges. */
  readonly keyEra: number;
}

interface Copying {
  readonly known: Client<Session>;
  readonly machine: SimMachine;
  readonly isOwner: boolean;
  readonly keyEra: number;
}

export class Copier {
  readonly #environment: Environment;
  #backup: Backup | undefined;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** The newest good copy. */
  get backup(): Backup | undefined {
    return this.#backup;
  }

  /** Makes a copy by the owner's handle, or by one that follows it. */
  async perform({ by, crashAtCall, dice }: CopyEvent, owner: Session | undefined): Promise<void> {
    const { context, client, keyChanges, machine: source } = this.#environment;
    if (source.disk.isDead) return;
    const isOwner = by === 'owner';
    const session = isOwner ? owner : await this.#follower();
    if (session === undefined) return;
    const { scheduler } = context;
    const machine = new SimMachine({ seed: dice, scheduler, onLie: () => undefined });
    if (crashAtCall !== undefined) machine.arm({ crashAtCall });
    const { keyEra } = keyChanges;
    const copying = { known: client.frozen(), machine, isOwner, keyEra };
    const isDone = await this.#copy(session, copying);
    if (!isOwner) session.simProcess.kill();
    context.load.add(isDone ? 'copies' : 'copies given up');
    // What was copied stays, whatever becomes of the machine that it lies on.
    machine.losePower(dice);
    if (isDone) await this.#check(copying);
    else await this.#checkUnfinished(copying);
  }

  async #follower(): Promise<Session | undefined> {
    const simProcess = this.#environment.startProcess('copier ');
    try {
      return await this.#environment.open(simProcess, true);
    } catch (error) {
      simProcess.kill();
      if (error instanceof ProcessGone || error instanceof BetweenKeys) return undefined;
      if (codeOf(error) === 'NO_DATABASE') return undefined;
      if (this.#environment.isExplained(simProcess, error)) return undefined;
      throw new Violation('copy', `a copier cannot open the database: ${String(error)}`, {
        cause: error,
      });
    }
  }

  async #copy(session: Session, { machine, isOwner }: Copying): Promise<boolean> {
    const { context } = this.#environment;
    const { db, simProcess } = session;
    const out = machine.start({ onCall: (line) => context.trace.add(`copy ${line}`) });
    try {
      const copied = await simProcess.live(out.live(db.copyOnto(out.disk)));
      context.trace.add(`copied ${copied.frames} frames`);
      return true;
    } catch (error) {
      const isEnded = simProcess.isGone || out.isGone;
      out.kill();
      if (isEnded || this.#isExplained(session, isOwner, error)) return false;
      throw new Violation('copy', `no copy was made: ${String(error)}`, { cause: error });
    }
  }

  #isExplained({ simProcess, drawn, key }: Session, isOwner: boolean, error: unknown): boolean {
    const { context, masterKeys } = this.#environment;
    if (this.#environment.isExplained(simProcess, error)) return true;
    const code = codeOf(error);
    // Keys changed at each attempt.
    if (code === 'TIMEOUT') return context.load.of('key changes') > 0;
    // A master key was rotated since, and this process has not got the new one, or is just getting it. One that holds
    // all keys may have begun between two.
    const isRotated =
      masterKeys.drawn > drawn ||
      !masterKeys.isCertain(key) ||
      (key === undefined && context.load.of('key changes') > 0);
    return !isOwner && isRotated && (code === 'KEY_PROVIDER_UNAVAILABLE' || code === 'WRONG_KEY');
  }

  /** A copy that was made has everything that was told when it began, and the same frames. */
  async #check({ known, machine, isOwner, keyEra }: Copying): Promise<void> {
    const { chain, context } = this.#environment;
    const image = machine.disk.image();
    const frames = await this.#open(machine, true, async (db) => {
      const { position, logId } = db.status();
      // One that follows may be behind what was acknowledged.
      if (!isOwner) known.forgetRepliesBehind(position);
      await checkRecovered(db, known, context.checks);
      const { ok, findings } = await db.verify();
      if (!ok) throw new Violation('copy', `a copy is not sound: ${findings[0]?.message ?? ''}`);
      return chain.checkCopy(image, logId);
    });
    // It is a database of its own.
    await this.#open(machine, false, (db) => db.close());
    context.checks.add('copy');
    this.#backup = { image, frames, keyEra };
  }

  /** An unfinished copy is no database, or all of one. */
  async #checkUnfinished(copying: Copying): Promise<void> {
    const { context } = this.#environment;
    const { machine } = copying;
    if (machine.disk.exists('verity.json')) return this.#check(copying);
    await this.#open(machine, false, async () => {
      throw new Violation('copy', 'a copy without verity.json opens');
    }).catch((error: unknown) => {
      if (!(error instanceof Violation && isNoDatabase(error.cause))) throw error;
      context.checks.add('copy');
      context.marks.add('copy interrupted');
    });
  }

  async #open<T>(
    machine: SimMachine,
    readOnly: boolean,
    look: (db: Session['db']) => Promise<T>,
  ): Promise<T> {
    const simProcess = machine.start();
    const masterKey = this.#environment.keyRing;
    try {
      const opening = this.#environment.openOn(simProcess, {
        readOnly,
        create: false,
        masterKey,
      });
      return await look(await opening);
    } catch (error) {
      if (error instanceof Violation) throw new Violation('copy', error.message, { cause: error });
      throw new Violation('copy', `a copy does not open: ${String(error)}`, { cause: error });
    } finally {
      simProcess.kill();
    }
  }
}

/** Nothing is there, or a log without verity.json. */
function isNoDatabase(error: unknown): boolean {
  return ['NO_DATABASE', 'MISSING_DATA'].includes(codeOf(error));
}
