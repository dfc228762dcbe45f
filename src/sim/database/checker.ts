/** Holds an open database against what its clients were told. Throws Violation. */
import { Tally } from '../tally.ts';
import { Violation } from '../violation.ts';
import {
  type Attempt,
  type Client,
  type ClientSession,
  leavesNothing,
  restsOnState,
} from './client.ts';
import { compareContents } from './contents.ts';
import type { SimDatabase } from './contract.ts';
import { type History, replayTenant } from './history.ts';
import { evaluate, type Expected, type TenantState } from './model.ts';

/** By tenant. */
export type Histories = ReadonlyMap<string, History>;

interface CheckContext {
  readonly history: History;
  readonly newest: bigint;
  readonly checks: Tally;
}

/**
 * Checks every tenant: nothing acknowledged is lost, nothing is there that nobody sent, answers went out in the order
 * of positions, and the contents are what the log says. Returns what the log holds, for further checks.
 */
export async function checkRecovered<Session extends ClientSession>(
  db: SimDatabase,
  client: Client<Session>,
  checks: Tally = new Tally(),
): Promise<Histories> {
  const newest = db.status().position;
  const there = db.tenants();
  for (const [name, known] of client.tenants) {
    if (known === 'there' && !there.includes(name)) {
      throw new Violation('no loss', `tenant ${name} was acknowledged and is lost`);
    }
  }
  const histories = new Map<string, History>();
  const found = new Map<string, bigint>();
  for (const name of there) {
    if (!client.tenants.has(name)) {
      throw new Violation('no phantom', `nobody asked for tenant ${name}`);
    }
    const handle = db.tenant(name);
    const attempts = client.attempts.filter((attempt) => attempt.tenant === name);
    const history = await replayTenant(handle, attempts);
    histories.set(name, history);
    checks.add('no phantom', history.byId.size);
    await compareContents(handle, history.states.at(-1) as TenantState);
    checks.add('state');
    for (const attempt of attempts) checkAttempt(attempt, { history, newest, checks });
    for (const [id, { logged }] of history.byId) found.set(id, logged.position);
  }
  checkOrder(client.attempts, found, checks);
  return histories;
}

function checkAttempt(attempt: Attempt, { history, newest, checks }: CheckContext): void {
  const { reply, id, tenant } = attempt;
  const found = history.byId.get(id);
  const what = `${id} (${attempt.spec.kind}) of ${tenant}`;
  if (reply === undefined || (reply.kind === 'refused' && reply.code === 'COMMIT_UNKNOWN')) {
    checks.add(found === undefined ? 'unknown and absent' : 'unknown and there');
    return;
  }
  if (reply.committed !== undefined && reply.committed > newest) {
    throw lost(`${what} was answered at ${reply.committed}; the log ends at ${newest}`);
  }
  if (leavesNothing(reply)) {
    if (found !== undefined) {
      throw new Violation('no phantom', `${what} was refused and is there`);
    }
    if (!restsOnState(reply)) return;
  }
  if (reply.kind === 'done' && found !== undefined) {
    checkAcknowledged(reply, found, what);
    checks.add('no loss');
    return;
  }
  if (reply.kind === 'done' && reply.position !== undefined && reply.position > newest) {
    throw lost(`${what} was answered at ${reply.position}; the log ends at ${newest}`);
  }
  checkRest(attempt, history, newest);
  checks.add('answers without change');
}

function checkAcknowledged(
  reply: Extract<NonNullable<Attempt['reply']>, { kind: 'done' }>,
  { logged, expected }: NonNullable<ReturnType<History['byId']['get']>>,
  what: string,
): void {
  if (reply.position !== undefined && reply.position !== logged.position) {
    throw lost(`${what} was acknowledged at ${reply.position}, is at ${logged.position}`);
  }
  const isCounted = reply.rowCount !== undefined && expected.kind === 'changed';
  if (isCounted && reply.rowCount !== expected.rowCount) {
    throw lost(`${what} was answered with ${reply.rowCount} rows, not ${expected.rowCount}`);
  }
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
  throw lost(
    `${attempt.id} (${attempt.spec.kind}) of ${attempt.tenant} was answered ${answer}, which no state ` +
      `from ${first} to ${last} bears out (${seen.join(' | ')}): it was lost, or it rests on a lost event`,
  );
}

function lost(message: string): Violation {
  return new Violation('no loss', message);
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
function checkOrder(
  attempts: readonly Attempt[],
  found: ReadonlyMap<string, bigint>,
  checks: Tally,
): void {
  const answered = attempts.flatMap(({ id, reply, repliedAs }) => {
    const position = found.get(id);
    const isPlaced = reply?.kind === 'done' && reply.position !== undefined;
    return isPlaced && repliedAs !== undefined && position !== undefined
      ? [{ id, position, ...repliedAs }]
      : [];
  });
  answered.sort((left, right) => left.number - right.number);
  for (const [index, later] of answered.entries()) {
    const earlier = answered[index - 1];
    if (earlier === undefined || earlier.session !== later.session) continue;
    checks.add('order');
    if (earlier.position >= later.position) {
      throw new Violation(
        'order',
        `${earlier.id} at ${earlier.position} was acknowledged before ${later.id} at ${later.position}`,
      );
    }
  }
}
