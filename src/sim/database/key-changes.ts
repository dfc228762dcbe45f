/** Rotations and rekeying beside the load: what was told of them, and whether it is so. */
import { SimMachine } from '../machine.ts';
import { Violation } from '../violation.ts';
import { codeOf } from './client.ts';
import type { SimDatabase } from './contract.ts';
import type { Environment, Session } from './environment.ts';
import type { DatabaseEvent } from './events.ts';
import { simulatedMasterKey } from './master-key.ts';

type Rotate = Extract<DatabaseEvent, { kind: 'rotate' }>;
type Rekey = Extract<DatabaseEvent, { kind: 'rekey' }>;

/** One change that was asked for. */
interface Change {
  readonly what: string;
  /** Rejects as the database does. */
  readonly begin: () => Promise<unknown>;
  /** Called at its answer, unless that is a refusal. */
  readonly done: (answer: unknown) => void;
  /** Refusals that are right. */
  readonly expected: () => readonly string[];
}

export class KeyChanges {
  readonly #environment: Environment;
  readonly #pending = new Set<Promise<void>>();
  #violation: Violation | undefined;
  #rotationsBegun = 0;
  /** Those of the process that runs. */
  #running = { rotations: 0, rekeys: 0 };
  /** How many rotations had begun when a rekeying was done in which none came. */
  #rekeyedAt: number | undefined;
  /** The least that the keyring's generation must be. */
  #generation = 0;
  /** The least that the newest secret of a tenant must be. */
  readonly #secrets = new Map<string, number>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Another one after each beginning and end of rekeying: what was copied in the same has the keys of now. */
  keyEra = 0;

