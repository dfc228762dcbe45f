import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadParser, parseScript, prepare } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

let db: MemoryDatabase;
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`create table people (id integer primary key, name text, city varchar(10), height double precision, code bigint unique);
    insert into people values (3, 'Cy', 'Bern', 1.5, 30), (1, 'Ann', 'Rome', 1.7, 10), (4, 'Di', null, null, null), (2, 'Bob', 'Rome', 1.6, 20);
    create table visits (person integer, day date, note text, primary key (person, day));
    insert into visits values (1, '2026-01-02', 'b'), (1, '2026-01-01', 'a'), (2, '2026-01-01', 'c'), (1, '2026-01-03', 'd'), (3, '2026-02-01', 'e')`);
  db.view.calls.length = 0;
});

const rows = (text: string, parameters: readonly unknown[] = []): unknown =>
  db.run(text, parameters).rows;
const fails = (text: string) => {
  const { sqlState, at } = failureOf(text, () => db.run(text));
  return [sqlState, at];
};

describe('results', () => {
  test.each<[string, unknown]>([
    [
      'select id, name from people',
      [
        [1, 'Ann'],
        [2, 'Bob'],
        [3, 'Cy'],
        [4, 'Di'],
      ],
    ],
    ['select p.name from people p where p.id = 2', [['Bob']]],
    ['select people.id from public.people where city is null', [[4]]],
    ["select name from people where city = 'Rome' and height > 1.65", [['Ann']]],
    [
      "select name from people where name like '%o%' or height < 1.55 order by name desc",
      [['Cy'], ['Bob']],
    ],
    ['select id from people where null', []],
    ['select id from people order by city, id desc', [[3], [2], [1], [4]]],
    ['select id from people order by city desc, id', [[4], [1], [2], [3]]],
    ['select id from people order by height nulls first', [[4], [3], [2], [1]]],
    ['select id from people order by height desc nulls last', [[1], [2], [3], [4]]],
    ['select id as x, name from people order by x desc limit 1', [[4, 'Di']]],
    [
      'select name, id from people order by 2 limit 2 offset 1',
      [
        ['Bob', 2],
        ['Cy', 3],
      ],
    ],
    ['select id from people order by -id', [[4], [3], [2], [1]]],
    ['select -id as id from people order by id', [[-4], [-3], [-2], [-1]]],
    ['select id from people limit 0', []],
    ['select id from people limit null offset 3', [[4]]],
    ['select id from people offset 9', []],
    ['select distinct city from people', [['Rome'], ['Bern'], [null]]],
    ['select distinct city from people order by city desc limit 2', [[null], ['Rome']]],
    ['select distinct height is null as missing from people order by missing', [[false], [true]]],
    ['select count(*), count(city), count(distinct city) from people', [[4n, 3n, 2n]]],
    ['select min(name), max(name), min(height), max(id) from people', [['Ann', 'Di', 1.5, 4]]],
    [
      'select sum(id), avg(id), sum(code), sum(height), avg(height) from people where id < 4',
      [[6n, '2.0000000000000000', '60', 4.8, 1.5999999999999999]],
    ],
    [
      'select count(*), sum(id), max(id), avg(id) from people where id > 100',
      [[0n, null, null, null]],
    ],
    ['select count(*) * 2 + 1 as n from people order by n limit 1', [[9n]]],
    ['select count(*) where false', [[0n]]],
    ["select 1, 'x' where true", [[1, 'x']]],
    ['select 1 where false', []],
    ['select 1 from people limit 2', [[1], [1]]],
  ])('%s', (text, expected) => {
    expect(rows(text)).toEqual(expected);
  });

  test('columns are named and typed as PostgreSQL does', () => {
    const { columns } = db.run(
      "select id, name as n, id + 1, lower(name), id::bigint, '1'::int, case when true then 1 end, coalesce(city, ''), now(), current_date from people",
    );
    expect(columns.map(({ name, type }) => [name, type.name])).toEqual([
      ['id', 'integer'],
      ['n', 'text'],
      ['?column?', 'integer'],
      ['lower', 'text'],
      ['id', 'bigint'],
      ['int4', 'integer'],
      ['case', 'integer'],
      ['coalesce', 'varchar'],
      ['now', 'timestamptz'],
      ['current_date', 'date'],
    ]);
  });

  test('parameters bind anywhere an expression may stand', () => {
    expect(
      rows(
        'select name, $3 from people where id > $1 and height < $2 order by id limit $4 offset $5',
        [1, 1.65, 'x', 1, 1],
      ),
    ).toEqual([['Cy', 'x']]);
    expect(rows('select id from people where name = $1 or $1 is null', [null])).toHaveLength(4);
  });

  test('rows are yielded lazily: LIMIT reads no further than it must', () => {
    rows('select id from people limit 2');
    expect(db.view.calls).toEqual(['scan all', 'next', 'next']);
  });
});

