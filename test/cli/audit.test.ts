/** `verity audit` as a user runs it: what it prints, its JSON fields, its exit codes. What it finds is in test/integrity/audit.test.ts. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, expect, test, vi } from 'vitest';
import { runCli } from '../../src/cli/index.ts';
import { type AuditReport, keys, Verity } from '../../src/database/index.ts';
import {
  type Document,
  verity,
  verityHere,
  verityJson,
  verityJsonHere,
  Workspace,
} from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const directory = workspace.database();
const keyFile = `${directory}.key`;
const key = ['--key-file', keyFile] as const;
const large = new Uint8Array((1 << 20) + 5).fill(7);
const database = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
const tenant = await database.createTenant('acme');
await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text, large bytea)');
await tenant.execute("INSERT INTO t (id, v) VALUES (1, 'one'), (2, 'two')");
const note = workspace.file('first.note', (await database.proofs.checkpoint()).note);
await tenant.execute('INSERT INTO t (id, large) VALUES (3, $1)', [large]);
for (let id = 10; id < 60; id++)
  await tenant.execute('INSERT INTO t (id, v) VALUES ($1, $2)', [id, 'v'.repeat(30_000)]);
await database.proofs.checkpoint();
await database.close();
const logFile = `log/${readdirSync(join(directory, 'log')).toSorted()[0]}`;
const blobFile = `blobs/${readdirSync(join(directory, 'blobs'))[0]}`;

/** A copy of the database in which one byte of a file is another. */
function damaged(name: string, file: string, offset: number): string {
  const copy = workspace.path(name);
  cpSync(directory, copy, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  const bytes = readFileSync(join(copy, file));
  bytes[offset] = (bytes[offset] as number) ^ 0x10;
  writeFileSync(join(copy, file), bytes);
  return copy;
}

const hash = expect.stringMatching(/^[0-9a-f]{64}$/);
const number = expect.any(Number);
const withoutKey = {
  ok: true,
  filesRead: number,
  bytesRead: number,
  frames: number,
  events: number,
  position: number,
  chainHash: hash,
  findings: [],
  opened: false,
  segmentsCompared: 0,
  cuts: [],
  threads: 1,
  eventsOpened: 0,
  segmentsResumed: 0,
  proofs: {
    treeSize: number,
    root: hash,
    checkpoints: 2,
    cosignatures: 0,
    unchecked: 0,
    timeStamps: 0,
    timeStampsUnchecked: 0,
  },
};

test('an intact database: exit code 0 and these fields, with the key', () => {
  const { exitCode, document } = verityJson(['audit', directory]);
  expect(exitCode).toBe(0);
  expect(document).toEqual({
    ...withoutKey,
    opened: true,
    eventsOpened: document.events,
    storeCompared: document.position,
    versionsCompared: number,
    stateHash: { hash, position: number },
    blobs: { checked: 1, bytes: large.length, unnamed: [] },
  });
  expect(document.proofs.treeSize).toBe(document.events);
});

test('an intact database: exit code 0 and these fields, without a key', () => {
  const { exitCode, document } = verityJson(['audit', directory, '--without-key']);
  expect(exitCode).toBe(0);
  expect(document).toEqual(withoutKey);
});

test('where no key is named, only what needs none is checked, and that is said', async () => {
  const copy = workspace.path('keyless');
  cpSync(directory, copy, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  const { exitCode, stdout, stderr } = await verityHere(['audit', copy]);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/\naudited without a key: /);
  expect(stderr).toMatch(/^WARNING: no key was named: only what needs none is checked\./);
  const json = await verityHere(['audit', copy, '--json']);
  expect(JSON.parse(json.stdout)).toEqual(withoutKey);
  expect(JSON.parse(json.stderr)).toEqual({ warning: expect.stringContaining('no key was named') });
  // Said by whoever wants it so, it needs no warning; one that is named has to be there.
  expect((await verityHere(['audit', copy, '--without-key'])).stderr).toBe('');
  const missing = await verityJsonHere(['audit', copy, '--key-file', workspace.path('no.key')]);
  expect(missing).toMatchObject({ exitCode: 1, document: { error: { code: 'KEY_MISSING' } } });
});

test('what is printed for people, and no bar where there is no terminal', async () => {
  const { exitCode, stdout, stderr } = await verityHere(['audit', directory, ...key]);
  expect([exitCode, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/^read \d+ files, [0-9.]+ MB, with 1 thread: \d+ frames, \d+ events/);
  expect(stdout).toContain('\n2 signed checkpoints, 0 cosignatures\n');
  expect(stdout).toMatch(
    /\naudited: every byte is as it was written, and the store is what the log yields\.\n$/,
  );
  const keyless = await verityHere(['audit', directory, '--without-key']);
  expect(keyless.stdout).toMatch(/\naudited without a key: .*nothing was opened\.\n$/);
});

test('a changed byte of the log: exit code 3, where it is, and whose rows it takes', async () => {
  const copy = damaged('log-damaged', logFile, readFileSync(join(directory, logFile)).length >> 1);
  const { exitCode, document } = await verityJsonHere(['audit', copy, ...key]);
  expect([exitCode, document.ok]).toEqual([3, false]);
  expect(document.findings).toHaveLength(1);
  expect(document.findings[0]).toMatchObject({
    code: 'CHECKSUM_MISMATCH',
    file: logFile,
    offset: number,
    message: expect.stringContaining('verity repair --from'),
  });
  // What rests on the whole log is not said of a damaged one.
  expect(document.proofs).toBeUndefined();
  expect(document.stateHash).toBeUndefined();
});

test('a damaged frame names positions, tenants, tables and rows with the key, numbers without', async () => {
  const copy = damaged('frame', logFile, readFileSync(join(directory, logFile)).length >> 1);
  const { document } = await verityJsonHere(['audit', copy, ...key]);
  const [{ affected, offset }] = document.findings;
  const { first: position } = affected.positions;
  const range = { first: number, last: number };
  expect(affected).toEqual({
    frames: range,
    positions: { first: position, last: position },
    leaves: range,
    tenants: ['acme'],
    tables: [
      {
        tenant: 'acme',
        table: 't',
        versions: 1,
        rows: [{ key: expect.stringMatching(/^[1-5]\d$/), position }],
      },
    ],
  });
  const keyless = await verityJsonHere(['audit', copy, '--without-key']);
  expect([keyless.exitCode, keyless.document.findings[0]]).toEqual([
    3,
    {
      code: 'CHECKSUM_MISMATCH',
      file: logFile,
      offset,
      message: expect.any(String),
      affected: { ...affected, tenants: [number], tables: [] },
    },
  ]);
  const plain = await verityHere(['audit', copy, ...key]);
  expect(plain.exitCode).toBe(3);
  expect(plain.stdout).toContain(`${logFile} at byte ${offset}: CHECKSUM_MISMATCH\n`);
  expect(plain.stdout).toContain(`\n  affected: positions ${position} to ${position}\n`);
  const { key: row } = affected.tables[0].rows[0];
  expect(plain.stdout).toContain(
    `\n  affected: acme.t, 1 versions: ${row} (position ${position})\n`,
  );
  expect(plain.stdout).toMatch(/\nNOT AS IT WAS WRITTEN: 1 finding\.\n$/);
});

test('a frame whose header is damaged names the tenants of its rows all the same', async () => {
  const bytes = readFileSync(join(directory, logFile));
  const [{ offset: frame }] = (
    await verityJsonHere(['audit', damaged('body', logFile, bytes.length >> 1), ...key])
  ).document.findings;
  // A finding of a body names where that begins: its header lies before it.
  const { document } = await verityJsonHere([
    'audit',
    damaged('header', logFile, frame - 20),
    ...key,
  ]);
  expect(document.findings[0].affected).toMatchObject({ tenants: ['acme'], tables: [{}] });
});

test('a damaged large value names the row that has it', async () => {
  const copy = damaged('blob-damaged', blobFile, 700_000);
  const { exitCode, document } = await verityJsonHere(['audit', copy, ...key]);
  expect(exitCode).toBe(3);
  const [{ affected, ...finding }] = document.findings;
  expect(finding).toMatchObject({ code: 'AUTHENTICATION_FAILED', file: blobFile });
  const { first: position } = affected.positions;
  expect(affected).toEqual({
    positions: { first: position, last: position },
    leaves: { first: number, last: number },
    tenants: ['acme'],
    tables: [{ tenant: 'acme', table: 't', versions: 1, rows: [{ key: '3', position }] }],
  });
});

test('every small file and every proof is read: exit code 3, and the file is named', async () => {
  for (const [file, offset] of [
    ['keyring', 60],
    ['verity.json', 40],
    ['anchor', 70],
    ['proofs/checkpoints', 90],
    ['store/superblock', 50],
  ] as const) {
    const copy = damaged(`damaged-${file.replace('/', '-')}`, file, offset);
    for (const access of [key, ['--without-key']]) {
      const { exitCode, document } = await verityJsonHere(['audit', copy, ...access]);
      expect([exitCode, document.findings.map((each: Document) => each.file)]).toEqual([3, [file]]);
    }
  }
});

test('a file that is gone is a finding, too', async () => {
  const copy = workspace.path('gone');
  cpSync(directory, copy, {
    recursive: true,
    filter: (source) => !source.endsWith('LOCK') && !source.endsWith('verity.json'),
  });
  expect(await verityJsonHere(['audit', copy, ...key])).toMatchObject({
    exitCode: 3,
    document: { ok: false, findings: [{ code: 'MISSING_DATA' }] },
  });
});

test('--since: only what came after is opened; another database’s checkpoint is a finding', async () => {
  const all = await verityJsonHere(['audit', directory, ...key]);
  const { exitCode, document } = await verityJsonHere([
    'audit',
    directory,
    ...key,
    '--since',
    note,
  ]);
  expect(exitCode).toBe(0);
  expect(document.since).toBe(Number(readFileSync(note, 'utf8').split('\n')[1]));
  expect(document.eventsOpened).toBeGreaterThan(0);
  expect(document.eventsOpened).toBeLessThan(all.document.eventsOpened);
  const other = workspace.database('other');
  const foreign = workspace.file('other.note', verity(['checkpoint', other]).stdout);
  const told = await verityJsonHere(['audit', directory, ...key, '--since', foreign]);
  expect(told).toMatchObject({
    exitCode: 3,
    document: {
      findings: [{ code: 'SIGNATURE_INVALID', message: expect.stringContaining('was given') }],
    },
  });
});

test('--out writes the report that --json prints; --resume keeps what was found', async () => {
  const [out, state] = [workspace.path('report.json'), workspace.path('audit.state')];
  const args = ['audit', directory, ...key, '--out', out, '--resume', state];
  const first = await verityJsonHere(args);
  expect(JSON.parse(readFileSync(out, 'utf8'))).toEqual(first.document);
  expect(first.document.segmentsResumed).toBe(0);
  // As a killed process leaves it.
  writeFileSync(state, `${readFileSync(state, 'utf8')}4711`);
  const { document } = await verityJsonHere(args);
  expect(document).toMatchObject({ ok: true, segmentsResumed: 1, eventsOpened: 0 });
  expect({ ...document, segmentsResumed: 0, eventsOpened: document.events }).toEqual(
    first.document,
  );
});

test('bad usage: exit code 2 and what to do', async () => {
  const garbage = workspace.file('garbage.note', 'no note');
  for (const [args, message] of [
    [['audit'], "Missing required argument 'DIR'"],
    [['audit', directory, '--threads', '9'], '--threads takes a number from 1 to 8.'],
    [['audit', directory, '--threads', 'two'], '--threads takes a number from 1 to 8.'],
    [['audit', directory, '--frobnicate'], "Unknown option '--frobnicate'"],
    [['audit', directory, ...key, '--since', garbage], 'Pass the text of a signed note'],
  ] as const) {
    const { exitCode, stderr } = await verityHere(args);
    expect(exitCode, args.join(' ')).toBe(2);
    expect(stderr).toContain(message);
  }
});

test('what is no damage is exit code 1: no database, another key, files that cannot be used', async () => {
  const nowhere = workspace.path('nowhere/file');
  for (const [args, code] of [
    [['audit', workspace.path('nothing')], 'NO_DATABASE'],
    [['audit', directory, '--key-file', workspace.file('k', '22'.repeat(32))], 'WRONG_KEY'],
    [['audit', directory, ...key, '--since', nowhere], 'IO_ERROR'],
    [['audit', directory, ...key, '--resume', nowhere], 'IO_ERROR'],
    [['audit', directory, ...key, '--tsa-ca', nowhere], 'IO_ERROR'],
  ] as const) {
    const { exitCode, document } = await verityJsonHere(args);
    expect([exitCode, document.error.code], args.join(' ')).toEqual([1, code]);
  }
  const unwritable = await verityHere(['audit', directory, ...key, '--out', nowhere]);
  expect(unwritable.exitCode).toBe(1);
  // The audit itself is not lost.
  expect(unwritable.stdout).toContain('audited: ');
  expect(unwritable.stderr).toContain('IO_ERROR');
});

test('on a terminal a bar is shown on standard error, and none with --json', async () => {
  const audited = vi.spyOn(Verity, 'audit').mockImplementation((_, { onProgress }) => {
    for (let done = 0; done <= 3; done++) onProgress?.({ phase: 'log', done, total: 3 });
    onProgress?.({ phase: 'store', done: 0, total: 2 });
    return Promise.resolve({ ok: true, findings: [] } as unknown as AuditReport);
  });
  const shownOf = async (...flags: string[]): Promise<string> => {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    Object.assign(stderr, { isTTY: true, columns: 100 });
    const streams = { stdin: new PassThrough(), stdout, stderr, env: {} };
    const rest = { now: () => performance.now(), onInterrupt: () => () => undefined };
    expect(await runCli(['audit', directory, ...key, ...flags], { ...streams, ...rest })).toBe(0);
    stderr.end();
    return (await stderr.toArray()).join('');
  };
  const bars = await shownOf();
  for (const text of ['checking the log', '0/3 segments', '3/3 segments', 'reading the store back'])
    expect(bars).toContain(text);
  expect(await shownOf('--json')).toBe('');
  audited.mockRestore();
});
