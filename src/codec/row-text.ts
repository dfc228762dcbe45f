import { limits, utf8Decode } from '../base/index.ts';
import { DecodeError } from './reader.ts';

/**
 * Text out of row bytes, fast for the short ASCII strings that most columns hold: eight characters at a
 * time, without a decoder call. Everything else goes through the platform's UTF-8 decoder.
 */
const shortTextMax = 64;

/** The string in [start, end). Throws DecodeError on bytes that are not UTF-8, and on U+0000. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > shortTextMax) return decodeAnyText(bytes, start, end);
  let text = '';
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const a = bytes[at] as number;
    const b = bytes[at + 1] as number;
    const c = bytes[at + 2] as number;
    const d = bytes[at + 3] as number;
    const e = bytes[at + 4] as number;
    const f = bytes[at + 5] as number;
    const g = bytes[at + 6] as number;
    const h = bytes[at + 7] as number;
    // Bit 7 of x | (x - 1) is set for x = 0 and for x ≥ 128: exactly what is not plain text.
    const low = a | (a - 1) | b | (b - 1) | c | (c - 1) | d | (d - 1);
    const high = e | (e - 1) | f | (f - 1) | g | (g - 1) | h | (h - 1);
    if (((low | high) & 0x80) !== 0) return decodeAnyText(bytes, start, end);
    text += String.fromCharCode(a, b, c, d, e, f, g, h);
  }
  if (at + 4 <= end) {
    const a = bytes[at] as number;
    const b = bytes[at + 1] as number;
    const c = bytes[at + 2] as number;
    const d = bytes[at + 3] as number;
    const all = a | (a - 1) | b | (b - 1) | c | (c - 1) | d | (d - 1);
    if ((all & 0x80) !== 0) return decodeAnyText(bytes, start, end);
    text += String.fromCharCode(a, b, c, d);
    at += 4;
  }
  for (; at < end; at++) {
    const code = bytes[at] as number;
    if (((code | (code - 1)) & 0x80) !== 0) return decodeAnyText(bytes, start, end);
    text += String.fromCharCode(code);
  }
  return text;
}

function decodeAnyText(bytes: Uint8Array, start: number, end: number): string {
  if (end - start > limits.valueBytesMax) throw new DecodeError('a text is too long', start);
  let text: string;
  try {
    text = utf8Decode(bytes, start, end);
  } catch {
    throw new DecodeError('text is not UTF-8', start);
  }
  if (text.includes('\0')) throw new DecodeError('text holds U+0000', start);
  return text;
}

const zero = 0x30;
const nine = 0x39;
const minus = 0x2d;
const point = 0x2e;

/** The canonical numeric in [start, end). Throws DecodeError on any other spelling of a number. */
export function decodeNumericText(bytes: Uint8Array, start: number, end: number): string {
  let at = start;
  let nonZero = false;
  const negative = bytes[at] === minus;
  if (negative) at++;
  const wholeStart = at;
  for (; at < end; at++) {
    const code = bytes[at] as number;
    if (code < zero || code > nine) break;
    if (code !== zero) nonZero = true;
  }
  const wholeCount = at - wholeStart;
  if (wholeCount === 0) return decodeSpecialNumeric(bytes, start, end);
  let valid = wholeCount === 1 || bytes[wholeStart] !== zero;
  if (at < end) {
    valid &&= bytes[at] === point && at + 1 < end;
    for (at++; at < end; at++) {
      const code = bytes[at] as number;
      if (code < zero || code > nine) valid = false;
      else if (code !== zero) nonZero = true;
    }
  }
  if (!valid || (negative && !nonZero)) throw new DecodeError('a numeric is not canonical', start);
  return decodeText(bytes, start, end);
}

function decodeSpecialNumeric(bytes: Uint8Array, start: number, end: number): string {
  const text = end - start <= 9 ? decodeText(bytes, start, end) : '';
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return text;
  throw new DecodeError('a numeric is not canonical', start);
}
