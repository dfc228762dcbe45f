import { existsSync, readdirSync } from 'node:fs';
import { VerityError } from '../base/index.ts';
import {
  type AuditOptions,
  type CommandOptions,
  type OpenOptions,
  type Progress,
  type TenantHandle,
  Verity,
} from '../database/index.ts';
import { usageError } from './failure.ts';
import { isAbsentDefault, type KeyOptions, keySourceOf, masterKeyOf } from './master-key.ts';
import { jsonDocument } from './output/json.ts';
import { type ProgressLine, startProgress } from './progress.ts';
import type { Output, Terminal } from './terminal.ts';

/** The options that every verb takes. */
export interface CommonOptions extends KeyOptions {
  readonly json?: boolean;
  readonly actor?: string;
  readonly reason?: string;
  readonly cacheBytes?: string;
  readonly scratch?: string;
  readonly acceptRollback?: boolean;
}

/** One run of one verb. */
export interface Invocation {
  readonly terminal: Terminal;
  readonly output: Output;
  /** DIR as it was given. */
  readonly directory: string;
  readonly options: CommonOptions;
}

/** Opens the database, which must exist. Times are read as microseconds, so that none is rounded. */
export async function openDatabase(
  invocation: Invocation,
  mode: 'write' | 'readOnly',
): Promise<Verity> {
  const { directory } = invocation;
  // Looked at first: with a wrong path, a missing key file would be the lesser part of the truth.
  assertDatabaseDirectory(directory);
  const access = await accessTo(invocation);
  const { onProgress, end } = segmentProgress(invocation, 'opening');
  const readOnly = mode === 'readOnly';
  return Verity.open(directory, {
    ...access,
    create: false,
    readOnly,
    timestamps: 'microseconds',
    acceptRollback: invocation.options.acceptRollback === true,
    onProgress,
    ...memoryOptions(invocation.options),
  }).finally(end);
}

const byteUnits: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** `--cache-bytes` and `--scratch` as the SDK takes them. Throws a usage error for what is no number of bytes. */
export function memoryOptions({
  cacheBytes,
  scratch,
}: CommonOptions): Pick<OpenOptions, 'cacheBytes' | 'scratchDirectory'> {
  const place = scratch === undefined ? {} : { scratchDirectory: scratch };
  if (cacheBytes === undefined) return place;
  const [, digits, unit] = /^(\d{1,15})([KMG]?)$/.exec(cacheBytes) ?? [];
  if (digits === undefined || unit === undefined)
    throw usageError('--cache-bytes takes a number of bytes, such as 67108864 or 64M.');
  return { ...place, cacheBytes: Number(digits) * (byteUnits[unit] as number) };
}

/**
 * What opens the database: a master key, or nothing for one in plain mode, with a warning. A key that is given
 * is meant: with one, a plain database is refused, lest it was put in the place of an encrypted one.
 */
export async function accessTo(
  invocation: Invocation,
): Promise<Pick<OpenOptions, 'masterKey' | 'encryption' | 'onWarning'>> {
  const { directory, options, terminal } = invocation;
  const source = keySourceOf(directory, options, terminal);
  if (isAbsentDefault(source) && Verity.encryptionOf(directory) === 'none')
    return { encryption: 'none', onWarning: (warning) => warn(invocation, warning) };
  return {
    masterKey: await masterKeyOf(source, terminal),
    onWarning: (warning) => warn(invocation, warning),
  };
}

/** As `accessTo`; without a key, and with a warning, where none was named, none is in its usual place, and one is needed. */
export async function accessIfNamed(
  invocation: Invocation,
): Promise<Pick<AuditOptions, 'masterKey' | 'encryption' | 'withoutKey' | 'onWarning'>> {
  const { directory, options, terminal } = invocation;
  const isNamed = !isAbsentDefault(keySourceOf(directory, options, terminal));
  if (isNamed || Verity.encryptionOf(directory) === 'none') return accessTo(invocation);
  warn(invocation, 'no key was named: only what needs none is checked. Name one with --key-file.');
  return { withoutKey: true };
}

const warned = new WeakMap<Invocation, Set<string>>();

/** Warns on standard error, of one thing once a run; with --json as a document of one line. */
function warn(invocation: Invocation, warning: string): void {
  const before = warned.get(invocation) ?? new Set();
  if (before.has(warning)) return;
  warned.set(invocation, before.add(warning));
  const { options, terminal } = invocation;
  terminal.stderr.write(
    options.json === true ? jsonDocument({ warning }) : `WARNING: ${warning}\n`,
  );
}

/** The tenant of this name. Throws UNKNOWN_TENANT with what to do about it at a terminal. */
export function tenantOf(invocation: Invocation, database: Verity, name: string): TenantHandle {
  try {
    return database.tenant(name);
  } catch (error) {
    if (!(error instanceof VerityError) || error.code !== 'UNKNOWN_TENANT') throw error;
    throw new VerityError(
      'UNKNOWN_TENANT',
      `There is no tenant ${name} in ${invocation.directory}. \`verity status\` lists the tenants; ` +
        'import, or a statement that writes, creates one.',
      { cause: error, details: { tenant: name } },
    );
  }
}

/** Throws NO_DATABASE unless there is a directory with something in it. */
export function assertDatabaseDirectory(directory: string): void {
  if (directory === ':memory:')
    throw usageError('DIR must be a directory; :memory: is for programs only.');
  if (existsSync(directory) && listing(directory).length > 0) return;
  throw new VerityError(
    'NO_DATABASE',
    `There is no database in ${directory}. Check the path, or create one with \`verity init ${directory}\`.`,
    { details: { path: directory } },
  );
}

/** The names in a directory. Throws NOT_A_DATABASE for a file, IO_ERROR otherwise. */
export function listing(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    if (reason === 'ENOTDIR') {
      throw new VerityError(
        'NOT_A_DATABASE',
        `${directory} is a file, not a database directory. Check the path.`,
      );
    }
    throw new VerityError('IO_ERROR', `Cannot read the directory ${directory}: ${reason}.`, {
      cause: error,
      details: { path: directory, reason },
    });
  }
}

/** Who and why, for commands that write. */
export function commandOptions(options: CommonOptions, reason?: string): CommandOptions {
  const why = options.reason ?? reason;
  return {
    ...(options.actor === undefined ? {} : { actor: options.actor }),
    ...(why === undefined ? {} : { reason: why }),
  };
}

const quickMilliseconds = 500;

/**
 * Progress over the segments of the log, for steps that read all of it: a bar for each phase. Only on a terminal, and
 * only when there are several, or one takes its time.
 */
export function segmentProgress(
  invocation: Invocation,
  label: string,
): { readonly onProgress: (progress: Progress) => void; readonly end: () => void } {
  const { terminal, options } = invocation;
  const isShown = options.json !== true && terminal.stderr.isTTY === true;
  let line: ProgressLine | undefined;
  let current: { readonly phase: string; readonly since: number } | undefined;
  return {
    onProgress: ({ phase, done, total }) => {
      if (!isShown) return;
      if (current?.phase !== phase) {
        line?.end();
        line = undefined;
        current = { phase, since: terminal.now() };
      }
      // One segment mostly takes no time to speak of.
      if (total < 2 && terminal.now() - current.since < quickMilliseconds) return;
      const named = phase === 'replay' ? 'reading the log' : label;
      line ??= startProgress({ terminal, label: named, total, unit: 'segments', quiet: false });
      line.update(done);
    },
    end: () => line?.end(),
  };
}
