import { assert, type Entropy, type LogId, type TenantId } from '../base/index.ts';
import { type SecretKey, SectionKey, sealsPerKeyMax } from '../crypto/index.ts';
import type { Keyring } from './keyring.ts';

const cachedKeysMax = 16_384;

/**
 * From the root key down to section keys. Section keys are derived at a tenant's first use within a
 * sealing epoch and kept, the least recently made dropped first.
 */
export class KeyHierarchy {
  readonly root: SecretKey;
  #keyring: Keyring;
  readonly #logId: LogId;
  readonly #sections = new Map<string, SectionKey>();

  constructor(root: SecretKey, keyring: Keyring) {
    this.root = root;
    this.#keyring = keyring;
    this.#logId = keyring.logId;
  }

  get keyring(): Keyring {
    return this.#keyring;
  }

  /** Goes on with a newer keyring of the same database, which is on the disk. */
  replaceKeyring(keyring: Keyring): void {
    this.#keyring = keyring;
  }

  /** The key of a tenant's sections under an epoch salt; undefined if the keyring has none for the tenant. */
  sectionKey(tenant: TenantId, epochSalt: Uint8Array): SectionKey | undefined {
    const name = `${tenant}:${String.fromCharCode(...epochSalt)}`;
    const known = this.#sections.get(name);
    if (known !== undefined) return known;
    const key = this.deriveSectionKey(tenant, epochSalt);
    if (key === undefined) return undefined;
    if (this.#sections.size >= cachedKeysMax) this.#evictOldest();
    this.#sections.set(name, key);
    return key;
  }

  /** As `sectionKey`, but owned, and wiped, by the caller. */
  deriveSectionKey(tenant: TenantId, epochSalt: Uint8Array): SectionKey | undefined {
    const secret = this.keyring.epochSecret(tenant, this.root);
    if (secret === undefined) return undefined;
    const key = new SectionKey(secret, epochSalt, this.#logId, tenant);
    secret.wipe();
    return key;
  }

  wipe(): void {
    this.wipeSectionKeys();
    this.root.wipe();
  }

  /** Wipes the derived keys; the root key stays with its owner. */
  wipeSectionKeys(): void {
    for (const key of this.#sections.values()) key.wipe();
    this.#sections.clear();
  }

  #evictOldest(): void {
    const [name, key] = this.#sections.entries().next().value as [string, SectionKey];
    key.wipe();
    this.#sections.delete(name);
  }
}

/** A writer's sealing epoch: drawn anew at each open for append, and before a key has sealed too often. */
export class SealingEpoch {
  readonly number: number;
  readonly salt: Uint8Array;
  readonly #hierarchy: KeyHierarchy;
  readonly #keys = new Map<TenantId, SectionKey>();

  constructor(number: number, entropy: Entropy, hierarchy: KeyHierarchy) {
    this.number = number;
    this.salt = entropy.bytes(32);
    this.#hierarchy = hierarchy;
  }

  keyFor(tenant: TenantId): SectionKey {
    let key = this.#keys.get(tenant);
    if (key === undefined) {
      key = this.#hierarchy.deriveSectionKey(tenant, this.salt);
      assert(key !== undefined, 'a tenant has keys before its first section is sealed');
      this.#keys.set(tenant, key);
    }
    return key;
  }

  /** Whether some key is close to its limit, so that the writer must start another epoch. */
  get exhausted(): boolean {
    for (const key of this.#keys.values()) {
      if (key.seals >= sealsPerKeyMax - 1) return true;
    }
    return false;
  }

  wipe(): void {
    for (const key of this.#keys.values()) key.wipe();
    this.#keys.clear();
  }
}
