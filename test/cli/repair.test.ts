/** `verity repair` and `verity log copy`: exit codes, JSON and what a person is told. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Document, verityHere, verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
let source: string;
let copy: string;

beforeAll(async () => {
  source = workspace.path('source');
  copy = workspace.path('copy');
  expect((await verityHere(['init', source])).exitCode).toBe(0);
  const statements = ['CREATE TABLE a (id integer PRIMARY KEY)'];
  for (let id = 1; id <= 5; id++) statements.push(`INSERT INTO a VALUES (${id})`);
  expect(
    (await verityHere(['sql', source, '--tenant', 't', '-c', statements.join(';')])).exitCode,
  ).toBe(0);
});
afterAll(() => workspace.remove());

/** A copy of the database, key beside it, with one byte of the log changed. */
function damaged(name: string): string {
  const directory = workspace.path(name);
  cpSync(source, directory, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
  cpSync(`${source}.key`, `${directory}.key`);
  const path = logFile(directory);
  const bytes = readFileSync(path);
  bytes[900] = (bytes[900] as number) ^ 4;
  writeFileSync(path, bytes);
  return directory;
}

function logFile(directory: string): string {
  return join(directory, 'log', readdirSync(join(directory, 'log'))[0] as string);
}

test('log copy makes a database that verifies with the same key', async () => {
  const { exitCode, document } = await verityJsonHere(['log', 'copy', source, copy]);
  expect(exitCode).toBe(0);
  expect(document).toEqual({
    path: copy,
    logId: expect.stringMatching(/^[0-9a-f]{32}$/),
    instanceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    position: expect.any(Number),
    frames: expect.any(Number),
    events: expect.any(Number),
    chainHash: expect.stringMatching(/^[0-9a-f]{64}$/),
    segments: 1,
    bytes: expect.any(Number),
  });
  const verified = await verityJsonHere(['verify', copy, '--key-file', `${source}.key`]);
  expect(verified.exitCode).toBe(0);
  expect(verified.document.chainHash).toBe(document.chainHash);
  const again = await verityJsonHere(['log', 'copy', source, copy]);
  expect([again.exitCode, again.document.error.code]).toEqual([1, 'DATABASE_EXISTS']);
  const inside = await verityJsonHere(['log', 'copy', source, join(source, 'inside')]);
  expect([inside.exitCode, inside.document.error.code]).toEqual([2, 'INVALID_ARGUMENT']);
  const text = await verityHere(['log', 'copy', source, workspace.path('copy-2')]);
  expect(text.stdout).toContain('The copy opens with the same key.');
});

test('repair --from takes the frame that is bad: exit code 0 and these fields', async () => {
  const directory = damaged('from');
  expect((await verityHere(['verify', directory])).exitCode).toBe(3);
  const dry = await verityHere(['repair', directory, '--from', copy, '--dry-run']);
  expect(dry.stdout).toContain('nothing was changed: this was a dry run');
  expect((await verityHere(['verify', directory])).exitCode).toBe(3);
  const { exitCode, document } = await verityJsonHere(['repair', directory, '--from', copy]);
  expect(exitCode).toBe(0);
  expect(Object.keys(document as Document).toSorted()).toEqual([
    'chainHash',
    'copyGoesOn',
    'dryRun',
    'frames',
    'kept',
    'ok',
    'position',
    'removed',
    'replaced',
    'restored',
    'verification',
  ]);
  expect(document).toMatchObject({
    ok: true,
    dryRun: false,
    restored: [],
    removed: [],
    replaced: [
      {
        file: expect.stringMatching(/^log\//),
        offset: expect.any(Number),
        lengthBytes: expect.any(Number),
        firstOp: expect.any(Number),
        lastOp: expect.any(Number),
      },
    ],
    kept: 'damaged/1',
    verification: { ok: true, findings: [], cuts: [] },
  });
  expect((await verityHere(['verify', directory])).exitCode).toBe(0);
});

test('repair --cut-tail does not cut without --yes, and says what it would', async () => {
  const directory = damaged('cut');
  const refused = await verityHere(['repair', directory, '--cut-tail']);
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toMatch(/The log is cut in log\/\d+\.vlog at byte \d+: frames \d+ to \d+/);
  expect((await verityHere(['verify', directory])).exitCode).toBe(3);
  const { exitCode, document } = await verityJsonHere([
    'repair',
    directory,
    '--cut-tail',
    '--yes',
    '--actor',
    'ann',
  ]);
  expect(exitCode).toBe(0);
  expect(document).toMatchObject({ ok: true, cut: { firstOp: expect.any(Number) } });
  const verified = await verityJsonHere(['verify', directory]);
  expect(verified.exitCode).toBe(0);
  expect(verified.document.cuts).toEqual([
    { ...document.cut, time: expect.any(String), actor: 'ann' },
  ]);
  expect((await verityHere(['verify', directory])).stdout).toContain('cut by ann at ');
});

test('damage that the copy has, too, ends with exit code 3 and its place', async () => {
  const directory = damaged('both');
  const other = damaged('other');
  const { exitCode, document } = await verityJsonHere(['repair', directory, '--from', other]);
  expect([exitCode, document.error.code]).toEqual([3, 'MISSING_DATA']);
  expect(document.error.details).toEqual({
    file: expect.stringMatching(/^log\//),
    offset: expect.any(Number),
  });
});

test('without a way only the store is made again, from the log, and read', async () => {
  const whole = workspace.path('whole');
  cpSync(source, whole, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
  cpSync(`${source}.key`, `${whole}.key`);
  const before = readFileSync(logFile(whole));
  const { exitCode, document } = await verityJsonHere(['repair', whole]);
  expect(exitCode).toBe(0);
  expect(document).toMatchObject({
    ok: true,
    storeRebuilt: true,
    replaced: [],
    verification: { ok: true, storeCompared: expect.any(Number) },
  });
  expect(readdirSync(join(whole, 'store'))).toEqual(['pages', 'superblock']);
  // What was logged stays; an open and a close come behind it.
  expect(readFileSync(logFile(whole)).subarray(0, before.length)).toEqual(before);
  const pages = join(whole, 'store', 'pages');
  const bytes = readFileSync(pages);
  for (let page = 1; page * 4_096 < bytes.length; page++) {
    const at = page * 4_096 + 9;
    bytes[at] = (bytes[at] as number) ^ 4;
  }
  writeFileSync(pages, bytes);
  const bad = await verityJsonHere(['verify', whole]);
  expect(bad.exitCode).toBe(3);
  expect(bad.document.findings).toMatchObject([
    { code: 'AUTHENTICATION_FAILED', file: 'store/pages' },
  ]);
  expect((await verityHere(['repair', whole])).stdout).toContain(
    'the store was made again from the log',
  );
  expect((await verityHere(['verify', whole])).exitCode).toBe(0);
  const status = await verityJsonHere(['status', whole]);
  expect(status.document.store).toMatchObject({ checkpoint: expect.any(Number) });
  expect(status.document.store.checkpoint).toBeGreaterThan(0);
  expect((await verityHere(['status', whole])).stdout).toMatch(/^store +.*checkpoint at position/m);
  expect((await verityHere(['repair', damaged('rotten-log')])).exitCode).toBe(3);
});

test('a cache of so many bytes is taken, anything else is wrong usage', async () => {
  expect((await verityHere(['status', source, '--cache-bytes', '8M'])).exitCode).toBe(0);
  for (const wrong of ['8 M', '-1', '1T', 'many'])
    expect((await verityHere(['status', source, '--cache-bytes', wrong])).exitCode).toBe(2);
  expect((await verityHere(['status', source, '--cache-bytes', '1000'])).exitCode).toBe(2);
});

test('two ways at once are refused', async () => {
  expect((await verityHere(['repair', source, '--from', copy, '--cut-tail'])).exitCode).toBe(2);
});

test('verify --without-key needs none, and says how far it looked', async () => {
  const directory = damaged('keyless');
  rmSync(`${directory}.key`);
  const { exitCode, document } = await verityJsonHere(['verify', directory, '--without-key']);
  expect(exitCode).toBe(3);
  expect(document.findings).toHaveLength(1);
  const whole = await verityJsonHere(['verify', copy, '--without-key']);
  expect(whole).toMatchObject({ exitCode: 0, document: { ok: true, opened: false } });
  expect((await verityHere(['verify', copy, '--without-key'])).stdout).toContain(
    'checked without a key',
  );
});

test('repair --extend takes what a longer copy has, and says of one that went another way that it did', async () => {
  const [short, long, other] = ['short', 'long', 'other'].map((name) => {
    const directory = workspace.path(name);
    cpSync(source, directory, { recursive: true, filter: (path) => !path.endsWith('LOCK') });
    cpSync(`${source}.key`, `${directory}.key`);
    return directory;
  }) as [string, string, string];
  for (const [directory, ids] of [
    [long, [6, 8]],
    [other, [7]],
  ] as const) {
    const statements = ids.map((id) => `INSERT INTO a VALUES (${id})`).join(';');
    const { exitCode } = await verityHere(['sql', directory, '--tenant', 't', '-c', statements]);
    expect(exitCode).toBe(0);
  }
  const offered = await verityHere(['repair', short, '--from', long]);
  expect(offered.stdout).toContain('nothing to repair\n');
  expect(offered.stdout).toContain('behind the end of this log: --extend takes them');
  const stays = await verityHere(['repair', other, '--from', long, '--extend']);
  expect([stays.exitCode, stays.stdout]).toEqual([
    0,
    expect.stringContaining('none of them continues it: the two went different ways'),
  ]);
  const extended = await verityHere(['repair', short, '--from', long, '--extend']);
  expect(extended.stdout).toContain('taken from the copy: ');
  const rows = await verityHere(['sql', short, '--tenant', 't', '-c', 'SELECT max(id) FROM a']);
  expect(rows.stdout).toContain(' 8 ');
});
