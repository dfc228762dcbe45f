import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

let db: MemoryDatabase;
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`create table t (id integer primary key, name varchar(5), n integer default 1, mail text unique, constraint name_n unique (name, n));
    insert into t values (1, 'a', 1, 'a@x'), (2, 'b', 2, 'b@x')`);
});

const all = (): unknown => db.run('select * from t order by id').rows;
const fails = (text: string) => failureOf(text, () => db.run(text));

describe('INSERT … SELECT', () => {
  test('takes what the query gives, cast to the columns, and the defaults of those left out', () => {
    const { rowCount, rows } = db.run(
      `insert into t (id, name, mail) select id + $1, mail::varchar(1) || id, null from t returning id, name, n`,
      [10],
    );
    expect([rowCount, rows]).toEqual([
      2,
      [
        [11, 'a1', 1],
        [12, 'b2', 1],
      ],
    ]);
    // What the statement inserts it does not read.
    expect(db.run('insert into t (id) select id + 100 from t').rowCount).toBe(4);
  });

  test('literals and parameters of no type take the column’s; ORDER BY, UNION, VALUES and WITH do too', () => {
    db.run(`create table k (d date, b bigint, x numeric(5,1))`);
    db.run(`insert into k select '2026-11-22', $1, '1.25' where true`, [5n]);
    db.run(`insert into k values ('2026-11-23', 7, 2) order by 1 limit 1`);
    db.run(
      `insert into k (b, d) with w as (select 8 as b) select b, null from w union all select 9, '2026-01-01'`,
    );
    expect(db.run('select b, d, x from k order by b').rows.map(([b, , x]) => [b, x])).toEqual([
      [5n, '1.3'],
      [7n, '2.0'],
      [8n, null],
      [9n, null],
    ]);
  });

  test.each([
    ['insert into t select 1, 2, 3, 4, 5', '42601'],
    ['insert into t (id, name) select 1', '42601'],
    ['insert into t (n) select true', '42804'],
    ['insert into t (id) select 1 from missing', '42P01'],
    ['insert into t (id) select id from t', '23505'],
    ["insert into t (id, name) select 5, 'abcdef'", '22001'],
  ])('%s fails with SQLSTATE %s', (text, sqlState) => {
    expect(fails(text).sqlState).toBe(sqlState);
  });
});

describe('ON CONFLICT', () => {
  test('DO NOTHING leaves out rows whose key is taken, by the table or by the statement', () => {
    const run = db.run(
      `insert into t values (1, 'z', 9, null), (3, 'c', 3, 'c@x'), (3, 'd', 4, null), (4, 'e', 5, 'a@x') on conflict do nothing returning id`,
    );
    expect([run.rowCount, run.rows]).toEqual([1, [[3]]]);
    expect(db.run(`insert into t (id) values (1) on conflict (id) do nothing`).changes).toEqual([]);
    expect(
      fails(`insert into t values (9, 'q', 1, 'a@x') on conflict (id) do nothing`).sqlState,
    ).toBe('23505');
  });

  test('DO UPDATE changes the row that is there; excluded is the one refused', () => {
    const run = db.run(
      `insert into t as old (id, name, n) values (1, 'x', 5), (7, 'g', 7)
       on conflict (id) do update set n = old.n + excluded.n, name = default, mail = old.mail || excluded.name returning *`,
    );
    expect([run.rowCount, run.rows]).toEqual([
      2,
      [
        [1, null, 6, 'a@xx'],
        [7, 'g', 7, null],
      ],
    ]);
    expect(run.changes.map(({ kind }) => kind)).toEqual(['update', 'insert']);
  });

  test('WHERE keeps rows as they are, which are then neither counted nor returned', () => {
    const run = db.run(
      `insert into t (id, n) values (1, 8), (2, 9) on conflict (id) do update set n = excluded.n where t.n < 2 returning id`,
    );
    expect([run.rowCount, run.rows]).toEqual([1, [[1]]]);
    expect(all()).toEqual([
      [1, 'a', 8, 'a@x'],
      [2, 'b', 2, 'b@x'],
    ]);
  });

  test('a key of several columns in any order, a constraint by name, the key moved', () => {
    db.run(
      `insert into t values (8, 'a', 1, null) on conflict (n, name) do update set id = excluded.id`,
    );
    db.run(
      `insert into t values (9, 'b', 2, null) on conflict on constraint name_n do update set n = 3`,
    );
    db.run(
      `insert into t values (8, 'q', 4, null) on conflict on constraint t_pkey do update set (name, n) = ('r', 5)`,
    );
    db.run(
      `insert into t values (6, null, 1, null), (5, null, 1, null) on conflict (name, n) do nothing`,
    );
    expect(all()).toEqual([
      [2, 'b', 3, 'b@x'],
      [5, null, 1, null],
      [6, null, 1, null],
      [8, 'r', 5, 'a@x'],
    ]);
  });

  test('a key that one row leaves is free for the next', () => {
    db.run(
      `insert into t values (8, 'p', 8, 'a@x'), (9, 'q', 9, 'a@x') on conflict (mail) do update set mail = 'c@x'`,
    );
    expect(db.run('select id, mail from t where id <> 2 order by id').rows).toEqual([
      [1, 'c@x'],
      [9, 'a@x'],
    ]);
    db.run(`delete from t where id = 9; update t set mail = 'a@x' where id = 1`);
    db.run(
      `insert into t values (1, 'a', 1, null), (3, 'c', 3, 'a@x') on conflict (id) do update set mail = excluded.mail`,
    );
    expect(all()).toMatchObject([[1, 'a', 1, null], {}, [3, 'c', 3, 'a@x']]);
  });

  test.each([
    [`insert into t (id) values (1), (1) on conflict (id) do update set n = 2`, '21000'],
    [`insert into t (id) values (5), (5) on conflict (id) do update set n = 2`, '21000'],
    [
      `insert into t values (1, 'b', 2, null) on conflict (id) do update set name = 'b', n = 2`,
      '23505',
    ],
    [`insert into t (id) values (1) on conflict (n) do nothing`, '42P10'],
    [`insert into t (id) values (1) on conflict (id) do update set n = n + 1`, '42702'],
    [`insert into t (id) values (1) on conflict (missing) do nothing`, '42703'],
    [`insert into t (id) values (1) on conflict on constraint missing do nothing`, '42704'],
    [`insert into t (id) values (1) on conflict do update set n = 1`, '42601'],
    [`insert into t (id) values (1) on conflict (id) do update set missing = 1`, '42703'],
    [`insert into t (id) values (1) on conflict (id) where n > 1 do nothing`, '0A000'],
    [`insert into t (id) values (1) on conflict ((id + 1)) do nothing`, '0A000'],
    [`insert into t (id) values (1) on conflict (id) do nothing returning excluded.id`, '42P01'],
  ])('%s fails with SQLSTATE %s', (text, sqlState) => {
    const before = all();
    expect(fails(text).sqlState).toBe(sqlState);
    expect(all()).toEqual(before);
  });
});
