import { expect, test } from 'vitest';
import { type LogId, Prng, type TenantId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { KeyHierarchy, SealingEpoch } from './key-hierarchy.ts';
import { Keyring, type TenantKeys, type WrappedSecret } from './keyring.ts';
import { decodeKeyring, encodeKeyring, keyringIsAuthentic } from './keyring-file.ts';
import { RootRenewal } from './root-renewal.ts';

const root = (fill = 1): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
const logId = new Uint8Array(16).fill(0xab) as LogId;
const [system, acme, zeta] = [0, 1, 2] as TenantId[] as [TenantId, TenantId, TenantId];
const keysOf = (keyring: Keyring, tenant: TenantId): TenantKeys =>
  keyring.contents.tenants.get(tenant) as TenantKeys;
const secret = (keyring: Keyring, tenant: TenantId, number: number, key = root()): string =>
  Buffer.from(keyring.epochSecret(tenant, number, key)?.expose() ?? []).toString('hex');

function made(): Keyring {
  const keyring = new Keyring(logId, new Uint8Array(), 5);
  const entropy = new Prng(1);
  for (const tenant of [system, acme, zeta]) keyring.addTenant(tenant, root(), entropy);
  keyring.setEntry('lasting', 0, { key: root(7), root: root() });
  keyring.setEntry('signing', 1, { key: root(8), root: root() });
  return keyring;
}

function renewed(keyring: Keyring, tenant: TenantId, times = 1): void {
  const entropy = new Prng(9);
  for (let time = 0; time < times; time++) {
    const keys = { from: root(), to: root(), entropy };
    keyring.setTenant(tenant, keyring.renewedTenant(tenant, keysOf(keyring, tenant), keys));
  }
}

test('a renewed tenant keeps its secrets, has one more, and all are wrapped under another key', () => {
  const keyring = made();
  const before = keyring.copy();
  renewed(keyring, acme, 2);
  expect(keyring.secretNumbers(acme)).toEqual([1, 2, 3]);
  expect(keyring.newestSecret(acme)).toBe(3);
  expect(secret(keyring, acme, 1)).toBe(secret(before, acme, 1));
  expect(new Set([1, 2, 3].map((number) => secret(keyring, acme, number))).size).toBe(3);
  expect(keysOf(keyring, acme).wrappedKek).not.toEqual(keysOf(before, acme).wrappedKek);
  expect(keysOf(keyring, acme).secrets[0]?.wrapped).not.toEqual(
    keysOf(before, acme).secrets[0]?.wrapped,
  );
  // The copy that is on the disk until then was not touched.
  expect(before.secretNumbers(acme)).toEqual([1]);
});

test('secrets go in order, and the newest never', () => {
  const keyring = made();
  renewed(keyring, acme, 3);
  keyring.dropSecretsBelow(acme, 3);
  expect(keyring.secretNumbers(acme)).toEqual([3, 4]);
  keyring.dropSecretsBelow(acme, 99);
  expect(keyring.secretNumbers(acme)).toEqual([4]);
  keyring.dropSecretsBelow(7 as TenantId, 99);
  renewed(keyring, acme);
  // A number is never given twice.
  expect(keyring.secretNumbers(acme)).toEqual([4, 5]);
});

test('a wrapped key opens in its own place only: not as another tenant, number, entry or database', () => {
  const keyring = made();
  renewed(keyring, acme);
  const [acmeKeys, zetaKeys] = [keysOf(keyring, acme), keysOf(keyring, zeta)];
  const swapped = keyring.copy();
  swapped.setTenant(acme, zetaKeys);
  swapped.setTenant(zeta, acmeKeys);
  expect([secret(swapped, acme, 1), secret(swapped, zeta, 1)]).toEqual(['', '']);
  const [first, second] = acmeKeys.secrets as readonly [WrappedSecret, WrappedSecret];
  const renumbered = keyring.copy();
  renumbered.setTenant(acme, {
    ...acmeKeys,
    secrets: [
      { number: 1, wrapped: second.wrapped },
      { number: 2, wrapped: first.wrapped },
    ],
  });
  expect([secret(renumbered, acme, 1), secret(renumbered, acme, 2)]).toEqual(['', '']);
  const other = new Keyring(new Uint8Array(16).fill(1) as LogId, new Uint8Array(), 5, {
    slots: [],
    entries: [...keyring.contents.entries],
    tenants: new Map(keyring.contents.tenants),
  });
  expect(secret(other, zeta, 1)).toBe('');
  expect(other.entryKey('lasting', 0, root())).toBeUndefined();
  const [lasting, signing] = keyring.contents.entries;
  const crossed = new Keyring(logId, new Uint8Array(), 5, {
    slots: [],
    entries: [
      { ...lasting!, wrapped: signing!.wrapped },
      { ...signing!, publicBytes: new Uint8Array(32) },
    ],
    tenants: new Map(),
  });
  expect(crossed.entryKey('lasting', 0, root())).toBeUndefined();
  expect(crossed.entryKey('signing', 1, root())).toBeUndefined();
});

test('the file keeps secrets and entries, also of types that this version does not know', () => {
  const keyring = made();
  renewed(keyring, acme, 2);
  keyring.contents.entries.push({
    type: 99,
    number: 3,
    publicBytes: Uint8Array.of(1, 2),
    wrapped: new Uint8Array(40).fill(4),
  });
  const bytes = encodeKeyring(keyring, root());
  const back = decodeKeyring(bytes) as Keyring;
  expect(back.contents).toEqual(keyring.contents);
  expect(back.entryKey('lasting', 0, root())?.expose()).toEqual(root(7).expose());
  expect(keyringIsAuthentic(bytes, root())).toBe(true);
});

test.each<[string, (keys: TenantKeys) => TenantKeys]>([
  ['no secret', (keys) => ({ ...keys, secrets: [] })],
  ['a secret twice', (keys) => ({ ...keys, secrets: [...keys.secrets, ...keys.secrets] })],
  ['secrets out of order', (keys) => ({ ...keys, secrets: keys.secrets.toReversed() })],
])('a file whose tenant has %s is refused', (_what, change) => {
  const keyring = made();
  renewed(keyring, acme);
  keyring.setTenant(acme, change(keysOf(keyring, acme)));
  expect(decodeKeyring(encodeKeyring(keyring, root()))).not.toBeInstanceOf(Keyring);
});

test('a new root key: every tenant has another key and a new secret, also one added meanwhile; nothing opens with the old', () => {
  const keyring = made();
  const renewal = new RootRenewal(keyring, { from: root(), to: root(2), entropy: new Prng(5) });
  expect(renewal.step(keyring, 2)).toBe(true);
  // The keyring in use goes on changing.
  const meanwhile = keyring.copy();
  renewed(meanwhile, system);
  meanwhile.addTenant(3 as TenantId, root(), new Prng(6));
  expect(renewal.step(meanwhile, 2)).toBe(false);
  const next = meanwhile.copy();
  renewal.finish(next);
  expect([system, acme, zeta, 3 as TenantId].map((tenant) => next.secretNumbers(tenant))).toEqual([
    [1, 2, 3],
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
  for (const tenant of [system, acme, zeta, 3 as TenantId]) {
    expect(secret(next, tenant, 1, root(2))).toBe(secret(meanwhile, tenant, 1));
    expect(secret(next, tenant, 1)).toBe('');
  }
  expect(next.entryKey('lasting', 0, root(2))?.expose()).toEqual(root(7).expose());
  expect(next.entryKey('signing', 1, root())).toBeUndefined();
});

test('a keyring with a new secret starts a new sealing epoch, one with a new tenant does not', () => {
  const keyring = made();
  const hierarchy = new KeyHierarchy(root(), keyring);
  const epoch = new SealingEpoch(1, new Prng(1), hierarchy);
  const before = epoch.keyFor(acme).secretNumber;
  const more = keyring.copy();
  more.addTenant(3 as TenantId, root(), new Prng(2));
  hierarchy.replaceKeyring(more);
  expect(epoch.exhausted).toBe(false);
  const next = more.copy();
  renewed(next, zeta);
  renewed(next, acme);
  hierarchy.replaceKeyring(next);
  expect(epoch.exhausted).toBe(true);
  const after = new SealingEpoch(2, new Prng(3), hierarchy).keyFor(acme).secretNumber;
  expect([before, after]).toEqual([1, 2]);
});

test('a new root key is taken over and the old one wiped', () => {
  const old = root();
  const hierarchy = new KeyHierarchy(old, made());
  const fresh = root(2);
  hierarchy.replaceKeyring(made(), fresh);
  expect(() => old.expose()).toThrow('wiped');
  expect(hierarchy.root).toBe(fresh);
});
