import { assert } from '../base/index.ts';

/** The codes of a byte's two hex digits, the high digit's above the low one's. */
const hexCodes = new Uint16Array(256);
/** Value of a lower-case hex digit by char code; 255 for every other code. */
const hexValues = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value++) hexValues['0123456789abcdef'.charCodeAt(value)] = value;
for (let byte = 0; byte < 256; byte++) {
  const text = byte.toString(16).padStart(2, '0');
  hexCodes[byte] = (text.charCodeAt(0) << 8) | text.charCodeAt(1);
}
/** Where each byte's two digits stand in the hyphenated form. */
const digitAt = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34] as const;

/** Puts the 16 bytes of a canonical uuid (lower case, hyphenated) into `target`. */
export function uuidToBytes(uuid: string, target: Uint8Array): void {
  assert(uuid.length === 36, 'a uuid has 36 characters');
  let seen = 0;
  for (let index = 0; index < 16; index++) {
    const at = digitAt[index] as number;
    const high = hexValues[uuid.charCodeAt(at)] ?? 255;
    const low = hexValues[uuid.charCodeAt(at + 1)] ?? 255;
    seen |= high | low;
    target[index] = (high << 4) | low;
  }
  assert(seen < 16, 'a uuid is lower-case hex');
}

/** The canonical text of the 16 bytes at `offset`. One call with every code makes one flat string. */
export function uuidFromBytes(bytes: Uint8Array, offset: number): string {
  const a = hexPair(bytes, offset);
  const b = hexPair(bytes, offset + 2);
  const c = hexPair(bytes, offset + 4);
  const d = hexPair(bytes, offset + 6);
  const e = hexPair(bytes, offset + 8);
  const f = hexPair(bytes, offset + 10);
  const g = hexPair(bytes, offset + 12);
  const h = hexPair(bytes, offset + 14);
  return String.fromCharCode(
    a >>> 24,
    (a >>> 16) & 0xff,
    (a >>> 8) & 0xff,
    a & 0xff,
    b >>> 24,
    (b >>> 16) & 0xff,
    (b >>> 8) & 0xff,
    b & 0xff,
    45,
    c >>> 24,
    (c >>> 16) & 0xff,
    (c >>> 8) & 0xff,
    c & 0xff,
    45,
    d >>> 24,
    (d >>> 16) & 0xff,
    (d >>> 8) & 0xff,
    d & 0xff,
    45,
    e >>> 24,
    (e >>> 16) & 0xff,
    (e >>> 8) & 0xff,
    e & 0xff,
    45,
    f >>> 24,
    (f >>> 16) & 0xff,
    (f >>> 8) & 0xff,
    f & 0xff,
    g >>> 24,
    (g >>> 16) & 0xff,
    (g >>> 8) & 0xff,
    g & 0xff,
    h >>> 24,
    (h >>> 16) & 0xff,
    (h >>> 8) & 0xff,
    h & 0xff,
  );
}

/** The codes of the four hex digits of two bytes, the first digit highest. */
function hexPair(bytes: Uint8Array, at: number): number {
  const first = hexCodes[bytes[at] as number] as number;
  return (first << 16) | (hexCodes[bytes[at + 1] as number] as number);
}
