/** Values over 1 MiB through the SDK: whole, in every way to write and to read them, and refused where they cannot be. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limits } from '../../src/base/index.ts';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused } from './support.ts';

const mebibyte = 1 << 20;
/** Characters of one, three and four bytes, so that chunks end within some of them. */
const long = 'x€😀'.repeat(250_000);
const raw = Uint8Array.from({ length: mebibyte + 1 }, (_, at) => (at * 7) & 0xff);
const json = { a: 'y'.repeat(mebibyte), b: [1] };

const disk = newDisk();
let db: Verity;
let tenant: TenantHandle;
const filesOf = (): readonly string[] => disk.list('blobs') ?? [];

beforeAll(async () => {
  db = await openOn(disk);
  tenant = await db.createTenant('main');
  await tenant.execute(
    'CREATE TABLE docs (id integer PRIMARY KEY, name text, body text, raw bytea, j jsonb, v varchar(3000000))',
  );
});
afterAll(() => db.close());

/** Comparing millions of bytes element by element takes seconds. */
const isRaw = (value: unknown): boolean =>
  value instanceof Uint8Array && Buffer.compare(value, raw) === 0;

test('a value of each type comes back as it was, before and after another open', async () => {
  const { rows } = await tenant.execute(
    'INSERT INTO docs VALUES (1, $1, $2, $3, $4, $5) RETURNING body, raw, length(v) AS v',
    ['one', long, raw, json, long],
  );
  expect(rows[0]?.['body'] === long && isRaw(rows[0]['raw']) && rows[0]['v']).toBe(750_000);
  // The same text twice in one command is one file.
  expect(filesOf()).toHaveLength(3);
  const check = async (): Promise<void> => {
    const [row] = (await tenant.query('SELECT * FROM docs')).rows;
    expect([row?.['body'] === long, row?.['v'] === long, isRaw(row?.['raw'])]).toEqual([
      true,
      true,
      true,
    ]);
    expect((row?.['j'] as typeof json | undefined)?.a).toHaveLength(mebibyte);
    const [streamed] = await collect(tenant.stream('SELECT raw FROM docs WHERE id = 1'));
    expect(isRaw(streamed?.['raw'])).toBe(true);
  };
  await check();
  await db.close();
  db = await openOn(disk);
  tenant = db.tenant('main');
  await check();
  expect(filesOf()).toHaveLength(3);
});

test('functions and conditions work on what they name', async () => {
  const { rows } = await tenant.query(
    `SELECT length(body) AS l, substr(body, 4, 3) AS s, length(raw) AS r, length(j->>'a') AS a, j->'b' AS b
     FROM docs WHERE body LIKE 'x€%' AND body = $1 AND j @> '{"b": [1]}' ORDER BY body`,
    [long],
  );
  expect(rows).toEqual([{ l: 750_000, s: 'x€😀', r: mebibyte + 1, a: mebibyte, b: [1] }]);
  const { rows: groups } = await tenant.query(
    'SELECT count(*) AS n, max(length(v)) AS l FROM (SELECT * FROM docs) AS d GROUP BY v',
  );
  expect(groups).toEqual([{ n: 1n, l: 750_000 }]);
});

test('what a command does not touch keeps its file; older positions show older values', async () => {
  const before = filesOf();
  const { position } = await tenant.execute(
    "UPDATE docs SET name = 'two', raw = NULL, v = 'short'",
  );
  expect(filesOf()).toEqual(before);
  const then = await tenant.queryAt('SELECT raw, v FROM docs', [], position - 1n);
  expect([isRaw(then.rows[0]?.['raw']), then.rows[0]?.['v'] === long]).toEqual([true, true]);
  const now = await tenant.query('SELECT raw, v, body FROM docs');
  expect([now.rows[0]?.['raw'], now.rows[0]?.['v']]).toEqual([null, 'short']);
  expect(now.rows[0]?.['body'] === long).toBe(true);
  const history = await tenant.history('docs', [1]);
  expect(history.map(({ kind, after }) => [kind, after?.['body'] === long])).toEqual([
    ['insert', true],
    ['update', true],
  ]);
  const versions = await tenant.query(
    "SELECT body, length(raw) AS r FROM verity_history('docs', 1)",
  );
  expect(versions.rows.map((row) => [row['body'] === long, row['r']])).toEqual([
    [true, mebibyte + 1],
    [true, null],
  ]);
});

