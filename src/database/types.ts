/** The public types of the SDK. Names are a contract (test/pins). */
import type { VerityError } from '../base/index.ts';
import type { MasterKeyProvider } from '../crypto/index.ts';

export type { MasterKeyProvider } from '../crypto/index.ts';

/** What a caller may pass as a parameter: matched against the parameter's inferred SQL type. */
export type SqlParameter =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Date
  | Uint8Array
  | readonly unknown[]
  | { readonly [key: string]: unknown };

/** A row: column name → value, by the type mapping of docs/types.md. */
export type Row = Record<string, unknown>;

export interface ResultColumnInfo {
  readonly name: string;
  /** The SQL type, e.g. 'integer', 'varchar(10)', 'numeric(12,2)'. */
  readonly type: string;
}

export interface OpenOptions {
  /** keys.fromFile(…), keys.fromEnv(), keys.fromPassphrase(…). */
  readonly masterKey?: MasterKeyProvider;
  /** Open without the lock and without writing: follow the log of a running owner. Default false. */
  readonly readOnly?: boolean;
  /** Create the database when the directory is absent or empty. Default true. */
  readonly create?: boolean;
  /** 'date' (default): timestamptz and timestamp become Date (milliseconds); 'microseconds': bigint microseconds since 1970. */
  readonly timestamps?: 'date' | 'microseconds';
  readonly onProgress?: (progress: Progress) => void;
}

export interface Progress {
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface CommandOptions {
  /** Who: recorded with the command, provable later. */
  readonly actor?: string;
  /** Why. */
  readonly reason?: string;
  /** The caller's id of this request; a keyed fingerprint of it is recorded. At most 4,096 bytes. */
  readonly requestId?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface QueryOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface ExecuteResult<R extends Row = Row> {
  /** The command's position; for a query or a no-op, the position it was decided at. */
  readonly position: bigint;
  readonly rowCount: number;
  readonly rows: R[];
  readonly columns: ResultColumnInfo[];
}

export interface QueryResult<R extends Row = Row> {
  readonly rows: R[];
  readonly columns: ResultColumnInfo[];
  /** The position the rows were read at. */
  readonly position: bigint;
}

export interface Transaction {
  execute<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
  ): Promise<ExecuteResult<R>>;
  query<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
  ): Promise<QueryResult<R>>;
}

export interface StreamEvent {
  readonly stream: string;
  /** Counts the events of the stream, from 1. */
  readonly version: bigint;
  readonly position: bigint;
  readonly time: Date;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
  readonly data: unknown;
}

export interface Change {
  readonly position: bigint;
  readonly time: Date;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
  /** The statement with literals replaced by $n. */
  readonly statement: string | undefined;
  readonly kind: 'insert' | 'update' | 'delete' | 'append' | 'createTable';
  /** Table or stream name. */
  readonly table: string;
  /** Primary key columns → values; the row id for a table without one; the version for a stream. */
  readonly key: Row;
  readonly before: Row | undefined;
  /** The new row; the event's data under `data` for a stream. */
  readonly after: Row | undefined;
}

export interface TenantHandle {
  readonly name: string;
  execute<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: CommandOptions,
  ): Promise<ExecuteResult<R>>;
  query<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  queryAt<R extends Row = Row>(
    sql: string,
    parameters: readonly SqlParameter[],
    at: bigint | Date,
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  stream<R extends Row = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: QueryOptions,
  ): AsyncIterableIterator<R>;
  transaction<T>(body: (tx: Transaction) => Promise<T>, options?: CommandOptions): Promise<T>;
  append(
    stream: string,
    events: readonly unknown[],
    options?: CommandOptions & { readonly expectedVersion?: bigint | number },
  ): Promise<{ position: bigint; version: bigint }>;
  read(
    stream: string,
    options?: { readonly fromVersion?: bigint | number; readonly toVersion?: bigint | number },
  ): AsyncIterableIterator<StreamEvent>;
  changes(options?: {
    readonly from?: bigint;
    readonly follow?: boolean;
    readonly signal?: AbortSignal;
  }): AsyncIterableIterator<Change>;
  /** Every change of one row, oldest first. `key`: the primary key's values in key order. */
  history(table: string, key: readonly SqlParameter[]): Promise<Change[]>;
  tables(): Promise<TableInfo[]>;
}

export interface TableInfo {
  readonly name: string;
  readonly columns: ResultColumnInfo[];
  readonly primaryKey: string[];
  readonly rowCount: number;
}

export interface VerifyReport {
  readonly ok: boolean;
  readonly filesRead: number;
  readonly bytesRead: number;
  readonly frames: number;
  readonly events: number;
  readonly position: bigint;
  /** Hex of the chain's head. */
  readonly chainHash: string;
  readonly findings: Finding[];
  /** An unfinished write at the end of the log, never acknowledged; the next open cuts it. */
  readonly tornTail:
    | { readonly file: string; readonly offset: number; readonly length: number }
    | undefined;
}

export interface Finding {
  readonly code: VerityError['code'];
  /** Relative to the database directory. */
  readonly file: string;
  readonly offset: number;
  readonly message: string;
}

export interface Status {
  readonly path: string;
  readonly formatRevision: number;
  readonly logId: string;
  readonly readOnly: boolean;
  readonly poisoned: boolean;
  readonly encryption: string;
  readonly keySlots: { id: number; kind: string }[];
  readonly position: bigint;
  readonly frames: number;
  readonly events: number;
  readonly tenants: string[];
  readonly chainHash: string;
  readonly logBytes: number;
  readonly segments: number;
  /** What opening found and did, e.g. a torn tail that was cut. */
  readonly recovery: { readonly cut: Finding[]; readonly cleanShutdown: boolean };
}
