import { VerityError, type ErrorCode } from '../base/index.ts';

/** The code of an operating system's error, such as 'ENOENT', or '' for anything else. */
export function errnoOf(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return '';
}

/** An error as the operating system would report it, for what we find out ourselves. */
export function withErrno(errno: string): Error {
  return Object.assign(new Error(errno), { code: errno });
}

const codes: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'DISK_FULL',
  EDQUOT: 'DISK_FULL',
  EROFS: 'READ_ONLY',
  EACCES: 'READ_ONLY',
  EPERM: 'READ_ONLY',
};

const advice: Readonly<Record<string, string>> = {
  ENOSPC: 'there is no space left on the disk. Free some space, then open the database again.',
  EDQUOT: 'the disk quota is used up. Raise it or free some space, then open the database again.',
  EROFS:
    'the file system is mounted read-only. Mount it for writing, or open the database with readOnly.',
  EACCES:
    'the user of this process lacks the permission. Run as the owner of the directory, or have it grant access.',
  EPERM:
    'the user of this process lacks the permission. Run as the owner of the directory, or have it grant access.',
  ENOENT: 'there is no such file or directory. Check the path, or restore the file from a copy.',
  EEXIST: 'it is already there. Move it away if it is not part of the database.',
  ENOTDIR: 'a part of the path is not a directory. Check the path.',
  EISDIR: 'it is a directory, not a file. Move it away; it is not part of the database.',
  ELOOP:
    'it is a symbolic link, which is not followed inside a database. Put the file itself in its place.',
  EMFILE: 'the process has too many open files. Raise its limit (ulimit -n).',
  ENFILE: 'the system has too many open files. Raise its limit.',
  EFBIG:
    'it may not grow further. Raise the limit of the process (ulimit -f) or use another file system.',
  EIO: 'the device failed. Check the disk and the system log before opening the database again.',
};

/** For lack of room these fail with IO_ERROR, for then too it is in doubt what they leave on the disk. */
const flushVerbs: ReadonlySet<string> = new Set(['flush', 'flush the directory']);

/** What the caller of the operating system was about to do, for the message. */
export interface FailedOperation {
  /** As in "Cannot write log/1.vlog". */
  readonly verb: string;
  /** The full path. */
  readonly path: string;
}

/** A VerityError (DISK_FULL, READ_ONLY or IO_ERROR) for what the operating system reported. */
export function ioError(operation: FailedOperation, cause: unknown): VerityError {
  const errno = errnoOf(cause);
  const reason =
    advice[errno] ??
    `the operating system reported ${errno === '' ? 'a failure' : errno}. Check the disk.`;
  const code = codes[errno] ?? 'IO_ERROR';
  return new VerityError(
    code === 'DISK_FULL' && flushVerbs.has(operation.verb) ? 'IO_ERROR' : code,
    `Cannot ${operation.verb} ${operation.path}: ${reason}`,
    {
      cause,
      details: { path: operation.path, errno },
    },
  );
}

/** READ_ONLY for a change through a handle that was opened to read. */
export function readOnlyError(verb: string, path: string): VerityError {
  return new VerityError(
    'READ_ONLY',
    `Cannot ${verb} ${path}: it was opened read-only. Open the database without readOnly to change it.`,
    { details: { path } },
  );
}
