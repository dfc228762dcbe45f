/**
 * Arithmetic on canonical numerics with PostgreSQL's result scales. Exact but for division.
 * NaN is equal to itself and above everything else, as in PostgreSQL.
 */
import { sqlError } from '../../base/index.ts';
import { outOfRange } from './errors.ts';
import {
  type Decimal,
  decimalOf,
  decimalText,
  divideRounded,
  isFiniteNumeric,
  isNegative,
  isNonZero,
  powerOf10,
  rescale,
  scaleMax,
  wholeDigitsMax,
} from './numeric-text.ts';

/** What select_div_scale of PostgreSQL's numeric.c works with. */
const significantDigitsMin = 16;
const displayScaleMax = 1_000;
const roundScaleMax = 2_000;

function sameScale(
  left: Decimal,
  right: Decimal,
): { readonly a: bigint; readonly b: bigint; readonly scale: number } {
  const scale = Math.max(left.scale, right.scale);
  return {
    a: left.unscaled * powerOf10(scale - left.scale),
    b: right.unscaled * powerOf10(scale - right.scale),
    scale,
  };
}

/** Sum; scale: the larger one. */
export function numericAdd(left: string, right: string): string {
  if (!isFiniteNumeric(left) || !isFiniteNumeric(right)) return addSpecial(left, right);
  const { a, b, scale } = sameScale(decimalOf(left), decimalOf(right));
  return decimalText({ unscaled: a + b, scale });
}

function addSpecial(left: string, right: string): string {
  if (left === 'NaN' || right === 'NaN') return 'NaN';
  if (isFiniteNumeric(left)) return right;
  return isFiniteNumeric(right) || left === right ? left : 'NaN';
}

/** Difference; scale: the larger one. */
export function numericSubtract(left: string, right: string): string {
  if (!isFiniteNumeric(left) || !isFiniteNumeric(right))
    return addSpecial(left, numericNegate(right));
  const { a, b, scale } = sameScale(decimalOf(left), decimalOf(right));
  return decimalText({ unscaled: a - b, scale });
}

/** Product; scale: the sum of both, at most 16,383. */
export function numericMultiply(left: string, right: string): string {
  if (!isFiniteNumeric(left) || !isFiniteNumeric(right)) return multiplySpecial(left, right);
  const a = decimalOf(left);
  const b = decimalOf(right);
  const scale = a.scale + b.scale;
  const unscaled = a.unscaled * b.unscaled;
  if (scale <= scaleMax) return decimalText({ unscaled, scale });
  return decimalText({
    unscaled: divideRounded(unscaled, powerOf10(scale - scaleMax)),
    scale: scaleMax,
  });
}

function multiplySpecial(left: string, right: string): string {
  const sign = signOf(left) * signOf(right);
  if (Number.isNaN(sign) || sign === 0) return 'NaN';
  return sign > 0 ? 'Infinity' : '-Infinity';
}

/** -1, 0 or 1; NaN for NaN. */
function signOf(text: string): number {
  if (text === 'NaN') return Number.NaN;
  if (isNegative(text)) return -1;
  return text === 'Infinity' || isNonZero(text) ? 1 : 0;
}

/** Quotient, rounded half away from zero to the scale of PostgreSQL's select_div_scale. Throws DIVISION_BY_ZERO. */
export function numericDivide(left: string, right: string): string {
  if (left === 'NaN' || right === 'NaN') return 'NaN';
  refuseZero(right);
  if (!isFiniteNumeric(left)) {
    if (!isFiniteNumeric(right)) return 'NaN';
    return signOf(left) * signOf(right) > 0 ? 'Infinity' : '-Infinity';
  }
  if (!isFiniteNumeric(right)) return '0';
  const a = decimalOf(left);
  const b = decimalOf(right);
  const scale = divisionScale(left, right, Math.max(a.scale, b.scale));
  // a / b = (a.unscaled / b.unscaled) × 10^(b.scale - a.scale), wanted in units of 10^-scale.
  const shift = scale + b.scale - a.scale;
  const dividend = shift >= 0 ? a.unscaled * powerOf10(shift) : a.unscaled;
  const divisor = shift >= 0 ? b.unscaled : b.unscaled * powerOf10(-shift);
  const unscaled =
    divisor < 0n ? divideRounded(-dividend, -divisor) : divideRounded(dividend, divisor);
  return decimalText({ unscaled, scale });
}

