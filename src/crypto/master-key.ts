import type { LogId } from '../base/index.ts';
import type { SecretKey } from './secret-key.ts';

/** One way to the root key: how it was wrapped, and by what. Stored in the keyring. */
export interface KeySlot {
  readonly id: number;
  /** What wrapped it, e.g. 'master-key', 'passphrase', 'aws-kms'. Several providers may share a kind. */
  readonly kind: string;
  /** Public facts that unwrapping needs (Argon2id cost and salt, a key's ARN). At most 4,096 bytes. */
  readonly parameters: Uint8Array;
  /** Commitment to the key: tells a wrong key from altered bytes. */
  readonly commitment: Uint8Array;
  /** The root key, wrapped. */
  readonly wrapped: Uint8Array;
}

/** A slot that the keyring has not numbered yet. */
export type NewKeySlot = Omit<KeySlot, 'id'> & {
  /**
   * A public key for which another root key can be wrapped while the one who holds the slot's secret is away. The
   * keyring keeps it wrapped: nobody else may make such slots.
   */
  readonly rewrapKey?: Uint8Array;
};

/** The place a root key belongs to. Providers that can bind the wrapped key to it do. */
export interface SlotBinding {
  readonly logId: LogId;
  /** What the id is of, where it is no database's: a saved ring of envelope keys. */
  readonly use?: 'kek-ring';
}

/** What `unwrap` found: the root key, which the caller owns and wipes, and the slot that gave it. */
export interface UnwrappedRoot {
  readonly root: SecretKey;
  readonly slotId: number;
  /** That slot made anew, which is to take its place as soon as somebody may write. */
  readonly renewed?: NewKeySlot;
}

/** How a provider is asked. */
export interface UnwrapOptions {
  /** A check beside running work: waiting for an answer must not keep the process alive. */
  readonly background?: boolean;
}

/** Public facts about a provider, for status and lists; never a secret. */
export interface ProviderDescription {
  /** E.g. 'file', 'environment', 'passphrase', 'key-pair', 'aws-kms'. */
  readonly kind: string;
  /** Where the key is: a path, the name of a variable, an ARN, a token's label. Empty when it is nowhere. */
  readonly source: string;
  /** Further facts, e.g. the cost of Argon2id, a region. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** Whether `rotate` works; if not, rotate to another provider. */
  readonly rotates: boolean;
}

/**
 * A provider's new key, made but not yet in force. In this order: the slot is stored beside the old one,
 * durably; `activate`; the old slot is removed. A crash between any two steps leaves a slot that opens.
 */
export interface PreparedRotation {
  readonly slot: NewKeySlot;
  /**
   * Puts the new key in the place of the old one, durably; from then on the provider opens `slot` alone. When it
   * rejects, either of the two may be in place: both slots must stay.
   */
  activate(): Promise<void>;
  /** Removes what was prepared, when the slot could not be stored. */
  discard(): Promise<void>;
}

/**
 * Wraps and unwraps the root key; the only thing that ever sees a master key. Opening a database calls
 * `unwrap` once. All methods may reject with KEY_MISSING or KEY_INVALID when there is no usable key,
 * KEY_PROVIDER_MISSING when its package or module is not installed, KEY_PROVIDER_UNAVAILABLE when it does
 * not answer, and KEY_PROVIDER_DENIED when it refuses.
 */
export interface MasterKeyProvider {
  readonly kind: string;
  /** Wraps `root` under the provider's current key. `root` stays the caller's. */
  wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot>;
  /**
   * The root key out of the first slot that this provider's key opens; undefined when none was made with it.
   * Throws AUTHENTICATION_FAILED for a slot of this key that was altered.
   */
  unwrap(
    slots: readonly KeySlot[],
    binding: SlotBinding,
    options?: UnwrapOptions,
  ): Promise<UnwrappedRoot | undefined>;
  /** What the provider is, without asking it anything. */
  describe(): ProviderDescription;
  /** Makes a new key, or takes a new version, and wraps `root` under it. Rejects with KEY_ROTATION_UNSUPPORTED. */
  rotate(root: SecretKey, binding: SlotBinding): Promise<PreparedRotation>;
}
