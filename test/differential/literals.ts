/** Values of the 15 types, as PostgreSQL and we write them. Few, so that they meet; with the ends of ranges. */
import type { Dice } from './dice.ts';

export const types = [
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
  'text',
  'varchar',
  'boolean',
  'bytea',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'jsonb',
] as const;
export type Type = (typeof types)[number];

export const numberTypes: readonly Type[] = types.slice(0, 6);
export const exactTypes: readonly Type[] = types.slice(0, 4);
export const textTypes: readonly Type[] = ['text', 'varchar'];
export const timeTypes: readonly Type[] = ['date', 'timestamp', 'timestamptz'];

interface Values {
  /** Values that meet in joins and comparisons. */
  readonly common: readonly string[];
  /** Ends of ranges, and what is written in an unusual way. */
  readonly rare: readonly string[];
}

const texts = ['', 'a', 'b', 'abc', 'ABC', 'Abc', 'ab', 'b c', 'x'];
const rareTexts = [' a ', 'a%b', 'a_b', "it's", '\\', '10', '-7', 't', '漢字', '😀x', 'zz  '];

const values: Readonly<Record<Type, Values>> = {
  smallint: { common: small(-3, 9), rare: ['32767', '-32768', '100'] },
  integer: { common: small(-3, 12), rare: ['2147483647', '-2147483648', '1000', '65536'] },
  bigint: {
    common: small(-3, 9),
    rare: ['9223372036854775807', '-9223372036854775808', '3000000000', '2147483648'],
  },
  numeric: {
    common: ['0', '1', '2', '1.5', '-1.5', '2.25', '3.00', '10', '0.1', '7'],
    rare: ['12345678901234567890.123', '-0.001', '1e-10', '1e15', '99999.99', 'NaN', '0.5', '2.5'],
  },
  real: { common: ['0', '1', '1.5', '-2', '0.25', '3'], rare: ['1.1', '1e10', 'Infinity', '-0'] },
  'double precision': {
    common: ['0', '1', '1.5', '-2', '0.25', '3', '100'],
    rare: ['0.1', '1e20', '1e-7', 'NaN', '-Infinity', '-0', '123456.789', '1e15'],
  },
  text: { common: texts, rare: rareTexts },
  varchar: { common: texts, rare: rareTexts },
  boolean: { common: ['true', 'false'], rare: ['t', 'no', 'on', '0'] },
  bytea: { common: ['\\x', '\\x00', '\\xff', '\\x6162'], rare: ['abc', '\\xdeadbeef', '\\x6100'] },
  date: {
    common: ['2024-02-29', '2024-03-01', '2000-01-01', '1999-12-31', '2026-11-22'],
    rare: ['0044-03-15 BC', 'infinity', '-infinity', '9999-12-31', '1582-10-10'],
  },
  timestamp: {
    common: ['2024-02-29 12:00:00', '2024-02-29', '2000-01-01 00:00:00', '2024-03-01 23:59:59.5'],
    rare: ['infinity', '1999-12-31 23:59:59.999999', '0001-01-01 00:00:00', '2024-02-29T06:07:08'],
  },
  timestamptz: {
    common: ['2024-02-29 12:00:00+00', '2024-02-29 12:00:00+02', '2000-01-01 00:00:00Z'],
    rare: ['-infinity', '2024-02-29 23:30:00-05:30', '1999-12-31 23:59:59.123456+00'],
  },
  uuid: {
    common: [
      '00000000-0000-0000-0000-000000000000',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
    ],
    rare: ['A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A12', '{a0eebc999c0b4ef8bb6d6bb9bd380a11}'],
  },
  jsonb: {
    common: ['{"a": 1}', '{"a": 1, "b": [1, 2]}', '[1, 2, 3]', '"a"', '1', 'null', '{}'],
    rare: ['{"b": {"a": "x"}, "a": null}', '[1.50, "x", {"a": [true]}]', '{"a":1,"a":2}', '1e2'],
  },
};

function small(low: number, high: number): string[] {
  return Array.from({ length: high - low + 1 }, (_, index) => String(low + index));
}

const rareShare = 0.12;

/** The text of a value; of values that never fail in sums unless `rare`. */
function valueText(dice: Dice, type: Type, rare = rareShare): string {
  const { common, rare: unusual } = values[type];
  return dice.pick(dice.chance(rare) ? unusual : common);
}

export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A literal whose type the parser or a cast gives it. */
export function typedLiteral(dice: Dice, type: Type, rare?: number): string {
  const text = valueText(dice, type, rare);
  const bare = /^\d+$/.test(text);
  if (type === 'integer' && bare && Number(text) < 2 ** 31 && dice.chance(0.8)) return text;
  if (type === 'numeric' && /^\d+\.\d+$/.test(text) && dice.chance(0.7)) return text;
  if (type === 'boolean' && /^(true|false)$/.test(text)) return text.toUpperCase();
  return dice.chance(0.5) ? `${quoted(text)}::${type}` : `CAST(${quoted(text)} AS ${type})`;
}

/** A literal as a place of this type takes it: often only quoted. */
export function placedLiteral(dice: Dice, type: Type, rare?: number): string {
  if (dice.chance(0.14)) return 'NULL';
  if (dice.chance(0.3)) return typedLiteral(dice, type, rare);
  const text = valueText(dice, type, rare);
  const isNumber = numberTypes.includes(type) && /^-?\d+(\.\d+)?$/.test(text);
  return isNumber && dice.chance(0.8) ? text : quoted(text);
}
