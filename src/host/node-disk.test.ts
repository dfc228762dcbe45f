import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { ioError, withErrno } from './io-error.ts';
import { acquireLock, nodeDisk } from './index.ts';
import { NodeFile } from './node-file.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'verity-node-disk-'));
});
afterEach(() => {
  chmodSync(root, 0o700);
  rmSync(root, { recursive: true });
});

function failureOf(action: () => unknown): VerityError {
  try {
    action();
  } catch (error) {
    if (error instanceof VerityError) return error;
    throw error;
  }
  throw new Error('no error');
}

const modeOf = (path: string): number => statSync(path).mode & 0o777;
const nobody = 65_534;
const isRoot = process.getuid?.() === 0;
const hostModule = pathToFileURL(join(import.meta.dirname, 'index.ts')).href;

describe('modes', () => {
  test.each([0o000, 0o077, 0o777])(
    'files are 0600 and directories 0700 under umask %o',
    (umask) => {
      const before = process.umask(umask);
      try {
        const disk = nodeDisk(join(root, 'parent', 'data'));
        disk.makeDirectory('log');
        disk.open('log/file', 'create').close();
        for (const path of ['parent', 'parent/data', 'parent/data/log']) {
          expect(modeOf(join(root, path))).toBe(0o700);
        }
        expect(modeOf(join(root, 'parent/data/log/file'))).toBe(0o600);
      } finally {
        process.umask(before);
      }
    },
  );

  test('a directory that was there keeps its mode', () => {
    mkdirSync(join(root, 'data'));
    chmodSync(join(root, 'data'), 0o750);
    nodeDisk(join(root, 'data')).makeDirectory('');
    expect(modeOf(join(root, 'data'))).toBe(0o750);
  });
});

describe('symbolic links', () => {
  test('no file is read, written or created through one', () => {
    const disk = nodeDisk(join(root, 'data'));
    disk.makeDirectory('');
    writeFileSync(join(root, 'victim'), 'untouched');
    symlinkSync(join(root, 'victim'), join(root, 'data/link'));
    symlinkSync(join(root, 'absent'), join(root, 'data/dangling'));
    for (const name of ['link', 'dangling']) {
      for (const mode of ['create', 'readwrite', 'read'] as const) {
        expect(failureOf(() => disk.open(name, mode)).code).toBe('IO_ERROR');
      }
      expect(disk.exists(name)).toBe(true);
    }
    expect(existsSync(join(root, 'absent'))).toBe(false);
    expect(readFileSync(join(root, 'victim'), 'utf8')).toBe('untouched');
  });

  test('a directory that is one is refused with the advice to replace it', () => {
    const disk = nodeDisk(join(root, 'data'));
    disk.makeDirectory('');
    mkdirSync(join(root, 'elsewhere'));
    symlinkSync(join(root, 'elsewhere'), join(root, 'data/log'));
    for (const attempt of [
      () => disk.open('log/file', 'create'),
      () => disk.makeDirectory('log'),
      () => disk.makeDirectory('log/deep'),
      () => disk.exists('log/file'),
    ]) {
      expect(failureOf(attempt).code).toBe('IO_ERROR');
    }
    expect(failureOf(() => disk.open('log/file', 'create')).message).toMatch(/symbolic link/);
    expect(existsSync(join(root, 'elsewhere/file'))).toBe(false);
  });

  test('removing or replacing one spares its target', () => {
    const disk = nodeDisk(join(root, 'data'));
    disk.makeDirectory('');
    writeFileSync(join(root, 'victim'), 'untouched');
    symlinkSync(join(root, 'victim'), join(root, 'data/one'));
    symlinkSync(join(root, 'victim'), join(root, 'data/two'));
    disk.remove('one');
    disk.open('new', 'create').close();
    disk.rename('new', 'two');
    expect(lstatSync(join(root, 'data/two')).isFile()).toBe(true);
    expect(readFileSync(join(root, 'victim'), 'utf8')).toBe('untouched');
  });

  test('the root itself may be one', () => {
    mkdirSync(join(root, 'real'));
    symlinkSync(join(root, 'real'), join(root, 'data'));
    const disk = nodeDisk(join(root, 'data'));
    disk.makeDirectory('');
    disk.open('file', 'create').close();
    expect(existsSync(join(root, 'real/file'))).toBe(true);
  });
});

