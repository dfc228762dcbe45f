/** ceil, floor, trunc, sign, mod, power and their like. */
import { type TypeName, VerityError } from '../../base/index.ts';
import { arithmeticFunctions } from './arithmetic.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

const special = /^-?(?:NaN|Infinity)$/;

/** A numeric without what is behind its `scale` first digits; zeros before the point when negative. */
function truncate(value: string, scale: number): string {
  if (special.test(value)) return value;
  const [whole = '0', fraction = ''] = value.split('.');
  if (scale > 0) {
    const cut = `${whole}.${fraction.slice(0, scale).padEnd(Math.min(scale, 16_383), '0')}`;
    return /[1-9]/.test(cut) ? cut : cut.replace('-', '');
  }
  if (scale === 0) return withoutMinusZero(whole);
  const factor = 10n ** BigInt(Math.min(-scale, whole.length));
  return ((BigInt(whole) / factor) * factor).toString();
}

const withoutMinusZero = (whole: string): string => (whole === '-0' ? '0' : whole);

function toWhole(value: string, up: boolean): string {
  if (special.test(value)) return value;
  const [whole = '0', fraction = ''] = value.split('.');
  const isNegative = value.startsWith('-');
  if (!/[1-9]/.test(fraction) || isNegative === up) return withoutMinusZero(whole);
  return (BigInt(whole) + (up ? 1n : -1n)).toString();
}

const signOf = (value: string): string => {
  if (value === 'NaN') return value;
  return /[1-9I]/.test(value) ? (value.startsWith('-') ? '-1' : '1') : '0';
};

const outOfRange = (): VerityError =>
  new VerityError('NUMERIC_OUT_OF_RANGE', 'A result is out of the range of double precision.');

function domain(what: string): VerityError {
  return new VerityError('INVALID_FUNCTION_ARGUMENT', what);
}

function power(base: number, exponent: number): number {
  if (base === 0 && exponent < 0) throw domain('Zero cannot be raised to a negative power.');
  if (base < 0 && Number.isFinite(base) && Number.isFinite(exponent) && !Number.isInteger(exponent))
    throw domain('A negative number cannot be raised to a power that is not whole.');
  if (base === 1 || exponent === 0) return 1;
  const result = base ** exponent;
  const isFinite = Number.isFinite(base) && Number.isFinite(exponent);
  if (isFinite && (!Number.isFinite(result) || (result === 0 && base !== 0))) throw outOfRange();
  return result;
}

function squareRoot(value: number): number {
  if (value < 0) throw domain('There is no square root of a negative number.');
  return Math.sqrt(value);
}

function logarithm(value: number, log: (value: number) => number): number {
  if (value <= 0)
    throw new VerityError('INVALID_LOGARITHM', 'There is no logarithm of zero or less.');
  return log(value);
}

function exponential(value: number): number {
  const result = Math.exp(value);
  if (Number.isFinite(value) && (result === 0 || !Number.isFinite(result))) throw outOfRange();
  return result;
}

const double: TypeName = 'double precision';
const ofDouble = (name: string, call: (value: number) => number): ScalarFunction =>
  scalar(name, [double], double, call);
const ofNumeric = (name: string, call: (value: string) => string): ScalarFunction =>
  scalar(name, ['numeric'], 'numeric', call);

/** mod is another name of %. */
const modulo = arithmeticFunctions
  .filter((each) => each.name === '%' && each.args.length === 2)
  .map((each): ScalarFunction => ({ ...each, name: 'mod' }));

export const mathematicalFunctions: readonly ScalarFunction[] = [
  ...modulo,
  ...['ceil', 'ceiling'].flatMap((name) => [
    ofDouble(name, Math.ceil),
    ofNumeric(name, (value) => toWhole(value, true)),
  ]),
  ofDouble('floor', Math.floor),
  ofNumeric('floor', (value) => toWhole(value, false)),
  ofDouble('trunc', Math.trunc),
  ofNumeric('trunc', (value) => truncate(value, 0)),
  scalar('trunc', ['numeric', 'integer'], 'numeric', truncate),
  // Of NaN and of -0 it is 0.
  ofDouble('sign', (value) => Number(value > 0) - Number(value < 0)),
  ofNumeric('sign', signOf),
  scalar('power', [double, double], double, power),
  scalar('^', [double, double], double, power),
  scalar('pow', [double, double], double, power),
  ofDouble('sqrt', squareRoot),
  ofDouble('exp', exponential),
  ofDouble('ln', (value) => logarithm(value, Math.log)),
  ofDouble('log', (value) => logarithm(value, Math.log10)),
  ofDouble('log10', (value) => logarithm(value, Math.log10)),
  scalar('pi', [], double, () => Math.PI),
];

/** Functions that PostgreSQL also has for numeric, with digits of its own choosing. */
export const doubleOnly: ReadonlySet<string> = new Set([
  '^',
  'power',
  'pow',
  'sqrt',
  'exp',
  'ln',
  'log',
  'log10',
]);