test('an expression may make one; so may INSERT … SELECT and ON CONFLICT', async () => {
  await tenant.execute("INSERT INTO docs (id, body) VALUES (2, repeat('€', 500000))");
  await tenant.execute('INSERT INTO docs (id, body) SELECT 3, body FROM docs WHERE id = 2');
  await tenant.execute(
    'INSERT INTO docs (id, body) VALUES (3, $1) ON CONFLICT (id) DO UPDATE SET v = excluded.body',
    [long],
  );
  const { rows } = await tenant.query(
    'SELECT id, length(body) AS l, v FROM docs WHERE id > 1 ORDER BY id',
  );
  expect(rows.map(({ id, l, v }) => [id, l, v === long])).toEqual([
    [2, 500_000, false],
    [3, 500_000, true],
  ]);
  await refused('VALUE_TOO_LARGE', () => tenant.execute('UPDATE docs SET body = body || body'));
});

test('a transaction reads its own; what was rolled back or refused leaves no file', async () => {
  const before = filesOf();
  await expect(
    tenant.transaction(async (tx) => {
      await tx.execute('INSERT INTO docs (id, body) VALUES (4, $1)', [long]);
      throw new Error('no');
    }),
  ).rejects.toThrow('no');
  const begun = tenant.begin();
  await begun.execute('INSERT INTO docs (id, body) VALUES (4, $1)', [long]);
  begun.rollback();
  await refused('UNIQUE_VIOLATION', () =>
    tenant.execute('INSERT INTO docs (id, body) VALUES (1, $1)', [long]),
  );
  const nothing = await tenant.execute(
    'INSERT INTO docs (id, body) VALUES (1, $1) ON CONFLICT DO NOTHING',
    [long],
  );
  expect(nothing.rowCount).toBe(0);
  expect(filesOf()).toEqual(before);
  await tenant.transaction(async (tx) => {
    await tx.execute('INSERT INTO docs (id, body) VALUES (4, $1)', [long]);
    await tx.execute("UPDATE docs SET name = 'four' WHERE id = 4");
    const { rows } = await tx.query('SELECT name, body FROM docs WHERE id = 4');
    expect([rows[0]?.['name'], rows[0]?.['body'] === long]).toEqual(['four', true]);
  });
  expect(filesOf()).toHaveLength(before.length + 1);
  const [row] = (await tenant.query('SELECT body FROM docs WHERE id = 4')).rows;
  expect(row?.['body'] === long).toBe(true);
});

test('many at once, and a close that waits for them', async () => {
  const other = newDisk();
  const first = await openOn(other);
  const main = await first.createTenant('main');
  await main.execute('CREATE TABLE docs (id integer PRIMARY KEY, raw bytea)');
  const own = raw.slice();
  const sent = [1, 2, 3, 4, 5, 6].map((id) =>
    main.execute('INSERT INTO docs VALUES ($1, $2)', [id, own]),
  );
  // What the caller does with its array from here on is its own business.
  own.fill(0);
  await first.close();
  expect((await Promise.all(sent)).map(({ rowCount }) => rowCount)).toEqual([1, 1, 1, 1, 1, 1]);
  const again = await openOn(other);
  const { rows } = await again.tenant('main').query('SELECT raw FROM docs');
  expect(rows.map((row) => isRaw(row['raw']))).toEqual(new Array(6).fill(true));
  expect(other.list('blobs')).toHaveLength(6);
  await again.close();
});

test('a repeated request is answered, and stores nothing again', async () => {
  const insert = (): ReturnType<TenantHandle['execute']> =>
    tenant.execute('INSERT INTO docs (id, raw) VALUES (8, $1)', [raw], { requestId: 'r-8' });
  const { position } = await insert();
  const before = filesOf();
  expect((await insert()).position).toBe(position);
  expect(filesOf()).toEqual(before);
});

test('keys, indexes, streams and what is over the limits are refused', async () => {
  const key = 'k'.repeat(mebibyte + 1);
  await tenant.execute('CREATE TABLE keyed (id text PRIMARY KEY, u text UNIQUE)');
  const before = filesOf();
  await refused('VALUE_TOO_LARGE', () => tenant.execute('INSERT INTO keyed VALUES ($1)', [key]));
  await refused('VALUE_TOO_LARGE', () =>
    tenant.execute("INSERT INTO keyed VALUES ('a', $1)", [key]),
  );
  await refused('VALUE_TOO_LARGE', () => tenant.execute('CREATE INDEX by_body ON docs (body)'));
  await refused('VALUE_TOO_LARGE', () => tenant.append('notes', [key]));
  const most = new Uint8Array(limits.blobBytesMax + 1);
  await refused('VALUE_TOO_LARGE', () =>
    tenant.execute('INSERT INTO docs (id, raw) VALUES (9, $1)', [most]),
  );
  const five = Array.from({ length: 5 }, (_, at) => {
    const value = new Uint8Array(limits.blobBytesMax);
    value[0] = at;
    return value;
  });
  await refused('COMMAND_TOO_LARGE', () =>
    tenant.execute(
      'INSERT INTO docs (id, raw) VALUES (10, $1), (11, $2), (12, $3), (13, $4), (14, $5)',
      five,
    ),
  );
  expect(filesOf()).toEqual(before);
});
