import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concatBytes } from '../base/index.ts';
import { SecretKey } from './secret-key.ts';

const cipher = 'id-aes256-wrap-pad';
const initialValue = Uint8Array.of(0xa6, 0x59, 0x59, 0xa6);
export const wrappedKeyBytes = 40;

/** Wraps a key under another with AES-KWP (RFC 5649): 40 bytes. */
export function wrapKey(wrapping: SecretKey, key: SecretKey): Uint8Array {
  const wrap = createCipheriv(cipher, wrapping.expose(), initialValue);
  return new Uint8Array(Buffer.concat([wrap.update(key.expose()), wrap.final()]));
}

/** Unwraps what `wrapKey` made; undefined if it was not made with this wrapping key or was altered. */
export function unwrapKey(wrapping: SecretKey, wrapped: Uint8Array): SecretKey | undefined {
  if (wrapped.length !== wrappedKeyBytes) return undefined;
  const unwrap = createDecipheriv(cipher, wrapping.expose(), initialValue);
  const parts: Uint8Array[] = [];
  try {
    parts.push(unwrap.update(wrapped));
    parts.push(unwrap.final());
    // Not Buffer.concat: it takes memory of a pool, where a second copy of the key would stay.
    const bytes = concatBytes(...parts);
    if (bytes.length === 32) return new SecretKey(bytes);
    bytes.fill(0);
    return undefined;
  } catch {
    return undefined;
  } finally {
    for (const part of parts) part.fill(0);
  }
}
