import { existsSync, rmSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { VerityError } from '../../base/index.ts';
import { keys, type OpenOptions, Verity } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { type Invocation, listing } from '../invocation.ts';
import { isAbsentDefault, type KeySource, keySourceOf, masterKeyOf } from '../master-key.ts';
import { jsonDocument } from '../output/json.ts';

/** What `verity init` is asked for besides DIR. */
export interface InitRequest {
  readonly algorithm?: 'aes-256-gcm' | 'chacha20-poly1305' | undefined;
  readonly compression?: 'none' | 'brotli' | undefined;
  /** The database's public name. */
  readonly origin?: string | undefined;
  /** No encryption. */
  readonly plain?: boolean | undefined;
}

/** `verity init DIR`: creates a database, a key file if no key was given, and a recovery code. */
export async function runInit(invocation: Invocation, request: InitRequest): Promise<ExitCode> {
  const { directory, options, terminal } = invocation;
  assertNothingThere(directory);
  const source = keySourceOf(directory, options, terminal);
  if (request.plain === true) return initPlain(invocation, request, source);
  if (source.kind === 'recovery' || source.kind === 'recoveryFile') {
    throw usageError(
      'A new database needs a master key; its recovery code is made by `verity init`.',
    );
  }
  const keyFile = source.kind === 'file' ? source.path : undefined;
  const makesKey = keyFile !== undefined && !existsSync(keyFile);
  if (makesKey) await keys.generateFile(keyFile);
  try {
    await using database = await Verity.open(directory, {
      masterKey: await masterKeyOf(source, terminal),
      create: true,
      ...suiteOf(request),
    });
    const recoveryCode = await database.addRecoveryCode();
    const { logId } = database.status();
    await report(invocation, { logId, recoveryCode, keyFile, makesKey });
  } catch (error) {
    // The key we made opens nothing if the database did not come to be.
    if (makesKey && isAbsentOrEmpty(directory)) rmSync(keyFile, { force: true });
    throw error;
  }
  return 0;
}

function suiteOf({
  algorithm,
  compression,
  origin,
}: InitRequest): Pick<OpenOptions, 'algorithm' | 'compression' | 'origin'> {
  return {
    ...(algorithm !== undefined && { algorithm }),
    ...(compression !== undefined && { compression }),
    ...(origin !== undefined && { origin }),
  };
}

/** A database without a key, and so without a recovery code. */
async function initPlain(
  invocation: Invocation,
  request: InitRequest,
  source: KeySource,
): Promise<ExitCode> {
  const { directory, options, output, terminal } = invocation;
  if (!isAbsentDefault(source)) {
    throw usageError(
      `A plain database has no key, but one was given or lies in ${directory}.key. Leave out --plain to encrypt the database.`,
    );
  }
  const warnings: string[] = [];
  await using database = await Verity.open(directory, {
    encryption: 'none',
    onWarning: (warning) => warnings.push(warning),
    ...suiteOf(request),
  });
  const { logId } = database.status();
  if (options.json === true) {
    const none = { keyFile: null, keyFileCreated: false, recoveryCode: null };
    await output.write(jsonDocument({ path: directory, logId, ...none, warnings }));
  } else {
    await output.line(`Created the database ${directory} (log ${logId}), NOT ENCRYPTED.`);
    for (const warning of warnings) terminal.stderr.write(`WARNING: ${warning}\n`);
  }
  return 0;
}

interface Created {
  readonly logId: string;
  readonly recoveryCode: string;
  readonly keyFile: string | undefined;
  readonly makesKey: boolean;
}

async function report(invocation: Invocation, created: Created): Promise<void> {
  const { directory, options, output, terminal } = invocation;
  const { logId, recoveryCode, keyFile, makesKey } = created;
  const warnings = keyFile !== undefined && liesBeside(keyFile, directory) ? [besideWarning] : [];
  if (options.json === true) {
    const document = {
      path: directory,
      logId,
      keyFile: keyFile ?? null,
      keyFileCreated: makesKey,
      recoveryCode,
      warnings,
    };
    await output.write(jsonDocument(document));
  } else {
    await output.line(`Created the database ${directory} (log ${logId}).`);
    if (keyFile !== undefined) {
      await output.line(`Master key: ${keyFile}${makesKey ? ' (new; readable by you alone)' : ''}`);
    }
    await output.line(`Recovery code: ${recoveryCode}`);
    await output.line(
      'Write the recovery code down now and keep it elsewhere: it is shown this once, and opens the\n' +
        'database if the master key is lost. Without either, nobody can read the data.',
    );
  }
  if (options.json !== true) {
    for (const warning of warnings) terminal.stderr.write(`warning: ${warning}\n`);
  }
}

const besideWarning =
  'the key file lies beside the data, and whoever copies both can read everything. Move it to another ' +
  'place before the database holds real data, and name it with --key-file.';

/** Whether a copy of the folder that holds the database would take the key along. */
function liesBeside(keyFile: string, directory: string): boolean {
  const folder = dirname(resolve(directory));
  const path = resolve(keyFile);
  return path.startsWith(folder.endsWith(sep) ? folder : folder + sep);
}

function assertNothingThere(directory: string): void {
  if (directory === ':memory:')
    throw usageError('DIR must be a directory; :memory: is for programs only.');
  if (!existsSync(directory)) return;
  const names = listing(directory);
  if (names.includes('verity.json')) {
    throw new VerityError(
      'DATABASE_EXISTS',
      `There is already a database in ${directory}. Choose another directory.`,
    );
  }
  if (names.length > 0) {
    throw new VerityError(
      'NOT_A_DATABASE',
      `${directory} holds other files. Choose an empty or new directory.`,
    );
  }
}

function isAbsentOrEmpty(directory: string): boolean {
  return !existsSync(directory) || listing(directory).length === 0;
}
