import { type ColumnType, type TypeName, type Value, VerityError } from '../../base/index.ts';
import {
  checkDate,
  checkTimestamp,
  type DateTimeName,
  timestampInfinity,
  timestampMinusInfinity,
  timestampOf,
} from './datetime.ts';
import { invalidText, mismatch, outOfRange } from './errors.ts';
import { realOf } from './float.ts';
import { checkBigint, checkInt, type IntegerName, integerOf } from './integer.ts';
import { parseJsonb } from './jsonb.ts';
import { parseText } from './parse.ts';

const millisecondsPerDay = 86_400_000;

/**
 * A parameter given from JavaScript as a value of the type. null and undefined are NULL; a string is read
 * by parseText whatever the type; bytes are copied.
 *
 * | type                   | besides strings                                                       |
 * |------------------------|-----------------------------------------------------------------------|
 * | smallint, integer, bigint | whole number, bigint                                               |
 * | real, double precision | number, bigint                                                        |
 * | numeric                | number (its shortest digits), bigint                                  |
 * | boolean                | boolean                                                               |
 * | bytea                  | Uint8Array                                                            |
 * | date                   | Date (its day in UTC), ±Infinity                                      |
 * | timestamp, timestamptz | Date, bigint microseconds since 1970 (UTC), ±Infinity                 |
 * | jsonb                  | whatever JSON.stringify takes; a string is JSON text                  |
 * | text, varchar, uuid, interval | nothing                                                               |
 *
 * Throws TYPE_MISMATCH, and what parseText throws.
 */
export function fromJs(type: ColumnType, value: unknown): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return parseText(type, value);
  switch (type.name) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return integer(type.name, value);
    case 'real':
    case 'double precision':
      return float(type.name, value);
    case 'numeric':
      if (typeof value === 'number' || typeof value === 'bigint')
        return parseText(type, String(value));
      throw mismatch('numeric', 'a string, number or bigint');
    case 'text':
    case 'varchar':
    case 'uuid':
    case 'interval':
      throw mismatch(type.name, 'a string');
    case 'boolean':
      if (typeof value === 'boolean') return value;
      throw mismatch('boolean', 'true or false');
    case 'bytea':
      if (value instanceof Uint8Array) return new Uint8Array(value);
      throw mismatch('bytea', 'a Uint8Array');
    case 'date':
      return date(value);
    case 'timestamp':
    case 'timestamptz':
      return timestamp(type.name, value);
    case 'jsonb':
      return jsonb(value);
  }
}

function integer(type: IntegerName, value: unknown): number | bigint {
  if (typeof value === 'bigint') return integerOf(type, value);
  if (typeof value !== 'number' || !Number.isInteger(value))
    throw mismatch(type, 'a whole number or bigint');
  if (type !== 'bigint') return checkInt(type, value) + 0;
  // Beyond 2^53 a number no longer says which whole number was meant.
  if (!Number.isSafeInteger(value)) throw outOfRange(type, 'Pass numbers beyond 2^53 as bigint.');
  return checkBigint(BigInt(value));
}

function float(type: TypeName, value: unknown): number {
  if (typeof value !== 'number' && typeof value !== 'bigint') throw mismatch(type, 'a number');
  const double = Number(value);
  return type === 'real' ? realOf(double) : double;
}

function date(value: unknown): number {
  if (value === Infinity || value === -Infinity) return value;
  if (!(value instanceof Date)) throw mismatch('date', "a Date or a string like '2024-02-29'");
  return checkDate(Math.floor(millisecondsOf('date', value) / millisecondsPerDay));
}

function timestamp(type: 'timestamp' | 'timestamptz', value: unknown): bigint {
  if (typeof value === 'bigint') return checkTimestamp(type, value);
  if (value === Infinity) return timestampInfinity;
  if (value === -Infinity) return timestampMinusInfinity;
  if (!(value instanceof Date))
    throw mismatch(type, 'a Date, a bigint of microseconds since 1970, or an ISO 8601 string');
  const milliseconds = millisecondsOf(type, value);
  const days = Math.floor(milliseconds / millisecondsPerDay);
  return timestampOf(type, days, (milliseconds - days * millisecondsPerDay) * 1_000);
}

function millisecondsOf(type: DateTimeName, value: Date): number {
  const milliseconds = value.getTime();
  if (Number.isNaN(milliseconds)) throw mismatch(type, 'a valid Date');
  return milliseconds;
}

function jsonb(value: unknown): string {
  if (typeof value === 'bigint') return parseJsonb(value.toString());
  const isBare = typeof value === 'function' || typeof value === 'symbol';
  if (
    isBare ||
    value instanceof Uint8Array ||
    (typeof value === 'number' && !Number.isFinite(value))
  ) {
    throw mismatch('jsonb', 'an array, object, boolean, finite number, or JSON text');
  }
  return parseJsonb(stringify(value));
}

function stringify(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    // A cycle, a bigint inside, a toJSON that throws, or nesting beyond the stack.
    if (cause instanceof VerityError) throw cause;
    throw invalidText(
      'jsonb',
      'JSON.stringify refuses the value: remove cycles and bigints, and nest less deeply.',
    );
  }
  if (text === undefined) throw mismatch('jsonb', 'a value that JSON.stringify turns into text');
  return text;
}
