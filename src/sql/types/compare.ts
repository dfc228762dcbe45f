import type { ColumnType, Value } from '../../base/index.ts';
import { compareIntervals } from './interval.ts';
import { compareJsonb } from './jsonb.ts';
import { numericCompare } from './numeric.ts';
import { compareText } from './text.ts';

/** Orders two non-null values of one type. */
export type Comparator = (left: Value, right: Value) => -1 | 0 | 1;

/**
 * The order of a type, the same that encodeKey gives to keys: text by code point, NaN equal to itself
 * and last, -0 equal to 0, numeric by value, jsonb as in PostgreSQL. For non-null values.
 */
export function comparator(type: ColumnType): Comparator {
  switch (type.name) {
    case 'text':
    case 'varchar':
      return compareText as Comparator;
    case 'numeric':
      return numericCompare as Comparator;
    case 'jsonb':
      return compareJsonb as Comparator;
    case 'interval':
      return compareIntervals as Comparator;
    case 'bytea':
      return compareBytes as Comparator;
    case 'real':
    case 'double precision':
      return compareFloats as Comparator;
    case 'uuid':
      return compareAscii as Comparator;
    case 'bigint':
    case 'timestamp':
    case 'timestamptz':
      return compareBigints as Comparator;
    case 'boolean':
      return compareBooleans as Comparator;
    case 'smallint':
    case 'integer':
    case 'date':
      return compareNumbers as Comparator;
  }
}

/** comparator(type) applied once. */
export function compareValues(type: ColumnType, left: Value, right: Value): -1 | 0 | 1 {
  return comparator(type)(left, right);
}

function compareNumbers(left: number, right: number): -1 | 0 | 1 {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareBigints(left: bigint, right: bigint): -1 | 0 | 1 {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareAscii(left: string, right: string): -1 | 0 | 1 {
  return left < right ? -1 : left > right ? 1 : 0;
}

function compareBooleans(left: boolean, right: boolean): -1 | 0 | 1 {
  if (left === right) return 0;
  return left ? 1 : -1;
}

function compareFloats(left: number, right: number): -1 | 0 | 1 {
  if (left < right) return -1;
  if (left > right) return 1;
  if (left === right) return 0;
  // At least one is NaN.
  if (Number.isNaN(left)) return Number.isNaN(right) ? 0 : 1;
  return -1;
}

function compareBytes(left: Uint8Array, right: Uint8Array): -1 | 0 | 1 {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left[at] as number;
    const b = right[at] as number;
    if (a !== b) return a < b ? -1 : 1;
  }
  return compareNumbers(left.length, right.length);
}
