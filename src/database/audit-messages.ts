/** What an audit's threads tell each other. */
import { CorruptionError, type ErrorCode, VerityError } from '../base/index.ts';
import type { AuditJob, AuditResult } from '../audit/index.ts';

/** The first message to a thread. The key is moved, not copied, and overwritten by whoever takes it. */
export interface BeginMessage {
  readonly kind: 'begin';
  readonly directory: string;
  /** Absent: without a key. */
  readonly rootKey: ArrayBuffer | undefined;
}

export interface JobMessage {
  readonly kind: 'job';
  readonly job: AuditJob;
}

export type ThreadMessage = BeginMessage | JobMessage;

export type ThreadAnswer =
  | { readonly kind: 'done'; readonly result: AuditResult<AuditJob> }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** An error as data. */
export interface Failure {
  readonly message: string;
  /** Absent: a defect. */
  readonly code?: ErrorCode;
  readonly details?: Readonly<Record<string, unknown>>;
  /** Of a CorruptionError. */
  readonly place?: { readonly file: string; readonly offset: number };
}

export function failureOf(error: unknown): Failure {
  if (!(error instanceof VerityError))
    return { message: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  const { message, code, details } = error;
  if (!(error instanceof CorruptionError)) return { message, code, details };
  const { file, offset } = error;
  return { message, code, details, place: { file, offset } };
}

export function errorOf({ message, code, details = {}, place }: Failure): Error {
  if (code === undefined) return new Error(message);
  if (place === undefined) return new VerityError(code, message, { details });
  const error = new CorruptionError(code, place.file, place.offset, '');
  error.message = message;
  return error;
}
