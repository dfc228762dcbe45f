/**
 * real and double precision as text.
 *
 * Output is PostgreSQL's (extra_float_digits = 1): the shortest digits that lie strictly between the
 * midpoints to the neighbours, in exponent form from 10^15 (real: 10^6) and below 10^-4.
 */
import { assert } from '../../base/index.ts';
import { invalidText, outOfRange } from './errors.ts';
import { trimSpace } from './numeric-text.ts';

const floatPattern = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

/** Reads a double. Throws INVALID_TEXT; NUMERIC_OUT_OF_RANGE on overflow, and on underflow to zero. */
export function parseDouble(text: string): number {
  return parseFloating('double precision', text);
}

/** Reads a real, rounded once from the digits. Throws as parseDouble does. */
export function parseReal(text: string): number {
  const trimmed = trimSpace(text);
  const double = parseFloating('real', trimmed);
  const real = Math.fround(double);
  if (real !== double && Number.isFinite(real)) {
    const other = neighbour(real, double > real);
    // Exactly between two floats the double may itself be rounded: only the digits can tell.
    if ((real + other) / 2 === double)
      return checkReal(roundAtMidpoint(trimmed, double, real, other), double);
  }
  return checkReal(real, double);
}

function parseFloating(type: 'real' | 'double precision', text: string): number {
  const trimmed = trimSpace(text);
  if (!floatPattern.test(trimmed)) return parseSpecial(type, trimmed);
  const value = Number(trimmed);
  if (!Number.isFinite(value) || (value === 0 && /^[^eE]*[1-9]/.test(trimmed)))
    throw outOfRange(type);
  return value;
}

function parseSpecial(type: 'real' | 'double precision', text: string): number {
  switch (text.toLowerCase()) {
    case 'nan':
      return Number.NaN;
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return Infinity;
    case '-inf':
    case '-infinity':
      return -Infinity;
    default:
      throw invalidText(type, 'Write decimal digits with an optional sign, point and exponent.');
  }
}

/** A double rounded to real. Throws NUMERIC_OUT_OF_RANGE on overflow, and on underflow to zero. */
export function realOf(value: number): number {
  return checkReal(Math.fround(value), value);
}

function checkReal(real: number, double: number): number {
  if (!Number.isFinite(real) && Number.isFinite(double)) throw outOfRange('real');
  if (real === 0 && double !== 0) throw outOfRange('real');
  return real;
}

/** A whole number rounded once to real. */
export function realOfBigint(value: bigint): number {
  const size = value < 0n ? -value : value;
  if (size < 2n ** 53n) return Math.fround(Number(value));
  assert(size <= 2n ** 63n, 'the value is a bigint of SQL');
  // 51 bits with the lost ones folded into the last keep every tie and every side of it.
  const kept = size >> 12n;
  const folded = kept << 12n === size ? kept : kept | 1n;
  const real = Math.fround(Number(folded) * 4096);
  return value < 0n ? -real : real;
}

const bits = new DataView(new ArrayBuffer(8));

/** The next float32 above (`up`) or below; past the largest: 2^128, as if the exponent went on. */
function neighbour(real: number, up: boolean): number {
  if (real === 0) return up ? 2 ** -149 : -(2 ** -149);
  bits.setFloat32(0, real);
  bits.setInt32(0, bits.getInt32(0) + (up === real > 0 ? 1 : -1));
  const next = bits.getFloat32(0);
  return Number.isFinite(next) ? next : Math.sign(next) * 2 ** 128;
}

function nextDouble(value: number, up: boolean): number {
  bits.setFloat64(0, value);
  bits.setBigInt64(0, bits.getBigInt64(0) + (up ? 1n : -1n));
  return bits.getFloat64(0);
}

/** `text` reads as exactly `double`, midway between the floats `even` (the tie's choice) and `other`. */
function roundAtMidpoint(text: string, double: number, even: number, other: number): number {
  const order = compareExactly(text, double);
  if (order === 0) return even;
  return order > 0 === other > even ? other : even;
}

/** Whether the digits of `text` stand for more (1), exactly (0) or less (-1) than `value`. */
function compareExactly(text: string, value: number): number {
  const exponentAt = text.search(/[eE]/);
  const digits = exponentAt === -1 ? text : text.slice(0, exponentAt);
  const exponent = exponentAt === -1 ? 0 : Number(text.slice(exponentAt + 1));
  const point = digits.indexOf('.');
  const unscaled = BigInt(
    (point === -1 ? digits : digits.slice(0, point) + digits.slice(point + 1)).replace('+', ''),
  );
  const power = exponent - (point === -1 ? 0 : digits.length - point - 1);
  const exact = exactBinary(value);
  // unscaled × 10^power against mantissa × 2^exponent, brought to whole numbers.
  let left = unscaled;
  let right = exact.mantissa;
  if (power >= 0) left *= 10n ** BigInt(power);
  else right *= 10n ** BigInt(-power);
  if (exact.exponent >= 0) right <<= BigInt(exact.exponent);
  else left <<= BigInt(-exact.exponent);
  return left === right ? 0 : left > right ? 1 : -1;
}

function exactBinary(value: number): { readonly mantissa: bigint; readonly exponent: number } {
  bits.setFloat64(0, value);
  const raw = bits.getBigUint64(0);
  const biased = Number((raw >> 52n) & 0x7ffn);
  const fraction = raw & 0xf_ffff_ffff_ffffn;
  const mantissa = biased === 0 ? fraction : fraction | (1n << 52n);
  return { mantissa: value < 0 ? -mantissa : mantissa, exponent: Math.max(biased, 1) - 1075 };
}

