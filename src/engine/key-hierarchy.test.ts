import { expect, test } from 'vitest';
import { concatBytes, type LogId, Prng, type TenantId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { KeyHierarchy, SealingEpoch } from './key-hierarchy.ts';
import { Keyring } from './keyring.ts';

const tenantCount = 3;
const aad = Uint8Array.of(1);
const text = Uint8Array.of(2, 3);

function hierarchyOf(seed = 1): KeyHierarchy {
  const root = new SecretKey(new Uint8Array(32).fill(7));
  const keyring = new Keyring(new Uint8Array(16).fill(1) as LogId, new Uint8Array(), 1);
  const entropy = new Prng(seed);
  for (let tenant = 0; tenant < tenantCount; tenant++) {
    keyring.addTenant(tenant as TenantId, root, entropy);
  }
  return new KeyHierarchy(root, keyring);
}

test('what an epoch seals, the hierarchy opens from the keyring and the salt alone', () => {
  const hierarchy = hierarchyOf();
  const epoch = new SealingEpoch(4, new Prng(9), hierarchy);
  const { nonce, ciphertext, tag } = epoch.keyFor(1 as TenantId).seal(aad, text);
  const sealed = concatBytes(ciphertext, tag);
  const key = hierarchyOf().sectionKey(1 as TenantId, 1, epoch.salt);
  expect(new Uint8Array(key?.open(aad, key.commitment, nonce, sealed) ?? [])).toEqual(text);
});

test('every tenant has another key in every epoch', () => {
  const hierarchy = hierarchyOf();
  const entropy = new Prng(9);
  const commitments = new Set<string>();
  for (let number = 1; number <= 20; number++) {
    const epoch = new SealingEpoch(number, entropy, hierarchy);
    for (let tenant = 0; tenant < tenantCount; tenant++) {
      commitments.add(Buffer.from(epoch.keyFor(tenant as TenantId).commitment).toString('hex'));
    }
  }
  expect(commitments.size).toBe(20 * tenantCount);
});

test('an epoch keeps its keys, and the hierarchy those it derived', () => {
  const hierarchy = hierarchyOf();
  const epoch = new SealingEpoch(1, new Prng(9), hierarchy);
  expect(epoch.keyFor(1 as TenantId)).toBe(epoch.keyFor(1 as TenantId));
  const derived = hierarchy.sectionKey(1 as TenantId, 1, epoch.salt);
  expect(hierarchy.sectionKey(1 as TenantId, 1, epoch.salt)).toBe(derived);
  expect(hierarchy.sectionKey(2 as TenantId, 1, epoch.salt)).not.toBe(derived);
  expect(hierarchy.sectionKey(1 as TenantId, 1, new Uint8Array(32))).not.toBe(derived);
});

test('there is no key for a tenant that the keyring lacks', () => {
  const hierarchy = hierarchyOf();
  expect(hierarchy.sectionKey(99 as TenantId, 1, new Uint8Array(32))).toBeUndefined();
  expect(() => new SealingEpoch(1, new Prng(9), hierarchy).keyFor(99 as TenantId)).toThrow(
    'has keys',
  );
});

test('wiping takes the derived keys and the root key, wiping section keys leaves the root key', () => {
  const hierarchy = hierarchyOf();
  const key = hierarchy.sectionKey(1 as TenantId, 1, new Uint8Array(32));
  hierarchy.wipeSectionKeys();
  expect(() => key?.seal(aad, text)).toThrow('wiped');
  expect(hierarchy.root.expose()).toEqual(new Uint8Array(32).fill(7));
  hierarchy.wipe();
  expect(() => hierarchy.root.expose()).toThrow('wiped');
});

test('a wiped epoch seals nothing more', () => {
  const epoch = new SealingEpoch(1, new Prng(9), hierarchyOf());
  const key = epoch.keyFor(1 as TenantId);
  epoch.wipe();
  expect(() => key.seal(aad, text)).toThrow('wiped');
});
