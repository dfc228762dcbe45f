import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../base/index.ts';
import { loadParser, primaryKeyOf, tableRowCodec } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

let db: MemoryDatabase;
beforeEach(() => {
  db = new MemoryDatabase();
  db.run(`create table t (id integer primary key, name varchar(5) not null default 'x', price numeric(6,2) check (price >= 0), mail text unique,
    made timestamptz default now(), a integer, b integer, constraint a_below_b check (a < b), unique (a, b))`);
});

const rows = (text: string, parameters: readonly unknown[] = []): unknown =>
  db.run(text, parameters).rows;
const fails = (text: string, parameters: readonly unknown[] = []) =>
  failureOf(text, () => db.run(text, parameters));

describe('INSERT', () => {
  test('columns left out take their default or NULL; DEFAULT and DEFAULT VALUES do too', () => {
    expect(rows('insert into t (id, a) values (1, default) returning name, price, made')).toEqual([
      ['x', null, 1_700_000_000_123_456n],
    ]);
    expect(rows('insert into t values (2, default, 1.005) returning *')).toEqual([
      [2, 'x', '1.01', null, 1_700_000_000_123_456n, null, null],
    ]);
    db.run("create table d (a int default 1 + 1, b text default 'y')");
    expect(rows('insert into d default values returning *')).toEqual([[2, 'y']]);
  });

  test('several rows, a column list in another order, parameters, RETURNING expressions', () => {
    expect(
      rows(
        'insert into t as n (name, id) values ($1, $2), ($1, $3) returning id * 10 as ten, n.name',
        ['q', 1, 2],
      ),
    ).toEqual([
      [10, 'q'],
      [20, 'q'],
    ]);
    expect(db.run('select count(*) from t').rows).toEqual([[2n]]);
  });

  test('a change carries the table, the key and the encoded row', () => {
    const { changes } = db.run('insert into t (id) values (7)');
    const table = db.tables.get('t')!;
    const [change] = changes;
    expect(change).toMatchObject({
      kind: 'insert',
      table,
      key: primaryKeyOf(table, [7]),
      previous: undefined,
    });
    expect(tableRowCodec(table).decode(change!.row!)[0]).toBe(7);
  });

  test('rows of a table without primary key get row ids', () => {
    db.run('create table n (a int); insert into n values (5), (5), (4)');
    expect(rows('select a from n')).toEqual([[5], [5], [4]]);
  });

  test.each([
    ['insert into t (id, nope) values (1, 2)', '42703', 'nope) va'],
    ['insert into t (id, id) values (1, 2)', '42701', 'id) valu'],
    ['insert into nope values (1)', '42P01', 'nope val'],
    ["insert into t (id) values (1, 'é')", '42601', "'é')"],
    ["insert into t (name, id) values ('é')", '42601', "'é')"],
    ["insert into t values (1), ('é', 2)", '42601', "'é', 2)"],
    ["insert into t (name, id) values ('é', true)", '42804', 'true)'],
    ["insert into t (name, id) values ('é', 'x')", '22P02', "'x')"],
    ["insert into t (name, id) values ('é', 99999999999)", '22003', '99999999'],
    ['insert into t (id) values (id)', '42703', 'id)'],
    ['with recursive x as (select 1) insert into t values (1)', '0A000', 'x as (se'],
    ['insert into other.t values (1)', '0A000', 'other.t '],
    ['insert into t (id) values (1) returning nope', '42703', 'nope'],
    ['insert into t (id) values (1) returning count(*)', '42803', 'count(*)'],
    ['insert into t (id) overriding system value values (1)', '0A000', 't (id) o'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    const failure = fails(text);
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
  });
});

describe('constraints', () => {
  beforeEach(() => {
    db.run(
      "insert into t (id, name, price, mail, a, b) values (1, 'Ann', 1, 'ann@x', 1, 2), (2, 'Bob', 2, null, 3, 4)",
    );
  });

  test.each<[string, string, object]>([
    [
      'insert into t (id, name) values (3, null)',
      'NOT_NULL_VIOLATION',
      { table: 't', column: 'name' },
    ],
    ["insert into t (name) values ('x')", 'NOT_NULL_VIOLATION', { table: 't', column: 'id' }],
    [
      "insert into t (id, name) values (3, 'secret-name')",
      'STRING_TOO_LONG',
      { table: 't', column: 'name' },
    ],
    [
      'insert into t (id, price) values (3, 12345.67)',
      'NUMERIC_OUT_OF_RANGE',
      { table: 't', column: 'price' },
    ],
    [
      'insert into t (id, price) values (3, -1)',
      'CHECK_VIOLATION',
      { table: 't', constraint: 't_price_check' },
    ],
    [
      'insert into t (id, a, b) values (3, 2, 1)',
      'CHECK_VIOLATION',
      { table: 't', constraint: 'a_below_b' },
    ],
    [
      'insert into t (id) values (1)',
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_pkey', columns: ['id'] },
    ],
    [
      'insert into t (id) values (3), (3)',
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_pkey', columns: ['id'] },
    ],
    [
      "insert into t (id, mail) values (3, 'ann@x')",
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_mail_key', columns: ['mail'] },
    ],
    [
      "insert into t (id, mail) values (3, 'new@x'), (4, 'new@x')",
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_mail_key', columns: ['mail'] },
    ],
    [
      'insert into t (id, a, b) values (3, 3, 4)',
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_a_b_key', columns: ['a', 'b'] },
    ],
    ['update t set id = 1 where id = 2', 'UNIQUE_VIOLATION', { table: 't', constraint: 't_pkey' }],
    ['update t set id = 5', 'UNIQUE_VIOLATION', { table: 't', constraint: 't_pkey' }],
    [
      "update t set mail = 'ann@x' where id = 2",
      'UNIQUE_VIOLATION',
      { table: 't', constraint: 't_mail_key' },
    ],
    ["update t set mail = 'same@x'", 'UNIQUE_VIOLATION', { table: 't', constraint: 't_mail_key' }],
    ['update t set name = null where id = 2', 'NOT_NULL_VIOLATION', { table: 't', column: 'name' }],
    ['update t set a = b where id = 1', 'CHECK_VIOLATION', { table: 't', constraint: 'a_below_b' }],
  ])(
    '%s is refused with %s, names and no values, and nothing is written',
    (text, code, details) => {
      const before = rows('select * from t');
      const failure = fails(text);
      expect(failure.code).toBe(code);
      expect(failure.details).toMatchObject(details);
      expect(failure.message).not.toMatch(/secret|ann@x|12345/);
      expect(rows('select * from t')).toEqual(before);
    },
  );

  test('a CHECK that is NULL passes, and NULLs are distinct in a unique index', () => {
    expect(db.run('insert into t (id, a) values (3, 9), (4, 9)').rowCount).toBe(2);
    expect(db.run('insert into t (id, mail) values (5, null), (6, null)').rowCount).toBe(2);
  });

  test('a value or key over its limit is refused, naming the column or table', () => {
    db.run('create table big (k text primary key, v text)');
    const tooLarge = fails('insert into big values ($1, $2)', [
      'k',
      'x'.repeat(limits.valueBytesMax + 1),
    ]);
    expect(tooLarge).toMatchObject({
      code: 'VALUE_TOO_LARGE',
      details: { table: 'big', column: 'v' },
    });
    expect(
      fails('insert into big values ($1, $2)', ['k'.repeat(limits.keyBytesMax + 1), '']).code,
    ).toBe('VALUE_TOO_LARGE');
  });
});

describe('UPDATE and DELETE', () => {
  beforeEach(() => {
    db.run(
      "insert into t (id, name, mail, a, b) values (1, 'Ann', 'a@x', 1, 2), (2, 'Bob', 'b@x', 3, 4), (3, 'Cy', null, null, null)",
    );
  });

  test('all keys may move at once, in either direction', () => {
    const { changes } = db.run('update t set id = id + 1');
    expect(changes.map((change) => change.kind)).toEqual([
      'delete',
      'delete',
      'delete',
      'insert',
      'insert',
      'insert',
    ]);
    expect(rows('select id, name from t')).toEqual([
      [2, 'Ann'],
      [3, 'Bob'],
      [4, 'Cy'],
    ]);
    db.run('update t set id = 6 - id');
    expect(rows('select id, name from t')).toEqual([
      [2, 'Cy'],
      [3, 'Bob'],
      [4, 'Ann'],
    ]);
    expect(rows("select id from t where mail = 'a@x'")).toEqual([[4]]);
  });

  test('unique values may be swapped, and are found afterwards', () => {
    db.run(
      "update t set mail = case mail when 'a@x' then 'b@x' else 'a@x' end where mail is not null",
    );
    expect(rows("select id from t where mail = 'a@x'")).toEqual([[2]]);
    expect(rows("select id from t where mail = 'b@x'")).toEqual([[1]]);
    expect(fails("insert into t (id, mail) values (9, 'b@x')").code).toBe('UNIQUE_VIOLATION');
  });

  test('a freed unique value can be taken again', () => {
    db.run("delete from t where id = 1; insert into t (id, mail) values (1, 'a@x')");
    db.run("update t set mail = 'c@x' where id = 1; insert into t (id, mail) values (9, 'a@x')");
    expect(rows("select id from t where mail = 'a@x'")).toEqual([[9]]);
  });

  test('expressions see the old row, and the stored version is named', () => {
    const { changes, rows: returned } = db.run(
      'update t as x set a = b, b = a + 10, name = default where x.id = 1 returning a, b, x.name',
    );
    expect(returned).toEqual([[2, 11, 'x']]);
    expect(changes[0]).toMatchObject({ kind: 'update', previous: { from: 1 } });
  });

  test('an update that changes nothing still counts and writes', () => {
    expect(db.run('update t set a = a where id = 1')).toMatchObject({
      rowCount: 1,
      changes: [{ kind: 'update' }],
    });
    expect(db.run('update t set a = a where id = 9')).toMatchObject({ rowCount: 0, changes: [] });
  });

  test('several columns at once, and RETURNING of deleted rows', () => {
    expect(
      rows("update t set (a, b) = (5, 6), name = 'n' where id = 3 returning a, b, name"),
    ).toEqual([[5, 6, 'n']]);
    expect(rows('delete from t where id < 3 returning id, name')).toEqual([
      [1, 'Ann'],
      [2, 'Bob'],
    ]);
    expect(db.run('delete from t').rowCount).toBe(1);
    expect(rows('select * from t')).toEqual([]);
  });

  test.each([
    ["update t set name = 'é', nope = 1", '42703', 'nope = 1'],
    ['update t set a = 1, a = 2', '42601', 'a = 2'],
    ["update t set name = 'é', a = true", '42804', 'true'],
    ['update t set (a, b) = (1, 2, 3)', '42601', '(1, 2, 3'],
    ['update t set a = 1 from t', '42712', 't'],
    ['update t set a = 1 from nope', '42P01', 'nope'],
    ['update t set a[1] = 2', '0A000', 'a[1] = 2'],
    ['delete from t using t', '42712', 't'],
    ['delete from t using nope', '42P01', 'nope'],
    ['delete from nope', '42P01', 'nope'],
    ['delete from t where nope', '42703', 'nope'],
    ['update t set a = 1 where current of c', '0A000', undefined],
    ['update t set a = count(*)', '42803', 'count(*)'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    const failure = fails(text as string);
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
  });

  test('a statement that would change more rows than a command may hold is refused', () => {
    db.run('create table n (a int)');
    const row = '(1),';
    for (let index = 0; index < 5; index++) db.run(`insert into n values ${row.repeat(45_000)}(1)`);
    expect(fails('delete from n').code).toBe('COMMAND_TOO_LARGE');
  });
});
