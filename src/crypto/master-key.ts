import type { SecretKey } from './secret-key.ts';

/** One way to the root key: how it was wrapped, and by what. Stored in the keyring. */
export interface KeySlot {
  readonly id: number;
  /** The provider's kind, e.g. 'file', 'passphrase', 'recovery'. */
  readonly kind: string;
  /** The provider's public parameters (e.g. Argon2id cost and salt). */
  readonly parameters: Uint8Array;
  /** Commitment to the wrapping key: tells a wrong key from altered bytes before anything is unwrapped. */
  readonly commitment: Uint8Array;
  /** The root key, wrapped. */
  readonly wrapped: Uint8Array;
}

/**
 * Wraps and unwraps the root key; the only thing that ever sees a master key. `open` calls `unwrap` once.
 * `unwrap` returns undefined when no slot was made with this provider's key, and throws KEY_MISSING or
 * KEY_INVALID when it has no usable key at all.
 */
export interface MasterKeyProvider {
  readonly kind: string;
  wrap(root: SecretKey): Promise<Omit<KeySlot, 'id'>>;
  unwrap(slots: readonly KeySlot[]): Promise<SecretKey | undefined>;
}
