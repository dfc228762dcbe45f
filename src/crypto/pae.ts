import { utf8Encode } from '../base/index.ts';

/**
 * Pre-authentication encoding: an injective encoding of a list of byte strings (count, then each part's
 * length as u64 little-endian and its bytes), so that no two lists give the same bytes.
 * Source: PASETO specification, section 2.2.
 */
export function pae(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const encoded = parts.map((part) => (typeof part === 'string' ? utf8Encode(part) : part));
  let length = 8;
  for (const part of encoded) length += 8 + part.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, encoded.length, true);
  let offset = 8;
  for (const part of encoded) {
    view.setUint32(offset, part.length, true);
    bytes.set(part, offset + 8);
    offset += 8 + part.length;
  }
  return bytes;
}
