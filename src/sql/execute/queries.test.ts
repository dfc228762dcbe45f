/** Joins, groups, subqueries, derived tables, set operations. What they yield is what PostgreSQL 15 yields. */
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { limits } from '../../base/index.ts';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';
import { Execution } from './execution.ts';

beforeAll(loadParser);

let db: MemoryDatabase;
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`create table a (id integer primary key, x integer, name text, g varchar(5));
    create table b (id integer primary key, a_id integer, y integer, note text);
    create table c (k integer, id integer, z text, primary key (k, id));
    insert into a values (1, 10, 'ann', 'p'), (2, 20, 'bob', 'q'), (3, null, 'cy', 'p'), (4, 20, null, null);
    insert into b values (1, 1, 100, 'n1'), (2, 1, 200, null), (3, 2, 300, 'n3'), (4, 9, 400, 'n4');
    insert into c values (1, 1, 'c11'), (1, 2, 'c12'), (2, 1, 'c21'), (3, 3, 'c33')`);
});

const rows = (text: string, parameters: readonly unknown[] = []) => db.run(text, parameters).rows;
const fails = (text: string) => {
  const { sqlState, at } = failureOf(text, () => db.run(text));
  return [sqlState, at];
};

const cases = (all: readonly (readonly [string, unknown])[]): void => {
  test.each(all)('%s', (text, expected) => expect(rows(text)).toEqual(expected));
};

describe('joins', () => {
  cases([
    [
      'select a.id, b.id from a join b on b.a_id = a.id order by 1, 2',
      [
        [1, 1],
        [1, 2],
        [2, 3],
      ],
    ],
    ['select a.id, b.id from a, b where a.id = b.a_id and b.y > 250', [[2, 3]]],
    [
      'select a.id, b.id from a left join b on b.a_id = a.id and b.y > 150 order by 1',
      [
        [1, 2],
        [2, 3],
        [3, null],
        [4, null],
      ],
    ],
    ['select a.id from a left join b on b.a_id = a.id where b.id is null order by 1', [[3], [4]]],
    [
      'select a.id, b.id from a right join b on b.a_id = a.id order by 2',
      [
        [1, 1],
        [1, 2],
        [2, 3],
        [null, 4],
      ],
    ],
    [
      'select a.id, b.id from a full join b on b.a_id = a.id and b.id <> 1 order by 1, 2',
      [
        [1, 2],
        [2, 3],
        [3, null],
        [4, null],
        [null, 1],
        [null, 4],
      ],
    ],
    ['select count(*) from a cross join c', [[16n]]],
    [
      'select * from (select id, name from a) s join c using (id) order by k, id',
      [
        [1, 'ann', 1, 'c11'],
        [2, 'bob', 1, 'c12'],
        [1, 'ann', 2, 'c21'],
        [3, 'cy', 3, 'c33'],
      ],
    ],
    [
      'select id, z from a natural left join c where x = 20 order by id',
      [
        [2, 'c12'],
        [4, null],
      ],
    ],
    ['select id from b full join c using (id) order by id desc', [[4], [3], [2], [1], [1]]],
    [
      'select a.id, c.z from a left join (b join c on c.id = b.id and c.k = 1) on b.a_id = a.id order by 1, 2',
      [
        [1, 'c11'],
        [1, 'c12'],
        [2, null],
        [3, null],
        [4, null],
      ],
    ],
    ['select one.id from a one join a two on two.x = one.x and two.id < one.id', [[4]]],
    ['select t.q from a t (p, q) where p = 1', [[10]]],
    ['select a.id from a, b where a.id = b.id and false', []],
  ]);

  test('rows beyond the budget are refused', () => {
    const many = (count: number, use: (execution: Execution) => void) => () => {
      const execution = new Execution(db.view, db.context);
      for (let row = 0; row < count; row++) use(execution);
    };
    const read = (execution: Execution): void => execution.countRead();
    const hold = (execution: Execution): void => execution.countHeld([]);
    many(limits.queryRowsReadMax, read)();
    expect(failureOf('', many(limits.queryRowsReadMax + 1, read)).code).toBe('QUERY_TOO_LARGE');
    many(limits.queryRowsHeldMax, hold)();
    expect(failureOf('', many(limits.queryRowsHeldMax + 1, hold)).code).toBe('QUERY_TOO_LARGE');
  });

  test.each([
    ['select * from a join b on a.name = b.note', 8, 3],
    ['select * from a, b where a.x < b.y', 24, 4],
    ['select x from a order by x', 0, 4],
    ['select distinct x from a', 0, 3],
    ['select x from a group by x', 0, 3],
    ['select x from a union select id from b', 8, 7],
    ['select x from a intersect select id from b', 8, 4],
    ['select id from a where x in (select x from a)', 4, 2],
    ['select * from a full join b on a.id = b.id', 16, 8],
  ])('%s looks at %s rows and holds %s', (text, read, held) => {
    const reads = vi.spyOn(Execution.prototype, 'countRead');
    const holds = vi.spyOn(Execution.prototype, 'countHeld');
    rows(text);
    const counts = [reads.mock.calls.length, holds.mock.calls.length];
    vi.restoreAllMocks();
    expect(counts).toEqual([read, held]);
  });
});

