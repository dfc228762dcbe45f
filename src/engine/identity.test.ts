import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { LogId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import {
  checkSuite,
  decodeIdentity,
  encodeIdentity,
  firstDifference,
  type Identity,
  identityIsAuthentic,
  newSuite,
  originOf,
} from './identity.ts';

const root = (fill = 1): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
const identity: Identity = {
  logId: new Uint8Array(16).fill(0xab) as LogId,
  instanceId: new Uint8Array(16).fill(0xcd),
  suite: { algorithm: 'aes-256-gcm', compression: 'none' },
};
const written = encodeIdentity(identity, root());
const text = new TextDecoder().decode(written);
/** The text with the checksum that fits it, as somebody without the root key can make it. */
function checksummed(given: string): string {
  const { checksum: _checksum, mac, ...body } = JSON.parse(given) as Record<string, unknown>;
  const checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  return `${JSON.stringify({ ...body, checksum, mac }, undefined, 2)}\n`;
}
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

test('what is written is read back, and is authentic under its root key alone', () => {
  expect(decodeIdentity(written)).toEqual(identity);
  expect(identityIsAuthentic(written, root())).toBe(true);
  expect(identityIsAuthentic(written, root(2))).toBe(false);
});

test('every suite is read back', () => {
  for (const algorithm of ['none', 'aes-256-gcm', 'chacha20-poly1305'] as const) {
    for (const compression of ['none', 'brotli'] as const) {
      const other = { ...identity, suite: { algorithm, compression } };
      expect(decodeIdentity(encodeIdentity(other, root()))).toEqual(other);
    }
  }
});

test('an origin is read back, and is authentic; without one it is made of the log id', () => {
  const named = { ...identity, origin: 'klinik.example/b\u00fccher' };
  const bytes = encodeIdentity(named, root());
  expect(decodeIdentity(bytes)).toEqual(named);
  expect(identityIsAuthentic(bytes, root())).toBe(true);
  const renamed = new TextDecoder().decode(bytes).replace('klinik', 'clinic');
  expect(decodeIdentity(utf8(renamed))).toMatchObject({ code: 'CHECKSUM_MISMATCH' });
  expect(identityIsAuthentic(utf8(checksummed(renamed)), root())).toBe(false);
  expect(originOf({ identity: bytes, logId: identity.logId })).toBe(named.origin);
  const unnamed = `veritydb.local/${'ab'.repeat(16)}`;
  expect(originOf({ identity: written, logId: identity.logId })).toBe(unnamed);
  expect(text).not.toContain('origin');
});

test('an origin that no verifier key could have is not read', () => {
  for (const origin of ['', 'two words', 'a+b', 'a\nb', '\u00a0', 'x'.repeat(256), 7, null]) {
    const other = text.replace('"checksum"', `"origin": ${JSON.stringify(origin)},\n  "checksum"`);
    const decoded = decodeIdentity(utf8(checksummed(other)));
    expect(decoded, JSON.stringify(origin)).toMatchObject({ code: 'CHECKSUM_MISMATCH' });
  }
});

test('one changed bit anywhere is a problem of the checksum or of authenticity, never an exception', () => {
  for (let bit = 0; bit < written.length * 8; bit++) {
    const changed = written.slice();
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
    const decoded = decodeIdentity(changed);
    const seen = 'what' in decoded || !identityIsAuthentic(changed, root());
    expect(seen, `bit ${bit}`).toBe(true);
    if ('what' in decoded) expect(decoded.code).toBe('CHECKSUM_MISMATCH');
  }
});

test('only the bytes that we write are accepted', () => {
  const others = [
    '',
    'null',
    '[]',
    '"veritydb"',
    `${text} `,
    text.slice(0, -1),
    JSON.stringify(JSON.parse(text)),
    text.replace('{', '{ "more": "x",'),
    text.replace('"algorithm"', '"algorithm": "none",\n  "algorithm"'),
    text.replace('abab', 'ABAB'),
    text.replace(/"logId": "[^"]*"/, '"logId": 7'),
    text.replace(/"logId": "[^"]*"/, '"logId": "ab"'),
    text.replace(/"mac": "[^"]*"/, '"mac": null'),
  ];
  for (const other of others) expect(decodeIdentity(utf8(other)), other).toHaveProperty('what');
  expect(decodeIdentity(Uint8Array.of(0xff, 0xfe, 0x00))).toHaveProperty('what');
});

test('a later revision that is intact is named as such; one that is not is damage', () => {
  const later = text.replace('"revision": 1', '"revision": 2');
  expect(decodeIdentity(utf8(later))).toMatchObject({ code: 'CHECKSUM_MISMATCH' });
  expect(decodeIdentity(utf8(checksummed(later)))).toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
});

test('an unknown algorithm or compression that is intact is named as such; one that is not is damage', () => {
  for (const [known, unknown] of [
    ['"aes-256-gcm"', '"aes-512-gcm"'],
    ['"compression": "none"', '"compression": "zstd"'],
    ['"aes-256-gcm"', '"constructor"'],
  ] as const) {
    const other = text.replace(known, unknown);
    expect(decodeIdentity(utf8(other))).toMatchObject({ code: 'CHECKSUM_MISMATCH' });
    expect(decodeIdentity(utf8(checksummed(other)))).toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  }
});

test('a database is what the caller asks for, or is refused', () => {
  const sealed = identity;
  const plain: Identity = { ...identity, suite: { algorithm: 'none', compression: 'brotli' } };
  const codeOf = (...given: Parameters<typeof checkSuite>): string | undefined => {
    try {
      checkSuite(...given);
      return undefined;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  expect(codeOf(sealed, {}, false, 'db')).toBeUndefined();
  expect(codeOf(sealed, sealed.suite, false, 'db')).toBeUndefined();
  expect(codeOf(sealed, { algorithm: 'chacha20-poly1305' }, false, 'db')).toBe('INVALID_ARGUMENT');
  expect(codeOf(sealed, { compression: 'brotli' }, false, 'db')).toBe('INVALID_ARGUMENT');
  expect(codeOf(sealed, {}, true, 'db')).toBe('KEY_MISSING');
  expect(codeOf(sealed, { origin: `veritydb.local/${'ab'.repeat(16)}` }, false, 'db')).toBe(
    undefined,
  );
  expect(codeOf(sealed, { origin: 'other.example' }, false, 'db')).toBe('INVALID_ARGUMENT');
  const named = { ...sealed, origin: 'one.example' };
  expect(codeOf(named, { origin: 'one.example' }, false, 'db')).toBeUndefined();
  expect(codeOf(named, { origin: 'other.example' }, false, 'db')).toBe('INVALID_ARGUMENT');
  expect(codeOf(plain, {}, true, 'db')).toBeUndefined();
  expect(codeOf(plain, {}, false, 'db')).toBe('NOT_ENCRYPTED');
  expect(codeOf(plain, { compression: 'none' }, true, 'db')).toBe('INVALID_ARGUMENT');
});

test('a new database gets what was asked for, and else the default', () => {
  expect(newSuite({}, false)).toEqual({ algorithm: 'aes-256-gcm', compression: 'none' });
  expect(newSuite({ compression: 'brotli' }, true)).toEqual({
    algorithm: 'none',
    compression: 'brotli',
  });
  expect(newSuite({ algorithm: 'chacha20-poly1305' }, false)).toEqual({
    algorithm: 'chacha20-poly1305',
    compression: 'none',
  });
});

test('a field cannot be changed without the root key, even with the checksum put right', () => {
  const forged = encodeIdentity({ ...identity, instanceId: new Uint8Array(16) }, root(9));
  expect(decodeIdentity(forged)).not.toHaveProperty('what');
  expect(identityIsAuthentic(forged, root())).toBe(false);
});

test('the first difference is found, also past the end of the shorter one', () => {
  expect(firstDifference(utf8('abc'), utf8('abc'))).toBeUndefined();
  expect(firstDifference(utf8('abc'), utf8('axc'))).toBe(1);
  expect(firstDifference(utf8('abc'), utf8('ab'))).toBe(2);
  expect(firstDifference(utf8(''), utf8('a'))).toBe(0);
});
