import {
  type LeafIndex,
  type Position,
  type TenantId,
  utf8Length,
  VerityError,
} from '../base/index.ts';
import type { Engine } from '../engine/index.ts';
import {
  checkCommandSize,
  type Command,
  type CommandOrigin,
  executionContext,
  Overlay,
  rowChanges,
  TrackingView,
  type VersionedView,
} from '../kernel/index.ts';
import {
  bindParameters,
  type ExecutionContext,
  type PreparedStatement,
  type RowChange,
} from '../sql/index.ts';
import { checkParameters } from './arguments.ts';
import { rowBuilder, type TimestampForm } from './results.ts';
import type { StatementCache } from './statements.ts';
import type {
  ExecuteResult,
  QueryResult,
  ResultColumnInfo,
  Row,
  SqlParameter,
  Transaction,
} from './types.ts';

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
export class OpenTransaction implements Transaction {
  readonly #scope: TransactionScope;
  readonly #snapshot: Position;
  readonly #local: Overlay;
  readonly #view: TrackingView;
  readonly #context: ExecutionContext;
  readonly #changes: RowChange[] = [];
  readonly #texts: string[] = [];
  /** Bytes of `#changes` and `#texts`. */
  #bytes = 0;
  #ended = false;

  constructor(scope: TransactionScope) {
    const { engine, tenant } = scope;
    this.#scope = scope;
    this.#snapshot = engine.committedPosition;
    this.#local = new Overlay(snapshotView(engine, this.#snapshot));
    this.#view = new TrackingView(this.#local);
    this.#context = executionContext(engine.state, tenant, { time: engine.now });
  }

  async execute<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
  ): Promise<ExecuteResult<R>> {
    checkParameters(parameters);
    const { prepared, normalized } = this.#prepare(sql);
    if (prepared.kind === 'definition') {
      throw new VerityError(
        'UNSUPPORTED_SQL',
        'A table cannot be created within a transaction. Create it before.',
        { details: { offset: 0 } },
      );
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    const builder = rowBuilder(prepared.columns, this.#scope.timestamps);
    if (prepared.kind === 'query') {
      const rows = collect(prepared.run(this.#view, values, this.#context), builder.build) as R[];
      return this.#result(rows.length, rows, builder.columns);
    }
    const outcome = prepared.run(this.#view, values, this.#context);
    if (outcome.changes.length > 0) {
      this.#reserve(outcome.changes, normalized);
      this.#texts.push(normalized);
    }
    for (const change of outcome.changes) this.#buffer(change);
    return this.#result(
      outcome.rowCount,
      outcome.rows.map((row) => builder.build(row)) as R[],
      builder.columns,
    );
  }

  async query<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlParameter[] = [],
  ): Promise<QueryResult<R>> {
    checkParameters(parameters);
    const { prepared } = this.#prepare(sql);
    if (prepared.kind !== 'query') {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'query() takes a SELECT; pass other statements to execute().',
      );
    }
    const values = bindParameters(prepared.parameterTypes, parameters);
    const builder = rowBuilder(prepared.columns, this.#scope.timestamps);
    const rows = collect(prepared.run(this.#view, values, this.#context), builder.build) as R[];
    return { rows, columns: builder.columns, position: BigInt(this.#snapshot) };
  }

  /** The command that commits everything; the transaction takes no more statements. `value`: kept with a request id. */
  finish(origin: CommandOrigin, value: string | undefined): Command {
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
    this.#ended = true;
  }

  #prepare(sql: string): { prepared: PreparedStatement; normalized: string } {
    if (this.#ended)
      throw new VerityError(
        'TRANSACTION_ENDED',
        'The transaction has ended. Start another with tenant.transaction().',
      );
    const { engine, tenant, statements } = this.#scope;
    const statement = statements.parse(sql);
    if (statement.asOf !== undefined) {
      throw new VerityError(
        'UNSUPPORTED_SQL',
        'AS OF cannot be used within a transaction, which reads at its own snapshot. Use queryAt().',
        { details: { offset: statement.offset } },
      );
    }
    return {
      prepared: engine.state.prepare(tenant, statement, this.#local),
      normalized: statement.normalized,
    };
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

  #result<R extends Row>(
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

/** Drains an iterator of rows into an array. */
export function collect<T, R>(rows: Iterator<T, undefined>, map: (row: T) => R): R[] {
  const result: R[] = [];
  for (let next = rows.next(); next.done !== true; next = rows.next()) result.push(map(next.value));
  return result;
}
