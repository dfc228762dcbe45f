import { describe, expect, test } from 'vitest';
import { type ColumnType, type ErrorCode, type TypeName, typeNames } from '../../base/index.ts';
import {
  type CastContext,
  castContext,
  castValue,
  coerceToColumn,
  formatText,
  parseText,
} from './index.ts';

/** PostgreSQL 15's pg_cast among our types; text and varchar besides go by input and output functions. */
const pgCast = `
  boolean>integer:e boolean>text:a boolean>varchar:a
  bigint>smallint:a bigint>integer:a bigint>real:i bigint>double:i bigint>numeric:i
  smallint>bigint:i smallint>integer:i smallint>real:i smallint>double:i smallint>numeric:i
  integer>boolean:e integer>bigint:i integer>smallint:a integer>real:i integer>double:i integer>numeric:i
  text>varchar:i varchar>text:i
  real>bigint:a real>smallint:a real>integer:a real>double:i real>numeric:a
  double>bigint:a double>smallint:a double>integer:a double>real:a double>numeric:a
  date>timestamp:i date>timestamptz:i
  timestamp>date:a timestamp>timestamptz:i timestamptz>date:a timestamptz>timestamp:a
  numeric>bigint:a numeric>smallint:a numeric>integer:a numeric>real:i numeric>double:i
  jsonb>boolean:e jsonb>bigint:e jsonb>smallint:e jsonb>integer:e jsonb>real:e jsonb>double:e jsonb>numeric:e`;

test('castContext is the cast table of PostgreSQL', () => {
  const letters: Readonly<Record<string, CastContext>> = {
    i: 'implicit',
    a: 'assignment',
    e: 'explicit',
  };
  const table = new Map(
    pgCast
      .trim()
      .split(/\s+/)
      .map((entry) => entry.split(':') as [string, string]),
  );
  const short = (name: TypeName): string => (name === 'double precision' ? 'double' : name);
  for (const from of typeNames) {
    for (const to of typeNames) {
      let expected = letters[table.get(`${short(from)}>${short(to)}`) ?? ''];
      if (from === to) expected = 'implicit';
      else if (expected === undefined && (to === 'text' || to === 'varchar'))
        expected = 'assignment';
      else if (expected === undefined && (from === 'text' || from === 'varchar'))
        expected = 'explicit';
      expect(castContext({ name: from }, { name: to }), `${from} to ${to}`).toBe(expected);
    }
  }
});

function cast(from: ColumnType, input: string, to: ColumnType): string {
  return formatText(to, castValue(from, to, parseText(from, input), true));
}

/** Results of PostgreSQL 15. */
const casts: readonly [TypeName, string, ColumnType, string][] = [
  ['numeric', '2.5', { name: 'integer' }, '3'],
  ['numeric', '-2.5', { name: 'integer' }, '-3'],
  ['numeric', '0.4', { name: 'smallint' }, '0'],
  ['double precision', '0.5', { name: 'integer' }, '0'],
  ['double precision', '1.5', { name: 'integer' }, '2'],
  ['double precision', '-2.5', { name: 'bigint' }, '-2'],
  ['double precision', '-0.4', { name: 'integer' }, '0'],
  ['double precision', '-9223372036854775808', { name: 'bigint' }, '-9223372036854775808'],
  ['double precision', '100000000000000.5', { name: 'numeric' }, '100000000000000'],
  ['double precision', '0.1', { name: 'numeric' }, '0.1'],
  ['double precision', '1e20', { name: 'numeric' }, '100000000000000000000'],
  ['double precision', 'Infinity', { name: 'numeric' }, 'Infinity'],
  ['double precision', '0.1', { name: 'real' }, '0.1'],
  ['real', '0.1', { name: 'double precision' }, '0.10000000149011612'],
  ['real', '0.1', { name: 'numeric' }, '0.1'],
  ['bigint', '16777217', { name: 'real' }, '1.6777216e+07'],
  ['bigint', '9007199791611905', { name: 'real' }, '9.0072e+15'],
  ['bigint', '9007199254740993', { name: 'double precision' }, '9.007199254740992e+15'],
  ['bigint', '5', { name: 'numeric', precision: 4, scale: 2 }, '5.00'],
  ['integer', '5', { name: 'boolean' }, 't'],
  ['boolean', 't', { name: 'integer' }, '1'],
  ['boolean', 't', { name: 'text' }, 'true'],
  ['boolean', 'f', { name: 'varchar', length: 3 }, 'fal'],
  ['date', '2024-02-29', { name: 'timestamp' }, '2024-02-29 00:00:00'],
  ['date', 'infinity', { name: 'timestamptz' }, 'infinity'],
  ['timestamp', '1969-12-31 23:59:59', { name: 'date' }, '1969-12-31'],
  ['timestamptz', '2024-01-01 00:00+02', { name: 'date' }, '2023-12-31'],
  ['timestamptz', '-infinity', { name: 'date' }, '-infinity'],
  ['timestamptz', '2024-01-01 00:00+02', { name: 'timestamp' }, '2023-12-31 22:00:00'],
  ['timestamptz', '2024-01-01 00:00+02', { name: 'text' }, '2023-12-31 22:00:00+00'],
  ['jsonb', '2.5', { name: 'integer' }, '3'],
  ['jsonb', '1.50', { name: 'numeric' }, '1.50'],
  ['jsonb', 'true', { name: 'boolean' }, 't'],
  ['jsonb', '{"a":1}', { name: 'text' }, '{"a": 1}'],
  ['text', '2024-01-01', { name: 'date' }, '2024-01-01'],
  ['text', ' 12 ', { name: 'integer' }, '12'],
  ['text', 'abc', { name: 'varchar', length: 2 }, 'ab'],
  ['bytea', '\\x00ff', { name: 'text' }, '\\x00ff'],
  ['integer', '12345', { name: 'varchar', length: 3 }, '123'],
];

