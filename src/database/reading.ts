/** Queries: the position that they read at, its snapshot, and their rows. */
import {
  type LeafIndex,
  parsePosition,
  type Position,
  sqlError,
  type StoreKey,
  type TenantId,
  treeOf,
  VerityError,
} from '../base/index.ts';
import type { TableSchema } from '../codec/index.ts';
import type { Engine } from '../engine/index.ts';
import { executionContext } from '../kernel/index.ts';
import {
  bindParameters,
  fromJs,
  type ParsedStatement,
  parseText,
  type PreparedQuery,
} from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { checkParameters, checkUnproved } from './arguments.ts';
import { tellingCommands } from './command-facts.ts';
import { checkDeadline } from './deadline.ts';
import { naming } from './naming.ts';
import { rowBuilder, rowForm, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import { collect, type TransactionScope } from './transaction.ts';
import type { QueryOptions, QueryResult, Row, SqlParameter } from './types.ts';

/** A query that is about to yield rows. */
interface Opened {
  readonly prepared: PreparedQuery;
  readonly rows: ReturnType<PreparedQuery['run']>;
}

/** Rows of a table by their keys. */
export interface LookedUpRows {
  readonly table: TableSchema;
  /** Those that the query reads, and the key's. */
  readonly columns: readonly string[];
  /** `leaf`: of the event that wrote the row; undefined where there is none. */
  readonly rows: readonly { readonly key: StoreKey; readonly leaf: LeafIndex | undefined }[];
}

/** Runs one tenant's queries against what is committed. */
export class Reading {
  readonly #engine: Engine;
  readonly #id: TenantId;
  readonly #timestamps: TimestampForm;
  readonly #statements: StatementCache;

  constructor({ engine, tenant, timestamps, statements }: TransactionScope) {
    this.#engine = engine;
    this.#id = tenant;
    this.#timestamps = timestamps;
    this.#statements = statements;
  }

  /** The rows one by one. Whatever fails does so when the first row is asked for. */
  stream<R extends Row | unknown[]>(
    sql: string,
    parameters: readonly SqlParameter[],
    options: QueryOptions,
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

  #openStream(sql: string, parameters: readonly SqlParameter[], options: QueryOptions): Opened {
    checkDeadline(options);
    checkParameters(parameters);
    checkUnproved(options);
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

  /** The rows of a SELECT, at `at` or the position that it names, else of now. */
  read<R extends Row | unknown[]>(
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

  /** The rows that a query by primary keys asks for, as they are at a position. Throws UNSUPPORTED_SQL for other queries. */
  lookup(
    statement: ParsedStatement,
    parameters: readonly SqlParameter[],
    at: Position,
  ): LookedUpRows {
    const { state, now } = this.#engine;
    const view = state.store.viewAt(at);
    return naming(this.#engine, () => {
      const prepared = this.#prepared(statement, view);
      if (prepared.lookup === undefined)
        throw sqlError('UNSUPPORTED_SQL', 'What EXPLAIN tells cannot be proved.', statement.offset);
      const { table, columns, keys } = prepared.lookup();
      const values = bindParameters(prepared.parameterTypes, parameters);
      const context = executionContext(state, this.#id, { time: now });
      const tree = treeOf(this.#id, table.id);
      const rows = keys(view, values, context).map((key) => ({
        key,
        leaf: view.get(tree, key)?.leaf,
      }));
      return { table, columns, rows };
    });
  }

  #prepared(statement: ParsedStatement, view: ReadView): PreparedQuery {
    const { state } = this.#engine;
    const prepared =
      statement.kind === 'select' ? state.prepare(this.#id, statement, view) : undefined;
    if (prepared?.kind !== 'query') {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'query() takes a SELECT; pass other statements to execute().',
      );
    }
    return prepared;
  }

  #run(statement: ParsedStatement, parameters: readonly SqlParameter[], view: ReadView): Opened {
    const { state, now } = this.#engine;
    const prepared = this.#prepared(statement, view);
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
        return this.positionOf(asOf.value);
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
          return this.positionOf(
            typeof value === 'string' ? parseDigits(value) : (value as bigint),
          );
        if (value instanceof Date) return this.positionOf(value);
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

  /** The position that a caller names, or the last one of a time. Throws POSITION_UNKNOWN past the last committed one. */
  positionOf(at: bigint | Date): Position {
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
}

function parseDigits(text: string): bigint {
  if (!/^\d{1,16}$/.test(text))
    throw new VerityError('INVALID_ARGUMENT', 'A log position is a whole number.');
  return BigInt(text);
}

/** An iterator that fails when its first row is asked for. */
async function* failing(error: unknown): AsyncGenerator<never, undefined> {
  yield* await Promise.reject<never[]>(error as Error);
  return undefined;
}
