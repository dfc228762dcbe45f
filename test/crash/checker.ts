/** Holds a reopened database against what the client was told. Throws Violation. */
import type { Change, TenantHandle, Verity } from '../../src/database/index.ts';
import { type Attempt, type Client, leavesNothing, restsOnState } from './client.ts';
import { changeText, emptyTenant, evaluate, type Expected, type TenantState } from './model.ts';

export class Violation extends Error {
  override readonly name = 'Violation';
}

/** What a check looked at; one that looked at nothing proves nothing. */
export interface Checked {
  acknowledged: number;
  answersWithoutChange: number;
  unknownThere: number;
  unknownAbsent: number;
}

export function nothingChecked(): Checked {
  return { acknowledged: 0, answersWithoutChange: 0, unknownThere: 0, unknownAbsent: 0 };
}

interface Logged {
  readonly position: bigint;
  readonly id: string;
  readonly changes: readonly string[];
}

/** A tenant's states, oldest first: `states[n]` holds from `positions[n]` until the next. */
interface History {
  readonly positions: bigint[];
  readonly states: TenantState[];
  readonly byId: Map<string, { readonly logged: Logged; readonly expected: Expected }>;
}

/** Checks every tenant; counts what was looked at in `checked`. */
export async function checkRecovered(
  db: Verity,
  client: Client,
  checked: Checked = nothingChecked(),
): Promise<void> {
  const newest = db.status().position;
  const there = db.tenants();
  for (const [name, known] of client.tenants) {
    if (known === 'there' && !there.includes(name)) {
      throw new Violation(`tenant ${name} was acknowledged and is lost`);
    }
  }
  const found = new Map<string, bigint>();
  for (const name of there) {
    if (!client.tenants.has(name)) throw new Violation(`nobody asked for tenant ${name}`);
    const handle = db.tenant(name);
    const attempts = client.attempts.filter((attempt) => attempt.tenant === name);
    const history = await replayTenant(handle, attempts);
    await compareContents(handle, history.states.at(-1) as TenantState);
    for (const attempt of attempts) checkAttempt(attempt, history, { newest, checked });
    for (const [id, { logged }] of history.byId) found.set(id, logged.position);
  }
  checkOrder(client.attempts, found);
}

async function loggedCommands(handle: TenantHandle): Promise<Logged[]> {
  const commands: (Logged & { readonly changes: string[] })[] = [];
  for await (const change of handle.changes()) {
    const last = commands.at(-1);
    if (last !== undefined && last.position > change.position) {
      throw new Violation(`the change feed goes back from ${last.position} to ${change.position}`);
    }
    const text = changeOf(change);
    if (last?.position === change.position) last.changes.push(text);
    else commands.push({ position: change.position, id: change.actor ?? '', changes: [text] });
  }
  return commands;
}

function changeOf(change: Change): string {
  const { kind, table, key, before, after } = change;
  return changeText(kind, table, kind === 'append' ? Number(key['version']) : before, after);
}

/** Runs what the log holds through the model: every command whole, each once, each asked for. */
async function replayTenant(handle: TenantHandle, attempts: readonly Attempt[]): Promise<History> {
  const byId = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  const history: History = { positions: [0n], states: [emptyTenant], byId: new Map() };
  for (const logged of await loggedCommands(handle)) {
    const attempt = byId.get(logged.id);
    const where = `${logged.id} at position ${logged.position} of ${handle.name}`;
    if (attempt === undefined) throw new Violation(`nobody sent ${where}`);
    if (history.byId.has(logged.id)) throw new Violation(`${where} is there twice`);
    const expected = evaluate(attempt.spec, history.states.at(-1) as TenantState);
    if (expected.kind !== 'changed') {
      throw new Violation(`${where} changed ${logged.changes.join()} where nothing was to change`);
    }
    if (logged.changes.toSorted().join('\n') !== expected.changes.toSorted().join('\n')) {
      throw new Violation(
        `${where} is not whole: ${logged.changes.join('; ')} and not ${expected.changes.join('; ')}`,
      );
    }
    history.positions.push(logged.position);
    history.states.push(expected.next);
    history.byId.set(logged.id, { logged, expected });
  }
  return history;
}

async function compareContents(handle: TenantHandle, state: TenantState): Promise<void> {
  const same = (what: string, actual: unknown, expected: unknown): void => {
    const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
    if (left !== right) throw new Violation(`${handle.name}: ${what} is ${left} and not ${right}`);
  };
  const names = (await handle.tables()).map((table) => table.name);
  const defined = [state.accounts && 'accounts', state.notes && 'notes'].filter(Boolean);
  same('the list of tables', names, defined);
  if (state.accounts !== undefined) {
    const { rows } = await handle.query('SELECT * FROM accounts ORDER BY id');
    const expected = [...state.accounts.values()].toSorted((left, right) => left.id - right.id);
    same('accounts', rows, expected);
    // The unique index agrees with the table: verify() compares all of it, a few are looked up.
    for (const { email, id } of expected.filter((row) => row.email !== null).slice(-2)) {
      const byEmail = await handle.query('SELECT id FROM accounts WHERE email = $1', [email]);
      same(`the row found by ${email}`, byEmail.rows, [{ id }]);
    }
  }
  if (state.notes !== undefined) {
    const { rows } = await handle.query<{ text: string }>('SELECT text FROM notes');
    same('notes', rows.map(({ text }) => text).toSorted(), [...state.notes].toSorted());
  }
  for (const [stream, events] of state.streams) {
    const read: unknown[] = [];
    for await (const event of handle.read(stream)) read.push(event.data);
    same(`stream ${stream}`, read, events);
  }
}

