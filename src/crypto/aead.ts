import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { assert, concatBytes } from '../base/index.ts';
import type { SecretKey } from './secret-key.ts';

export const nonceBytes = 12;
export const tagBytes = 16;

/** How bytes are sealed, by the number that stands in every frame header. */
const algorithmIds = { none: 0, 'aes-256-gcm': 1, 'chacha20-poly1305': 2 } as const;

/** 'none' is plain mode: nothing is secret, and nothing is authentic. */
export type Algorithm = keyof typeof algorithmIds;
/** An algorithm that seals. Both take 32-byte keys, 12-byte nonces and 16-byte tags. */
export type AeadName = Exclude<Algorithm, 'none'>;

export function algorithmId(algorithm: Algorithm): number {
  return algorithmIds[algorithm];
}

/** The algorithm of a name from outside, or undefined if there is none. */
export function parseAlgorithm(name: unknown): Algorithm | undefined {
  return typeof name === 'string' && Object.hasOwn(algorithmIds, name)
    ? (name as Algorithm)
    : undefined;
}

const knownIds = new Set<number>(Object.values(algorithmIds));

export function isAlgorithmId(id: number): boolean {
  return knownIds.has(id);
}

/**
 * Ciphertext, then the 16-byte tag (AES-256-GCM of SP 800-38D, or ChaCha20-Poly1305 of RFC 8439). The caller
 * sees to it that no nonce of 12 bytes is used twice under one key: SectionKey makes them.
 */
export function sealBytes(
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  algorithm: AeadName = 'aes-256-gcm',
): Uint8Array {
  const { ciphertext, tag } = sealParts(key, nonce, aad, plaintext, algorithm);
  return concatBytes(ciphertext, tag);
}

export interface SealedParts {
  readonly ciphertext: Uint8Array;
  readonly tag: Uint8Array;
}

/** As `sealBytes`, without joining the two: large buffers are dear, even those that live shortly. */
export function sealParts(
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  algorithm: AeadName,
): SealedParts {
  assert(nonce.length === nonceBytes, 'a nonce has 12 bytes');
  const cipher = createCipheriv(algorithm as 'aes-256-gcm', key.handle() as KeyObject, nonce, {
    authTagLength: tagBytes,
  });
  cipher.setAAD(aad);
  const ciphertext = cipher.update(plaintext);
  cipher.final();
  return { ciphertext, tag: cipher.getAuthTag() };
}

/** The plaintext of what `sealBytes` made, or undefined if anything differs. Nothing is handed out before the tag is checked. */
export function openBytes(
  key: SecretKey,
  nonce: Uint8Array,
  aad: Uint8Array,
  sealed: Uint8Array,
  algorithm: AeadName = 'aes-256-gcm',
): Uint8Array | undefined {
  if (sealed.length < tagBytes || nonce.length !== nonceBytes) return undefined;
  const length = sealed.length - tagBytes;
  const decipher = createDecipheriv(algorithm as 'aes-256-gcm', key.handle() as KeyObject, nonce, {
    authTagLength: tagBytes,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(length));
  const plaintext = decipher.update(sealed.subarray(0, length));
  try {
    decipher.final();
    return plaintext;
  } catch {
    plaintext.fill(0);
    return undefined;
  }
}
