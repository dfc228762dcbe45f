import { blake3 } from '@noble/hashes/blake3.js';

/**
 * BLAKE3's derive-key mode: `lengthBytes` bytes for one purpose out of key material. `context` is a fixed text of
 * this program, never input; two contexts give independent keys.
 */
export function contextKey(context: string, material: Uint8Array, lengthBytes: number): Uint8Array {
  return blake3(material, { context: new TextEncoder().encode(context), dkLen: lengthBytes });
}
