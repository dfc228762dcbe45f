/**
 * The error codes as programs outside know them. A new code is added here; a code that changes or
 * goes breaks callers, and needs a note in CHANGELOG.md.
 */
import { expect, test } from 'vitest';
import { type ErrorCode, errorTable } from '../../src/base/index.ts';

/** Code, SQLSTATE, gRPC status, HTTP status, exit code, retryable. */
const pinned: [
  code: string,
  sqlState: string,
  grpc: string,
  http: number,
  exit: number,
  retryable: boolean,
][] = [
  ['CHECKSUM_MISMATCH', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['CHAIN_BROKEN', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['AUTHENTICATION_FAILED', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['COMMITMENT_MISMATCH', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['MISSING_DATA', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['FOREIGN_FILE', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['KEYRING_ROLLED_BACK', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['SUBJECT_KEYS_ROLLED_BACK', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['STATE_MISMATCH', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['PROOF_MALFORMED', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['SIGNATURE_INVALID', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['LOG_ROLLED_BACK', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['TIMESTAMP_INVALID', 'XX001', 'DATA_LOSS', 500, 3, false],
  ['KEY_MISSING', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['KEY_INVALID', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['KEY_FILE_EXPOSED', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['WRONG_KEY', '28P01', 'PERMISSION_DENIED', 403, 1, false],
  ['KEY_SLOT_FOREIGN', '28000', 'FAILED_PRECONDITION', 400, 3, false],
  ['NOT_ENCRYPTED', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['KEY_PROVIDER_MISSING', '58P01', 'FAILED_PRECONDITION', 400, 1, false],
  ['KEY_PROVIDER_UNAVAILABLE', '08006', 'UNAVAILABLE', 503, 1, true],
  ['KEY_PROVIDER_DENIED', '28000', 'PERMISSION_DENIED', 403, 1, false],
  ['KEY_ROTATION_UNSUPPORTED', '0A000', 'UNIMPLEMENTED', 400, 1, false],
  ['REKEY_RUNNING', '55006', 'FAILED_PRECONDITION', 409, 1, true],
  ['MEMORY_LOCK_UNAVAILABLE', '58P01', 'FAILED_PRECONDITION', 400, 1, false],
  ['UNKNOWN_SUBJECT', '3D000', 'NOT_FOUND', 404, 1, false],
  ['SUBJECT_ERASED', '3D000', 'NOT_FOUND', 410, 1, false],
  ['VKEY_INVALID', '22023', 'INVALID_ARGUMENT', 400, 1, false],
  ['ENVELOPE_INVALID', '22023', 'INVALID_ARGUMENT', 400, 1, false],
  ['ENVELOPE_KEY_UNKNOWN', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['NOT_A_DATABASE', '58P01', 'FAILED_PRECONDITION', 400, 1, false],
  ['NO_DATABASE', '3D000', 'NOT_FOUND', 404, 1, false],
  ['DATABASE_EXISTS', '42P04', 'ALREADY_EXISTS', 409, 1, false],
  ['FORMAT_UNSUPPORTED', '58P01', 'FAILED_PRECONDITION', 400, 1, false],
  ['DATABASE_LOCKED', '55006', 'UNAVAILABLE', 503, 1, true],
  ['READ_ONLY', '25006', 'FAILED_PRECONDITION', 403, 1, false],
  ['DISK_FULL', '53100', 'RESOURCE_EXHAUSTED', 507, 1, false],
  ['IO_ERROR', '58030', 'UNAVAILABLE', 500, 1, false],
  ['DATABASE_POISONED', '58030', 'UNAVAILABLE', 503, 1, false],
  ['CLOSED', '08003', 'FAILED_PRECONDITION', 409, 1, false],
  ['COMMIT_UNKNOWN', '08007', 'UNKNOWN', 500, 1, false],
  ['ABORTED', '57014', 'CANCELLED', 499, 1, false],
  ['TIMEOUT', '57014', 'DEADLINE_EXCEEDED', 504, 1, true],
  ['WITNESS_UNAVAILABLE', '08006', 'UNAVAILABLE', 503, 1, true],
  ['WITNESS_REFUSED', '28000', 'FAILED_PRECONDITION', 400, 1, false],
  ['OVERLOADED', '53000', 'RESOURCE_EXHAUSTED', 503, 1, true],
  ['INVALID_ARGUMENT', '22023', 'INVALID_ARGUMENT', 400, 2, false],
  ['UNKNOWN_TENANT', '3D000', 'NOT_FOUND', 404, 1, false],
  ['TENANT_EXISTS', '42P04', 'ALREADY_EXISTS', 409, 1, false],
  ['VERSION_CONFLICT', '40001', 'ABORTED', 409, 1, false],
  ['TRANSACTION_CONFLICT', '40001', 'ABORTED', 409, 1, true],
  ['REQUEST_ID_REUSED', '23505', 'ALREADY_EXISTS', 409, 1, false],
  ['REQUEST_EXPIRED', '23505', 'ALREADY_EXISTS', 410, 1, false],
  ['TRANSACTION_OPEN', '25001', 'FAILED_PRECONDITION', 409, 1, false],
  ['NO_TRANSACTION', '25P01', 'FAILED_PRECONDITION', 409, 1, false],
  ['UNDEFINED_SAVEPOINT', '3B001', 'INVALID_ARGUMENT', 400, 1, false],
  ['TRANSACTION_ENDED', '25P01', 'FAILED_PRECONDITION', 409, 1, false],
  ['POSITION_UNKNOWN', '22023', 'OUT_OF_RANGE', 400, 1, false],
  ['COMMAND_TOO_LARGE', '54000', 'INVALID_ARGUMENT', 413, 1, false],
  ['VALUE_TOO_LARGE', '54000', 'INVALID_ARGUMENT', 413, 1, false],
  ['IMPORT_INVALID', '22P04', 'INVALID_ARGUMENT', 400, 1, false],
  ['SYNTAX_ERROR', '42601', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNSUPPORTED_SQL', '0A000', 'UNIMPLEMENTED', 400, 1, false],
  ['STATEMENT_TOO_LARGE', '54000', 'INVALID_ARGUMENT', 400, 1, false],
  ['STATEMENT_TOO_COMPLEX', '54001', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNDEFINED_TABLE', '42P01', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNDEFINED_COLUMN', '42703', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNDEFINED_FUNCTION', '42883', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNDEFINED_PARAMETER', '42P02', 'INVALID_ARGUMENT', 400, 1, false],
  ['INDETERMINATE_TYPE', '42P18', 'INVALID_ARGUMENT', 400, 1, false],
  ['DUPLICATE_TABLE', '42P07', 'INVALID_ARGUMENT', 400, 1, false],
  ['UNDEFINED_OBJECT', '42704', 'INVALID_ARGUMENT', 400, 1, false],
  ['DUPLICATE_OBJECT', '42710', 'INVALID_ARGUMENT', 400, 1, false],
  ['WRONG_OBJECT_TYPE', '42809', 'INVALID_ARGUMENT', 400, 1, false],
  ['DEPENDENT_OBJECTS', '2BP01', 'FAILED_PRECONDITION', 409, 1, false],
  ['INVALID_FOREIGN_KEY', '42830', 'INVALID_ARGUMENT', 400, 1, false],
  ['DUPLICATE_COLUMN', '42701', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_TABLE_DEFINITION', '42P16', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_COLUMN_REFERENCE', '42P10', 'INVALID_ARGUMENT', 400, 1, false],
  ['GROUPING_ERROR', '42803', 'INVALID_ARGUMENT', 400, 1, false],
  ['TYPE_MISMATCH', '42804', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_TEXT', '22P02', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_DATETIME', '22007', 'INVALID_ARGUMENT', 400, 1, false],
  ['DATETIME_OUT_OF_RANGE', '22008', 'INVALID_ARGUMENT', 400, 1, false],
  ['INTERVAL_OUT_OF_RANGE', '22015', 'INVALID_ARGUMENT', 400, 1, false],
  ['NUMERIC_OUT_OF_RANGE', '22003', 'INVALID_ARGUMENT', 400, 1, false],
  ['DIVISION_BY_ZERO', '22012', 'INVALID_ARGUMENT', 400, 1, false],
  ['AMBIGUOUS_COLUMN', '42702', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_FUNCTION_ARGUMENT', '2201F', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_LOGARITHM', '2201E', 'INVALID_ARGUMENT', 400, 1, false],
  ['DUPLICATE_ALIAS', '42712', 'INVALID_ARGUMENT', 400, 1, false],
  ['CARDINALITY_VIOLATION', '21000', 'INVALID_ARGUMENT', 400, 1, false],
  ['QUERY_TOO_LARGE', '54000', 'RESOURCE_EXHAUSTED', 400, 1, false],
  ['CANNOT_COERCE', '42846', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_ESCAPE', '22025', 'INVALID_ARGUMENT', 400, 1, false],
  ['SUBSTRING_ERROR', '22011', 'INVALID_ARGUMENT', 400, 1, false],
  ['STRING_TOO_LONG', '22001', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_LIMIT', '2201W', 'INVALID_ARGUMENT', 400, 1, false],
  ['INVALID_OFFSET', '2201X', 'INVALID_ARGUMENT', 400, 1, false],
  ['NOT_NULL_VIOLATION', '23502', 'FAILED_PRECONDITION', 409, 1, false],
  ['UNIQUE_VIOLATION', '23505', 'ALREADY_EXISTS', 409, 1, false],
  ['FOREIGN_KEY_VIOLATION', '23503', 'FAILED_PRECONDITION', 409, 1, false],
  ['CHECK_VIOLATION', '23514', 'FAILED_PRECONDITION', 409, 1, false],
];

test('the table of error codes is the pinned one', () => {
  const table = (Object.keys(errorTable) as ErrorCode[]).map((code) => {
    const { sqlState, grpc, http, exit, retryable } = errorTable[code];
    return [code, sqlState, grpc, http, exit, retryable];
  });
  expect(table).toEqual(pinned);
});

test('codes are UPPER_SNAKE, SQLSTATEs five characters, meanings whole sentences', () => {
  for (const [code, { sqlState, meaning }] of Object.entries(errorTable)) {
    expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
    expect(sqlState).toMatch(/^[0-9A-Z]{5}$/);
    expect(meaning).toMatch(/^[A-Z].*\.$/);
  }
});

test('damage and what may be forged, and only these, end a command with exit code 3', () => {
  const damage = (Object.keys(errorTable) as ErrorCode[]).filter(
    (code) => errorTable[code].exit === 3,
  );
  expect(damage).toEqual([
    'CHECKSUM_MISMATCH',
    'CHAIN_BROKEN',
    'AUTHENTICATION_FAILED',
    'COMMITMENT_MISMATCH',
    'MISSING_DATA',
    'FOREIGN_FILE',
    'KEYRING_ROLLED_BACK',
    'SUBJECT_KEYS_ROLLED_BACK',
    'STATE_MISMATCH',
    'PROOF_MALFORMED',
    'SIGNATURE_INVALID',
    'LOG_ROLLED_BACK',
    'TIMESTAMP_INVALID',
    'KEY_SLOT_FOREIGN',
  ]);
});
