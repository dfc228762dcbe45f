/** Audits of directories, with all cores. */
import { appendFileSync, readFileSync } from 'node:fs';
import { type Audit, auditDatabase, type AuditNotebook } from '../audit/index.ts';
import { VerityError } from '../base/index.ts';
import { fileBytes, inspectDirectory, segmentPaths } from '../engine/index.ts';
import { parseCheckpoint, parseNote } from '../proof/index.ts';
import { startThreads, threadsFor } from './audit-threads.ts';
import { timeStampCheck } from './timestamps.ts';
import { auditReportOf, verifyReportOf } from './verify-report.ts';
import { cacheBytesOf } from './store-options.ts';
import { isPlain, warnOfPlainMode } from './suite-options.ts';
import { hostFor, providerOf } from './surroundings.ts';
import type { AuditOptions, AuditReport } from './audit-types.ts';
import type { Progress, VerifyReport } from './types.ts';

/** Audits the database in a directory, beside a running owner too. Throws NO_DATABASE, KEY_MISSING, WRONG_KEY. */
export async function auditDirectory(path: string, options: AuditOptions): Promise<AuditReport> {
  const { audit, threads } = await audited(path, options);
  return auditReportOf(audit, threads);
}

/** As `auditDirectory`, told in short. */
export async function verifyDirectory(path: string, options: AuditOptions): Promise<VerifyReport> {
  const { onProgress, ...others } = options;
  const { audit } = await audited(path, {
    ...others,
    ...(onProgress !== undefined && {
      onProgress: ({ phase, done, total }: Progress) => {
        if (phase === 'log' && done > 0) onProgress({ phase: 'verify', done: done - 1, total });
      },
    }),
  });
  return verifyReportOf(audit);
}

async function audited(
  path: string,
  options: AuditOptions,
): Promise<{ readonly audit: Audit; readonly threads: number }> {
  const cacheBytes = cacheBytesOf(options);
  const host = hostFor(path, true, options.scratchDirectory);
  const { disk, entropy, scheduler } = host;
  if (inspectDirectory(disk) !== 'database')
    throw new VerityError('NO_DATABASE', `There is no database at ${path}. Check the path.`);
  if (options.since !== undefined) checkNote(options.since);
  const logBytes = segmentPaths(disk).reduce((sum, each) => sum + fileBytes(disk, each), 0);
  const threads = threadsFor(logBytes, options.threads);
  const { onProgress } = options;
  const audit = await auditDatabase({
    disk,
    entropy,
    scheduler,
    ...(host.scratch !== undefined && { scratch: host.scratch }),
    ...(cacheBytes !== undefined && { cacheBytes }),
    root: options.withoutKey === true ? 'none' : providerOf(options, false),
    checkTimeStamp: timeStampCheck(options.timeStampCa),
    ...(options.since !== undefined && { since: options.since }),
    ...(options.resume !== undefined && { notebook: notebookIn(options.resume) }),
    ...(threads > 0 && {
      workers: (hierarchy) => startThreads(threads, disk.root, hierarchy),
    }),
    ...(onProgress !== undefined && { onPhase: onProgress }),
  });
  if (isPlain(options)) warnOfPlainMode(path, options.onWarning);
  return { audit, threads: Math.max(1, threads) };
}

/** Whether a good note is of this database is what the audit says; text that is no note at all is a mistake of the caller. */
function checkNote(since: string): void {
  try {
    parseCheckpoint(parseNote(since).text);
  } catch (cause) {
    const what = cause instanceof VerityError ? cause.message : String(cause);
    throw new VerityError(
      'INVALID_ARGUMENT',
      `The checkpoint that the log is to go on from is none: ${what} Pass the text of a signed note, as it was printed.`,
      { cause },
    );
  }
}

/** A file of lines. A line that was torn when an audit was interrupted is not believed. */
function notebookIn(path: string): AuditNotebook {
  const before = readText(path);
  // What follows a torn line begins on one of its own.
  let start = before === '' || before.endsWith('\n') ? '' : '\n';
  return {
    lines: before.split('\n').filter((line) => line !== ''),
    append: (line) => {
      try {
        appendFileSync(path, `${start}${line}\n`, { mode: 0o600 });
      } catch (error) {
        throw unusable(path, error);
      }
      start = '';
    },
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw unusable(path, error);
  }
}

function unusable(path: string, cause: unknown): VerityError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new VerityError(
    'IO_ERROR',
    `The file ${path}, in which the audit keeps how far it is, cannot be used: ${reason}. Name another one.`,
    { cause, details: { path, reason } },
  );
}
