import { expect, test } from 'vitest';
import { type Entropy, type LogId, Prng, type TenantId } from '../base/index.ts';
import { crc32, SecretKey } from '../crypto/index.ts';
import { Keyring } from './keyring.ts';
import { decodeKeyring, encodeKeyring, keyringIsAuthentic } from './keyring-file.ts';

const root = (fill = 1): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
const logId = new Uint8Array(16).fill(0xab) as LogId;
const tenants = [0, 1, 7].map((id) => id as TenantId);
const tenantRecordBytes = 96;

function made(entropy: Entropy = new Prng(1)): Keyring {
  const keyring = new Keyring(logId, new TextEncoder().encode('{"identity":1}'), 5);
  const slot = {
    parameters: new Uint8Array(3),
    commitment: new Uint8Array(32),
    wrapped: new Uint8Array(40),
  };
  keyring.addSlot({ kind: 'file', ...slot }, root());
  keyring.addSlot({ kind: 'recovery', ...slot }, root());
  for (const tenant of tenants) keyring.addTenant(tenant, root(), entropy);
  return keyring;
}

function decoded(bytes: Uint8Array): Keyring {
  const keyring = decodeKeyring(bytes);
  if (!(keyring instanceof Keyring)) throw new Error(keyring.what);
  return keyring;
}

test('what is encoded is decoded: slots, tenants, generation, identity', () => {
  const keyring = made();
  const back = decoded(encodeKeyring(keyring, root()));
  expect(back.logId).toEqual(logId);
  expect(back.generation).toBe(5);
  expect(back.identity).toEqual(keyring.identity);
  expect(back.slots).toEqual(keyring.slots);
  expect(back.slots.map(({ id }) => id)).toEqual([1, 2]);
  for (const tenant of tenants) {
    expect(back.epochSecret(tenant, 1, root())?.expose()).toEqual(
      keyring.epochSecret(tenant, 1, root())?.expose(),
    );
  }
  expect(encodeKeyring(back, root())).toEqual(encodeKeyring(keyring, root()));
});

test('generations beyond 32 bits survive', () => {
  const keyring = made();
  keyring.generation = 2 ** 40 + 7;
  expect(decoded(encodeKeyring(keyring, root())).generation).toBe(2 ** 40 + 7);
});

test('each tenant has a secret of its own, and none without its root key', () => {
  const keyring = made();
  const secrets = tenants.map((tenant) => keyring.epochSecret(tenant, 1, root())?.expose());
  expect(new Set(secrets.map((secret) => Buffer.from(secret ?? []).toString('hex'))).size).toBe(3);
  expect(keyring.epochSecret(1 as TenantId, 1, root(2))).toBeUndefined();
  expect(keyring.epochSecret(2 as TenantId, 1, root())).toBeUndefined();
  expect([keyring.has(2 as TenantId), keyring.has(7 as TenantId)]).toEqual([false, true]);
});

test('no key that was drawn stands in the file, nor its digits', () => {
  const drawn: Uint8Array[] = [];
  const prng = new Prng(1);
  const keyring = made({
    bytes(count) {
      const bytes = prng.bytes(count);
      drawn.push(bytes.slice());
      return bytes;
    },
  });
  const file = Buffer.from(encodeKeyring(keyring, root()));
  expect(drawn).toHaveLength(tenants.length * 2);
  for (const key of [...drawn, new Uint8Array(32).fill(1)]) {
    expect(file.includes(Buffer.from(key))).toBe(false);
    expect(file.includes(Buffer.from(key).toString('hex'))).toBe(false);
  }
});

test('one changed bit anywhere is a problem with an offset at or before it, never an exception', () => {
  const file = encodeKeyring(made(), root());
  for (let bit = 0; bit < file.length * 8; bit++) {
    const changed = file.slice();
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    const problem = decodeKeyring(changed);
    if (problem instanceof Keyring) throw new Error(`bit ${bit} was not seen`);
    expect(problem.code).toBe('CHECKSUM_MISMATCH');
    expect(problem.offset).toBeLessThanOrEqual(bit >> 3);
  }
});

test('a file cut or extended anywhere is a problem, never an exception', () => {
  const file = encodeKeyring(made(), root());
  for (let length = 0; length < file.length; length++) {
    expect(decodeKeyring(file.subarray(0, length)), `${length} bytes`).not.toBeInstanceOf(Keyring);
  }
  for (const more of [1, 4, 96]) {
    expect(decodeKeyring(new Uint8Array([...file, ...new Uint8Array(more)]))).not.toBeInstanceOf(
      Keyring,
    );
  }
});

test('it is authentic under its root key alone, and not when two tenants have swapped their keys', () => {
  const file = encodeKeyring(made(), root());
  expect(keyringIsAuthentic(file, root())).toBe(true);
  expect(keyringIsAuthentic(file, root(2))).toBe(false);
  const swapped = file.slice();
  const second = file.length - 36 - 2 * tenantRecordBytes;
  const third = second + tenantRecordBytes;
  // Everything but the tenant's number changes places; the checksums are put right.
  swapped.set(file.subarray(third + 4, third + 92), second + 4);
  swapped.set(file.subarray(second + 4, second + 92), third + 4);
  const view = new DataView(swapped.buffer);
  for (const record of [second, third]) {
    view.setUint32(record + 92, crc32(swapped.subarray(record, record + 92)), true);
  }
  expect(decodeKeyring(swapped)).toBeInstanceOf(Keyring);
  expect(keyringIsAuthentic(swapped, root())).toBe(false);
});
