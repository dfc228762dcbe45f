import { assert } from '../base/index.ts';
import { nonceBytes, openBytes, sealBytes } from './aead.ts';
import { hkdf, hmac } from './kdf.ts';
import { pae } from './pae.ts';
import { constantTimeEqual, SecretKey } from './secret-key.ts';

/** A key seals at most this many sections; then the writer starts a new sealing epoch. */
export const sealsPerKeyMax = 2 ** 30;

export interface Sealed {
  readonly nonce: Uint8Array;
  /** Ciphertext, then the 16-byte tag. */
  readonly sealed: Uint8Array;
}

/**
 * The keys of one tenant's sections within one sealing epoch.
 *
 * - Derivation: HKDF-SHA256(tenant's epoch secret, salt of the sealing epoch, PAE(purpose, log id, tenant))
 *   → encryption key ‖ nonce key ‖ key commitment.
 * - Nonce = HMAC(nonce key, PAE(AAD, plaintext))[0..12]: another place or other bytes, another nonce, even
 *   for two clones of one machine that drew the same salt.
 * - AES-256-GCM does not commit to its key, so the stored commitment is compared before any decryption.
 */
export class SectionKey {
  readonly #encryption: SecretKey;
  readonly #nonce: SecretKey;
  readonly commitment: Uint8Array;
  #seals = 0;

  constructor(epochSecret: SecretKey, salt: Uint8Array, logId: Uint8Array, tenant: number) {
    assert(salt.length === 32 && logId.length === 16, 'section key inputs have their sizes');
    const material = hkdf(
      epochSecret,
      salt,
      pae('veritydb/section/v1', logId, tenantBytes(tenant)),
      96,
    );
    this.#encryption = new SecretKey(material.slice(0, 32));
    this.#nonce = new SecretKey(material.slice(32, 64));
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
    const nonce = hmac(this.#nonce, pae(aad, plaintext)).subarray(0, nonceBytes);
    return { nonce, sealed: sealBytes(this.#encryption, nonce, aad, plaintext) };
  }

  /** The plaintext, or undefined if key commitment, tag or AAD do not fit. Nothing is handed out before the tag is checked. */
  open(
    aad: Uint8Array,
    commitment: Uint8Array,
    nonce: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined {
    if (!constantTimeEqual(commitment, this.commitment)) return undefined;
    return openBytes(this.#encryption, nonce, aad, sealed);
  }

  wipe(): void {
    this.#encryption.wipe();
    this.#nonce.wipe();
  }
}

function tenantBytes(tenant: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, tenant, true);
  return bytes;
}
