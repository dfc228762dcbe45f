/** Whole numbers: ranges and text. */
import type { TypeName } from '../../base/index.ts';
import { invalidText, outOfRange } from './errors.ts';
import { trimSpace } from './numeric-text.ts';

export type IntegerName = 'smallint' | 'integer' | 'bigint';
const expected = 'Write decimal digits with an optional sign.';

/** Reads a smallint, integer or bigint. Throws INVALID_TEXT, NUMERIC_OUT_OF_RANGE. */
export function parseInteger(type: IntegerName, text: string): number | bigint {
  const digits = trimSpace(text);
  const first = digits.charCodeAt(0);
  const start = first === 0x2d || first === 0x2b ? 1 : 0;
  if (start === digits.length) throw invalidText(type, expected);
  let value = 0;
  for (let at = start; at < digits.length; at++) {
    const digit = digits.charCodeAt(at) - 0x30;
    // NaN (no character) cannot occur here; the comparison refuses every other character.
    if (!(digit >= 0 && digit <= 9)) throw invalidText(type, expected);
    value = value * 10 + digit;
  }
  const signed = first === 0x2d ? 0 - value : value;
  if (type !== 'bigint') return checkInt(type, signed);
  return checkBigint(
    Number.isSafeInteger(signed)
      ? BigInt(signed)
      : BigInt(digits.charAt(0) === '+' ? digits.slice(1) : digits),
  );
}

/** The whole number `value`, if it is in the range of smallint or integer. Throws NUMERIC_OUT_OF_RANGE. */
export function checkInt(type: 'smallint' | 'integer', value: number): number {
  const max = type === 'smallint' ? 0x7fff : 0x7fff_ffff;
  if (!(value >= -max - 1 && value <= max)) throw outOfRange(type);
  return value;
}

export function checkBigint(value: bigint): bigint {
  if (BigInt.asIntN(64, value) !== value) throw outOfRange('bigint');
  return value;
}

/** A whole number of any size as a value of the type. Throws NUMERIC_OUT_OF_RANGE. */
export function integerOf(type: IntegerName, value: bigint): number | bigint {
  return type === 'bigint' ? checkBigint(value) : checkInt(type, Number(value));
}

export function isInteger(name: TypeName): name is IntegerName {
  return name === 'smallint' || name === 'integer' || name === 'bigint';
}
