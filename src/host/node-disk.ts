/**
 * Files of the operating system.
 *
 * Invariants
 * - No path reaches outside the root: names are checked, and symbolic links below the root are
 *   refused, never followed. The root itself may be a link.
 * - What we create has mode 0700 (directories) or 0600 (files), whatever the umask.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { diskPathNames, type Disk, type DiskFile } from '../base/index.ts';

import { errnoOf, ioError, readOnlyError, withErrno } from './io-error.ts';
import { NodeFile } from './node-file.ts';

export interface NodeDiskOptions {
  /** Refuse every change with READ_ONLY. Default false. */
  readonly readOnly?: boolean;
}

const directoryMode = 0o700;
const fileMode = 0o600;
// Windows has neither symbolic links for ordinary users nor directories that can be flushed.
const noFollow = (constants.O_NOFOLLOW as number | undefined) ?? 0;
// A pipe in the place of a file would otherwise hold the open up until somebody writes to it.
const openAlways = noFollow | ((constants.O_NONBLOCK as number | undefined) ?? 0);
const flushesDirectories = process.platform !== 'win32';

type OpenMode = 'create' | 'readwrite' | 'read';

const openFlags: Readonly<Record<OpenMode, number>> = {
  create: constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | openAlways,
  readwrite: constants.O_RDWR | openAlways,
  read: constants.O_RDONLY | openAlways,
};

/**
 * The disk of this machine below the directory `root`, which need not exist yet
 * (`makeDirectory('')` creates it). Throws VerityError IO_ERROR, DISK_FULL or READ_ONLY from its
 * methods, and INVALID_ARGUMENT for a path that leaves the root.
 */
export function nodeDisk(root: string, options: NodeDiskOptions = {}): Disk {
  return new NodeDisk(resolve(root), options.readOnly ?? false);
}

class NodeDisk implements Disk {
  readonly root: string;
  readonly #readOnly: boolean;

  constructor(root: string, readOnly: boolean) {
    this.root = root;
    this.#readOnly = readOnly;
  }

  list(directory: string): readonly string[] | undefined {
    const fullPath = this.#resolve(directory);
    try {
      return readdirSync(fullPath).sort();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw ioError({ verb: 'list', path: fullPath }, error);
    }
  }

  exists(path: string): boolean {
    const fullPath = this.#resolve(path);
    try {
      lstatSync(fullPath);
      return true;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ENOTDIR') return false;
      // A directory we may not search is no proof of absence: saying "no" could start a new database.
      throw ioError({ verb: 'look for', path: fullPath }, error);
    }
  }

  makeDirectory(path: string): void {
    const names = diskPathNames(path);
    this.#makeRoot();
    let fullPath = this.root;
    for (const name of names) {
      fullPath = join(fullPath, name);
      this.#makeOne(fullPath);
    }
  }

  open(path: string, mode: OpenMode): DiskFile {
    const fullPath = this.#resolve(path);
    if (this.#readOnly && mode !== 'read') throw readOnlyError(`open (${mode})`, fullPath);
    let descriptor: number | undefined;
    try {
      descriptor = openSync(fullPath, openFlags[mode], fileMode);
      if (mode === 'create') fchmodSync(descriptor, fileMode);
      // Without this a directory would open for reading and a pipe would pass for a file.
      if (!fstatSync(descriptor).isFile()) throw withErrno('EISDIR');
    } catch (error) {
      if (descriptor !== undefined) closeSync(descriptor);
      throw ioError({ verb: mode === 'create' ? 'create' : 'open', path: fullPath }, error);
    }
    return new NodeFile({ descriptor, path, fullPath, writable: mode !== 'read' });
  }

  rename(from: string, to: string): void {
    const fullFrom = this.#resolve(from);
    const fullTo = this.#resolve(to);
    if (this.#readOnly) throw readOnlyError('rename', fullFrom);
    try {
      renameSync(fullFrom, fullTo);
    } catch (error) {
      throw ioError({ verb: `rename to ${fullTo} the file`, path: fullFrom }, error);
    }
  }

  remove(path: string): void {
    const fullPath = this.#resolve(path);
    if (this.#readOnly) throw readOnlyError('remove', fullPath);
    try {
      unlinkSync(fullPath);
    } catch (error) {
      throw ioError({ verb: 'remove', path: fullPath }, error);
    }
  }

  flushDirectory(path: string): void {
    const fullPath = this.#resolve(path);
    if (!this.#readOnly) flushDirectoryAt(fullPath);
  }

  /** The full path of `path`, none of whose directories is a symbolic link. */
  #resolve(path: string): string {
    const names = diskPathNames(path);
    let fullPath = this.root;
    for (let index = 0; index < names.length; index++) {
      if (index > 0) refuseLink(fullPath);
      fullPath = join(fullPath, names[index] as string);
    }
    return fullPath;
  }

  /** Creates the root and its parents, and makes their names durable: nobody else can. */
  #makeRoot(): void {
    const missing: string[] = [];
    let fullPath = this.root;
    while (!directoryExists(fullPath)) {
      missing.push(fullPath);
      fullPath = dirname(fullPath);
    }
    for (const directory of missing.reverse()) {
      this.#makeOne(directory);
      flushDirectoryAt(dirname(directory));
    }
  }

  #makeOne(fullPath: string): void {
    try {
      if (this.#readOnly) {
        if (!lstatSync(fullPath).isDirectory()) throw withErrno('ENOTDIR');
        return;
      }
      mkdirSync(fullPath, { mode: directoryMode });
      chmodSync(fullPath, directoryMode);
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'EEXIST' && lstatSync(fullPath).isDirectory()) return;
      if (this.#readOnly && errno === 'ENOENT')
        throw readOnlyError('create the directory', fullPath);
      throw ioError({ verb: 'create the directory', path: fullPath }, error);
    }
  }
}

/** Follows links: the root and its parents are the caller's choice. */
function directoryExists(fullPath: string): boolean {
  try {
    if (statSync(fullPath).isDirectory()) return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw ioError({ verb: 'look for', path: fullPath }, error);
  }
  throw ioError({ verb: 'use as a directory', path: fullPath }, withErrno('ENOTDIR'));
}

function refuseLink(fullPath: string): void {
  let isLink: boolean;
  try {
    isLink = lstatSync(fullPath, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  } catch (error) {
    if (errnoOf(error) === 'ENOTDIR') return;
    throw ioError({ verb: 'look for', path: fullPath }, error);
  }
  if (isLink) throw ioError({ verb: 'use', path: fullPath }, withErrno('ELOOP'));
}

function flushDirectoryAt(fullPath: string): void {
  if (!flushesDirectories) return;
  let descriptor: number | undefined;
  try {
    descriptor = openSync(fullPath, constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(descriptor);
  } catch (error) {
    throw ioError({ verb: 'flush the directory', path: fullPath }, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
