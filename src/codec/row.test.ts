import { describe, expect, test } from 'vitest';
import {
  type ColumnType,
  equalBytes,
  fromHex,
  limits,
  toHex,
  type Value,
  VerityError,
} from '../base/index.ts';
import { DecodeError, rowCodec, Writer } from './index.ts';

const typesOf = (...names: ColumnType['name'][]): ColumnType[] => names.map((name) => ({ name }));

function encode(types: readonly ColumnType[], values: readonly Value[]): Uint8Array {
  const writer = new Writer();
  rowCodec(types).encode(writer, values);
  return writer.finish();
}

function bytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex.replaceAll(' ', ''));
  if (bytes === undefined) throw new Error('not hex');
  return bytes;
}

const pinned: readonly [ColumnType['name'], Value, string][] = [
  ['smallint', 0, '00'],
  ['smallint', -32768, 'ffff03'],
  ['integer', -1, '01'],
  ['integer', 64, '8001'],
  ['integer', 2147483647, 'feffffff0f'],
  ['bigint', -2n, 'feffffffffffffff'],
  ['real', 1.5, '0000c03f'],
  ['real', Number.NaN, '0000c07f'],
  ['double precision', -0, '0000000000000080'],
  ['double precision', Number.NaN, '000000000000f87f'],
  ['numeric', '-12.50', '06 2d31322e3530'],
  ['numeric', '-Infinity', '09 2d496e66696e697479'],
  ['text', '', '00'],
  ['text', 'é😀', '06 c3a9f09f9880'],
  ['varchar', 'abc', '03 616263'],
  ['boolean', true, '01'],
  ['bytea', Uint8Array.of(0, 255), '02 00ff'],
  ['date', -1, 'ffffffff'],
  ['date', Infinity, 'ffffff7f'],
  ['date', -Infinity, '00000080'],
  ['timestamp', 1n, '0100000000000000'],
  ['timestamptz', 2n ** 63n - 1n, 'ffffffffffffff7f'],
  ['uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'a0eebc999c0b4ef8bb6d6bb9bd380a11'],
  ['jsonb', '{"a": 1}', '08 7b2261223a20317d'],
];

describe('a row value has the bytes of format revision 1', () => {
  test.each(pinned)('%s %s', (name, value, hex) => {
    const bytes = bytesOf(`00${hex}`);
    expect(toHex(encode(typesOf(name), [value]))).toBe(toHex(bytes));
    const [decoded] = rowCodec(typesOf(name)).decode(bytes);
    expect(decoded).toStrictEqual(value);
  });
});

test('the null bitmap marks NULLs lowest bit first, eight columns a byte', () => {
  const types = typesOf(...Array.from({ length: 10 }, () => 'boolean' as const));
  const values = [null, true, true, null, true, true, true, true, null, false];
  const bytes = encode(types, values);
  expect(toHex(bytes)).toBe(`${'0901'}01010101010100`);
  expect(rowCodec(types).decode(bytes)).toStrictEqual(values);
});

const malformed: readonly [string, ColumnType['name'], string][] = [
  ['no bitmap', 'boolean', ''],
  ['an unused bitmap bit', 'boolean', '02 01'],
  ['bytes left over', 'boolean', '00 01 00'],
  ['a value after NULL', 'boolean', '01 01'],
  ['a boolean of 2', 'boolean', '00 02'],
  ['a varint with a zero at its end', 'integer', '00 8000'],
  ['an integer beyond 32 bits', 'integer', '00 ffffffff1f'],
  ['an endless varint', 'integer', '00 ffffffffff01'],
  ['a smallint beyond 16 bits', 'smallint', '00 808004'],
  ['a length beyond the row', 'text', '00 05 6161'],
  ['text that is not UTF-8', 'text', '00 02 c328'],
  ['a surrogate in UTF-8', 'text', '00 03 eda080'],
  ['an overlong encoding', 'text', '00 02 c081'],
  ['U+0000 in short text', 'text', '00 01 00'],
  ['U+0000 behind eight letters', 'text', '00 09 616161616161616100'],
  ['U+0000 behind another script', 'text', '00 03 c3a900'],
  ['a short i64', 'bigint', '00 00000000'],
  ['a NaN with a payload', 'double precision', '00 010000000000f87f'],
  ['a negative NaN', 'real', '00 0000c0ff'],
  ['an empty numeric', 'numeric', '00 00'],
  ['a numeric with a leading zero', 'numeric', '00 02 3031'],
  ['a numeric with a plus', 'numeric', '00 02 2b31'],
  ['a numeric of minus zero', 'numeric', '00 04 2d302e30'],
  ['a numeric that ends in a point', 'numeric', '00 02 312e'],
  ['a numeric without a whole part', 'numeric', '00 02 2e31'],
  ['a numeric with two points', 'numeric', '00 05 312e322e33'],
  ['a numeric spelled nan', 'numeric', '00 03 6e616e'],
  ['a lone minus', 'numeric', '00 01 2d'],
  ['a short uuid', 'uuid', '00 a0eebc'],
];

describe('decode refuses', () => {
  test.each(malformed)('%s', (_, name, hex) => {
    expect(() => rowCodec(typesOf(name)).decode(bytesOf(hex))).toThrow(DecodeError);
  });
});

test('decodeColumn finds each column behind columns of every type and behind NULLs', () => {
  const types = [...pinned.map(([name]) => ({ name })), ...typesOf('text', 'integer')];
  const values = [...pinned.map(([, value]) => value), null, 7];
  const bytes = encode(types, values);
  const codec = rowCodec(types);
  for (const [ordinal, value] of values.entries()) {
    expect(codec.decodeColumn(bytes, ordinal)).toStrictEqual(value);
  }
});

test('a decoded bytea does not share memory with the row', () => {
  const bytes = encode(typesOf('bytea'), [Uint8Array.of(1, 2)]);
  const [value] = rowCodec(typesOf('bytea')).decode(bytes);
  bytes.fill(9);
  expect(value).toStrictEqual(Uint8Array.of(1, 2));
});

describe('a value over the size limit is refused', () => {
  const max = limits.valueBytesMax;
  const tooLarge: readonly [string, ColumnType['name'], Value, Value][] = [
    ['ASCII text', 'text', 'a'.repeat(max), 'a'.repeat(max + 1)],
    ['text counted in UTF-8 bytes', 'text', 'é'.repeat(max / 2), 'é'.repeat(max / 2 + 1)],
    ['bytea', 'bytea', new Uint8Array(max), new Uint8Array(max + 1)],
  ];
  test.each(tooLarge)('%s', (_, name, largest, larger) => {
    const types = typesOf(name);
    const bytes = encode(types, [largest]);
    expect(equalBytes(encode(types, rowCodec(types).decode(bytes)), bytes)).toBe(true);
    expect(() => encode(types, [larger])).toThrow(VerityError);
    expect(() => encode(types, [larger])).toThrow(/limit/);
  });
});

test('values that the type cannot hold are refused as our bug, not written', () => {
  const wrong: readonly [ColumnType['name'], Value][] = [
    ['smallint', 32768],
    ['integer', 1.5],
    ['integer', 2 ** 31],
    ['integer', 1n],
    ['bigint', 2n ** 63n],
    ['real', 0.1],
    ['date', 0.5],
    ['date', 2147483647],
    ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'],
    ['boolean', 1],
    ['text', 5],
    ['bytea', 'x'],
  ];
  for (const [name, value] of wrong) {
    expect(() => encode(typesOf(name), [value]), name).toThrow('Assertion failed');
  }
});
