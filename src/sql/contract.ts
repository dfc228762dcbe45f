/**
 * What the SQL layer gives to the kernel and the database: parse text once, prepare it against a
 * catalog, run it against a view. Nothing here writes: a write yields row changes for the kernel.
 */
import type {
  ColumnType,
  ObjectId,
  Position,
  StoreKey,
  TenantId,
  TimestampMicros,
  Value,
} from '../base/index.ts';
import type { BlobReference, TableSchema } from '../codec/index.ts';
import type { ReadView, StoredRow } from '../store/index.ts';
import type { Statistics } from './plan/statistics.ts';

/** One statement of a script. */
export interface ParsedStatement {
  readonly kind:
    | 'select'
    | 'insert'
    | 'update'
    | 'delete'
    | 'createTable'
    | 'createIndex'
    | 'createView'
    | 'alterTable'
    | 'drop'
    | 'begin'
    | 'commit'
    | 'rollback'
    | 'savepoint'
    | 'rollbackTo'
    | 'release';
  /** The statement's own text, without `AS OF …` and the semicolon. */
  readonly text: string;
  /** Where the statement starts in the script (UTF-16 index); error offsets already include it. */
  readonly offset: number;
  /** The text with every literal replaced by $n (numbered on from the highest parameter) and comments dropped. Safe to log. */
  readonly normalized: string;
  readonly asOf: AsOf | undefined;
  /** The highest $n used. */
  readonly parameterCount: number;
  /** The name in SAVEPOINT, ROLLBACK TO and RELEASE. */
  readonly savepoint?: string;
  /** libpg-query's tree; only sql/ looks inside. */
  readonly tree: unknown;
}

/** `AS OF POSITION n|$n` or `AS OF TIMESTAMP '…'|$n`. */
export type AsOf =
  | { readonly kind: 'position'; readonly value: bigint }
  | {
      readonly kind: 'timestamp';
      /** Microseconds since 1970 (UTC when the text names no zone). */ readonly value: bigint;
    }
  | {
      readonly kind: 'positionParameter' | 'timestampParameter';
      /** From 1. */ readonly number: number;
    };

/** Table definitions as of one position. */
export interface Catalog {
  readonly tenant: TenantId;
  table(name: string): TableSchema | undefined;
  view(name: string): ViewDefinition | undefined;
  /** All tables and views; a view's schema has `view`. */
  relations(): readonly TableSchema[];
  /** What the planner may know of a table's rows. */
  readonly statistics?: Statistics;
}

export interface ViewDefinition {
  /** The SELECT, as it was written. */
  readonly text: string;
  /** The names of its columns. */
  readonly columns: readonly string[];
  /** What its names mean: columns that tables got after it was made are not there. */
  readonly catalog: Catalog;
}

export interface ResultColumn {
  readonly name: string;
  readonly type: ColumnType;
}

export interface ExecutionContext {
  /** The command's time: now(), CURRENT_DATE, DEFAULT now(). */
  readonly time: TimestampMicros;
  /** Draws the next hidden row id for a table without primary key. */
  allocateRowId(): number;
  /** What the log says of the command that wrote at a position; absent where no log is at hand. */
  commandAt?(position: Position): CommandFacts | undefined;
  /** Values that rows do not hold themselves; absent where rows hold all. */
  readonly blobs?: BlobAccess | undefined;
}

/** Values over `limits.valueBytesMax`, which rows name and do not hold. */
export interface BlobAccess {
  /** The value itself. Throws CorruptionError where its file is not as it was written. */
  load(reference: BlobReference): string | Uint8Array;
  /** What a row is to hold in the place of a value that was given to `keep` before. */
  known(value: string | Uint8Array): BlobReference | undefined;
  /** What a row is to hold in the place of a value of `sizeBytes`. Throws COMMAND_TOO_LARGE. */
  keep(value: string | Uint8Array, sizeBytes: number): BlobReference;
}

/** When a command was run, by whom and why. */
export interface CommandFacts {
  readonly time: TimestampMicros;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
}

/** A row written by a statement, already checked. Old and new row encoded under the table's current version. */
export interface RowChange {
  readonly kind: 'insert' | 'update' | 'delete';
  readonly table: TableSchema;
  readonly key: StoreKey;
  /** Encoded new row (see codec/row.ts); undefined for 'delete'. */
  readonly row: Uint8Array | undefined;
  /** The values of the new row that it does not hold itself. */
  readonly blobs?: readonly BlobReference[] | undefined;
  /** The stored version this replaces; undefined for 'insert' unless the key existed once before (unknown here). */
  readonly previous: StoredRow | undefined;
  /** Of an 'insert': it is known that the key never was. */
  readonly isNew?: boolean;
}

export interface PreparedQuery {
  readonly kind: 'query';
  readonly columns: readonly ResultColumn[];
  readonly parameterTypes: readonly ColumnType[];
  /** Set: it tells of past commands, so that its context should have `commandAt`. */
  readonly tellsCommands?: true;
  /** Lazily yields rows, one array of values a row, in `columns` order. Parameters are bound values (see bindParameters). */
  run(
    view: ReadView,
    parameters: readonly Value[],
    context: ExecutionContext,
  ): Iterator<readonly Value[], undefined>;
  /** The rows' keys, so that they can be proved. Throws UNSUPPORTED_SQL with the place of what cannot be. Absent: EXPLAIN. */
  lookup?(): KeyLookup;
}

/** What a query by primary keys asks for. */
export interface KeyLookup {
  readonly table: TableSchema;
  /** Names of the columns that the rows are made of, or found by. */
  readonly columns: readonly string[];
  /** The keys of all rows that it may yield, each once; fewer than were asked for where a value is NULL or of no row. */
  readonly keys: (
    view: ReadView,
    parameters: readonly Value[],
    context: ExecutionContext,
  ) => readonly StoreKey[];
}

export interface PreparedWrite {
  readonly kind: 'write';
  /** Columns of RETURNING; empty without it. */
  readonly columns: readonly ResultColumn[];
  readonly parameterTypes: readonly ColumnType[];
  /**
   * Checks everything (types, NOT NULL, CHECK, UNIQUE and primary key against `view` and within the
   * statement) and returns the changes, or throws a VerityError with SQLSTATE; never half of them.
   */
  run(view: ReadView, parameters: readonly Value[], context: ExecutionContext): WriteOutcome;
}

export interface WriteOutcome {
  readonly changes: readonly RowChange[];
  readonly rowCount: number;
  /** Rows of RETURNING. */
  readonly rows: readonly (readonly Value[])[];
}

export interface PreparedDefinition {
  readonly kind: 'definition';
  /**
   * The tables and views as the statement leaves them, each of which becomes an event; none if there is nothing
   * to do (IF EXISTS, IF NOT EXISTS). Throws what existing
   * rows stand against: NOT_NULL_VIOLATION, CHECK_VIOLATION, FOREIGN_KEY_VIOLATION.
   */
  define(context: DefinitionContext): readonly TableSchema[];
}

/** What the kernel passes to a definition. */
export interface DefinitionContext {
  readonly view: ReadView;
  readonly execution: ExecutionContext;
  /** Draws the id of a new table or index. */
  allocateObject(): ObjectId;
}

export type PreparedStatement = PreparedQuery | PreparedWrite | PreparedDefinition;
