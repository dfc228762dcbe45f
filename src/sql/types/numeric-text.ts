/**
 * Numeric as text: parsing, scales and limits.
 *
 * Invariant: everything returned is canonical as base's table of values says: no leading zeros, no
 * '-0', digits after the point exactly to the scale.
 */
import { type ColumnType, sqlError } from '../../base/index.ts';
import { invalidText, outOfRange } from './errors.ts';

/** A finite number: unscaled / 10^scale; scale ≥ 0. */
export interface Decimal {
  readonly unscaled: bigint;
  readonly scale: number;
}

/** PostgreSQL's bounds of a numeric: digits before and after the point. */
export const wholeDigitsMax = 131_072;
export const scaleMax = 16_383;
const exponentMax = 1_000_000;
const zero = 0x30;
const nine = 0x39;

export function isFiniteNumeric(text: string): boolean {
  const code = text.charCodeAt(text.length - 1);
  return code >= zero && code <= nine;
}

/** Whether a canonical finite numeric is below zero. */
export function isNegative(text: string): boolean {
  return text.charCodeAt(0) === 0x2d;
}

function scaleOf(text: string): number {
  const point = text.indexOf('.');
  return point === -1 ? 0 : text.length - point - 1;
}

/** The digits of a canonical finite numeric as one whole number and its scale. */
export function decimalOf(text: string): Decimal {
  const point = text.indexOf('.');
  if (point === -1) return { unscaled: BigInt(text), scale: 0 };
  return {
    unscaled: BigInt(text.slice(0, point) + text.slice(point + 1)),
    scale: text.length - point - 1,
  };
}

/** The canonical text of a decimal. Throws NUMERIC_OUT_OF_RANGE past PostgreSQL's bounds. */
export function decimalText({ unscaled, scale }: Decimal): string {
  const negative = unscaled < 0n;
  const digits = (negative ? -unscaled : unscaled).toString().padStart(scale + 1, '0');
  const wholeLength = digits.length - scale;
  if (wholeLength > wholeDigitsMax || scale > scaleMax) throw outOfRange('numeric');
  const magnitude =
    scale === 0 ? digits : `${digits.slice(0, wholeLength)}.${digits.slice(wholeLength)}`;
  return negative ? `-${magnitude}` : magnitude;
}

const smallPowers = Array.from({ length: 64 }, (_, exponent) => 10n ** BigInt(exponent));

export function powerOf10(exponent: number): bigint {
  return smallPowers[exponent] ?? 10n ** BigInt(exponent);
}

/** Reads PostgreSQL's input syntax. Throws INVALID_TEXT, NUMERIC_OUT_OF_RANGE. */
export function parseNumeric(text: string): string {
  if (isShortAndCanonical(text)) return text;
  const trimmed = trimSpace(text);
  let at = 0;
  const sign = trimmed.charAt(0);
  if (sign === '-' || sign === '+') at = 1;
  const wholeStart = at;
  at = skipDigits(trimmed, at);
  const whole = trimmed.slice(wholeStart, at);
  let fraction = '';
  if (trimmed.charAt(at) === '.') {
    const start = at + 1;
    at = skipDigits(trimmed, start);
    fraction = trimmed.slice(start, at);
  }
  if (whole === '' && fraction === '') return parseSpecial(trimmed);
  const exponent = at === trimmed.length ? 0 : parseExponent(trimmed, at);
  return canonical(sign === '-', whole, fraction, exponent);
}

const shortLength = 32;

/** Whether a short text is canonical as it stands: a number without sign, most of the time. */
function isShortAndCanonical(text: string): boolean {
  const length = text.length;
  if (length === 0 || length > shortLength) return false;
  const wholeEnd = skipDigits(text, 0);
  if (wholeEnd === 0 || (wholeEnd > 1 && text.charCodeAt(0) === zero)) return false;
  if (wholeEnd === length) return true;
  return (
    text.charCodeAt(wholeEnd) === 0x2e &&
    wholeEnd + 1 < length &&
    skipDigits(text, wholeEnd + 1) === length
  );
}

function parseSpecial(text: string): string {
  switch (text.toLowerCase()) {
    case 'nan':
      return 'NaN';
    case 'inf':
    case '+inf':
    case 'infinity':
    case '+infinity':
      return 'Infinity';
    case '-inf':
    case '-infinity':
      return '-Infinity';
    default:
      throw malformed();
  }
}

