/** The process that owns the database: opens it, is closed, killed or crashes, and is held to what was told. */
import { SimMachine } from '../machine.ts';
import { ProcessGone, type SimProcess } from '../process.ts';
import { Violation } from '../violation.ts';
import type { Actor } from '../world.ts';
import { checkRecovered } from './checker.ts';
import { contentsHash } from './contents.ts';
import { checkRowProofs } from './row-proofs.ts';
import { type Environment, isFaulted, isIntegrity, type Session } from './environment.ts';
import type { DatabaseEvent } from './events.ts';
import { checkPast } from './observations.ts';
import { streamNames } from './workload.ts';

/** Longer than the pause after which an idle database marks its log. */
const idleMs = 1_000;

type OwnerEvent = Extract<
  DatabaseEvent,
  {
    kind:
      | 'restart'
      | 'tenant'
      | 'send'
      | 'settle'
      | 'look'
      | 'verify'
      | 'replay'
      | 'rotate'
      | 'rekey'
      | 'checkpoint'
      | 'rotate signing';
  }
>;
type Restart = Extract<OwnerEvent, { kind: 'restart' }>;

export class Owner implements Actor<OwnerEvent> {
  readonly #environment: Environment;
  /** Called before the machine loses power or gets a good copy of its files: every process on it ends. */
  readonly #onMachineRestart: () => void;
  #session: Session | undefined;
  /** Names under a failed flush of a directory stay in doubt until the machine restarts. */
  #isInDoubt = false;

  constructor(environment: Environment, onMachineRestart: () => void) {
    this.#environment = environment;
    this.#onMachineRestart = onMachineRestart;
  }

  /** The open database; undefined while no process runs that has it open. */
  get session(): Session | undefined {
    return this.#session?.simProcess.isGone === true ? undefined : this.#session;
  }

  async perform(event: OwnerEvent): Promise<void> {
    if (event.kind === 'restart') return this.#restart(event);
    const session = this.session;
    if (session === undefined) return;
    await this.#perform(event, session).catch(ignoreGone);
  }

  kill(): void {
    if (this.#session !== undefined) this.#ended(this.#session.simProcess);
    this.#session = undefined;
  }

  async #perform(event: Exclude<OwnerEvent, Restart>, session: Session): Promise<void> {
    const { client, context } = this.#environment;
    const { simProcess } = session;
    switch (event.kind) {
      case 'send':
        if (!client.tenants.has(event.tenant)) return;
        context.load.add('commands');
        client.send(event.tenant, event.spec);
        return;
      case 'tenant': {
        const code = await simProcess.live(client.createTenant(event.tenant));
        context.trace.add(`tenant ${event.tenant} ${code ?? 'is there'}`);
        return;
      }
      case 'rotate':
        return this.#environment.keyChanges.rotate(event, session);
      case 'rekey':
        return this.#environment.keyChanges.rekey(event, session);
      case 'checkpoint':
        return this.#environment.proofs.ask(session);
      case 'rotate signing':
        return this.#environment.proofs.rotate(session);
      case 'settle':
        return this.#settle(simProcess);
      case 'look':
        return this.#look(event, session);
      case 'verify':
        return this.#verify(session);
      case 'replay':
        return this.#replay(session);
    }
  }

  async #restart({ how, dice, without }: Restart): Promise<void> {
    const { machine } = this.#environment;
    if (how === 'close' && this.session !== undefined) await this.#close(this.session);
    this.kill();
    if (how === 'power' || machine.disk.isDead || this.#isInDoubt) this.losePower(dice);
    if (without !== undefined) this.#environment.delete(without);
    await this.#start();
  }

  losePower(dice: number): void {
    const { machine, context } = this.#environment;
    this.#environment.judgeLies();
    this.#onMachineRestart();
    machine.losePower(dice);
    this.#isInDoubt = false;
    context.faults.add('power loss');
    context.trace.add('power loss');
  }

  /** Closes the database, so that it lies still; false if that did not go as it should. */
  async closeForRepair(): Promise<boolean> {
    const { session } = this;
    if (session === undefined) return false;
    await this.#close(session);
    const isClosed = !session.simProcess.isGone && !hasFailed(session);
    this.kill();
    this.#onMachineRestart();
    return isClosed && !this.#isInDoubt;
  }

  /** Closes; whatever was sent before has its answer then. */
  async #close({ db, simProcess }: Session): Promise<void> {
    try {
      await simProcess.live(db.close());
      this.#environment.context.load.add('closes');
    } catch (error) {
      if (simProcess.isGone) return;
      if (!this.#environment.isExplained(simProcess, error)) throw error;
    }
    await this.#settle(simProcess).catch(ignoreGone);
  }

