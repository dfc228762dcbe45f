/** Where a key or index serves, it is used, and no more is read than is needed. */
import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

const rowCount = 1_000;

let db: MemoryDatabase;
beforeAll(async () => {
  await loadParser();
  db = new MemoryDatabase();
  db.run(`
    create table p (id integer primary key, a integer, b text, c varchar(20), at timestamptz, f boolean, n numeric, e bigint);
    create table o (id integer primary key, pid integer not null, k integer, v text, unique (pid, k));
    create table bare (a integer, b integer);
    create view recent as select id, a, at from p where f;
    create index p_a on p (a);
    create index p_ab on p (a, b);
    create index p_b on p (b);
    create index p_c on p (c);
    create index p_at on p (at desc);
    create index p_f on p (f);
    create index p_n on p (n);
    create index p_ea on p (e desc, a);
    create index bare_a on bare (a);
    insert into p select i, nullif(i % 100, 0), 'b' || i, 'c' || i,
      timestamptz '2024-01-01' + i * interval '1 hour', i % 50 = 0, i, i from generate_series(1, ${rowCount}) g(i);
    insert into o select i, i % 500 + 1, i, 'v' from generate_series(1, ${rowCount}) g(i);
    insert into bare select i, i from generate_series(1, ${rowCount}) g(i);
  `);
});

/** Entries and rows that a query has looked at. */
function readsOf(sql: string): number {
  db.view.calls.length = 0;
  db.run(sql);
  return db.view.calls.filter((call) => call === 'next' || call === 'get').length;
}

