/** String functions beyond the basic ones. All count and cut by characters (code points). */
import { limits, utf8Length, VerityError } from '../../base/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';
import { checkTextSize } from './text.ts';

const chars = (text: string): string[] => Array.from(text);

/** The place of `part` from 1, 0 if it is not there. */
function position(text: string, part: string): number {
  const index = text.indexOf(part);
  return index === -1 ? 0 : chars(text.slice(0, index)).length + 1;
}

function replace(text: string, from: string, to: string): string {
  if (from === '') return text;
  const parts = text.split(from);
  checkLength(text.length + (parts.length - 1) * (to.length - from.length));
  return parts.join(to);
}

function checkLength(length: number): void {
  if (length > limits.valueBytesMax) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `A text result exceeds ${limits.valueBytesMax} bytes; build it from less.`,
    );
  }
}

/** The first `count` characters, or all but the last -`count`. */
const left = (text: string, count: number): string => chars(text).slice(0, count).join('');

/** The last `count` characters, or all but the first -`count`. */
function right(text: string, count: number): string {
  const all = chars(text);
  return all.slice(count < 0 ? -count : Math.max(0, all.length - count)).join('');
}

function pad(text: string, length: number, fill: string, side: 'left' | 'right'): string {
  const all = chars(text);
  if (length <= all.length) return all.slice(0, Math.max(0, length)).join('');
  const filling = chars(fill);
  if (filling.length === 0) return text;
  const missing = length - all.length;
  checkLength(length);
  const repeated = fill.repeat(Math.floor(missing / filling.length));
  const added = repeated + filling.slice(0, missing % filling.length).join('');
  return checkTextSize(side === 'left' ? added + text : text + added);
}

function repeat(text: string, count: number): string {
  const times = Math.max(0, count);
  checkLength(text.length * times);
  return text.repeat(times);
}

/** Field `index` from 1, or from the end when negative; '' beyond the last. */
function splitPart(text: string, delimiter: string, index: number): string {
  if (index === 0)
    throw new VerityError('INVALID_ARGUMENT', 'The field of split_part must not be zero.');
  const parts = delimiter === '' ? [text] : text.split(delimiter);
  return parts.at(index > 0 ? index - 1 : index) ?? '';
}

/** `part` in place of `length` characters from `start` on. */
function overlay(text: string, part: string, start: number, length: number): string {
  if (start <= 0) {
    throw new VerityError('SUBSTRING_ERROR', 'overlay starts at 1 or later.');
  }
  const all = chars(text);
  const end = Math.max(0, start - 1 + length);
  return checkTextSize(all.slice(0, start - 1).join('') + part + all.slice(end).join(''));
}

/** Each character of `from` becomes that of `to` at its place, or nothing behind its end. */
function translate(text: string, from: string, to: string): string {
  const others = chars(to);
  const places = new Map<string, string>();
  chars(from).forEach((each, index) => {
    if (!places.has(each)) places.set(each, others[index] ?? '');
  });
  return chars(text)
    .map((each) => places.get(each) ?? each)
    .join('');
}

/** The first letter of each word in upper case, the others in lower case. */
const initcap = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[\p{L}\p{N}]+/gu, (word) => word.replace(/^./u, (first) => first.toUpperCase()));

function chr(code: number): string {
  const isCharacter = code > 0 && code <= 0x10_ffff && !(code >= 0xd800 && code <= 0xdfff);
  if (isCharacter) return String.fromCodePoint(code);
  throw new VerityError('COMMAND_TOO_LARGE', 'The number is no character of Unicode.');
}

const pads = (name: 'lpad' | 'rpad', side: 'left' | 'right'): ScalarFunction[] => [
  scalar(name, ['text', 'integer'], 'text', (text: string, length: number) =>
    pad(text, length, ' ', side),
  ),
  scalar(name, ['text', 'integer', 'text'], 'text', (text: string, length: number, fill: string) =>
    pad(text, length, fill, side),
  ),
];

const length = (text: string): number => chars(text).length;

export const moreTextFunctions: readonly ScalarFunction[] = [
  scalar('char_length', ['text'], 'integer', length),
  scalar('character_length', ['text'], 'integer', length),
  scalar('octet_length', ['text'], 'integer', utf8Length),
  scalar('octet_length', ['bytea'], 'integer', (bytes: Uint8Array) => bytes.length),
  scalar('position', ['text', 'text'], 'integer', position),
  scalar('strpos', ['text', 'text'], 'integer', position),
  scalar('replace', ['text', 'text', 'text'], 'text', replace),
  scalar('left', ['text', 'integer'], 'text', left),
  scalar('right', ['text', 'integer'], 'text', right),
  ...pads('lpad', 'left'),
  ...pads('rpad', 'right'),
  scalar('reverse', ['text'], 'text', (text: string) => chars(text).reverse().join('')),
  scalar('repeat', ['text', 'integer'], 'text', repeat),
  scalar('starts_with', ['text', 'text'], 'boolean', (text: string, part: string) =>
    text.startsWith(part),
  ),
  scalar('split_part', ['text', 'text', 'integer'], 'text', splitPart),
  scalar(
    'overlay',
    ['text', 'text', 'integer'],
    'text',
    (text: string, part: string, start: number) => overlay(text, part, start, length(part)),
  ),
  scalar(
    'overlay',
    ['text', 'text', 'integer', 'integer'],
    'text',
    (text: string, part: string, start: number, count: number) => overlay(text, part, start, count),
  ),
  scalar('translate', ['text', 'text', 'text'], 'text', translate),
  scalar('initcap', ['text'], 'text', initcap),
  scalar('ascii', ['text'], 'integer', (text: string) => text.codePointAt(0) ?? 0),
  scalar('chr', ['integer'], 'text', chr),
];
