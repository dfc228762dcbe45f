import { describe, expect, test } from 'vitest';
import { type ColumnType, toHex, type Value } from '../base/index.ts';
import { DecodeError } from './reader.ts';
import { groupedRowCodec, type GroupedColumn } from './row-groups.ts';
import { rowCodec } from './row.ts';
import { Writer } from './writer.ts';

const integer: ColumnType = { name: 'integer' };
const text: ColumnType = { name: 'text' };
const column = (type: ColumnType, group: number, missing: Value = null): GroupedColumn => ({
  type,
  group,
  missing,
});
const bytesOf = (columns: readonly GroupedColumn[], values: readonly Value[]): Uint8Array => {
  const writer = new Writer(64);
  groupedRowCodec(columns).encode(writer, values);
  return writer.finish();
};

const first = [column(integer, 1), column(text, 1)];
const second = [...first, column(text, 3, 'then'), column(integer, 3)];
const third = [...second, column(integer, 7, 9)];

describe('rows of groups of columns', () => {
  test('a row of each version is read by every later one', () => {
    const old = bytesOf(first, [1, 'x']);
    const newer = bytesOf(second, [2, null, null, 5]);
    const newest = bytesOf(third, [3, 'z', 'a', null, null]);
    const codec = groupedRowCodec(third);
    expect(codec.decode(old)).toEqual([1, 'x', 'then', null, 9]);
    expect(codec.decode(newer)).toEqual([2, null, null, 5, 9]);
    expect(codec.decode(newest)).toEqual([3, 'z', 'a', null, null]);
    expect([old, newer, newest].map((row) => codec.decodeColumn(row, 4))).toEqual([9, 9, null]);
  });

  test('a table that got no columns has the rows of rowCodec, byte for byte', () => {
    const writer = new Writer(64);
    rowCodec([integer, text]).encode(writer, [1, 'x']);
    expect(bytesOf(first, [1, 'x'])).toEqual(writer.finish());
    expect(bytesOf(second, [1, 'x', null, null]).subarray(0, writer.length)).toEqual(
      writer.finish(),
    );
  });

  test('eight columns leave no bit to spare, and still the versions are told apart', () => {
    const eight = Array.from({ length: 8 }, () => column(integer, 1));
    const nine = [...eight, column(integer, 2, 4)];
    const nulls = Array.from({ length: 8 }, () => null);
    expect(groupedRowCodec(nine).decode(bytesOf(eight, nulls))).toEqual([...nulls, 4]);
    expect(groupedRowCodec(nine).decode(bytesOf(nine, [...nulls, null]))).toEqual([...nulls, null]);
  });

  test('its bytes are those of the format', () => {
    expect(toHex(bytesOf(third, [3, 'z', 'a', null, 9]))).toBe('0006017a' + '020161' + '0012');
  });

  test('anything but whole groups is refused', () => {
    const row = bytesOf(third, [3, 'z', 'a', 5, 1]);
    const codec = groupedRowCodec(third);
    const ends = new Set(
      [bytesOf(first, [3, 'z']), bytesOf(second, [3, 'z', 'a', 5])].map((each) => each.length),
    );
    for (let length = 0; length < row.length; length++) {
      const read = (): unknown => codec.decode(row.subarray(0, length));
      if (ends.has(length)) expect(read).not.toThrow();
      else expect(read).toThrow(DecodeError);
    }
    expect(() => codec.decode(Uint8Array.of(...row, 0))).toThrow(DecodeError);
  });
});
