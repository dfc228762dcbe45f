/** A real process, killed with SIGKILL while it writes rows and checkpoints. Runs the built package. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { root } from '../support/project.ts';

const built = pathToFileURL(join(root, 'dist')).href;
const script = join(import.meta.dirname, 'store-writer.mjs');
const runs = 6;

let folder: string;
let directory: string;
let keyFile: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verity-store-sigkill-'));
  directory = join(folder, 'data');
  keyFile = join(folder, 'data.key');
  await keys.generateFile(keyFile);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lets a process write until it has told of so many rows, and some more; what it was told, its first line apart. */
async function writeAndKill(rows: number): Promise<{ first: string; ids: string[] }> {
  const child = spawn(process.execPath, [script, built, directory, keyFile], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (part: string) => {
    text += part;
    if (text.split('\n').length > rows) child.kill('SIGKILL');
  });
  await once(child, 'close');
  // What follows the last line end is a line that the kill cut off, or nothing.
  const [first = '', ...ids] = text.split('\n').slice(0, -1);
  return { first, ids };
}

test('a process that is killed leaves all that it was told, and the next replays only the end of the log', async () => {
  const prng = new Prng(7);
  const told: string[] = [];
  const replays: [number, number][] = [];
  for (let run = 0; run < runs; run++) {
    const { first, ids } = await writeAndKill(120 + prng.below(200));
    const [, replayed, frames] = /^replayed (\d+) of (\d+)$/.exec(first) ?? [];
    replays.push([Number(replayed), Number(frames)]);
    told.push(...ids);
  }
  await using db = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
  const { store, frames } = db.status();
  replays.push([store.replayedFrames ?? 0, frames]);
  const { rows } = await db.tenant('acme').query('SELECT id FROM t');
  const there = new Set(rows.map(({ id }) => id));
  expect(told.length).toBeGreaterThan(runs * 100);
  expect(told.filter((id) => !there.has(id))).toEqual([]);
  // About 30 kB of log: what came since the last checkpoint, of a log that grows with each run.
  for (const [replayed, total] of replays.slice(3)) expect(replayed).toBeLessThan(total / 2);
  expect(await db.verify()).toMatchObject({ ok: true, storeCompared: store.checkpoint });
});
