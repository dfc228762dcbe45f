import { CorruptionError, VerityError } from '../base/index.ts';

export function isDiskFull(error: unknown): boolean {
  return error instanceof VerityError && error.code === 'DISK_FULL';
}

/** The error of whatever comes after the database was closed. */
export function closedError(): VerityError {
  return new VerityError('CLOSED', 'The database is closed. Open it again.');
}

/** The error of every command after a failed write or flush. */
export function poisonedError(cause: VerityError): VerityError {
  return new VerityError(
    'DATABASE_POISONED',
    cause instanceof CorruptionError
      ? `A durable command could not be applied, for a page of ${cause.file} is damaged at byte ${cause.offset}. So this handle accepts no more commands; what was committed before can still be read. Reopen the database: the log has it all.`
      : 'An earlier write of the log failed, so this handle accepts no more commands; committed data can still be read. Reopen the database.',
    { cause },
  );
}

/** The error of commands that were on their way when a write or flush failed. */
export function commitUnknown(cause: VerityError): VerityError {
  return new VerityError(
    'COMMIT_UNKNOWN',
    cause instanceof CorruptionError
      ? `This command was on its way when a page of ${cause.file} was found damaged at byte ${cause.offset}; it may or may not be durable. Reopen the database and look.`
      : 'Writing the log failed while this command was on its way; it may or may not be durable. Reopen the database and look.',
    { cause },
  );
}

/** `cause` as a VerityError: itself, or IO_ERROR with `message`. */
export function asVerityError(cause: unknown, message: string): VerityError {
  return cause instanceof VerityError ? cause : new VerityError('IO_ERROR', message, { cause });
}
