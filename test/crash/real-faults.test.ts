/**
 * Faults of the real operating system: a file system that is full, and system calls that fail. Where
 * the machine cannot make them, the tests skip themselves and say why. They run the built package.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, type TestContext, test } from 'vitest';
import { keys, Verity } from '../../src/database/index.ts';
import { cleanEnvironment, mainScript } from '../cli/verity-command.ts';
import { root } from '../support/project.ts';

const packagePath = pathToFileURL(join(root, 'dist/database/index.js')).href;
const script = join(import.meta.dirname, 'real-child.mjs');
const timeout = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'verity-real-'));
const keyFile = join(folder, 'key');
beforeAll(() => keys.generateFile(keyFile));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What real-child.mjs prints. */
interface Told {
  readonly acknowledged: readonly number[];
  readonly refused: readonly number[];
  readonly read: readonly number[];
  readonly [name: string]: unknown;
}

function run(command: string, args: readonly string[]): Told {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    // strace counts the calls of each thread by itself: those in the background shall be one thread's.
    env: { ...cleanEnvironment, UV_THREADPOOL_SIZE: '1' },
    timeout,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: expect.any(String) });
  return JSON.parse(stdout) as Told;
}

/** Says why, since the reporter does not. */
function skip(context: TestContext, why: string): void {
  process.stderr.write(`skipped: ${why}\n`);
  context.skip(why);
}

function works(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { timeout }).status === 0;
}

describe('a full file system', () => {
  const mounted = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"';
  const mountpoint = join(folder, 'small');

  test('refuses commands, loses none, and takes them again after space was freed, also in another process', (context) => {
    mkdirSync(mountpoint, { recursive: true });
    if (!works('unshare', ['-m', 'sh', '-c', mounted, mountpoint, 'true'])) {
      context.skip(
        'skipped: this machine lets nobody mount a tmpfs (needs root and "unshare -m").',
      );
    }
    const child = [process.execPath, script, packagePath, mountpoint, keyFile, 'fill'];
    const told = run('unshare', ['-m', 'sh', '-c', mounted, mountpoint, ...child]);
    expect(told).toMatchObject({
      full: 'DISK_FULL',
      again: 'DISK_FULL',
      whileFull: { poisoned: false },
      afterFreeing: 'done',
      fullAgain: 'DISK_FULL',
      readWhileFull: 'done',
      last: 'done',
      findings: [],
      clean: true,
    });
    // More than the five that fitted before the disk was full, and some of large rows each time.
    expect(told.acknowledged.length).toBeGreaterThan(60);
    expect(told.refused.length).toBe(3);
    expect(told.read).toEqual(told.acknowledged);
    expect(told['seenWhileFull']).toEqual(told.acknowledged.slice(0, -1));
    // Opening may need room for a copy of the last segment: refused then, and no harm done.
    expect(['done', 'DISK_FULL']).toContain(told['reopened']);
  });
});

describe('a system call that fails', () => {
  const canTrace = works('strace', ['-f', '-e', 'trace=none', process.execPath, '-e', '0']);
  const noTrace = 'strace is not installed here, or may not trace.';

  /** Runs the load under strace; the trace shows which calls failed. */
  function traced(name: string, inject: readonly string[]): { told: Told; failedCalls: number } {
    const directory = join(folder, name);
    mkdirSync(directory);
    const trace = join(folder, `${name}.trace`);
    const child = [process.execPath, script, packagePath, directory, keyFile, 'load'];
    const told = run('strace', ['-f', '-qq', '-o', trace, ...inject, ...child]);
    return { told, failedCalls: failures(trace) };
  }

  function failures(trace: string): number {
    return readFileSync(trace, 'utf8').split('(INJECTED)').length - 1;
  }

  async function reopened(name: string): Promise<number[]> {
    await using db = await Verity.open(join(folder, name, 'data'), {
      masterKey: keys.fromFile(keyFile),
    });
    expect((await db.verify()).findings).toEqual([]);
    const tenant = db.tenant('amber');
    await tenant.execute('INSERT INTO rows VALUES (100000, NULL)');
    const { rows } = await tenant.query<{ id: number }>(
      'SELECT id FROM rows WHERE id < 100000 ORDER BY id',
    );
    return rows.map(({ id }) => id);
  }

  const cases = [
    ['fdatasync', 'EIO', 20],
    ['fdatasync', 'EIO', 31],
    ['pwrite64', 'EIO', 25],
    ['pwrite64', 'ENOSPC', 25],
  ] as const;

  test.for(cases)(
    '%s with %s, the call number %i: not acknowledged, poisoned or refused, and opened again without loss',
    async ([call, error, number], context) => {
      if (!canTrace) skip(context, noTrace);
      const name = `${call}-${error}-${number}`;
      const when = `inject=${call}:error=${error}:when=${number}`;
      const { told, failedCalls } = traced(name, ['-e', `trace=${call}`, '-e', when]);
      expect(failedCalls).toBe(1);
      const { acknowledged, refused } = told;
      expect(acknowledged.length).toBeGreaterThan(5);
      expect(told.read).toEqual(acknowledged);
      expect(told['opened']).toBe('done');
      if (told['poisoned'] === true) {
        expect(told).toMatchObject({ failed: 'COMMIT_UNKNOWN', next: 'DATABASE_POISONED' });
      }
      if (call === 'fdatasync') expect(told['poisoned']).toBe(true);
      const there = await reopened(name);
      expect(there.filter((id) => !refused.includes(id))).toEqual(acknowledged);
    },
  );

  test('every fdatasync from the first on: the command fails with exit code 1 and its reason, and the database is as it was', async (context) => {
    if (!canTrace) skip(context, noTrace);
    const name = 'command';
    mkdirSync(join(folder, name));
    run(process.execPath, [script, packagePath, join(folder, name), keyFile, 'load', '3']);
    const verb = ['sql', join(folder, name, 'data'), '--tenant', 'amber', '--key-file', keyFile];
    const statement = ['-c', "INSERT INTO rows VALUES (99, 'x')", '--json'];
    const inject = ['-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1+'];
    const { status, stderr } = spawnSync(
      'strace',
      [
        '-f',
        '-qq',
        '-o',
        join(folder, 'command.trace'),
        ...inject,
        process.execPath,
        mainScript,
        ...verb,
        ...statement,
      ],
      { encoding: 'utf8', env: cleanEnvironment, timeout },
    );
    expect(status).toBe(1);
    const { error } = JSON.parse(stderr) as { error: { code: string } };
    expect(['COMMIT_UNKNOWN', 'IO_ERROR']).toContain(error.code);
    expect(failures(join(folder, 'command.trace'))).toBeGreaterThan(0);
    expect((await reopened(name)).filter((id) => id !== 99)).toEqual([1, 2, 3]);
  });
});
