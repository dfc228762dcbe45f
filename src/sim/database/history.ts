/** What the log of a database holds, run through the model: every command whole, each once, each asked for. */
import { Violation } from '../violation.ts';
import type { Attempt } from './client.ts';
import type { SimChange, SimTenant } from './contract.ts';
import { changeText, emptyTenant, evaluate, type Expected, type TenantState } from './model.ts';

export interface Logged {
  readonly position: bigint;
  readonly id: string;
  readonly changes: readonly string[];
}

/** A tenant's states, oldest first: `states[n]` holds from `positions[n]` until the next. */
export interface History {
  readonly positions: bigint[];
  readonly states: TenantState[];
  readonly byId: Map<string, { readonly logged: Logged; readonly expected: Expected }>;
}

/** The state that readers at `position` must see. */
export function stateAt(history: History, position: bigint): TenantState {
  const index = history.positions.findLastIndex((from) => from <= position);
  return history.states[index] as TenantState;
}

async function loggedCommands(handle: SimTenant): Promise<Logged[]> {
  const commands: (Logged & { readonly changes: string[] })[] = [];
  for await (const change of handle.changes()) {
    const last = commands.at(-1);
    if (last !== undefined && last.position > change.position) {
      throw new Violation(
        'order',
        `the change feed goes back from ${last.position} to ${change.position}`,
      );
    }
    const text = changeOf(change);
    if (last?.position === change.position) last.changes.push(text);
    else commands.push({ position: change.position, id: change.actor ?? '', changes: [text] });
  }
  return commands;
}

function changeOf(change: SimChange): string {
  const { kind, table, key, before, after } = change;
  return changeText(kind, table, kind === 'append' ? Number(key['version']) : before, after);
}

/** Throws Violation of 'no phantom' for anything that nobody sent, that is there twice or not whole. */
export async function replayTenant(
  handle: SimTenant,
  attempts: readonly Attempt[],
): Promise<History> {
  const byId = new Map(attempts.map((attempt) => [attempt.id, attempt]));
  const history: History = { positions: [0n], states: [emptyTenant], byId: new Map() };
  const phantom = (message: string): Violation => new Violation('no phantom', message);
  for (const logged of await loggedCommands(handle)) {
    const attempt = byId.get(logged.id);
    const where = `${logged.id} at position ${logged.position} of ${handle.name}`;
    if (attempt === undefined) throw phantom(`nobody sent ${where}`);
    if (history.byId.has(logged.id)) throw phantom(`${where} is there twice`);
    const expected = evaluate(attempt.spec, history.states.at(-1) as TenantState);
    if (expected.kind !== 'changed') {
      throw phantom(`${where} changed ${logged.changes.join()} where nothing was to change`);
    }
    if (logged.changes.toSorted().join('\n') !== expected.changes.toSorted().join('\n')) {
      throw phantom(
        `${where} is not whole: ${logged.changes.join('; ')} and not ${expected.changes.join('; ')}`,
      );
    }
    history.positions.push(logged.position);
    history.states.push(expected.next);
    history.byId.set(logged.id, { logged, expected });
  }
  return history;
}
