/** Files that hold keys: read into bytes that are wiped, written for their owner alone, replaced in one step. */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { VerityError } from '../base/index.ts';

/** Beside a key file while its key is being rotated. */
const nextSuffix = '.next';
const othersMask = 0o077;

/** The longest PIN or recovery code, with white space. */
const textBytesMax = 1_024;

/**
 * The text of a file that holds a `name` ('PIN', 'recovery code'), without the white space around it. Throws
 * KEY_MISSING, KEY_FILE_EXPOSED as for a key file, KEY_INVALID if it is empty or longer than 1,024 bytes.
 */
export function readSecretText(path: string, name: string): string {
  const missing = (cause: unknown): VerityError =>
    new VerityError('KEY_MISSING', `Cannot read the ${name} from ${path}. Check the path.`, {
      cause,
      details: { file: path },
    });
  const bytes = readSecretFile(path, textBytesMax, { missing, name });
  const text =
    bytes.length > textBytesMax
      ? ''
      : Buffer.from(bytes.buffer, 0, bytes.length).toString('utf8').trim();
  bytes.fill(0);
  if (text !== '') return text;
  throw new VerityError(
    'KEY_INVALID',
    `The file ${path} does not hold a ${name}: it is empty or longer than ${textBytesMax} bytes.`,
    { details: { file: path } },
  );
}

export interface SecretFileWords {
  /** Makes the error for a file that cannot be read. */
  readonly missing: (cause: unknown) => VerityError;
  /** What the file holds. Default 'key'. */
  readonly name?: string;
}

/**
 * The bytes of the file or pipe at `path`, at most `bytesMax` + 1 of them; the caller wipes them. Throws
 * KEY_FILE_EXPOSED for a file of ours that others may read.
 */
export function readSecretFile(
  path: string,
  bytesMax: number,
  { missing, name = 'key' }: SecretFileWords,
): Uint8Array {
  const buffer = new Uint8Array(bytesMax + 1);
  let length = 0;
  try {
    const file = openSync(path, 'r');
    try {
      checkPrivate(file, path, name);
      for (let read = -1; read !== 0 && length < buffer.length; length += read) {
        read = readSync(file, buffer, length, buffer.length - length, null);
      }
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    buffer.fill(0);
    throw cause instanceof VerityError ? cause : missing(cause);
  }
  return buffer.subarray(0, length);
}

/**
 * As ssh does it: a file of the user that we run as must be closed to all others. Who owns it otherwise, e.g. a
 * secret that root gives to a group, decided so.
 */
function checkPrivate(file: number, path: string, name: string): void {
  const { uid, mode } = fstatSync(file);
  const kind = mode & constants.S_IFMT;
  if (process.getuid === undefined || kind !== constants.S_IFREG || uid !== process.getuid())
    return;
  if ((mode & othersMask) === 0) return;
  const digits = (mode & 0o777).toString(8).padStart(4, '0');
  throw new VerityError(
    'KEY_FILE_EXPOSED',
    `The ${name} file ${path} has mode ${digits}: others can read or change it. Close it with: chmod 600 ${path}`,
    { details: { file: path, mode: digits } },
  );
}

/** Creates a file of mode 0600, durably. Never overwrites: throws KEY_INVALID if there is one; IO_ERROR. */
export function createSecretFile(path: string, bytes: Uint8Array, name: string): void {
  try {
    writeFileSync(path, bytes, { flag: 'wx', mode: 0o600, flush: true });
    flushDirectoryOf(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new VerityError(
        'KEY_INVALID',
        `The ${name} file ${path} is already there and was left as it is. Use it, or move it elsewhere.`,
        { cause },
      );
    }
    throw notWritten(path, name, cause);
  }
}

/** A new content for a secret file, durable beside it until `activate` puts it in its place. */
export interface PreparedFile {
  activate(): Promise<void>;
  discard(): Promise<void>;
}

/** Writes what is to replace the file at `path`. A leftover of an unfinished rotation is overwritten. */
export function prepareSecretFile(path: string, bytes: Uint8Array, name: string): PreparedFile {
  let target: string;
  let next: string;
  try {
    // Where the file lies behind a link, the link stays.
    target = realpathSync(path);
    next = target + nextSuffix;
    rmSync(next, { force: true });
  } catch (cause) {
    throw notWritten(path, name, cause);
  }
  createSecretFile(next, bytes, name);
  return {
    activate: async () => {
      try {
        renameSync(next, target);
        flushDirectoryOf(target);
      } catch (cause) {
        throw notWritten(path, name, cause);
      }
    },
    discard: async () => rmSync(next, { force: true }),
  };
}

function flushDirectoryOf(path: string): void {
  // Windows cannot flush a directory, and makes names durable by itself.
  if (process.platform === 'win32') return;
  const directory = openSync(dirname(path), 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

function notWritten(path: string, name: string, cause: unknown): VerityError {
  return new VerityError(
    'IO_ERROR',
    `The ${name} file ${path} cannot be written. Check the directory and its permissions.`,
    { cause, details: { file: path } },
  );
}
