import { type ErrorCode, VerityError } from '../base/index.ts';
import { jsonDocument } from './output/json.ts';
import { printable } from './output/value-text.ts';

/** Exit codes of the command: 0 done, 1 failed, 2 usage, 3 integrity failure. */
export type ExitCode = 0 | 1 | 2 | 3;

export interface Failure {
  readonly exitCode: ExitCode;
  /** A code of the table in base/errors.ts, or INTERNAL for what should not have happened. */
  readonly code: ErrorCode | 'INTERNAL';
  readonly message: string;
  readonly sqlState: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A mistake in how the command was called: exit code 2. */
export function usageError(message: string): VerityError {
  return new VerityError('INVALID_ARGUMENT', message);
}

/** What to tell about anything thrown. Never a stack trace. */
export function failureOf(error: unknown): Failure {
  if (error instanceof VerityError) {
    return {
      exitCode: error.exitCode as ExitCode,
      code: error.code,
      message: error.message,
      sqlState: error.sqlState,
      details: error.details,
    };
  }
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    exitCode: 1,
    code: 'INTERNAL',
    message: `${what} (a defect of verity; please report it)`,
    sqlState: 'XX000',
    details: {},
  };
}

/** The one line (or JSON document) that standard error gets. */
export function renderFailure(failure: Failure, json: boolean): string {
  const { code, message, sqlState, details } = failure;
  if (json) return jsonDocument({ error: { code, message, sqlState, details } });
  const place = placeOf(details);
  const oneLine = printable(message).replaceAll('\n', ' ');
  return `error: ${oneLine}${place} [${code}]\n`;
}

/** The place in SQL text; messages about files name theirs themselves. */
function placeOf(details: Readonly<Record<string, unknown>>): string {
  const { offset, file, line, column } = details;
  const isSql = typeof offset === 'number' && file === undefined;
  if (!isSql || typeof line !== 'number' || typeof column !== 'number') return '';
  return ` (line ${line}, column ${column})`;
}
