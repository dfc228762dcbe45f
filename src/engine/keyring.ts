/**
 * The keyring: wrapped keys only. docs/format/keyring.md draws its file.
 *
 * Invariants
 * - Each wrapped key is bound to its place: the wrapping key is derived for this purpose, database, tenant and
 *   number, so a key that was moved does not unwrap. The MAC over the whole file finds what is left out,
 *   doubled or put back.
 * - A tenant's secrets have ascending numbers, the newest last; a number is never given twice.
 * - Records are not changed in place: a copy shares them until it replaces them.
 */
import { assert, type Entropy, type LogId, type TenantId, VerityError } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import {
  ed25519PublicKey,
  type KeySlot,
  type NewKeySlot,
  SecretKey,
  sha256,
  unwrapBound,
  wrapBound,
  type WrappingPlace,
} from '../crypto/index.ts';

export const keySlotsMax = 64;
/** Rekeying lets the old ones go. */
const secretsPerTenantMax = 4_096;

/** One epoch secret, wrapped under the tenant's key-encryption key. */
export interface WrappedSecret {
  readonly number: number;
  readonly wrapped: Uint8Array;
}

export interface TenantKeys {
  readonly wrappedKek: Uint8Array;
  /** Ascending numbers; the last one seals. */
  readonly secrets: readonly WrappedSecret[];
}

/** What an entry's key is for; docs/format/keyring.md says more. Others are kept as they are. */
const keyEntryTypes = { lasting: 1, signing: 2, recovery: 3, anchor: 4, formerSigning: 7 } as const;
export type KeyEntryType = keyof typeof keyEntryTypes;

/** A key of the whole database, wrapped under the root key. */
export interface KeyEntry {
  readonly type: number;
  /** Tells entries of one type apart. */
  readonly number: number;
  /** What everybody may know of it: the public half of a signing key, and of a former one its hand-over too. */
  readonly publicBytes: Uint8Array;
  readonly wrapped: Uint8Array;
}

export interface KeyringContents {
  readonly slots: KeySlot[];
  readonly entries: KeyEntry[];
  readonly tenants: Map<TenantId, TenantKeys>;
}

export class Keyring {
  readonly logId: LogId;
  /** A copy of verity.json. */
  readonly identity: Uint8Array;
  generation: number;
  readonly #contents: KeyringContents;

  constructor(
    logId: LogId,
    identity: Uint8Array,
    generation: number,
    contents: KeyringContents = { slots: [], entries: [], tenants: new Map() },
  ) {
    this.logId = logId;
    this.identity = identity;
    this.generation = generation;
    this.#contents = contents;
  }

  /** One to change; this one stays what is on the disk until the changed one is there. */
  copy(): Keyring {
    const { slots, entries, tenants } = this.#contents;
    return new Keyring(this.logId, this.identity, this.generation, {
      slots: [...slots],
      entries: [...entries],
      tenants: new Map(tenants),
    });
  }

  get contents(): Readonly<KeyringContents> {
    return this.#contents;
  }
  get slots(): readonly KeySlot[] {
    return this.#contents.slots;
  }
  get tenantCount(): number {
    return this.#contents.tenants.size;
  }

  has(tenant: TenantId): boolean {
    return this.#contents.tenants.has(tenant);
  }

  /** Draws the tenant's key-encryption key and first epoch secret and stores them wrapped. */
  addTenant(tenant: TenantId, root: SecretKey, entropy: Entropy): void {
    const kek = new SecretKey(entropy.bytes(32));
    const keys = { kek, secrets: [] };
    this.#contents.tenants.set(tenant, this.#withNewSecret(tenant, keys, { root, entropy }));
    kek.wipe();
  }

  /** The number of the secret that the tenant's next sections are sealed under; undefined without keys. */
  newestSecret(tenant: TenantId): number | undefined {
    return this.#contents.tenants.get(tenant)?.secrets.at(-1)?.number;
  }

  /** The numbers of the tenant's epoch secrets, ascending. */
  secretNumbers(tenant: TenantId): number[] {
    return this.#contents.tenants.get(tenant)?.secrets.map(({ number }) => number) ?? [];
  }

