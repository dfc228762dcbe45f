import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verity, verityHere, verityJson, verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const directory = workspace.database();
const keyFile = `${directory}.key`;
const sql =
  "CREATE TABLE t (id integer PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two'); UPDATE t SET v = 'uno' WHERE id = 1";
verity(['sql', directory, '--tenant', 'acme', '--actor', 'ann', '--reason', 'because', '-c', sql]);

function logFile(inDirectory: string): string {
  const [name] = readdirSync(join(inDirectory, 'log'))
    .filter((file) => file.endsWith('.vlog'))
    .toSorted();
  return `log/${name}`;
}

test('an intact database verifies: exit code 0 and these fields', () => {
  const { exitCode, document } = verityJson(['verify', directory]);
  expect(exitCode).toBe(0);
  expect(document).toEqual({
    ok: true,
    filesRead: expect.any(Number),
    bytesRead: expect.any(Number),
    frames: expect.any(Number),
    events: expect.any(Number),
    position: expect.any(Number),
    chainHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    findings: [],
    opened: true,
    segmentsCompared: 0,
    stateHash: {
      hash: expect.stringMatching(/^[0-9a-f]{64}$/),
      position: document.position,
    },
    cuts: [],
  });
  expect(document.events).toBeGreaterThanOrEqual(4);
  expect(verity(['verify', directory]).stdout).toContain(
    'verified: every byte is as it was written.',
  );
});

test('one changed byte is found with file and offset: exit code 3', () => {
  const damaged = workspace.path('damaged');
  cpSync(directory, damaged, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  const file = logFile(damaged);
  const bytes = readFileSync(join(damaged, file));
  const offset = 200;
  bytes[offset] = (bytes[offset] as number) ^ 0x10;
  writeFileSync(join(damaged, file), bytes);
  const json = verityJson(['verify', damaged, '--key-file', keyFile]);
  expect(json.exitCode).toBe(3);
  expect(json.document.ok).toBe(false);
  expect(json.document.findings[0]).toEqual({
    code: expect.stringMatching(/^[A-Z_]+$/),
    file,
    offset: expect.any(Number),
    message: expect.any(String),
  });
  const plain = verity(['verify', damaged, '--key-file', keyFile]);
  expect(plain.exitCode).toBe(3);
  expect(plain.stdout).toContain(`${file} at byte ${json.document.findings[0].offset}: `);
  expect(plain.stdout).toMatch(/NOT VERIFIED: \d+ findings?\.\n$/);
  expect(
    verity(['sql', damaged, '--key-file', keyFile, '--tenant', 'acme', '-c', 'SELECT * FROM t'])
      .exitCode,
  ).toBe(3);
});

test('a wrong key is no integrity failure', () => {
  expect(
    verityJson(['verify', directory], { env: { VERITY_MASTER_KEY: '11'.repeat(32) } }),
  ).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'WRONG_KEY' } },
  });
});

test('status tells what the database is: these fields', async () => {
  const { exitCode, document } = await verityJsonHere(['status', directory]);
  expect(exitCode).toBe(0);
  expect(Object.keys(document).toSorted()).toEqual([
    'chainHash',
    'compression',
    'encryption',
    'events',
    'formatRevision',
    'frames',
    'keySlots',
    'logBytes',
    'logId',
    'memory',
    'origin',
    'path',
    'poisoned',
    'position',
    'readOnly',
    'recovery',
    'security',
    'segments',
    'stateHash',
    'store',
    'subjects',
    'tenants',
  ]);
  expect(document).toMatchObject({
    readOnly: true,
    poisoned: false,
    tenants: ['acme'],
    recovery: { cleanShutdown: true, cut: [] },
    store: { checkpoint: 0, bytes: 0 },
    stateHash: { position: document.position },
  });
  expect(document.keySlots).toHaveLength(2);
  expect((await verityHere(['status', directory])).stdout).toMatch(/^position +\d+$/m);
});

test('history lists position, time, who, why and what: these fields', async () => {
  const { exitCode, document } = await verityJsonHere([
    'history',
    directory,
    '--tenant',
    'acme',
    'T',
    '1',
  ]);
  expect(exitCode).toBe(0);
  const who = {
    actor: 'ann',
    reason: 'because',
    position: expect.any(Number),
    time: expect.stringMatching(/^\d{4}-.*Z$/),
  };
  expect(document).toEqual({
    table: 't',
    key: { id: '1' },
    changes: [
      {
        ...who,
        kind: 'insert',
        changed: [],
        before: null,
        after: { id: 1, v: 'one' },
        statement: expect.stringContaining('INSERT INTO t'),
      },
      {
        ...who,
        kind: 'update',
        changed: ['v'],
        before: { id: 1, v: 'one' },
        after: { id: 1, v: 'uno' },
        statement: 'UPDATE t SET v = $1 WHERE id = $2',
      },
    ],
  });
  const { stdout } = await verityHere(['history', directory, '--tenant', 'acme', 't', '1']);
  expect(stdout).toMatch(/position │ time +│ who │ why +│ what/);
  expect(stdout).toContain('v: one → uno');
});

test('history refuses what it cannot look up', async () => {
  const code = async (...args: string[]): Promise<[number | null, string]> => {
    const { exitCode, document } = await verityJsonHere([
      'history',
      directory,
      '--tenant',
      'acme',
      ...args,
    ]);
    return [exitCode, document.error?.code];
  };
  expect(await code('nowhere', '1')).toEqual([1, 'UNDEFINED_TABLE']);
  expect(await code('t', 'x')).toEqual([1, 'INVALID_TEXT']);
  expect(await code('t', '1', '2')).toEqual([2, 'INVALID_ARGUMENT']);
  expect(await verityHere(['history', directory, '--tenant', 'acme', 't', '99'])).toMatchObject({
    exitCode: 0,
    stdout: 'No row of t has ever had this key.\n',
  });
});
