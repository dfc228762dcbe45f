import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concatBytes } from '../base/index.ts';
import {
  type AeadName,
  hkdf,
  hmac,
  openBytes,
  pae,
  SectionKey,
  type SectionKeyPurpose,
  SecretKey,
} from './index.ts';

const secretBytes = (): Uint8Array => Uint8Array.from({ length: 32 }, (_, index) => index + 1);
const salt = new Uint8Array(32).fill(7);
const logId = new Uint8Array(16).fill(9);
const purpose: SectionKeyPurpose = { logId, tenant: 3, secretNumber: 5, algorithm: 'aes-256-gcm' };
const keyFor = (other: Partial<SectionKeyPurpose> = {}): SectionKey =>
  new SectionKey(new SecretKey(secretBytes()), salt, { ...purpose, ...other });
const aad = Uint8Array.of(1, 2, 3);
const text = new TextEncoder().encode('what is sealed');
/** As it stands in a frame. */
function seal(key: SectionKey, place: Uint8Array, plain: Uint8Array) {
  const { nonce, ciphertext, tag } = key.seal(place, plain);
  return { nonce, sealed: concatBytes(ciphertext, tag) };
}
const ciphers = ['aes-256-gcm', 'chacha20-poly1305'] as const satisfies readonly AeadName[];

describe.each(ciphers)('%s', (algorithm) => {
  const key = (): SectionKey => keyFor({ algorithm });

  test('what is sealed opens to the same bytes under the same place', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 60 }),
        (plain, place) => {
          const one = key();
          const { nonce, sealed } = seal(one, place, plain);
          expect(sealed.length).toBe(plain.length + 16);
          expect(new Uint8Array(one.open(place, one.commitment, nonce, sealed) ?? [])).toEqual(
            plain,
          );
        },
      ),
    );
  });

  test('one changed bit in ciphertext, tag, nonce, place or commitment opens to nothing', () => {
    const one = key();
    const { nonce, sealed } = seal(one, aad, text);
    const parts = [aad, one.commitment, nonce, sealed].map((part) => new Uint8Array(part));
    for (const [number, part] of parts.entries()) {
      for (let bit = 0; bit < part.length * 8; bit++) {
        const changed = part.slice();
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        const with_ = parts.with(number, changed) as Parameters<SectionKey['open']>;
        expect(one.open(...with_), `part ${number} bit ${bit}`).toBeUndefined();
      }
    }
  });

  test('key, nonce and seal are made as documented', () => {
    const id = { 'aes-256-gcm': 1, 'chacha20-poly1305': 2 }[algorithm];
    const bound = Uint8Array.of(3, 0, 0, 0, 5, 0, 0, 0, id);
    const info = pae('veritydb/section/v1', logId, bound);
    const material = hkdf(new SecretKey(secretBytes()), salt, info, 96);
    const one = key();
    const { nonce, sealed } = seal(one, aad, text);
    expect(one.commitment).toEqual(material.slice(64));
    const nonceKey = new SecretKey(material.slice(32, 64));
    expect(new Uint8Array(nonce)).toEqual(
      new Uint8Array(hmac(nonceKey, pae(aad, text)).subarray(0, 12)),
    );
    const encryption = new SecretKey(material.slice(0, 32));
    const opened = openBytes(encryption, nonce, aad, sealed, algorithm);
    expect(new Uint8Array(opened ?? [])).toEqual(text);
  });

  test('a wiped key neither seals nor opens', () => {
    const one = key();
    const { nonce, sealed } = seal(one, aad, text);
    one.wipe();
    expect(() => one.seal(aad, text)).toThrow('wiped');
    expect(() => one.open(aad, one.commitment, nonce, sealed)).toThrow('wiped');
  });
});

test('keys differ by tenant, number of the secret, algorithm, salt, log and secret', () => {
  const other = secretBytes().fill(1);
  const keys = [
    keyFor(),
    keyFor({ tenant: 4 }),
    keyFor({ secretNumber: 6 }),
    keyFor({ algorithm: 'chacha20-poly1305' }),
    keyFor({ logId: new Uint8Array(16) }),
    new SectionKey(new SecretKey(secretBytes()), new Uint8Array(32), purpose),
    new SectionKey(new SecretKey(other), salt, purpose),
  ];
  expect(new Set(keys.map((key) => Buffer.from(key.commitment).toString('hex'))).size).toBe(7);
  const { nonce, sealed } = seal(keys[0] as SectionKey, aad, text);
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

test('a key counts its seals, so that the writer can roll it', () => {
  const key = keyFor();
  for (let count = 0; count < 3; count++) key.seal(aad, text);
  expect(key.seals).toBe(3);
});

test('plain mode stores the bytes themselves under a zero commitment and nonce, and takes no others', () => {
  const key = keyFor({ algorithm: 'none' });
  const { nonce, sealed } = seal(key, aad, text);
  expect(key.commitment).toEqual(new Uint8Array(32));
  expect(nonce).toEqual(new Uint8Array(12));
  expect(sealed).toEqual(text);
  expect(key.open(aad, key.commitment, nonce, sealed)).toEqual(text);
  expect(key.open(aad, new Uint8Array(32).fill(1), nonce, sealed)).toBeUndefined();
  expect(key.open(aad, key.commitment, new Uint8Array(12).fill(1), sealed)).toBeUndefined();
});
