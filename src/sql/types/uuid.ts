/** uuid as text. */
import { invalidText } from './errors.ts';

/**
 * Reads the forms that PostgreSQL takes: 32 hex digits in either case, a hyphen allowed after each group
 * of four, braces around all. Returns the canonical form. Throws INVALID_TEXT.
 */
export function parseUuid(text: string): string {
  if (isCanonical(text)) return text;
  const braced = text.startsWith('{');
  const end = braced ? text.length - 1 : text.length;
  if (braced && !text.endsWith('}')) throw malformed();
  let digits = '';
  for (let at = braced ? 1 : 0; at < end; at++) {
    const code = text.charCodeAt(at);
    const mayHyphen = digits.length > 0 && digits.length < 32 && digits.length % 4 === 0;
    if (code === 0x2d && mayHyphen && text.charCodeAt(at - 1) !== 0x2d) continue;
    if (!isHex(code | 0x20) || code < 0x30 || digits.length === 32) throw malformed();
    digits += text.charAt(at);
  }
  if (digits.length !== 32) throw malformed();
  const d = digits.toLowerCase();
  return `${d.slice(0, 8)}-${d.slice(8, 12)}-${d.slice(12, 16)}-${d.slice(16, 20)}-${d.slice(20)}`;
}

function malformed(): Error {
  return invalidText('uuid', 'Write 32 hex digits, like a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11.');
}

/** Whether `code`, with bit 5 set (which makes letters lower-case and leaves digits), is a hex digit. */
function isHex(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x61 && code <= 0x66);
}

/** By char code: 1 for what a canonical uuid has for digits. */
const canonicalDigit = new Uint8Array(128);
for (const digit of '0123456789abcdef') canonicalDigit[digit.charCodeAt(0)] = 1;

function isCanonical(text: string): boolean {
  if (text.length !== 36) return false;
  for (let at = 0; at < 36; at++) {
    const code = text.charCodeAt(at);
    const hyphen = at === 8 || at === 13 || at === 18 || at === 23;
    if (hyphen ? code !== 0x2d : canonicalDigit[code] !== 1) return false;
  }
  return true;
}
