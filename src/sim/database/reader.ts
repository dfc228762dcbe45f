/** Another process that follows the log of the owner, reads, and never goes back. */
import { Violation } from '../violation.ts';
import type { Actor } from '../world.ts';
import { codeOf } from './client.ts';
import {
  BetweenKeys,
  type Environment,
  isFaulted,
  isIntegrity,
  type Session,
} from './environment.ts';
import type { DatabaseEvent } from './events.ts';

type ReaderEvent = Extract<DatabaseEvent, { kind: 'reader' }>;

export class LogFollower implements Actor<ReaderEvent> {
  readonly #environment: Environment;
  #session: Session | undefined;
  #position = 0n;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  async perform({ tenant }: ReaderEvent): Promise<void> {
    if (this.#environment.machine.disk.isDead) return;
    if (this.#session?.simProcess.isGone === true) this.kill();
    this.#session ??= await this.#open();
    if (this.#session !== undefined) await this.#look(this.#session, tenant);
  }

  kill(): void {
    this.#session?.simProcess.kill();
    this.#session = undefined;
    this.#position = 0n;
  }

  /** Whether a rotation has since put the master keys of the time of its opening out of force. */
  #isRotated({ drawn }: Session): boolean {
    const { possible } = this.#environment.masterKeys;
    return possible.every((number) => number > drawn);
  }

  /** The master key was rotated since this process opened the database, and it is getting the new one. */
  #waitsForKey({ drawn }: Session, error: unknown): boolean {
    if (codeOf(error) !== 'KEY_PROVIDER_UNAVAILABLE') return false;
    return this.#environment.masterKeys.drawn > drawn;
  }

  /** The same, and it has not got the new one. */
  #lacksKey({ key }: Session, error: unknown): boolean {
    if (codeOf(error) !== 'WRONG_KEY' || key === undefined) return false;
    return !this.#environment.masterKeys.isCertain(key);
  }

  async #open(): Promise<Session | undefined> {
    const simProcess = this.#environment.startProcess('reader ');
    try {
      return await this.#environment.open(simProcess, true);
    } catch (error) {
      const isGone = simProcess.isGone;
      simProcess.kill();
      if (isGone || isFaulted(simProcess, error) || codeOf(error) === 'NO_DATABASE')
        return undefined;
      if (isIntegrity(error) && this.#environment.isDamaged) return undefined;
      if (error instanceof BetweenKeys) return undefined;
      if (error instanceof Violation) throw error;
      throw new Violation('reader', `a reader cannot open the database: ${String(error)}`, {
        cause: error,
      });
    }
  }

  async #look(session: Session, tenant: string): Promise<void> {
    const { observations, context } = this.#environment;
    const { db, simProcess } = session;
    const line = context.trace.lineCount;
    try {
      if (!db.tenants().includes(tenant)) return;
      const handle = db.tenant(tenant);
      const seen = await simProcess.live(observations.look(handle, { line, checker: 'reader' }));
      if (this.#isRotated(session) && seen > this.#position) {
        context.marks.add('reader went on under a new master key');
      }
      if (seen < this.#position) {
        throw new Violation('reader', `a reader went back from ${this.#position} to ${seen}`);
      }
      this.#position = seen;
      context.trace.add(`reader at ${seen}`);
    } catch (error) {
      const isGone = simProcess.isGone;
      if (!isGone && this.#waitsForKey(session, error)) return;
      this.kill();
      if (isGone || this.#lacksKey(session, error)) return;
      if (error instanceof Violation || !this.#environment.isExplained(simProcess, error))
        throw error;
    }
  }
}
