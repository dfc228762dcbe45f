import { assert, type Entropy, type LogId, type TenantId } from '../base/index.ts';
import {
  defaultSuite,
  type KeySlot,
  type SealingSuite,
  type SecretKey,
  SectionKey,
  sealsPerKeyMax,
} from '../crypto/index.ts';
import {
  defaultKeyCacheBounds,
  KeyCache,
  type KeyCacheBounds,
  type KeyCacheTime,
} from './key-cache.ts';
import type { Keyring } from './keyring.ts';
import { SecurityMonitor } from './security.ts';

/** Which section key: of a tenant, under one of its epoch secrets, in one sealing epoch. */
export type MakeSectionKey = (
  tenant: TenantId,
  secretNumber: number,
  epochSalt: Uint8Array,
) => SectionKey | undefined;

export interface KeyHierarchyOptions {
  /** What verity.json says of every section of this database. */
  readonly suite?: SealingSuite;
  readonly cache?: KeyCacheBounds;
  readonly time?: KeyCacheTime;
  /** Counts what does not open. */
  readonly security?: SecurityMonitor;
  /** The slot that gave the root key as the provider made it anew; see UnwrappedRoot. */
  readonly renewedSlot?: KeySlot;
}

/** From the root key down to section keys, which are derived at their first use and kept within bounds. */
export class KeyHierarchy {
  readonly suite: SealingSuite;
  readonly security: SecurityMonitor;
  readonly renewedSlot: KeySlot | undefined;
  readonly #cache: KeyCacheBounds;
  readonly #time: KeyCacheTime | undefined;
  readonly #logId: LogId;
  readonly #sections: KeyCache<string>;
  #root: SecretKey;
  #keyring: Keyring;
  #sealingVersion = 0;
  #whenMissing: MakeSectionKey | undefined;

  /** Takes `root` over. */
  constructor(root: SecretKey, keyring: Keyring, options: KeyHierarchyOptions = {}) {
    const { suite = defaultSuite, cache = defaultKeyCacheBounds, time } = options;
    this.suite = suite;
    this.security = options.security ?? new SecurityMonitor();
    this.renewedSlot = options.renewedSlot;
    this.#cache = cache;
    this.#time = time;
    this.#root = root;
    this.#keyring = keyring;
    this.#logId = keyring.logId;
    this.#sections = this.newCache();
  }

  /** Changes when the master key is rotated: not to be kept. */
  get root(): SecretKey {
    return this.#root;
  }
  get keyring(): Keyring {
    return this.#keyring;
  }
  /** Another number whenever some tenant's next section must be sealed under another secret. */
  get sealingVersion(): number {
    return this.#sealingVersion;
  }

  /** A cache within this hierarchy's bounds. */
  newCache<Name>(): KeyCache<Name> {
    return new KeyCache(this.#cache, this.#time);
  }

  /** Goes on with a newer keyring of the same database, which is on the disk; takes over its root key if it is another. */
  replaceKeyring(keyring: Keyring, root?: SecretKey): void {
    for (const tenant of this.#keyring.contents.tenants.keys()) {
      if (this.#keyring.newestSecret(tenant) === keyring.newestSecret(tenant)) continue;
      this.#sealingVersion += 1;
      break;
    }
    this.#keyring = keyring;
    if (root === undefined || root === this.#root) return;
    this.#root.wipe();
    this.#root = root;
  }

  /** Asks `make` for keys whose secret the keyring lacks: another keyring may have it. */
  whenMissing(make: MakeSectionKey): void {
    this.#whenMissing = make;
  }

  /**
   * The key of a tenant's sections under one of its epoch secrets and an epoch salt, which stays this hierarchy's;
   * undefined if there is no such secret.
   */
  sectionKey(
    tenant: TenantId,
    secretNumber: number,
    epochSalt: Uint8Array,
  ): SectionKey | undefined {
    const name = `${tenant}:${secretNumber}:${String.fromCharCode(...epochSalt)}`;
    return this.#sections.get(
      name,
      () =>
        this.deriveSectionKey(tenant, secretNumber, epochSalt) ??
        this.#whenMissing?.(tenant, secretNumber, epochSalt),
    );
  }

  /** As `sectionKey`, but owned, and wiped, by the caller, and from this hierarchy's own keyring. */
  deriveSectionKey(
    tenant: TenantId,
    secretNumber: number,
    epochSalt: Uint8Array,
  ): SectionKey | undefined {
    const secret = this.#keyring.epochSecret(tenant, secretNumber, this.#root);
    if (secret === undefined) return undefined;
    const key = new SectionKey(secret, epochSalt, {
      logId: this.#logId,
      tenant,
      secretNumber,
      algorithm: this.suite.algorithm,
    });
    secret.wipe();
    return key;
  }

  wipe(): void {
    this.wipeSectionKeys();
    this.#root.wipe();
  }

  /** Wipes the derived keys; the root key stays with its owner. */
  wipeSectionKeys(): void {
    this.#sections.wipe();
  }
}

/**
 * A writer's sealing epoch: drawn anew at each open for append, when secrets were rotated, and before a key has sealed
 * too often.
 */
export class SealingEpoch {
  readonly number: number;
  readonly salt: Uint8Array;
  readonly #hierarchy: KeyHierarchy;
  readonly #keys: KeyCache<TenantId>;
  readonly #version: number;
  /** Of all tenants together: no key has sealed more often, however often it was derived. */
  #seals = 0;

  constructor(number: number, entropy: Entropy, hierarchy: KeyHierarchy) {
    this.number = number;
    this.salt = entropy.bytes(32);
    this.#hierarchy = hierarchy;
    this.#version = hierarchy.sealingVersion;
    this.#keys = hierarchy.newCache();
  }

  /** The key for one section of the tenant's, which stays the epoch's. */
  keyFor(tenant: TenantId): SectionKey {
    this.#seals += 1;
    const key = this.#keys.get(tenant, () => this.#derive(tenant));
    assert(key !== undefined, 'the newest secret of a tenant unwraps');
    return key;
  }

  /** Whether the writer must start another epoch before its next frame, which has at most 65,536 sections. */
  get exhausted(): boolean {
    return (
      this.#version !== this.#hierarchy.sealingVersion || this.#seals >= sealsPerKeyMax - 0x1_0000
    );
  }

  wipe(): void {
    this.#keys.wipe();
  }

  #derive(tenant: TenantId): SectionKey | undefined {
    const secretNumber = this.#hierarchy.keyring.newestSecret(tenant);
    assert(secretNumber !== undefined, 'a tenant has keys before its first section is sealed');
    return this.#hierarchy.deriveSectionKey(tenant, secretNumber, this.salt);
  }
}
