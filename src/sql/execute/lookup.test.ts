import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { keyRowsOf } from '../testing/lookup-keys.ts';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

let db: MemoryDatabase;
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`create table people (id integer primary key, name text unique, born date, good boolean);
    create table visits (person integer, day date, note text, primary key (person, day));
    create table log (line text);
    create view adults as select id, name from people`);
});

const keys = (text: string, parameters: readonly unknown[] = []): unknown =>
  keyRowsOf(db, text, parameters);

describe('a query by primary key asks for the keys', () => {
  test.each<[string, readonly unknown[], unknown]>([
    ['select * from people where id = 7', [], [[7]]],
    ['select name, born + 1 as next from people p where 7 = p.id', [], [[7]]],
    ['select * from people where id = $1', [7], [[7]]],
    ['select * from people where id = 3 + 4', [], [[7]]],
    ['select * from people where id = 7::bigint', [], [[7]]],
    ['select * from people where id in (3, 1, 3, null) order by id desc', [], [[3], [1]]],
    ['select * from people where id = 1 or id = 2', [], [[1], [2]]],
    ['select * from people where id = null', [], []],
    ['select * from people where id = 9999999999', [], []],
    ["select * from visits where day = '2026-01-02' and person = 1", [], [[1, '2026-01-02']]],
    [
      "select * from visits where person in (1, $1) and day in ('2026-01-02', '2026-01-03')",
      [5],
      [
        [1, '2026-01-02'],
        [1, '2026-01-03'],
        [5, '2026-01-02'],
        [5, '2026-01-03'],
      ],
    ],
  ])('%s', (text, parameters, expected) => {
    expect(keys(text, parameters)).toEqual(expected);
  });
});

describe('what asks for anything else is refused, at its place', () => {
  test.each<[string, string]>([
    ['select * from people', 'people'],
    ["select * from people where name = 'Ann'", "name = '"],
    ['select * from people where id > 7', 'id > 7'],
    ['select * from people where id between 7 and 7', 'id betwe'],
    ['select * from people where id = 7 and id = 7', 'id = 7 a'],
    ['select * from people where id = 7 and good', 'id = 7 a'],
    ["select * from people where id = 7 and name like 'A%'", 'id = 7 a'],
    ["select * from people where id = 7 or name = 'Ann'", 'id = 7 o'],
    ['select * from people where not id = 7', 'not id ='],
    ['select * from people where id not in (7)', 'id not i'],
    ['select * from visits where person = 1', 'person ='],
    ["select * from log where line = 'x'", 'log wher'],
    ['select * from adults where id = 7', 'adults w'],
    ['select * from (select * from people) as p where id = 7', '* from p'],
    ['select p.id from people p join visits v on v.person = p.id where p.id = 7', 'people p'],
    ['select count(*) from people where id = 7', 'select c'],
    ['select id from people where id = 7 group by id', 'select i'],
    ['select distinct id from people where id = 7', 'select d'],
    ['select * from people where id = 7 limit 1', '1'],
    ['select * from people where id = 7 offset 2', '2'],
    ['select * from people where id = (select 7)', 'select *'],
    ['select *, (select 1) from people where id = 7', 'select *'],
    ['select * from people where id = 7 union all select * from people where id = 8', 'select *'],
    ['values (1)', 'values ('],
    ['select 1', 'select 1'],
    ['select * from people where id = 7 as of position 3', 'select *'],
  ])('%s', (text, at) => {
    const failure = failureOf(text, () => keys(text));
    expect([failure.sqlState, failure.at]).toEqual(['0A000', at]);
    expect(failure.message).toMatch(
      /cannot be proved: .*\. Select from one table, WHERE every column/,
    );
  });

  test('so are more than a thousand keys', () => {
    const list = (count: number): string => Array.from({ length: count }, (_, id) => id).join();
    const text = (ids: number, days: number): string =>
      `select * from visits where person in (${list(ids)}) and day in (${list(days).replace(/\d+/g, (day) => `date '2026-01-01' + ${day}`)})`;
    expect(keys(text(100, 10))).toHaveLength(1_000);
    expect(failureOf('', () => keys(text(101, 10))).sqlState).toBe('0A000');
  });
});
