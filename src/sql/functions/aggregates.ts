import { type ColumnType, type TypeName, type Value, VerityError } from '../../base/index.ts';
import { checkTextSize } from './text.ts';
import {
  addIntervals,
  castValue,
  comparator,
  numericAdd,
  numericDivide,
  scaleInterval,
} from '../types/index.ts';

export const aggregateNames: ReadonlySet<string> = new Set([
  'count',
  'sum',
  'avg',
  'min',
  'max',
  'bool_and',
  'bool_or',
  'every',
  'string_agg',
]);

const sumTypes: Partial<Record<TypeName, TypeName>> = {
  smallint: 'bigint',
  integer: 'bigint',
  bigint: 'numeric',
  numeric: 'numeric',
  real: 'real',
  'double precision': 'double precision',
  interval: 'interval',
};
const averageTypes: Partial<Record<TypeName, TypeName>> = {
  smallint: 'numeric',
  integer: 'numeric',
  bigint: 'numeric',
  numeric: 'numeric',
  real: 'double precision',
  'double precision': 'double precision',
  interval: 'interval',
};
const mayBeLong: ReadonlySet<TypeName> = new Set(['text', 'varchar', 'bytea', 'numeric'] as const);
const unordered: ReadonlySet<TypeName> = new Set(['boolean', 'jsonb', 'uuid'] as const);

/** The result type of an aggregate over `argument` (undefined for *), or undefined if there is none. */
export function aggregateType(
  name: string,
  argument: ColumnType | undefined,
): ColumnType | undefined {
  if (name === 'count') return { name: 'bigint' };
  if (argument === undefined) return undefined;
  if (name === 'bool_and' || name === 'bool_or' || name === 'every')
    return argument.name === 'boolean' ? { name: 'boolean' } : undefined;
  if (name === 'string_agg') {
    const isText = argument.name === 'text' || argument.name === 'varchar';
    return isText ? { name: 'text' } : undefined;
  }
  if (name === 'min' || name === 'max') {
    return unordered.has(argument.name)
      ? undefined
      : { name: argument.name === 'varchar' ? 'text' : argument.name };
  }
  const result = (name === 'sum' ? sumTypes : averageTypes)[argument.name];
  return result === undefined ? undefined : { name: result };
}

/** Takes the values of an aggregate's argument, NULLs left out, and yields its result. */
export interface Accumulator {
  /** `delimiter` is that of string_agg for this row. */
  add(value: NonNullable<Value>, delimiter: Value): void;
  result(): Value;
  /** The value that it keeps, if that may be a long one. */
  readonly kept?: () => Value;
}

/** A new accumulator for one run. `argument` is undefined for count(*). */
export function accumulator(name: string, argument: ColumnType | undefined): Accumulator {
  if (name === 'count' || argument === undefined) return counting();
  if (name === 'min') return extreme(argument, -1);
  if (name === 'max') return extreme(argument, 1);
  if (name === 'bool_or') return decided(true);
  if (name === 'bool_and' || name === 'every') return decided(false);
  if (name === 'string_agg') return joinedText();
  if (argument.name === 'interval') return intervalTotal(name === 'avg');
  if (argument.name === 'real' || argument.name === 'double precision')
    return floatTotal(argument, name === 'avg');
  return exactTotal(argument, name === 'avg');
}

function counting(): Accumulator {
  let count = 0;
  return {
    add: () => {
      count++;
    },
    result: () => BigInt(count),
  };
}

/** True (`decisive` true) or false as soon as one value is; NULL without values. */
function decided(decisive: boolean): Accumulator {
  let result: Value = null;
  return {
    add: (value) => {
      if (result !== decisive) result = value;
    },
    result: () => result,
  };
}

/** The values behind one another, each but the first behind its delimiter. */
function joinedText(): Accumulator {
  let text: string | null = null;
  return {
    add: (value, delimiter) => {
      const next: string =
        text === null
          ? (value as string)
          : `${text}${(delimiter ?? '') as string}${value as string}`;
      text = checkTextSize(next);
    },
    result: () => text,
    kept: () => text,
  };
}

function extreme(type: ColumnType, sign: -1 | 1): Accumulator {
  const compare = comparator(type);
  let best: Value = null;
  return {
    add: (value) => {
      if (best === null || compare(value, best) === sign) best = value;
    },
    result: () => best,
    ...(mayBeLong.has(type.name) && { kept: () => best }),
  };
}

function floatTotal(type: ColumnType, average: boolean): Accumulator {
  let total = 0;
  let count = 0;
  return {
    add: (value) => {
      const next = total + (value as number);
      if (!Number.isFinite(next) && Number.isFinite(total) && Number.isFinite(value)) {
        throw new VerityError(
          'NUMERIC_OUT_OF_RANGE',
          `The sum is out of the range of ${type.name}; cast the argument to numeric.`,
        );
      }
      total = !average && type.name === 'real' ? Math.fround(next) : next;
      count++;
    },
    result: () => (count === 0 ? null : average ? total / count : total),
  };
}

function intervalTotal(average: boolean): Accumulator {
  let total = '0 0 0';
  let count = 0;
  return {
    add: (value) => {
      total = addIntervals(total, value as string, 1);
      count++;
    },
    result: () => {
      if (count === 0) return null;
      return average ? scaleInterval(total, (value) => value / count) : total;
    },
  };
}

/** Whole numbers and numeric: exact, whole numbers in a bigint. */
function exactTotal(type: ColumnType, average: boolean): Accumulator {
  const isNumeric = type.name === 'numeric';
  let whole = 0n;
  let decimal = '0';
  let count = 0;
  return {
    add: (value) => {
      if (isNumeric)
        decimal = count === 0 ? (value as string) : numericAdd(decimal, value as string);
      else whole += BigInt(value as number | bigint);
      count++;
    },
    result: () => {
      if (count === 0) return null;
      if (average) return numericDivide(isNumeric ? decimal : whole.toString(), count.toString());
      if (isNumeric) return decimal;
      if (type.name === 'bigint') return whole.toString();
      return castValue({ name: 'numeric' }, { name: 'bigint' }, whole.toString(), false);
    },
    ...(isNumeric && { kept: () => decimal }),
  };
}
