import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import { openNote, parseCheckpoint, parseVkey } from '../../src/proof/index.ts';
import { type Document, verityHere as verity } from './verity-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-checkpoint-cli-'));
const directory = join(folder, 'data');
let vkey: string;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const sql = (text: string): ReturnType<typeof verity> =>
  verity(['sql', directory, '--tenant', 'acme', '-c', text]);
const checkpoint = async (...args: string[]): Promise<string> => {
  const { exitCode, stdout, stderr } = await verity(['checkpoint', directory, ...args]);
  expect([exitCode, stderr]).toEqual([0, '']);
  return stdout;
};

beforeAll(async () => {
  await verity(['init', directory, '--origin', 'clinic.example/records']);
  await sql('CREATE TABLE t (id integer PRIMARY KEY)');
  const { stdout } = await verity(['keys', 'export-public', directory, '--json']);
  ({ vkey } = JSON.parse(stdout) as { vkey: string });
});

test('prints the note of a checkpoint of all that is committed, and the same while nothing comes', async () => {
  expect(await checkpoint('--list')).toBe('');
  const note = await checkpoint();
  const { text, verified } = openNote(note, [parseVkey(sha256, vkey)], ed25519Verify);
  expect(verified).toHaveLength(1);
  expect(parseCheckpoint(text).origin).toBe('clinic.example/records');
  expect(await checkpoint()).toBe(note);
});

test('as a document has what the record says; --list has all, the oldest first', async () => {
  const first = JSON.parse(await checkpoint('--json')) as Document;
  expect(first).toEqual({
    note: await checkpoint(),
    origin: 'clinic.example/records',
    size: expect.any(Number),
    root: expect.stringMatching(/^[0-9a-f]{64}$/),
    position: expect.any(Number),
    chainHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    stateHash: { hash: expect.stringMatching(/^[0-9a-f]{64}$/), position: first.position },
  });
  await sql('INSERT INTO t VALUES (1)');
  const second = JSON.parse(await checkpoint('--json')) as Document;
  expect(second.size).toBe(first.size + 2);
  expect(JSON.parse(await checkpoint('--list', '--json'))).toEqual([first, second]);
  expect(await checkpoint('--list')).toBe(`${first.note}\n${second.note}`);
});
