import { describe, expect, test } from 'vitest';
import type { ColumnType, ErrorCode, Value } from '../../base/index.ts';
import { fromJs, toJs } from './index.ts';

const asDate = { timestamps: 'date' } as const;
const asMicroseconds = { timestamps: 'microseconds' } as const;

const taken: readonly [ColumnType, unknown, Value][] = [
  [{ name: 'integer' }, null, null],
  [{ name: 'text' }, undefined, null],
  [{ name: 'smallint' }, 5, 5],
  [{ name: 'integer' }, -0, 0],
  [{ name: 'integer' }, 5n, 5],
  [{ name: 'integer' }, ' 5 ', 5],
  [{ name: 'bigint' }, 5, 5n],
  [{ name: 'bigint' }, -(2n ** 63n), -(2n ** 63n)],
  [{ name: 'real' }, 0.1, Math.fround(0.1)],
  [{ name: 'real' }, Number.NaN, Number.NaN],
  [{ name: 'double precision' }, 3n, 3],
  [{ name: 'double precision' }, '1e3', 1000],
  [{ name: 'numeric' }, 0.1, '0.1'],
  [{ name: 'numeric' }, 1e21, '1000000000000000000000'],
  [{ name: 'numeric' }, 10n ** 30n, `1${'0'.repeat(30)}`],
  [{ name: 'numeric', precision: 4, scale: 1 }, 1.25, '1.3'],
  [{ name: 'text' }, 'ä', 'ä'],
  [{ name: 'varchar', length: 2 }, 'a  ', 'a '],
  [{ name: 'boolean' }, false, false],
  [{ name: 'boolean' }, 'yes', true],
  [{ name: 'bytea' }, Uint8Array.of(1, 2), Uint8Array.of(1, 2)],
  [{ name: 'bytea' }, '\\x0102', Uint8Array.of(1, 2)],
  [{ name: 'date' }, new Date('1970-01-02T23:59:59.999Z'), 1],
  [{ name: 'date' }, new Date(-1), -1],
  [{ name: 'date' }, -Infinity, -Infinity],
  [{ name: 'timestamp' }, new Date(-1), -1000n],
  [{ name: 'timestamptz' }, new Date('2024-01-01T00:00:00.123Z'), 1_704_067_200_123_000n],
  [{ name: 'timestamptz' }, 5n, 5n],
  [{ name: 'timestamptz' }, '1970-01-01T00:00:01+00:00', 1_000_000n],
  [{ name: 'timestamptz' }, Infinity, 2n ** 63n - 1n],
  [{ name: 'uuid' }, 'A0EEBC999C0B4EF8BB6D6BB9BD380A11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  [
    { name: 'jsonb' },
    { b: [1, 'x', null], a: undefined, aa: true },
    '{"b": [1, "x", null], "aa": true}',
  ],
  [{ name: 'jsonb' }, [], '[]'],
  [{ name: 'jsonb' }, 1.5, '1.5'],
  [{ name: 'jsonb' }, true, 'true'],
  [{ name: 'jsonb' }, 2n ** 64n, '18446744073709551616'],
  [{ name: 'jsonb' }, '{"a":1}', '{"a": 1}'],
];

describe('fromJs takes', () => {
  test.each(taken)('%o %o', (type, given, value) => {
    expect(fromJs(type, given)).toStrictEqual(value);
  });
});

const circular: unknown[] = [];
circular.push(circular);
let deep: unknown = 0;
for (let depth = 0; depth < 600; depth++) deep = [deep];

