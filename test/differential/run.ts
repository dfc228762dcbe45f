/** Runs worlds on VerityDB and on PostgreSQL, statement by statement, and makes what differs small. */
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import type { PostgresServer, PostgresSession } from '../support/postgres.ts';
import { askPostgres, askVerity } from './answer.ts';
import { compare, type Verdict } from './compare.ts';
import { render, smaller } from './tree.ts';
import { type Step, worldOf } from './world.ts';

export interface Difference {
  readonly seed: number;
  /** Small: the statements that show it, the last one differs. */
  readonly statements: readonly string[];
  readonly where: string;
  readonly what: string;
}

/** What a run did; a run that did too little proves nothing. */
export interface Tally {
  worlds: number;
  statements: number;
  queries: number;
  writes: number;
  /** Queries that yielded a row. */
  withRows: number;
  rows: number;
  /** Refused by both with the same SQLSTATE. */
  refused: number;
  /** SQL leaves open whether an error is met; both may be right. */
  tolerated: number;
  /** Refused by us with 0A000: message → how often. */
  readonly unsupported: Map<string, number>;
  readonly differences: Difference[];
}

export const newTally = (): Tally => ({
  worlds: 0,
  statements: 0,
  queries: 0,
  writes: 0,
  withRows: 0,
  rows: 0,
  refused: 0,
  tolerated: 0,
  unsupported: new Map(),
  differences: [],
});

const unsupportedState = '0A000';
/** Attempts to make one difference smaller. */
const shrinkAttemptsMax = 1_500;

/** Two databases that are asked the same. */
export class Pair {
  readonly #db: Verity;
  readonly #session: PostgresSession;
  #tenant: TenantHandle | undefined;
  #tenants = 0;

  constructor(db: Verity, session: PostgresSession) {
    this.#db = db;
    this.#session = session;
  }

  static async open(db: Verity, server: PostgresServer): Promise<Pair> {
    const session = await server.session('differential');
    await session.run("SET statement_timeout = '10s'; SET bytea_output = 'hex'");
    return new Pair(db, session);
  }

  async close(): Promise<void> {
    await this.#session.end();
  }

  /** Both without tables. */
  async clear(): Promise<void> {
    await this.#session.run('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    this.#tenants += 1;
    this.#tenant = await this.#db.createTenant(`world${this.#tenants}`);
  }

  /** Asks both; a statement that we do not support is not put to PostgreSQL. */
  async ask({ sql: tree, ordered }: Step, tally = newTally()): Promise<Verdict> {
    const sql = render(tree);
    const ours = await askVerity(this.#tenant as TenantHandle, sql);
    if (ours.kind === 'refused' && ours.sqlState === unsupportedState) {
      tally.unsupported.set(ours.message, (tally.unsupported.get(ours.message) ?? 0) + 1);
      return { kind: 'agreed' };
    }
    const theirs = await askPostgres(this.#session, sql);
    const verdict = compare(sql, ours, theirs, ordered);
    tally.statements += 1;
    if (verdict.kind === 'tolerated') tally.tolerated += 1;
    else if (theirs.kind === 'refused') tally.refused += 1;
    else if (theirs.rows.length > 0) {
      tally.withRows += 1;
      tally.rows += theirs.rows.length;
    }
    return verdict;
  }
}

/** Runs one world. It ends at the first difference, which is added to the tally, made small. */
export async function runWorld(
  pair: Pair,
  seed: number,
  count: number,
  tally: Tally,
): Promise<void> {
  const steps = worldOf(seed, count);
  tally.worlds += 1;
  await pair.clear();
  for (const [index, step] of steps.entries()) {
    const verdict = await pair.ask(step, tally);
    if (step.kind === 'query') tally.queries += 1;
    if (step.kind === 'write') tally.writes += 1;
    if (verdict.kind === 'different') {
      tally.differences.push(await shrink(pair, seed, steps.slice(0, index + 1)));
      return;
    }
    // From here on the tables may differ.
    if (verdict.kind === 'tolerated' && step.kind !== 'query') return;
  }
}

/** The last verdict of these steps, if all before it agree. */
async function verdictOf(pair: Pair, steps: readonly Step[]): Promise<Verdict> {
  await pair.clear();
  for (const [index, step] of steps.entries()) {
    const verdict = await pair.ask(step);
    if (index === steps.length - 1) return verdict;
    const parted = verdict.kind === 'tolerated' && step.kind !== 'query';
    if (parted || verdict.kind === 'different') return { kind: 'tolerated' };
  }
  return { kind: 'agreed' };
}

/** Leaves away statements, then parts of them, as long as the last one still differs in the same way. */
async function shrink(pair: Pair, seed: number, found: readonly Step[]): Promise<Difference> {
  let steps = found;
  let verdict = await verdictOf(pair, steps);
  let attempts = 0;
  const { where } = verdict.kind === 'different' ? verdict : { where: 'gone when run again' };
  const still = async (candidate: readonly Step[]): Promise<boolean> => {
    attempts += 1;
    const next = await verdictOf(pair, candidate);
    if (next.kind !== 'different' || next.where !== where) return false;
    verdict = next;
    steps = candidate;
    return true;
  };
  for (let changed = verdict.kind === 'different'; changed && attempts < shrinkAttemptsMax;) {
    changed = false;
    for (let index = steps.length - 2; index >= 0; index--) {
      if (await still(steps.toSpliced(index, 1))) changed = true;
    }
    for (let index = steps.length - 1; index >= 0; index--) {
      const step = steps[index] as Step;
      for (const sql of smaller(step.sql)) {
        if (attempts >= shrinkAttemptsMax) break;
        if (await still(steps.with(index, { ...step, sql }))) {
          changed = true;
          break;
        }
      }
    }
  }
  return {
    seed,
    statements: steps.map(({ sql }) => render(sql)),
    where,
    what: verdict.kind === 'different' ? verdict.what : '',
  };
}
