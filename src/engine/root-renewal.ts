import type { Entropy, TenantId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import type { Keyring, TenantKeys } from './keyring.ts';

interface Renewed {
  readonly from: TenantKeys;
  readonly to: TenantKeys;
}

/**
 * A keyring under a new root key: every tenant gets a new key-encryption key and a new secret, so that whoever has the
 * old root key and the old keyring can open nothing that is written from then on. It is made a few tenants at a time
 * while the old keyring stays in use; what is changed there meanwhile is made again at the end.
 */
export class RootRenewal {
  readonly #keys: { readonly from: SecretKey; readonly to: SecretKey; readonly entropy: Entropy };
  readonly #renewed = new Map<TenantId, Renewed>();
  #pending: TenantId[];

  constructor(
    keyring: Keyring,
    keys: { readonly from: SecretKey; readonly to: SecretKey; readonly entropy: Entropy },
  ) {
    this.#keys = keys;
    this.#pending = [...keyring.contents.tenants.keys()];
  }

  /** Makes the keys of `count` more tenants; false when none are left. */
  step(keyring: Keyring, count: number): boolean {
    for (const tenant of this.#pending.splice(0, count)) this.#renew(keyring, tenant);
    return this.#pending.length > 0;
  }

  /** Puts everything but the slots into `next`, a copy of the keyring in use now. */
  finish(next: Keyring): void {
    this.#pending = [];
    for (const tenant of next.contents.tenants.keys()) {
      next.setTenant(tenant, this.#renew(next, tenant));
    }
    const { from, to, entropy } = this.#keys;
    next.rewrapEntries(from, to);
    // The one before stays until the anchor is written under the new one.
    const key = new SecretKey(entropy.bytes(32));
    next.setEntry('anchor', (next.entryNumbers('anchor')[0] ?? 0) + 1, { key, root: to });
    key.wipe();
  }

  #renew(keyring: Keyring, tenant: TenantId): TenantKeys {
    const from = keyring.contents.tenants.get(tenant) as TenantKeys;
    const known = this.#renewed.get(tenant);
    if (known?.from === from) return known.to;
    const to = keyring.renewedTenant(tenant, from, this.#keys);
    this.#renewed.set(tenant, { from, to });
    return to;
  }
}
