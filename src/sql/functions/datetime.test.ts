/** What PostgreSQL 15 answers, as test/differential compares at random. */
import { describe, expect, test } from 'vitest';
import { toJs } from '../types/index.ts';
import { parseText } from '../types/parse.ts';
import { findScalar } from './registry.ts';

type Name = 'date' | 'timestamp' | 'timestamptz';

function call(name: string, word: string, type: Name, text: string): unknown {
  const found = findScalar(name, ['text', type]);
  const value = found?.call(word as never, parseText({ name: type }, text) as never);
  if (found === undefined || value === undefined) throw new Error('no such function');
  return value === null
    ? null
    : toJs({ name: found.result }, value, { timestamps: 'microseconds' });
}

const micros = (text: string): unknown =>
  toJs({ name: 'timestamp' }, parseText({ name: 'timestamp' }, text), {
    timestamps: 'microseconds',
  });

describe('extract', () => {
  test.each<[string, Name, string, string | null]>([
    ['year', 'timestamp', '2024-02-29 12:34:56.789', '2024'],
    ['year', 'date', '0044-03-15 BC', '-44'],
    ['isoyear', 'date', '2021-01-03', '2020'],
    ['week', 'date', '2021-01-03', '53'],
    ['dow', 'date', '2021-01-03', '0'],
    ['isodow', 'date', '2021-01-03', '7'],
    ['doy', 'date', '2024-12-31', '366'],
    ['qtr', 'date', '2024-05-01', '2'],
    ['decade', 'timestamp', '0015-01-01 BC', '-2'],
    ['century', 'timestamp', '0101-01-01 BC', '-2'],
    ['century', 'timestamp', '2000-12-31', '20'],
    ['millennium', 'timestamp', '2001-01-01', '3'],
    ['second', 'timestamptz', '2024-02-29 12:34:56.789+02', '56.789000'],
    ['MILLISECONDS', 'timestamp', '2024-02-29 12:34:56.789', '56789.000'],
    ['microseconds', 'timestamp', '1960-01-01 00:00:01.000001', '1000001'],
    ['hour', 'timestamptz', '2024-02-29 12:34:56+02', '10'],
    ['epoch', 'timestamp', '1950-01-01 00:00:00.5', '-631151999.500000'],
    ['epoch', 'date', '1950-01-01', '-631152000'],
    ['julian', 'timestamp', '2024-02-29 12:34:56.789', '2460370.52426839120370370370'],
    ['julian', 'date', '2024-02-29', '2460370'],
    ['timezone_hour', 'timestamptz', '2024-01-01', '0'],
    ['year', 'timestamp', 'infinity', 'Infinity'],
    ['epoch', 'date', '-infinity', '-Infinity'],
    ['day', 'timestamp', 'infinity', null],
  ])('%s from %s %s', (word, type, text, expected) => {
    expect(call('extract', word, type, text)).toBe(expected);
    const part = call('date_part', word, type, text);
    expect(part).toBe(expected === null ? null : Number(expected));
  });

  test.each<[string, string, Name, string]>([
    ['extract', 'hour', 'date', '0A000'],
    ['extract', 'timezone', 'timestamp', '0A000'],
    ['extract', 'fortnight', 'timestamp', '22023'],
    ['date_trunc', 'dow', 'timestamp', '22023'],
  ])('%s(%s from %s) is refused with %s', (name, word, type, sqlState) => {
    expect(() => call(name, word, type, '2024-01-01')).toThrow(
      expect.objectContaining({ sqlState }) as Error,
    );
  });
});

test.each([
  ['second', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56'],
  ['hours', '1969-12-31 23:59:59.5', '1969-12-31 23:00:00'],
  ['day', '0001-01-01 00:00:01 BC', '0001-01-01 00:00:00 BC'],
  ['week', '4713-11-24 BC', '4713-11-22 BC'],
  ['month', '2024-02-29 12:00:00', '2024-02-01'],
  ['quarter', '1999-12-31 23:59:59', '1999-10-01'],
  ['decade', '0015-01-01 BC', '0021-01-01 BC'],
  ['century', '0101-05-01 BC', '0200-01-01 BC'],
  ['century', '2000-05-01', '1901-01-01'],
  ['millennium', '0001-05-05 BC', '1000-01-01 BC'],
  ['year', 'infinity', 'infinity'],
])('date_trunc(%s, %s) is %s', (unit, text, expected) => {
  expect(call('date_trunc', unit, 'timestamp', text)).toBe(micros(expected));
});
