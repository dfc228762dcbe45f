/** Another process that follows the log of the owner, reads, and never goes back. */
import { Violation } from '../violation.ts';
import type { Actor } from '../world.ts';
import { codeOf } from './client.ts';
import { type Environment, isFaulted, isIntegrity, type Session } from './environment.ts';
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
      throw new Violation('reader', `a reader cannot open the database: ${String(error)}`, {
        cause: error,
      });
    }
  }

  async #look({ db, simProcess }: Session, tenant: string): Promise<void> {
    const { observations, context } = this.#environment;
    const line = context.trace.lineCount;
    try {
      if (!db.tenants().includes(tenant)) return;
      const handle = db.tenant(tenant);
      const seen = await simProcess.live(observations.look(handle, { line, checker: 'reader' }));
      if (seen < this.#position) {
        throw new Violation('reader', `a reader went back from ${this.#position} to ${seen}`);
      }
      this.#position = seen;
      context.trace.add(`reader at ${seen}`);
    } catch (error) {
      const isGone = simProcess.isGone;
      this.kill();
      if (isGone) return;
      if (error instanceof Violation || !this.#environment.isExplained(simProcess, error))
        throw error;
    }
  }
}
