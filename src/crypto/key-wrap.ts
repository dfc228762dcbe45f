import { createCipheriv, createDecipheriv } from 'node:crypto';
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
  try {
    const unwrap = createDecipheriv(cipher, wrapping.expose(), initialValue);
    const first = unwrap.update(wrapped);
    const last = unwrap.final();
    const bytes = new Uint8Array(Buffer.concat([first, last]));
    first.fill(0);
    last.fill(0);
    return bytes.length === 32 ? new SecretKey(bytes) : undefined;
  } catch {
    return undefined;
  }
}