function checkAttempt(
  attempt: Attempt,
  history: History,
  context: { readonly newest: bigint; readonly checked: Checked },
): void {
  const { reply, id, tenant } = attempt;
  const { newest, checked } = context;
  const found = history.byId.get(id);
  const what = `${id} (${attempt.spec.kind}) of ${tenant}`;
  if (reply === undefined || (reply.kind === 'refused' && reply.code === 'COMMIT_UNKNOWN')) {
    if (found === undefined) checked.unknownAbsent += 1;
    else checked.unknownThere += 1;
    return;
  }
  if (reply.committed !== undefined && reply.committed > newest) {
    throw new Violation(`${what} was answered at ${reply.committed}; the log ends at ${newest}`);
  }
  if (leavesNothing(reply)) {
    if (found !== undefined) throw new Violation(`${what} was refused and is there`);
    if (restsOnState(reply)) {
      checkRest(attempt, history, newest);
      checked.answersWithoutChange += 1;
    }
    return;
  }
  if (reply.kind !== 'done') return;
  if (found !== undefined) {
    const { logged, expected } = found;
    if (reply.position !== undefined && reply.position !== logged.position) {
      throw new Violation(
        `${what} was acknowledged at ${reply.position}, is at ${logged.position}`,
      );
    }
    if (
      reply.rowCount !== undefined &&
      expected.kind === 'changed' &&
      reply.rowCount !== expected.rowCount
    ) {
      throw new Violation(
        `${what} was answered with ${reply.rowCount} rows, not ${expected.rowCount}`,
      );
    }
    checked.acknowledged += 1;
    return;
  }
  if (reply.position !== undefined && reply.position > newest) {
    throw new Violation(`${what} was answered at ${reply.position}; the log ends at ${newest}`);
  }
  checkRest(attempt, history, newest);
  checked.answersWithoutChange += 1;
}

/** A reply without a change must fit some state between sending and answering that is still there. */
function checkRest(attempt: Attempt, history: History, newest: bigint): void {
  const reply = attempt.reply as NonNullable<Attempt['reply']>;
  const exact = reply.kind === 'done' ? reply.position : undefined;
  const first = exact ?? attempt.sentAt;
  const last = exact ?? reply.committed ?? newest;
  const seen: string[] = [];
  for (let index = 0; index < history.states.length; index++) {
    const from = history.positions[index] as bigint;
    const until = history.positions[index + 1] ?? newest + 1n;
    if (from > last || until <= first) continue;
    const expected = evaluate(attempt.spec, history.states[index] as TenantState);
    if (fits(reply, expected)) return;
    seen.push(expected.kind === 'refused' ? [...expected.codes].join() : expected.kind);
  }
  const answer = reply.kind === 'refused' ? reply.code : 'no change';
  throw new Violation(
    `${attempt.id} (${attempt.spec.kind}) of ${attempt.tenant} was answered ${answer}, which no state ` +
      `from ${first} to ${last} bears out (${seen.join(' | ')}): it was lost, or it rests on a lost event`,
  );
}

function fits(reply: NonNullable<Attempt['reply']>, expected: Expected): boolean {
  if (reply.kind === 'refused') {
    // A transaction gives up after so many conflicts; that rests on nothing but luck.
    if (reply.code === 'TRANSACTION_CONFLICT') return true;
    return expected.kind === 'refused' && expected.codes.has(reply.code);
  }
  return (
    expected.kind === 'unchanged' &&
    (reply.rowCount === undefined || reply.rowCount === expected.rowCount)
  );
}

/** Acknowledgements go out in the order of their positions. */
function checkOrder(attempts: readonly Attempt[], found: ReadonlyMap<string, bigint>): void {
  const answered = attempts.filter(
    ({ reply, id }) => reply?.kind === 'done' && reply.position !== undefined && found.has(id),
  );
  const place = ({ repliedAs }: Attempt): { session: number; number: number } =>
    repliedAs as { session: number; number: number };
  answered.sort((left, right) => place(left).number - place(right).number);
  for (const [index, attempt] of answered.entries()) {
    const before = answered[index - 1];
    if (before === undefined || place(before).session !== place(attempt).session) continue;
    const [earlier, later] = [found.get(before.id) as bigint, found.get(attempt.id) as bigint];
    if (earlier >= later) {
      throw new Violation(
        `${before.id} at ${earlier} was acknowledged before ${attempt.id} at ${later}`,
      );
    }
  }
}
