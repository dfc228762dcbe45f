import {
  type LeafIndex,
  limits,
  type Position,
  type TenantId,
  type TimestampMicros,
  treeOf,
  utf8Length,
  type Value,
  VerityError,
} from '../base/index.ts';
import type { Engine } from '../engine/index.ts';
import {
  checkCommandSize,
  type Command,
  type CommandOrigin,
  definitionsObject,
  executionContext,
  Overlay,
  rowChanges,
  singleKey,
  type StagedBlob,
  TrackingView,
  type VersionedView,
} from '../kernel/index.ts';
import {
  bindParameters,
  type ExecutionContext,
  type ParsedStatement,
  type PreparedStatement,
  type PreparedWrite,
  ResultSize,
  type RowChange,
  type WriteOutcome,
} from '../sql/index.ts';
import { checkParameters } from './arguments.ts';
import { naming } from './naming.ts';
import { rowBuilder, rowForm, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import type {
  ExecuteResult,
  QueryOptions,
  QueryResult,
  ResultColumnInfo,
  Row,
  SqlParameter,
  Transaction,
} from './types.ts';

interface Savepoint {
  readonly name: string;
  readonly changes: number;
  readonly texts: number;
  readonly bytes: number;
}

export interface TransactionScope {
  readonly engine: Engine;
  readonly tenant: TenantId;
  readonly statements: StatementCache;
  readonly timestamps: TimestampForm;
}

const eventTypes = { insert: 'rowInserted', update: 'rowUpdated', delete: 'rowDeleted' } as const;

/**
 * An interactive transaction: reads at a snapshot plus its own writes, which are buffered; what it read is
 * checked for changes when it commits, so committed transactions are serialisable.
 */
export class BufferedTransaction implements Transaction {
  readonly #scope: TransactionScope;
  readonly #snapshot: Position;
  readonly #local: Overlay;
  readonly #view: TrackingView;
  readonly #context: ExecutionContext;
  readonly #time: TimestampMicros;
  /** Large values that its statements made; durable, and named by nothing unless it commits. */
  readonly #blobs: StagedBlob[] = [];
  readonly #changes: RowChange[] = [];
  readonly #texts: string[] = [];
  /** Bytes of `#changes` and `#texts`. */
  #bytes = 0;
  /** Oldest first; of two with one name the newer counts. */
  #savepoints: Savepoint[] = [];
  #ended = false;

  constructor(scope: TransactionScope) {
    const { engine, tenant } = scope;
    this.#scope = scope;
    this.#snapshot = engine.committedPosition;
    engine.state.recent.watch(this.#snapshot);
    this.#local = new Overlay(snapshotView(engine, this.#snapshot));
    this.#view = new TrackingView(this.#local);
    this.#time = engine.now;
    this.#context = executionContext(engine.state, tenant, { time: this.#time });
  }

  async execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    { rowMode }: Pick<QueryOptions, 'rowMode'> = {},
  ): Promise<ExecuteResult<R>> {
    checkParameters(parameters);
    const statement = this.#parse(sql);
    if (statement.savepoint !== undefined) {
      this.#keepPlace(statement.kind, statement.savepoint);
      return this.#result(0, [], []);
    }
    const prepared = this.#prepare(statement);
    const { normalized } = statement;
    if (prepared.kind === 'definition') {
      throw new VerityError(
        'UNSUPPORTED_SQL',
        'Tables, indexes and views cannot be defined within a transaction. Do it before.',
        { details: { offset: 0 } },
      );
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    const builder = rowBuilder(prepared.columns, this.#scope.timestamps);
    const build = rowForm(builder, rowMode);
    if (prepared.kind === 'query') {
      const rows = naming(this.#scope.engine, () =>
        collect(prepared.run(this.#view, values, this.#context), build),
      ) as R[];
      return this.#result(rows.length, rows, builder.columns);
    }
    const outcome = await this.#write(prepared, values);
    if (outcome.changes.length > 0) {
      this.#reserve(outcome.changes, normalized);
      this.#texts.push(normalized);
    }
    for (const change of outcome.changes) this.#buffer(change);
    return this.#result(
      outcome.rowCount,
      outcome.rows.map((row) => build(row)) as R[],
      builder.columns,
    );
  }

  async query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
    { rowMode }: Pick<QueryOptions, 'rowMode'> = {},
  ): Promise<QueryResult<R>> {
    checkParameters(parameters);
    const prepared = this.#prepare(this.#parse(sql));
    if (prepared.kind !== 'query') {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'query() takes a SELECT; pass other statements to execute().',
      );
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    const builder = rowBuilder(prepared.columns, this.#scope.timestamps);
    const build = rowForm(builder, rowMode);
    const rows = naming(this.#scope.engine, () =>
      collect(prepared.run(this.#view, values, this.#context), build),
    ) as R[];
    return { rows, columns: builder.columns, position: BigInt(this.#snapshot) };
  }

  /** Runs a statement, again when the large values that it makes are durable. */
  async #write(prepared: PreparedWrite, values: readonly Value[]): Promise<WriteOutcome> {
    const { engine, tenant } = this.#scope;
    for (;;) {
      const context = executionContext(engine.state, tenant, { time: this.#time }, this.#blobs);
      const outcome = naming(engine, () => prepared.run(this.#view, values, context));
      const { wanted } = context.blobs;
      if (wanted.length === 0) return outcome;
      this.#blobs.push(...(await engine.blobs.stage(tenant, wanted)));
      if (this.#ended) this.tidy();
      this.#checkOpen();
    }
  }

  /** Once it is known what became of the transaction: removes the large values that no row names. */
  tidy(): void {
    const { engine } = this.#scope;
    // After a failed write nobody knows: the next open does.
    if (this.#blobs.length > 0 && !engine.poisoned) engine.blobs.discard(this.#blobs.splice(0));
  }

  /** The command that commits everything; the transaction takes no more statements. `value`: kept with a request id. */
  finish(origin: CommandOrigin, value: string | undefined): Command {
    this.#checkOpen();
    this.#ended = true;
    return {
      kind: 'transaction',
      tenant: this.#scope.tenant,
      snapshot: this.#snapshot,
      reads: this.#view.reads,
      changes: this.#changes,
      statements: this.#texts,
      ...(value !== undefined && { value }),
      origin,
    };
  }

  /** Forgets everything buffered. */
  abandon(): void {
    if (!this.#ended) this.tidy();
    this.#ended = true;
  }

  #checkOpen(): void {
    if (!this.#ended) return;
    throw new VerityError(
      'TRANSACTION_ENDED',
      'The transaction has ended. Start another with tenant.transaction() or tenant.begin().',
    );
  }

  #parse(sql: string): ParsedStatement {
    this.#checkOpen();
    const statement = this.#scope.statements.parse(sql);
    if (statement.asOf !== undefined) {
      throw new VerityError(
        'UNSUPPORTED_SQL',
        'AS OF cannot be used within a transaction, which reads at its own snapshot. Use queryAt().',
        { details: { offset: statement.offset } },
      );
    }
    return statement;
  }

  #prepare(statement: ParsedStatement): PreparedStatement {
    const { engine, tenant } = this.#scope;
    // Rows are written as the tables are defined at the snapshot: a definition that changes meanwhile is a conflict.
    this.#view.reads.addKey(treeOf(tenant, definitionsObject), singleKey);
    return engine.state.prepare(tenant, statement, this.#local);
  }

  /** SAVEPOINT, ROLLBACK TO and RELEASE. What was read since stays read: the commit still rests on it. */
  #keepPlace(kind: ParsedStatement['kind'], name: string): void {
    if (kind === 'savepoint') {
      if (this.#savepoints.length >= limits.savepointsMax) {
        throw new VerityError(
          'COMMAND_TOO_LARGE',
          `A transaction has at most ${limits.savepointsMax} savepoints. Release some.`,
        );
      }
      const { length } = this.#changes;
      this.#savepoints.push({
        name,
        changes: length,
        texts: this.#texts.length,
        bytes: this.#bytes,
      });
      return;
    }
    const index = this.#savepoints.findLastIndex((savepoint) => savepoint.name === name);
    const savepoint = this.#savepoints[index];
    if (savepoint === undefined) {
      throw new VerityError(
        'UNDEFINED_SAVEPOINT',
        `The transaction has no savepoint "${name}". Set it with SAVEPOINT before.`,
      );
    }
    this.#savepoints.length = kind === 'release' ? index : index + 1;
    if (kind === 'release') return;
    this.#texts.length = savepoint.texts;
    this.#bytes = savepoint.bytes;
    const kept = this.#changes.splice(0).slice(0, savepoint.changes);
    this.#local.drop();
    for (const change of kept) this.#buffer(change);
  }

  /** Refuses a statement whole, before memory is taken, with which the transaction could not be committed. */
  #reserve(changes: readonly RowChange[], text: string): void {
    let bytes = this.#bytes + utf8Length(text);
    for (const { key, row } of changes) bytes += key.length + (row?.length ?? 0);
    checkCommandSize(this.#changes.length + changes.length, bytes);
    this.#bytes = bytes;
  }

  #buffer(change: RowChange): void {
    this.#changes.push(change);
    const event = {
      type: eventTypes[change.kind],
      tenant: this.#scope.tenant,
      key: change.key,
      ...(change.row !== undefined && { row: change.row }),
    };
    for (const stored of rowChanges(event, change.table, 0 as LeafIndex, this.#local)) {
      this.#local.put((this.#snapshot + 1) as Position, stored);
    }
  }

  #result<R extends Row | unknown[]>(
    rowCount: number,
    rows: R[],
    columns: ResultColumnInfo[],
  ): ExecuteResult<R> {
    return { position: BigInt(this.#snapshot), rowCount, rows, columns };
  }
}

function snapshotView(engine: Engine, position: Position): VersionedView {
  const { store } = engine.state;
  const view = store.viewAt(position);
  return {
    get: (tree, key) => view.get(tree, key),
    scan: (tree, range) => view.scan(tree, range),
    latest: (tree, key) => store.latest(tree, key),
  };
}

/** Drains an iterator of rows into an array. Throws QUERY_TOO_LARGE before that takes too much memory. */
export function collect<R>(
  rows: Iterator<readonly Value[], undefined>,
  map: (row: readonly Value[]) => R,
): R[] {
  const result: R[] = [];
  const size = new ResultSize();
  for (let next = rows.next(); next.done !== true; next = rows.next()) {
    size.add(next.value);
    result.push(map(next.value));
  }
  return result;
}
