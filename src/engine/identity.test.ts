import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import type { LogId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import {
  decodeIdentity,
  encodeIdentity,
  firstDifference,
  type Identity,
  identityIsAuthentic,
} from './identity.ts';

const root = (fill = 1): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
const identity: Identity = {
  logId: new Uint8Array(16).fill(0xab) as LogId,
  instanceId: new Uint8Array(16).fill(0xcd),
  algorithm: 'aes-256-gcm',
};
const written = encodeIdentity(identity, root());
const text = new TextDecoder().decode(written);
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

test('what is written is read back, and is authentic under its root key alone', () => {
  expect(decodeIdentity(written)).toEqual(identity);
  expect(identityIsAuthentic(written, root())).toBe(true);
  expect(identityIsAuthentic(written, root(2))).toBe(false);
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
  const { checksum: _checksum, mac, ...body } = JSON.parse(later) as Record<string, unknown>;
  const checksum = createHash('sha256').update(JSON.stringify(body)).digest('hex');
  const intact = `${JSON.stringify({ ...body, checksum, mac }, undefined, 2)}\n`;
  expect(decodeIdentity(utf8(intact))).toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
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