/** PostgreSQL's text of a double. */
export function formatDouble(value: number): string {
  if (!Number.isFinite(value) || value === 0) return formatSpecial(value);
  return layOut(shortestDouble(value), 15);
}

/** PostgreSQL's text of a real. */
export function formatReal(value: number): string {
  if (!Number.isFinite(value) || value === 0) return formatSpecial(value);
  return layOut(shortestReal(value), 6);
}

function formatSpecial(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Exponential form, e.g. '-1.25e+3'. */
function shortestDouble(value: number): string {
  const shortest = value.toExponential();
  const size = Math.abs(value);
  // A midpoint to a neighbour is itself a short decimal only among whole numbers from 2^53 to about 10^40.
  if (size <= 2 ** 53 || size > 1e41 || !isMidpoint(shortest, value)) return shortest;
  for (let digits = 15; ; digits++) {
    const longer = value.toExponential(digits);
    if (Number(longer) === value && !isMidpoint(longer, value)) return longer;
  }
}

function isMidpoint(text: string, value: number): boolean {
  const exact = exactBinary(value);
  const other = exactBinary(nextDouble(value, compareExactly(text, value) > 0 === value > 0));
  const shift = BigInt(exact.exponent - other.exponent);
  // From 2^53 on all of these are whole numbers: twice the text against the sum of both.
  const sum =
    (shift >= 0n ? exact.mantissa << shift : exact.mantissa) +
    (shift >= 0n ? other.mantissa : other.mantissa << -shift);
  const exponent = BigInt(Math.min(exact.exponent, other.exponent));
  const [mantissa, power] = text.split('e') as [string, string];
  const point = mantissa.indexOf('.');
  const places = point === -1 ? 0 : mantissa.length - point - 1;
  const twice = 2n * BigInt(mantissa.replace('.', '')) * 10n ** BigInt(Number(power) - places);
  return twice === sum << exponent;
}

/** Exponential form of the fewest digits strictly inside the float32's rounding interval. */
function shortestReal(value: number): string {
  // Sums of neighbours are exact in doubles.
  const low = (value + neighbour(value, false)) / 2;
  const high = (value + neighbour(value, true)) / 2;
  for (let digits = 0; digits < 9; digits++) {
    const nearest = value.toExponential(digits);
    if (isInside(nearest, low, high)) return roundSignificant(value, digits + 1);
    // At a power of two the interval is wider on the far side than the nearest decimal's side.
    const farther = stepUp(nearest, value);
    if (isInside(farther, low, high)) return farther;
  }
  return value.toExponential(8);
}

function isInside(text: string, low: number, high: number): boolean {
  const value = Number(text);
  return value > low && value < high;
}

/** The decimal of as many digits next to `nearest`, away from zero when `nearest` is nearer to zero than `value`. */
function stepUp(nearest: string, value: number): string {
  const [mantissa, power] = nearest.split('e') as [string, string];
  const places = mantissa.includes('.') ? mantissa.length - mantissa.indexOf('.') - 1 : 0;
  const up = Math.abs(Number(nearest)) < Math.abs(value);
  const digits = BigInt(mantissa.replace('.', '').replace('-', '')) + (up ? 1n : -1n);
  if (digits <= 0n) return nearest;
  return Number(`${value < 0 ? '-' : ''}${digits}e${Number(power) - places}`).toExponential(places);
}

/** Plain digits, or an exponent of at least two digits. `text` is in JavaScript's exponential form. */
function layOut(text: string, exponentFrom: number): string {
  const [mantissa, power] = text.split('e') as [string, string];
  const exponent = Number(power);
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = trimZeros(mantissa.replace('-', '').replace('.', ''));
  if (exponent < -4 || exponent >= exponentFrom) {
    const places = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const size = Math.abs(exponent).toString().padStart(2, '0');
    return `${sign}${digits.charAt(0)}${places}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return sign + digits.padEnd(exponent + 1, '0');
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 1 && digits.charCodeAt(end - 1) === 0x30) end--;
  return digits.slice(0, end);
}

/** The value rounded half to even to so many significant digits, for the cast to numeric: 'd.ddde±n'. */
export function roundSignificant(value: number, digits: number): string {
  const rounded = value.toExponential(digits - 1);
  // JavaScript takes the larger of two equally near decimals, C the even one.
  const exact = value.toExponential(40);
  const digitsOf = (text: string): string =>
    text.slice(0, text.indexOf('e')).replace('-', '').replace('.', '');
  const rest = digitsOf(exact).slice(digits);
  const isTie = rest.startsWith('5') && !/[1-9]/.test(rest.slice(1));
  const kept = digitsOf(exact).slice(0, digits);
  if (!isTie || Number(kept.at(-1)) % 2 === 1) return stripMantissa(rounded);
  const sign = value < 0 ? '-' : '';
  return stripMantissa(
    `${sign}${kept.charAt(0)}.${kept.slice(1)}${exact.slice(exact.indexOf('e'))}`,
  );
}

function stripMantissa(text: string): string {
  const [mantissa, power] = text.split('e') as [string, string];
  const sign = mantissa.startsWith('-') ? '-' : '';
  const digits = trimZeros(mantissa.replace('-', '').replace('.', ''));
  return `${sign}${digits.charAt(0)}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${power}`;
}
