/** The public types of the SDK. Names are a contract (test/pins). */
import type { VerityError } from '../base/index.ts';
import type { MasterKeyProvider, SecretKey } from '../crypto/index.ts';

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
  /** keys.fromFile(…), keys.fromEnv(), keys.fromPassphrase(…) or another of `keys` (docs/keys.md). */
  readonly masterKey?: MasterKeyProvider;
  /**
   * 'none' is plain mode: the database has no key, and nothing in it is secret or authentic. For migration and
   * for measuring what sealing costs. Must be given at every open of such a database, so that none is taken for
   * an encrypted one.
   */
  readonly encryption?: 'none';
  /** Cipher of a new database; default 'aes-256-gcm'. An existing one must have it, if it is given. */
  readonly algorithm?: 'aes-256-gcm' | 'chacha20-poly1305';
  /**
   * Compression of a new database, before sealing; default 'none'. An existing one must have it, if it is given.
   * Lengths tell about compressed contents: docs/decisions/0010-compression-is-off-by-default.md.
   */
  readonly compression?: 'none' | 'brotli';
  /**
   * Public name of a new database, under which it signs its checkpoints, e.g. 'clinic.example/records': 1 to 255 bytes
   * without white space and '+'. Default: 'veritydb.local/' and the log id. An existing one must have it, if it is given.
   */
  readonly origin?: string;
  /**
   * Gets failures of authentication as they are met, at most ten a minute; without it `onWarning` does. All are
   * counted in `status().security`.
   */
  readonly onSecurityFailure?: (failure: SecurityFailure) => void;
  /** Gets warnings, e.g. of plain mode; without it they are warnings of the process. */
  readonly onWarning?: (warning: string) => void;
  /**
   * Asks the key provider again this often whether it still opens the database. Default: at open only, and work on
   * cached keys is not bounded in time (docs/keys.md says why).
   */
  readonly masterKeyCheckEveryMs?: number;
  /**
   * How long work goes on after the last such check that succeeded; then commands and reads are refused with
   * KEY_PROVIDER_UNAVAILABLE until one succeeds. Default 3,600,000; at least masterKeyCheckEveryMs.
   */
  readonly masterKeyGraceMs?: number;
  /**
   * Derived keys in memory: at most `maxKeys` (default 16,384), each for at most `maxAgeMs` (default 3,600,000); then
   * they are wiped, and derived again when they are needed.
   */
  readonly keyCache?: { readonly maxKeys?: number; readonly maxAgeMs?: number };
  /**
   * Memory for pages of the store, in bytes: default 268,435,456 (256 MiB), from 1 MiB to 2,047 MiB. It is taken as
   * it is needed. Data may be larger: what is not in memory is read from `store/pages`.
   */
  readonly cacheBytes?: number;
  /**
   * Where a handle that only reads, and verification, put what their memory does not hold: a file without a name,
   * sealed under a key that is kept nowhere. Default: where TMPDIR says, else /var/tmp, else the system's.
   */
  readonly scratchDirectory?: string;
  /** Open without the lock and without writing: follow the log of a running owner. Default false. */
  readonly readOnly?: boolean;
  /**
   * Go on with a log that a witness has cosigned more, or other, of: the disk was rolled back, and that is meant. The log says so from
   * then on. Default false: such a database is refused with LOG_ROLLED_BACK (docs/proofs.md).
   */
  readonly acceptRollback?: boolean;
  /**
   * When checkpoints of the log are signed without being asked for: after so many events (default 10,000), and so many
   * seconds after the first event that none covers (default 60); 0: never (docs/proofs.md).
   */
  readonly proofs?: { readonly checkpointEvents?: number; readonly checkpointSeconds?: number };
  /** Create the database when the directory is absent or empty. Default true. */
  readonly create?: boolean;
  /** 'date' (default): timestamptz and timestamp become Date (milliseconds); 'microseconds': bigint microseconds since 1970. */
  readonly timestamps?: 'date' | 'microseconds';
  readonly onProgress?: (progress: Progress) => void;
}

/** Something did not open, is not authentic, or is older than it must be. */
export interface SecurityFailure {
  readonly code: VerityError['code'];
  /** Relative to the database directory, where a file is concerned. */
  readonly file: string | undefined;
  readonly offset: number | undefined;
  readonly message: string;
  readonly time: Date;
  /** How many before this one were counted and not reported. */
  readonly suppressed: number;
}

