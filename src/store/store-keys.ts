import { assert, type Entropy, type LogId } from '../base/index.ts';
import {
  type Algorithm,
  deriveKey,
  PageKey,
  SecretKey,
  unwrapBound,
  wrapBound,
  type WrappingPlace,
} from '../crypto/index.ts';

/** Opened pages of so many epochs need no derivation. */
const pageKeysMax = 64;
/** As many as a superblock holds; with one more the store is built anew. */
export const storeKeysMax = 32;

/** A store key, wrapped under the root key: epochs from `firstEpoch` on derive from it, up to the next one's. */
export interface WrappedStoreKey {
  readonly firstEpoch: number;
  /** 40 bytes. */
  readonly wrapped: Uint8Array;
}

interface StoreKey {
  readonly firstEpoch: number;
  readonly key: SecretKey;
}

/**
 * The keys of the store: random ones that lie, wrapped under the root key, in the superblock, and what derives from
 * them. A new root key brings a new one along, so that the old root key opens nothing that is written from then on.
 *
 * Invariant: `firstEpoch` ascends; the last key is that of new pages.
 */
export class StoreKeys {
  readonly #logId: LogId;
  readonly #algorithm: Algorithm;
  #keys: readonly StoreKey[];
  readonly #pageKeys = new Map<number, PageKey>();

  private constructor(of: { logId: LogId; algorithm: Algorithm }, keys: readonly StoreKey[]) {
    this.#logId = of.logId;
    this.#algorithm = of.algorithm;
    this.#keys = keys;
  }

  /** Keys for a new store. */
  static draw(of: { logId: LogId; algorithm: Algorithm }, entropy: Entropy): StoreKeys {
    return new StoreKeys(of, [{ firstEpoch: 1, key: new SecretKey(entropy.bytes(32)) }]);
  }

  /** The keys that `root` unwraps; undefined if one of them does not unwrap. */
  static unwrap(
    of: { logId: LogId; algorithm: Algorithm },
    wrapped: readonly WrappedStoreKey[],
    root: SecretKey,
  ): StoreKeys | undefined {
    const keys: StoreKey[] = [];
    for (const { firstEpoch, wrapped: bytes } of wrapped) {
      const key = unwrapBound(root, placeOf(of.logId, firstEpoch), bytes);
      if (key === undefined) {
        for (const { key: known } of keys) known.wipe();
        return undefined;
      }
      keys.push({ firstEpoch, key });
    }
    return keys.length === 0 ? undefined : new StoreKeys(of, keys);
  }

  get count(): number {
    return this.#keys.length;
  }
  /** The first epoch of the newest key: pages of earlier ones are sealed under older keys. */
  get newestFirstEpoch(): number {
    return this.#newest.firstEpoch;
  }

  /** All of them, wrapped under `root`. */
  wrap(root: SecretKey): WrappedStoreKey[] {
    return this.#keys.map(({ firstEpoch, key }) => ({
      firstEpoch,
      wrapped: wrapBound(root, placeOf(this.#logId, firstEpoch), key),
    }));
  }

  /** A new key for epochs from `firstEpoch` on. */
  renew(firstEpoch: number, entropy: Entropy): void {
    assert(firstEpoch > this.newestFirstEpoch, 'a new key is for new epochs');
    this.#keys = [...this.#keys, { firstEpoch, key: new SecretKey(entropy.bytes(32)) }];
  }

  /** Forgets all but the newest: no page needs them any more. */
  dropOlder(): void {
    const newest = this.#newest;
    for (const [epoch, key] of this.#pageKeys) {
      if (epoch >= newest.firstEpoch) continue;
      key.wipe();
      this.#pageKeys.delete(epoch);
    }
    for (const { key } of this.#keys) if (key !== newest.key) key.wipe();
    this.#keys = [newest];
  }

  /** The key of an epoch's pages, which stays this object's; undefined if there is none. */
  pageKey(epoch: number): PageKey | undefined {
    const known = this.#pageKeys.get(epoch);
    if (known !== undefined) return known;
    const parent = this.#keys.findLast(({ firstEpoch }) => firstEpoch <= epoch);
    if (parent === undefined) return undefined;
    const key = new PageKey(parent.key, {
      logId: this.#logId,
      epoch,
      algorithm: this.#algorithm,
    });
    if (this.#pageKeys.size >= pageKeysMax) this.#forgetOldest();
    this.#pageKeys.set(epoch, key);
    return key;
  }

  /** The key of a superblock's MAC; the caller wipes it. */
  macKey(): SecretKey {
    return deriveKey(this.#newest.key, 'veritydb/superblock-mac/v1', this.#logId);
  }

  wipe(): void {
    for (const { key } of this.#keys) key.wipe();
    for (const key of this.#pageKeys.values()) key.wipe();
    this.#pageKeys.clear();
  }

  get #newest(): StoreKey {
    return this.#keys.at(-1) as StoreKey;
  }

  /** The newest epoch's key counts its seals and stays. */
  #forgetOldest(): void {
    const newest = Math.max(...this.#pageKeys.keys());
    for (const [epoch, key] of this.#pageKeys) {
      if (epoch === newest) continue;
      key.wipe();
      this.#pageKeys.delete(epoch);
      return;
    }
  }
}

function placeOf(logId: LogId, firstEpoch: number): WrappingPlace {
  const context = new Uint8Array(20);
  context.set(logId);
  new DataView(context.buffer).setUint32(16, firstEpoch, true);
  return { purpose: 'veritydb/store-wrapping/v1', context };
}