function refuseZero(divisor: string): void {
  if (isFiniteNumeric(divisor) && !isNonZero(divisor)) {
    throw sqlError(
      'DIVISION_BY_ZERO',
      'A number is divided by zero. Guard the division, for example with NULLIF.',
    );
  }
}

/** At least 16 significant digits, counted in PostgreSQL's groups of four digits. */
function divisionScale(left: string, right: string, scaleMin: number): number {
  const a = leadingGroup(left);
  const b = leadingGroup(right);
  let weight = a.weight - b.weight;
  if (a.group <= b.group) weight--;
  return Math.min(Math.max(significantDigitsMin - weight * 4, scaleMin, 0), displayScaleMax);
}

/** The first non-zero digit in base 10,000 and its weight (0: the units). Zero: group 0, weight 0. */
function leadingGroup(text: string): { readonly group: number; readonly weight: number } {
  const start = isNegative(text) ? 1 : 0;
  const point = text.indexOf('.');
  const wholeEnd = point === -1 ? text.length : point;
  const digit = (place: number): string => {
    const at = place >= 0 ? wholeEnd - 1 - place : wholeEnd - place;
    return at < start || at >= text.length ? '0' : text.charAt(at);
  };
  let place = wholeEnd - start - 1;
  const lowest = point === -1 ? 0 : point + 1 - text.length;
  while (place >= lowest && digit(place) === '0') place--;
  if (place < lowest) return { group: 0, weight: 0 };
  const weight = Math.floor(place / 4);
  const base = weight * 4;
  return {
    group: Number(digit(base + 3) + digit(base + 2) + digit(base + 1) + digit(base)),
    weight,
  };
}

/** Remainder with the sign of `left` (truncating division); scale: the larger one. Throws DIVISION_BY_ZERO. */
export function numericModulo(left: string, right: string): string {
  if (left === 'NaN' || right === 'NaN') return 'NaN';
  refuseZero(right);
  if (!isFiniteNumeric(left)) return 'NaN';
  if (!isFiniteNumeric(right)) return left;
  const { a, b, scale } = sameScale(decimalOf(left), decimalOf(right));
  return decimalText({ unscaled: a % b, scale });
}

export function numericNegate(value: string): string {
  if (value === 'NaN') return value;
  if (isNegative(value)) return value.slice(1);
  return value === 'Infinity' || isNonZero(value) ? `-${value}` : value;
}

export function numericAbs(value: string): string {
  return isNegative(value) ? value.slice(1) : value;
}

/** Rounded half away from zero to `scale` places (negative: to tens, hundreds, …), padded with zeros. */
export function numericRound(value: string, scale: number): string {
  if (!isFiniteNumeric(value)) return value;
  const places = Math.max(-roundScaleMax, Math.min(roundScaleMax, scale));
  const rounded = rescale(value, places);
  if (rounded.length > wholeDigitsMax + scaleMax + 2) throw outOfRange('numeric');
  return rounded;
}

/** By value, whatever the scales; NaN equals NaN and is above Infinity. */
export function numericCompare(left: string, right: string): -1 | 0 | 1 {
  if (left === right) return 0;
  if (!isFiniteNumeric(left) || !isFiniteNumeric(right))
    return specialRank(left) < specialRank(right) ? -1 : 1;
  const negative = isNegative(left);
  if (negative !== isNegative(right)) return negative ? -1 : 1;
  const order = compareMagnitudes(left, right, negative ? 1 : 0);
  return negative ? ((0 - order) as -1 | 0 | 1) : order;
}

function specialRank(text: string): number {
  if (text === 'NaN') return 3;
  if (isFiniteNumeric(text)) return 1;
  return isNegative(text) ? 0 : 2;
}

/** Canonical whole parts have no leading zeros, so the longer is the larger; digits order like numbers. */
function compareMagnitudes(left: string, right: string, start: number): -1 | 0 | 1 {
  const leftEnd = wholeEnd(left);
  const rightEnd = wholeEnd(right);
  if (leftEnd !== rightEnd) return leftEnd < rightEnd ? -1 : 1;
  const end = Math.max(left.length, right.length);
  for (let at = start; at < end; at++) {
    if (at === leftEnd) continue;
    const a = at < left.length ? left.charCodeAt(at) : 0x30;
    const b = at < right.length ? right.charCodeAt(at) : 0x30;
    if (a !== b) return a < b ? -1 : 1;
  }
  return 0;
}

function wholeEnd(text: string): number {
  const point = text.indexOf('.');
  return point === -1 ? text.length : point;
}