describe('groups', () => {
  cases([
    [
      'select x, count(*), count(name) from a group by x order by x',
      [
        [10, 1n, 1n],
        [20, 2n, 1n],
        [null, 1n, 1n],
      ],
    ],
    ['select x + 1 as k from a group by k having count(*) > 1', [[21]]],
    ['select g, sum(x) from a group by 1 order by 2 desc nulls last limit 1', [['q', 20n]]],
    ['select id, name, count(*) from a group by id order by id limit 1', [[1, 'ann', 1n]]],
    [
      'select a.id, a.name, count(b.id) from a left join b on b.a_id = a.id group by a.id order by 3 desc, 1 limit 2',
      [
        [1, 'ann', 2n],
        [2, 'bob', 1n],
      ],
    ],
    ["select sum(id) filter (where g = 'p'), count(distinct x) from a", [[4n, 2n]]],
    ["select string_agg(name, ',' order by name desc) from a", [['cy,bob,ann']]],
    ['select bool_and(id < 4), bool_or(id < 2), every(id > 0) from a', [[false, true, true]]],
    ['select count(*) from a where false group by g', []],
    ['select max(x) from a having count(*) > 9', []],
    [
      'select x, case when false then max(1 / (x - x)) end from a where x = 10 group by x',
      [[10, null]],
    ],
    ['select distinct count(*) from a group by x order by 1', [[1n], [2n]]],
    [
      'select x, (select count(*) from b where y > x * 10) from a group by x order by 1',
      [
        [10, 3n],
        [20, 2n],
        [null, 0n],
      ],
    ],
  ]);
});

describe('subqueries', () => {
  cases([
    ['select id from a where id in (select a_id from b) order by 1', [[1], [2]]],
    ['select id from a where id not in (select a_id from b) order by 1', [[3], [4]]],
    ['select id from a where x not in (select x from a)', []],
    ['select id from a where not exists (select from b where a_id = a.id) order by 1', [[3], [4]]],
    ['select id from a where x > all (select y / 20 from b where y < 300)', [[2], [4]]],
    ['select id from a where x = any (select null::integer)', []],
    [
      'select (select max(y) from b where a_id = a.id) from a order by id',
      [[200], [300], [null], [null]],
    ],
    ['select id from a where x = (select max(x) from a o where o.g = a.g) order by 1', [[1], [2]]],
    ['select (select id from a where false), exists (select 1 from a)', [[null, true]]],
    ['select id from a where (id, x) in (select a_id, 10 from b)', [[1]]],
    [
      'select x from a order by (select count(*) from b where a_id = a.id) desc, id limit 1',
      [[10]],
    ],
    [
      'select id from a where exists (select 1 from b where a_id = a.id and exists (select 1 from c where k = a.id and c.id = b.id))',
      [[1]],
    ],
    ['select n from (select x, count(*) as n from a group by x) s where x = 20', [[2n]]],
    ['select id from (select id from a order by id desc limit 2) s where id < 4', [[3]]],
    ['select n * 2 from (values (1), (2)) v (n) order by 1', [[2], [4]]],
    [
      'with q as (select id from a where x = 20), r (m) as (select max(id) from q) select m from r',
      [[4]],
    ],
    ['select sum(n) from generate_series(1, 9, 2) n', [[25n]]],
  ]);

  test('one that reads nothing of the row around it runs once', () => {
    db.view.calls.length = 0;
    rows('select id from a where id not in (select a_id from b)');
    expect(db.view.calls.filter((call) => call.startsWith('scan'))).toHaveLength(2);
  });

  test('they read, and writes use them', () => {
    expect(
      rows('update a set x = (select max(y) from b where a_id = a.id) where id < 3 returning x'),
    ).toEqual([[200], [300]]);
    expect(rows('insert into c values (9, (select min(id) from b)) returning k, id')).toEqual([
      [9, 1],
    ]);
    expect(
      rows('delete from c where id in (select id from a where x is null) returning z'),
    ).toEqual([['c33']]);
  });
});