describe('readOnly', () => {
  test('refuses every change and still reads', () => {
    const writer = nodeDisk(root);
    const file = writer.open('file', 'create');
    file.write(Uint8Array.of(7), 0);
    file.close();
    const disk = nodeDisk(root, { readOnly: true });
    for (const attempt of [
      () => disk.open('new', 'create'),
      () => disk.open('file', 'readwrite'),
      () => disk.makeDirectory('log'),
      () => disk.rename('file', 'other'),
      () => disk.remove('file'),
    ]) {
      expect(failureOf(attempt).code).toBe('READ_ONLY');
    }
    disk.makeDirectory('');
    const target = new Uint8Array(1);
    const reader = disk.open('file', 'read');
    reader.read(target, 0);
    reader.flush();
    reader.close();
    disk.flushDirectory('');
    expect(target).toEqual(Uint8Array.of(7));
    expect(disk.list('')).toEqual(['file']);
  });

  test('does not create the root', () => {
    const disk = nodeDisk(join(root, 'absent'), { readOnly: true });
    expect(failureOf(() => disk.makeDirectory('')).code).toBe('READ_ONLY');
    expect(existsSync(join(root, 'absent'))).toBe(false);
  });
});

describe('errors of the operating system', () => {
  test.each([
    ['ENOSPC', 'DISK_FULL'],
    ['EDQUOT', 'DISK_FULL'],
    ['EROFS', 'READ_ONLY'],
    ['EACCES', 'READ_ONLY'],
    ['EPERM', 'READ_ONLY'],
    ['EIO', 'IO_ERROR'],
    ['EFBIG', 'IO_ERROR'],
    ['EMFILE', 'IO_ERROR'],
    ['ESTALE', 'IO_ERROR'],
  ])('%s is %s, naming the path and what to do', (errno, code) => {
    const cause = withErrno(errno);
    const error = ioError({ verb: 'write', path: '/data/log/1.vlog' }, cause);
    expect(error.code).toBe(code);
    expect(error.cause).toBe(cause);
    expect(error.message).toMatch(/^Cannot write \/data\/log\/1\.vlog: .+\. ?.*\.$/);
    expect(error.details).toEqual({ path: '/data/log/1.vlog', errno });
  });

  test.each(['flush', 'flush the directory'])(
    'a full disk does not let "%s" be tried again',
    (verb) => {
      expect(ioError({ verb, path: '/data' }, withErrno('ENOSPC')).code).toBe('IO_ERROR');
      expect(ioError({ verb, path: '/data' }, withErrno('EROFS')).code).toBe('READ_ONLY');
    },
  );

  test.skipIf(process.platform !== 'linux')('a full device is DISK_FULL', () => {
    const file = new NodeFile({
      descriptor: openSync('/dev/full', 'r+'),
      path: 'full',
      fullPath: '/dev/full',
      writable: true,
    });
    expect(failureOf(() => file.write(Uint8Array.of(1), 0)).code).toBe('DISK_FULL');
    file.close();
  });

  test.skipIf(process.platform !== 'linux')('a failed flush is never repeated', async () => {
    // The kernel refuses to flush this device, each time; a file system would let the second flush pass.
    const file = new NodeFile({
      descriptor: openSync('/dev/full', 'r+'),
      path: 'full',
      fullPath: '/dev/full',
      writable: true,
    });
    const first = failureOf(() => file.flush());
    expect(first.code).toBe('IO_ERROR');
    const second = failureOf(() => file.flush());
    expect(second.message).toMatch(/must not be repeated/);
    expect(second.cause).toBe(first);
    await expect(file.flushInBackground()).rejects.toThrow(/must not be repeated/);
    file.close();
  });

  test.skipIf(process.platform !== 'linux')(
    'a failed background flush counts as well',
    async () => {
      const file = new NodeFile({
        descriptor: openSync('/dev/full', 'r+'),
        path: 'full',
        fullPath: '/dev/full',
        writable: true,
      });
      await expect(file.flushInBackground()).rejects.toMatchObject({ code: 'IO_ERROR' });
      expect(() => file.flush()).toThrow(/must not be repeated/);
      file.close();
    },
  );

  test.skipIf(process.platform === 'win32')('a directory without permission is READ_ONLY', () => {
    // Loads the package of the locks, which another user may not be able to read where it is installed.
    const elsewhere = mkdtempSync(join(root, 'locked-'));
    acquireLock(elsewhere).release();
    chmodSync(root, isRoot ? 0o755 : 0o500);
    // The superuser may do anything, so look with another user's eyes.
    if (isRoot) process.seteuid?.(nobody);
    try {
      expect(failureOf(() => nodeDisk(root).open('file', 'create')).code).toBe('READ_ONLY');
      expect(failureOf(() => nodeDisk(root).makeDirectory('log')).code).toBe('READ_ONLY');
      expect(failureOf(() => acquireLock(root)).code).toBe('READ_ONLY');
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  test.skipIf(process.platform === 'win32')(
    'what may not be looked at is not taken for absent',
    () => {
      chmodSync(root, isRoot ? 0o700 : 0o000);
      if (isRoot) process.seteuid?.(nobody);
      try {
        expect(failureOf(() => nodeDisk(root).exists('file')).code).toBe('READ_ONLY');
        expect(failureOf(() => nodeDisk(root).list('')).code).toBe('READ_ONLY');
      } finally {
        if (isRoot) process.seteuid?.(0);
      }
    },
  );

  test.skipIf(process.platform === 'win32')(
    'a pipe in the place of a file is refused at once',
    () => {
      expect(spawnSync('/bin/sh', ['-c', 'mkfifo "$0"', join(root, 'pipe')]).status).toBe(0);
      for (const mode of ['readwrite', 'read'] as const) {
        expect(failureOf(() => nodeDisk(root).open('pipe', mode)).code).toBe('IO_ERROR');
      }
    },
  );
});

describe('descriptors', () => {
  test('a write that the system cuts short goes on to the end or fails', () => {
    // With a limit on the file's size the kernel first writes a part and then refuses the rest.
    const script = `
      import { nodeDisk } from ${JSON.stringify(hostModule)};
      const file = nodeDisk(${JSON.stringify(root)}).open('file', 'create');
      try { file.write(new Uint8Array(1_000_000), 0); } catch (error) { console.log(error.code, error.details.errno); }
      console.log(file.sizeBytes() < 1_000_000);`;
    const child = spawnSync(
      '/bin/sh',
      [
        '-c',
        'ulimit -f 16; exec "$0" "$@"',
        process.execPath,
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        script,
      ],
      { encoding: 'utf8', env: { ...process.env, TSX_DISABLE_CACHE: '1' } },
    );
    expect(child.stdout).toBe('IO_ERROR EFBIG\ntrue\n');
  });

  test('closing during a background flush waits for it and then gives the descriptor back', async () => {
    const descriptor = openSync(join(root, 'file'), 'w+');
    const file = new NodeFile({
      descriptor,
      path: 'file',
      fullPath: join(root, 'file'),
      writable: true,
    });
    file.write(new Uint8Array(100_000), 0);
    const flush = file.flushInBackground();
    file.close();
    expect(() => file.sizeBytes()).toThrow(/only while it is open/);
    await flush;
    expect(() => closeSync(descriptor)).toThrow(/EBADF/);
  });

  test('a refused open leaks no descriptor', () => {
    const disk = nodeDisk(root);
    disk.makeDirectory('log');
    const before = openSync(root, 'r');
    closeSync(before);
    for (let attempt = 0; attempt < 50; attempt++) failureOf(() => disk.open('log', 'read'));
    const after = openSync(root, 'r');
    closeSync(after);
    expect(after).toBe(before);
  });
});
