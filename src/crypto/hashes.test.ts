import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32, pae, sha256 } from './index.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const reference = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

test('SHA-256 of "abc" is that of FIPS 180-4, and of any bytes that of OpenSSL', () => {
  expect(hex(sha256(utf8('abc')))).toBe(
    'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), (bytes) => {
      expect(new Uint8Array(sha256(bytes))).toEqual(reference(bytes));
    }),
  );
});

test('CRC-32 of "123456789" is the published check value', () => {
  expect(crc32(utf8('123456789'))).toBe(0xcbf4_3926);
  expect(crc32(utf8('56789'), crc32(utf8('1234')))).toBe(0xcbf4_3926);
});

test('two lists of parts never have one encoding', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 4 });
  fc.assert(
    fc.property(parts, parts, (left, right) => {
      const same = JSON.stringify(left.map(hex)) === JSON.stringify(right.map(hex));
      expect(hex(pae(...left)) === hex(pae(...right))).toBe(same);
    }),
  );
  expect(hex(pae())).toBe('0000000000000000');
  expect(hex(pae('test'))).toBe('0100000000000000040000000000000074657374');
});
