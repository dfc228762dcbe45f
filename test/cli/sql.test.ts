import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { root } from '../support/project.ts';
import {
  cleanEnvironment,
  type JsonRan,
  mainScript,
  verity,
  verityJsonHere,
  Workspace,
} from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const directory = workspace.database();
const base = ['sql', directory, '--tenant', 'clinic'];
const sql = (text: string, ...more: string[]): ReturnType<typeof verity> =>
  verity([...base, '-c', text, ...more]);
const sqlJson = (text: string, ...more: string[]): Promise<JsonRan> =>
  verityJsonHere([...base, '-c', text, ...more]);

test('the tenant is created by the first write and not by a read', async () => {
  expect(await sqlJson('SELECT 1 AS one')).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'UNKNOWN_TENANT' } },
  });
  expect(
    sql('CREATE TABLE notes (id integer PRIMARY KEY, body text, at timestamptz, big bigint)')
      .exitCode,
  ).toBe(0);
  expect((await verityJsonHere(['status', directory])).document.tenants).toContain('clinic');
});

test('several statements run in order, and results are one JSON document', async () => {
  const { exitCode, document } = await sqlJson(
    "INSERT INTO notes VALUES (1, 'a;b', '2024-01-02T03:04:05.5Z', 9007199254740993); -- done;\n" +
      "INSERT INTO notes (id, body) VALUES (2, NULL), (3, '') RETURNING id; SELECT * FROM notes ORDER BY id",
  );
  expect(exitCode).toBe(0);
  expect(document.results).toEqual([
    { kind: 'insert', position: expect.any(Number), rowCount: 1, columns: [], rows: [] },
    {
      kind: 'insert',
      position: expect.any(Number),
      rowCount: 2,
      columns: [{ name: 'id', type: 'integer' }],
      rows: [{ id: 2 }, { id: 3 }],
    },
    {
      kind: 'select',
      position: expect.any(Number),
      rowCount: 3,
      columns: [
        { name: 'id', type: 'integer' },
        { name: 'body', type: 'text' },
        { name: 'at', type: 'timestamptz' },
        { name: 'big', type: 'bigint' },
      ],
      rows: [
        { id: 1, body: 'a;b', at: '2024-01-02T03:04:05.500Z', big: '9007199254740993' },
        { id: 2, body: null, at: null, big: null },
        { id: 3, body: '', at: null, big: null },
      ],
    },
  ]);
});

test('columns of one name are all shown', async () => {
  const text = 'SELECT 1 AS id, 2 AS id, 3 AS id_2, 4 AS id';
  const { document } = await sqlJson(text);
  expect(document.results).toMatchObject([
    {
      columns: [
        { name: 'id', type: 'integer' },
        { name: 'id', type: 'integer', key: 'id_3' },
        { name: 'id_2', type: 'integer' },
        { name: 'id', type: 'integer', key: 'id_4' },
      ],
      rows: [{ id: 1, id_3: 2, id_2: 3, id_4: 4 }],
    },
  ]);
  expect(sql(text, '--format', 'csv').stdout).toBe('id,id,id_2,id\n1,2,3,4\n');
  expect(sql(text).stdout).toMatch(/1 │ +2 │ +3 │ +4/);
});

test('csv has a header line, tells NULL from empty, and nothing for writes', async () => {
  const text =
    "UPDATE notes SET body = 'a;b' WHERE id = 1; SELECT id, body FROM notes ORDER BY id; SELECT id FROM notes WHERE id = 9";
  expect(sql(text, '--format', 'csv')).toMatchObject({
    exitCode: 0,
    stdout: 'id,body\n1,a;b\n2,\n3,""\n\nid\n',
  });
});

test('a table shows rows, counts and positions', async () => {
  const { stdout } = sql('SELECT id, body FROM notes ORDER BY id');
  expect(stdout).toMatch(/│ +1 │ a;b +│[^]*│ +2 │ NULL +│[^]*\n3 rows at position \d+\n$/);
  expect(sql('DELETE FROM notes WHERE id = 3').stdout).toMatch(/^delete: 1 row at position \d+\n$/);
});