/** What the log's own record says of failures over a time: at most one record a minute. */
export interface SecurityRecord {
  readonly position: bigint;
  readonly from: Date;
  readonly to: Date;
  readonly failures: number;
  readonly byCode: Readonly<Partial<Record<VerityError['code'], number>>>;
  /** Where the first of them was. */
  readonly file: string | undefined;
  readonly offset: number | undefined;
}

/** `done` of `total`; of the log's segments, parts of one too, where nothing else is said. */
export interface Progress {
  /** 'replay' while the log is applied, 'verify' while everything is read and checked, and others. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

export interface CommandOptions {
  /** Who: recorded with the command, provable later. */
  readonly actor?: string;
  /** Why. */
  readonly reason?: string;
  /**
   * The caller's id of this request, at most 4,096 bytes, of which keyed digests are recorded. A command of the same
   * tenant, actor, id and content is done once: a repetition gets the first result, also after a restart. Throws
   * REQUEST_ID_REUSED for other content, REQUEST_EXPIRED once the result is no longer kept (a day).
   */
  readonly requestId?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface QueryOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /**
   * 'array': a row is an array in the order of `columns`, so columns of one name do not hide each other (of an object's,
   * the last wins); name the type: `query<unknown[]>(…)`. Default 'object'.
   */
  readonly rowMode?: 'object' | 'array';
}

/** Of query() alone. */
export interface ProveOptions extends QueryOptions {
  /**
   * The result has a proof of its rows, or that there are none, at a checkpoint that is signed then. For lookups by primary
   * key; others are refused with 0A000 (docs/sql.md).
   */
  readonly prove?: boolean;
}

export interface ExecuteOptions extends CommandOptions, Pick<QueryOptions, 'rowMode'> {}

export interface ExecuteResult<R extends Row | unknown[] = Row> {
  /** The command's position; for a query or a no-op, the position it was decided at. */
  readonly position: bigint;
  readonly rowCount: number;
  readonly rows: R[];
  readonly columns: ResultColumnInfo[];
}

export interface QueryResult<R extends Row | unknown[] = Row> {
  readonly rows: R[];
  readonly columns: ResultColumnInfo[];
  /** The position the rows were read at. */
  readonly position: bigint;
}

export interface ReceiptOptions {
  /**
   * Shows these columns and withholds the others, which then are neither shown nor guessable; for tables with
   * disclosure = 'field'. Default: all that was recorded.
   */
  readonly columns?: readonly string[];
  /**
   * Of a row's history: shows who, when and why also where the first event of the command is of another row, which is then
   * shown too (of tables with disclosure = 'field' without its columns). Default false.
   */
  readonly commands?: boolean;
}

export interface ProvedQueryResult<R extends Row | unknown[] = Row> extends QueryResult<R> {
  /** The text of a receipt of kind `state` (docs/format/receipt.md): for `verity check`, and for verifyReceipt of `veritydb/verify`. */
  readonly proof: string;
}

/** Reads at one snapshot plus its own writes. SAVEPOINT, ROLLBACK TO and RELEASE are statements of it. */
export interface Transaction {
  execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: Pick<QueryOptions, 'rowMode'>,
  ): Promise<ExecuteResult<R>>;
  query<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: Pick<QueryOptions, 'rowMode'>,
  ): Promise<QueryResult<R>>;
}

