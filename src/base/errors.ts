/**
 * Every error that an operation can meet. One table: code → SQLSTATE, gRPC status, HTTP status,
 * exit code, retryable. Codes are a contract (pinned in test/pins); docs/errors.md is made from it.
 */
import type { TreeId } from './ids.ts';

interface ErrorKind {
  readonly sqlState: string;
  readonly grpc: string;
  readonly http: number;
  readonly exit: 1 | 2 | 3;
  readonly retryable: boolean;
  readonly meaning: string;
}

const kind = (
  sqlState: string,
  grpc: string,
  http: number,
  meaning: string,
  more: Partial<ErrorKind> = {},
): ErrorKind => ({ sqlState, grpc, http, exit: 1, retryable: false, meaning, ...more });
const caller = (sqlState: string, meaning: string): ErrorKind =>
  kind(sqlState, 'INVALID_ARGUMENT', 400, meaning);
const integrity = (meaning: string): ErrorKind =>
  kind('XX001', 'DATA_LOSS', 500, meaning, { exit: 3 });

export const errorTable = {
  // Integrity
  CHECKSUM_MISMATCH: integrity('Bytes on disk are not the bytes that were written.'),
  CHAIN_BROKEN: integrity('The hash chain does not continue from one frame to the next.'),
  AUTHENTICATION_FAILED: integrity(
    'Sealed bytes do not open: altered, moved, or sealed under another key.',
  ),
  COMMITMENT_MISMATCH: integrity('An event does not match its commitment.'),
  MISSING_DATA: integrity('A part of the log or of the keyring is missing.'),
  FOREIGN_FILE: integrity('A file belongs to another database.'),
  KEYRING_ROLLED_BACK: integrity('The keyring is older than the log says it must be.'),
  SUBJECT_KEYS_ROLLED_BACK: integrity(
    'A page of subject keys is not of the generation that the log names.',
  ),
  STATE_MISMATCH: integrity('Derived state differs from what the log yields.'),
  PROOF_MALFORMED: integrity(
    'A note, checkpoint or proof is not in the one spelling that its format allows.',
  ),
  SIGNATURE_INVALID: integrity("A known key's signature is wrong, or no known key has signed."),
  LOG_ROLLED_BACK: integrity(
    'A witness has cosigned a later or another state of the log than there is on the disk.',
  ),
  TIMESTAMP_INVALID: integrity(
    'A time stamp is not one of the checkpoint by an authority that is trusted.',
  ),
  // Keys
  KEY_MISSING: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'No master key was given, or its file is not there.',
  ),
  KEY_INVALID: kind('28000', 'FAILED_PRECONDITION', 400, 'The master key is malformed.'),
  KEY_FILE_EXPOSED: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'Others than its owner can read or change the key file.',
  ),
  WRONG_KEY: kind(
    '28P01',
    'PERMISSION_DENIED',
    403,
    'The master key is not the one of this database.',
  ),
  KEY_SLOT_FOREIGN: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'What a key pair opens was locked with its public key alone, so that anybody may have made it.',
    { exit: 3 },
  ),
  NOT_ENCRYPTED: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'The database is in plain mode, which the caller did not ask for.',
  ),
  KEY_PROVIDER_MISSING: kind(
    '58P01',
    'FAILED_PRECONDITION',
    400,
    'The package or module of a key provider is not installed.',
  ),
  KEY_PROVIDER_UNAVAILABLE: kind(
    '08006',
    'UNAVAILABLE',
    503,
    'The key provider does not answer; the time for trying again is over.',
    { retryable: true },
  ),
  KEY_PROVIDER_DENIED: kind(
    '28000',
    'PERMISSION_DENIED',
    403,
    'The key provider refuses the use of the key.',
  ),
  KEY_ROTATION_UNSUPPORTED: kind(
    '0A000',
    'UNIMPLEMENTED',
    400,
    'The key provider cannot renew its own key.',
  ),
  REKEY_RUNNING: kind(
    '55006',
    'FAILED_PRECONDITION',
    409,
    'The database is being rekeyed already.',
    { retryable: true },
  ),
  MEMORY_LOCK_UNAVAILABLE: kind(
    '58P01',
    'FAILED_PRECONDITION',
    400,
    'Memory for keys cannot be locked: the library is missing, or the limit too low.',
  ),
  UNKNOWN_SUBJECT: kind('3D000', 'NOT_FOUND', 404, 'There is no subject key of this number.'),
  SUBJECT_ERASED: kind('3D000', 'NOT_FOUND', 410, "The data subject's key was destroyed."),
  VKEY_INVALID: caller('22023', 'The text is not a verifier key that can be trusted.'),
  ENVELOPE_INVALID: caller('22023', 'The bytes are not an encrypted blob.'),
  ENVELOPE_KEY_UNKNOWN: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'The key that an encrypted blob names is not among those given.',
  ),
  // Files and the handle
  NOT_A_DATABASE: kind(
    '58P01',
    'FAILED_PRECONDITION',
    400,
    'The directory holds other files, not a VerityDB database.',
  ),
  NO_DATABASE: kind('3D000', 'NOT_FOUND', 404, 'There is no database at this path.'),
  DATABASE_EXISTS: kind(
    '42P04',
    'ALREADY_EXISTS',
    409,
    'There is already a database at this path.',
  ),
  FORMAT_UNSUPPORTED: kind(
    '58P01',
    'FAILED_PRECONDITION',
    400,
    'The file was written by another format revision.',
  ),
  DATABASE_LOCKED: kind(
    '55006',
    'UNAVAILABLE',
    503,
    'Another process has the database open for writing.',
    { retryable: true },
  ),
  READ_ONLY: kind(
    '25006',
    'FAILED_PRECONDITION',
    403,
    'The directory, file system or handle is read-only.',
  ),
  DISK_FULL: kind('53100', 'RESOURCE_EXHAUSTED', 507, 'There is no space left on the disk.'),
  IO_ERROR: kind('58030', 'UNAVAILABLE', 500, 'The operating system refused a file operation.'),
  DATABASE_POISONED: kind(
    '58030',
    'UNAVAILABLE',
    503,
    'An earlier flush failed; the handle only reads. Reopen the database.',
  ),
  CLOSED: kind('08003', 'FAILED_PRECONDITION', 409, 'The database handle is closed.'),
  COMMIT_UNKNOWN: kind(
    '08007',
    'UNKNOWN',
    500,
    'The command may or may not be durable. Look before repeating it.',
  ),
  ABORTED: kind('57014', 'CANCELLED', 499, 'The caller cancelled before the command was decided.'),
  TIMEOUT: kind('57014', 'DEADLINE_EXCEEDED', 504, 'The time limit ran out.', { retryable: true }),
  WITNESS_UNAVAILABLE: kind(
    '08006',
    'UNAVAILABLE',
    503,
    'A witness or a time-stamp authority does not answer, or not as one.',
    { retryable: true },
  ),
  WITNESS_REFUSED: kind(
    '28000',
    'FAILED_PRECONDITION',
    400,
    'A witness or a time-stamp authority does not serve this database.',
  ),
  OVERLOADED: kind(
    '53000',
    'RESOURCE_EXHAUSTED',
    503,
    'Too many commands wait for the log; this one was not begun.',
    { retryable: true },
  ),
  // Callers
  INVALID_ARGUMENT: kind(
    '22023',
    'INVALID_ARGUMENT',
    400,
    'An argument is not of the documented form.',
    { exit: 2 },
  ),
  UNKNOWN_TENANT: kind('3D000', 'NOT_FOUND', 404, 'There is no tenant of this name.'),
  TENANT_EXISTS: kind('42P04', 'ALREADY_EXISTS', 409, 'There is already a tenant of this name.'),
  VERSION_CONFLICT: kind('40001', 'ABORTED', 409, 'The stream is not at the expected version.'),
  TRANSACTION_CONFLICT: kind(
    '40001',
    'ABORTED',
    409,
    'What the transaction read has changed. Run it again.',
    { retryable: true },
  ),
  REQUEST_ID_REUSED: kind(
    '23505',
    'ALREADY_EXISTS',
    409,
    'The request id was used before for a command with other content.',
  ),
  REQUEST_EXPIRED: kind(
    '23505',
    'ALREADY_EXISTS',
    410,
    'The request was done too long ago for its result to be repeated. It is not done again.',
  ),
  TRANSACTION_OPEN: kind('25001', 'FAILED_PRECONDITION', 409, 'A transaction is open already.'),
  NO_TRANSACTION: kind('25P01', 'FAILED_PRECONDITION', 409, 'There is no open transaction.'),
  UNDEFINED_SAVEPOINT: caller('3B001', 'The transaction has no savepoint of this name.'),
  TRANSACTION_ENDED: kind(
    '25P01',
    'FAILED_PRECONDITION',
    409,
    'The transaction has already ended.',
  ),
  POSITION_UNKNOWN: kind(
    '22023',
    'OUT_OF_RANGE',
    400,
    'The position lies beyond the last committed one.',
  ),
  COMMAND_TOO_LARGE: kind('54000', 'INVALID_ARGUMENT', 413, 'The command exceeds the size limit.'),
  VALUE_TOO_LARGE: kind('54000', 'INVALID_ARGUMENT', 413, 'A value exceeds the size limit.'),
  IMPORT_INVALID: kind(
    '22P04',
    'INVALID_ARGUMENT',
    400,
    'A file to import has a bad row; nothing of it was loaded.',
  ),
  // SQL
  SYNTAX_ERROR: caller('42601', 'The text is not SQL.'),
  UNSUPPORTED_SQL: kind('0A000', 'UNIMPLEMENTED', 400, 'Valid SQL that VerityDB does not support.'),
  STATEMENT_TOO_LARGE: caller('54000', 'The statement exceeds the size limit.'),
  STATEMENT_TOO_COMPLEX: caller('54001', 'The statement is nested too deeply.'),
  UNDEFINED_TABLE: caller('42P01', 'There is no table of this name.'),
  UNDEFINED_COLUMN: caller('42703', 'There is no column of this name.'),
  UNDEFINED_FUNCTION: caller('42883', 'There is no such function or operator for these types.'),
  UNDEFINED_PARAMETER: caller('42P02', 'A parameter was not given a value.'),
  INDETERMINATE_TYPE: caller('42P18', 'The type of a parameter cannot be inferred.'),
  DUPLICATE_TABLE: caller('42P07', 'There is already a table of this name.'),
  UNDEFINED_OBJECT: caller('42704', 'There is no index or constraint of this name.'),
  DUPLICATE_OBJECT: caller('42710', 'There is already a constraint of this name.'),
  WRONG_OBJECT_TYPE: caller(
    '42809',
    'The name is that of a table, view or index, not of what the statement is for.',
  ),
  DEPENDENT_OBJECTS: kind(
    '2BP01',
    'FAILED_PRECONDITION',
    409,
    'Other definitions rest on this one.',
  ),
  INVALID_FOREIGN_KEY: caller('42830', 'A foreign key refers to columns that are not a key.'),
  DUPLICATE_COLUMN: caller('42701', 'A column is named twice.'),
  INVALID_TABLE_DEFINITION: caller('42P16', 'The table definition contradicts itself.'),
  INVALID_COLUMN_REFERENCE: caller('42P10', 'A column reference is not allowed here.'),
  GROUPING_ERROR: caller('42803', 'A column must be grouped or aggregated.'),
  TYPE_MISMATCH: caller('42804', 'The expression is of another type than the place asks for.'),
  INVALID_TEXT: caller('22P02', 'The text is not a value of the type.'),
  INVALID_DATETIME: caller('22007', 'The text is not a date or time.'),
  DATETIME_OUT_OF_RANGE: caller('22008', 'The date or time is out of range.'),
  INTERVAL_OUT_OF_RANGE: caller('22015', 'A field of the interval is out of its range.'),
  NUMERIC_OUT_OF_RANGE: caller('22003', 'The number is out of the range of its type.'),
  DIVISION_BY_ZERO: caller('22012', 'Division by zero.'),
  AMBIGUOUS_COLUMN: caller('42702', 'A name could mean several columns.'),
  INVALID_FUNCTION_ARGUMENT: caller('2201F', 'A power or root has no value for its argument.'),
  INVALID_LOGARITHM: caller('2201E', 'A logarithm has no value for its argument.'),
  DUPLICATE_ALIAS: caller('42712', 'FROM or WITH uses a name twice.'),
  CARDINALITY_VIOLATION: caller(
    '21000',
    'A subquery that stands for one value yields several rows.',
  ),
  QUERY_TOO_LARGE: kind(
    '54000',
    'RESOURCE_EXHAUSTED',
    400,
    'A query reads or holds more rows than one query may.',
  ),
  CANNOT_COERCE: caller('42846', 'There is no cast between these types.'),
  INVALID_ESCAPE: caller('22025', 'The escape of a LIKE pattern is malformed.'),
  SUBSTRING_ERROR: caller('22011', 'The length of a substring is negative.'),
  STRING_TOO_LONG: caller('22001', 'The text is too long for varchar(n).'),
  INVALID_LIMIT: caller('2201W', 'LIMIT must not be negative.'),
  INVALID_OFFSET: caller('2201X', 'OFFSET must not be negative.'),
  NOT_NULL_VIOLATION: kind('23502', 'FAILED_PRECONDITION', 409, 'NULL in a NOT NULL column.'),
  UNIQUE_VIOLATION: kind('23505', 'ALREADY_EXISTS', 409, 'The key already exists.'),
  FOREIGN_KEY_VIOLATION: kind(
    '23503',
    'FAILED_PRECONDITION',
    409,
    'A row refers to one that is not there, or is still referred to.',
  ),
  CHECK_VIOLATION: kind('23514', 'FAILED_PRECONDITION', 409, 'A CHECK constraint does not hold.'),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

