/** Runs a file of sqllogictest on an engine. */
import { type Cell, difference, expectedHash, hashOf, resultLines } from './result.ts';
import { type Refusal, refusalOf } from './refusals.ts';
import { parseScript, type QueryRecord, type StatementRecord } from './script.ts';

export interface Engine {
  /** The name that skipif and onlyif ask for. */
  readonly name: string;
  /** Runs a statement. Refusals are errors with `sqlState`. */
  execute(sql: string): Promise<void>;
  /** Runs a query. Refusals are errors with `sqlState`. */
  query(sql: string): Promise<Cell[][]>;
}

export interface RunOptions {
  /**
   * A PostgreSQL that runs the same: what it refuses may be refused with its SQLSTATE, and where it answers otherwise
   * than the file says, its answer counts. Then the list of refusals is not asked.
   */
  readonly judge?: Engine;
  /** Of the queries only each so-manieth is run; statements all are. Default 1. */
  readonly queryEvery?: number;
}

export interface Failure {
  readonly line: number;
  readonly sql: string;
  readonly what: string;
}

export interface Outcome {
  statements: number;
  queries: number;
  /** By the file's own skipif, onlyif and halt. */
  skipped: number;
  /** Queries that `queryEvery` left out. */
  leftOut: number;
  /** Refused as PostgreSQL does. */
  refused: number;
  /** Queries whose expectation is the judge's, not the file's. */
  overruled: number;
  readonly failures: Failure[];
}

/** Runs the records in order; a failure does not end the run. */
export async function runScript(
  text: string,
  engine: Engine,
  options: RunOptions = {},
): Promise<Outcome> {
  const run = new Run(engine, options);
  await run.all(text);
  return run.outcome;
}

class Run {
  readonly outcome: Outcome = {
    statements: 0,
    queries: 0,
    skipped: 0,
    leftOut: 0,
    refused: 0,
    overruled: 0,
    failures: [],
  };
  readonly #engine: Engine;
  readonly #options: RunOptions;
  readonly #hashOfLabel = new Map<string, string>();
  #hashThreshold = 0;
  #seen = 0;

  constructor(engine: Engine, options: RunOptions) {
    this.#engine = engine;
    this.#options = options;
  }

  async all(text: string): Promise<void> {
    let halted = false;
    for (const record of parseScript(text, this.#engine.name)) {
      if (halted || record.skipped) {
        this.outcome.skipped += 1;
        // The result of a query for other engines must agree with its label, too.
        if (!halted && record.kind === 'query')
          this.#checkLabel(record, expectedHash(record.expected));
      } else if (record.kind === 'halt') halted = true;
      else if (record.kind === 'hash-threshold') this.#hashThreshold = record.values;
      else if (record.kind === 'statement') await this.#statement(record);
      else await this.#query(record);
    }
  }

  async #statement(record: StatementRecord): Promise<void> {
    this.outcome.statements += 1;
    const { sql } = record;
    const refusal = await this.#refusalOf(sql, (engine) => engine.execute(sql));
    const error = await refusalBy(() => this.#engine.execute(sql));
    if (record.expect === 'ok') await this.#judged(record, refusal, error);
    else if (error === undefined) this.#fail(record, 'expected an error, succeeded');
    else if (sqlStateOf(error) === undefined) this.#fail(record, described(error));
  }

  async #query(record: QueryRecord): Promise<void> {
    this.#seen += 1;
    if (this.#seen % (this.#options.queryEvery ?? 1) !== 0) {
      this.outcome.leftOut += 1;
      return;
    }
    this.outcome.queries += 1;
    const { sql, types, sort } = record;
    let { expected } = record;
    const refusal = await this.#refusalOf(sql, async (judge) => {
      const lines = resultLines(await judge.query(sql), types, sort);
      if (difference(lines, expected, this.#hashThreshold) === undefined) return;
      this.outcome.overruled += 1;
      expected = [`${lines.length} values hashing to ${hashOf(lines)}`];
    });
    let rows: Cell[][] = [];
    const error = await refusalBy(async () => {
      rows = await this.#engine.query(sql);
    });
    if (!(await this.#judged(record, refusal, error))) return;
    try {
      const lines = resultLines(rows, types, sort);
      const wrong = difference(lines, expected, this.#hashThreshold);
      if (wrong !== undefined) this.#fail(record, wrong);
      // A label is the file's word, too.
      if (expected === record.expected) this.#checkLabel(record, hashOf(lines));
    } catch (failure) {
      this.#fail(record, described(failure));
    }
  }

  /** What PostgreSQL refuses this statement with, by the judge or by the list. */
  async #refusalOf(
    sql: string,
    work: (judge: Engine) => Promise<void>,
  ): Promise<RefusalRule | undefined> {
    const { judge } = this.#options;
    if (judge === undefined) return refusalOf(sql);
    const error = await refusalBy(() => work(judge));
    return error === undefined ? undefined : { sqlState: sqlStateOf(error) ?? described(error) };
  }

  /** Whether the statement was accepted; a refusal, or none, that PostgreSQL does not share is a failure. */
  async #judged(
    record: StatementRecord | QueryRecord,
    refusal: RefusalRule | undefined,
    error: unknown,
  ): Promise<boolean> {
    if (error === undefined) {
      // PostgreSQL computes constants of branches that are never taken; a judge's refusal need not be shared.
      if (refusal === undefined || this.#options.judge !== undefined) return true;
      this.#fail(record, `expected a refusal with ${refusal.sqlState}`);
      return false;
    }
    if (refusal === undefined || !refuses(refusal, error)) {
      this.#fail(record, described(error));
      return false;
    }
    this.outcome.refused += 1;
    if (refusal.instead !== undefined) await this.#engine.execute(refusal.instead);
    return false;
  }

  #checkLabel(record: QueryRecord, hash: string): void {
    if (record.label === undefined) return;
    const known = this.#hashOfLabel.get(record.label);
    if (known === undefined) this.#hashOfLabel.set(record.label, hash);
    else if (known !== hash) this.#fail(record, `the result is not that of ${record.label} before`);
  }

  #fail({ line, sql }: StatementRecord | QueryRecord, what: string): void {
    this.outcome.failures.push({ line, sql, what });
  }
}

type RefusalRule = Pick<Refusal, 'sqlState' | 'own' | 'instead'>;

function refuses({ sqlState, own }: RefusalRule, error: unknown): boolean {
  const state = sqlStateOf(error);
  return state !== undefined && (state === sqlState || state === own);
}

/** What `work` throws, or undefined. */
async function refusalBy(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return error ?? new Error('something empty was thrown');
  }
}

function sqlStateOf(error: unknown): string | undefined {
  const state = (error as { readonly sqlState?: unknown }).sqlState;
  return typeof state === 'string' ? state : undefined;
}

function described(error: unknown): string {
  return error instanceof Error
    ? `${sqlStateOf(error) ?? error.name}: ${error.message}`
    : String(error);
}
