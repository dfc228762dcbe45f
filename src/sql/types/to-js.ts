import { assert, type ColumnType, sqlError, type Value } from '../../base/index.ts';
import { formatDate, timestampInfinity, timestampMinusInfinity } from './datetime.ts';
import { formatReal } from './float.ts';
import { formatInterval } from './interval.ts';

export interface JsOptions {
  /** 'date': timestamps become Date; 'microseconds': bigint microseconds since 1970 (UTC). */
  readonly timestamps: 'date' | 'microseconds';
}

/** Milliseconds to either side of 1970 that a Date holds (ECMA-262, time values). */
const dateMillisecondsMax = 8_640_000_000_000_000;
const realExactMax = 2 ** 24;

/**
 * Compiles the way from SQL to JavaScript for a column: smallint, integer, real, double precision → number;
 * bigint → bigint; numeric → string; text, varchar, uuid → string; boolean → boolean; bytea → a copy as
 * Uint8Array; date → 'YYYY-MM-DD' ('infinity', and ' BC' behind years before 1); timestamp, timestamptz →
 * Date or bigint; jsonb → JSON.parse; interval → PostgreSQL's text. NULL → null.
 *
 * A Date drops what is below a millisecond, infinity is ±Infinity, and a timestamp beyond a Date's range
 * (the year 275760) throws DATETIME_OUT_OF_RANGE. As bigint the infinities are 2^63 - 1 and -2^63.
 */
export function jsConverter(type: ColumnType, options: JsOptions): (value: Value) => unknown {
  switch (type.name) {
    case 'real':
      return realToJs;
    case 'bytea':
      return bytesToJs;
    case 'date':
      return dateToJs;
    case 'timestamp':
    case 'timestamptz':
      return options.timestamps === 'date' ? timestampToDate : same;
    case 'jsonb':
      return jsonbToJs;
    case 'interval':
      return intervalToJs;
    default:
      return same;
  }
}

/** jsConverter applied once. */
export function toJs(type: ColumnType, value: Value, options: JsOptions): unknown {
  return jsConverter(type, options)(value);
}

function same(value: Value): unknown {
  return value;
}

/** The double of the shortest digits, so that 1.1 comes back as 1.1 and not as 1.100000023841858. */
function realToJs(value: Value): unknown {
  if (typeof value !== 'number' || !Number.isFinite(value)) return value;
  // Whole numbers up to here are their own shortest digits.
  const isExact = Number.isInteger(value) && Math.abs(value) <= realExactMax;
  return isExact ? value : Number(formatReal(value));
}

function bytesToJs(value: Value): unknown {
  return value instanceof Uint8Array ? Uint8Array.from(value) : value;
}

function dateToJs(value: Value): unknown {
  return typeof value === 'number' ? formatDate(value) : value;
}

function timestampToDate(value: Value): unknown {
  if (value === null) return null;
  assert(typeof value === 'bigint', 'a timestamp is a bigint');
  if (value === timestampInfinity) return Infinity;
  if (value === timestampMinusInfinity) return -Infinity;
  const milliseconds = millisecondsOf(value);
  if (Math.abs(milliseconds) > dateMillisecondsMax) {
    throw sqlError(
      'DATETIME_OUT_OF_RANGE',
      "A timestamp lies beyond what a JavaScript Date holds. Open the database with timestamps: 'microseconds'.",
    );
  }
  return new Date(milliseconds);
}

/** Rounded down, so that a time never moves into the next millisecond. */
function millisecondsOf(micros: bigint): number {
  const small = Number(micros);
  if (Number.isSafeInteger(small)) return Math.floor(small / 1_000);
  return Number(micros >= 0n || micros % 1_000n === 0n ? micros / 1_000n : micros / 1_000n - 1n);
}

function intervalToJs(value: Value): unknown {
  return typeof value === 'string' ? formatInterval(value) : value;
}

function jsonbToJs(value: Value): unknown {
  return typeof value === 'string' ? JSON.parse(value) : value;
}
