/** Ed25519 (RFC 8032) on raw keys of 32 bytes, in the encodings of RFC 8410. */
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { concatBytes, fromHex } from '../base/index.ts';
import { encodedWith, type SecretKey } from './secret-key.ts';

const privatePrefix = fromHex('302e020100300506032b657004220420') as Uint8Array;
const publicPrefix = fromHex('302a300506032b6570032100') as Uint8Array;

/** The public key, 32 bytes, of the private key `seed`. */
export function ed25519PublicKey(seed: SecretKey): Uint8Array {
  const der = encodedWith(privatePrefix, seed);
  try {
    const privateKey = createPrivateKey({ key: der as never, format: 'der', type: 'pkcs8' });
    const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
    return new Uint8Array(spki.subarray(publicPrefix.length));
  } finally {
    der.fill(0);
  }
}

/** A raw public key as SubjectPublicKeyInfo in PEM. */
export function ed25519PublicKeyPem(publicKey: Uint8Array): string {
  const der = concatBytes(publicPrefix, publicKey);
  return createPublicKey({ key: der as never, format: 'der', type: 'spki' }).export({
    format: 'pem',
    type: 'spki',
  }) as string;
}

/** The signature, 64 bytes, of the private key `seed` over `message`. */
export function ed25519Sign(seed: SecretKey, message: Uint8Array): Uint8Array {
  const der = encodedWith(privatePrefix, seed);
  try {
    const key = createPrivateKey({ key: der as never, format: 'der', type: 'pkcs8' });
    return new Uint8Array(sign(null, message, key));
  } finally {
    der.fill(0);
  }
}

/**
 * Whether `signature` (64 bytes) over `message` is of the raw public key. That the key is no point of small order is for who
 * takes the key in to check: `makeVkey` and `parseVkey` of proof do.
 */
export function ed25519Verify(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const der = concatBytes(publicPrefix, publicKey);
  const key = createPublicKey({ key: der as never, format: 'der', type: 'spki' });
  return verify(null, message, key, signature);
}
