import { describe, expect, test } from 'vitest';
import { type ColumnType, limits, type StoreKey, type Value } from '../base/index.ts';
import {
  DecodeError,
  decodeKey,
  encodeKey,
  keyPrefixRange,
  rowIdKey,
  rowIdOfKey,
} from './index.ts';

const typesOf = (...names: ColumnType['name'][]): ColumnType[] => names.map((name) => ({ name }));
const hexOf = (key: string): string =>
  Array.from(key, (char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('');
const keyOf = (hex: string): StoreKey =>
  (hex.replaceAll(' ', '').match(/../g) ?? [])
    .map((pair) => String.fromCharCode(Number.parseInt(pair, 16)))
    .join('') as StoreKey;

const pinned: readonly [ColumnType['name'], Value, string][] = [
  ['integer', null, '02'],
  ['smallint', -32768, '01 0000'],
  ['smallint', 1, '01 8001'],
  ['integer', -1, '01 7fffffff'],
  ['bigint', 1n, '01 8000000000000001'],
  ['date', -Infinity, '01 00000000'],
  ['date', Infinity, '01 ffffffff'],
  ['timestamptz', -1n, '01 7fffffffffffffff'],
  ['real', -1, '01 407fffff'],
  ['real', Number.NaN, '01 ffc00000'],
  ['double precision', 0, '01 8000000000000000'],
  ['double precision', 1, '01 bff0000000000000'],
  ['boolean', false, '01 00'],
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '01 a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  ['text', '', '01 00'],
  ['text', 'aé€😀', '01 61c3a9e282acf09f988000'],
  ['bytea', Uint8Array.of(0, 1, 255), '01 00ff01ff0000'],
  ['numeric', '0', '01 03'],
  ['numeric', '12.3', '01 04 800002 0d1f 00'],
  ['numeric', '-12.3', '01 02 7ffffd f2e0 ff'],
  ['numeric', '0.001', '01 04 7ffffe 0b 00'],
  ['numeric', 'NaN', '01 06'],
  ['jsonb', 'null', '01 05 00000001 00 01'],
  ['jsonb', '{"a": [true, 1]}', '01 06 00000001 6100 05 00000002 0401 03 04 800001 0b 00'],
];

describe('a key column has the bytes of format revision 1', () => {
  test.each(pinned)('%s %s', (name, value, hex) => {
    expect(hexOf(encodeKey(typesOf(name), [value]))).toBe(hex.replaceAll(' ', ''));
    expect(decodeKey(typesOf(name), keyOf(hex))).toStrictEqual([value]);
  });
});

test('equal values of different form have one key', () => {
  const key = (name: ColumnType['name'], value: Value): string => encodeKey(typesOf(name), [value]);
  expect(key('numeric', '1.00')).toBe(key('numeric', '1'));
  expect(key('numeric', '-100.0')).toBe(key('numeric', '-100'));
  expect(key('numeric', '0.000')).toBe(key('numeric', '0'));
  expect(key('double precision', -0)).toBe(key('double precision', 0));
  expect(key('real', -0)).toBe(key('real', 0));
  expect(key('jsonb', '[1.0]')).toBe(key('jsonb', '[1]'));
});

test('decodeKey returns numbers at their smallest scale', () => {
  const numeric = typesOf('numeric');
  const through = (text: string): Value =>
    decodeKey(numeric, encodeKey(numeric, [text]))[0] as Value;
  expect(['1.00', '-0.0100', '1200', '0.0', '123.456', '-Infinity'].map(through)).toStrictEqual([
    '1',
    '-0.01',
    '1200',
    '0',
    '123.456',
    '-Infinity',
  ]);
});

describe('keyPrefixRange', () => {
  test('holds the keys with the same leading columns and no others', () => {
    const types = typesOf('text', 'integer');
    const { from, to } = keyPrefixRange(encodeKey(typesOf('text'), ['a']));
    const isIn = (values: Value[]): boolean => {
      const key = encodeKey(types, values);
      return key >= from && key < to;
    };
    expect(
      [
        ['a', -5],
        ['a', 2147483647],
        ['a', null],
      ].map((values) => isIn(values as Value[])),
    ).toStrictEqual([true, true, true]);
    expect(
      [
        ['', 0],
        ['ab', 0],
        ['a\u0001', 0],
        ['b', 0],
        [null, 0],
      ].map((values) => isIn(values as Value[])),
    ).toStrictEqual([false, false, false, false, false]);
  });

  test('carries over bytes of FF', () => {
    expect(keyPrefixRange(encodeKey(typesOf('smallint'), [0x7fff])).to).toBe('\x02');
    expect(keyPrefixRange('\x01\xfe\xff' as StoreKey).to).toBe('\x01\xff');
  });

  test('of the empty key holds every key', () => {
    const { from, to } = keyPrefixRange('' as StoreKey);
    for (const key of [
      rowIdKey(0),
      rowIdKey(Number.MAX_SAFE_INTEGER),
      encodeKey(typesOf('text'), [null]),
    ]) {
      expect(key >= from && key < to).toBe(true);
    }
  });
});

test('row id keys have eight bytes, order as numbers and come back', () => {
  const ids = [0, 1, 255, 256, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER];
  const keys = ids.map(rowIdKey);
  expect(hexOf(rowIdKey(2 ** 32 + 258))).toBe('0000000100000102');
  expect([...keys].sort()).toStrictEqual(keys);
  expect(keys.map(rowIdOfKey)).toStrictEqual(ids);
  expect(() => rowIdOfKey(keyOf('0020000000000000'))).toThrow(DecodeError);
  expect(() => rowIdOfKey(keyOf('00'))).toThrow(DecodeError);
});

test('a key over the size limit is refused', () => {
  const text = typesOf('text');
  const longest = 'a'.repeat(limits.keyBytesMax - 2);
  expect(encodeKey(text, [longest])).toHaveLength(limits.keyBytesMax);
  expect(() => encodeKey(text, [`${longest}a`])).toThrow(/limit/);
});

const malformed: readonly [string, ColumnType['name'], string][] = [
  ['an empty key', 'integer', ''],
  ['an unknown mark', 'integer', '03'],
  ['a short value', 'integer', '01 800000'],
  ['bytes left over', 'integer', '01 80000000 00'],
  ['text without its end', 'text', '01 61'],
  ['text that is not UTF-8', 'text', '01 c328 00'],
  ['an unknown escape of zero', 'bytea', '01 0001 0000'],
  ['bytes without their end', 'bytea', '01 61 00'],
  ['a boolean of 2', 'boolean', '01 02'],
  ['minus zero', 'double precision', '01 7fffffffffffffff'],
  ['a NaN with a payload', 'real', '01 ffc00001'],
  ['an unknown class of number', 'numeric', '01 07'],
  ['a number with a leading zero', 'numeric', '01 04 800001 02 00'],
  ['a number with trailing zeros', 'numeric', '01 04 800001 0b01 00'],
  ['a number without digits', 'numeric', '01 04 800001 00'],
  ['a number without its end', 'numeric', '01 04 800001 0b'],
  ['a number of absurd size', 'numeric', '01 04 ffffff 0b 00'],
  ['an unknown kind of JSON', 'jsonb', '01 07'],
  ['a JSON scalar counted as two', 'jsonb', '01 05 00000002 00 01'],
  ['JSON that ends early', 'jsonb', '01 05 ffffffff 01 01'],
  ['an object in the place of a JSON scalar', 'jsonb', '01 05 00000001 00 06 00000000'],
  ['an array in the place of a JSON scalar', 'jsonb', '01 05 00000001 00 05 00000000'],
  ['a bare JSON scalar', 'jsonb', '01 01'],
  ['an infinite number in JSON', 'jsonb', '01 05 00000001 00 03 05'],
  ['members out of order', 'jsonb', '01 06 00000002 6200 01 6100 01'],
  ['a member twice', 'jsonb', '01 06 00000002 6100 01 6100 01'],
];

describe('decodeKey refuses', () => {
  test.each(malformed)('%s', (_, name, hex) => {
    expect(() => decodeKey(typesOf(name), keyOf(hex))).toThrow(DecodeError);
  });
});