test('--at reads the past by position and by time', async () => {
  const rows = (await sqlJson('SELECT count(*) AS n FROM notes')).document.results[0];
  await new Promise((resolve) => setTimeout(resolve, 20));
  const time = new Date().toISOString();
  await new Promise((resolve) => setTimeout(resolve, 20));
  sql("INSERT INTO notes (id, body) VALUES (50, 'late')");
  const count = async (...more: string[]): Promise<number> => {
    const { document } = await sqlJson('SELECT count(*) AS n FROM notes', ...more);
    return document.results[0].rows[0].n;
  };
  const before = rows.rows[0].n as number;
  expect(await count()).toBe(before + 1);
  expect(await count('--at', String(rows.position))).toBe(before);
  expect(await count('--at', time)).toBe(before);
  expect(await sqlJson('SELECT count(*) AS n FROM notes', '--at', '999999')).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'POSITION_UNKNOWN' } },
  });
  expect(await sqlJson('DELETE FROM notes', '--at', '1')).toMatchObject({
    exitCode: 2,
    document: { error: { code: 'INVALID_ARGUMENT' } },
  });
  expect((await sqlJson('SELECT 1', '--at', 'yesterday')).exitCode).toBe(2);
});

test('statements are read from a pipe, the last one needs no semicolon', async () => {
  const input =
    "INSERT INTO notes (id, body) VALUES (60, 'it''s; piped');\nSELECT body FROM notes\nWHERE id = 60";
  expect(verity([...base, '--format', 'csv'], { input })).toMatchObject({
    exitCode: 0,
    stdout: "body\nit's; piped\n",
  });
  expect(await verityJsonHere(base)).toMatchObject({ exitCode: 0, document: { results: [] } });
});

test('the first error ends a script; what ran before it stays and is shown', async () => {
  const input =
    'INSERT INTO notes (id) VALUES (70);\nSELECT nope\n  FROM notes;\nINSERT INTO notes (id) VALUES (71);';
  const { exitCode, stdout, stderr } = verity(base, { input });
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/^insert: 1 row at position \d+\n$/);
  expect(stderr).toMatch(/^error: .* \(line 2, column 8\) \[UNDEFINED_COLUMN\]\n$/);
  expect((await sqlJson('SELECT id FROM notes WHERE id >= 70')).document.results[0].rows).toEqual([
    { id: 70 },
  ]);
});

test('SQL errors carry code, SQLSTATE and the offset in the whole input, as JSON', async () => {
  const { exitCode, stdout, stderr } = verity([
    ...base,
    '--json',
    '-c',
    'SELECT 1 AS one; SELECT * FROM nowhere',
  ]);
  expect(exitCode).toBe(1);
  expect(JSON.parse(stdout).results).toHaveLength(1);
  expect(JSON.parse(stderr).error).toMatchObject({
    code: 'UNDEFINED_TABLE',
    sqlState: '42P01',
    details: { offset: 31, line: 1, column: 32 },
  });
});

test.each([
  ['SELEC 1', 'SYNTAX_ERROR', '42601'],
  ['TRUNCATE notes', 'UNSUPPORTED_SQL', '0A000'],
  ['INSERT INTO notes (id) VALUES (1)', 'UNIQUE_VIOLATION', '23505'],
  ['INSERT INTO notes (id) VALUES (NULL)', 'NOT_NULL_VIOLATION', '23502'],
  ["INSERT INTO notes (id) VALUES ('x')", 'INVALID_TEXT', '22P02'],
  ['CREATE TABLE notes (id integer)', 'DUPLICATE_TABLE', '42P07'],
  [`SELECT ${'('.repeat(300)}1${')'.repeat(300)}`, 'STATEMENT_TOO_COMPLEX', '54001'],
])('%s is refused with %s', async (text, code, sqlState) => {
  const { exitCode, document } = await sqlJson(text);
  expect([exitCode, document.error.code, document.error.sqlState]).toEqual([1, code, sqlState]);
  expect(document.error.message).not.toMatch(/\n {4}at /);
});

/** Starts a process and talks to it line by line. */
function conversation(args: readonly string[]): {
  readonly child: ChildProcess;
  readonly say: (line: string) => void;
  readonly hear: () => Promise<string>;
} {
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: cleanEnvironment,
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    child,
    say: (line) => void child.stdin.write(`${line}\n`),
    hear: async () => String((await lines.next()).value),
  };
}