describe('set operations', () => {
  cases([
    ['select 1 union select 2 union select 1 order by 1', [[1], [2]]],
    ['select 1 union all select 1', [[1], [1]]],
    ['select x from a intersect select y / 10 from b order by 1', [[10], [20]]],
    ['select x from a except all select 20 order by 1', [[10], [20], [null]]],
    ['select x from a except select 20 order by 1', [[10], [null]]],
    ["select null union select 'a' order by 1", [['a'], [null]]],
    ['select 1 as n union select 2.5 order by n desc limit 1', [['2.5']]],
    [
      'values (1, null), (2, 3) order by 1 desc',
      [
        [2, 3],
        [1, null],
      ],
    ],
    ['(select id from a limit 1) union all (select 7 union select 7)', [[1], [7]]],
  ]);
});

describe.each(['n', 'n desc', 'n desc, m', 'm, n'])('an index on (%s)', (columns) => {
  beforeEach(() => {
    db.run(`create table t (id integer primary key, m integer, n integer);
      insert into t values (1, 1, 5), (2, 1, null), (3, 1, 7), (4, 1, 5), (5, null, 9), (6, 1, 1);
      create index t_index on t (${columns})`);
  });

  test.each([
    ['n > 5', [3, 5]],
    ['n >= 5 and n < 9', [1, 3, 4]],
    ['n < 5', [6]],
    ['n <= 5', [1, 4, 6]],
    ['n = 5', [1, 4]],
    ['n in (7, null, 5, 7)', [1, 3, 4]],
    ['n is null', [2]],
    ['m = 1 and n > 4', [1, 3, 4]],
    ['m = 1 and n in (select n from t where id > 2)', [1, 3, 4, 6]],
    ['n between 6 and 5', []],
  ])('WHERE %s yields %j, no NULLs among them', (condition, expected) => {
    const ids = rows(`select id from t where ${condition}`).map(([id]) => id as number);
    expect(ids.toSorted((left, right) => left - right)).toEqual(expected);
  });

  test('its order is that of ORDER BY', () => {
    const order = (text: string) => rows(`select n from t order by ${text} limit 4`).flat();
    expect(order('n, id')).toEqual([1, 5, 5, 7]);
    expect(order('n desc, id')).toEqual([null, 9, 7, 5]);
    expect(order('n nulls first, id')).toEqual([null, 1, 5, 5]);
    expect(order('n desc nulls last, id')).toEqual([9, 7, 5, 5]);
  });
});

describe('errors', () => {
  test.each([
    ['select * from a, a', '42712', 'a'],
    ['select * from a x join b x on true', '42712', 'b x on t'],
    ['select id from a, b', '42702', 'id from '],
    ['select * from a join b on id = 1', '42702', 'id = 1'],
    ['select * from a join b using (nope)', '42703', 'a join b'],
    ['select b.id from a join b on c.id = 1 join c on true', '42P01', 'c.id = 1'],
    ['select x, name from a group by x', '42803', 'name fro'],
    ['select x from a group by x order by name', '42803', 'name'],
    ['select x from a group by x having name is null', '42803', 'name is '],
    ['select count(*) from a group by count(*)', '42803', 'count(*)'],
    ['select count(*) from a group by 1', '42803', '1'],
    ['select x from a group by 2', '42P10', '2'],
    ['select sum(count(*)) from a', '42803', 'count(*)'],
    ['select a.id from a join b on count(*) > 1', '42803', 'count(*)'],
    ['select (select id, x from a)', '42601', 'id, x fr'],
    ['select id in (select id, x from a) from a', '42601', 'id, x fr'],
    ['select 1 union select 1, 2', '42601', '1, 2'],
    ["select 1 union select 'a'", '22P02', "'a'"],
    ['select 1 union select true', '42804', 'true'],
    ['select id from a union select id from b order by id + 1', '0A000', 'id + 1'],
    ['values (1), (2, 3)', '42601', '2, 3)'],
    ['select * from a, lateral (select 1) s', '0A000', '1) s'],
    ['with recursive q as (select 1) select 1', '0A000', 'q as (se'],
    ['select x from a group by rollup (x)', '0A000', 'rollup ('],
    ['select rank() over () from a', '0A000', 'rank() o'],
    ['select array(select 1)', '0A000', 'array(se'],
    ['select a from a', '0A000', 'a from a'],
    ['select count(a.*) from a', '0A000', 'a.*) fro'],
    ['select * from b t (p, q, r, s, u)', '42P10', 'b t (p, '],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    expect(fails(text)).toEqual([sqlState, at]);
  });

  test('a subquery that stands for one value yields one row at most', () => {
    expect(fails('select (select id from a)')).toEqual(['21000', undefined]);
  });
});