const refused: readonly [ColumnType, unknown, ErrorCode][] = [
  [{ name: 'integer' }, 1.5, 'TYPE_MISMATCH'],
  [{ name: 'integer' }, Number.NaN, 'TYPE_MISMATCH'],
  [{ name: 'integer' }, true, 'TYPE_MISMATCH'],
  [{ name: 'integer' }, 2 ** 31, 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'smallint' }, 40_000n, 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'bigint' }, 2n ** 63n, 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'bigint' }, 2 ** 53, 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'bigint' }, '', 'INVALID_TEXT'],
  [{ name: 'real' }, 1e39, 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'real' }, new Date(), 'TYPE_MISMATCH'],
  [{ name: 'numeric' }, {}, 'TYPE_MISMATCH'],
  [{ name: 'text' }, 5, 'TYPE_MISMATCH'],
  [{ name: 'text' }, ['a'], 'TYPE_MISMATCH'],
  [{ name: 'text' }, 'a\0', 'INVALID_TEXT'],
  [{ name: 'text' }, '\udc00', 'INVALID_TEXT'],
  [{ name: 'varchar', length: 1 }, 'ab', 'STRING_TOO_LONG'],
  [{ name: 'boolean' }, 1, 'TYPE_MISMATCH'],
  [{ name: 'bytea' }, [1, 2], 'TYPE_MISMATCH'],
  [{ name: 'date' }, 5, 'TYPE_MISMATCH'],
  [{ name: 'date' }, new Date(Number.NaN), 'TYPE_MISMATCH'],
  [{ name: 'timestamp' }, 5, 'TYPE_MISMATCH'],
  [{ name: 'timestamptz' }, 2n ** 63n - 2n, 'DATETIME_OUT_OF_RANGE'],
  [{ name: 'uuid' }, new Uint8Array(16), 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, Number.NaN, 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, (): void => {}, 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, Symbol('s'), 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, new Uint8Array(1), 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, { toJSON: (): undefined => undefined }, 'TYPE_MISMATCH'],
  [{ name: 'jsonb' }, [1n], 'INVALID_TEXT'],
  [{ name: 'jsonb' }, circular, 'INVALID_TEXT'],
  [{ name: 'jsonb' }, ['\ud800'], 'INVALID_TEXT'],
  [{ name: 'jsonb' }, ['\0'], 'INVALID_TEXT'],
  [{ name: 'jsonb' }, deep, 'STATEMENT_TOO_COMPLEX'],
  [{ name: 'jsonb' }, 'hello', 'INVALID_TEXT'],
];

describe('fromJs refuses', () => {
  test.each(refused)('%o case %#', (type, given, code) => {
    expect(() => fromJs(type, given)).toThrow(expect.objectContaining({ code }));
  });
});

test('bytes are copied on the way in and on the way out', () => {
  const given = Uint8Array.of(1);
  const held = fromJs({ name: 'bytea' }, given);
  given[0] = 9;
  const shown = toJs({ name: 'bytea' }, held, asDate) as Uint8Array;
  shown[0] = 7;
  expect(held).toStrictEqual(Uint8Array.of(1));
});

describe('toJs gives', () => {
  test.each<[ColumnType['name'], Value, unknown]>([
    ['integer', 5, 5],
    ['bigint', 5n, 5n],
    ['numeric', '1.50', '1.50'],
    ['text', 'a', 'a'],
    ['boolean', true, true],
    ['real', Math.fround(1.1), 1.1],
    ['real', Number.NaN, Number.NaN],
    ['double precision', 1.1, 1.1],
    ['bytea', Uint8Array.of(1), Uint8Array.of(1)],
    ['date', 1, '1970-01-02'],
    ['date', Infinity, 'infinity'],
    ['date', -800_000, '0222-09-04 BC'],
    ['timestamp', 1_000_000n, new Date(1_000)],
    ['timestamptz', -1n, new Date(-1)],
    ['timestamptz', 1_999n, new Date(1)],
    ['timestamptz', 2n ** 63n - 1n, Infinity],
    ['timestamptz', -(2n ** 63n), -Infinity],
    ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
    ['jsonb', '{"a": [1, null]}', { a: [1, null] }],
    ['jsonb', 'null', null],
    ['integer', null, null],
    ['bytea', null, null],
    ['date', null, null],
    ['timestamptz', null, null],
    ['jsonb', null, null],
  ])('%s %o', (name, value, shown) => {
    expect(toJs({ name }, value, asDate)).toStrictEqual(shown);
  });

  test('timestamps as microseconds when asked', () => {
    expect(toJs({ name: 'timestamptz' }, 1_999n, asMicroseconds)).toBe(1_999n);
    expect(toJs({ name: 'timestamp' }, null, asMicroseconds)).toBeNull();
  });

  test('an error, not a wrong Date, for a timestamp beyond what a Date holds', () => {
    const last = 8_640_000_000_000_000_999n;
    expect(toJs({ name: 'timestamp' }, last, asDate)).toStrictEqual(
      new Date(8_640_000_000_000_000),
    );
    expect(() => toJs({ name: 'timestamp' }, last + 1n, asDate)).toThrow(
      expect.objectContaining({ code: 'DATETIME_OUT_OF_RANGE' }),
    );
  });
});
