import {
  limits, parsePosition, type Position, type TenantId, treeOf, utf8Encode, utf8Length, VerityError,
} from '../base/index.ts';
import { encodeKey, keyPrefixRange } from '../codec/index.ts';
import { hmac, type SecretKey } from '../crypto/index.ts';
import type { CommandResult, Engine } from '../engine/index.ts';
import {
  type CommandOrigin, decodeStreamRow, executionContext, parseStreamKey, streamKey, streamPrefix, streamsObject,
  tablesOf,
} from '../kernel/index.ts';
import { bindParameters, fromJs, type ParsedStatement, parseText, type PreparedQuery, typeName } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { ChangeFeed } from './changes.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import { rowBuilder, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import { collect, OpenTransaction, type TransactionScope } from './transaction.ts';
import type {
  Change, CommandOptions, ExecuteResult, QueryOptions, QueryResult, Row, SqlParameter, StreamEvent, TableInfo,
  TenantHandle, Transaction,
} from './types.ts';

const transactionAttemptsMax = 10;

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

  constructor(scope: TenantScope) {
    this.name = scope.name;
    this.#scope = scope;
    this.#engine = scope.engine;
    this.#id = scope.tenant;
    this.#timestamps = scope.timestamps;
    this.#statements = scope.statements;
  }

  async execute<R extends Row = Row>(
    sql: string, parameters: readonly SqlParameter[] = [], options: CommandOptions = {},
  ): Promise<ExecuteResult<R>> {
    checkDeadline(options);
    const statement = this.#statements.parse(sql);
    if (statement.kind === 'select') {
      const result = await this.query<R>(sql, parameters, options);
      return { ...result, rowCount: result.rows.length };
    }
    checkStandalone(statement);
    const result = await withDeadline(
      this.#engine.submit({ kind: 'statement', tenant: this.#id, statement, parameters, origin: this.#origin(options) }),
      options, commandLate,
    );
    const { outcome } = result;
    const builder = rowBuilder(outcome.columns, this.#timestamps);
    return {
      position: BigInt(result.position),
      rowCount: outcome.rowCount,
      rows: outcome.rows.map((row) => builder.build(row)) as R[],
      columns: builder.columns,
    };
  }

  async query<R extends Row = Row>(
    sql: string, parameters: readonly SqlParameter[] = [], options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    return this.#read<R>(this.#statements.parse(sql), parameters, undefined);
  }

  async queryAt<R extends Row = Row>(
    sql: string, parameters: readonly SqlParameter[], at: bigint | Date, options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    const statement = this.#statements.parse(sql);
    if (statement.asOf !== undefined) {
      throw new VerityError('INVALID_ARGUMENT', 'The statement names a position itself; give it either there or to queryAt().');
    }
    return this.#read<R>(statement, parameters, this.#positionOf(at));
  }

  async *stream<R extends Row = Row>(
    sql: string, parameters: readonly SqlParameter[] = [], options: QueryOptions = {},
  ): AsyncGenerator<R, undefined> {
    checkDeadline(options);
    const statement = this.#statements.parse(sql);
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const position = this.#asOf(statement, parameters) ?? this.#engine.committedPosition;
    const { prepared, rows } = this.#run(statement, parameters, this.#engine.state.store.viewAt(position));
    const builder = rowBuilder(prepared.columns, this.#timestamps);
    for (let next = rows.next(); next.done !== true; next = rows.next()) {
      yield builder.build(next.value) as R;
      if (options.signal?.aborted === true) throw new VerityError('ABORTED', 'The caller cancelled while rows were read.');
    }
    return undefined;
  }

  async transaction<T>(body: (tx: Transaction) => Promise<T>, options: CommandOptions = {}): Promise<T> {
    checkDeadline(options);
    const origin = this.#origin(options);
    for (let attempt = 1; ; attempt++) {
      this.#engine.checkWritable();
      const transaction = new OpenTransaction(this.#scope);
      let result: T;
      try {
        result = await withDeadline(body(transaction), options, transactionLate);
      } catch (error) {
        transaction.abandon();
        throw error;
      }
      try {
        await withDeadline(this.#engine.submit(transaction.finish(origin)), options, commandLate);
        return result;
      } catch (error) {
        const again = error instanceof VerityError && error.code === 'TRANSACTION_CONFLICT' && attempt < transactionAttemptsMax;
        if (!again) throw error;
      }
    }
  }

  async append(
    stream: string, events: readonly unknown[],
    options: CommandOptions & { readonly expectedVersion?: bigint | number } = {},
  ): Promise<{ position: bigint; version: bigint }> {
    checkDeadline(options);
    if (typeof stream !== 'string' || !Array.isArray(events)) {
      throw new VerityError('INVALID_ARGUMENT', 'append() takes a stream name and an array of events.');
    }
    const { expectedVersion } = options;
    const result: CommandResult = await withDeadline(
      this.#engine.submit({
        kind: 'append', tenant: this.#id, stream, events: events.map(encodeData), origin: this.#origin(options),
        expectedVersion: expectedVersion === undefined ? undefined : parsePosition(expectedVersion),
      }),
      options, commandLate,
    );
    return { position: BigInt(result.position), version: BigInt(result.outcome.version ?? 0) };
  }

  async *read(
    stream: string, options: { readonly fromVersion?: bigint | number; readonly toVersion?: bigint | number } = {},
  ): AsyncGenerator<StreamEvent, undefined> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const range = keyPrefixRange(streamPrefix(stream));
    const from = options.fromVersion === undefined ? range.from : streamKey(stream, parsePosition(options.fromVersion));
    const last = options.toVersion === undefined ? undefined : parsePosition(options.toVersion);
    const view = this.#engine.state.store.viewAt(this.#engine.committedPosition);
    const cursor = view.scan(treeOf(this.#id, streamsObject), { from, to: range.to });
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const { version } = parseStreamKey(entry.key);
      if (last !== undefined && version > last) return undefined;
      const { time, actor, reason, data } = decodeStreamRow(entry.row);
      yield {
        stream, version: BigInt(version), position: BigInt(entry.from), time: new Date(time / 1000), actor, reason,
        data: JSON.parse(new TextDecoder().decode(data)) as unknown,
      };
    }
    return undefined;
  }

  changes(
    options: { readonly from?: bigint; readonly follow?: boolean; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<Change, undefined> {
    this.#engine.checkOpen();
    return this.#feed().changes(options);
  }

  async history(table: string, key: readonly SqlParameter[]): Promise<Change[]> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const schema = this.#tableNamed(table);
    const types = schema.primaryKey.map((ordinal) => (schema.columns[ordinal] as (typeof schema.columns)[number]).type);
    if (types.length === 0) {
      throw new VerityError('INVALID_ARGUMENT', `Table "${table}" has no primary key, so its rows have no history by key. Use changes().`);
    }
    if (key.length !== types.length) {
      throw new VerityError('INVALID_ARGUMENT', `The key of table "${table}" has ${types.length} columns; ${key.length} were given.`);
    }
    const values = types.map((type, index) => fromJs(type, key[index]));
    return this.#feed().history(schema, encodeKey(types, values));
  }

  async tables(): Promise<TableInfo[]> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const view = this.#engine.state.store;
    return tablesOf(view, this.#id).map((table) => ({
      name: table.name,
      columns: table.columns.map((column) => ({ name: column.name, type: typeName(column.type) })),
      primaryKey: table.primaryKey.map((ordinal) => (table.columns[ordinal] as { name: string }).name),
      rowCount: countRows(view, treeOf(this.#id, table.id)),
    }));
  }

  #read<R extends Row>(
    statement: ParsedStatement, parameters: readonly SqlParameter[], at: Position | undefined,
  ): QueryResult<R> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const { store } = this.#engine.state;
    const position = at ?? this.#asOf(statement, parameters);
    const view = position === undefined ? store : store.viewAt(position);
    const { prepared, rows } = this.#run(statement, parameters, view);
    const builder = rowBuilder(prepared.columns, this.#timestamps);
    return {
      rows: collect(rows, builder.build) as R[],
      columns: builder.columns,
      position: BigInt(position ?? store.appliedPosition),
    };
  }

  #run(statement: ParsedStatement, parameters: readonly SqlParameter[], view: ReadView): { prepared: PreparedQuery; rows: ReturnType<PreparedQuery['run']> } {
    const { state, now } = this.#engine;
    const prepared = state.prepare(this.#id, statement, view);
    if (prepared.kind !== 'query') {
      throw new VerityError('INVALID_ARGUMENT', 'query() takes a SELECT; pass other statements to execute().');
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    return { prepared, rows: prepared.run(view, values, executionContext(state, this.#id, { time: now })) };
  }

  /** The position an AS OF clause names; undefined without one. */
  #asOf(statement: ParsedStatement, parameters: readonly SqlParameter[]): Position | undefined {
    const { asOf } = statement;
    if (asOf === undefined) return undefined;
    switch (asOf.kind) {
      case 'position': return this.#positionOf(asOf.value);
      case 'timestamp': return this.#positionAtTime(Number(asOf.value));
      case 'positionParameter':
      case 'timestampParameter': {
        const value = parameters[asOf.number - 1];
        if (value === undefined || value === null) {
          throw new VerityError('UNDEFINED_PARAMETER', `AS OF uses $${asOf.number}, which was not given.`);
        }
        if (asOf.kind === 'positionParameter') return this.#positionOf(typeof value === 'string' ? parseDigits(value) : (value as bigint));
        if (value instanceof Date) return this.#positionOf(value);
        return this.#positionAtTime(Number(typeof value === 'string' ? parseText({ name: 'timestamptz' }, value) : fromJs({ name: 'timestamptz' }, value)));
      }
    }
  }

  #positionOf(at: bigint | Date): Position {
    if (at instanceof Date) {
      const milliseconds = at.getTime();
      if (Number.isNaN(milliseconds)) throw new VerityError('INVALID_ARGUMENT', 'The date to read at is not valid.');
      // A Date names a whole millisecond: everything committed within it is included.
      return this.#positionAtTime(milliseconds * 1000 + 999);
    }
    const position = parsePosition(at);
    if (position > this.#engine.committedPosition) {
      throw new VerityError('POSITION_UNKNOWN', `Position ${position} lies beyond the last committed one, ${this.#engine.committedPosition}.`);
    }
    return position;
  }

  #positionAtTime(time: number): Position {
    return this.#engine.reader.positionAt(this.#id, time);
  }

  #tableNamed(name: string): ReturnType<typeof tablesOf>[number] {
    const table = tablesOf(this.#engine.state.store, this.#id).find((candidate) => candidate.name === name);
    if (table === undefined) throw new VerityError('UNDEFINED_TABLE', `There is no table named "${name}" in tenant "${this.name}".`);
    return table;
  }

  #feed(): ChangeFeed {
    return new ChangeFeed({ engine: this.#engine, tenant: this.#id, timestamps: this.#timestamps });
  }

  #origin(options: CommandOptions): CommandOrigin {
    const { actor, reason, requestId } = options;
    if (actor === undefined && reason === undefined && requestId === undefined) return noOrigin;
    return {
      ...(actor !== undefined && { actor: checkedText('actor', actor) }),
      ...(reason !== undefined && { reason: checkedText('reason', reason) }),
      ...(requestId !== undefined && { request: this.#fingerprint(checkedText('requestId', requestId)) }),
    };
  }

  #fingerprint(requestId: string): Uint8Array {
    const size = utf8Length(requestId);
    if (size === 0 || size > limits.requestIdBytesMax) {
      throw new VerityError('INVALID_ARGUMENT', `A requestId must have 1 to ${limits.requestIdBytesMax} bytes; this one has ${size}.`);
    }
    return hmac(this.#scope.requestKey, utf8Encode(`${this.#id}:${requestId}`)).slice(0, 16);
  }
}

const noOrigin: CommandOrigin = {};

function checkedText(what: string, value: unknown): string {
  if (typeof value !== 'string') throw new VerityError('INVALID_ARGUMENT', `${what} must be a string.`);
  return value;
}

function checkStandalone(statement: ParsedStatement): void {
  if (statement.kind === 'begin' || statement.kind === 'commit' || statement.kind === 'rollback') {
    throw new VerityError('UNSUPPORTED_SQL', 'Transactions are run with tenant.transaction(), not with BEGIN and COMMIT.', { details: { offset: statement.offset } });
  }
}

function transactionLate(why: 'aborted' | 'timeout'): VerityError {
  return why === 'aborted'
    ? new VerityError('ABORTED', 'The caller cancelled the transaction; nothing of it was committed.')
    : new VerityError('TIMEOUT', 'The time limit ran out within the transaction; nothing of it was committed.');
}

function parseDigits(text: string): bigint {
  if (!/^\d{1,16}$/.test(text)) throw new VerityError('INVALID_ARGUMENT', 'A log position is a whole number.');
  return BigInt(text);
}

function encodeData(data: unknown): Uint8Array {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined) throw new VerityError('INVALID_ARGUMENT', 'An event must be a JSON value.');
  return utf8Encode(text);
}

function countRows(view: ReadView, tree: ReturnType<typeof treeOf>): number {
  const cursor = view.scan(tree, {});
  let count = 0;
  while (cursor.next() !== undefined) count += 1;
  return count;
}