test('beside a running owner a session follows its log, and a second writer is refused', async () => {
  const script = join(root, 'test/cli/running-owner.mjs');
  const owner = conversation([script, directory, `${directory}.key`]);
  expect(await owner.hear()).toBe('open');
  const reader = conversation([mainScript, ...base, '--format', 'csv']);
  const look = async (): Promise<string[]> => {
    // CSV: the header, a row or none, and the empty line before the next header.
    reader.say('SELECT count(*) AS n FROM notes WHERE id = 80; SELECT 1 AS end;');
    const heard: string[] = [];
    while (heard.at(-2) !== 'end') heard.push(await reader.hear());
    return heard.filter((line) => line !== '');
  };
  expect(await look()).toEqual(['n', '0', 'end', '1']);
  owner.say('80');
  expect(await owner.hear()).toBe('written');
  // Readers see a frame once the owner has marked it durable, which it does when it falls idle.
  await expect.poll(look, { timeout: 10_000 }).toEqual(['n', '1', 'end', '1']);
  expect(await sqlJson('INSERT INTO notes (id) VALUES (81)')).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'DATABASE_LOCKED' } },
  });
  for (const { child } of [owner, reader]) {
    child.stdin?.end();
    await once(child, 'exit');
  }
  expect((await sqlJson('INSERT INTO notes (id) VALUES (81)')).exitCode).toBe(0);
});

test('a reader that goes away ends the command quietly', async () => {
  const values = Array.from(
    { length: 20_000 },
    (_item, index) => `(${1_000 + index}, '${'x'.repeat(40)}')`,
  );
  expect(
    verity(base, {
      input: `INSERT INTO notes (id, body) VALUES ${values.slice(0, 10_000).join(',')}`,
    }).exitCode,
  ).toBe(0);
  const child = spawn(
    process.execPath,
    [mainScript, ...base, '--format', 'csv', '-c', 'SELECT * FROM notes; SELECT * FROM notes'],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: cleanEnvironment,
    },
  );
  const messages: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => messages.push(text));
  child.stdout.once('data', () => child.stdout.destroy());
  const [exitCode] = (await once(child, 'close')) as [number | null];
  expect([exitCode, messages.join('')]).toEqual([0, '']);
});

test('output that cannot be written is an error, not silence', async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [mainScript, ...base, '-c', 'SELECT 1 AS one'], {
    stdio: ['ignore', full, 'pipe'],
    env: cleanEnvironment,
  });
  closeSync(full);
  return once(child, 'close').then(([exitCode]) => expect(exitCode).toBe(1));
});

test('--request-id does each statement of a script once, however often it is run', async () => {
  const script =
    'CREATE TABLE jobs (id integer PRIMARY KEY); INSERT INTO jobs VALUES (7) RETURNING id; SELECT 1 AS one';
  const first = await sqlJson(script, '--request-id', 'job 7');
  expect(first.exitCode).toBe(0);
  expect(await sqlJson(script, '--request-id', 'job 7')).toMatchObject({
    exitCode: 0,
    document: { results: first.document.results },
  });
  const other = await sqlJson('DELETE FROM jobs', '--request-id', 'job 7');
  expect(other).toMatchObject({ exitCode: 1, document: { error: { code: 'REQUEST_ID_REUSED' } } });
});

test('BEGIN … COMMIT is one position, ROLLBACK leaves nothing, and an open end is an error', async () => {
  const start = 'CREATE TABLE ward (id integer PRIMARY KEY);';
  const { exitCode, document } = await sqlJson(
    `${start} BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO ward VALUES (1); SAVEPOINT s;
     INSERT INTO ward VALUES (2); ROLLBACK TO s; SELECT count(*) AS n FROM ward; COMMIT;
     BEGIN; DELETE FROM ward; ROLLBACK; SELECT id FROM ward`,
  );
  expect(exitCode).toBe(0);
  const results = document.results as { kind: string; position: number; rows: unknown[] }[];
  expect(results.map((result) => result.kind).join(' ')).toBe(
    'createTable begin insert savepoint insert rollbackTo select commit begin delete rollback select',
  );
  expect(results[6]?.rows).toEqual([{ n: 1 }]);
  expect(results.at(-1)).toMatchObject({ rows: [{ id: 1 }], position: results[7]?.position });

  const open = await sqlJson('BEGIN; INSERT INTO ward VALUES (3)');
  expect(open).toMatchObject({ exitCode: 1, document: { error: { code: 'TRANSACTION_OPEN' } } });
  expect((await sqlJson('SELECT id FROM ward WHERE id = 3')).document.results).toMatchObject([
    { rows: [] },
  ]);
  for (const [text, code] of [
    ['COMMIT', 'NO_TRANSACTION'],
    ['ROLLBACK', 'NO_TRANSACTION'],
    ['BEGIN; BEGIN', 'TRANSACTION_OPEN'],
    ['BEGIN; COMMIT AND CHAIN', 'UNSUPPORTED_SQL'],
  ] as const) {
    expect(await sqlJson(text)).toMatchObject({ exitCode: 1, document: { error: { code } } });
  }
  const named = await sqlJson('BEGIN; COMMIT', '--request-id', 'x');
  expect(named.exitCode).toBe(2);
});
