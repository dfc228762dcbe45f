import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser } from '../parse/script.ts';
import { tableRowCodec } from '../schema/table-layout.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(() => loadParser());

function database(script: string): MemoryDatabase {
  const db = new MemoryDatabase();
  db.run(script);
  return db;
}

describe('columns', () => {
  test('an added column shows its default as of then in older rows, and takes part in everything', () => {
    const db = database(`create table t (a int primary key, b text);
      insert into t values (1, 'x'), (2, null);
      alter table t add column c int default 7 not null, add d varchar(3) default 'abc';
      insert into t values (3, 'y', 1, null);
      alter table t alter c set default 9, add e timestamptz default now();
      insert into t (a) values (4)`);
    const now = 1_700_000_000_123_456n;
    expect(db.run('select * from t order by a').rows).toEqual([
      [1, 'x', 7, 'abc', now],
      [2, null, 7, 'abc', now],
      [3, 'y', 1, null, now],
      [4, null, 9, 'abc', now],
    ]);
    db.run(`update t set b = 'z' where c = 7; create index i on t (c desc)`);
    expect(db.run('select a, b from t where c = 7 order by a').rows).toEqual([
      [1, 'z'],
      [2, 'z'],
    ]);
  });

  test('a dropped column is gone, with what rests on it, and its name is free', () => {
    const db = database(`create table t (a int primary key, b int unique, c int check (c > b));
      insert into t values (1, 2, 3);
      alter table t drop column b;
      insert into t values (2, 1), (3, -5);
      alter table t add b text default 'n'`);
    expect(db.run('select * from t order by a').rows).toEqual([
      [1, 3, 'n'],
      [2, 1, 'n'],
      [3, -5, 'n'],
    ]);
    expect(db.tables.get('t')).toMatchObject({ indexes: [], checks: [] });
    db.run(`update t set b = 'm' returning *`);
    expect(db.run('select b, count(*) from t group by b').rows).toEqual([['m', 3n]]);
  });

  test('a row that is written again no longer holds what was dropped', () => {
    const db = database(`create table t (a int primary key, b text unique);
      insert into t values (1, 'secret'), (2, 'hidden');
      alter table t drop column b`);
    const codec = tableRowCodec(db.tables.get('t')!);
    const written = [
      ...db.run('update t set a = 3 where a = 1').changes,
      ...db.run('insert into t values (2) on conflict (a) do update set a = 4').changes,
    ].flatMap(({ row }) => (row === undefined ? [] : [codec.decode(row)]));
    expect(written).toEqual([
      [3, null],
      [4, null],
    ]);
  });

  test('renamed columns and tables keep their constraints', () => {
    const db = database(`create table t (a int primary key, b int unique check (b > 0));
      alter table t rename b to c; alter table t rename to u;
      alter table u rename constraint t_b_check to positive;
      alter index t_b_key rename to u_c_key;
      insert into u values (1, 1)`);
    expect(failureOf('', () => db.run('insert into u values (1, 2)')).details).toMatchObject({
      constraint: 't_pkey',
    });
    expect(failureOf('', () => db.run('insert into u values (2, 1)')).details).toMatchObject({
      constraint: 'u_c_key',
      columns: ['c'],
    });
    expect(failureOf('', () => db.run('insert into u values (2, 0)')).details).toMatchObject({
      constraint: 'positive',
    });
    db.run('create table t (a int primary key)');
  });
});