  /** Starts a process and opens the database; leaves it down if a fault prevents that. */
  async #start(): Promise<void> {
    const { context, client } = this.#environment;
    const opened = await this.#open();
    if (opened === undefined) {
      context.load.add('failed opens');
      return;
    }
    this.#session = opened;
    client.connect(opened);
    context.load.add('opens');
    context.checks.add('opens');
    this.#environment.forgive();
    await this.#environment.guarded(opened, () => this.#check(opened));
    if (!opened.simProcess.isGone && this.#environment.isDamaged) await this.#findDamage(opened);
  }

  /** A second time if the first one found damage. */
  async #open(): Promise<Session | undefined> {
    for (;;) {
      const simProcess = this.#environment.startProcess('');
      try {
        return await this.#environment.open(simProcess, false);
      } catch (error) {
        const isGone = simProcess.isGone;
        this.#ended(simProcess);
        if (isGone || isFaulted(simProcess, error)) return undefined;
        if (error instanceof Violation) throw error;
        if (!isIntegrity(error) || !this.#environment.isDamaged) {
          const message = `the database does not open: ${String(error)}`;
          throw new Violation('opens', message, { cause: error });
        }
        this.#mend();
      }
    }
  }

  #mend(): void {
    this.#onMachineRestart();
    this.#environment.mend();
  }

  /** Counts what hit a process, and makes sure that it runs no more. */
  #ended(simProcess: SimProcess): void {
    const { faults } = this.#environment.context;
    if (this.#environment.machine.disk.isDead) faults.add('crash');
    else if (simProcess.isGone) faults.add('kill');
    for (const { code, method } of simProcess.disk.failures) {
      faults.add(code === 'DISK_FULL' ? 'full disk' : `failed ${method}`);
      if (method === 'flushDirectory') this.#isInDoubt = true;
    }
    simProcess.kill();
    this.#environment.keyChanges.ended();
    this.#environment.proofs.ended();
  }

  /** The database opened although its files are damaged: then verify() tells, or it does no harm. */
  async #findDamage(session: Session): Promise<void> {
    await this.#environment.guarded(session, async () => {
      const report = await session.simProcess.live(session.db.verify());
      this.#environment.context.checks.add('damage');
      if (report.ok) return;
      this.kill();
      this.#mend();
      await this.#start();
    });
  }

  /** Everything that was told is so. */
  async #check(session: Session): Promise<void> {
    const { db, simProcess } = session;
    const { client, observations, chain, machine, prng, keyChanges } = this.#environment;
    const { checks, trace } = this.#environment.context;
    const { position, frames, chainHash, logId, recovery } = db.status();
    this.#environment.logId = logId;
    trace.add(`opened at ${position}, frame ${frames}, ${recovery.cut.length} cut`);
    const histories = await simProcess.live(checkRecovered(db, client, checks));
    observations.check(histories, position, checks);
    const shares = [prng.below(1_000) / 1_000, prng.below(1_000) / 1_000];
    await simProcess.live(checkPast(db, histories, { shares, newest: position, checks }));
    chain.saw(frames, chainHash, trace.lineCount);
    const at = { logId, line: trace.lineCount, durable: frames, checks };
    // Of damage that opening does not come to, verify() tells.
    if (!this.#environment.isDamaged) chain.check(machine.disk.image(), at);
    await keyChanges.check(session);
    await this.#environment.proofs.check(session);
  }

  async #settle(simProcess: SimProcess): Promise<void> {
    const { client, keyChanges, proofs } = this.#environment;
    await simProcess.live(client.settled());
    await simProcess.live(keyChanges.settled());
    await simProcess.live(proofs.settled());
  }

  async #look(
    { tenant, back }: Extract<OwnerEvent, { kind: 'look' }>,
    session: Session,
  ): Promise<void> {
    const { client, context, observations } = this.#environment;
    const { db, simProcess } = session;
    if (client.tenants.get(tenant) !== 'there') return;
    await this.#environment.guarded(session, async () => {
      const handle = db.tenant(tenant);
      const line = context.trace.lineCount;
      const newest = (await simProcess.live(handle.query('SELECT 1'))).position;
      const position = newest - BigInt(Math.floor(back * Number(newest)));
      await simProcess.live(observations.look(handle, { position, line, checker: 'mvcc' }));
    });
  }

  async #verify(session: Session): Promise<void> {
    // Rekeying may go on meanwhile.
    await session.simProcess.live(this.#environment.client.settled());
    await this.#environment.guarded(session, async () => {
      // What is found may be written over before the rest has been read.
      const wasDamaged = this.#environment.isDamaged;
      const report = await session.simProcess.live(session.db.verify());
      this.#environment.context.checks.add('verify');
      // What a failed write left half done is there to be found.
      if (report.ok || wasDamaged || this.#environment.isDamaged || hasFailed(session)) return;
      throw new Violation('verify', `verify: ${report.findings[0]?.message ?? 'not ok'}`);
    });
  }

  /** A copy of the files, opened by another process, yields what this one serves. */
  async #replay(session: Session): Promise<void> {
    await session.simProcess.live(this.#environment.client.settled());
    if (hasFailed(session) || this.#environment.isDamaged) return;
    await this.#environment.guarded(session, async () => {
      const { trace, checks, scheduler } = this.#environment.context;
      const { position } = session.db.status();
      const served = await session.simProcess.live(contentsHash(session.db, streamNames));
      const { hash: servedHash } = await session.simProcess.live(session.db.stateHash());
      await this.#environment.proofs.checkState(session, servedHash);
      const image = this.#environment.machine.disk.image();
      const machine = new SimMachine({ seed: 0, scheduler, onLie: () => undefined, image });
      const copy = machine.start();
      const { keyRing: masterKey } = this.#environment;
      const fresh = await this.#environment.openOn(copy, { readOnly: false, masterKey });
      const replayed = await contentsHash(fresh, streamNames);
      const { hash: replayedHash } = await fresh.stateHash();
      // Opening may log records of its own.
      const isShorter = fresh.status().position < position;
      if (servedHash === replayedHash && (await checkRowProofs(fresh))) checks.add('row proof');
      copy.kill();
      trace.add(`state ${served}`);
      checks.add('state');
      checks.add('state hash');
      if (servedHash !== replayedHash)
        throw new Violation(
          'state hash',
          `this process says ${servedHash} at position ${position}; a fresh replay of its files ${replayedHash}`,
        );
      if (served === replayed && !isShorter) return;
      throw new Violation(
        'state',
        `this process serves ${served} at position ${position}; a fresh replay of its files ${replayed}`,
      );
    });
  }

  /** Whether verify() of a sound handle finds damage that is on the disk. */
  async findsDamage(): Promise<boolean | undefined> {
    const session = this.session;
    if (session === undefined) return undefined;
    let finds: boolean | undefined;
    await this.#settle(session.simProcess).catch(ignoreGone);
    await this.#environment.guarded(session, async () => {
      if (session.db.status().poisoned) return;
      let { ok } = await session.simProcess.live(session.db.verify());
      // While a frame is on its way, nobody can say what is to be behind it.
      if (ok) {
        await session.simProcess.live(this.#idle());
        ({ ok } = await session.simProcess.live(session.db.verify()));
      }
      // What a write that failed meanwhile covered is damaged on the disk alone, behind all that is durable.
      if (!session.db.status().poisoned) finds = !ok;
    });
    return finds;
  }

  /** Lets so much time pass that records and marks are written. */
  #idle(): Promise<void> {
    const { scheduler } = this.#environment.context;
    return new Promise((resolve) => void scheduler.delay(idleMs, resolve));
  }

  /** Without faults, whatever is sent is done. */
  async work(): Promise<void> {
    const { client, context } = this.#environment;
    const session = this.session;
    if (session === undefined) {
      throw new Violation('opens', 'the database does not open without faults');
    }
    const tenant = 'final';
    const code = await session.simProcess.live(client.createTenant(tenant));
    const first = client.attempts.length;
    client.send(tenant, { kind: 'table', name: 'notes', ifNotExists: false });
    for (let number = 0; number < 3; number++) {
      client.send(tenant, { kind: 'notes', texts: [`last words ${number}`] });
    }
    await this.#settle(session.simProcess);
    const sent = client.attempts.slice(first);
    context.load.add('commands', sent.length);
    const told = sent.map(({ reply }) => (reply?.kind === 'refused' ? reply.code : reply?.kind));
    if (code === undefined && told.length > 0 && told.every((answer) => answer === 'done')) return;
    throw new Violation('answers', `without faults, work was answered ${[code, ...told].join()}`);
  }
}

function hasFailed({ simProcess }: Session): boolean {
  return simProcess.disk.failures.length > 0;
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof ProcessGone)) throw error;
}
