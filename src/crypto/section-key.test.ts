import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hkdf, hmac, openBytes, pae, SectionKey, SecretKey } from './index.ts';

const secretBytes = (): Uint8Array => Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const salt = new Uint8Array(32).fill(7);
const logId = new Uint8Array(16).fill(9);
const keyFor = (tenant = 3): SectionKey =>
  new SectionKey(new SecretKey(secretBytes()), salt, logId, tenant);
const aad = Uint8Array.of(1, 2, 3);
const text = new TextEncoder().encode('what is sealed');

test('what is sealed opens to the same bytes under the same place', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.uint8Array({ maxLength: 60 }),
      (plain, place) => {
        const key = keyFor();
        const { nonce, sealed } = key.seal(place, plain);
        expect(sealed.length).toBe(plain.length + 16);
        expect(new Uint8Array(key.open(place, key.commitment, nonce, sealed) ?? [])).toEqual(plain);
      },
    ),
  );
});

test('one changed bit in ciphertext, tag, nonce, place or commitment opens to nothing', () => {
  const key = keyFor();
  const { nonce, sealed } = key.seal(aad, text);
  const parts = [aad, key.commitment, nonce, sealed].map((part) => new Uint8Array(part));
  for (const [number, part] of parts.entries()) {
    for (let bit = 0; bit < part.length * 8; bit++) {
      const changed = part.slice();
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const with_ = parts.with(number, changed) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      expect(key.open(...with_), `part ${number} bit ${bit}`).toBeUndefined();
    }
  }
});

test('keys differ by tenant, salt, log and secret', () => {
  const other = secretBytes().fill(1);
  const keys = [
    keyFor(),
    keyFor(4),
    new SectionKey(new SecretKey(secretBytes()), new Uint8Array(32), logId, 3),
    new SectionKey(new SecretKey(secretBytes()), salt, new Uint8Array(16), 3),
    new SectionKey(new SecretKey(other), salt, logId, 3),
  ];
  expect(new Set(keys.map((key) => Buffer.from(key.commitment).toString('hex'))).size).toBe(5);
  const { nonce, sealed } = (keys[0] as SectionKey).seal(aad, text);
  for (const key of keys.slice(1)) {
    expect(key.open(aad, key.commitment, nonce, sealed)).toBeUndefined();
  }
});

test('another place or other bytes get another nonce under the same key', () => {
  const nonces = [
    keyFor().seal(aad, text).nonce,
    keyFor().seal(Uint8Array.of(1, 2, 4), text).nonce,
    keyFor().seal(aad, text.subarray(1)).nonce,
    // The boundary between place and bytes counts as well.
    keyFor().seal(Uint8Array.of(1, 2), Uint8Array.of(3, 4)).nonce,
    keyFor().seal(Uint8Array.of(1), Uint8Array.of(2, 3, 4)).nonce,
  ];
  expect(new Set(nonces.map((nonce) => Buffer.from(nonce).toString('hex'))).size).toBe(5);
  expect(keyFor().seal(aad, text).nonce).toEqual(nonces[0]);
});

test('key, nonce and seal are made as documented', () => {
  const tenant = Uint8Array.of(3, 0, 0, 0);
  const info = pae('veritydb/section/v1', logId, tenant);
  const material = hkdf(new SecretKey(secretBytes()), salt, info, 96);
  const key = keyFor();
  const { nonce, sealed } = key.seal(aad, text);
  expect(key.commitment).toEqual(material.slice(64));
  const nonceKey = new SecretKey(material.slice(32, 64));
  expect(new Uint8Array(nonce)).toEqual(
    new Uint8Array(hmac(nonceKey, pae(aad, text)).subarray(0, 12)),
  );
  const opened = openBytes(new SecretKey(material.slice(0, 32)), nonce, aad, sealed);
  expect(new Uint8Array(opened ?? [])).toEqual(text);
});

test('a key counts its seals, so that the writer can roll it', () => {
  const key = keyFor();
  for (let count = 0; count < 3; count++) key.seal(aad, text);
  expect(key.seals).toBe(3);
});

test('a wiped key neither seals nor opens', () => {
  const key = keyFor();
  const { nonce, sealed } = key.seal(aad, text);
  key.wipe();
  expect(() => key.seal(aad, text)).toThrow('wiped');
  expect(() => key.open(aad, key.commitment, nonce, sealed)).toThrow('wiped');
});
