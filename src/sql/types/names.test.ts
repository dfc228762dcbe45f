import { expect, test } from 'vitest';
import type { ColumnType } from '../../base/index.ts';
import { resolveTypeName, typeName } from './index.ts';

test.each<[string[], number[], ColumnType, string]>([
  [['pg_catalog', 'int2'], [], { name: 'smallint' }, 'smallint'],
  [['int4'], [], { name: 'integer' }, 'integer'],
  [['pg_catalog', 'int8'], [], { name: 'bigint' }, 'bigint'],
  [['pg_catalog', 'float4'], [], { name: 'real' }, 'real'],
  [['pg_catalog', 'float8'], [], { name: 'double precision' }, 'double precision'],
  [['pg_catalog', 'numeric'], [], { name: 'numeric' }, 'numeric'],
  [
    ['pg_catalog', 'numeric'],
    [12, 2],
    { name: 'numeric', precision: 12, scale: 2 },
    'numeric(12,2)',
  ],
  [['pg_catalog', 'numeric'], [5], { name: 'numeric', precision: 5, scale: 0 }, 'numeric(5,0)'],
  [['pg_catalog', 'varchar'], [10], { name: 'varchar', length: 10 }, 'varchar(10)'],
  [['pg_catalog', 'varchar'], [], { name: 'varchar' }, 'varchar'],
  [['text'], [], { name: 'text' }, 'text'],
  [['pg_catalog', 'bool'], [], { name: 'boolean' }, 'boolean'],
  [['bytea'], [], { name: 'bytea' }, 'bytea'],
  [['date'], [], { name: 'date' }, 'date'],
  [['pg_catalog', 'timestamp'], [], { name: 'timestamp' }, 'timestamp'],
  [['pg_catalog', 'timestamptz'], [6], { name: 'timestamptz' }, 'timestamptz'],
  [['uuid'], [], { name: 'uuid' }, 'uuid'],
  [['jsonb'], [], { name: 'jsonb' }, 'jsonb'],
])('%j %j is a type and has its name', (names, typmods, type, name) => {
  expect(resolveTypeName(names, typmods)).toStrictEqual(type);
  expect(typeName(type)).toBe(name);
});

test.each<[string[], number[]]>([
  [['pg_catalog', 'bpchar'], [3]],
  [['json'], []],
  [['pg_catalog', 'interval'], [8]],
  [['public', 'int4'], []],
  [['pg_catalog', 'timestamp'], [3]],
  [['int4'], [4]],
  [[], []],
  [['a', 'b', 'int4'], []],
  [['integer'], []],
])('%j %j is no type of ours', (names, typmods) => {
  expect(resolveTypeName(names, typmods)).toBeUndefined();
});

test.each<[string, number[]]>([
  ['varchar', [0]],
  ['varchar', [10_485_761]],
  ['numeric', [0]],
  ['numeric', [1_001, 0]],
  ['numeric', [5, 1_001]],
])('%s with %j is refused', (name, typmods) => {
  expect(() => resolveTypeName(['pg_catalog', name], typmods)).toThrow(
    expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
  );
});
