import { assert } from '../base/index.ts';
import {
  type Algorithm,
  algorithmId,
  nonceBytes,
  openBytes,
  type SealedParts,
  sealParts,
} from './aead.ts';
import { hkdf } from './kdf.ts';
import { nonceOf } from './nonce.ts';
import { pae } from './pae.ts';
import { constantTimeEqual, SecretKey } from './secret-key.ts';

/** A key seals at most this many sections; then the writer starts a new sealing epoch. */
export const sealsPerKeyMax = 2 ** 30;
const commitmentBytes = 32;

/** In plain mode the ciphertext is a copy of the plaintext, and the tag is empty. */
export interface Sealed extends SealedParts {
  readonly nonce: Uint8Array;
}

const noTag = new Uint8Array();

/** What a section key is for. */
export interface SectionKeyPurpose {
  /** 16 bytes. */
  readonly logId: Uint8Array;
  readonly tenant: number;
  /** Which of the tenant's epoch secrets the key derives from. */
  readonly secretNumber: number;
  readonly algorithm: Algorithm;
}

/**
 * The keys of one tenant's sections within one sealing epoch.
 *
 * - Derivation: HKDF-SHA256(tenant's epoch secret, salt of the sealing epoch, PAE(purpose, log id, tenant ‖
 *   secret number ‖ algorithm)) → encryption key ‖ nonce key ‖ key commitment.
 * - Nonce = HMAC(nonce key, PAE(AAD, plaintext))[0..12]: another place or other bytes, another nonce, even
 *   for two clones of one machine that drew the same salt.
 * - Neither cipher commits to its key, so the stored commitment is compared before any decryption.
 * - Under algorithm 'none' there are no keys: commitment and nonce are zero, and sealed bytes are the plaintext.
 */
export class SectionKey {
  readonly secretNumber: number;
  readonly algorithm: Algorithm;
  readonly commitment: Uint8Array;
  readonly #keys: { readonly encryption: SecretKey; readonly nonce: SecretKey } | undefined;
  #seals = 0;

  constructor(epochSecret: SecretKey, salt: Uint8Array, purpose: SectionKeyPurpose) {
    const { logId, algorithm, secretNumber } = purpose;
    assert(salt.length === 32 && logId.length === 16, 'section key inputs have their sizes');
    this.secretNumber = secretNumber;
    this.algorithm = algorithm;
    if (algorithm === 'none') {
      this.commitment = new Uint8Array(commitmentBytes);
      return;
    }
    const info = pae('veritydb/section/v1', logId, purposeBytes(purpose));
    const material = hkdf(epochSecret, salt, info, 96);
    this.#keys = {
      encryption: new SecretKey(material.subarray(0, 32)),
      nonce: new SecretKey(material.subarray(32, 64)),
    };
    this.commitment = material.slice(64, 96);
    material.fill(0);
  }

  /** How often this key sealed; the writer rolls it before `sealsPerKeyMax`. */
  get seals(): number {
    return this.#seals;
  }

  seal(aad: Uint8Array, plaintext: Uint8Array): Sealed {
    assert(this.#seals < sealsPerKeyMax, 'a section key is rolled before its limit');
    this.#seals += 1;
    if (this.algorithm === 'none' || this.#keys === undefined)
      return { nonce: new Uint8Array(nonceBytes), ciphertext: plaintext.slice(), tag: noTag };
    const { encryption, nonce: nonceKey } = this.#keys;
    const nonce = nonceOf(nonceKey, aad, plaintext);
    const { ciphertext, tag } = sealParts(encryption, nonce, aad, plaintext, this.algorithm);
    return { nonce, ciphertext, tag };
  }

  /** The plaintext, or undefined if key commitment, tag or AAD do not fit. Nothing is handed out before the tag is checked. */
  open(
    aad: Uint8Array,
    commitment: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined {
    if (!constantTimeEqual(commitment, this.commitment)) return undefined;
    if (this.algorithm === 'none' || this.#keys === undefined)
      return nonce.every((byte) => byte === 0) ? sealed.slice() : undefined;
    return openBytes(this.#keys.encryption, nonce, aad, sealed, this.algorithm);
  }

  wipe(): void {
    this.#keys?.encryption.wipe();
    this.#keys?.nonce.wipe();
  }
}

/** Tenant u32 ‖ secret number u32 ‖ algorithm u8. */
function purposeBytes({ tenant, secretNumber, algorithm }: SectionKeyPurpose): Uint8Array {
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tenant, true);
  view.setUint32(4, secretNumber, true);
  bytes[8] = algorithmId(algorithm);
  return bytes;
}
