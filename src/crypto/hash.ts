import { createHash, hash } from 'node:crypto';
import type { Digest32 } from '../base/index.ts';

export const digestBytes = 32;

/** SHA-256 of `bytes`, as a new 32-byte array. */
export function sha256(bytes: Uint8Array): Digest32 {
  const digest = new Uint8Array(digestBytes);
  sha256Into(digest, 0, bytes);
  return digest as Digest32;
}

/** Writes SHA-256 of `bytes` into `target` at `offset` (32 bytes). The quickest form Node has: see docs/ARCHITECTURE.md. */
export function sha256Into(target: Uint8Array, offset: number, bytes: Uint8Array): void {
  const digest = hash('sha256', bytes, 'binary');
  for (let index = 0; index < digestBytes; index++) {
    target[offset + index] = digest.charCodeAt(index);
  }
}

/** SHA-256 of bytes that come piece by piece. */
export class Sha256 {
  readonly #hash = createHash('sha256');

  update(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** The digest of all that was given; once only. */
  digest(): Digest32 {
    return new Uint8Array(this.#hash.digest()) as Digest32;
  }
}
