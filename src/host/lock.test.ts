import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { acquireLock } from './index.ts';

const hostModule = pathToFileURL(join(import.meta.dirname, 'index.ts')).href;
const children: ChildProcess[] = [];
let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'verity-lock-'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

function nodeArguments(script: string): string[] {
  const code = `import { acquireLock } from ${JSON.stringify(hostModule)}; const root = ${JSON.stringify(root)}; ${script}`;
  return ['--import', 'tsx', '--input-type=module', '-e', code];
}

/** Starts a process that runs `script` and returns it once it has printed "ready". */
async function startChild(script: string): Promise<ChildProcess> {
  const child = spawn(process.execPath, nodeArguments(script), {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [data] = (await once(child.stdout, 'data')) as [Buffer];
  expect(data.toString()).toBe('ready\n');
  return child;
}

const holdForEver = "acquireLock(root); console.log('ready'); setInterval(() => {}, 1_000);";

test('a second process is refused while the first lives, and served at once after SIGKILL', async () => {
  const child = await startChild(holdForEver);
  expect(() => acquireLock(root)).toThrow(
    expect.objectContaining({ code: 'DATABASE_LOCKED', retryable: true }),
  );
  child.kill('SIGKILL');
  await once(child, 'exit');
  acquireLock(root).release();
});

test('a process of its own sees the lock of this one', () => {
  const lock = acquireLock(root);
  const script =
    'try { acquireLock(root); console.log("taken"); } catch (error) { console.log(error.code); }';
  const run = (): string =>
    spawnSync(process.execPath, nodeArguments(script), { encoding: 'utf8' }).stdout;
  expect(run()).toBe('DATABASE_LOCKED\n');
  lock.release();
  expect(run()).toBe('taken\n');
});

test('another handle of the same process is refused', () => {
  const lock = acquireLock(root);
  expect(() => acquireLock(root)).toThrow(/already open for writing/);
  // A refused attempt must not loosen the lock, as it would with locks that belong to the process.
  expect(() => acquireLock(root)).toThrow(/already open for writing/);
  lock.release();
  acquireLock(root).release();
});

test('a child process that outlives its parent does not inherit the lock', async () => {
  const parent = await startChild(`
    import { spawn } from 'node:child_process';
    acquireLock(root);
    const heir = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 5_000)'], { stdio: 'ignore', detached: true });
    heir.once('spawn', () => { heir.unref(); console.log('ready'); });
    setInterval(() => {}, 1_000);`);
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  acquireLock(root).release();
});

test('a second release does nothing to the next holder', () => {
  const first = acquireLock(root);
  first.release();
  const second = acquireLock(root);
  first.release();
  expect(() => acquireLock(root)).toThrow(/already open for writing/);
  second.release();
});

test('a LOCK that a dead process left behind is no obstacle, whatever it holds', () => {
  writeFileSync(join(root, 'LOCK'), '12345');
  acquireLock(root).release();
  expect(readFileSync(join(root, 'LOCK'), 'utf8')).toBe('12345');
});

test('LOCK has mode 0600, whatever the umask and the file that was there', () => {
  const before = process.umask(0o777);
  try {
    acquireLock(root).release();
    expect(statSync(join(root, 'LOCK')).mode & 0o777).toBe(0o600);
    chmodSync(join(root, 'LOCK'), 0o666);
    acquireLock(root).release();
    expect(statSync(join(root, 'LOCK')).mode & 0o777).toBe(0o600);
  } finally {
    process.umask(before);
  }
});

test('a LOCK that is replaced while it is being locked is not the lock', () => {
  const native = createRequire(import.meta.url)('fs-native-extensions') as {
    tryLock: (descriptor: number) => boolean;
  };
  const tryLock = native.tryLock;
  const spy = vi.spyOn(native, 'tryLock').mockImplementationOnce((descriptor) => {
    rmSync(join(root, 'LOCK'));
    writeFileSync(join(root, 'LOCK'), '');
    return tryLock(descriptor);
  });
  const lock = acquireLock(root);
  expect(spy).toHaveBeenCalledTimes(2);
  spy.mockRestore();
  expect(() => acquireLock(root)).toThrow(/already open for writing/);
  lock.release();
});

test('a LOCK that is a symbolic link is not followed', () => {
  symlinkSync(join(root, 'victim'), join(root, 'LOCK'));
  expect(() => acquireLock(root)).toThrow(expect.objectContaining({ code: 'IO_ERROR' }));
  expect(existsSync(join(root, 'victim'))).toBe(false);
});

test('a directory that is not there is an error that names LOCK', () => {
  expect(() => acquireLock(join(root, 'absent'))).toThrow(/absent.LOCK/);
});

test('where the native addon does not load, the error says so and what to do', () => {
  // A loader that fails, as on a platform without a prebuilt addon.
  const script = `
    import Module from 'node:module';
    const load = Module._load;
    Module._load = (name, ...rest) => {
      if (name === 'fs-native-extensions') throw new Error('No native build was found');
      return load(name, ...rest);
    };
    try { acquireLock(root); } catch (error) { console.log(error.code, error.message, String(error.cause)); }`;
  const { stdout } = spawnSync(process.execPath, nodeArguments(script), { encoding: 'utf8' });
  expect(stdout).toMatch(/^IO_ERROR .*does not load.*npm ci.*No native build/);
});
