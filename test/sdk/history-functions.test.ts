/** verity_history and verity_diff: versions with who and why, at every position, after a reopening and an ALTER. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Row, TenantHandle, Verity } from '../../src/database/index.ts';
import { newDisk, openOn, refused } from './support.ts';

const disk = { current: newDisk() };
let db: Verity;
let tenant: TenantHandle;
let positions: bigint[];

beforeEach(async () => {
  disk.current = newDisk();
  db = await openOn(disk.current, { timers: false });
  tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (a integer, b text, v text, PRIMARY KEY (a, b))');
  positions = [];
  for (const [sql, actor, reason] of [
    ["INSERT INTO t VALUES (1, 'x', 'new'), (1, 'y', 'other'), (2, 'x', 'third')", 'ann', 'intake'],
    ["UPDATE t SET v = 'changed' WHERE a = 1 AND b = 'x'", 'bob', undefined],
    ["DELETE FROM t WHERE a = 1 AND b = 'x'", undefined, 'asked to'],
    ["INSERT INTO t VALUES (1, 'x', 'again')", 'ann', undefined],
  ] as const) {
    const options = {
      ...(actor === undefined ? {} : { actor }),
      ...(reason === undefined ? {} : { reason }),
    };
    positions.push((await tenant.execute(sql, [], options)).position);
  }
});

afterEach(() => db.close());

const rows = async (sql: string, parameters: readonly (number | string | bigint)[] = []) =>
  (await tenant.query(sql, parameters)).rows;
const told = (all: readonly Row[]): unknown[] =>
  all.map((row) => [row['verity_operation'], row['verity_actor'], row['verity_reason'], row['v']]);

const whole = [
  ['insert', 'ann', 'intake', 'new'],
  ['update', 'bob', null, 'changed'],
  ['delete', null, 'asked to', null],
  ['insert', 'ann', null, 'again'],
];

describe('verity_history', () => {
  test('tells every version of a row, oldest first, with position, time, operation, actor and reason', async () => {
    const all = await rows("SELECT * FROM verity_history('t', $1, $2)", [1, 'x']);
    expect(told(all)).toEqual(whole);
    expect(all.map((row) => row['verity_position'])).toEqual(positions);
    expect(all.every((row) => row['verity_time'] instanceof Date)).toBe(true);
    // What is left of a deleted row is its key.
    expect(all[2]).toMatchObject({ a: 1, b: 'x', v: null });
  });

  test('tells the same after a reopening', async () => {
    await db.close();
    db = await openOn(disk.current, { timers: false });
    tenant = db.tenant('clinic');
    expect(told(await rows("SELECT * FROM verity_history('t', 1, 'x')"))).toEqual(whole);
  });

  test('takes the first columns of a key, or none, and is a table like others', async () => {
    expect(await rows("SELECT count(*)::integer AS n FROM verity_history('t', 1)")).toEqual([
      { n: 5 },
    ]);
    expect(
      await rows(`SELECT h.verity_operation AS what, count(*)::integer AS n
        FROM verity_history('t') h LEFT JOIN t ON t.a = h.a AND t.b = h.b
        WHERE t.v IS NOT NULL GROUP BY 1 ORDER BY 1`),
    ).toEqual([
      { what: 'delete', n: 1 },
      { what: 'insert', n: 4 },
      { what: 'update', n: 1 },
    ]);
  });

  test.each([0, 1, 2, 3])('as of position number %s it ends there', async (index) => {
    const query = `SELECT * FROM verity_history('t', 1, 'x') AS OF POSITION ${positions[index]}`;
    expect(told(await rows(query))).toEqual(whole.slice(0, index + 1));
  });

  test('shows older versions through the columns of the position asked at', async () => {
    await tenant.execute("ALTER TABLE t ADD COLUMN w text DEFAULT 'none'");
    const [first] = await rows("SELECT * FROM verity_history('t', 1, 'x')");
    expect(first).toMatchObject({ v: 'new', w: 'none' });
    const [old] = await rows(
      `SELECT * FROM verity_history('t', 1, 'x') AS OF POSITION ${positions[0]}`,
    );
    expect(old).not.toHaveProperty('w');
  });
});

describe('verity_diff', () => {
  const diff = async (from: bigint, to: bigint) =>
    (await rows("SELECT * FROM verity_diff('t', $1, $2) d ORDER BY 1", [from, to])).map((row) => [
      row['verity_operation'],
      row['old_v'],
      row['v'],
    ]);

  test('yields what was inserted, changed and deleted between two positions, either way round', async () => {
    const [first, second, third, last] = positions as [bigint, bigint, bigint, bigint];
    expect(await diff(first, second)).toEqual([['update', 'new', 'changed']]);
    expect(await diff(second, third)).toEqual([['delete', 'changed', null]]);
    expect(await diff(third, second)).toEqual([['insert', null, 'changed']]);
    expect(await diff(first, last)).toEqual([['update', 'new', 'again']]);
    expect(await diff(0n, first)).toHaveLength(3);
    expect(await diff(last, last)).toEqual([]);
  });

  test('refuses positions that the query does not see', async () => {
    const [first, , , last] = positions as [bigint, bigint, bigint, bigint];
    const query = (sql: string) => () => tenant.query(sql);
    await refused('POSITION_UNKNOWN', query(`SELECT * FROM verity_diff('t', 0, ${last + 9n})`));
    await refused('POSITION_UNKNOWN', query("SELECT * FROM verity_diff('t', -1, 0)"));
    await refused(
      'POSITION_UNKNOWN',
      query(`SELECT * FROM verity_diff('t', 0, ${last}) AS OF POSITION ${first}`),
    );
  });
});

test.each([
  ["SELECT * FROM verity_history('nope')", 'UNDEFINED_TABLE'],
  ["SELECT * FROM verity_history('t', 1, 'x', 3)", 'UNDEFINED_FUNCTION'],
  ["SELECT * FROM verity_history('t', true)", 'TYPE_MISMATCH'],
  ['SELECT * FROM verity_history($1)', 'UNDEFINED_FUNCTION'],
  ["SELECT * FROM verity_diff('t', 1)", 'UNDEFINED_FUNCTION'],
  ["SELECT * FROM verity_diff('t', 'a', 1)", 'INVALID_TEXT'],
] as const)('%s fails with %s', async (sql, code) => {
  await refused(code, () => tenant.query(sql));
});

test('a transaction sees no history', async () => {
  await refused('UNSUPPORTED_SQL', () =>
    tenant.transaction((tx) => tx.query("SELECT * FROM verity_history('t')")),
  );
});
