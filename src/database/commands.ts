/** Statements that change something: each is a command of its own. */
import { type TenantId, VerityError } from '../base/index.ts';
import type { CommandResult, Engine } from '../engine/index.ts';
import { checkCompleted, type Command } from '../kernel/index.ts';
import type { ParsedStatement } from '../sql/index.ts';
import { checkParameters, originOf } from './arguments.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import type { Reading } from './reading.ts';
import type { RequestScope } from './requests.ts';
import { rowBuilder, rowFormOf, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import type { TransactionScope } from './transaction.ts';
import type { ExecuteOptions, ExecuteResult, Row, SqlParameter } from './types.ts';

const definitions: ReadonlySet<ParsedStatement['kind']> = new Set(['createIndex', 'alterTable']);

/** Sends one tenant's statements to the engine; a SELECT is read. */
export class Commands {
  readonly #scope: RequestScope;
  readonly #reading: Reading;
  readonly #engine: Engine;
  readonly #id: TenantId;
  readonly #timestamps: TimestampForm;
  readonly #statements: StatementCache;

  constructor(scope: TransactionScope & RequestScope, reading: Reading) {
    this.#scope = scope;
    this.#reading = reading;
    this.#engine = scope.engine;
    this.#id = scope.tenant;
    this.#timestamps = scope.timestamps;
    this.#statements = scope.statements;
  }

  /** Throws, rather than rejects, for what is wrong before anything is sent. */
  execute(
    sql: string,
    parameters: readonly SqlParameter[],
    options: ExecuteOptions,
  ): Promise<ExecuteResult<Row | unknown[]>> {
    checkDeadline(options);
    checkParameters(parameters);
    const statement = this.#statements.parse(sql);
    if (statement.kind === 'select') {
      const result = this.#reading.read(statement, parameters, undefined, options.rowMode);
      return Promise.resolve({ ...result, rowCount: result.rows.length });
    }
    checkStandalone(statement);
    const command = {
      kind: 'statement',
      tenant: this.#id,
      statement,
      parameters,
      origin: originOf(options, this.#scope, () => ['execute', statement.text, ...parameters]),
    } as const;
    const toResult =
      options.rowMode === undefined
        ? this.#toExecuteResult
        : this.#toExecuteResultOf(options.rowMode);
    const result: Promise<ExecuteResult<Row | unknown[]>> = definitions.has(statement.kind)
      ? this.#define(command)
      : this.#engine.submitFor(command, toResult);
    return withDeadline(result, options, commandLate);
  }

  /** A definition is done when the indexes that it makes are of use. */
  async #define(command: Command): Promise<ExecuteResult> {
    const result = await this.#engine.submit(command).catch((error: unknown) => {
      const { neededIndex } = error instanceof VerityError ? error.details : {};
      if (typeof neededIndex !== 'string') throw error;
      return this.#defineWith(neededIndex, command);
    });
    const { building } = result.outcome;
    if (building === undefined) return this.#toExecuteResult(result);
    await this.#engine.finishIndexes(building);
    // Who defined it first heard of the rows against it; so does who asks again.
    if (result.outcome.repeated === true)
      for (const place of building) checkCompleted(this.#engine.state.store, place);
    return this.#toExecuteResult({ ...result, position: this.#engine.committedPosition });
  }

  /** A foreign key of a table with rows stands upon an index, which is built beside the writers before it. */
  async #defineWith(index: string, command: Command): Promise<CommandResult> {
    const statement = this.#statements.parse(index);
    const { request: _, ...origin } = command.origin;
    await this.#define({ kind: 'statement', tenant: this.#id, statement, parameters: [], origin });
    return this.#engine.submit(command);
  }

  /** Its rows in another form. Throws INVALID_ARGUMENT before anything is done. */
  #toExecuteResultOf(
    mode: NonNullable<ExecuteOptions['rowMode']>,
  ): (result: CommandResult) => ExecuteResult<Row | unknown[]> {
    const form = rowFormOf(mode);
    return ({ position, outcome }) => {
      const builder = rowBuilder(outcome.columns, this.#timestamps);
      const rows = outcome.rows.map(form(builder));
      return {
        position: BigInt(position),
        rowCount: outcome.rowCount,
        rows,
        columns: builder.columns,
      };
    };
  }

  readonly #toExecuteResult = ({ position, outcome }: CommandResult): ExecuteResult => {
    const builder = rowBuilder(outcome.columns, this.#timestamps);
    return {
      position: BigInt(position),
      rowCount: outcome.rowCount,
      rows: outcome.rows.length === 0 ? [] : outcome.rows.map(builder.build),
      columns: builder.columns,
    };
  };
}

const controlKinds: ReadonlySet<ParsedStatement['kind']> = new Set([
  'begin',
  'commit',
  'rollback',
  'savepoint',
  'rollbackTo',
  'release',
]);

function checkStandalone(statement: ParsedStatement): void {
  if (controlKinds.has(statement.kind)) {
    throw new VerityError(
      'UNSUPPORTED_SQL',
      'Transactions are run with tenant.transaction() or tenant.begin(), not with BEGIN and COMMIT.',
      { details: { offset: statement.offset } },
    );
  }
}
