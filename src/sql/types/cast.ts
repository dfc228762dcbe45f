/** PostgreSQL's casts among the fifteen types (pg_cast, and input and output functions for text). */
import {
  type ColumnType,
  sqlError,
  type TypeName,
  unreachable,
  type Value,
} from '../../base/index.ts';
import { coerceExplicitly, coerceToColumn } from './coerce.ts';
import { dateOfTimestamp, timestampOfDate } from './datetime.ts';
import { outOfRange } from './errors.ts';
import { parseDouble, parseReal, realOf, realOfBigint, roundSignificant } from './float.ts';
import { formatText } from './format.ts';
import { checkInt, type IntegerName, integerOf, isInteger } from './integer.ts';
import { jsonbScalar } from './jsonb.ts';
import { isFiniteNumeric, parseNumeric, rescale } from './numeric-text.ts';
import { parseText } from './parse.ts';
import { truncateLength } from './text.ts';

/** Where a cast happens by itself: anywhere, only on storing into a column, or only when written. */
export type CastContext = 'implicit' | 'assignment' | 'explicit';

const implicitCasts: Partial<Record<TypeName, readonly TypeName[]>> = {
  smallint: ['integer', 'bigint', 'real', 'double precision', 'numeric'],
  integer: ['bigint', 'real', 'double precision', 'numeric'],
  bigint: ['real', 'double precision', 'numeric'],
  numeric: ['real', 'double precision'],
  real: ['double precision'],
  text: ['varchar'],
  varchar: ['text'],
  date: ['timestamp', 'timestamptz'],
  timestamp: ['timestamptz'],
};

const assignmentCasts: Partial<Record<TypeName, readonly TypeName[]>> = {
  integer: ['smallint'],
  bigint: ['smallint', 'integer'],
  numeric: ['smallint', 'integer', 'bigint'],
  real: ['smallint', 'integer', 'bigint', 'numeric'],
  'double precision': ['smallint', 'integer', 'bigint', 'real', 'numeric'],
  timestamp: ['date'],
  timestamptz: ['date', 'timestamp'],
};

const explicitCasts: Partial<Record<TypeName, readonly TypeName[]>> = {
  boolean: ['integer'],
  integer: ['boolean'],
  jsonb: ['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric'],
};

/** In which contexts `from` becomes `to`; undefined: there is no such cast. Lengths and precisions play no part. */
export function castContext(from: ColumnType, to: ColumnType): CastContext | undefined {
  if (from.name === to.name) return 'implicit';
  if (implicitCasts[from.name]?.includes(to.name) === true) return 'implicit';
  if (assignmentCasts[from.name]?.includes(to.name) === true) return 'assignment';
  if (explicitCasts[from.name]?.includes(to.name) === true) return 'explicit';
  // Every type goes through its text: into text on assignment, out of text only when written.
  if (isText(to.name)) return 'assignment';
  return isText(from.name) ? 'explicit' : undefined;
}

function isText(name: TypeName): boolean {
  return name === 'text' || name === 'varchar';
}

/**
 * `value` of type `from` as `to`, whose length and precision are applied by the rule of an explicit cast
 * (varchar(n) cuts) or of an assignment (varchar(n) refuses). NULL stays NULL.
 * Throws TYPE_MISMATCH when castContext knows no such cast, and what parseText throws.
 */
export function castValue(
  from: ColumnType,
  to: ColumnType,
  value: Value,
  explicit: boolean,
): Value {
  if (value === null) return null;
  const converted = from.name === to.name ? value : convert(from, to, value, explicit);
  return explicit ? coerceExplicitly(to, converted) : coerceToColumn(to, converted);
}

