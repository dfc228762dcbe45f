/** Standard base64 (RFC 4648 §4) in its one spelling: padded, unused bits zero, nothing else between. */
import { utf8Decode, utf8Encode } from '../base/index.ts';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const digits = utf8Encode(alphabet);
const padding = 0x3d;
const notDigit = 0xff;
/** By character code; receipts have megabytes of it. */
const values = new Uint8Array(128).fill(notDigit);
for (const [value, digit] of digits.entries()) values[digit] = value;

/** `bytes` as padded base64. */
export function toBase64(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  let at = 0;
  for (let index = 0; index < bytes.length; index += 3) {
    const left = bytes.length - index;
    const group =
      ((bytes[index] as number) << 16) | ((bytes[index + 1] ?? 0) << 8) | (bytes[index + 2] ?? 0);
    text[at++] = digits[group >> 18] as number;
    text[at++] = digits[(group >> 12) & 63] as number;
    text[at++] = left > 1 ? (digits[(group >> 6) & 63] as number) : padding;
    text[at++] = left > 2 ? (digits[group & 63] as number) : padding;
  }
  return utf8Decode(text);
}

/** The bytes of `text`, or undefined unless `text` is exactly what toBase64 makes of them. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 4 !== 0) return undefined;
  const missing = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - missing);
  const end = text.length - missing;
  let gathered = 0;
  let bits = 0;
  let offset = 0;
  for (let index = 0; index < end; index++) {
    const value = values[text.charCodeAt(index)] ?? notDigit;
    if (value === notDigit) return undefined;
    gathered = ((gathered << 6) | value) & 0xfff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    bytes[offset++] = (gathered >> bits) & 0xff;
  }
  // Bits behind the last byte would be a second spelling of the same bytes.
  return (gathered & ((1 << bits) - 1)) === 0 ? bytes : undefined;
}
