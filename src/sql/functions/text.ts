import { limits, VerityError } from '../../base/index.ts';
import { like } from './like.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

const surrogates = /[\ud800-\udfff]/;

/** Throws VALUE_TOO_LARGE for a text that could never be stored, before it is built on. */
export function checkTextSize(text: string): string {
  if (text.length > limits.valueBytesMax) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `A text result exceeds ${limits.valueBytesMax} bytes; build it from less.`,
    );
  }
  return text;
}

/** The number of characters (code points). */
function characterCount(text: string): number {
  if (!surrogates.test(text)) return text.length;
  let count = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0xdc00 || code > 0xdfff) count++;
  }
  return count;
}

/** Characters `start` to `end` (exclusive), counted from 1; places before 1 count but are empty. */
function characters(text: string, start: number, end: number): string {
  const from = Math.max(start, 1) - 1;
  const to = Math.max(end - 1, from);
  return surrogates.test(text) ? Array.from(text).slice(from, to).join('') : text.slice(from, to);
}

const negativeLength = (): VerityError =>
  new VerityError('SUBSTRING_ERROR', 'The length of a substring is negative; give 0 or more.');

function substring(text: string, start: number, length: number): string {
  if (length < 0) throw negativeLength();
  return characters(text, start, start + length);
}

function trim(text: string, set: string, sides: 'both' | 'left' | 'right'): string {
  const members = new Set(set);
  const parts = surrogates.test(text) ? Array.from(text) : text;
  let start = 0;
  let end = parts.length;
  if (sides !== 'right') while (start < end && members.has(parts[start] as string)) start++;
  if (sides !== 'left') while (end > start && members.has(parts[end - 1] as string)) end--;
  return typeof parts === 'string' ? parts.slice(start, end) : parts.slice(start, end).join('');
}

function trims(name: string, sides: 'both' | 'left' | 'right'): ScalarFunction[] {
  return [
    scalar(name, ['text'], 'text', (text: string) => trim(text, ' ', sides)),
    scalar(name, ['text', 'text'], 'text', (text: string, set: string) => trim(text, set, sides)),
  ];
}

function substrings(name: string): ScalarFunction[] {
  return [
    scalar(name, ['text', 'integer'], 'text', (text: string, start: number) =>
      characters(text, start, Infinity),
    ),
    scalar(name, ['text', 'integer', 'integer'], 'text', substring),
    scalar(name, ['bytea', 'integer'], 'bytea', (bytes: Uint8Array, start: number) =>
      partOf(bytes, start, Infinity),
    ),
    scalar(
      name,
      ['bytea', 'integer', 'integer'],
      'bytea',
      (bytes: Uint8Array, start: number, length: number) => {
        if (length < 0) throw negativeLength();
        return partOf(bytes, start, start + length);
      },
    ),
  ];
}

/** Bytes `start` to `end` (exclusive), counted from 1; places before 1 count but are empty. */
function partOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const from = Math.max(start, 1) - 1;
  return bytes.slice(from, Math.max(end - 1, from));
}

function concatBytes(left: Uint8Array, right: Uint8Array): Uint8Array {
  if (left.length + right.length > limits.valueBytesMax) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `A bytea result exceeds ${limits.valueBytesMax} bytes; build it from less.`,
    );
  }
  const whole = new Uint8Array(left.length + right.length);
  whole.set(left);
  whole.set(right, left.length);
  return whole;
}

export const textFunctions: readonly ScalarFunction[] = [
  scalar('lower', ['text'], 'text', (text: string) => text.toLowerCase()),
  scalar('upper', ['text'], 'text', (text: string) => text.toUpperCase()),
  scalar('length', ['text'], 'integer', characterCount),
  scalar('length', ['bytea'], 'integer', (bytes: Uint8Array) => bytes.length),
  ...substrings('substr'),
  ...substrings('substring'),
  ...trims('btrim', 'both'),
  ...trims('ltrim', 'left'),
  ...trims('rtrim', 'right'),
  scalar('||', ['text', 'text'], 'text', (left: string, right: string) =>
    checkTextSize(left + right),
  ),
  scalar('||', ['bytea', 'bytea'], 'bytea', concatBytes),
  scalar('like', ['text', 'text'], 'boolean', (text: string, pattern: string) =>
    like(text, pattern, '\\'),
  ),
  scalar('like', ['text', 'text', 'text'], 'boolean', like),
  scalar('ilike', ['text', 'text'], 'boolean', (text: string, pattern: string) =>
    like(text.toLowerCase(), pattern.toLowerCase(), '\\'),
  ),
  scalar(
    'ilike',
    ['text', 'text', 'text'],
    'boolean',
    (text: string, pattern: string, escape: string) =>
      like(text.toLowerCase(), pattern.toLowerCase(), escape.toLowerCase()),
  ),
];
