import { closeSync, constants, openSync, statSync, unlinkSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { DiskFile } from '../base/index.ts';
import { ioError } from './io-error.ts';
import { NodeFile } from './node-file.ts';

// A directory for temporary files may be memory; this one is on a disk.
const diskDirectory = '/var/tmp';
const flags =
  constants.O_RDWR |
  constants.O_CREAT |
  constants.O_EXCL |
  ((constants.O_NOFOLLOW as number | undefined) ?? 0);

/**
 * A new empty file, mode 0600, without a name: it is gone when it is closed or this process ends. It lies in
 * `directory`, else where TMPDIR says, else in /var/tmp if there is one, else where the system keeps temporary files.
 * Throws DISK_FULL, READ_ONLY, IO_ERROR.
 */
export function openScratchFile(directory = scratchDirectory()): DiskFile {
  const name = `veritydb-${randomBytes(8).toString('hex')}.scratch`;
  const fullPath = join(resolve(directory), name);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(fullPath, flags, 0o600);
    unlinkSync(fullPath);
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw ioError({ verb: 'create the scratch file', path: fullPath }, error);
  }
  return new NodeFile({ descriptor, path: name, fullPath, writable: true });
}

function scratchDirectory(): string {
  const isGiven = (process.env['TMPDIR'] ?? '') !== '';
  const isThere = statSync(diskDirectory, { throwIfNoEntry: false })?.isDirectory() === true;
  return !isGiven && isThere && process.platform !== 'win32' ? diskDirectory : tmpdir();
}
