import { describe, expect, test } from 'vitest';
import type { ColumnType, ErrorCode } from '../../base/index.ts';
import { formatText, parseText } from './index.ts';

/** Type, input, what PostgreSQL 15 prints (TimeZone UTC). */
const accepted: readonly [ColumnType, string, string][] = [
  [{ name: 'smallint' }, ' -32768 ', '-32768'],
  [{ name: 'integer' }, '+2147483647', '2147483647'],
  [{ name: 'integer' }, '-0', '0'],
  [{ name: 'integer' }, '\t007\n', '7'],
  [{ name: 'bigint' }, '-9223372036854775808', '-9223372036854775808'],
  [{ name: 'bigint' }, '+09223372036854775807', '9223372036854775807'],
  [{ name: 'numeric' }, ' +1.50e2 ', '150'],
  [{ name: 'numeric' }, '1.50e1', '15.0'],
  [{ name: 'numeric' }, '1.5e-3', '0.0015'],
  [{ name: 'numeric' }, '.5', '0.5'],
  [{ name: 'numeric' }, '5.', '5'],
  [{ name: 'numeric' }, '00012.00', '12.00'],
  [{ name: 'numeric' }, '-0.00', '0.00'],
  [{ name: 'numeric' }, '0e100000', '0'],
  [{ name: 'numeric' }, 'nan', 'NaN'],
  [{ name: 'numeric' }, '+inf', 'Infinity'],
  [{ name: 'numeric' }, '-iNfInItY', '-Infinity'],
  [{ name: 'numeric', precision: 5, scale: 2 }, '999.994', '999.99'],
  [{ name: 'numeric', precision: 5, scale: 2 }, '-0.005', '-0.01'],
  [{ name: 'numeric', precision: 5, scale: 2 }, '-0.004', '0.00'],
  [{ name: 'numeric', precision: 5, scale: 2 }, '1', '1.00'],
  [{ name: 'numeric', precision: 5, scale: 2 }, 'NaN', 'NaN'],
  [{ name: 'numeric', precision: 5, scale: -2 }, '12350', '12400'],
  [{ name: 'numeric', precision: 3, scale: 6 }, '0.00012345', '0.000123'],
  [{ name: 'double precision' }, '5e-324', '5e-324'],
  [{ name: 'double precision' }, '1e23', '9.999999999999999e+22'],
  [{ name: 'double precision' }, '9007199254740993', '9.007199254740992e+15'],
  [{ name: 'double precision' }, '123456789012345', '123456789012345'],
  [{ name: 'double precision' }, '1e15', '1e+15'],
  [{ name: 'double precision' }, '0.0001', '0.0001'],
  [{ name: 'double precision' }, '1e-5', '1e-05'],
  [{ name: 'double precision' }, '-0', '-0'],
  [{ name: 'double precision' }, ' Infinity ', 'Infinity'],
  [{ name: 'double precision' }, '-inf', '-Infinity'],
  [{ name: 'double precision' }, 'nan', 'NaN'],
  [{ name: 'real' }, '0.1', '0.1'],
  [{ name: 'real' }, '16777217', '1.6777216e+07'],
  [{ name: 'real' }, '100000', '100000'],
  [{ name: 'real' }, '1e6', '1e+06'],
  [{ name: 'real' }, '0.000244140625', '0.00024414062'],
  [{ name: 'real' }, '1.00000017881393432617187499', '1.0000001'],
  [{ name: 'real' }, '1.00000017881393432617187500', '1.0000002'],
  [{ name: 'real' }, String(2 ** -96), '1.2621775e-29'],
  [{ name: 'real' }, '1.4e-45', '1e-45'],
  [{ name: 'boolean' }, ' TRUE ', 't'],
  [{ name: 'boolean' }, 'ye', 't'],
  [{ name: 'boolean' }, 'on', 't'],
  [{ name: 'boolean' }, '1', 't'],
  [{ name: 'boolean' }, 'of', 'f'],
  [{ name: 'boolean' }, 'n', 'f'],
  [{ name: 'text' }, ' ä😀 ', ' ä😀 '],
  [{ name: 'varchar', length: 3 }, '😀a  ', '😀a '],
  [{ name: 'varchar', length: 3 }, '😀😀😀', '😀😀😀'],
  [{ name: 'bytea' }, '\\x DE\nad', '\\xdead'],
  [{ name: 'bytea' }, '\\x', '\\x'],
  [{ name: 'bytea' }, 'a\\\\b\\001é', '\\x615c6201c3a9'],
  [{ name: 'bytea' }, '', '\\x'],
  [
    { name: 'uuid' },
    'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
  [
    { name: 'uuid' },
    '{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
  [{ name: 'uuid' }, 'a0eebc999c0b4ef8bb6d6bb9bd380a11', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  [
    { name: 'uuid' },
    'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
];

describe('parseText reads what PostgreSQL reads, and formatText prints what it prints', () => {
  test.each(accepted)('%o %j', (type, input, output) => {
    expect(formatText(type, parseText(type, input))).toBe(output);
  });
});

const refused: readonly [ColumnType, string, ErrorCode][] = [
  [{ name: 'integer' }, '', 'INVALID_TEXT'],
  [{ name: 'integer' }, '-', 'INVALID_TEXT'],
  [{ name: 'integer' }, '1_000', 'INVALID_TEXT'],
  [{ name: 'integer' }, '1.0', 'INVALID_TEXT'],
  [{ name: 'integer' }, '0x10', 'INVALID_TEXT'],
  [{ name: 'integer' }, '2147483648', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'smallint' }, '-32769', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'bigint' }, '9223372036854775808', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'bigint' }, '9'.repeat(400), 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric' }, '.', 'INVALID_TEXT'],
  [{ name: 'numeric' }, '1e', 'INVALID_TEXT'],
  [{ name: 'numeric' }, '1 2', 'INVALID_TEXT'],
  [{ name: 'numeric' }, '-nan', 'INVALID_TEXT'],
  [{ name: 'numeric' }, '1e131072', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric' }, '1e999999999', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric' }, '1e-16384', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric', precision: 5, scale: 2 }, '999.995', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric', precision: 5, scale: 2 }, 'Infinity', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'numeric', precision: 3, scale: 6 }, '0.001', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'double precision' }, '', 'INVALID_TEXT'],
  [{ name: 'double precision' }, '1e400', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'double precision' }, '1e-400', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'real' }, '1e39', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'real' }, '1e-46', 'NUMERIC_OUT_OF_RANGE'],
  [{ name: 'boolean' }, 'o', 'INVALID_TEXT'],
  [{ name: 'boolean' }, '', 'INVALID_TEXT'],
  [{ name: 'boolean' }, '2', 'INVALID_TEXT'],
  [{ name: 'text' }, 'a\0b', 'INVALID_TEXT'],
  [{ name: 'text' }, 'a\ud800b', 'INVALID_TEXT'],
  [{ name: 'varchar' }, '\udc00', 'INVALID_TEXT'],
  [{ name: 'varchar', length: 2 }, 'abc', 'STRING_TOO_LONG'],
  [{ name: 'varchar', length: 2 }, 'ab c', 'STRING_TOO_LONG'],
  [{ name: 'bytea' }, '\\xabc', 'INVALID_ARGUMENT'],
  [{ name: 'bytea' }, '\\xa b', 'INVALID_ARGUMENT'],
  [{ name: 'bytea' }, '\\400', 'INVALID_TEXT'],
  [{ name: 'bytea' }, '\\1', 'INVALID_TEXT'],
  [{ name: 'bytea' }, 'a\\', 'INVALID_TEXT'],
  [{ name: 'uuid' }, ' a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'INVALID_TEXT'],
  [{ name: 'uuid' }, 'a0eebc9-99c0b-4ef8-bb6d-6bb9bd380a11', 'INVALID_TEXT'],
  [{ name: 'uuid' }, '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'INVALID_TEXT'],
  [{ name: 'uuid' }, '\u00100eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'INVALID_TEXT'],
  [{ name: 'uuid' }, 'g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'INVALID_TEXT'],
  [{ name: 'uuid' }, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11-', 'INVALID_TEXT'],
];

describe('parseText refuses', () => {
  test.each(refused)('%o %j with %s', (type, input, code) => {
    expect(() => parseText(type, input)).toThrow(expect.objectContaining({ code }));
  });
});

test('no error message repeats the text it refuses', () => {
  const types: ColumnType[] = (
    [
      'smallint',
      'integer',
      'bigint',
      'real',
      'double precision',
      'numeric',
      'boolean',
      'date',
      'timestamp',
      'timestamptz',
      'uuid',
      'jsonb',
    ] as const
  ).map((name) => ({ name }));
  for (const type of types) {
    expect.assertions(types.length);
    try {
      parseText(type, 'Canary7713');
    } catch (error) {
      expect((error as Error).message).not.toContain('Canary');
    }
  }
});
