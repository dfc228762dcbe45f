/** A real process on a real directory, killed with SIGKILL while it writes. Runs the built package. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { root } from '../support/project.ts';

const packagePath = pathToFileURL(join(root, 'dist/database/index.js')).href;
const script = join(import.meta.dirname, 'sigkill-writer.mjs');
const runs = 20;
const rowsPerBatch = 5;
const seed = 2026;

let folder: string;
let directory: string;
let keyFile: string;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verity-sigkill-'));
  directory = join(folder, 'data');
  keyFile = join(folder, 'data.key');
  await keys.generateFile(keyFile);
});

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

function argumentsFor(task: 'write' | 'open' | 'read'): string[] {
  return [script, packagePath, directory, keyFile, task];
}

function openHere(): Promise<Verity> {
  return Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
}

type Writer = ReturnType<typeof startProcess>;

/** A process that has loaded the package, or is about to; it opens nothing before it is told to. */
function startProcess() {
  const child = spawn(process.execPath, argumentsFor('write'), {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  children.push(child);
  return child;
}

/** Lets the writer go and waits for its first acknowledgement; what it has `said` grows from then on. */
async function letGo(child: Writer): Promise<{ said: () => string[] }> {
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (part: string) => (text += part));
  // What follows the last line end is a line that the kill cut off, or nothing.
  const said = (): string[] => text.split('\n').slice(0, -1);
  child.stdin.write('go\n');
  while (said().length < 2) await once(child.stdout, 'data');
  expect(said()[0]).toBe('ready');
  return { said };
}

/** What the killed processes were told, over all runs. */
const added = new Map<string, bigint>();
const removed = new Set<string>();

function note(lines: readonly string[]): void {
  for (const line of lines) {
    const [what, batch = '', other = ''] = line.split(' ');
    if (what === 'added') added.set(batch, BigInt(other));
    if (what === 'moved') {
      added.set(batch, 0n);
      removed.add(other);
    }
  }
}

/** Holds the database against what was told; returns whether it had to be recovered. */
async function check(db: Verity): Promise<boolean> {
  const tenant = db.tenant('amber');
  const there = new Map<string, number>();
  const { rows } = await tenant.query<{ batch: string }>('SELECT batch FROM batches');
  for (const { batch } of rows) there.set(batch, (there.get(batch) ?? 0) + 1);
  for (const [batch, count] of there) {
    expect(count, `batch ${batch} is whole`).toBe(rowsPerBatch);
    expect(removed.has(batch), `batch ${batch} was removed`).toBe(false);
  }
  for (const [batch, position] of added) {
    if (removed.has(batch) || there.has(batch)) continue;
    // Gone: then by the transaction that was under way, which put its own batch there in one.
    const [run, writer, number] = batch.split('-');
    const mover = `${run}-${writer}-${Number(number) + 1}`;
    expect(there.has(mover), `batch ${batch} was acknowledged at ${position} and is lost`).toBe(
      true,
    );
  }
  expect((await db.verify()).findings).toEqual([]);
  return !db.status().recovery.cleanShutdown;
}

test(
  `after ${runs} kills every acknowledged batch is there, whole, and the log verifies`,
  { timeout: 120_000 },
  async () => {
    const prng = new Prng(seed);
    let uncleanOpens = 0;
    let child = startProcess();
    for (let run = 0; run < runs; run++) {
      const { said } = await letGo(child);
      if (run === 0) await expect(openHere()).rejects.toMatchObject({ code: 'DATABASE_LOCKED' });
      await new Promise((resolve) => setTimeout(resolve, prng.below(250)));
      child.kill('SIGKILL');
      const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
      expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' });
      note(said());
      // The next one starts while the last one's work is looked at.
      child = startProcess();
      await using db = await openHere();
      if (await check(db)) uncleanOpens += 1;
    }
    // Every kill hit a process that had been told something and was writing; the sum shows the load.
    expect(uncleanOpens).toBe(runs);
    expect(added.size).toBeGreaterThan(10 * runs);
    expect(removed.size).toBeGreaterThan(runs);
  },
);

test('while this process has the database open, another is refused, and let in afterwards', async () => {
  const tryOpen = (): string => {
    const { stdout } = spawnSync(process.execPath, argumentsFor('open'), { encoding: 'utf8' });
    return stdout.trim();
  };
  await using db = await openHere();
  expect(tryOpen()).toBe('failed DATABASE_LOCKED');
  await expect(openHere()).rejects.toMatchObject({ code: 'DATABASE_LOCKED' });
  const beside = await Verity.open(directory, {
    masterKey: keys.fromFile(keyFile),
    readOnly: true,
  });
  expect(beside.tenants()).toEqual(['amber']);
  await beside.close();
  await db.close();
  expect(tryOpen()).toBe('ready');
});

test('in a directory that may not be written to, reading works and opening for writing is READ_ONLY', async () => {
  await (await openHere()).close();
  // To root every directory is writable, so the child then goes on as somebody else.
  const nobody = 65_534;
  const isRoot = process.getuid?.() === 0;
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const inside = names.map((name) => join(directory, name));
  if (isRoot) {
    for (const path of [folder, directory, keyFile, ...inside]) chownSync(path, nobody, nobody);
  }
  const isDirectory = (path: string): boolean => /(?:log|store|proofs)$/.test(path);
  for (const path of inside) chmodSync(path, isDirectory(path) ? 0o500 : 0o400);
  chmodSync(directory, 0o500);
  const run = (task: 'open' | 'read'): string => {
    const args = [...argumentsFor(task), ...(isRoot ? [String(nobody)] : [])];
    return spawnSync(process.execPath, args, { encoding: 'utf8' }).stdout.trim();
  };
  expect(run('read')).toBe('ready');
  expect(run('open')).toBe('failed READ_ONLY');
  expect(run('read')).toBe('ready');
  for (const path of [directory, ...inside.filter(isDirectory)]) chmodSync(path, 0o700);
});
