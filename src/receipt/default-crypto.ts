/** SHA-256 and Ed25519 in plain JavaScript, for every runtime. */
import { ed25519 } from '@noble/curves/ed25519.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { Sha256, VerifyEd25519 } from '../proof/index.ts';

export const defaultCrypto: {
  readonly sha256: Sha256;
  readonly verifyEd25519: VerifyEd25519;
} = {
  sha256,
  verifyEd25519: (publicKey, message, signature) => {
    try {
      // RFC 8032 to the letter: neither a second spelling of a point nor a key of small order.
      return ed25519.verify(signature, message, publicKey, { zip215: false });
    } catch {
      return false;
    }
  },
};
