import {
  parsePosition,
  type Position,
  type TenantId,
  treeOf,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import { encodeKey, keyPrefixRange } from '../codec/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import type { CommandResult, Engine } from '../engine/index.ts';
import {
  checkCompleted,
  checkName,
  type Command,
  type CommandOrigin,
  decodeStreamRow,
  executionContext,
  parseStreamKey,
  streamKey,
  streamPrefix,
  streamsObject,
  tablesOf,
} from '../kernel/index.ts';
import {
  bindParameters,
  fromJs,
  type ParsedStatement,
  parseText,
  type PreparedQuery,
  primaryKeyColumns,
  typeName,
} from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { checkOptions, checkParameters, originOf } from './arguments.ts';
import { TransactionAttempts } from './attempts.ts';
import { BegunTransaction } from './begun.ts';
import { ChangeFeed } from './changes.ts';
import { tellingCommands } from './command-facts.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import { createEnvelopeKey, envelopeKeys } from './envelope-keys.ts';
import { naming } from './naming.ts';
import { rowBuilder, rowForm, rowFormOf, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import { collect, type TransactionScope } from './transaction.ts';
import type {
  Change,
  CommandOptions,
  EnvelopeKeys,
  ExecuteOptions,
  ExecuteResult,
  OpenTransaction,
  QueryOptions,
  QueryResult,
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

/** A query that is about to yield rows. */
interface AppendResult {
  position: bigint;
  version: bigint;
}

interface Opened {
  readonly prepared: PreparedQuery;
  readonly rows: ReturnType<PreparedQuery['run']>;
}

const definitions: ReadonlySet<ParsedStatement['kind']> = new Set(['createIndex', 'alterTable']);

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

  execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = noParameters,
    options: ExecuteOptions = noOptions,
  ): Promise<ExecuteResult<R>> {
    // Not an async function: what each of these costs, every insert pays.
    try {
      return this.#execute(sql, parameters, options) as Promise<ExecuteResult<R>>;
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  #execute(
    sql: string,
    parameters: readonly SqlParameter[],
    options: ExecuteOptions,
  ): Promise<ExecuteResult<Row | unknown[]>> {
    checkDeadline(options);
    checkParameters(parameters);
    const statement = this.#statements.parse(sql);
    if (statement.kind === 'select') {
      const result = this.#read(statement, parameters, undefined, options.rowMode);
      return Promise.resolve({ ...result, rowCount: result.rows.length });
    }
    checkStandalone(statement);
    const command = {
      kind: 'statement',
      tenant: this.#id,
      statement,
      parameters,
      origin: this.#origin(options, () => ['execute', statement.text, ...parameters]),
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

  async query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    checkParameters(parameters);
    return this.#read<R>(this.#statements.parse(sql), parameters, undefined, options.rowMode);
  }

  async queryAt<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[],
    at: bigint | Date,
    options: QueryOptions = {},
  ): Promise<QueryResult<R>> {
    checkDeadline(options);
    checkParameters(parameters);
    const statement = this.#statements.parse(sql);
    if (statement.asOf !== undefined) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'The statement names a position itself; give it either there or to queryAt().',
      );
    }
    return this.#read<R>(statement, parameters, this.#positionOf(at), options.rowMode);
  }

  stream<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    options: QueryOptions = {},
  ): AsyncGenerator<R, undefined> {
    // Parameters and position are those of the call, whenever the first row is asked for; errors come then.
    let opened: Opened;
    try {
      opened = this.#openStream(sql, parameters, options);
    } catch (error) {
      return failing(error);
    }
    return this.#streamed<R>(opened, options);
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
      return this.#append(stream, events, options);
    } catch (error) {
      return Promise.reject(error as Error);
    }
  }

  #append(
    stream: string,
    events: readonly unknown[],
    options: CommandOptions & { readonly expectedVersion?: bigint | number },
  ): Promise<AppendResult> {
    checkDeadline(options);
    if (typeof stream !== 'string' || !Array.isArray(events)) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'append() takes a stream name and an array of events.',
      );
    }
    const { expectedVersion } = options;
    // Not map(), which skips the holes of a sparse array.
    const encoded = Array.from(events, encodeData);
    const command = {
      kind: 'append',
      tenant: this.#id,
      stream,
      events: encoded,
      origin: this.#origin(options, () => ['append', stream, expectedVersion, ...encoded]),
      expectedVersion: expectedVersion === undefined ? undefined : parsePosition(expectedVersion),
    } as const;
    return withDeadline(this.#engine.submitFor(command, toAppendResult), options, commandLate);
  }

  async *read(
    stream: string,
    options: { readonly fromVersion?: bigint | number; readonly toVersion?: bigint | number } = {},
  ): AsyncGenerator<StreamEvent, undefined> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    checkName('stream', stream);
    const range = keyPrefixRange(streamPrefix(stream));
    const from =
      options.fromVersion === undefined
        ? range.from
        : streamKey(stream, parsePosition(options.fromVersion));
    const last = options.toVersion === undefined ? undefined : parsePosition(options.toVersion);
    const view = this.#engine.state.store.viewAt(this.#engine.committedPosition);
    const cursor = view.scan(treeOf(this.#id, streamsObject), { from, to: range.to });
    const step = (): ReturnType<typeof cursor.next> => naming(this.#engine, () => cursor.next());
    for (let entry = step(); entry !== undefined; entry = step()) {
      const { version } = parseStreamKey(entry.key);
      if (last !== undefined && version > last) return undefined;
      const { time, actor, reason, data } = decodeStreamRow(entry.row);
      yield {
        stream,
        version: BigInt(version),
        position: BigInt(entry.from),
        time: new Date(time / 1000),
        actor,
        reason,
        data: JSON.parse(new TextDecoder().decode(data)) as unknown,
      };
    }
    return undefined;
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
    const types = schema.primaryKey.map(
      (ordinal) => (schema.columns[ordinal] as (typeof schema.columns)[number]).type,
    );
    if (types.length === 0) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        `Table "${table}" has no primary key, so its rows have no history by key. Use changes().`,
      );
    }
    if (!Array.isArray(key) || key.length !== types.length) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        `The key of table "${table}" has ${types.length} columns. Pass their values as an array.`,
      );
    }
    const values = types.map((type, index) => fromJs(type, key[index]));
    return this.#feed().history(schema, encodeKey(types, values));
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

  #openStream(sql: string, parameters: readonly SqlParameter[], options: QueryOptions): Opened {
    checkDeadline(options);
    checkParameters(parameters);
    const statement = this.#statements.parse(sql);
    this.#engine.checkReadable();
    this.#engine.catchUp();
    const position = this.#asOf(statement, parameters) ?? this.#engine.committedPosition;
    const view = this.#engine.state.store.viewAt(position);
    return naming(this.#engine, () => this.#run(statement, parameters, view));
  }

  async *#streamed<R extends Row | unknown[]>(
    { prepared, rows }: Opened,
    { signal, rowMode }: QueryOptions,
  ): AsyncGenerator<R, undefined> {
    const build = rowForm(rowBuilder(prepared.columns, this.#timestamps), rowMode);
    const step = (): ReturnType<typeof rows.next> => naming(this.#engine, () => rows.next());
    for (let next = step(); next.done !== true; next = step()) {
      if (signal?.aborted === true)
        throw new VerityError('ABORTED', 'The caller cancelled while rows were read.');
      this.#engine.checkReadable();
      yield build(next.value) as R;
    }
    return undefined;
  }

  #read<R extends Row | unknown[]>(
    statement: ParsedStatement,
    parameters: readonly SqlParameter[],
    at: Position | undefined,
    rowMode?: QueryOptions['rowMode'],
  ): QueryResult<R> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    const { store } = this.#engine.state;
    const position = at ?? this.#asOf(statement, parameters);
    const view = position === undefined ? store : store.viewAt(position);
    const { prepared, rows } = naming(this.#engine, () => this.#run(statement, parameters, view));
    const builder = rowBuilder(prepared.columns, this.#timestamps);
    return {
      rows: naming(this.#engine, () => collect(rows, rowForm(builder, rowMode))) as R[],
      columns: builder.columns,
      position: BigInt(position ?? store.appliedPosition),
    };
  }

  #run(statement: ParsedStatement, parameters: readonly SqlParameter[], view: ReadView): Opened {
    const { state, now } = this.#engine;
    const prepared =
      statement.kind === 'select' ? state.prepare(this.#id, statement, view) : undefined;
    if (prepared?.kind !== 'query') {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'query() takes a SELECT; pass other statements to execute().',
      );
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    const plain = executionContext(state, this.#id, { time: now });
    const context =
      prepared.tellsCommands === true ? tellingCommands(plain, this.#engine, this.#id) : plain;
    return { prepared, rows: prepared.run(view, values, context) };
  }

  /** The position an AS OF clause names; undefined without one. */
  #asOf(statement: ParsedStatement, parameters: readonly SqlParameter[]): Position | undefined {
    const { asOf } = statement;
    if (asOf === undefined) return undefined;
    switch (asOf.kind) {
      case 'position':
        return this.#positionOf(asOf.value);
      case 'timestamp':
        return this.#positionAtTime(Number(asOf.value));
      case 'positionParameter':
      case 'timestampParameter': {
        const value = parameters[asOf.number - 1];
        if (value === undefined || value === null) {
          throw new VerityError(
            'UNDEFINED_PARAMETER',
            `AS OF uses $${asOf.number}, which was not given.`,
          );
        }
        if (asOf.kind === 'positionParameter')
          return this.#positionOf(
            typeof value === 'string' ? parseDigits(value) : (value as bigint),
          );
        if (value instanceof Date) return this.#positionOf(value);
        return this.#positionAtTime(
          Number(
            typeof value === 'string'
              ? parseText({ name: 'timestamptz' }, value)
              : fromJs({ name: 'timestamptz' }, value),
          ),
        );
      }
    }
  }

  #positionOf(at: bigint | Date): Position {
    if (at instanceof Date) {
      const milliseconds = at.getTime();
      if (Number.isNaN(milliseconds))
        throw new VerityError('INVALID_ARGUMENT', 'The date to read at is not valid.');
      // A Date names a whole millisecond: everything committed within it is included.
      return this.#positionAtTime(milliseconds * 1000 + 999);
    }
    const position = parsePosition(at);
    if (position > this.#engine.committedPosition) {
      throw new VerityError(
        'POSITION_UNKNOWN',
        `Position ${position} lies beyond the last committed one, ${this.#engine.committedPosition}.`,
      );
    }
    return position;
  }

  #positionAtTime(time: number): Position {
    return this.#engine.reader.positionAt(this.#id, time);
  }

  #tableNamed(name: string): ReturnType<typeof tablesOf>[number] {
    const table = tablesOf(this.#engine.state.store, this.#id).find(
      (candidate) => candidate.name === name,
    );
    if (table === undefined)
      throw new VerityError(
        'UNDEFINED_TABLE',
        `There is no table named "${name}" in tenant "${this.name}".`,
      );
    return table;
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

function parseDigits(text: string): bigint {
  if (!/^\d{1,16}$/.test(text))
    throw new VerityError('INVALID_ARGUMENT', 'A log position is a whole number.');
  return BigInt(text);
}

function encodeData(data: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch {
    // The error would quote the event.
  }
  if (text === undefined)
    throw new VerityError('INVALID_ARGUMENT', 'An event must be a JSON value.');
  return utf8Encode(text);
}

function countRows(view: ReadView, tree: ReturnType<typeof treeOf>): number {
  const cursor = view.scan(tree, {});
  let count = 0;
  while (cursor.next() !== undefined) count += 1;
  return count;
}

/** An iterator that fails when its first row is asked for. */
async function* failing(error: unknown): AsyncGenerator<never, undefined> {
  yield* await Promise.reject<never[]>(error as Error);
  return undefined;
}

function toAppendResult({ position, outcome }: CommandResult): AppendResult {
  return { position: BigInt(position), version: BigInt(outcome.version ?? 0) };
}
