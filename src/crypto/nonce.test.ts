import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pae, SecretKey } from './index.ts';
import { nonceOf } from './nonce.ts';

const bytes = (length: { minLength?: number; maxLength: number }) => fc.uint8Array(length);

test('a nonce is the beginning of HMAC-SHA-256 as Node computes it', () => {
  fc.assert(
    fc.property(
      bytes({ minLength: 32, maxLength: 32 }),
      bytes({ maxLength: 200 }),
      bytes({ maxLength: 3_000 }),
      (key, aad, plaintext) => {
        const whole = createHmac('sha256', key).update(pae(aad, plaintext)).digest();
        expect(nonceOf(new SecretKey(key.slice()), aad, plaintext)).toEqual(
          new Uint8Array(whole.subarray(0, 12)),
        );
      },
    ),
  );
});

test('long plaintexts are no exception, and leave nothing for the short ones after them', () => {
  const key = new Uint8Array(32).fill(9);
  const aad = Uint8Array.of(1);
  for (const length of [16_000, 16_400, 100_000, 3 << 20, 10, 0]) {
    const plaintext = new Uint8Array(length).fill(7);
    const whole = createHmac('sha256', key).update(pae(aad, plaintext)).digest();
    expect(nonceOf(new SecretKey(key.slice()), aad, plaintext)).toEqual(
      new Uint8Array(whole.subarray(0, 12)),
    );
  }
});

test('a wiped key makes no nonce', () => {
  const key = new SecretKey(new Uint8Array(32));
  key.wipe();
  expect(() => nonceOf(key, new Uint8Array(), new Uint8Array())).toThrow('wiped');
});