  rotate({ tenant }: Rotate, session: Session): void {
    const { client, masterKeys, isPlain } = this.#environment;
    if (tenant !== undefined && client.tenants.get(tenant) !== 'there') return;
    const { keys } = session.db;
    const number = tenant === undefined && !isPlain ? masterKeys.draw() : undefined;
    this.#rotationsBegun += 1;
    const running = this.#running;
    running.rotations += 1;
    const options =
      tenant === undefined ? { masterKey: simulatedMasterKey(number ?? 1) } : { tenant };
    this.#start(session, {
      what: `rotation of ${tenant ?? 'the master key'}`,
      begin: () => keys.rotate(options).finally(() => (running.rotations -= 1)),
      done: (answer) => {
        const { generation } = answer as { generation: number };
        this.#generation = Math.max(this.#generation, generation);
        if (number !== undefined) masterKeys.rotated(number);
        if (tenant !== undefined) this.#remember(session.db, tenant);
      },
      expected: () => (isPlain ? ['NOT_ENCRYPTED'] : []),
    });
  }

  rekey({ bytesPerSecond, stopAfterMs }: Rekey, session: Session): void {
    const { isPlain } = this.#environment;
    const { db, scheduler } = session;
    const signal = { aborted: false };
    if (stopAfterMs !== undefined) scheduler.delay(stopAfterMs, () => (signal.aborted = true));
    const running = this.#running;
    const isAlone = running.rekeys === 0;
    const rotations = running.rotations === 0 ? this.#rotationsBegun : undefined;
    running.rekeys += 1;
    this.keyEra += 1;
    this.#start(session, {
      what: 'rekeying',
      begin: () =>
        db.keys.rekey({ bytesPerSecond, signal }).finally(() => {
          running.rekeys -= 1;
          this.keyEra += 1;
        }),
      done: () => {
        if (rotations !== this.#rotationsBegun) return;
        this.#rekeyedAt = rotations;
        this.#checkRekeyed(db);
      },
      expected: () => [
        ...(isPlain ? ['NOT_ENCRYPTED'] : []),
        ...(isAlone ? [] : ['REKEY_RUNNING']),
        ...(signal.aborted ? ['ABORTED'] : []),
      ],
    });
  }

  /** All changes have their answers. Throws what was wrong with one. */
  async settled(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all(this.#pending);
    if (this.#violation !== undefined) throw this.#violation;
  }

  /** Holds a database that was just opened against what was told before. */
  async check({ db, simProcess }: Session): Promise<void> {
    const { context } = this.#environment;
    const { generation, tenants } = db.keys.list();
    if (generation < this.#generation) {
      throw lost(`generation ${this.#generation} of the keyring`, generation);
    }
    for (const [name, least] of this.#secrets) {
      const newest = tenants.find(({ tenant }) => tenant === name)?.secrets.at(-1) ?? 0;
      if (newest < least) throw lost(`secret ${least} of ${name}`, newest);
    }
    if (this.#rekeyedAt === this.#rotationsBegun) this.#checkRekeyed(db);
    await simProcess.live(this.#checkRefused());
    context.checks.add('keys');
  }

  /** The process has ended: what had no answer has none. */
  ended(): void {
    this.#pending.clear();
    if (this.#running.rekeys > 0) this.keyEra += 1;
    this.#running = { rotations: 0, rekeys: 0 };
  }

  /** What was told rested on what a lying disk has lost. */
  forget(): void {
    this.#generation = 0;
    this.#secrets.clear();
    this.#rekeyedAt = undefined;
  }

  #start({ simProcess }: Session, { what, begin, done, expected }: Change): void {
    const { context } = this.#environment;
    context.load.add('key changes');
    const settle = async (): Promise<void> => {
      try {
        const answer = await simProcess.live(begin());
        if (simProcess.isGone) return;
        context.trace.add(`answer: ${what} done`);
        context.load.add('key changes done');
        done(answer);
      } catch (error) {
        if (simProcess.isGone) return;
        context.trace.add(`answer: ${what} ${codeOf(error)}`);
        // OVERLOADED: the queue of this world is short, and what a change of keys has to log waits like everything else.
        const isRight = [...expected(), 'CLOSED', 'OVERLOADED'].includes(codeOf(error));
        if (isRight || this.#environment.isExplained(simProcess, error)) return;
        this.#violation ??=
          error instanceof Violation
            ? error
            : new Violation('keys', `${what} failed: ${String(error)}`, { cause: error });
      }
    };
    const settled: Promise<void> = settle().finally(() => this.#pending.delete(settled));
    this.#pending.add(settled);
  }

  #remember(db: SimDatabase, name: string): void {
    const newest = db.keys
      .list()
      .tenants.find(({ tenant }) => tenant === name)
      ?.secrets.at(-1);
    if (newest === undefined) throw lost(`the new secret of ${name}`, 0);
    this.#secrets.set(name, newest);
  }

  #checkRekeyed(db: SimDatabase): void {
    if (!db.keys.list().rekeyDue) return;
    throw new Violation('keys', 'rekeying was done, no key was rotated since, and it is due');
  }

  /** The key that a rotation replaced opens nothing, and one that was never in force neither. */
  async #checkRefused(): Promise<void> {
    const { masterKeys, isPlain, machine, context } = this.#environment;
    const { refused } = masterKeys;
    if (isPlain || refused === undefined) return;
    const image = machine.disk.image();
    const { scheduler } = context;
    const other = new SimMachine({ seed: 0, scheduler, onLie: () => undefined, image });
    const copy = other.start();
    const masterKey = simulatedMasterKey(refused);
    const code = await this.#environment.openOn(copy, { readOnly: true, masterKey }).then(
      () => 'opens',
      (error: unknown) => codeOf(error),
    );
    copy.kill();
    if (code === 'WRONG_KEY' || this.#environment.isDamaged) return;
    throw new Violation('keys', `master key ${refused} is not in force, and the database: ${code}`);
  }
}

function lost(what: string, found: number): Violation {
  return new Violation('keys', `${what} was acknowledged and is lost: the newest is ${found}`);
}
