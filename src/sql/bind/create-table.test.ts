import { beforeAll, describe, expect, test } from 'vitest';
import type { ObjectId } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import { loadParser, parseScript, prepare } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

function define(text: string, db = new MemoryDatabase()): TableSchema {
  let id = 0;
  const prepared = prepare(parseScript(text)[0]!, db.catalog);
  if (prepared.kind !== 'definition') throw new Error('no definition');
  const [table] = prepared.define({
    view: db.view,
    execution: db.context,
    allocateObject: () => ++id as ObjectId,
  });
  if (table === undefined) throw new Error('nothing was defined');
  return table;
}

test('the fifteen types and their aliases', () => {
  const { columns } =
    define(`create table t (a smallint, b int, c int8, d real, e double precision, f numeric(10,2), g decimal, h text, i varchar(7), j bool,
    k bytea, l date, m timestamp, n timestamp with time zone, o uuid, p jsonb, q character varying, r float)`);
  expect(columns.map((column) => column.type)).toEqual([
    { name: 'smallint' },
    { name: 'integer' },
    { name: 'bigint' },
    { name: 'real' },
    { name: 'double precision' },
    { name: 'numeric', precision: 10, scale: 2 },
    { name: 'numeric' },
    { name: 'text' },
    { name: 'varchar', length: 7 },
    { name: 'boolean' },
    { name: 'bytea' },
    { name: 'date' },
    { name: 'timestamp' },
    { name: 'timestamptz' },
    { name: 'uuid' },
    { name: 'jsonb' },
    { name: 'varchar' },
    { name: 'double precision' },
  ]);
});

test.each([
  ["with (disclosure = 'field')", 'field'],
  ['with (disclosure = field)', 'field'],
  ["with (disclosure = 'none')", undefined],
  ['with ("disclosure" = none)', undefined],
  ['', undefined],
])('a table %s has the disclosure %s', (options, disclosure) => {
  const table = define(`create table t (a int) ${options}`);
  expect('disclosure' in table).toBe(disclosure !== undefined);
  expect(table.disclosure).toBe(disclosure);
});

test("keys, uniques and checks at column and table level, with PostgreSQL's names", () => {
  const table =
    define(`create table "T é" (a int check (a > 0) check (a < 9), b text unique, c int, unique (c, b), constraint named check (a <> c),
    constraint u unique (c), check (c > 0), primary key (c, a))`);
  expect(table).toMatchObject({ id: 1, name: 'T é', version: 1, primaryKey: [2, 0] });
  expect(table.columns.map((column) => column.notNull)).toEqual([true, false, true]);
  expect(table.indexes).toEqual([
    { id: 2, name: 'T é_b_key', unique: true, columns: [1] },
    { id: 3, name: 'T é_c_b_key', unique: true, columns: [2, 1] },
    { id: 4, name: 'u', unique: true, columns: [2] },
  ]);
  expect(table.checks.map((check) => check.name)).toEqual([
    'T é_a_check',
    'T é_a_check1',
    'named',
    'T é_c_check',
  ]);
});

test('a definition survives JSON, as the log carries it, with its defaults and checks', () => {
  const db = new MemoryDatabase();
  const table =
    define(`create table t (a bigint default 9223372036854775807, b bytea default '\\x01', c float8 default 'Infinity', d timestamptz default now(),
    e text default null, check (a in (9223372036854775807, 2) and case when c > 0 then b is not null else e like 'x%' end))`);
  db.tables.set('t', JSON.parse(JSON.stringify(table)) as TableSchema);
  expect(db.run('insert into t default values returning *').rows).toEqual([
    [9223372036854775807n, new Uint8Array([1]), Infinity, 1_700_000_000_123_456n, null],
  ]);
  expect(failureOf('', () => db.run('insert into t values (3)')).code).toBe('CHECK_VIOLATION');
});

test('IF NOT EXISTS of an existing table has no effect; without it, it is an error', () => {
  const db = new MemoryDatabase();
  db.run('create table t (a int)');
  db.run('create table if not exists public.t (b text)');
  expect(db.tables.get('t')?.columns.map((column) => column.name)).toEqual(['a']);
  const text = 'create table public.t (b text)';
  expect(failureOf(text, () => db.run(text))).toMatchObject({
    code: 'DUPLICATE_TABLE',
    at: 'public.t',
  });
});

