/** UPDATE … FROM, DELETE … USING, SET (…) = (SELECT …), and WITH before what writes. */
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

let db: MemoryDatabase;
beforeAll(loadParser);
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`
    create table t (id integer primary key, a integer, b text);
    create table u (id integer primary key, tid integer, x integer);
    create table h (a integer, b text);
    create view sums as select tid, sum(x) as total from u group by tid;
    create view plain as select tid, x from u where x > 0;
    insert into t values (1, 10, 'x'), (2, 20, 'y'), (3, null, 'z');
    insert into u values (1, 1, 100), (3, 2, 300), (4, 9, 400);
    insert into h values (1, 'p'), (1, 'p'), (2, 'q'), (null, null);
  `);
});
const rows = (sql: string): unknown => db.run(sql).rows;

describe('UPDATE … FROM', () => {
  test('sets what the rows of the others hold, and returns both', () => {
    const sql = 'update t set a = t.a + u.x from u where u.tid = t.id returning t.*, u.x, b';
    expect(rows(sql)).toEqual([
      [1, 110, 'x', 100, 'x'],
      [2, 320, 'y', 300, 'y'],
    ]);
    expect(rows('select a from t order by id')).toEqual([[110], [320], [null]]);
  });

  test('returns all columns of both for *', () => {
    expect(rows('update t set a = 0 from u where u.tid = t.id and t.id = 2 returning *')).toEqual([
      [2, 0, 'y', 3, 2, 300],
    ]);
  });

  test.each([
    ['an alias and a join', 'from u left join h on h.a = u.id where u.tid = q.id', [[1], [2]]],
    ['the table itself', 'from t o where o.id = q.id + 2', [[1]]],
    ['a grouped view', 'from sums s where s.tid = q.id and s.total > 100', [[2]]],
    ['a view that only selects', 'from plain s where s.tid = q.id', [[1], [2]]],
    ['a list of values', 'from (values (3), (7)) v (k) where v.k = q.id', [[3]]],
    ['a row that meets many', 'from h where q.id = h.a', [[1], [2]]],
  ])('reads %s', (_what, from, ids) => {
    const { rowCount, rows: returned } = db.run(`update t q set b = 'new' ${from} returning q.id`);
    expect(returned).toEqual(ids);
    expect(rowCount).toBe(ids.length);
    expect(rows("select id from t where b = 'new' order by id")).toEqual(ids);
  });

  test('takes the first of several rows that meet one', () => {
    const several = "(values (1, 'first'), (2, 'other'), (1, 'second')) v (k, x)";
    expect(rows(`update t set b = v.x from ${several} where v.k = t.id returning t.b`)).toEqual([
      ['first'],
      ['other'],
    ]);
  });

  test('finds rows of a table without a key', () => {
    expect(db.run('update h set b = t.b from t where t.id = h.a').rowCount).toBe(3);
    expect(rows('select b from h order by b')).toEqual([['x'], ['x'], ['y'], [null]]);
  });

  test('moves keys, and hears of those that are taken', () => {
    db.run('update t set id = u.x from u where u.tid = t.id');
    expect(rows('select id from t order by id')).toEqual([[3], [100], [300]]);
    const sql = 'update t set id = 7 from u where t.id > u.id';
    expect(failureOf(sql, () => db.run(sql)).sqlState).toBe('23505');
  });
});

describe('DELETE … USING', () => {
  test('removes each row once, however many it meets', () => {
    const sql = 'delete from t using h where h.a = t.id returning t.id, h.b';
    expect(rows(sql)).toEqual([
      [1, 'p'],
      [2, 'q'],
    ]);
    expect(rows('select id from t')).toEqual([[3]]);
  });

  test('rows that are alike go all', () => {
    expect(db.run('delete from h using t where t.id = h.a and t.id = 1').rowCount).toBe(2);
    expect(rows('select a from h order by a')).toEqual([[2], [null]]);
  });
});

describe('SET (…) = (SELECT …)', () => {
  test('takes one row for each row, or NULL', () => {
    db.run('update t set (a, b) = (select x, u.id::text from u where u.tid = t.id)');
    expect(rows('select a, b from t order by id')).toEqual([
      [100, '1'],
      [300, '3'],
      [null, null],
    ]);
  });

  test.each([
    ['update t set (a, b) = (select 1)', '42601'],
    ["update t set (a, b) = (select 1, 'b', 3)", '42601'],
    ['update t set (a, b) = (select tid, b from u, h)', '21000'],
    ['update t set (a, b) = (select b, a from h limit 1)', '42804'],
  ])('%s fails with %s', (sql, sqlState) => {
    expect(failureOf(sql, () => db.run(sql)).sqlState).toBe(sqlState);
  });
});

describe('WITH before what writes', () => {
  test.each([
    ['insert into t select k, k, $$w$$ from w', [[9, 9, 'w']]],
    ['insert into t values ((select k from w), 1, $$v$$)', [[9, 1, 'v']]],
    ['update t set a = k from w where id = 3', [[3, 9, 'z']]],
    ['update t set a = (select k from w) where id = 3', [[3, 9, 'z']]],
    ['delete from t using w where id = k - 7', [[2, 20, 'y']]],
    ['delete from t where id = (select k - 7 from w)', [[2, 20, 'y']]],
  ])('with w (k) as (select 9) %s', (sql, expected) => {
    const { rows: found } = db.run(`with w (k) as (select 9) ${sql} returning t.*`);
    expect(found).toEqual(expected);
  });

  test('a statement that writes cannot stand in WITH', () => {
    const sql = 'with w as (delete from t returning id) select * from w';
    expect(failureOf(sql, () => db.run(sql)).sqlState).toBe('0A000');
    expect(rows('select count(*) from t')).toEqual([[3n]]);
  });
});