const scans = /(?:Seq|Index(?: Only)?) Scan[^"]*/;
const scansOf = (sql: string): string[] =>
  db
    .run(`explain ${sql}`)
    .rows.flat()
    .flatMap((line) => scans.exec(String(line))?.[0] ?? []);

/** A query, how its tables are reached, and how many entries and rows it may look at. */
const served: readonly (readonly [string, readonly string[], number])[] = [
  // Equality.
  ['select * from p where id = 7', ['Index Scan using p_pkey on p'], 1],
  ['select * from p where a = 7', ['Index Scan using p_a on p'], 21],
  ["select * from p where a = 7 and b = 'b107'", ['Index Scan using p_ab on p'], 3],
  ["select * from p where c = 'c49'", ['Index Scan using p_c on p'], 3],
  ['select * from p where n = 5', ['Index Scan using p_n on p'], 3],
  ['select * from p where id = 3::bigint', ['Index Scan using p_pkey on p'], 1],
  ['select * from p where (id, a) = (5, 5)', ['Index Scan using p_pkey on p'], 1],
  ['select * from o where pid = 5 and k = 4', ['Index Scan using o_pid_k_key on o'], 2],
  ['select * from bare where a = 3', ['Index Scan using bare_a on bare'], 3],
  ['select * from p where f', ['Index Scan using p_f on p'], 41],
  ['select * from p where f is true', ['Index Scan using p_f on p'], 41],
  ['select * from p where a is null', ['Index Scan using p_a on p'], 21],
  // Ranges.
  ['select * from p where id > 990', ['Index Scan using p_pkey on p'], 11],
  ['select * from p where 5 < id and id <= 9', ['Index Scan using p_pkey on p'], 5],
  ['select * from p where a > 98', ['Index Scan using p_a on p'], 21],
  ['select * from p where e between 10 and 12', ['Index Scan using p_ea on p'], 7],
  ["select * from p where at > '2024-02-11 13:00Z'", ['Index Scan using p_at on p'], 7],
  [
    "select * from p where at > timestamptz '2024-02-12' - interval '9 hours'",
    ['Index Scan using p_at on p'],
    5,
  ],
  ["select * from p where a = 7 and b > 'b8'", ['Index Scan using p_ab on p'], 5],
  // The beginnings of texts.
  ["select * from p where b like 'b99%'", ['Index Scan using p_b on p'], 23],
  ["select * from p where c like 'c99_'", ['Index Scan using p_c on p'], 23],
  ["select * from p where b like 'b7'", ['Index Scan using p_b on p'], 230],
  // Lists and alternatives.
  ['select * from p where id in (5, 7, 2000)', ['Index Scan using p_pkey on p'], 3],
  ['select * from p where a in (5, 7)', ['Index Scan using p_a on p'], 42],
  ['select * from p where a = 5 or a = 7', ['Index Scan using p_a on p'], 42],
  ['select * from p where a in (5, 6) or a = 7', ['Index Scan using p_a on p'], 63],
  ['select * from p where a < 2 or a > 98', ['Index Scan using p_a on p'], 42],
  [
    'select * from p where id < 3 or id between 2 and 5 or id = 9',
    ['Index Scan using p_pkey on p'],
    8,
  ],
  [
    "select * from p where (a = 5 and b = 'b5') or (a = 7 and f)",
    ['Index Scan using p_ab, p_a on p'],
    42,
  ],
  ['select * from p where a is null or a = 5', ['Index Scan using p_a on p'], 42],
  [
    'select * from p where id in (select pid from o where pid < 3)',
    ['Index Scan using p_pkey on p', 'Index Only Scan using o_pid_k_key on o'],
    8,
  ],
  ["select * from p where a = 5 or b = 'b7'", ['Index Scan using p_a, p_b on p'], 24],
  [
    "select * from p where id < 3 or c like 'c77_' or e = 9",
    ['Index Scan using p_pkey, p_c, p_ea on p'],
    29,
  ],
  // Order, in both directions and of falling indexes.
  ['select * from p order by id limit 3', ['Index Scan using p_pkey on p'], 3],
  ['select * from p order by id desc limit 3', ['Index Scan Backward using p_pkey on p'], 3],
  ['select * from p order by a limit 3', ['Index Scan using p_a on p'], 6],
  [
    'select * from p order by a desc nulls first limit 3',
    ['Index Scan Backward using p_a on p'],
    6,
  ],
  [
    'select * from p where a is not null order by a desc nulls last limit 3',
    ['Index Scan Backward using p_a on p'],
    6,
  ],
  [
    'select * from p where a > 5 order by a desc nulls last limit 3',
    ['Index Scan Backward using p_a on p'],
    6,
  ],
  ['select * from p order by e desc limit 3', ['Index Scan using p_ea on p'], 6],
  ['select * from p order by e limit 3', ['Index Scan Backward using p_ea on p'], 6],
  ['select * from p order by at limit 1', ['Index Scan Backward using p_at on p'], 2],
  ['select * from p where a = 7 order by b limit 2', ['Index Scan using p_ab on p'], 4],
  [
    "select * from p where a = 7 and b < 'b9' order by b desc limit 2",
    ['Index Scan Backward using p_ab on p'],
    4,
  ],
  [
    "select * from p where (a, b) > (98, 'b998') order by a, b limit 2",
    ['Index Scan using p_ab on p'],
    24,
  ],
  // The index alone.
  ['select a from p where a > 98', ['Index Only Scan using p_a on p'], 11],
  ['select id, a from p where a = 7', ['Index Only Scan using p_a on p'], 11],
  ['select count(*) from p where a = 7', ['Index Only Scan using p_a on p'], 11],
  ['select e, a from p where e > 998 order by e desc', ['Index Only Scan using p_ea on p'], 3],
  // Ends.
  ['select min(a) from p', ['Index Only Scan using p_a on p'], 1],
  ['select max(a) from p', ['Index Only Scan Backward using p_a on p'], 1],
  ['select max(e), min(e) from p', ['Index Only Scan Backward using p_ea on p'], 2],
  ['select max(id) from p where id < 500', ['Index Scan Backward using p_pkey on p'], 1],
  ['select max(b) from p where a = 7', ['Index Only Scan Backward using p_ab on p'], 1],
  // Joins.
  [
    'select o.id from p join o on o.pid = p.id where p.id = 7',
    ['Index Scan using p_pkey on p', 'Index Scan using o_pid_k_key on o'],
    6,
  ],
  [
    'select o.id from o left join p on p.id = o.pid where o.id < 3',
    ['Index Scan using o_pkey on o', 'Index Scan using p_pkey on p'],
    5,
  ],
  [
    "select p2.id from p p1, p p2 where p1.b = 'b7' and p2.a = p1.a",
    ['Index Scan using p_b on p p1', 'Index Scan using p_a on p p2'],
    24,
  ],
  [
    'select p.id from p where p.id < 3 and exists (select 1 from o where o.pid = p.id)',
    ['Index Scan using p_pkey on p', 'Index Only Scan using o_pid_k_key on o'],
    5,
  ],
  [
    'select (select max(k) from o where o.pid = p.id) from p where id = 5',
    ['Index Scan using p_pkey on p', 'Index Only Scan Backward using o_pid_k_key on o'],
    2,
  ],
  // Views and queries in FROM.
  ['select * from recent where id = 50', ['Index Scan using p_pkey on p'], 1],
  [
    'select * from (select id, a from p) q where a = 3 order by id',
    ['Index Only Scan using p_a on p'],
    11,
  ],
  [
    'with w as (select id, a from p) select * from w where a = 3',
    ['Index Only Scan using p_a on p'],
    11,
  ],
];

describe('an index serves', () => {
  test.each(served)('%s', (sql, expected, readsMax) => {
    const reads = readsOf(sql);
    expect(scansOf(sql)).toEqual(expected);
    expect(reads).toBeLessThanOrEqual(readsMax);
    // Indexes must not change the answer: the same without them.
    expect(db.run(sql).rows.length).toBeGreaterThan(0);
  });
});

const changes: readonly (readonly [string, readonly string[]])[] = [
  ["update p set n = 1 where b = 'none'", ['Index Scan using p_b on p']],
  ['delete from p where a = 5000', ['Index Scan using p_a on p']],
  [
    'update p set n = o.k from o where o.pid = p.id and p.id = -1',
    ['Index Scan using p_pkey on p', 'Index Scan using o_pid_k_key on o'],
  ],
  [
    'delete from o using p where p.id = o.pid and p.b = $$none$$',
    ['Index Scan using p_b on p', 'Index Scan using o_pid_k_key on o'],
  ],
  ['insert into bare select id, a from p where a = -1', ['Index Only Scan using p_a on p']],
];

test.each(changes)('%s', (sql, expected) => {
  const reads = readsOf(sql);
  expect(scansOf(sql)).toEqual(expected);
  expect(reads).toBeLessThanOrEqual(2);
});

test('parameters of LIKE are looked up as constants are, whatever they begin with', () => {
  const sql = 'select count(*) from p where b like $1';
  const counts = ['b99%', '%9', '', 'b_9%', 'b\\%', null, 'B%'].map(
    (pattern) => db.run(sql, [pattern]).rows[0]?.[0],
  );
  const without = ['b99%', '%9', '', 'b_9%', 'b\\%', null, 'B%'].map(
    (pattern) => db.run(`select count(*) from p where b || '' like $1`, [pattern]).rows[0]?.[0],
  );
  expect(counts).toEqual(without);
  expect(readsOf("select * from p where b like 'b999%'")).toBeLessThanOrEqual(5);
});

test('the last texts there are lie within a pattern of theirs', () => {
  const texts = [
    '\u{10ffff}',
    '\u{10ffff}\u{10ffff}a',
    '\ud7ff',
    '\ud7ffz',
    '\ue000',
    'a\u{10ffff}',
    'b',
  ];
  const small = new MemoryDatabase();
  small.run('create table t (x text unique)');
  for (const text of texts) small.run('insert into t values ($1)', [text]);
  for (const text of texts) {
    const sql = 'select x from t where x like $1';
    const expected = texts.filter((each) => each.startsWith(text)).sort();
    const found = small.run(sql, [`${text}%`]).rows.map(([x]) => String(x));
    expect(found.toSorted()).toEqual(expected);
  }
});
