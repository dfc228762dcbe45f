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
import { pae } from './pae.ts';
import { constantTimeEqual, SecretKey } from './secret-key.ts';

/** What a blob key is for. */
export interface BlobKeyPurpose {
  /** 16 bytes. */
  readonly logId: Uint8Array;
  /** 16 bytes. */
  readonly blobId: Uint8Array;
  readonly tenant: number;
  /** Which of the tenant's secrets the key derives from. */
  readonly secretNumber: number;
  readonly algorithm: Algorithm;
  /** Of the whole value: SHA-256, and its length. */
  readonly digest: Uint8Array;
  readonly lengthBytes: number;
}

/** Which chunk of a blob: from 0, and whether none follows. */
export interface ChunkPlace {
  readonly index: number;
  readonly isLast: boolean;
}

/**
 * The key of one sealing of one blob, in chunks.
 *
 * - Derivation: HKDF-SHA256(tenant's secret, salt of the file, PAE(purpose, log id, blob id, tenant ‖ secret number ‖
 *   algorithm ‖ length, digest)) → encryption key ‖ key commitment. The salt is random; the digest of the value is an
 *   input too, so that even a cloned machine that draws the same salt seals another value under another key.
 * - Nonce = number of the chunk u32 ‖ 7 zero bytes ‖ last flag: a key seals each chunk of one value once.
 * - Neither cipher commits to its key, so the stored commitment is compared before any decryption.
 * - Under algorithm 'none' there is no key: the commitment is zero, sealed bytes are the plaintext, and the tag is a
 *   hash of AAD and plaintext. Nothing is secret, but a chunk that is damaged or moved is still found.
 */
export class BlobKey {
  readonly commitment: Uint8Array;
  readonly #algorithm: Algorithm;
  readonly #encryption: SecretKey | undefined;

  constructor(secret: SecretKey, salt: Uint8Array, purpose: BlobKeyPurpose) {
    const { logId, blobId, algorithm, digest } = purpose;
    assert(
      salt.length === 32 && logId.length === 16 && blobId.length === 16 && digest.length === 32,
      'blob key inputs have their sizes',
    );
    this.#algorithm = algorithm;
    if (algorithm === 'none') {
      this.commitment = new Uint8Array(32);
      return;
    }
    const info = pae('veritydb/blob/v1', logId, blobId, purposeBytes(purpose), digest);
    const material = hkdf(secret, salt, info, 64);
    this.#encryption = new SecretKey(material.subarray(0, 32));
    this.commitment = material.slice(32, 64);
    material.fill(0);
  }

  /** Whether a stored commitment is this key's; in constant time. */
  fits(commitment: Uint8Array): boolean {
    return constantTimeEqual(commitment, this.commitment);
  }

  /** Ciphertext, as long as the plaintext, and tag. Each place once. */
  seal(
    aad: Uint8Array,
    place: ChunkPlace,
    plaintext: Uint8Array,
  ): { readonly ciphertext: Uint8Array; readonly tag: Uint8Array } {
    if (this.#encryption === undefined)
      return { ciphertext: plaintext, tag: plainTag(aad, place, plaintext) };
    const algorithm = this.#algorithm as AeadName;
    return sealParts(this.#encryption, nonceOfChunk(place), aad, plaintext, algorithm);
  }

  /** The plaintext of `sealed`, which is ciphertext ‖ tag; undefined if anything differs. */
  open(aad: Uint8Array, place: ChunkPlace, sealed: Uint8Array): Uint8Array | undefined {
    if (this.#encryption !== undefined) {
      const algorithm = this.#algorithm as AeadName;
      return openBytes(this.#encryption, nonceOfChunk(place), aad, sealed, algorithm);
    }
    const length = sealed.length - tagBytes;
    if (length < 0) return undefined;
    const plaintext = sealed.subarray(0, length);
    const tag = plainTag(aad, place, plaintext);
    return tag.every((byte, index) => byte === sealed[length + index]) ? plaintext : undefined;
  }

  wipe(): void {
    this.#encryption?.wipe();
  }
}

function nonceOfChunk({ index, isLast }: ChunkPlace): Uint8Array {
  const nonce = new Uint8Array(nonceBytes);
  new DataView(nonce.buffer).setUint32(0, index, true);
  nonce[nonceBytes - 1] = isLast ? 1 : 0;
  return nonce;
}

function plainTag(aad: Uint8Array, place: ChunkPlace, plaintext: Uint8Array): Uint8Array {
  const bytes = pae('veritydb/plain-blob/v1', aad, nonceOfChunk(place), plaintext);
  return sha256(bytes).slice(0, tagBytes);
}

/** Tenant u32 ‖ secret number u32 ‖ algorithm u8 ‖ length u32. */
function purposeBytes({
  tenant,
  secretNumber,
  algorithm,
  lengthBytes,
}: BlobKeyPurpose): Uint8Array {
  const bytes = new Uint8Array(13);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tenant, true);
  view.setUint32(4, secretNumber, true);
  bytes[8] = algorithmId(algorithm);
  view.setUint32(9, lengthBytes, true);
  return bytes;
}
