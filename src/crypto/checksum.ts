import { crc32 as zlibCrc32 } from 'node:zlib';

/** CRC-32 (ISO-HDLC, as in zip) of `bytes`, continued from `previous`. Finds rot early; proves nothing. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  return zlibCrc32(bytes, previous);
}
