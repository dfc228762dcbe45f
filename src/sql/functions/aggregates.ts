import { type ColumnType, type TypeName, type Value, VerityError } from '../../base/index.ts';
import { castValue, comparator, numericAdd, numericDivide } from '../types/index.ts';

export const aggregateNames: ReadonlySet<string> = new Set(['count', 'sum', 'avg', 'min', 'max']);

const sumTypes: Partial<Record<TypeName, TypeName>> = {
  smallint: 'bigint',
  integer: 'bigint',
  bigint: 'numeric',
  numeric: 'numeric',
  real: 'real',
  'double precision': 'double precision',
};
const averageTypes: Partial<Record<TypeName, TypeName>> = {
  smallint: 'numeric',
  integer: 'numeric',
  bigint: 'numeric',
  numeric: 'numeric',
  real: 'double precision',
  'double precision': 'double precision',
};
const unordered: ReadonlySet<TypeName> = new Set(['boolean', 'jsonb', 'uuid'] as const);

/** The result type of an aggregate over `argument` (undefined for *), or undefined if there is none. */
export function aggregateType(
  name: string,
  argument: ColumnType | undefined,
): ColumnType | undefined {
  if (name === 'count') return { name: 'bigint' };
  if (argument === undefined) return undefined;
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
  add(value: NonNullable<Value>): void;
  result(): Value;
}

/** A new accumulator for one run. `argument` is undefined for count(*). */
export function accumulator(name: string, argument: ColumnType | undefined): Accumulator {
  if (name === 'count' || argument === undefined) return counting();
  if (name === 'min') return extreme(argument, -1);
  if (name === 'max') return extreme(argument, 1);
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

function extreme(type: ColumnType, sign: -1 | 1): Accumulator {
  const compare = comparator(type);
  let best: Value = null;
  return {
    add: (value) => {
      if (best === null || compare(value, best) === sign) best = value;
    },
    result: () => best,
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
  };
}
