import { VerityError } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';

const keyBytes = 32;

/** A key as 64 hex digits and a line feed, as key files hold it. The caller wipes it. */
export function hexKeyText(key: Uint8Array): Uint8Array {
  const text = new Uint8Array(key.length * 2 + 1);
  for (const [index, byte] of key.entries()) {
    text[index * 2] = hexDigit(byte >> 4);
    text[index * 2 + 1] = hexDigit(byte & 15);
  }
  text[key.length * 2] = 0x0a;
  return text;
}

/**
 * Parses 64 hex digits (and white space behind them) and wipes them. Never makes a string of a key.
 * Throws KEY_INVALID, naming `source` (the start of a sentence) and not what it holds.
 */
export function parseHexKey(text: Uint8Array, source: string): SecretKey {
  const key = new Uint8Array(keyBytes);
  let wellFormed = trimmedLength(text) === keyBytes * 2;
  for (let index = 0; index < keyBytes * 2; index++) {
    const value = hexValue(text[index] ?? 0);
    if (value === undefined) wellFormed = false;
    else key[index >> 1] = ((key[index >> 1] as number) << 4) | value;
  }
  text.fill(0);
  if (wellFormed) return new SecretKey(key);
  key.fill(0);
  throw new VerityError('KEY_INVALID', `${source} does not hold a key: expected 64 hex digits.`);
}

function trimmedLength(text: Uint8Array): number {
  let length = text.length;
  while (length > 0 && isSpace(text[length - 1] as number)) length -= 1;
  return length;
}

function isSpace(code: number): boolean {
  return code === 0x0a || code === 0x0d || code === 0x20;
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

function hexValue(code: number): number | undefined {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}