describe('errors', () => {
  test.each([
    ['create table t (a int, "é" text, a int)', '42701', 'a int)'],
    ['create table t ()', '42P16', 't ()'],
    ['create table t (a int primary key, b int primary key)', '42P16', 'primary '],
    ['create table t (a int primary key, primary key (a))', '42P16', 'primary '],
    ['create table t (a int, primary key (nope))', '42703', 'primary '],
    ['create table t (a int, unique (a, a))', '42701', 'unique ('],
    ['create table t (a int null not null)', '42601', 'not null'],
    ['create table t (a int default 1 default 2)', '42P16', 'default '],
    [
      'create table t (a int, constraint x check (a > 1), constraint x unique (a))',
      '42P16',
      'constrai',
    ],
    ["create table t (é text default 'é', a int default 'x')", '22P02', "'x')"],
    ['create table t (a int default true)', '42804', 'true)'],
    ['create table t (a int default b, b int)', '0A000', 'b, b int'],
    ['create table t (a int default $1)', '42P02', '$1)'],
    ['create table t (a int check (a))', '42804', 'a))'],
    ['create table t (a int check (nope > 1))', '42703', 'nope > 1'],
    ['create table t (a int check (count(*) > 1))', '42803', 'count(*)'],
    ['create table t (a int check (a > (select 1)))', '0A000', '(select '],
    ['create table t (a foo)', '42704', 'foo)'],
    ['create table t (a int[])', '0A000', 'int[])'],
    ['create table t (a serial)', '0A000', 'serial)'],
    ['create table other.t (a int)', '0A000', 'other.t '],
    ['create table t (a int references u)', '42P01', 'u)'],
    ['create table t (a int, foreign key (a) references t (b))', '42703', 'foreign '],
    ['create table t (a int references t)', '42704', 'referenc'],
    ['create table t (a int, b int references t (a))', '42830', 'referenc'],
    ['create table t (a int primary key, b text references t)', '42804', 'referenc'],
    [
      'create table t (a int primary key, b int references t on delete cascade)',
      '0A000',
      'referenc',
    ],
    ['create table t (a int primary key, b int references t match full)', '0A000', 'referenc'],
    ['create table t (a int generated always as identity)', '0A000', 'generate'],
    ['create table t (a int generated always as (1) stored)', '0A000', 'generate'],
    ['create temp table t (a int)', '0A000', 't (a int'],
    ['create unlogged table t (a int)', '0A000', 't (a int'],
    ['create table t (a text collate "C")', '0A000', 'collate '],
    ['create table t (a int) inherits (u)', '0A000', 'u)'],
    ['create table t (like u)', '0A000', 'u)'],
    ['create table t (a int) with (fillfactor = 70)', '0A000', 'fillfact'],
    ['create table t (a int) with (autovacuum_enabled)', '0A000', 'autovacu'],
    ['create table t (a int) with (toast.autovacuum_enabled = off)', '0A000', 'toast.au'],
    ['create table t (a int) with (disclosures = field)', '22023', 'disclosu'],
    ['create table t (a int) with (pg.disclosure = field)', '22023', 'pg.discl'],
    ['create table t (a int) with (disclosure)', '22023', 'disclosu'],
    ["create table t (a int) with (disclosure = 'fields')", '22023', 'disclosu'],
    ['create table t (a int) with (disclosure = 1)', '22023', 'disclosu'],
    ['create table t (a int) with (disclosure = field, "disclosure" = none)', '22023', '"disclos'],
    ['create table t (a int) partition by range (a)', '0A000', 'partitio'],
    ['create table t (a int unique deferrable)', '0A000', 'deferrab'],
    ['create table t (a int check (a > 1) no inherit)', '0A000', 'check (a'],
    ['create table t (a int, unique nulls not distinct (a))', '0A000', 'unique n'],
    ['create table t (a int, primary key (a) include (a))', '0A000', 'primary '],
    ['create table t as select 1', '0A000', 'create t'],
  ])('%s fails with SQLSTATE %s at %j', (text, sqlState, at) => {
    const failure = failureOf(text, () => define(text));
    expect([failure.sqlState, failure.at]).toEqual([sqlState, at]);
  });

  test('more columns than the limit are refused', () => {
    const text = `create table t (${Array.from({ length: 1_001 }, (_, index) => `c${index} int`).join()})`;
    expect(failureOf(text, () => define(text)).code).toBe('INVALID_TABLE_DEFINITION');
  });
});
