/** What readers see of a tenant, as plain values: to compare with the model, and with other readers. */
import { toHex, utf8Encode } from '../../base/index.ts';
import { sha256 } from '../../crypto/index.ts';
import { Violation } from '../violation.ts';
import type { SimDatabase, SimTenant } from './contract.ts';
import type { TenantState } from './model.ts';

export const accountsQuery = 'SELECT * FROM accounts ORDER BY id';
const notesQuery = 'SELECT text FROM notes';

/** The rows of `accounts` as the model has them at some state. */
export function accountsOf(state: TenantState): unknown[] {
  return [...(state.accounts?.values() ?? [])].toSorted((left, right) => left.id - right.id);
}

function textsOf(rows: readonly Record<string, unknown>[]): string[] {
  return rows.map(({ text }) => String(text)).toSorted();
}

/** Compares everything that readers see of a tenant with the model. Throws Violation of 'state'. */
export async function compareContents(handle: SimTenant, state: TenantState): Promise<void> {
  const same = (what: string, actual: unknown, expected: unknown): void => {
    const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (left !== right) {
      throw new Violation('state', `${handle.name}: ${what} is ${left} and not ${right}`);
    }
  };
  const names = (await handle.tables()).map((table) => table.name);
  const defined = [state.accounts && 'accounts', state.notes && 'notes'].filter(Boolean);
  same('the list of tables', names, defined);
  if (state.accounts !== undefined) {
    const { rows } = await handle.query(accountsQuery);
    const expected = accountsOf(state);
    same('accounts', rows, expected);
    // The unique index agrees with the table: verify() compares all of it, a few are looked up.
    const withEmail = [...state.accounts.values()].filter((row) => row.email !== null);
    for (const { email, id } of withEmail.slice(-2)) {
      const byEmail = await handle.query('SELECT id FROM accounts WHERE email = $1', [email]);
      same(`the row found by ${email}`, byEmail.rows, [{ id }]);
    }
  }
  if (state.notes !== undefined) {
    const { rows } = await handle.query(notesQuery);
    same('notes', textsOf(rows), [...state.notes].toSorted());
  }
  for (const [stream, events] of state.streams) {
    same(`stream ${stream}`, await eventsOf(handle, stream), events);
  }
}

async function eventsOf(handle: SimTenant, stream: string): Promise<unknown[]> {
  const read: unknown[] = [];
  for await (const event of handle.read(stream)) read.push(event.data);
  return read;
}

/** SHA-256 over everything that readers see of all tenants, in hex; the same for the same contents. */
export async function contentsHash(
  db: SimDatabase,
  streamNames: readonly string[],
): Promise<string> {
  const parts: unknown[] = [];
  for (const name of db.tenants()) {
    const handle = db.tenant(name);
    const tables = (await handle.tables()).map((table) => table.name);
    parts.push(name, tables);
    if (tables.includes('accounts')) parts.push((await handle.query(accountsQuery)).rows);
    if (tables.includes('notes')) parts.push(textsOf((await handle.query(notesQuery)).rows));
    for (const stream of streamNames) parts.push(await eventsOf(handle, stream));
  }
  return toHex(sha256(utf8Encode(JSON.stringify(parts))));
}
