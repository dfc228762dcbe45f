/** Text and bytes as order-preserving, self-terminating bytes in a binary string. */
import { assert, utf8Decode } from '../base/index.ts';
import { DecodeError } from './reader.ts';

/** A decoded part of a key and the index behind it. */
export interface KeyPart<T> {
  readonly value: T;
  readonly end: number;
}

/**
 * UTF-8 and a zero byte. UTF-8 orders by code point, and text never holds U+0000, so a string sorts
 * before every string it is the beginning of.
 */
export function encodeTextKey(text: string): string {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > 0x7f) return `${utf8Binary(text)}\0`;
  }
  return `${text}\0`;
}

function utf8Binary(text: string): string {
  let binary = '';
  for (let index = 0; index < text.length; index++) {
    const code = text.codePointAt(index) as number;
    assert(
      code !== 0 && (code < 0xd800 || code > 0xdfff),
      'text is well-formed and without U+0000',
    );
    if (code < 0x80) {
      binary += String.fromCharCode(code);
    } else if (code < 0x800) {
      binary += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 0x3f));
    } else if (code < 0x1_0000) {
      binary += String.fromCharCode(
        0xe0 | (code >> 12),
        0x80 | ((code >> 6) & 0x3f),
        0x80 | (code & 0x3f),
      );
    } else {
      binary += String.fromCharCode(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 0x3f),
        0x80 | ((code >> 6) & 0x3f),
        0x80 | (code & 0x3f),
      );
      index++;
    }
  }
  return binary;
}

export function decodeTextKey(key: string, start: number): KeyPart<string> {
  const end = key.indexOf('\0', start);
  if (end === -1) throw new DecodeError('bytes end early', key.length);
  for (let index = start; index < end; index++) {
    if (key.charCodeAt(index) > 0x7f) return { value: decodeUtf8(key, start, end), end: end + 1 };
  }
  return { value: key.slice(start, end), end: end + 1 };
}

function decodeUtf8(key: string, start: number, end: number): string {
  const bytes = new Uint8Array(end - start);
  for (let index = start; index < end; index++) bytes[index - start] = key.charCodeAt(index);
  try {
    return utf8Decode(bytes);
  } catch {
    throw new DecodeError('text is not UTF-8', start);
  }
}

/** The bytes with 00 written as 00 FF, then 00 00. */
export function encodeBytesKey(bytes: Uint8Array): string {
  let key = '';
  for (const byte of bytes) key += byte === 0 ? '\0\xff' : String.fromCharCode(byte);
  return `${key}\0\0`;
}

export function decodeBytesKey(key: string, start: number): KeyPart<Uint8Array> {
  const bytes: number[] = [];
  for (let at = start; at + 1 < key.length; at++) {
    const byte = key.charCodeAt(at);
    if (byte === 0) {
      const next = key.charCodeAt(++at);
      if (next === 0) return { value: Uint8Array.from(bytes), end: at + 1 };
      if (next !== 0xff) throw new DecodeError('a byte key is malformed', at);
    }
    bytes.push(byte);
  }
  throw new DecodeError('bytes end early', key.length);
}
