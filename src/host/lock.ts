import { closeSync, constants, fchmodSync, fstatSync, openSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { VerityError } from '../base/index.ts';
import { errnoOf, ioError } from './io-error.ts';

/** The right to write to a database directory. */
export interface DirectoryLock {
  /** Gives the lock back. A second call does nothing. */
  release(): void;
}

/** The one function that we use of the package, which has no types of its own. */
interface NativeLocks {
  /** Takes an exclusive advisory lock on the whole open file; false if another open file holds one. */
  tryLock(descriptor: number): boolean;
}

const require = createRequire(import.meta.url);
const lockName = 'LOCK';
const lockMode = 0o600;
const attemptsMax = 10;
const noFollow = (constants.O_NOFOLLOW as number | undefined) ?? 0;

/**
 * Takes the lock of the directory `root` for as long as the returned handle lives.
 *
 * The lock belongs to the open file `LOCK`, not to a process id: the kernel gives it back when the
 * process ends, however it ends, so a lock is never stale, also between containers on one kernel.
 * Throws DATABASE_LOCKED if another process, or another handle of this one, holds it; READ_ONLY or
 * IO_ERROR if `LOCK` cannot be opened or the file system has no locks.
 */
export function acquireLock(root: string): DirectoryLock {
  const path = join(resolve(root), lockName);
  const native = loadNativeLocks();
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const descriptor = openLockFile(path);
    let held = false;
    try {
      lockOpenFile(native, descriptor, path);
      // Somebody may have replaced LOCK between open and lock: the lock must be on the file that
      // the next process will open.
      held = isFileAt(descriptor, path);
    } finally {
      if (!held) closeSync(descriptor);
    }
    if (held) return heldLock(descriptor);
  }
  throw ioError({ verb: 'lock', path }, new Error('The file keeps being replaced.'));
}

function heldLock(descriptor: number): DirectoryLock {
  let open = true;
  return {
    release() {
      if (!open) return;
      open = false;
      closeSync(descriptor);
    },
  };
}

function openLockFile(path: string): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, constants.O_RDWR | constants.O_CREAT | noFollow, lockMode);
    const status = fstatSync(descriptor);
    if ((status.mode & 0o777) !== lockMode) fchmodSync(descriptor, lockMode);
    return descriptor;
  } catch (error) {
    if (descriptor !== undefined) closeSync(descriptor);
    throw ioError({ verb: 'open', path }, error);
  }
}

function lockOpenFile(native: NativeLocks, descriptor: number, path: string): void {
  let locked: boolean;
  try {
    locked = native.tryLock(descriptor);
  } catch (error) {
    throw new VerityError(
      'IO_ERROR',
      `Cannot lock ${path}: the operating system reported ${errnoOf(error)}. Put the database on a file system with advisory locks.`,
      { cause: error, details: { path, errno: errnoOf(error) } },
    );
  }
  if (!locked) {
    throw new VerityError(
      'DATABASE_LOCKED',
      `The database is already open for writing: ${path} is locked by another process or another handle of this one. ` +
        'Close that one first, or open this one with readOnly.',
      { details: { path } },
    );
  }
}

function isFileAt(descriptor: number, path: string): boolean {
  const opened = fstatSync(descriptor);
  const named = statSync(path, { throwIfNoEntry: false });
  return named !== undefined && named.ino === opened.ino && named.dev === opened.dev;
}

let loaded: NativeLocks | undefined;

/** Loads the addon at the first lock, so that reading works where it cannot load. */
function loadNativeLocks(): NativeLocks {
  if (loaded !== undefined) return loaded;
  try {
    loaded = require('fs-native-extensions') as NativeLocks;
    return loaded;
  } catch (error) {
    throw new VerityError(
      'IO_ERROR',
      `Cannot take the lock of a database: the native part of fs-native-extensions does not load on ` +
        `${process.platform}-${process.arch}. Reinstall the dependencies on this machine (npm ci); opening with readOnly needs no lock.`,
      { cause: error },
    );
  }
}
