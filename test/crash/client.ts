/** The client of a crash run: sends commands and writes down, outside the database, what it was answered. */
import { VerityError } from '../../src/base/index.ts';
import type { TenantHandle, Transaction } from '../../src/database/index.ts';
import type { Session } from './machine.ts';
import type { Account, Spec } from './model.ts';

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

/** The codes of a command that certainly left nothing behind. */
const certainlyNothing = new Set(['DISK_FULL', 'IO_ERROR', 'DATABASE_POISONED', 'CLOSED']);

export function leavesNothing(reply: Reply): boolean {
  return reply.kind === 'refused' && reply.code !== 'COMMIT_UNKNOWN';
}

export function restsOnState(reply: Reply): boolean {
  return (
    reply.kind === 'done' || (!certainlyNothing.has(reply.code) && reply.code !== 'COMMIT_UNKNOWN')
  );
}

export class Client {
  readonly attempts: Attempt[] = [];
  /** Those that were handed out: each must open the database. */
  readonly recoveryCodes: string[] = [];
  /** Tenants by name: whether their creation was acknowledged. */
  readonly tenants = new Map<string, 'asked' | 'there'>();
  #session: Session | undefined;
  #sessionNumber = 0;
  #replyNumber = 0;
  readonly #handles = new Map<string, TenantHandle>();
  readonly #waiting = new Set<Promise<void>>();

  /** Goes on with another process. */
  connect(session: Session): void {
    this.#session = session;
    this.#sessionNumber += 1;
    this.#handles.clear();
    this.#waiting.clear();
  }

  /** A client that knows the same and goes its own way from here. */
  copy(): Client {
    const copy = new Client();
    copy.attempts.push(...this.attempts);
    copy.recoveryCodes.push(...this.recoveryCodes);
    for (const [name, known] of this.tenants) copy.tenants.set(name, known);
    copy.#sessionNumber = this.#sessionNumber;
    copy.#replyNumber = this.#replyNumber;
    return copy;
  }

  get session(): Session {
    if (this.#session === undefined) throw new Error('The client is not connected.');
    return this.#session;
  }

  get isGone(): boolean {
    return this.session.disk.isGone;
  }

  /** Answers to everything sent so far. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  /** Creates a tenant, or learns that it is there. Undefined if that failed. */
  async createTenant(name: string): Promise<string | undefined> {
    const { db } = this.session;
    if (!this.tenants.has(name)) this.tenants.set(name, 'asked');
    try {
      this.#handles.set(name, await db.createTenant(name));
    } catch (error) {
      const code = codeOf(error);
      if (this.isGone || code !== 'TENANT_EXISTS') return code;
    }
    if (!this.isGone) this.tenants.set(name, 'there');
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

  async #perform(handle: TenantHandle, attempt: Attempt): Promise<void> {
    const before = committed(handle);
    let reply: Omit<Reply, 'committed'>;
    try {
      reply = { kind: 'done', ...(await perform(handle, attempt)) };
    } catch (error) {
      reply = { kind: 'refused', code: codeOf(error) } as Omit<Reply, 'committed'>;
    }
    attempt.sentAt = (await before) ?? 0n;
    // A dead process tells nobody anything.
    if (this.isGone) return;
    attempt.repliedAs = { session: this.#sessionNumber, number: ++this.#replyNumber };
    attempt.reply = { ...reply, committed: await committed(handle) } as Reply;
  }

  #handle(name: string): TenantHandle | undefined {
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
async function committed(handle: TenantHandle): Promise<bigint | undefined> {
  try {
    return (await handle.query('SELECT 1')).position;
  } catch {
    return undefined;
  }
}

export function codeOf(error: unknown): string {
  return error instanceof VerityError ? error.code : String(error);
}

const insertInto = 'INSERT INTO accounts (id, email, balance, memo) VALUES ';

function insertText(rows: readonly Account[]): string {
  const groups = rows.map((_row, index) => {
    const first = index * 4;
    return `($${first + 1}, $${first + 2}, $${first + 3}, $${first + 4})`;
  });
  return insertInto + groups.join(', ');
}

function insertValues(rows: readonly Account[]): (number | string | null)[] {
  return rows.flatMap((row) => [row.id, row.email, row.balance, row.memo]);
}

const definitions = {
  accounts:
    'accounts (id integer PRIMARY KEY, email text UNIQUE, balance integer NOT NULL CHECK (balance >= 0), memo text)',
  notes: 'notes (text text)',
};

interface Done {
  readonly position: bigint | undefined;
  readonly rowCount: number | undefined;
}

async function perform(handle: TenantHandle, { id, spec }: Attempt): Promise<Done> {
  const options = { actor: id };
  const run = (sql: string, values: readonly (number | string | null)[] = []): Promise<Done> =>
    handle.execute(sql, values, options);
  switch (spec.kind) {
    case 'table':
      return await run(
        `CREATE TABLE ${spec.ifNotExists ? 'IF NOT EXISTS ' : ''}${definitions[spec.name]}`,
      );
    case 'insert':
      return await run(insertText(spec.rows), insertValues(spec.rows));
    case 'add':
      return await run('UPDATE accounts SET balance = balance + $1 WHERE id BETWEEN $2 AND $3', [
        spec.delta,
        spec.from,
        spec.to,
      ]);
    case 'email':
      return await run('UPDATE accounts SET email = $1 WHERE id = $2', [spec.email, spec.id]);
    case 'delete':
      return await run('DELETE FROM accounts WHERE id BETWEEN $1 AND $2', [spec.from, spec.to]);
    case 'null':
      return await run(`${insertInto}($1, $2, NULL, $2)`, [spec.id, `null${spec.id}`]);
    case 'notes': {
      const groups = spec.texts.map((_text, index) => `($${index + 1})`).join(', ');
      return await run(`INSERT INTO notes VALUES ${groups}`, spec.texts);
    }
    case 'append': {
      const { expectedVersion } = spec;
      const { position } = await handle.append(spec.stream, spec.events, {
        ...options,
        ...(expectedVersion !== undefined && { expectedVersion }),
      });
      return { position, rowCount: undefined };
    }
    case 'transfer':
      await handle.transaction((tx) => transferIn(tx, spec), options);
      return { position: undefined, rowCount: undefined };
    case 'replace':
      await handle.transaction(async (tx) => {
        await tx.execute('DELETE FROM accounts WHERE id = $1', [spec.id]);
        await tx.execute(insertText(spec.rows), insertValues(spec.rows));
      }, options);
      return { position: undefined, rowCount: undefined };
  }
}

async function transferIn(
  tx: Transaction,
  { from, to, amount }: Extract<Spec, { kind: 'transfer' }>,
): Promise<void> {
  const select = 'SELECT balance FROM accounts WHERE id = $1';
  const source = (await tx.query<{ balance: number }>(select, [from])).rows[0];
  const target = (await tx.query<{ balance: number }>(select, [to])).rows[0];
  const covered = source !== undefined && target !== undefined && source.balance >= amount;
  if (!covered || from === to) return;
  const update = 'UPDATE accounts SET balance = $1 WHERE id = $2';
  await tx.execute(update, [source.balance - amount, from]);
  await tx.execute(update, [target.balance + amount, to]);
}
