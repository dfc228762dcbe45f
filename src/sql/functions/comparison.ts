import { type TypeName, typeNames, type Value } from '../../base/index.ts';
import { comparator } from '../types/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

/** Types whose equal values are always held as the same JavaScript value. */
const identical: ReadonlySet<TypeName> = new Set([
  'smallint',
  'integer',
  'bigint',
  'text',
  'varchar',
  'boolean',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
] as const);
/** Types whose order is that of JavaScript's `<` on their values. */
const ordered: ReadonlySet<TypeName> = new Set([
  'smallint',
  'integer',
  'bigint',
  'boolean',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
] as const);

type Held = number | bigint | string;
type Test = (left: Held, right: Held) => boolean;

const direct: Readonly<Record<string, Test>> = {
  '=': (left, right) => left === right,
  '<>': (left, right) => left !== right,
  '<': (left, right) => left < right,
  '<=': (left, right) => left <= right,
  '>': (left, right) => left > right,
  '>=': (left, right) => left >= right,
};

export const comparisonNames: ReadonlySet<string> = new Set(Object.keys(direct));

/** Whether equal values of a type are always the same JavaScript value, so that === and Set find them. */
export const isIdentical = (name: TypeName): boolean => identical.has(name);

function comparisons(name: TypeName): ScalarFunction[] {
  const compare = comparator({ name }) as (left: Value, right: Value) => number;
  const byOrder: Readonly<Record<string, (left: Value, right: Value) => boolean>> = {
    '=': (left, right) => compare(left, right) === 0,
    '<>': (left, right) => compare(left, right) !== 0,
    '<': (left, right) => compare(left, right) < 0,
    '<=': (left, right) => compare(left, right) <= 0,
    '>': (left, right) => compare(left, right) > 0,
    '>=': (left, right) => compare(left, right) >= 0,
  };
  return [...comparisonNames].map((operator) => {
    const isEquality = operator === '=' || operator === '<>';
    const plain = isEquality ? identical.has(name) : ordered.has(name);
    const call = plain ? direct[operator] : byOrder[operator];
    return scalar(
      operator,
      [name, name],
      'boolean',
      call as (left: Value, right: Value) => boolean,
    );
  });
}

export const comparisonFunctions: readonly ScalarFunction[] = typeNames.flatMap(comparisons);
