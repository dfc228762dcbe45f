/** What readers saw at which position, kept until the log tells what they should have seen. */
import type { Tally } from '../tally.ts';
import { Violation } from '../violation.ts';
import { codeOf } from './client.ts';
import { accountsOf, accountsQuery } from './contents.ts';
import type { SimDatabase, SimTenant } from './contract.ts';
import type { Histories } from './checker.ts';
import { type History, stateAt } from './history.ts';

interface Observation {
  readonly tenant: string;
  readonly position: bigint;
  /** The rows of `accounts` as JSON; undefined where there was no such table. */
  readonly rows: string | undefined;
  /** When: lines of the trace by then. */
  readonly line: number;
  /** What looked: a checker's name. */
  readonly checker: 'mvcc' | 'reader';
}

export class Observations {
  #waiting: Observation[] = [];

  /** Reads at `position`, or the newest, and remembers what was seen. Returns the position. Rejects as reads do. */
  async look(
    handle: SimTenant,
    at: { readonly position?: bigint; readonly line: number; readonly checker: 'mvcc' | 'reader' },
  ): Promise<bigint> {
    const { line, checker } = at;
    const seen = await readAccounts(handle, at.position);
    this.#waiting.push({ tenant: handle.name, line, checker, ...seen });
    return seen.position;
  }

  /** Holds everything that was seen against the log. */
  check(histories: Histories, newest: bigint, checks: Tally): void {
    for (const { tenant, position, rows, checker } of this.#waiting) {
      if (position > newest) {
        throw new Violation(
          checker,
          `a reader of ${tenant} saw position ${position}; the log ends at ${newest}`,
        );
      }
      const history = histories.get(tenant);
      if (history === undefined)
        throw new Violation(checker, `a reader saw tenant ${tenant}, which is gone`);
      compare({ history, position, rows, checker }, tenant);
      checks.add(checker);
    }
    this.#waiting = [];
  }

  forgetAfter(line: number): void {
    this.#waiting = this.#waiting.filter((seen) => seen.line <= line);
  }
}

async function readAccounts(
  handle: SimTenant,
  at: bigint | undefined,
): Promise<{ position: bigint; rows: string | undefined }> {
  // The position first: where there is no table, no answer names it.
  const position = at ?? (await handle.query('SELECT 1')).position;
  try {
    const asText = `${accountsQuery} AS OF POSITION ${position}`;
    const result =
      position % 2n === 0n
        ? await handle.queryAt(accountsQuery, [], position)
        : await handle.query(asText);
    return { position, rows: JSON.stringify(result.rows) };
  } catch (error) {
    if (codeOf(error) !== 'UNDEFINED_TABLE') throw error;
    return { position, rows: undefined };
  }
}

function compare(
  seen: Pick<Observation, 'position' | 'rows' | 'checker'> & { readonly history: History },
  tenant: string,
): void {
  const state = stateAt(seen.history, seen.position);
  const expected = state.accounts === undefined ? undefined : JSON.stringify(accountsOf(state));
  if (seen.rows === expected) return;
  throw new Violation(
    seen.checker,
    `accounts of ${tenant} at position ${seen.position} were ${seen.rows ?? 'no table'} and not ${expected ?? 'no table'}`,
  );
}

/** Reads every tenant at some positions of its history, and holds them against it. */
export async function checkPast(
  db: SimDatabase,
  histories: Histories,
  at: { readonly shares: readonly number[]; readonly newest: bigint; readonly checks: Tally },
): Promise<void> {
  for (const [tenant, history] of histories) {
    const handle = db.tenant(tenant);
    for (const share of at.shares) {
      const position = BigInt(Math.floor(share * Number(at.newest)));
      const { rows } = await readAccounts(handle, position);
      compare({ history, position, rows, checker: 'mvcc' }, tenant);
      at.checks.add('mvcc');
    }
  }
}