function convert(
  from: ColumnType,
  to: ColumnType,
  value: NonNullable<Value>,
  explicit: boolean,
): Value {
  if (isText(to.name)) return textOf(from, to, value, explicit);
  if (isText(from.name)) return parseText(to, value as string);
  switch (from.name) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return ofWhole(from, to, value as number | bigint);
    case 'real':
    case 'double precision':
      return ofFloat(from, to, value as number);
    case 'numeric':
      return ofNumeric(from, to, value as string);
    case 'boolean':
      if (to.name === 'integer') return value === true ? 1 : 0;
      break;
    case 'date':
      if (to.name === 'timestamp' || to.name === 'timestamptz')
        return timestampOfDate(to.name, value as number);
      break;
    case 'timestamp':
    case 'timestamptz':
      if (to.name === 'date') return dateOfTimestamp(value as bigint);
      // Without zones other than UTC both count the same microseconds.
      if (to.name === 'timestamp' || to.name === 'timestamptz') return value;
      break;
    case 'jsonb':
      return ofJsonb(to, value as string);
    case 'bytea':
    case 'uuid':
    case 'interval':
    case 'text':
    case 'varchar':
      break;
    default:
      unreachable(from.name);
  }
  throw noCast(from, to);
}

function noCast(from: ColumnType, to: ColumnType): Error {
  return sqlError(
    'TYPE_MISMATCH',
    `There is no cast from ${from.name} to ${to.name}. Cast through text, or choose another type.`,
  );
}

function textOf(
  from: ColumnType,
  to: ColumnType,
  value: NonNullable<Value>,
  explicit: boolean,
): string {
  // The one cast to text that is not the output form.
  const text = from.name === 'boolean' ? String(value) : formatText(from, value);
  return explicit && to.length !== undefined ? truncateLength(text, to.length) : text;
}

function ofWhole(from: ColumnType, to: ColumnType, value: number | bigint): Value {
  if (isInteger(to.name))
    return typeof value === 'bigint' ? integerOf(to.name, value) : wholeOf(to.name, value);
  switch (to.name) {
    case 'real':
      return typeof value === 'bigint' ? realOfBigint(value) : Math.fround(value);
    case 'double precision':
      return Number(value);
    case 'numeric':
      return String(value);
    case 'boolean':
      if (from.name === 'integer') return value !== 0;
      break;
    default:
      break;
  }
  throw noCast(from, to);
}

/** A whole double as an integer of SQL. */
function wholeOf(to: IntegerName, value: number): number | bigint {
  if (to !== 'bigint') return checkInt(to, value) + 0;
  // 2^63 is a double; the largest bigint is not.
  if (!(value >= -(2 ** 63) && value < 2 ** 63)) throw outOfRange('bigint');
  return BigInt(value);
}

function ofFloat(from: ColumnType, to: ColumnType, value: number): Value {
  if (isInteger(to.name)) return wholeOf(to.name, roundHalfEven(value));
  switch (to.name) {
    case 'real':
      return realOf(value);
    case 'double precision':
      return value;
    case 'numeric':
      // As many digits as the type holds for certain: 6 and 15.
      return Number.isFinite(value)
        ? parseNumeric(roundSignificant(value, from.name === 'real' ? 6 : 15))
        : String(value);
    default:
      throw noCast(from, to);
  }
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

function ofNumeric(from: ColumnType, to: ColumnType, value: string): Value {
  if (isInteger(to.name)) {
    if (!isFiniteNumeric(value))
      throw outOfRange(to.name, 'NaN and infinity are no whole numbers.');
    const rounded = rescale(value, 0);
    if (rounded.length > 20) throw outOfRange(to.name);
    return integerOf(to.name, BigInt(rounded));
  }
  if (to.name === 'real') return parseReal(value);
  if (to.name === 'double precision') return parseDouble(value);
  throw noCast(from, to);
}

function ofJsonb(to: ColumnType, value: string): Value {
  const scalar = jsonbScalar(value);
  if (to.name === 'boolean' && typeof scalar === 'boolean') return scalar;
  if (to.name !== 'boolean' && typeof scalar === 'object') {
    const numeric: ColumnType = { name: 'numeric' };
    return to.name === 'numeric' ? scalar.number : ofNumeric(numeric, to, scalar.number);
  }
  throw sqlError(
    'INVALID_ARGUMENT',
    `The jsonb value is no ${to.name === 'boolean' ? 'boolean' : 'number'} and cannot be cast to ${to.name}.`,
  );
}
