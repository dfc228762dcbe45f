/** bytea as text: '\x…' out; '\x…' and the older escape form in. */
import { sqlError, toHex, utf8Encode } from '../../base/index.ts';
import { invalidText } from './errors.ts';
import { isSpace } from './numeric-text.ts';

const expected = 'Write \\x and two hex digits a byte.';

/** Reads either form. Throws INVALID_TEXT, and INVALID_ARGUMENT for what is no hex digit. The caller owns the bytes. */
export function parseBytea(text: string): Uint8Array {
  return text.startsWith('\\x') ? parseHex(text) : parseEscapes(text);
}

/** White space may stand between bytes, not within one. */
function parseHex(text: string): Uint8Array {
  const bytes = new Uint8Array((text.length - 2) >> 1);
  let count = 0;
  for (let at = 2; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (isSpace(code) && code !== 0x0b && code !== 0x0c) continue;
    const high = hexValue(code);
    const low = hexValue(text.charCodeAt(++at));
    if (high < 0 || low < 0)
      throw sqlError('INVALID_ARGUMENT', `The text is not a value of type bytea. ${expected}`);
    bytes[count++] = (high << 4) | low;
  }
  return count === bytes.length ? bytes : bytes.slice(0, count);
}

function hexValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Every character but the backslash is its UTF-8; '\\' a backslash, '\ooo' (octal, to 377) a byte. */
function parseEscapes(text: string): Uint8Array {
  const source = utf8Encode(text);
  const bytes = new Uint8Array(source.length);
  let count = 0;
  for (let at = 0; at < source.length; at++) {
    const byte = source[at] as number;
    if (byte !== 0x5c) {
      bytes[count++] = byte;
    } else if (source[at + 1] === 0x5c) {
      bytes[count++] = 0x5c;
      at++;
    } else {
      const octal =
        octalDigit(source[at + 1], 3) * 64 +
        octalDigit(source[at + 2], 7) * 8 +
        octalDigit(source[at + 3], 7);
      bytes[count++] = octal;
      at += 3;
    }
  }
  return bytes.slice(0, count);
}

function octalDigit(code: number | undefined, max: number): number {
  if (code === undefined || code < 0x30 || code > 0x30 + max) throw invalidText('bytea', expected);
  return code - 0x30;
}

export function formatBytea(bytes: Uint8Array): string {
  return `\\x${toHex(bytes)}`;
}