describe('an explicit cast gives what PostgreSQL gives', () => {
  test.each(casts)('%s %s as %o is %s', (from, input, to, output) => {
    expect(cast({ name: from }, input, to)).toBe(output);
  });
});

describe('a cast is refused', () => {
  test.each<[TypeName, string, TypeName, ErrorCode]>([
    ['numeric', 'NaN', 'integer', 'NUMERIC_OUT_OF_RANGE'],
    ['numeric', '2147483647.5', 'integer', 'NUMERIC_OUT_OF_RANGE'],
    ['double precision', 'NaN', 'bigint', 'NUMERIC_OUT_OF_RANGE'],
    ['double precision', '9223372036854775807', 'bigint', 'NUMERIC_OUT_OF_RANGE'],
    ['double precision', '1e39', 'real', 'NUMERIC_OUT_OF_RANGE'],
    ['double precision', '1e-50', 'real', 'NUMERIC_OUT_OF_RANGE'],
    ['bigint', '32768', 'smallint', 'NUMERIC_OUT_OF_RANGE'],
    ['numeric', '1e400', 'double precision', 'NUMERIC_OUT_OF_RANGE'],
    ['date', '294247-01-01', 'timestamp', 'DATETIME_OUT_OF_RANGE'],
    ['jsonb', 'null', 'integer', 'INVALID_ARGUMENT'],
    ['jsonb', '"5"', 'integer', 'INVALID_ARGUMENT'],
    ['jsonb', '1', 'boolean', 'INVALID_ARGUMENT'],
    ['text', 'x', 'uuid', 'INVALID_TEXT'],
    ['uuid', 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'bytea', 'TYPE_MISMATCH'],
    ['date', '2024-01-01', 'integer', 'TYPE_MISMATCH'],
    ['bigint', '1', 'boolean', 'TYPE_MISMATCH'],
  ])('%s %s to %s with %s', (from, input, to, code) => {
    expect(() => cast({ name: from }, input, { name: to })).toThrow(
      expect.objectContaining({ code }),
    );
  });
});

test('assignment refuses what an explicit cast to varchar(n) cuts, but drops excess spaces', () => {
  const varchar = { name: 'varchar', length: 2 } as const;
  expect(() => castValue({ name: 'text' }, varchar, 'abc', false)).toThrow(
    expect.objectContaining({ code: 'STRING_TOO_LONG' }),
  );
  expect(() => coerceToColumn(varchar, 'abc')).toThrow(
    expect.objectContaining({ code: 'STRING_TOO_LONG' }),
  );
  expect(coerceToColumn(varchar, 'ab  ')).toBe('ab');
  expect(coerceToColumn(varchar, '😀😀')).toBe('😀😀');
});

test('coerceToColumn rounds to numeric(p,s), refuses overflow and leaves the rest alone', () => {
  const numeric = { name: 'numeric', precision: 4, scale: 1 } as const;
  expect(coerceToColumn(numeric, '-12.25')).toBe('-12.3');
  expect(() => coerceToColumn(numeric, '999.95')).toThrow(
    expect.objectContaining({ code: 'NUMERIC_OUT_OF_RANGE' }),
  );
  expect(coerceToColumn(numeric, null)).toBeNull();
  expect(coerceToColumn({ name: 'text' }, 'abc')).toBe('abc');
  expect(castValue({ name: 'integer' }, numeric, null, true)).toBeNull();
});
