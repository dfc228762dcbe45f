/** The commands of the model, as SQL and appends. */
import type { SimDone, SimTenant, SimTransaction, SimValue } from './contract.ts';
import type { Account, Spec } from './model.ts';

export interface Performed {
  /** Absent for a transaction, whose answer names none. */
  readonly position: bigint | undefined;
  readonly rowCount: number | undefined;
}

export interface Order {
  /** The actor of the command: how it is found again in the log. */
  readonly id: string;
  readonly spec: Spec;
  /** Lets simulated time pass, for transactions that take their time. */
  readonly pause: (milliseconds: number) => Promise<void>;
}

const insertInto = 'INSERT INTO accounts (id, email, balance, memo) VALUES ';

const definitions = {
  accounts:
    'accounts (id integer PRIMARY KEY, email text UNIQUE, balance integer NOT NULL CHECK (balance >= 0), memo text)',
  notes: 'notes (text text)',
};

function insertText(rows: readonly Account[]): string {
  const groups = rows.map((_row, index) => {
    const first = index * 4;
    return `($${first + 1}, $${first + 2}, $${first + 3}, $${first + 4})`;
  });
  return insertInto + groups.join(', ');
}

function insertValues(rows: readonly Account[]): SimValue[] {
  return rows.flatMap((row) => [row.id, row.email, row.balance, row.memo]);
}

/** Runs one command; rejects as the database does. */
export async function perform(handle: SimTenant, order: Order): Promise<Performed> {
  const { id, spec, pause } = order;
  const options = { actor: id };
  const run = (sql: string, values: readonly SimValue[] = []): Promise<SimDone> =>
    handle.execute(sql, values, options);
  const unplaced: Performed = { position: undefined, rowCount: undefined };
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
      await handle.transaction((tx) => transferIn(tx, spec, pause), options);
      return unplaced;
    case 'replace':
      await handle.transaction(async (tx) => {
        await tx.execute('DELETE FROM accounts WHERE id = $1', [spec.id]);
        await tx.execute(insertText(spec.rows), insertValues(spec.rows));
      }, options);
      return unplaced;
  }
}

async function transferIn(
  tx: SimTransaction,
  { from, to, amount, thinkMs }: Extract<Spec, { kind: 'transfer' }>,
  pause: Order['pause'],
): Promise<void> {
  const select = 'SELECT balance FROM accounts WHERE id = $1';
  const source = (await tx.query(select, [from])).rows[0] as { balance: number } | undefined;
  const target = (await tx.query(select, [to])).rows[0] as { balance: number } | undefined;
  if (thinkMs !== undefined) await pause(thinkMs);
  const covered = source !== undefined && target !== undefined && source.balance >= amount;
  if (!covered || from === to) return;
  const update = 'UPDATE accounts SET balance = $1 WHERE id = $2';
  await tx.execute(update, [source.balance - amount, from]);
  await tx.execute(update, [target.balance + amount, to]);
}