describe('access paths', () => {
  test.each<[string, unknown, string[]]>([
    ['select * from people where id = 2', [[2, 'Bob', 'Rome', 1.6, 20n]], ['get']],
    ["select id from people where 2 = id and city = 'Rome'", [[2]], ['get']],
    ['select id from people where id = 9', [], ['get']],
    ['select id from people where id = null', [], []],
    ['select id from people where id = 2::bigint', [[2]], ['get']],
    ['select id from people where id = 20000000000', [], []],
    ['select name from people where code = 20', [['Bob']], ['get', 'get']],
    ['select name from people where code = 21', [], ['get']],
    ['select id from people where id in (3, 1, 3, null, 9)', [[1], [3]], ['get', 'get', 'get']],
    ['select id from people where id in (1, 3) order by id desc', [[3], [1]], ['get', 'get']],
    ['select id from people where id > 2', [[3], [4]], ['scan range', 'next', 'next', 'next']],
    [
      'select id from people where id >= 2 and id < 4',
      [[2], [3]],
      ['scan range', 'next', 'next', 'next'],
    ],
    [
      'select id from people where id between 2 and 3',
      [[2], [3]],
      ['scan range', 'next', 'next', 'next'],
    ],
    [
      'select id from people where 2 >= id order by id desc',
      [[2], [1]],
      ['scan range', 'next', 'next', 'next'],
    ],
    ['select id from people where id > null', [], []],
    ['select id from people where id > 3 and id < 2', [], ['scan range', 'next']],
    [
      'select id from people where id > 1 and id between 3 and 4',
      [[3], [4]],
      ['scan range', 'next', 'next', 'next', 'next'],
    ],
    [
      'select id from people where id > 1 and id > 3',
      [[4]],
      ['scan range', 'next', 'next', 'next', 'next'],
    ],
    [
      'select note from visits where person = 1',
      [['a'], ['b'], ['d']],
      ['scan range', 'next', 'next', 'next', 'next'],
    ],
    ["select note from visits where person = 1 and day = '2026-01-02'", [['b']], ['get']],
    [
      "select note from visits where person = 1 and day > '2026-01-01'",
      [['b'], ['d']],
      ['scan range', 'next', 'next', 'next'],
    ],
    [
      "select note from visits where day = '2026-01-01' and person between 1 and 2",
      [['a'], ['c']],
      ['scan range', 'next', 'next', 'next', 'next', 'next'],
    ],
    [
      'select note from visits where person = 1 order by day desc limit 1',
      [['d']],
      ['scan range', 'next'],
    ],
    [
      'select note from visits order by person desc, day desc limit 1',
      [['e']],
      ['scan all', 'next'],
    ],
    ['select count(*) from people', [[4n]], ['scan all', 'next', 'next', 'next', 'next', 'next']],
  ])('%s', (text, expected, calls) => {
    expect(rows(text)).toEqual(expected);
    expect(db.view.calls).toEqual(calls);
  });

  test('mixed directions are sorted, not scanned', () => {
    expect(rows('select note from visits order by person desc, day')).toEqual([
      ['e'],
      ['c'],
      ['a'],
      ['b'],
      ['d'],
    ]);
  });

  test('a key too large to be stored is simply not there', () => {
    db.run('create table notes (k text primary key)');
    expect(rows('select * from notes where k = $1', ['x'.repeat(10_000)])).toEqual([]);
  });
});

describe('errors', () => {
  test.each([
    ["select 'é😀', nope from people", '42703', 'nope fro'],
    ['select * from nope', '42P01', 'nope'],
    ['select * from other.people', '0A000', 'other.pe'],
    ['select people.id from people p', '42P01', 'people.i'],
    ['select x.* from people', '42P01', 'x.* from'],
    ["select 'é', id from people where nope = 1", '42703', 'nope = 1'],
    ['select id from people where id', '42804', 'id'],
    ['select id from people where count(*) > 1', '42803', 'count(*)'],
    ['select id, count(*) from people', '42803', 'id, coun'],
    ['select count(*) from people order by id', '42803', 'id'],
    ['select id from people order by 2', '42P10', '2'],
    ["select id from people order by 'a'", '42601', "'a'"],
    ['select distinct id from people order by name', '42P10', 'name'],
    ['select id as a, name as a from people order by a', '42702', 'a'],
    ['select id from people limit nope', '42703', 'nope'],
    ['select id from people limit true', '42804', 'true'],
    ['select id from people for update', '0A000', 'id from '],
    ['select distinct on (id) id from people', '0A000', 'id) id f'],
    ['select * from only people', '0A000', 'people'],
    ['select 1 into x', '0A000', 'x'],
    ['select id from people tablesample system (1)', '0A000', 'people t'],
    ['select id from people order by id using <', '0A000', 'id using'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    expect(fails(text)).toEqual([sqlState, at]);
  });

  test('a negative LIMIT or OFFSET is refused when run', () => {
    expect(fails('select 1 limit -1')).toEqual(['2201W', undefined]);
    expect(failureOf('', () => rows('select 1 offset $1', [-1])).code).toBe('INVALID_OFFSET');
  });

  test('a transaction statement is not prepared', () => {
    expect(failureOf('begin', () => prepare(parseScript('begin')[0]!, db.catalog)).code).toBe(
      'UNSUPPORTED_SQL',
    );
  });
});

test('an AS OF parameter has its type among the parameters', () => {
  const types = (text: string): unknown => {
    const prepared = prepare(parseScript(text)[0]!, db.catalog);
    return prepared.kind === 'query' && prepared.parameterTypes.map((type) => type.name);
  };
  expect(types('select * from people where id = $1 as of position $2')).toEqual([
    'integer',
    'bigint',
  ]);
  expect(types('select * from people where name = $2 as of timestamp $1')).toEqual([
    'timestamptz',
    'text',
  ]);
});
