import { assert } from '../base/index.ts';
import {
  type AeadName,
  type Algorithm,
  algorithmId,
  nonceBytes,
  openBytes,
  sealParts,
  tagBytes,
} from './aead.ts';
import { sha256 } from './hash.ts';
import { hkdf } from './kdf.ts';
import { nonceOf } from './nonce.ts';
import { pae } from './pae.ts';
import { SecretKey } from './secret-key.ts';
import type { Sealed } from './section-key.ts';

/** What a page key is for. */
export interface PageKeyPurpose {
  /** 16 bytes. */
  readonly logId: Uint8Array;
  readonly epoch: number;
  readonly algorithm: Algorithm;
}

/**
 * The keys of the stored pages of one store epoch.
 *
 * - Derivation: HKDF-SHA256(store key, zero salt, PAE(purpose, log id, epoch ‖ algorithm)) → encryption key ‖ nonce key.
 * - Nonce = HMAC(nonce key, PAE(AAD, plaintext))[0..12], as in the log: neither a cloned directory nor an epoch that a
 *   crash repeats gives another plaintext the same nonce.
 * - Under algorithm 'none' the nonce is zero, sealed bytes are the plaintext, and the tag is a hash of AAD and
 *   plaintext: nothing is secret, but a page that is damaged, moved or old is still found.
 */
export class PageKey {
  readonly #algorithm: Algorithm;
  readonly #keys: { readonly encryption: SecretKey; readonly nonce: SecretKey } | undefined;
  #seals = 0;

  constructor(storeKey: SecretKey, { logId, epoch, algorithm }: PageKeyPurpose) {
    assert(logId.length === 16, 'a log id has 16 bytes');
    this.#algorithm = algorithm;
    if (algorithm === 'none') return;
    const purpose = new Uint8Array(5);
    new DataView(purpose.buffer).setUint32(0, epoch, true);
    purpose[4] = algorithmId(algorithm);
    const info = pae('veritydb/store-page/v1', logId, purpose);
    const material = hkdf(storeKey, new Uint8Array(32), info, 64);
    this.#keys = {
      encryption: new SecretKey(material.subarray(0, 32)),
      nonce: new SecretKey(material.subarray(32, 64)),
    };
  }

  /** How often this key sealed; the store starts another epoch before `sealsPerKeyMax`. */
  get seals(): number {
    return this.#seals;
  }

  /** The ciphertext, as long as the plaintext, with the 16-byte tag apart. */
  seal(aad: Uint8Array, plaintext: Uint8Array): Sealed {
    this.#seals += 1;
    if (this.#keys === undefined)
      return {
        nonce: new Uint8Array(nonceBytes),
        ciphertext: plaintext,
        tag: plainTag(aad, plaintext),
      };
    const { encryption, nonce: nonceKey } = this.#keys;
    const nonce = nonceOf(nonceKey, aad, plaintext);
    const algorithm = this.#algorithm as AeadName;
    const { ciphertext, tag } = sealParts(encryption, nonce, aad, plaintext, algorithm);
    return { nonce, ciphertext, tag };
  }

  /** The plaintext of `sealed`, which is ciphertext ‖ tag; undefined if anything differs. May be a view of `sealed`. */
  open(aad: Uint8Array, nonce: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (this.#keys !== undefined)
      return openBytes(this.#keys.encryption, nonce, aad, sealed, this.#algorithm as AeadName);
    const length = sealed.length - tagBytes;
    const plaintext = sealed.subarray(0, length);
    const tag = plainTag(aad, plaintext);
    const isSame = tag.every((byte, index) => byte === sealed[length + index]);
    return isSame && nonce.every((byte) => byte === 0) ? plaintext : undefined;
  }

  wipe(): void {
    this.#keys?.encryption.wipe();
    this.#keys?.nonce.wipe();
  }
}

function plainTag(aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  return sha256(pae('veritydb/store-plain-page/v1', aad, plaintext)).slice(0, tagBytes);
}