/** A transaction that its caller ends. Until then it holds nothing but memory. */
export interface OpenTransaction extends Transaction {
  /** Makes everything durable at one position. Rejects with TRANSACTION_CONFLICT if what was read has changed. */
  commit(): Promise<{ readonly position: bigint }>;
  /** Forgets everything. */
  rollback(): void;
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
  readonly kind:
    | 'insert'
    | 'update'
    | 'delete'
    | 'append'
    | 'createTable'
    /** ALTER TABLE, CREATE INDEX and DROP INDEX. */
    | 'alterTable'
    | 'dropTable'
    | 'createView'
    | 'dropView';
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
  execute<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: ExecuteOptions,
  ): Promise<ExecuteResult<R>>;
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
  queryAt<R extends Row | unknown[] = Row>(
    sql: string,
    parameters: readonly SqlParameter[],
    at: bigint | Date,
    options?: QueryOptions,
  ): Promise<QueryResult<R>>;
  stream<R extends Row | unknown[] = Row>(
    sql: string,
    parameters?: readonly SqlParameter[],
    options?: QueryOptions,
  ): AsyncIterableIterator<R>;
  /**
   * Starts a transaction whose end the caller decides; `transaction()` does that, and runs it again after a conflict.
   * Throws CLOSED, READ_ONLY, DATABASE_POISONED.
   */
  begin(options?: Pick<CommandOptions, 'actor' | 'reason'>): OpenTransaction;
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
  /**
   * The text of a receipt: everything that this tenant's commands at a position, or at all positions of a range, recorded, with the proof
   * that the log holds it. Anyone can check it with the log's verifier key: `verity check`, or verifyReceipt of `veritydb/verify`.
   * Signs a checkpoint where none covers it. Throws POSITION_UNKNOWN where there is nothing, VALUE_TOO_LARGE beyond 64 MiB.
   */
  receipt(
    position: bigint | { readonly from: bigint; readonly to: bigint },
    options?: Omit<ReceiptOptions, 'commands'>,
  ): Promise<string>;
  /** The receipt of all changes of one row, proved complete by the state that a checkpoint signed now stands for. */
  rowReceipt(
    table: string,
    key: readonly SqlParameter[],
    options?: ReceiptOptions,
  ): Promise<string>;
  tables(): Promise<TableInfo[]>;
  /** Makes a key-encryption key for `veritydb/envelope`, kept with the tenant's subject keys; its id. */
  createEnvelopeKey(): Promise<string>;
  /** The tenant's envelope keys, for an EnvelopeCipher; new blobs are sealed under the one of this id. */
  envelopeKeys(currentId: string): EnvelopeKeys;
}

/** A source of key-encryption keys, as `veritydb/envelope` takes it. */
export interface EnvelopeKeys {
  readonly currentId: string;
  kek(id: string): SecretKey | undefined;
  onFailure(error: VerityError): void;
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
  /** False without a key: seals, commitments and the anchor's MAC were not checked. */
  readonly opened: boolean;
  /** Finished segments whose file is as the log records it. */
  readonly segmentsCompared: number;
  /** The position of the store's checkpoint, all rows and versions of which were compared with the log's; absent if there is none. */
  readonly storeCompared?: bigint;
  /** The state hash that the log yields at the position of the one that is kept, which it was compared with; at its end if none is kept. */
  readonly stateHash?: StateHash;
  /** Values over 1 MiB, which are kept as blobs; absent without a key, and where there are none. */
  readonly blobs?: {
    /** Those that rows name, or named once; every byte of them was read. */
    readonly checked: number;
    /** Of these values. */
    readonly bytes: number;
    /** Files that no row names, which the next open for writing removes. */
    readonly unnamed: readonly string[];
  };
  /** What `repair` with `cutTail` cut from this log, oldest first. */
  readonly cuts: LogCut[];
}

/** A tail of the log that an operator had cut. */
export interface LogCut {
  readonly time: Date;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
  /** Relative to the database directory. */
  readonly file: string;
  readonly offset: number;
  readonly lengthBytes: number;
  /** The frames that were cut, as far as they were known. */
  readonly firstOp: number;
  readonly lastOp: number;
}

export interface CopyOptions {
  /** Bytes. */
  readonly onProgress?: (progress: Progress) => void;
}

/** What `copyLog` made. */
export interface LogCopyReport {
  readonly path: string;
  readonly logId: string;
  /** Names this copy; the log's id is the same in all. */
  readonly instanceId: string;
  readonly position: bigint;
  readonly frames: number;
  readonly events: number;
  readonly chainHash: string;
  readonly segments: number;
  readonly bytes: number;
}

/** Either `from` or `cutTail`. */
export interface RepairOptions extends Pick<OpenOptions, 'masterKey' | 'encryption'> {
  /**
   * Directory of another copy of the same database, which is only read. With neither this nor `cutTail` only the store
   * is made again, from the log.
   */
  readonly from?: string;
  /** With `from`: take frames of the copy that lie behind this log's own end, too. */
  readonly extend?: boolean;
  /** Cut the log at its first bad frame, or accept that it ends early. */
  readonly cutTail?: boolean;
  /** Only say what would be done. */
  readonly dryRun?: boolean;
  /** Who and why: recorded with a cut. */
  readonly actor?: string;
  readonly reason?: string;
  readonly onProgress?: (progress: Progress) => void;
}

