/** + - * / % abs and round with PostgreSQL's ranges: overflow is NUMERIC_OUT_OF_RANGE, never a wrong number. */
import { type TypeName, VerityError } from '../../base/index.ts';
import {
  checkDate,
  numericAbs,
  numericAdd,
  numericCompare,
  numericDivide,
  numericModulo,
  numericMultiply,
  numericNegate,
  numericRound,
  numericSubtract,
} from '../types/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

const outOfRange = (type: TypeName): VerityError =>
  new VerityError(
    'NUMERIC_OUT_OF_RANGE',
    `A result is out of the range of ${type}; cast an operand to a wider type.`,
  );

const divisionByZero = (): VerityError =>
  new VerityError(
    'DIVISION_BY_ZERO',
    'Division by zero; guard the divisor, for example with NULLIF(divisor, 0).',
  );

function wholeNumbers(type: 'smallint' | 'integer', min: number, max: number): ScalarFunction[] {
  // Products of two 32-bit numbers beyond 2^53 are inexact, but far out of range all the same.
  const check = (value: number): number => {
    if (value < min || value > max) throw outOfRange(type);
    return value | 0;
  };
  const divisor = (value: number): number => {
    if (value === 0) throw divisionByZero();
    return value;
  };
  const binary = (name: string, call: (left: number, right: number) => number): ScalarFunction =>
    scalar(name, [type, type], type, call);
  return [
    binary('+', (left, right) => check(left + right)),
    binary('-', (left, right) => check(left - right)),
    binary('*', (left, right) => check(left * right)),
    binary('/', (left, right) => check(Math.trunc(left / divisor(right)))),
    binary('%', (left, right) => check(left % divisor(right))),
    scalar('-', [type], type, (value: number) => check(-value)),
    scalar('+', [type], type, (value: number) => value),
    scalar('abs', [type], type, (value: number) => check(Math.abs(value))),
  ];
}

function bigints(): ScalarFunction[] {
  const check = (value: bigint): bigint => {
    if (BigInt.asIntN(64, value) !== value) throw outOfRange('bigint');
    return value;
  };
  const divisor = (value: bigint): bigint => {
    if (value === 0n) throw divisionByZero();
    return value;
  };
  const binary = (name: string, call: (left: bigint, right: bigint) => bigint): ScalarFunction =>
    scalar(name, ['bigint', 'bigint'], 'bigint', call);
  return [
    binary('+', (left, right) => check(left + right)),
    binary('-', (left, right) => check(left - right)),
    binary('*', (left, right) => check(left * right)),
    binary('/', (left, right) => check(left / divisor(right))),
    binary('%', (left, right) => left % divisor(right)),
    scalar('-', ['bigint'], 'bigint', (value: bigint) => check(-value)),
    scalar('+', ['bigint'], 'bigint', (value: bigint) => value),
    scalar('abs', ['bigint'], 'bigint', (value: bigint) => check(value < 0n ? -value : value)),
  ];
}

function floats(
  type: 'real' | 'double precision',
  round: (value: number) => number,
): ScalarFunction[] {
  const overflow = (value: number, left: number, right: number): number => {
    const result = round(value);
    if (!Number.isFinite(result) && Number.isFinite(left) && Number.isFinite(right))
      throw outOfRange(type);
    return result;
  };
  const binary = (name: string, call: (left: number, right: number) => number): ScalarFunction =>
    scalar(name, [type, type], type, call);
  return [
    binary('+', (left, right) => overflow(left + right, left, right)),
    binary('-', (left, right) => overflow(left - right, left, right)),
    binary('*', (left, right) => {
      const result = overflow(left * right, left, right);
      if (result === 0 && left !== 0 && right !== 0) throw outOfRange(type);
      return result;
    }),
    binary('/', (left, right) => {
      if (right === 0 && !Number.isNaN(left)) throw divisionByZero();
      const result = overflow(left / right, left, right);
      if (result === 0 && left !== 0 && Number.isFinite(right)) throw outOfRange(type);
      return result;
    }),
    scalar('-', [type], type, (value: number) => -value),
    scalar('+', [type], type, (value: number) => value),
    scalar('abs', [type], type, (value: number) => Math.abs(value)),
  ];
}

function numerics(): ScalarFunction[] {
  const isZero = (value: string): boolean => value !== 'NaN' && numericCompare(value, '0') === 0;
  const binary = (name: string, call: (left: string, right: string) => string): ScalarFunction =>
    scalar(name, ['numeric', 'numeric'], 'numeric', call);
  const dividing =
    (call: (left: string, right: string) => string) =>
    (left: string, right: string): string => {
      if (isZero(right) && left !== 'NaN') throw divisionByZero();
      return call(left, right);
    };
  return [
    binary('+', numericAdd),
    binary('-', numericSubtract),
    binary('*', numericMultiply),
    binary('/', dividing(numericDivide)),
    binary('%', dividing(numericModulo)),
    scalar('-', ['numeric'], 'numeric', numericNegate),
    scalar('+', ['numeric'], 'numeric', (value: string) => value),
    scalar('abs', ['numeric'], 'numeric', numericAbs),
    scalar('round', ['numeric'], 'numeric', (value: string) => numericRound(value, 0)),
    scalar('round', ['numeric', 'integer'], 'numeric', numericRound),
  ];
}

/** To the nearest whole number, halves to the even one; what is negative stays so, down to -0. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  // An infinity, or NaN.
  if (Number.isNaN(rest)) return value;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  const rounded = up ? floor + 1 : floor;
  return rounded === 0 && value < 0 ? -0 : rounded;
}

/** Days since 1970, with ±infinity. */
function dates(): ScalarFunction[] {
  const check = (days: number): number => (Number.isFinite(days) ? checkDate(days) : days);
  return [
    scalar('+', ['date', 'integer'], 'date', (date: number, days: number) => check(date + days)),
    scalar('+', ['integer', 'date'], 'date', (days: number, date: number) => check(date + days)),
    scalar('-', ['date', 'integer'], 'date', (date: number, days: number) => check(date - days)),
    scalar('-', ['date', 'date'], 'integer', (left: number, right: number) => {
      const days = left - right;
      if (!Number.isFinite(days)) {
        throw new VerityError(
          'DATETIME_OUT_OF_RANGE',
          'Infinite dates cannot be subtracted; compare them instead.',
        );
      }
      return days;
    }),
  ];
}

export const arithmeticFunctions: readonly ScalarFunction[] = [
  ...wholeNumbers('smallint', -(2 ** 15), 2 ** 15 - 1),
  ...wholeNumbers('integer', -(2 ** 31), 2 ** 31 - 1),
  ...bigints(),
  ...floats('real', Math.fround),
  ...floats('double precision', (value) => value),
  ...numerics(),
  ...dates(),
  scalar('round', ['double precision'], 'double precision', roundHalfEven),
];
