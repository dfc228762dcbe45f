/** The client of a simulated database: sends commands and writes down, outside it, what it was answered. */
import { type Scheduler, VerityError } from '../../base/index.ts';
import { perform } from './commands.ts';
import type { SimDatabase, SimTenant } from './contract.ts';
import type { Spec } from './model.ts';

export type Reply =
  | {
      readonly kind: 'done';
      /** Absent for a transaction, whose answer names none. */
      readonly position: bigint | undefined;
      readonly rowCount: number | undefined;
      /** What was committed when the answer came. */
      readonly committed: bigint | undefined;
    }
  | {
      readonly kind: 'refused';
      readonly code: string;
      readonly committed: bigint | undefined;
    };

type Answer =
  | Omit<Extract<Reply, { kind: 'done' }>, 'committed'>
  | Omit<Extract<Reply, { kind: 'refused' }>, 'committed'>;

/** One command, and what the client knows of it. */
export interface Attempt {
  readonly id: string;
  readonly tenant: string;
  readonly spec: Spec;
  /** What was committed when it was sent. */
  sentAt: bigint;
  /** Undefined for ever if the process died first. */
  reply: Reply | undefined;
  /** Place among all answers of one process. */
  repliedAs: { readonly session: number; readonly number: number } | undefined;
}

/** A process that the client talks to. */
export interface ClientSession {
  readonly db: SimDatabase;
  /** Whether the process runs no more. */
  readonly disk: { readonly isGone: boolean };
  readonly scheduler: Scheduler;
}

/** The codes of a command that certainly left nothing behind, and say nothing about the state. */
const certainlyNothing = new Set([
  'DISK_FULL',
  'IO_ERROR',
  'DATABASE_POISONED',
  'CLOSED',
  'OVERLOADED',
  // A page of the store that what it was decided on needed is damaged.
  'AUTHENTICATION_FAILED',
  'MISSING_DATA',
]);

export function leavesNothing(reply: Reply): boolean {
  return reply.kind === 'refused' && reply.code !== 'COMMIT_UNKNOWN';
}

export function restsOnState(reply: Reply): boolean {
  return (
    reply.kind === 'done' || (!certainlyNothing.has(reply.code) && reply.code !== 'COMMIT_UNKNOWN')
  );
}

export class Client<Session extends ClientSession = ClientSession> {
  readonly attempts: Attempt[] = [];
  /** Those that were handed out: each must open the database. */
  readonly recoveryCodes: string[] = [];
  /** Tenants by name: whether their creation was acknowledged. */
  readonly tenants = new Map<string, 'asked' | 'there'>();
  /** Told of each answer, at the moment it comes, before the attempt holds it. */
  onReply: ((attempt: Attempt, answer: Answer) => void) | undefined;
  #session: Session | undefined;
  #sessionNumber = 0;
  #replyNumber = 0;
  readonly #tenantReplies = new Map<string, number>();
  readonly #handles = new Map<string, SimTenant>();
  readonly #waiting = new Set<Promise<void>>();

  /** Goes on with another process. */
  connect(session: Session): void {
    this.#session = session;
    this.#sessionNumber += 1;
    this.#handles.clear();
    this.#waiting.clear();
  }

  /** A client that knows the same and goes its own way from here. */
  copy(): Client<Session> {
    const copy = new Client<Session>();
    copy.attempts.push(...this.attempts);
    copy.recoveryCodes.push(...this.recoveryCodes);
    for (const [name, known] of this.tenants) copy.tenants.set(name, known);
    copy.#sessionNumber = this.#sessionNumber;
    copy.#replyNumber = this.#replyNumber;
    return copy;
  }

  /** A client that was told what this one has been told by now, and learns nothing more. */
  frozen(): Client<Session> {
    const frozen = this.copy();
    for (const [index, attempt] of frozen.attempts.entries()) {
      frozen.attempts[index] = { ...attempt };
    }
    return frozen;
  }

