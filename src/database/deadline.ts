import { VerityError } from '../base/index.ts';
import { checkOptions } from './arguments.ts';

/** Node's timers take no more and would fire at once; in 24 days nobody waits any longer. */
const timerMsMax = 2 ** 31 - 1;

export interface Deadline {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** Throws ABORTED if the caller has cancelled, INVALID_ARGUMENT for a bad time limit. */
export function checkDeadline(deadline: Deadline): void {
  checkOptions(deadline);
  const { signal, timeoutMs } = deadline;
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'timeoutMs must be a positive number of milliseconds.',
    );
  }
  if (signal !== undefined && typeof signal?.addEventListener !== 'function') {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'signal must be an AbortSignal, such as that of an AbortController.',
    );
  }
  if (signal?.aborted === true)
    throw new VerityError('ABORTED', 'The caller cancelled before anything was done.', {
      cause: signal.reason,
    });
}

/**
 * Waits for `work`, but no longer than the deadline allows. `late` makes the error: for a command
 * under way that is COMMIT_UNKNOWN, since it may still become durable.
 */
export function withDeadline<T>(
  work: Promise<T>,
  deadline: Deadline,
  late: (why: 'aborted' | 'timeout') => VerityError,
): Promise<T> {
  const { signal, timeoutMs } = deadline;
  if (signal === undefined && timeoutMs === undefined) return work;
  return new Promise<T>((resolve, reject) => {
    const abort = (): void => settle(() => reject(late('aborted')));
    const timer =
      timeoutMs === undefined || timeoutMs > timerMsMax
        ? undefined
        : setTimeout(() => settle(() => reject(late('timeout'))), timeoutMs);
    const settle = (finish: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
      finish();
    };
    signal?.addEventListener('abort', abort, { once: true });
    work.then(
      (value) => settle(() => resolve(value)),
      (error: unknown) => settle(() => reject(error as Error)),
    );
  });
}

/** The error for a command whose caller stopped waiting. */
export function commandLate(why: 'aborted' | 'timeout'): VerityError {
  const what = why === 'aborted' ? 'The caller cancelled' : 'The time limit ran out';
  return new VerityError(
    'COMMIT_UNKNOWN',
    `${what} while the command was on its way; it may or may not be durable. Look before repeating it.`,
  );
}
