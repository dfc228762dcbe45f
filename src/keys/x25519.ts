/** X25519 (RFC 7748) on raw keys of 32 bytes, without a private key ever being text. */
import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { concatBytes } from '../base/index.ts';
import { encodedWith, type SecretKey, sha256 } from '../crypto/index.ts';

const privatePrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');
const publicPrefix = Buffer.from('302a300506032b656e032100', 'hex');

export function privateKeyObject(key: SecretKey): KeyObject {
  const der = encodedWith(privatePrefix, key);
  try {
    return createPrivateKey({ key: der as Buffer, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

export function publicKeyObject(key: Uint8Array): KeyObject {
  const der = Buffer.from(concatBytes(publicPrefix, key));
  return createPublicKey({ key: der, format: 'der', type: 'spki' });
}

/** The 32 bytes of the public key that belongs to `key`, or that `key` is. */
export function publicKeyBytes(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const der = publicKey.export({ format: 'der', type: 'spki' });
  return Uint8Array.from(der.subarray(publicPrefix.length));
}

/** SHA-256 of the public key's DER (RFC 8410): tells pairs apart without telling the key. */
export function publicKeyFingerprint(key: Uint8Array): Uint8Array {
  return sha256(concatBytes(publicPrefix, key));
}

/** The shared secret, which the caller wipes; undefined for a public key of small order, which gives none. */
export function sharedSecret(privateKey: KeyObject, publicKey: Uint8Array): Uint8Array | undefined {
  try {
    return diffieHellman({ privateKey, publicKey: publicKeyObject(publicKey) });
  } catch {
    return undefined;
  }
}