export interface RebuildStoreOptions {
  /** Frames of the log. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface RepairReport {
  /** Whether the database verifies now, or, for a dry run, whether the plan was read back well. */
  readonly ok: boolean;
  readonly dryRun: boolean;
  /** Whole files that were restored: keyring, verity.json, anchor, files of subject keys, of proofs (tiles are removed). */
  readonly restored: string[];
  /** Frames that were taken from the copy, by places in the repaired files. */
  readonly replaced: {
    readonly file: string;
    readonly offset: number;
    readonly lengthBytes: number;
    readonly firstOp: number;
    readonly lastOp: number;
  }[];
  /** Segments that belong to no place in the log. */
  readonly removed: string[];
  readonly cut: Omit<LogCut, 'time' | 'actor' | 'reason'> | undefined;
  /** The copy has frames behind this log's end; they were not taken. */
  readonly copyGoesOn: boolean;
  /** The store was made again from the log; otherwise the next open does that. */
  readonly storeRebuilt?: boolean;
  /** The folder with what was replaced or cut, relative to the database directory. */
  readonly kept: string | undefined;
  /** The log as it is now. */
  readonly position: bigint;
  readonly frames: number;
  readonly chainHash: string;
  /** What reading the whole database afterwards found; absent in a dry run. */
  readonly verification?: VerifyReport;
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
  /** The database's public name, under which it signs checkpoints. */
  readonly origin: string;
  readonly readOnly: boolean;
  readonly poisoned: boolean;
  readonly encryption: 'none' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly compression: 'none' | 'brotli';
  readonly keySlots: { id: number; kind: string }[];
  /** Where the master key is checked while the database is open: the last check's error, and what became of it. */
  readonly keyProvider?:
    | {
        readonly lastFailure: VerityError['code'] | undefined;
        /** Commands and reads are refused until the provider opens the database again. */
        readonly refusing: boolean;
      }
    | undefined;
  readonly position: bigint;
  readonly frames: number;
  readonly events: number;
  readonly tenants: string[];
  readonly chainHash: string;
  /** The newest that is known; `stateHash()` brings it up to date. Absent where something stopped it being kept. */
  readonly stateHash?: StateHash;
  readonly logBytes: number;
  readonly segments: number;
  /** The store on the disk, which the log can make again at any time (docs/recovery.md). */
  readonly store: StoreStatus;
  /** Keys of data subjects. */
  readonly subjects: { readonly live: number; readonly erased: number; readonly pages: number };
  /** Failures of authentication that this handle met, and how many records of such failures the log holds. */
  readonly security: {
    readonly failures: number;
    readonly byCode: Readonly<Partial<Record<VerityError['code'], number>>>;
    readonly suppressed: number;
    readonly lastFailure: Date | undefined;
    readonly records: number;
  };
  /** How this process keeps keys: bytes of OpenSSL's secure heap, and whether all our keys are in locked memory. */
  readonly memory: {
    readonly secureHeap: number;
    readonly locked: boolean;
    readonly lockedBytes: number;
  };
  /** What opening found and did, e.g. a torn tail that was cut. */
  readonly recovery: {
    readonly cut: Finding[];
    readonly cleanShutdown: boolean;
    /** One of the anchor's two slots was torn by a crash, or damaged, and was written again. */
    readonly anchorRenewed?: boolean;
  };
}

/**
 * What the rows of all tables of all tenants are after a command, in 32 bytes: equal logs have equal ones, and any
 * difference in a row makes another. docs/format/state-hash.md says how it is made.
 */
export interface StateHash {
  /** Hex. */
  readonly hash: string;
  /** The last command that it covers. */
  readonly position: bigint;
}

/** Where the store on the disk stands. */
export interface StoreStatus {
  /** The position of its newest checkpoint: an open replays the log from there. 0n without one. */
  readonly checkpoint: bigint;
  /** Of `store/`. */
  readonly bytes: number;
  /** The owner's; absent for a handle that only reads. */
  readonly cache?: {
    /** What `cacheBytes` allows. */
    readonly bytes: number;
    readonly usedBytes: number;
    /** Of pages that the next checkpoint writes. */
    readonly dirtyBytes: number;
    /** Pages read from the disk, and written, since the open. */
    readonly pagesRead: number;
    readonly pagesWritten: number;
    /** Free pages of `store/pages`. */
    readonly freeBytes: number;
  };
  /** Damaged pages that this handle has met, each once, and the first of them; until `rebuildStore` makes them anew. */
  readonly damage?: { readonly pages: number; readonly first: Finding };
  /** Frames of the log that this handle's open replayed. */
  readonly replayedFrames?: number;
  /** Why this handle's open built the store anew from the log, if what was there was not fit. */
  readonly rebuilt?: Finding;
}
