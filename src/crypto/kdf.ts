import { createHmac, hkdfSync, type KeyObject } from 'node:crypto';
import { pae } from './pae.ts';
import { SecretKey } from './secret-key.ts';

/** HKDF-SHA256 (RFC 5869) of `key`; the caller owns and wipes the result. */
export function hkdf(
  key: SecretKey,
  salt: Uint8Array,
  info: Uint8Array,
  lengthBytes: number,
): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', key.handle() as KeyObject, salt, info, lengthBytes));
}

/** A key for one purpose, derived from `parent`. Purposes are distinct strings such as 'veritydb/keyring-mac/v1'. */
export function deriveKey(
  parent: SecretKey,
  purpose: string,
  context: Uint8Array = new Uint8Array(),
): SecretKey {
  return new SecretKey(hkdf(parent, new Uint8Array(32), pae(purpose, context), 32));
}

/** HMAC-SHA256 of `bytes`: 32 bytes. */
export function hmac(key: SecretKey, bytes: Uint8Array): Uint8Array {
  return createHmac('sha256', key.handle() as KeyObject)
    .update(bytes)
    .digest();
}
