/**
 * Rows of tables that got columns after their first version, revision 1.
 *
 * A row is its first columns as in row.ts, and behind them a part of the same form for each group of columns
 * that one definition added, in order. A row that was written before a group was added ends before it: the
 * group's columns then show what the definition said of older rows. A part is at least one byte long, so that
 * the end of a row tells which of its groups it has; rows of older versions are read without being rewritten.
 */
import { assert, type ColumnType, type Value } from '../base/index.ts';
import { DecodeError } from './reader.ts';
import { rowCodec, type RowCodec, rowPart } from './row.ts';

/** A column's type, and what rows show that were written before the column was there. */
export interface GroupedColumn {
  readonly type: ColumnType;
  /** Equal for columns added together; ascending. */
  readonly group: number;
  readonly missing: Value;
}

/** The codec of a table's columns; of columns in one group it is that of rowCodec. */
export function groupedRowCodec(columns: readonly GroupedColumn[]): RowCodec {
  const groups: GroupedColumn[][] = [];
  for (const column of columns) {
    const last = groups[groups.length - 1];
    if (last !== undefined && last[0]?.group === column.group) last.push(column);
    else groups.push([column]);
    assert((last?.[0]?.group ?? column.group) <= column.group, 'groups of columns ascend');
  }
  if (groups.length <= 1) return rowCodec(columns.map((column) => column.type));
  const parts = groups.map((group) => ({
    width: group.length,
    part: rowPart(group.map((column) => column.type)),
    missing: group.map((column) => column.missing),
  }));
  const decode = (bytes: Uint8Array): Value[] => {
    const values: Value[] = [];
    let at = 0;
    for (let index = 0; index < parts.length; index++) {
      const { part, missing } = parts[index] as (typeof parts)[number];
      if (index > 0 && at === bytes.length) {
        for (const value of missing) values.push(value);
      } else {
        at = part.decode(bytes, at, values);
      }
    }
    if (at !== bytes.length) throw new DecodeError('bytes are left over', at);
    return values;
  };
  return {
    encode: (writer, values) => {
      assert(values.length === columns.length, 'a row has one value for each column');
      let first = 0;
      for (const { part, width } of parts) {
        part.encode(writer, values.slice(first, first + width));
        first += width;
      }
    },
    decode,
    decodeSome: decode,
    decodeColumn: (bytes, ordinal) => {
      assert(ordinal >= 0 && ordinal < columns.length, 'the ordinal names a column');
      return decode(bytes)[ordinal] as Value;
    },
  };
}
