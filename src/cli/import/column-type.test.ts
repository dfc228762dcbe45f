import { expect, test } from 'vitest';
import { fits, parameterOf, TypeInference } from './column-type.ts';

function typeOf(...values: string[]): string {
  const inference = new TypeInference();
  for (const value of values) inference.add(value);
  return inference.type;
}

test('whole numbers get the narrowest type that holds all of them', () => {
  expect(typeOf('0', '-7', '2147483647', '-2147483648')).toBe('integer');
  expect(typeOf('1', '2147483648')).toBe('bigint');
  expect(typeOf('-2147483649')).toBe('bigint');
  expect(typeOf('9223372036854775807', '-9223372036854775808')).toBe('bigint');
  expect(typeOf('9223372036854775808')).toBe('numeric');
  expect(typeOf('1'.repeat(40), '1')).toBe('numeric');
  expect(typeOf('1', '2.50')).toBe('numeric');
  expect(typeOf('9'.repeat(1_001))).toBe('text');
});

test('text that only looks numeric stays text', () => {
  for (const text of [
    '02138',
    '00',
    '+1',
    '-0',
    '-0.0',
    '1e5',
    '1.',
    '.5',
    '1,000',
    '0x10',
    ' 1',
    '1 ',
    '-',
    '١',
    'nan',
  ]) {
    expect([text, typeOf('1', text)]).toEqual([text, 'text']);
  }
});

test('NaN and infinities belong to numbers only beside numbers', () => {
  expect(typeOf('NaN', '1')).toBe('numeric');
  expect(typeOf('1.5', '-Infinity')).toBe('numeric');
  expect(typeOf('NaN', 'NaN')).toBe('text');
  expect(typeOf('Infinity', 'x')).toBe('text');
});

test('dates must exist', () => {
  expect(typeOf('2024-02-29', '1999-12-31')).toBe('date');
  for (const text of [
    '2023-02-29',
    '2024-13-01',
    '2024-00-10',
    '2024-04-31',
    '0000-01-01',
    '24-01-01',
    '2024-1-1',
  ]) {
    expect([text, typeOf(text)]).toEqual([text, 'text']);
  }
});

test('times with a zone become timestamptz, without one they stay text', () => {
  expect(
    typeOf('2023-01-27T16:17:47Z', '2023-01-27 16:17+05:30', '2023-01-27T16:17:47.123456-08'),
  ).toBe('timestamptz');
  for (const text of [
    '2023-01-27T16:17:47',
    '2023-01-27T24:00:00Z',
    '2023-01-27T16:17:47.1234567Z',
    '2023-02-30T00:00:00Z',
  ]) {
    expect([text, typeOf(text)]).toEqual([text, 'text']);
  }
});

test('uuids, booleans, mixtures and nothing at all', () => {
  expect(
    typeOf('3edac2e3-d223-6fae-d515-daf96ef6bc76', '3EDAC2E3-D223-6FAE-D515-DAF96EF6BC76'),
  ).toBe('uuid');
  expect(typeOf('true', 'FALSE')).toBe('boolean');
  expect(typeOf('t', 'f')).toBe('text');
  expect(typeOf('2024-01-01', '2024-01-01T00:00:00Z')).toBe('text');
  expect(typeOf('true', '1')).toBe('text');
  expect(typeOf()).toBe('text');
});

test('a value fits an existing column or does not', () => {
  const cases: [string, string, boolean][] = [
    ['32768', 'smallint', false],
    ['-32768', 'smallint', true],
    ['007', 'integer', true],
    ['1.0', 'integer', false],
    ['12.345', 'numeric(5,2)', false],
    ['123.40', 'numeric(5,2)', true],
    ['1234.5', 'numeric(5, 2)', false],
    ['1.5', 'numeric(3)', false],
    ['1e5', 'numeric', false],
    ['NaN', 'numeric', true],
    ['', 'numeric', false],
    ['1e5', 'double precision', true],
    ['x', 'real', false],
    ['yes', 'boolean', true],
    ['maybe', 'boolean', false],
    ['äöü', 'varchar(3)', true],
    ['abcd', 'varchar(3)', false],
    ['😀😀😀', 'varchar(3)', true],
    ['\\x00ff', 'bytea', true],
    ['00ff', 'bytea', false],
    ['{"a":1}', 'jsonb', true],
    ['{a:1}', 'jsonb', false],
    ['2024-02-30', 'date', false],
    ['2024-01-01T10:00', 'timestamp', true],
    ['2024-01-01T10:00Z', 'timestamp', false],
    ['2024-01-01T10:00Z', 'timestamptz', true],
    ['not-a-uuid', 'uuid', false],
    ['anything', 'text', true],
  ];
  for (const [text, type, expected] of cases)
    expect([text, type, fits(text, type)]).toEqual([text, type, expected]);
});

test('fields become parameters of their type, empty ones NULL', () => {
  expect(parameterOf('integer')('-5')).toBe(-5);
  expect(parameterOf('bigint')('9223372036854775807')).toBe(9223372036854775807n);
  expect(parameterOf('numeric(5,2)')('1.50')).toBe('1.50');
  expect(parameterOf('boolean')('no')).toBe(false);
  expect(parameterOf('bytea')('\\x0aFF')).toEqual(new Uint8Array([10, 255]));
  expect(parameterOf('uuid')('')).toBeNull();
});