  /** Takes back every answer that came when more than `position` was committed, or may have: tenants. */
  forgetRepliesBehind(position: bigint): void {
    for (const attempt of this.attempts) {
      const { reply } = attempt;
      if (reply === undefined) continue;
      const at = reply.kind === 'done' ? (reply.position ?? 0n) : 0n;
      if (at <= position && (reply.committed ?? 0n) <= position) continue;
      attempt.reply = undefined;
      attempt.repliedAs = undefined;
    }
    for (const name of this.tenants.keys()) this.tenants.set(name, 'asked');
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('The client is not connected.');
    return this.#session;
  }

  get isGone(): boolean {
    return this.session.disk.isGone;
  }

  /** Answers so far, of all processes. */
  get replyCount(): number {
    return this.#replyNumber;
  }

  /** Commands without an answer that may still come. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Answers to everything sent so far. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  /** Creates a tenant, or learns that it is there. The code of the error if that failed. */
  async createTenant(name: string): Promise<string | undefined> {
    const { db, disk } = this.session;
    if (!this.tenants.has(name)) this.tenants.set(name, 'asked');
    try {
      this.#handles.set(name, await db.createTenant(name));
    } catch (error) {
      const code = codeOf(error);
      if (disk.isGone || code !== 'TENANT_EXISTS') return code;
    }
    if (disk.isGone) return undefined;
    this.tenants.set(name, 'there');
    this.#tenantReplies.set(name, ++this.#replyNumber);
    return undefined;
  }

  /** Sends a command without waiting for its answer. */
  send(tenant: string, spec: Spec): void {
    const handle = this.#handle(tenant);
    if (handle === undefined) return;
    const attempt: Attempt = {
      id: `c${this.attempts.length + 1}`,
      tenant,
      spec,
      sentAt: 0n,
      reply: undefined,
      repliedAs: undefined,
    };
    this.attempts.push(attempt);
    const done = this.#perform(handle, attempt).finally(() => this.#waiting.delete(done));
    this.#waiting.add(done);
  }

  /** Takes back what answers after number `replyNumber` said: the disk that they rested on had lied. */
  forgetRepliesAfter(replyNumber: number): void {
    for (const attempt of this.attempts) {
      if ((attempt.repliedAs?.number ?? 0) <= replyNumber) continue;
      attempt.reply = undefined;
      attempt.repliedAs = undefined;
    }
    for (const [name, number] of this.#tenantReplies) {
      if (number > replyNumber) this.tenants.set(name, 'asked');
    }
  }

  async #perform(handle: SimTenant, attempt: Attempt): Promise<void> {
    const { disk, scheduler } = this.session;
    const { id, spec } = attempt;
    const pause = (milliseconds: number): Promise<void> =>
      new Promise((resolve) => void scheduler.delay(milliseconds, resolve));
    const before = committed(handle);
    let answer: Answer;
    try {
      answer = { kind: 'done', ...(await perform(handle, { id, spec, pause })) };
    } catch (error) {
      answer = { kind: 'refused', code: codeOf(error) };
    }
    attempt.sentAt = (await before) ?? 0n;
    // A dead process tells nobody anything.
    if (disk.isGone) return;
    attempt.repliedAs = { session: this.#sessionNumber, number: ++this.#replyNumber };
    this.onReply?.(attempt, answer);
    attempt.reply = { ...answer, committed: await committed(handle) };
  }

  #handle(name: string): SimTenant | undefined {
    const known = this.#handles.get(name);
    if (known !== undefined) return known;
    try {
      const handle = this.session.db.tenant(name);
      this.#handles.set(name, handle);
      return handle;
    } catch {
      return undefined;
    }
  }
}

/** The newest position that readers see at this moment; undefined once the handle is closed. */
async function committed(handle: SimTenant): Promise<bigint | undefined> {
  try {
    return (await handle.query('SELECT 1')).position;
  } catch {
    return undefined;
  }
}

export function codeOf(error: unknown): string {
  return error instanceof VerityError ? error.code : String(error);
}