function malformed(): Error {
  return invalidText('numeric', 'Write decimal digits with an optional sign, point and exponent.');
}

function parseExponent(text: string, at: number): number {
  if (text.charAt(at) !== 'e' && text.charAt(at) !== 'E') throw malformed();
  const sign = text.charAt(at + 1);
  const start = sign === '-' || sign === '+' ? at + 2 : at + 1;
  if (start === text.length || skipDigits(text, start) !== text.length) throw malformed();
  const exponent = Number(text.slice(at + 1));
  if (Math.abs(exponent) > exponentMax) throw outOfRange('numeric');
  return exponent;
}

/** whole.fraction × 10^exponent in canonical form. Checks the size before it makes the text. */
function canonical(negative: boolean, whole: string, fraction: string, exponent: number): string {
  const digits = whole + fraction;
  const wholeLength = whole.length + exponent;
  const scale = Math.max(0, fraction.length - exponent);
  let first = 0;
  while (first < digits.length && digits.charCodeAt(first) === zero) first++;
  const isZero = first === digits.length;
  if (scale > scaleMax || (!isZero && wholeLength - first > wholeDigitsMax))
    throw outOfRange('numeric');
  let magnitude: string;
  if (isZero) magnitude = '0';
  else if (wholeLength <= first) magnitude = '0';
  else magnitude = digits.slice(first, wholeLength).padEnd(wholeLength - first, '0');
  if (scale > 0) {
    const places = isZero
      ? ''
      : wholeLength < 0
        ? '0'.repeat(-wholeLength) + digits
        : digits.slice(wholeLength);
    magnitude += `.${places.slice(0, scale).padEnd(scale, '0')}`;
  }
  return negative && !isZero ? `-${magnitude}` : magnitude;
}

function skipDigits(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < zero || code > nine) break;
  }
  return at;
}

/** Without PostgreSQL's white space (isspace of the C locale) at either end. */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start++;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

export function isSpace(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

/** A finite numeric rounded half away from zero to `scale` places (negative: to tens, hundreds, …), padded with zeros. */
export function rescale(text: string, scale: number): string {
  const shown = Math.max(0, scale);
  const current = scaleOf(text);
  if (current === scale) return text;
  if (current < scale) return `${current === 0 ? `${text}.` : text}${'0'.repeat(scale - current)}`;
  const { unscaled } = decimalOf(text);
  const rounded = divideRounded(unscaled, powerOf10(current - scale));
  return decimalText({ unscaled: scale < 0 ? rounded * powerOf10(-scale) : rounded, scale: shown });
}

/** Quotient rounded half away from zero; `divisor` > 0. */
export function divideRounded(dividend: bigint, divisor: bigint): bigint {
  const half = divisor / 2n;
  // For an odd divisor no tie exists, and half = (divisor - 1) / 2 rounds the same way.
  return dividend < 0n ? -((-dividend + half) / divisor) : (dividend + half) / divisor;
}

/** Rounds to the type's scale and checks its precision, as on assignment. Throws NUMERIC_OUT_OF_RANGE. */
export function applyPrecision(type: ColumnType, text: string): string {
  if (type.precision === undefined || text === 'NaN') return text;
  const scale = type.scale ?? 0;
  if (!isFiniteNumeric(text)) throw fieldOverflow(type.precision, scale);
  const rounded = rescale(text, scale);
  if (isNonZero(rounded) && wholeDigits(rounded) > type.precision - scale)
    throw fieldOverflow(type.precision, scale);
  return rounded;
}

function fieldOverflow(precision: number, scale: number): Error {
  return sqlError(
    'NUMERIC_OUT_OF_RANGE',
    `The number does not fit numeric(${precision},${scale}). Its absolute value must be less than 10^${precision - scale}.`,
  );
}

export function isNonZero(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > zero && code <= nine) return true;
  }
  return false;
}

/** Digits before the point; for a number below one, minus the zeros behind the point. */
function wholeDigits(text: string): number {
  const start = isNegative(text) ? 1 : 0;
  const point = text.indexOf('.');
  const end = point === -1 ? text.length : point;
  if (text.charCodeAt(start) !== zero) return end - start;
  let at = end + 1;
  while (text.charCodeAt(at) === zero) at++;
  return end + 1 - at;
}
