import { VerityError } from '../../base/index.ts';
import {
  type CommandOptions,
  type ExecuteResult,
  inspectStatement,
  type OpenTransaction,
  type QueryResult,
  ready,
  type TenantHandle,
  type Verity,
} from '../../database/index.ts';
import { usageError } from '../failure.ts';
import { commandOptions, type Invocation, openDatabase, tenantOf } from '../invocation.ts';
import { placeInInput, type Statement } from './statement-splitter.ts';

export interface StatementResult {
  /** The statement's kind, such as 'select', 'insert' or 'commit'. */
  readonly kind: string;
  /** Its rows are in the order of its columns, of which several may have one name. */
  readonly result: QueryResult<unknown[]> | ExecuteResult<unknown[]>;
  /** Rows written; undefined for a query. */
  readonly rowsWritten: number | undefined;
}

export interface SqlTarget {
  readonly tenant: string;
  /** Reads are of then; nothing is written. */
  readonly at: bigint | Date | undefined;
  /** Request id of the first statement that writes; the n-th has `#n` behind it. */
  readonly requestId: string | undefined;
}

const rowMode = 'array';

/**
 * Runs statements one after the other. The database is opened read-only, beside an owner that may be
 * running, until the first statement that writes; from then on it is open for writing.
 */
export class SqlSession {
  readonly #invocation: Invocation;
  readonly #tenantName: string;
  readonly #at: bigint | Date | undefined;
  #database: Verity | undefined;
  readonly #requestId: string | undefined;
  #writes = false;
  #transaction: OpenTransaction | undefined;
  /** Statements that wrote, or tried to. */
  #written = 0;

  constructor(invocation: Invocation, target: SqlTarget) {
    this.#invocation = invocation;
    this.#tenantName = target.tenant;
    this.#at = target.at;
    this.#requestId = target.requestId;
  }

  /** Runs one statement, whole or not at all. SQL errors carry the place in the whole input. */
  async run(statement: Statement): Promise<StatementResult> {
    try {
      await ready();
      const { kind } = inspectStatement(statement.text);
      if (kind === 'select' && this.#transaction === undefined)
        return await this.#query(statement.text);
      if (this.#at !== undefined)
        throw usageError('--at reads the past; only SELECT can be run with it.');
      if (kind === 'begin' || kind === 'commit' || kind === 'rollback')
        return await this.#control(kind);
      if (this.#transaction !== undefined)
        return await within(this.#transaction, statement.text, kind);
      return await this.#write(statement.text, kind);
    } catch (error) {
      throw withPlace(error, statement);
    }
  }

  /** Opens the database for reading if it is not open. */
  async open(): Promise<Verity> {
    this.#database ??= await openDatabase(this.#invocation, 'readOnly');
    return this.#database;
  }

  /** The tenant for reading. Throws UNKNOWN_TENANT. */
  async reader(): Promise<TenantHandle> {
    return tenantOf(this.#invocation, await this.open(), this.#tenantName);
  }

  /** Whether a transaction is open. */
  get inTransaction(): boolean {
    return this.#transaction !== undefined;
  }

  /** Throws TRANSACTION_OPEN if the input ended within a transaction: nothing of it is committed. */
  checkEnded(): void {
    if (this.#transaction === undefined) return;
    throw new VerityError(
      'TRANSACTION_OPEN',
      'The input ended within a transaction; nothing of it was committed. End it with COMMIT.',
    );
  }

  async close(): Promise<void> {
    this.#transaction?.rollback();
    this.#transaction = undefined;
    const database = this.#database;
    this.#database = undefined;
    this.#writes = false;
    await database?.close();
  }

  async #query(sql: string): Promise<StatementResult> {
    const tenant = await this.reader();
    const at = this.#at;
    const result =
      at === undefined
        ? await tenant.query<unknown[]>(sql, [], { rowMode })
        : await tenant.queryAt<unknown[]>(sql, [], at, { rowMode });
    return { kind: 'select', result, rowsWritten: undefined };
  }

  async #control(kind: 'begin' | 'commit' | 'rollback'): Promise<StatementResult> {
    const transaction = this.#transaction;
    if (kind === 'begin') {
      if (transaction !== undefined) {
        throw new VerityError(
          'TRANSACTION_OPEN',
          'A transaction is open already. End it with COMMIT or ROLLBACK, or use SAVEPOINT within it.',
        );
      }
      if (this.#requestId !== undefined)
        throw usageError('--request-id is for single statements; run the script without BEGIN.');
      const tenant = await this.#writer();
      this.#transaction = tenant.begin(commandOptions(this.#invocation.options));
      return controlled(kind, (await this.open()).status().position);
    }
    if (transaction === undefined) {
      throw new VerityError(
        'NO_TRANSACTION',
        `There is no open transaction to ${kind === 'commit' ? 'commit' : 'roll back'}. Start one with BEGIN.`,
      );
    }
    this.#transaction = undefined;
    if (kind === 'commit') return controlled(kind, (await transaction.commit()).position);
    transaction.rollback();
    return controlled(kind, (await this.open()).status().position);
  }

  async #write(sql: string, kind: string): Promise<StatementResult> {
    const tenant = await this.#writer();
    const result = await tenant.execute<unknown[]>(sql, [], {
      rowMode,
      ...commandOptions(this.#invocation.options),
      ...this.#request(),
    });
    return { kind, result, rowsWritten: result.rowCount };
  }

  /** A script that is run again goes on where it stopped: each of its statements has an id of its own. */
  #request(): { readonly requestId?: string } {
    if (this.#requestId === undefined) return {};
    this.#written += 1;
    return {
      requestId: this.#written === 1 ? this.#requestId : `${this.#requestId}#${this.#written}`,
    };
  }

  async #writer(): Promise<TenantHandle> {
    if (!this.#writes) {
      await this.close();
      this.#database = await openDatabase(this.#invocation, 'write');
      this.#writes = true;
    }
    const options = commandOptions(this.#invocation.options);
    return openTenant(this.#database as Verity, this.#tenantName, options);
  }
}

async function within(
  transaction: OpenTransaction,
  sql: string,
  kind: string,
): Promise<StatementResult> {
  const result = await transaction.execute<unknown[]>(sql, [], { rowMode });
  return { kind, result, rowsWritten: kind === 'select' ? undefined : result.rowCount };
}

function controlled(kind: string, position: bigint): StatementResult {
  return { kind, result: { position, rowCount: 0, rows: [], columns: [] }, rowsWritten: 0 };
}

/** The tenant, created if there is none of the name. */
export async function openTenant(
  database: Verity,
  name: string,
  options: CommandOptions,
): Promise<TenantHandle> {
  try {
    return database.tenant(name);
  } catch (error) {
    if (error instanceof VerityError && error.code === 'UNKNOWN_TENANT')
      return database.createTenant(name, options);
    throw error;
  }
}

function withPlace(error: unknown, statement: Statement): unknown {
  if (!(error instanceof VerityError)) return error;
  const { offset } = error.details;
  if (typeof offset !== 'number') return error;
  return new VerityError(error.code, error.message, {
    cause: error,
    details: { ...error.details, ...placeInInput(statement, offset) },
  });
}
