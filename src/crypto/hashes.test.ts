import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { commitEventInto, commitFieldsInto, crc32, pae, sha256 } from './index.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const reference = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};
const u32 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const saltOf = (seed: Uint8Array, event: number, field: number): Uint8Array =>
  reference(utf8('veritydb/salt/v1'), seed, u32(event), u32(field)).subarray(0, 16);

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

test('a commitment of kind 0 is made as documented, for events of any size', () => {
  const seed = new Uint8Array(32).fill(5);
  for (const size of [0, 1, 100, 4_000, 5_000, 100_000]) {
    const event = new Uint8Array(size).fill(size & 0xff);
    const target = new Uint8Array(40);
    commitEventInto(target, 4, seed, size, event);
    const expected = reference(
      utf8('veritydb/commitment/v1'),
      Uint8Array.of(0),
      saltOf(seed, size, 0),
      event,
    );
    expect(hex(target.subarray(4, 36))).toBe(hex(expected));
    expect(hex(target.subarray(0, 4)) + hex(target.subarray(36))).toBe('0000000000000000');
  }
});

test('a commitment of kind 1 is made as documented', () => {
  const seed = new Uint8Array(32).fill(5);
  const fields = ['a', 'bb', 'ccc'].map(utf8);
  const leaves = fields.map((field, index) =>
    reference(
      Uint8Array.of(0),
      reference(utf8('veritydb/field/v1'), saltOf(seed, 8, index), field),
    ),
  ) as [Uint8Array, Uint8Array, Uint8Array];
  const pair = reference(Uint8Array.of(1), leaves[0], leaves[1]);
  const root = reference(Uint8Array.of(1), pair, leaves[2]);
  const target = new Uint8Array(32);
  commitFieldsInto(target, 0, seed, 8, fields);
  expect(hex(target)).toBe(hex(reference(utf8('veritydb/commitment/v1'), Uint8Array.of(1), root)));
});

test('commitments differ by seed, number, event and kind', () => {
  const commit = (seed: number, number: number, event: string): string => {
    const target = new Uint8Array(32);
    commitEventInto(target, 0, new Uint8Array(32).fill(seed), number, utf8(event));
    return hex(target);
  };
  const byFields = new Uint8Array(32);
  commitFieldsInto(byFields, 0, new Uint8Array(32).fill(1), 0, [utf8('x')]);
  const all = [
    commit(1, 0, 'x'),
    commit(2, 0, 'x'),
    commit(1, 1, 'x'),
    commit(1, 0, 'y'),
    hex(byFields),
  ];
  expect(new Set(all).size).toBe(all.length);
  expect(commit(1, 0, 'x')).toBe(all[0]);
});