  /** One of the tenant's epoch secrets, unwrapped; the caller wipes it. Undefined if it is not there or does not unwrap. */
  epochSecret(tenant: TenantId, secretNumber: number, root: SecretKey): SecretKey | undefined {
    const keys = this.#contents.tenants.get(tenant);
    const secret = keys?.secrets.find(({ number }) => number === secretNumber);
    if (keys === undefined || secret === undefined) return undefined;
    const kek = unwrapBound(root, this.#kekPlace(tenant), keys.wrappedKek);
    if (kek === undefined) return undefined;
    try {
      return unwrapBound(kek, this.#secretPlace(tenant, secretNumber), secret.wrapped);
    } finally {
      kek.wipe();
    }
  }

  /**
   * The tenant's keys with a new key-encryption key, its secrets wrapped anew under that, and a new secret; all under
   * `root.to`, which may be the same as `root.from`. Throws COMMAND_TOO_LARGE when it has too many secrets.
   */
  renewedTenant(
    tenant: TenantId,
    keys: TenantKeys,
    root: { readonly from: SecretKey; readonly to: SecretKey; readonly entropy: Entropy },
  ): TenantKeys {
    if (keys.secrets.length >= secretsPerTenantMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `A tenant has ${secretsPerTenantMax} secrets already, the most it may have. Rekey the log with ` +
          '"verity keys rekey", which lets the old ones go, and rotate then.',
      );
    }
    const oldKek = unwrapBound(root.from, this.#kekPlace(tenant), keys.wrappedKek);
    assert(oldKek !== undefined, 'a key of an authentic keyring unwraps');
    const kek = new SecretKey(root.entropy.bytes(32));
    try {
      const secrets = keys.secrets.map(({ number, wrapped }) => {
        const place = this.#secretPlace(tenant, number);
        return { number, wrapped: rewrapped(oldKek, kek, place, wrapped) };
      });
      return this.#withNewSecret(tenant, { kek, secrets }, { ...root, root: root.to });
    } finally {
      oldKek.wipe();
      kek.wipe();
    }
  }

  setTenant(tenant: TenantId, keys: TenantKeys): void {
    this.#contents.tenants.set(tenant, keys);
  }

  /** Forgets the tenant's secrets below a number; the newest always stays. */
  dropSecretsBelow(tenant: TenantId, secretNumber: number): void {
    const keys = this.#contents.tenants.get(tenant);
    if (keys === undefined) return;
    const newest = keys.secrets.at(-1);
    const secrets = keys.secrets.filter(
      (secret) => secret.number >= secretNumber || secret === newest,
    );
    this.#contents.tenants.set(tenant, { ...keys, secrets });
  }

  /** Adds a slot under the next number. Throws COMMAND_TOO_LARGE when there is no room. */
  addSlot({ rewrapKey, ...slot }: NewKeySlot, root: SecretKey): KeySlot {
    const { slots } = this.#contents;
    if (slots.length >= keySlotsMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The keyring has ${keySlotsMax} key slots already, the most it may have.`,
      );
    }
    const added = { id: slots.reduce((highest, { id }) => Math.max(highest, id), 0) + 1, ...slot };
    slots.push(added);
    if (rewrapKey !== undefined) {
      const key = new SecretKey(rewrapKey.slice());
      this.setEntry('recovery', added.id, { key, root });
      key.wipe();
    }
    return added;
  }

  /** Puts other bytes into a slot, which keeps its number. */
  replaceSlot(slot: KeySlot): void {
    const { slots } = this.#contents;
    const index = slots.findIndex(({ id }) => id === slot.id);
    assert(index !== -1, 'a slot that is replaced exists');
    slots[index] = slot;
  }

  removeSlot(id: number): void {
    const { slots } = this.#contents;
    const index = slots.findIndex((slot) => slot.id === id);
    if (index !== -1) slots.splice(index, 1);
    this.removeEntry('recovery', id);
  }

  /** A key of the whole database, unwrapped; the caller wipes it. Undefined if there is none or it does not unwrap. */
  entryKey(type: KeyEntryType, number: number, root: SecretKey): SecretKey | undefined {
    const entry = this.entry(type, number);
    return entry === undefined
      ? undefined
      : unwrapBound(root, this.#entryPlace(entry), entry.wrapped);
  }

  /** What the file says of such a key; undefined if there is none. */
  entry(type: KeyEntryType, number: number): KeyEntry | undefined {
    const code = keyEntryTypes[type];
    return this.#contents.entries.find((one) => one.type === code && one.number === number);
  }

  /** The numbers of the entries of a type, the highest first. */
  entryNumbers(type: KeyEntryType): number[] {
    const code = keyEntryTypes[type];
    const entries = this.#contents.entries.filter((entry) => entry.type === code);
    return entries.map(({ number }) => number).toSorted((left, right) => right - left);
  }

  setEntry(
    type: KeyEntryType,
    number: number,
    keys: { readonly key: SecretKey; readonly root: SecretKey; readonly publicBytes?: Uint8Array },
  ): void {
    this.removeEntry(type, number);
    const publicBytes =
      type === 'signing' ? ed25519PublicKey(keys.key) : (keys.publicBytes ?? new Uint8Array());
    const place = { type: keyEntryTypes[type], number, publicBytes };
    const wrapped = wrapBound(keys.root, this.#entryPlace(place), keys.key);
    this.#contents.entries.push({ ...place, wrapped });
  }

  removeEntry(type: KeyEntryType, number: number): void {
    const { entries } = this.#contents;
    const index = entries.findIndex(
      (entry) => entry.type === keyEntryTypes[type] && entry.number === number,
    );
    if (index !== -1) entries.splice(index, 1);
  }

  /** Wraps every key of the whole database, of whatever type, under another root key. */
  rewrapEntries(from: SecretKey, to: SecretKey): void {
    const { entries } = this.#contents;
    for (const [index, entry] of entries.entries()) {
      const wrapped = rewrapped(from, to, this.#entryPlace(entry), entry.wrapped);
      entries[index] = { ...entry, wrapped };
    }
  }

  digest(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }

  #withNewSecret(
    tenant: TenantId,
    keys: { readonly kek: SecretKey; readonly secrets: readonly WrappedSecret[] },
    from: { readonly root: SecretKey; readonly entropy: Entropy },
  ): TenantKeys {
    const { kek, secrets } = keys;
    const number = (secrets.at(-1)?.number ?? 0) + 1;
    const secret = new SecretKey(from.entropy.bytes(32));
    const wrapped = wrapBound(kek, this.#secretPlace(tenant, number), secret);
    secret.wipe();
    return {
      wrappedKek: wrapBound(from.root, this.#kekPlace(tenant), kek),
      secrets: [...secrets, { number, wrapped }],
    };
  }

  #kekPlace(tenant: TenantId): WrappingPlace {
    const context = new Writer(20);
    context.raw(this.logId);
    context.u32(tenant);
    return { purpose: 'veritydb/kek-wrapping/v1', context: context.view() };
  }

  #secretPlace(tenant: TenantId, secretNumber: number): WrappingPlace {
    const context = new Writer(24);
    context.raw(this.logId);
    context.u32(tenant);
    context.u32(secretNumber);
    return { purpose: 'veritydb/secret-wrapping/v1', context: context.view() };
  }

  #entryPlace({ type, number, publicBytes }: Omit<KeyEntry, 'wrapped'>): WrappingPlace {
    const context = new Writer(64);
    context.raw(this.logId);
    context.u32(type);
    context.u32(number);
    context.raw(publicBytes);
    return { purpose: 'veritydb/entry-wrapping/v1', context: context.view() };
  }
}

function rewrapped(
  from: SecretKey,
  to: SecretKey,
  place: WrappingPlace,
  wrapped: Uint8Array,
): Uint8Array {
  const key = unwrapBound(from, place, wrapped);
  assert(key !== undefined, 'a key of an authentic keyring unwraps');
  try {
    return wrapBound(to, place, key);
  } finally {
    key.wipe();
  }
}
