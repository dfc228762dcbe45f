/** What the review of requests, transactions and definitions found (docs/security-review.md, 60 on). Each test failed before its fix. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits, type Position, type StoreKey, type TreeId } from '../../src/base/index.ts';
import { type TenantHandle, Verity } from '../../src/database/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { ReadSet } from '../../src/kernel/index.ts';
import type { KeyRange } from '../../src/store/index.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
let disk: ReturnType<typeof memoryDisk>;
let db: Verity;
let north: TenantHandle;

beforeEach(async () => {
  disk = memoryDisk();
  db = await Verity.openOn(hostOn(disk), { masterKey });
  north = await db.createTenant('north');
});

afterEach(() => db.close());

const rowsOf = async (sql: string): Promise<readonly unknown[]> => (await north.query(sql)).rows;

describe('a repeated definition', () => {
  const define = (requestId: string): ReturnType<TenantHandle['execute']> =>
    north.execute('CREATE UNIQUE INDEX once ON readings (value)', [], { requestId });

  beforeEach(async () => {
    await north.execute('CREATE TABLE readings (id integer PRIMARY KEY, value integer)');
    await north.execute(
      'INSERT INTO readings SELECT n, n % 899 FROM generate_series(1, 900) AS g (n)',
    );
  });

  test('whose index rows stood against is not answered as if it were there', async () => {
    await expect(define('r')).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' });
    await expect(define('r')).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' });
    await db.close();
    db = await Verity.openOn(hostOn(disk), { masterKey });
    north = db.tenant('north');
    await expect(define('r')).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' });
  });

  test('is answered when its index is complete, also where the first is still on its way', async () => {
    await north.execute('DELETE FROM readings WHERE id = 900');
    const first = define('r');
    await define('r');
    const plan = await rowsOf('EXPLAIN SELECT id FROM readings WHERE value = 5');
    expect(JSON.stringify(plan)).toContain('using once');
    await first;
    await north.execute('DROP INDEX once');
    await expect(define('r')).resolves.toMatchObject({ rowCount: 0 });
    expect(
      JSON.stringify(await rowsOf('EXPLAIN SELECT id FROM readings WHERE value = 5')),
    ).toContain('Seq Scan');
  });
});

test('a definition that rows stand against has not dropped anything', async () => {
  await north.execute('CREATE TABLE readings (id integer PRIMARY KEY, value integer, note text)');
  await north.execute(
    "INSERT INTO readings SELECT n, n % 899, 'kept' FROM generate_series(1, 900) AS g (n)",
  );
  await expect(
    north.execute('ALTER TABLE readings DROP COLUMN note, ADD UNIQUE (value)'),
  ).rejects.toMatchObject({ code: 'UNSUPPORTED_SQL' });
  expect(await rowsOf('SELECT note FROM readings WHERE id = 1')).toEqual([{ note: 'kept' }]);
  await expect(north.execute('ALTER TABLE readings ADD UNIQUE (value)')).rejects.toMatchObject({
    code: 'UNIQUE_VIOLATION',
  });
  await north.execute('ALTER TABLE readings ADD COLUMN code text UNIQUE');
  await north.execute('ALTER TABLE readings ADD UNIQUE (id, value)');
});

test('a view does not come to mean other columns', async () => {
  await north.execute('CREATE TABLE t (x integer, y integer)');
  await north.execute('CREATE TABLE u (x integer, "Z" integer, w integer)');
  await north.execute('INSERT INTO t VALUES (1, 1)');
  await north.execute('INSERT INTO u VALUES (2, 2, 2)');
  await north.execute('CREATE VIEW inner_x AS SELECT (SELECT x FROM u LIMIT 1) AS got FROM t');
  await north.execute('CREATE VIEW joined AS SELECT t.y FROM t NATURAL JOIN u');
  const statements = [
    'ALTER TABLE u RENAME COLUMN x TO other',
    'ALTER TABLE u DROP COLUMN x',
    'ALTER TABLE u RENAME COLUMN w TO y',
  ];
  for (const sql of statements)
    await expect(north.execute(sql)).rejects.toMatchObject({ code: 'DEPENDENT_OBJECTS' });
  expect(await rowsOf('SELECT got FROM inner_x')).toEqual([{ got: 2 }]);
  await north.execute('DROP VIEW joined');
  await north.execute('ALTER TABLE u RENAME COLUMN "Z" TO other');
  await north.execute('ALTER TABLE u DROP COLUMN other');
  await north.execute('ALTER TABLE u ADD COLUMN y integer');
  expect(await rowsOf('SELECT got FROM inner_x')).toEqual([{ got: 2 }]);
});

test('request ids that are no text are not all the same one', async () => {
  await north.execute('CREATE TABLE t (a integer)');
  const insert = (requestId: string): Promise<unknown> =>
    north.execute('INSERT INTO t VALUES (1)', [], { requestId });
  for (const half of ['\ud800', 'a\udc00', '\ud801b'])
    await expect(insert(half)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await insert('\ufffd');
  await insert('\u{1f600}');
  expect(await rowsOf('SELECT count(*) AS n FROM t')).toEqual([{ n: 2n }]);
});

test('a transaction that its caller ends takes no request id, instead of running twice under one', () => {
  const options = { requestId: 'r' } as Parameters<TenantHandle['begin']>[0];
  expect(() => north.begin(options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }));
});

describe('foreign keys', () => {
  test('compare numbers as keys do, however they are written', async () => {
    await north.execute(
      'CREATE TABLE parts (id numeric PRIMARY KEY, whole numeric REFERENCES parts)',
    );
    await north.execute('INSERT INTO parts VALUES (1.0, 1.00), (2, NULL)');
    await expect(
      north.execute(
        'UPDATE parts SET id = CASE WHEN id = 1 THEN 3 ELSE id END, whole = CASE WHEN id = 2 THEN 1.00 END',
      ),
    ).rejects.toMatchObject({ code: 'FOREIGN_KEY_VIOLATION' });
    await north.execute('UPDATE parts SET id = 1.000 WHERE id = 1');
    await expect(north.execute('DELETE FROM parts WHERE id = 1')).resolves.toMatchObject({
      rowCount: 1,
    });
  });

  test('of a table that is there do not refer to a key that the same statement adds', async () => {
    await north.execute('CREATE TABLE parts (id integer)');
    const unique = north.execute(
      'ALTER TABLE parts ADD COLUMN a integer UNIQUE REFERENCES parts (a)',
    );
    await expect(unique).rejects.toMatchObject({ code: 'INVALID_FOREIGN_KEY' });
    const primary = north.execute(
      'ALTER TABLE parts ADD COLUMN a integer PRIMARY KEY REFERENCES parts (a)',
    );
    await expect(primary).rejects.toMatchObject({ code: 'INVALID_FOREIGN_KEY' });
    await north.execute('CREATE TABLE fresh (id integer, a integer UNIQUE REFERENCES fresh (a))');
    await north.execute('INSERT INTO fresh VALUES (1, 7)');
  });
});

describe('a short statement that stands for very much is refused', () => {
  test('views and queries of WITH that double at each level', async () => {
    const levels = Array.from(
      { length: 60 },
      (_, level) => `w${level + 1} AS (SELECT a FROM w${level} UNION ALL SELECT a FROM w${level})`,
    );
    await expect(
      north.query(`WITH w0 AS (SELECT 1 AS a), ${levels.join(', ')} SELECT * FROM w60`),
    ).rejects.toMatchObject({ code: 'STATEMENT_TOO_COMPLEX' });
    await north.execute('CREATE VIEW v0 AS SELECT 1 AS a');
    const create = async (level: number): Promise<void> => {
      if (level === 60) return;
      await north.execute(
        `CREATE VIEW v${level} AS SELECT l.a FROM v${level - 1} AS l, v${level - 1} AS r`,
      );
      await create(level + 1);
    };
    await expect(create(1)).rejects.toMatchObject({ code: 'STATEMENT_TOO_COMPLEX' });
  });

  test('more tables beside one another than a plan is made for', async () => {
    await north.execute('CREATE TABLE t (a integer)');
    const many = Array.from({ length: 5_000 }, (_, index) => `t AS t${index}`).join(', ');
    await expect(north.query(`SELECT 1 FROM ${many}`)).rejects.toMatchObject({
      code: 'STATEMENT_TOO_COMPLEX',
    });
  });

  test('rows larger than a command, before they are in memory', async () => {
    await north.execute('CREATE TABLE notes (id integer PRIMARY KEY, body text)');
    await north.execute("INSERT INTO notes SELECT n, 'a' FROM generate_series(1, 50000) AS g (n)");
    // Each of them would take 50 GB.
    const large = "repeat('x', 1000000)";
    const statements = [
      `UPDATE notes SET body = ${large}`,
      `INSERT INTO notes SELECT n + 50000, ${large} FROM generate_series(1, 50000) AS g (n)`,
      `INSERT INTO notes SELECT n, 'b' FROM generate_series(1, 50000) AS g (n) ON CONFLICT (id) DO UPDATE SET body = ${large}`,
    ];
    const before = process.memoryUsage.rss();
    for (const sql of statements)
      await expect(north.execute(sql)).rejects.toMatchObject({ code: 'COMMAND_TOO_LARGE' });
    expect(process.memoryUsage.rss() - before).toBeLessThan(500 << 20);
    expect(await rowsOf('SELECT count(*) AS n FROM notes')).toEqual([{ n: 50_000n }]);
  });
});

test('results and rows at hand are bounded by their bytes too', async () => {
  const large = "repeat('x', 1000000) || n";
  const from = 'FROM generate_series(1, 1900000) AS g (n)';
  await north.execute('CREATE TABLE notes (id integer PRIMARY KEY, body text)');
  await north.execute("INSERT INTO notes SELECT n, 'a' FROM generate_series(1, 20000) AS g (n)");
  const before = process.memoryUsage.rss();
  const statements = [
    `SELECT ${large} ${from}`,
    `SELECT n ${from} ORDER BY ${large}`,
    `UPDATE notes SET body = 'b' RETURNING repeat('x', 1000000) || id`,
  ];
  for (const sql of statements)
    await expect(north.execute(sql)).rejects.toMatchObject({ code: 'QUERY_TOO_LARGE' });
  const transaction = north.begin();
  await expect(transaction.query(`SELECT ${large} ${from}`)).rejects.toMatchObject({
    code: 'QUERY_TOO_LARGE',
  });
  transaction.rollback();
  expect(process.memoryUsage.rss() - before).toBeLessThan(2 ** 31);
  expect(await rowsOf("SELECT count(*) AS n FROM notes WHERE body = 'a'")).toEqual([
    { n: 20_000n },
  ]);
});

describe('long values that a statement keeps count', () => {
  const changed = limits as { queryRowsHeldMax: number };
  const usual = limits.queryRowsHeldMax;
  const refused = { code: 'QUERY_TOO_LARGE' };
  /** 20,000 characters: 79 rows held, or 78 where the row is not. Twelve go, twenty do not. */
  const large = "repeat('x', 19990) || lpad(n::text, 10, '0')";

  beforeEach(async () => {
    await north.execute('CREATE TABLE notes (n integer PRIMARY KEY, body text)');
    await north.execute(
      `INSERT INTO notes SELECT n, ${large} FROM generate_series(1, 20) AS g (n)`,
    );
    changed.queryRowsHeldMax = 1_000;
  });

  afterEach(() => {
    changed.queryRowsHeldMax = usual;
  });

  test.each([
    `min(${large})`,
    `max(upper(${large})::bytea)`,
    `string_agg(${large}, ',')`,
    `sum((repeat('9', 19990) || '.5')::numeric)`,
  ])('in an aggregate of each group: %s', async (aggregate) => {
    const grouped = (count: number): Promise<unknown> =>
      north.query(
        `SELECT n, ${aggregate} IS NULL AS empty FROM generate_series(1, ${count}) AS g (n) GROUP BY n`,
      );
    await expect(grouped(20)).rejects.toMatchObject(refused);
    await expect(grouped(12)).resolves.toMatchObject({ rows: { length: 12 } });
  });

  test('in a column that the key of a group determines', async () => {
    const grouped = (count: number): Promise<unknown> =>
      north.query(`SELECT length(body) AS size FROM notes WHERE n <= ${count} GROUP BY n`);
    await expect(grouped(20)).rejects.toMatchObject(refused);
    await expect(grouped(12)).resolves.toMatchObject({ rows: { length: 12 } });
  });

  test('once where one takes the place of another, and where groups are put together one by one', async () => {
    const from = 'FROM generate_series(1, 200) AS g (n)';
    const [ends] = await rowsOf(
      `SELECT right(min(${large}), 3) AS low, right(max(${large}), 3) AS high ${from}`,
    );
    expect(ends).toEqual({ low: '001', high: '200' });
    const sorted = await rowsOf(
      `SELECT length(string_agg(${large}, ',' ORDER BY n)) AS size ${from} GROUP BY n`,
    );
    expect(sorted).toHaveLength(200);
  });

  test('in rows that are changed or deleted', async () => {
    const statements = (count: number): string[] => [
      `UPDATE notes SET body = body WHERE n <= ${count}`,
      `INSERT INTO notes SELECT n, 'c' FROM generate_series(1, ${count}) AS g (n) ON CONFLICT (n) DO UPDATE SET body = notes.body`,
      `DELETE FROM notes USING (VALUES (0)) AS low (n) WHERE notes.n > low.n AND notes.n <= ${count}`,
      `DELETE FROM notes WHERE n <= ${count}`,
    ];
    for (const sql of statements(20))
      await expect(north.execute(sql)).rejects.toMatchObject(refused);
    expect(await rowsOf('SELECT count(*) AS n FROM notes')).toEqual([{ n: 20n }]);
    // What the third deletes the last one does not find.
    const done = [];
    for (const sql of statements(12)) done.push((await north.execute(sql)).rowCount);
    expect(done).toEqual([12, 12, 12, 0]);
  });
});

test('what a transaction remembers of its reads is bounded, and any change there is then a conflict', () => {
  const reads = new ReadSet();
  const tree = 7 as TreeId;
  for (let key = 0; key < 200_000; key++) {
    reads.addKey(tree, `${key}` as StoreKey);
    reads.addRange(tree, { from: `${key}` as StoreKey, to: `${key}.` as StoreKey });
  }
  const asked: KeyRange[] = [];
  const changedSince = (_tree: TreeId, range: KeyRange): boolean => {
    asked.push(range);
    return range.from === undefined;
  };
  const latest = (): never => expect.unreachable('keys are part of the whole tree');
  expect(reads.changedSince({ latest, changedSince }, 1 as Position)).toBe(true);
  expect(asked).toEqual([{}]);
});