export interface ErrorOptions {
  readonly cause?: unknown;
  /** Facts for programs: never a key, never a stored value. SQL errors carry `offset` (index into the statement's text). */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** What operations meet. `code` is stable; the message says what happened, to what, and what to do next. */
export class VerityError extends Error {
  override readonly name: string = 'VerityError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  get sqlState(): string {
    return errorTable[this.code].sqlState;
  }
  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }
  get exitCode(): number {
    return errorTable[this.code].exit;
  }
}

/** Bytes on disk are not what was written. Names the file (relative to the database) and the byte offset of the damaged part. */
export class CorruptionError extends VerityError {
  override readonly name = 'CorruptionError';
  readonly file: string;
  readonly offset: number;
  override readonly details: Record<string, unknown>;
  /** Of a file that holds many trees: the one that was asked for, until `nameData` says whose it is. */
  tree: TreeId | undefined;

  constructor(code: ErrorCode, file: string, offset: number, what: string) {
    super(
      code,
      `${what} in ${file} at byte ${offset}. Nothing was changed; ${adviceFor(code, file)}.`,
    );
    this.file = file;
    this.offset = offset;
    this.details = { file, offset };
  }

  /** Adds whose data was asked for when the damage was met, to message and details. */
  nameData(of: { readonly tenant?: string; readonly table?: string }): void {
    this.tree = undefined;
    const { tenant, table } = of;
    if (tenant === undefined) return;
    Object.assign(this.details, of);
    const what = table === undefined ? 'data' : `table "${table}"`;
    this.message += ` It was met at ${what} of tenant "${tenant}".`;
  }
}

function adviceFor(code: ErrorCode, file: string): string {
  if (code === 'FORMAT_UNSUPPORTED') return 'use the version of VerityDB that wrote it';
  // Derived from the log: no copy is needed.
  if (file.startsWith('store/'))
    return 'have the log make this file again: db.rebuildStore(), or, while nobody has the database open, verity repair (docs/recovery.md)';
  return 'restore this file from a copy: verity repair --from (docs/recovery.md)';
}

/** An error in SQL text. `offset` is the index (UTF-16 units) into the original text. */
export function sqlError(code: ErrorCode, message: string, offset?: number): VerityError {
  return new VerityError(code, message, offset === undefined ? {} : { details: { offset } });
}
