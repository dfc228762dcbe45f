/**
 * Numeric as order-preserving bytes (in a binary string).
 *
 * One class byte (-Infinity < negative < zero < positive < Infinity < NaN). For the finite non-zero
 * ones then: the decimal exponent e of 0.d₁d₂… × 10^e, d₁ ≠ 0, as three bytes biased by 2^23; the
 * digits without trailing zeros in pairs, 1 + the pair's value a byte; a zero byte. All bytes after
 * the class of a negative number are complemented. Equal values of different scale share one form.
 */
import { assert } from '../base/index.ts';
import { DecodeError } from './reader.ts';

const classOf = {
  minusInfinity: 1,
  negative: 2,
  zero: 3,
  positive: 4,
  infinity: 5,
  nan: 6,
} as const;
const exponentBias = 0x80_0000;
const zeroCode = 0x30;
/** More than any numeric can have on either side of the point; guards decoding. */
const placesMax = 200_000;

/** The key bytes of a canonical numeric. */
export function encodeNumericKey(text: string): string {
  if (text === 'NaN') return String.fromCharCode(classOf.nan);
  if (text === 'Infinity') return String.fromCharCode(classOf.infinity);
  if (text === '-Infinity') return String.fromCharCode(classOf.minusInfinity);
  const negative = text.charCodeAt(0) === 0x2d;
  const wholeStart = negative ? 1 : 0;
  const point = text.indexOf('.', wholeStart);
  const wholeEnd = point === -1 ? text.length : point;
  const digits =
    point === -1 ? text.slice(wholeStart) : text.slice(wholeStart, point) + text.slice(point + 1);
  let first = 0;
  while (first < digits.length && digits.charCodeAt(first) === zeroCode) first++;
  if (first === digits.length) return String.fromCharCode(classOf.zero);
  let last = digits.length;
  while (digits.charCodeAt(last - 1) === zeroCode) last--;
  const exponent = wholeEnd - wholeStart - first + exponentBias;
  const flip = negative ? 0xff : 0;
  let key = String.fromCharCode(
    negative ? classOf.negative : classOf.positive,
    (exponent >> 16) ^ flip,
    ((exponent >> 8) & 0xff) ^ flip,
    (exponent & 0xff) ^ flip,
  );
  for (let at = first; at < last; at += 2) {
    const high = digits.charCodeAt(at) - zeroCode;
    const low = at + 1 < last ? digits.charCodeAt(at + 1) - zeroCode : 0;
    assert(high >= 0 && high <= 9 && low >= 0 && low <= 9, 'a numeric is canonical');
    key += String.fromCharCode((high * 10 + low + 1) ^ flip);
  }
  return key + String.fromCharCode(flip);
}

/** The numeric that starts at `start`, at its smallest scale, and where it ends. Throws DecodeError. */
export function decodeNumericKey(
  key: string,
  start: number,
): { readonly value: string; readonly end: number } {
  const kind = key.charCodeAt(start);
  const special = specialText[kind];
  if (special !== undefined) return { value: special, end: start + 1 };
  if (kind !== classOf.negative && kind !== classOf.positive)
    throw new DecodeError('a numeric key is malformed', start);
  const flip = kind === classOf.negative ? 0xff : 0;
  // Where the key ends early, NaN takes part in the arithmetic as 0 and the loop below reports it.
  const byte = (at: number): number => key.charCodeAt(at) ^ flip;
  const exponent =
    ((byte(start + 1) << 16) | (byte(start + 2) << 8) | byte(start + 3)) - exponentBias;
  let at = start + 4;
  let digits = '';
  for (; ; at++) {
    if (at >= key.length) throw new DecodeError('bytes end early', at);
    const pair = byte(at);
    if (pair === 0) break;
    if (pair > 100) throw new DecodeError('a numeric key is malformed', at);
    digits += String.fromCharCode(
      zeroCode + Math.floor((pair - 1) / 10),
      zeroCode + ((pair - 1) % 10),
    );
  }
  if (digits.endsWith('0')) digits = digits.slice(0, -1);
  if (
    digits === '' ||
    digits.startsWith('0') ||
    digits.endsWith('0') ||
    Math.abs(exponent) > placesMax
  ) {
    throw new DecodeError('a numeric key is malformed', start);
  }
  return { value: (flip === 0 ? '' : '-') + plainDecimal(digits, exponent), end: at + 1 };
}

const specialText: Readonly<Record<number, string>> = {
  [classOf.minusInfinity]: '-Infinity',
  [classOf.zero]: '0',
  [classOf.infinity]: 'Infinity',
  [classOf.nan]: 'NaN',
};

/** 0.digits × 10^exponent written out. */
function plainDecimal(digits: string, exponent: number): string {
  if (exponent <= 0) return `0.${'0'.repeat(-exponent)}${digits}`;
  if (exponent >= digits.length) return digits + '0'.repeat(exponent - digits.length);
  return `${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
}