describe('types', () => {
  const script = `create table t (a int primary key, v varchar(5), n numeric(6,2), at timestamp, x text, unique (v));
    insert into t values (1, 'abc', 1.50, '2024-01-01', 'hello'), (2, null, 22.25, null, null)`;

  test.each([
    ['v', 'varchar(10)', 'xxxxxxxxxx'],
    ['v', 'varchar', 'xxxxxxxxxx'],
    ['v', 'text', 'xxxxxxxxxx'],
    ['v', 'varchar(3)', 'xyz'],
    ['n', 'numeric(8,2)', '123456.78'],
    ['n', 'numeric', '1.234'],
    ['n', 'numeric(4,2)', '99.99'],
    ['x', 'varchar(5)', '12345'],
    ['at', 'timestamptz', '2024-02-01'],
  ])('%s becomes %s; rows that are there stay as they are', (column, type, value) => {
    const db = database(script);
    const before = db.run('select * from t order by a').rows;
    db.run(`alter table t alter ${column} type ${type}`);
    expect(db.run('select * from t order by a').rows).toEqual(before);
    const text = `insert into t (a, ${column}) values (3, '${value}') returning ${column}`;
    expect(db.run(text).columns[0]?.type.name).toBe(type.replace(/\(.*/, ''));
    expect(db.run(`select a from t where ${column} = '${value}'`).rows).toEqual([[3]]);
  });

  test.each([
    ['v type varchar(2)', '22001', undefined],
    ['n type numeric(3,2)', '22003', undefined],
    ['n type numeric(6,1)', '0A000', undefined],
    ['a type bigint', '0A000', 'bigint'],
    ['v type int using 1', '0A000', '1'],
    ['at type date', '0A000', 'date'],
    ['x type interval', '0A000', 'interval'],
    ['x type nonsense', '42704', 'nonsense'],
    ['y type text', '42703', 't alter '],
  ])('%s is refused with SQLSTATE %s at %j', (change, sqlState, at) => {
    const text = `alter table t alter ${change}`;
    const db = database(script);
    const before = [...db.tables.values()];
    const failure = failureOf(text, () => db.run(text));
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
    expect([...db.tables.values()]).toEqual(before);
  });
});

describe('errors', () => {
  test.each([
    ['alter table missing add x int', '42P01', 'missing '],
    ['alter table v add x int', '42809', 'v add x '],
    ['alter table t add a int', '42701', 't add a '],
    ['alter table t add x int not null', '23502', undefined],
    ['alter table t add x int check (x > a) default 0', '23514', undefined],
    ['alter table t add x int default b', '0A000', 'b'],
    ['alter table t drop x', '42703', 't drop x'],
    ['alter table t drop a', '0A000', 't drop a'],
    ['alter table one drop only_', '0A000', 'one drop'],
    ['alter table t alter a drop not null', '42P16', 't alter '],
    ['alter table t alter x set default 1', '42703', 't alter '],
    ["alter table t alter b set default 'x'", '22P02', "'x'"],
    ['alter table t add constraint t_b_check check (true)', '42710', 'constrai'],
    ['alter table t add constraint u unique (b)', '42P07', 'constrai'],
    ['alter table t add unique (b, b)', '42701', 'unique ('],
    ['alter table t add check (b > 0) not valid', '0A000', 'check (b'],
    ['alter table t rename a to b', '42701', 't rename'],
    ['alter table t rename x to y', '42703', 't rename'],
    ['alter table t rename to u', '42P07', 't rename'],
    ['alter table t rename constraint x to y', '42704', 't rename'],
    ['alter table v rename a to c', '0A000', 'v rename'],
    ['alter view t rename to w', '42809', 't rename'],
    ['alter index x rename to y', '42P01', 'x rename'],
    ['alter table t alter b type text', '0A000', 't alter '],
    ['alter table t owner to me', '0A000', 'me'],
    ['create index on t (x)', '42703', 't (x)'],
    ['create index on t (lower(b))', '0A000', 'lower(b)'],
    ['create index on t (b nulls first)', '0A000', 't (b nul'],
    ['create index on t (b) where b > 1', '0A000', 'b > 1'],
    ['create index on t using hash (b)', '0A000', 't using '],
    ['create index on v (a)', '42809', 'v (a)'],
    ['create index u on t (b)', '42P07', 't (b)'],
    ['create view w as select $1', '42P02', 'w as sel'],
    ['create view w as select 1 as x, 2 as x', '42701', 'w as sel'],
    ['create view w (a, b) as select 1', '42601', 'w (a, b)'],
    ['create view u as select 1', '42P07', 'u as sel'],
    ['drop sequence s', '0A000', 'drop seq'],
    ['drop table other.t', '0A000', 'drop tab'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    const db = database(`create table t (a int primary key, b int check (b > 0));
      create table u (a int); create table one (only_ int);
      create view v as select a from t;
      insert into t values (1, 1)`);
    const before = [...db.tables.values()];
    const failure = failureOf(text, () => db.run(text));
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
    expect([...db.tables.values()]).toEqual(before);
  });
});

describe('storage parameters', () => {
  test('disclosure is set and reset, a version each, and nothing where it is so already', () => {
    const db = database('create table t (a int primary key)');
    const after = (text: string): unknown[] => {
      db.run(text);
      const { version, disclosure } = db.tables.get('t')!;
      return [version, disclosure];
    };
    expect(after("alter table t set (disclosure = 'field')")).toEqual([2, 'field']);
    expect(after('alter table t set (disclosure = field)')).toEqual([2, 'field']);
    expect(after('alter table t add b text')).toEqual([3, 'field']);
    expect(after('alter table t reset (disclosure)')).toEqual([4, undefined]);
    expect(after('alter table t reset (disclosure)')).toEqual([4, undefined]);
    expect(after("alter table t set (disclosure = 'field'), drop b")).toEqual([5, 'field']);
    expect(after("alter table t set (disclosure = 'none')")).toEqual([6, undefined]);
    expect(db.tables.get('t')).not.toHaveProperty('disclosure');
  });

  test.each([
    ['alter table t set (fillfactor = 70)', '0A000', 'fillfact'],
    ['alter table t reset (fillfactor)', '0A000', 'fillfact'],
    ['alter table t set (unknown = 1)', '22023', 'unknown '],
    ['alter table t set (disclosure = rows)', '22023', 'disclosu'],
    ['alter table t reset (disclosure = field)', '42601', 'disclosu'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    const db = database('create table t (a int primary key)');
    const failure = failureOf(text, () => db.run(text));
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
  });
});
