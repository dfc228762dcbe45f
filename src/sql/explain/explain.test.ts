import { beforeAll, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

const db = new MemoryDatabase();
beforeAll(() => {
  db.run(`create table p (id integer primary key, name text, city text, born date);
    create index p_city on p (city, born desc);
    create table v (id bigint primary key, p_id integer, at date, note text, unique (p_id, at));
    create view romans as select id, name from p where city = 'Rome'`);
});

const plan = (text: string, parameters: readonly unknown[] = []): unknown[] =>
  db.run(`explain ${text}`, parameters).rows.map(([line]) => line);
const scans = (text: string): unknown[] =>
  plan(text).flatMap((line) => /(?:Seq|Index|Index Only) Scan.*/.exec(String(line))?.[0] ?? []);

test('a plan names the key that serves, what it serves for, and why', () => {
  expect(plan("select * from p where id = $1 and name like 'a%'", [1])).toEqual([
    'Index Scan using p_pkey on p',
    '  Index Cond: (id = $1)',
    "  Filter: (name LIKE 'a%')",
    '  Why: every column of the primary key has one value, so there is one row at most',
  ]);
  expect(
    plan(
      'select p.name, count(*) from v join p on p.id = v.p_id where v.at > now() group by 1 order by 2 limit 3',
    ),
  ).toEqual([
    'Limit',
    '  Limit: 3',
    '  ->  Sort',
    '        Sort Key: count',
    '        ->  HashAggregate',
    '              Group Key: p.name',
    '              ->  Nested Loop',
    '                    ->  Seq Scan on v',
    '                          Filter: (at > now())',
    '                          Why: no key or index begins with a column that is restricted',
    '                    ->  Index Scan using p_pkey on p',
    '                          Index Cond: (id = v.p_id)',
    '                          Why: every column of the primary key has one value, so there is one row at most',
  ]);
});

test.each([
  ["select * from p where city = 'x'", ['Index Scan using p_city on p']],
  [
    "select * from p where city in ('x', 'y') and born < '2000-01-01'",
    ['Index Scan using p_city on p'],
  ],
  ["select born from p where city > 'x'", ['Index Only Scan using p_city on p']],
  ['select * from p order by city limit 5', ['Index Scan using p_city on p']],
  ['select * from p order by city desc limit 5', ['Index Scan Backward using p_city on p']],
  ['select * from p order by city, born limit 5', ['Seq Scan on p']],
  ["select * from p where city = 'x' order by born desc", ['Index Scan using p_city on p']],
  ['select * from p order by id desc', ['Index Scan Backward using p_pkey on p']],
  ['select * from p where id between 1 and 5', ['Index Scan using p_pkey on p']],
  ["select * from v where p_id = 1 and at = '2020-01-01'", ['Index Scan using v_p_id_at_key on v']],
  ['select * from p where name is null', ['Seq Scan on p']],
  ['select name from romans where id = 7', ['Index Scan using p_pkey on p']],
  [
    'select n from (select name as n, id as i from p) s where i = 3',
    ['Index Scan using p_pkey on p'],
  ],
  [
    'select 1 from (select city, count(*) from p group by city) s where city = $1',
    ['Index Only Scan using p_city on p'],
  ],
  [
    "select * from p join v on v.p_id = p.id where p.city = 'x'",
    ['Index Scan using p_city on p', 'Index Scan using v_p_id_at_key on v'],
  ],
  [
    'select * from p left join v on v.p_id = p.id',
    ['Seq Scan on p', 'Index Scan using v_p_id_at_key on v'],
  ],
  [
    'select exists (select 1 from v where v.id = p.id) from p where id = 1',
    ['Index Scan using p_pkey on p', 'Index Scan using v_pkey on v'],
  ],
  [
    'select * from p where id in (select p_id from v where note is null)',
    ['Index Scan using p_pkey on p', 'Seq Scan on v'],
  ],
  [
    'delete from p where city in (select note from v where id = 3)',
    ['Index Scan using p_city on p', 'Index Scan using v_pkey on v'],
  ],
  ['select * from p where id not in (select p_id from v)', ['Seq Scan on p', 'Seq Scan on v']],
  ["update p set name = 'x' where city = 'y'", ['Index Scan using p_city on p']],
  ['delete from v where id = 4', ['Index Scan using v_pkey on v']],
])('%s is run by %j', (text, expected) => {
  const parameters = text.includes('$1') ? ['x'] : [];
  const found = plan(text, parameters).flatMap(
    (line) => /(?:Seq|Index|Index Only) Scan.*/.exec(String(line))?.[0] ?? [],
  );
  expect(found).toEqual(expected);
});

test('tables without a key in common are joined by hash, the others one way or another but once', () => {
  expect(plan('select * from p join v on p.name = v.note')[0]).toBe('Hash Join');
  expect(plan('select * from p full join v on p.name = v.note')[0]).toBe('Hash Full Join');
  expect(plan('select * from p, v where p.name < v.note')[0]).toBe('Nested Loop');
  expect(scans('select * from p, v where p.name < v.note')).toHaveLength(2);
});

test('EXPLAIN only tells', () => {
  db.run('explain delete from p');
  db.run("explain insert into p values (1, 'x')");
  expect(db.run('select count(*) from p').rows).toEqual([[0n]]);
});

test.each([
  ['explain analyze select 1', 'UNSUPPORTED_SQL'],
  ['explain (format json) select 1', 'UNSUPPORTED_SQL'],
  ['explain create table q as select 1', 'UNSUPPORTED_SQL'],
  ['explain select * from nope', 'UNDEFINED_TABLE'],
])('%s fails with %s', (text, code) => {
  expect(failureOf(text, () => db.run(text)).code).toBe(code);
});
