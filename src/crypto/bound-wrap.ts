import { deriveKey } from './kdf.ts';
import { unwrapKey, wrapKey } from './key-wrap.ts';
import type { SecretKey } from './secret-key.ts';

/** The one place that a wrapped key is for. AES-KWP has no associated data, so the wrapping key depends on it. */
export interface WrappingPlace {
  /** E.g. 'veritydb/kek-wrapping/v1'. */
  readonly purpose: string;
  /** Which database, tenant and number: of a fixed length for each purpose. */
  readonly context: Uint8Array;
}

/** Wraps `key` under a key that is derived from `parent` for this place alone: 40 bytes. */
export function wrapBound(parent: SecretKey, place: WrappingPlace, key: SecretKey): Uint8Array {
  const wrapping = deriveKey(parent, place.purpose, place.context);
  try {
    return wrapKey(wrapping, key);
  } finally {
    wrapping.wipe();
  }
}

/** Unwraps what `wrapBound` made; undefined if it was altered, or made under another key or for another place. */
export function unwrapBound(
  parent: SecretKey,
  place: WrappingPlace,
  wrapped: Uint8Array,
): SecretKey | undefined {
  const wrapping = deriveKey(parent, place.purpose, place.context);
  try {
    return unwrapKey(wrapping, wrapped);
  } finally {
    wrapping.wipe();
  }
}
