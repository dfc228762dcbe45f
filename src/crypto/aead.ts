import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { assert, concatBytes } from '../base/index.ts';
import type { SecretKey } from './secret-key.ts';

export const nonceBytes = 12;
export const tagBytes = 16;
const cipherName = 'aes-256-gcm';

/**
 * Ciphertext, then the 16-byte tag (AES-256-GCM, SP 800-38D). The caller sees to it that no nonce of
 * 12 bytes is used twice under one key: SectionKey makes them.
 */
export function sealBytes(
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  assert(nonce.length === nonceBytes, 'a nonce has 12 bytes');
  const cipher = createCipheriv(cipherName, key.handle() as KeyObject, nonce, {
    authTagLength: tagBytes,
  });
  cipher.setAAD(aad);
  const body = cipher.update(plaintext);
  cipher.final();
  return concatBytes(body, cipher.getAuthTag());
}

/** The plaintext of what `sealBytes` made, or undefined if anything differs. Nothing is handed out before the tag is checked. */
export function openBytes(
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < tagBytes || nonce.length !== nonceBytes) return undefined;
  const decipher = createDecipheriv(cipherName, key.handle() as KeyObject, nonce, {
    authTagLength: tagBytes,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagBytes));
  const plaintext = decipher.update(sealed.subarray(0, sealed.length - tagBytes));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
