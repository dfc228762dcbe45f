import { type TenantId, treeOf, VerityError } from '../base/index.ts';
import type { TableSchema } from '../codec/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import type { Engine } from '../engine/index.ts';
import { type CommandOrigin, tablesOf } from '../kernel/index.ts';
import { primaryKeyColumns, typeName } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { checkOptions, checkParameters, checkUnproved, originOf } from './arguments.ts';
import { TransactionAttempts } from './attempts.ts';
import { BegunTransaction } from './begun.ts';
import { ChangeFeed } from './changes.ts';
import { Commands } from './commands.ts';
import { checkDeadline, withDeadline } from './deadline.ts';
import { createEnvelopeKey, envelopeKeys } from './envelope-keys.ts';
import { provedQuery } from './proved-query.ts';
import { Reading } from './reading.ts';
import { positionsReceipt, rowReceipt } from './receipts.ts';
import type { TimestampForm } from './results.ts';
import { rowKeyOf, tableNamed } from './row-key.ts';
import type { StatementCache } from './statements.ts';
import { append, type AppendResult, readStream } from './streams.ts';
import type { TransactionScope } from './transaction.ts';
import type {
  Change,
  CommandOptions,
  EnvelopeKeys,
  ExecuteOptions,
  ExecuteResult,
  OpenTransaction,
  ProvedQueryResult,
  ProveOptions,
  QueryOptions,
  QueryResult,
  ReceiptOptions,
  Row,
  SqlParameter,
  StreamEvent,
  TableInfo,
  TenantHandle,
  Transaction,
} from './types.ts';

export interface TenantScope extends TransactionScope {
  readonly name: string;
  /** Key of the fingerprints of request ids. */
  readonly requestKey: SecretKey;
}

/** One tenant's tables and streams. Made by Verity.tenant and Verity.createTenant. */
export class Tenant implements TenantHandle {
  readonly name: string;
  readonly #scope: TenantScope;
  readonly #engine: Engine;
  readonly #id: TenantId;
  readonly #timestamps: TimestampForm;
  readonly #statements: StatementCache;
  readonly #reading: Reading;
  readonly #commands: Commands;

  constructor(scope: TenantScope) {
    this.name = scope.name;
    this.#scope = scope;
    this.#engine = scope.engine;
    this.#id = scope.tenant;
    this.#timestamps = scope.timestamps;
    this.#statements = scope.statements;
    this.#reading = new Reading(scope);
    this.#commands = new Commands(scope, this.#reading);
  }

  execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = noParameters,
    options: ExecuteOptions = noOptions,
  ): Promise<ExecuteResult<R>> {
    // Not an async function: what each of these costs, every insert pays.
    try {
      return this.#commands.execute(sql, parameters, options) as Promise<ExecuteResult<R>>;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] | undefined,
    options: ProveOptions & { readonly prove: true },
  ): Promise<ProvedQueryResult<R>>;
  query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: ProveOptions,
  ): Promise<QueryResult<R>>;
  async query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    options: ProveOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    checkParameters(parameters);
    if (options.prove === true) {
      const scope = { engine: this.#engine, tenant: this.#id, reading: this.#reading };
      return provedQuery<R>(scope, { statement: this.#statements.parse(sql), parameters, options });
    }
    return this.#reading.read<R>(
      this.#statements.parse(sql),
      parameters,
      undefined,
      options.rowMode,
    );
  }

  async queryAt<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[],
    at: bigint | Date,
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    checkParameters(parameters);
    checkUnproved(options);
    const statement = this.#statements.parse(sql);
    if (statement.asOf !== undefined) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'The statement names a position itself; give it either there or to queryAt().',
      );
    }
    return this.#reading.read<R>(
      statement,
      parameters,
      this.#reading.positionOf(at),
      options.rowMode,
    );
  }

  stream<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    options: QueryOptions = {},
  ): AsyncGenerator<R, undefined> {
    return this.#reading.stream<R>(sql, parameters, options);
  }

  async transaction<T>(
    body: (tx: Transaction) => Promise<T>,
    options: CommandOptions = {},
  ): Promise<T> {
    checkDeadline(options);
    if (typeof body !== 'function')
      throw new VerityError(
        'INVALID_ARGUMENT',
        'transaction() takes a function of the transaction.',
      );
    const attempts = new TransactionAttempts(
      this.#scope,
      // What a function will do cannot be known before it has done it.
      this.#origin(options, () => ['transaction']),
    );
    return withDeadline(attempts.run(body), options, (why) => attempts.stop(why));
  }

  begin(options: Pick<CommandOptions, 'actor' | 'reason'> = {}): OpenTransaction {
    checkOptions(options);
    if ((options as CommandOptions).requestId !== undefined) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'begin() takes no requestId, since its caller ends the transaction. Use transaction(), which repeats its result.',
      );
    }
    this.#engine.checkWritable();
    const { actor, reason } = options;
    const who = {
      ...(actor !== undefined && { actor }),
      ...(reason !== undefined && { reason }),
    };
    return new BegunTransaction(
      this.#scope,
      this.#origin(who, () => []),
    );
  }

  append(
    stream: string,
    events: readonly unknown[],
    options: CommandOptions & { readonly expectedVersion?: bigint | number } = {},
  ): Promise<AppendResult> {
    // As execute(), so that the answers of both go out in the order of their positions.
    try {
      return append(this.#scope, stream, events, options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  read(
    stream: string,
    options: { readonly fromVersion?: bigint | number; readonly toVersion?: bigint | number } = {},
  ): AsyncGenerator<StreamEvent, undefined> {
    return readStream(this.#scope, stream, options);
  }

  createEnvelopeKey(): Promise<string> {
    return createEnvelopeKey(this.#engine, this.#id);
  }

  envelopeKeys(currentId: string): EnvelopeKeys {
    return envelopeKeys(this.#engine, this.#id, currentId);
  }

  changes(
    options: {
      readonly from?: bigint;
      readonly follow?: boolean;
      readonly signal?: AbortSignal;
    } = {},
  ): AsyncGenerator<Change, undefined> {
    this.#engine.checkReadable();
    return this.#feed().changes(options);
  }

  async history(table: string, key: readonly SqlParameter[]): Promise<Change[]> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    const schema = this.#tableNamed(table);
    return this.#feed().history(schema, rowKeyOf(schema, key));
  }

  async receipt(
    position: bigint | { readonly from: bigint; readonly to: bigint },
    options: Omit<ReceiptOptions, 'commands'> = {},
  ): Promise<string> {
    const range =
      typeof position === 'bigint'
        ? { from: position, to: position, isSingle: true }
        : { from: position.from, to: position.to, isSingle: false };
    return positionsReceipt(this.#engine, this.#id, range, options);
  }

  async rowReceipt(
    table: string,
    key: readonly SqlParameter[],
    options: ReceiptOptions = {},
  ): Promise<string> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    const schema = this.#tableNamed(table);
    const row = { table: schema, key: rowKeyOf(schema, key) };
    return rowReceipt(this.#engine, this.#id, row, options);
  }

  async tables(): Promise<TableInfo[]> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    const view = this.#engine.state.store;
    return tablesOf(view, this.#id).map((table) => ({
      name: table.name,
      columns: table.columns
        .filter((column) => column.dropped !== true)
        .map((column) => ({ name: column.name, type: typeName(column.type) })),
      primaryKey: (primaryKeyColumns(table) ?? []).map(
        (ordinal) => (table.columns[ordinal] as { name: string }).name,
      ),
      rowCount: countRows(view, treeOf(this.#id, table.id)),
    }));
  }

  #tableNamed(name: string): TableSchema {
    return tableNamed(this.#engine.state.store, { id: this.#id, name: this.name }, name);
  }

  #feed(): ChangeFeed {
    return new ChangeFeed({ engine: this.#engine, tenant: this.#id, timestamps: this.#timestamps });
  }

  #origin(options: CommandOptions, content: () => readonly unknown[]): CommandOrigin {
    return originOf(options, this.#scope, content);
  }
}

const noParameters: readonly SqlParameter[] = [];
const noOptions: CommandOptions = {};

function countRows(view: ReadView, tree: ReturnType<typeof treeOf>): number {
  const cursor = view.scan(tree, {});
  let count = 0;
  while (cursor.next() !== undefined) count += 1;
  return count;
}
