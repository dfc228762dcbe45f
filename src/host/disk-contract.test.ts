/** The contract of Disk, held by every implementation of it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  AssertionError,
  equalBytes,
  VerityError,
  type Disk,
  type DiskFile,
} from '../base/index.ts';
import { ramDisk } from '../sim/index.ts';
import { memoryDisk, nodeDisk } from './index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'verity-disk-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const disks: [string, () => Disk][] = [
  ['nodeDisk', () => nodeDisk(join(directory, 'data'))],
  ['memoryDisk', memoryDisk],
  ['SimDisk', ramDisk],
];

function bytes(...values: number[]): Uint8Array {
  return Uint8Array.from(values);
}

function contentOf(file: DiskFile): Uint8Array {
  const content = new Uint8Array(file.sizeBytes());
  expect(file.read(content, 0)).toBe(content.length);
  return content;
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
  return 'no error';
}

describe.each(disks)('%s', (_name, create) => {
  let disk: Disk;
  beforeEach(() => {
    disk = create();
    disk.makeDirectory('');
  });

  test('reads what was written, and fewer bytes only at the end of the file', () => {
    const file = disk.open('file', 'create');
    file.write(bytes(1, 2, 3, 4, 5), 0);
    const target = new Uint8Array(4).fill(9);
    expect(file.read(target, 3)).toBe(2);
    expect(target).toEqual(bytes(4, 5, 9, 9));
    expect(file.read(target, 5)).toBe(0);
    expect(file.read(target, 1_000)).toBe(0);
    file.close();
  });

  test('a gap before a write and a grown end read as zeros, also after a cut', () => {
    const file = disk.open('file', 'create');
    file.write(bytes(1, 2, 3), 0);
    file.truncate(1);
    file.write(bytes(7), 4);
    file.truncate(7);
    expect(contentOf(file)).toEqual(bytes(1, 0, 0, 0, 7, 0, 0));
    file.close();
  });

  test('random writes and cuts leave the bytes of a plain array', () => {
    const write = fc.record({ offset: fc.nat(3_000), bytes: fc.uint8Array({ maxLength: 2_000 }) });
    const cut = fc.record({ size: fc.nat(5_000) });
    const file = disk.open('file', 'create');
    fc.assert(
      fc.property(fc.array(fc.oneof(write, cut), { maxLength: 8 }), (steps) => {
        file.truncate(0);
        let model = new Uint8Array();
        const resize = (size: number): void => {
          const next = new Uint8Array(size);
          next.set(model.subarray(0, size));
          model = next;
        };
        for (const step of steps) {
          if ('size' in step) {
            file.truncate(step.size);
            resize(step.size);
          } else {
            file.write(step.bytes, step.offset);
            const end = step.offset + step.bytes.length;
            if (step.bytes.length > 0 && end > model.length) resize(end);
            model.set(step.bytes, Math.min(step.offset, model.length));
          }
          expect(equalBytes(contentOf(file), model)).toBe(true);
        }
      }),
      { numRuns: 50 },
    );
    file.close();
  });

  test("'create' refuses a name that is there; the other modes one that is not", () => {
    disk.open('file', 'create').close();
    expect(codeOf(() => disk.open('file', 'create'))).toBe('IO_ERROR');
    expect(codeOf(() => disk.open('other', 'readwrite'))).toBe('IO_ERROR');
    expect(codeOf(() => disk.open('other', 'read'))).toBe('IO_ERROR');
    expect(codeOf(() => disk.open('absent/file', 'create'))).toBe('IO_ERROR');
    expect(disk.exists('other')).toBe(false);
    expect(disk.exists('file/below')).toBe(false);
  });

  test('an error names the path', () => {
    expect(() => disk.open('log/1.vlog', 'read')).toThrow(/log\/1\.vlog/);
    expect(() => disk.rename('absent', 'b')).toThrow(/absent/);
    expect(() => disk.remove('absent')).toThrow(/absent/);
    expect(() => disk.flushDirectory('absent')).toThrow(/absent/);
  });

  test('a directory is not opened as a file', () => {
    disk.makeDirectory('log');
    for (const mode of ['create', 'readwrite', 'read'] as const) {
      expect(codeOf(() => disk.open('log', mode))).toBe('IO_ERROR');
    }
  });

  test('a file that was opened to read refuses changes with READ_ONLY', () => {
    disk.open('file', 'create').close();
    const file = disk.open('file', 'read');
    expect(codeOf(() => file.write(bytes(1), 0))).toBe('READ_ONLY');
    expect(codeOf(() => file.truncate(1))).toBe('READ_ONLY');
    expect(file.sizeBytes()).toBe(0);
    file.close();
  });

  test('makeDirectory makes parents too, and does nothing when all are there', () => {
    disk.makeDirectory('a/b/c');
    disk.makeDirectory('a/b/c');
    expect(disk.exists('a/b/c')).toBe(true);
    disk.open('file', 'create').close();
    expect(codeOf(() => disk.makeDirectory('file'))).toBe('IO_ERROR');
    expect(codeOf(() => disk.makeDirectory('file/below'))).toBe('IO_ERROR');
  });

  test('list gives the sorted names of one directory, and undefined for none', () => {
    disk.makeDirectory('log/deep');
    for (const path of ['b', 'a', 'log/2', 'log/10', 'log/deep/x'])
      disk.open(path, 'create').close();
    expect(disk.list('')).toEqual(['a', 'b', 'log']);
    expect(disk.list('log')).toEqual(['10', '2', 'deep']);
    expect(disk.list('absent')).toBeUndefined();
    expect(codeOf(() => disk.list('a'))).toBe('IO_ERROR');
  });

  test('rename replaces the target, and both open files keep their bytes', () => {
    const first = disk.open('first', 'create');
    const second = disk.open('second', 'create');
    first.write(bytes(1), 0);
    second.write(bytes(2), 0);
    disk.rename('first', 'second');
    expect(disk.list('')).toEqual(['second']);
    first.write(bytes(3), 1);
    expect(contentOf(second)).toEqual(bytes(2));
    first.close();
    second.close();
    const renamed = disk.open('second', 'read');
    expect(contentOf(renamed)).toEqual(bytes(1, 3));
    renamed.close();
  });

  test('a removed file is gone by name and there for who has it open', () => {
    const file = disk.open('file', 'create');
    file.write(bytes(5), 0);
    disk.remove('file');
    expect(disk.exists('file')).toBe(false);
    expect(contentOf(file)).toEqual(bytes(5));
    file.close();
    disk.open('file', 'create').close();
  });

  test.each(['..', '../x', 'a/../../x', '/etc/passwd', 'a//b', './a', 'a/', 'a\\..\\b', 'a\0b'])(
    'the path %j, which could leave the root, is refused',
    (path) => {
      for (const attempt of [
        () => disk.exists(path),
        () => disk.list(path),
        () => disk.open(path, 'create'),
        () => disk.makeDirectory(path),
        () => disk.remove(path),
        () => disk.rename('a', path),
        () => disk.rename(path, 'a'),
        () => disk.flushDirectory(path),
      ]) {
        expect(codeOf(attempt)).toBe('INVALID_ARGUMENT');
      }
    },
  );

  test('files and directories flush, in the foreground and in the background', async () => {
    const file = disk.open('file', 'create');
    file.write(bytes(1, 2), 0);
    file.flush();
    file.write(bytes(3), 2);
    await file.flushInBackground();
    disk.flushDirectory('');
    expect(contentOf(file)).toEqual(bytes(1, 2, 3));
    file.close();
  });

  test('a second background flush of a file at the same time is our bug', async () => {
    const file = disk.open('file', 'create');
    const flush = file.flushInBackground();
    await expect(async () => file.flushInBackground()).rejects.toThrow(AssertionError);
    await flush;
    await file.flushInBackground();
    file.close();
  });

  test('use after close is our bug', () => {
    const file = disk.open('file', 'create');
    file.close();
    expect(() => file.sizeBytes()).toThrow(AssertionError);
    expect(() => file.read(new Uint8Array(1), 0)).toThrow(AssertionError);
    expect(() => file.write(bytes(1), 0)).toThrow(AssertionError);
    expect(() => file.flush()).toThrow(AssertionError);
    expect(() => file.close()).toThrow(AssertionError);
  });

  test('an offset that is no whole number from 0 is our bug', () => {
    const file = disk.open('file', 'create');
    for (const offset of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => file.write(bytes(1), offset)).toThrow(AssertionError);
      expect(() => file.read(new Uint8Array(1), offset)).toThrow(AssertionError);
      expect(() => file.truncate(offset)).toThrow(AssertionError);
    }
    file.close();
  });
});
