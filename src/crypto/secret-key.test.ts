import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { constantTimeEqual, deriveKey, hmac, SecretKey } from './index.ts';

const filled = (byte: number): SecretKey => new SecretKey(new Uint8Array(32).fill(byte));

test('a key prints as [secret] under every formatter', () => {
  const key = filled(0xa7);
  key.handle();
  expect(`${String(key)} ${JSON.stringify({ key })}`).toBe('[secret] {"key":"[secret]"}');
  const shown = inspect({ key }, { depth: Infinity, showHidden: true, getters: true });
  expect(shown).toContain('[secret]');
  expect(shown).not.toMatch(/a7|167/i);
});

test('a wiped key is overwritten and refuses every use', () => {
  const bytes = new Uint8Array(32).fill(0xa7);
  const key = new SecretKey(bytes);
  key.handle();
  key.wipe();
  expect(bytes).toEqual(new Uint8Array(32));
  for (const use of [() => key.expose(), () => key.handle(), () => hmac(key, bytes)]) {
    expect(use).toThrow(VerityError);
  }
});

test('a key has 32 bytes', () => {
  for (const length of [0, 16, 31, 33, 64]) {
    expect(() => new SecretKey(new Uint8Array(length))).toThrow('a secret key has 32 bytes');
  }
});

test('derived keys differ by parent, purpose and context', () => {
  const derived = [
    deriveKey(filled(1), 'a'),
    deriveKey(filled(2), 'a'),
    deriveKey(filled(1), 'b'),
    deriveKey(filled(1), 'a', Uint8Array.of(0)),
    deriveKey(filled(1), 'a', Uint8Array.of(1)),
    deriveKey(filled(1), 'a\u0000'),
  ].map((key) => Buffer.from(key.expose()).toString('hex'));
  expect(new Set(derived).size).toBe(derived.length);
  expect(Buffer.from(deriveKey(filled(1), 'a').expose()).toString('hex')).toBe(derived[0]);
});

test('equal bytes are equal, and no others', () => {
  const left = Uint8Array.of(1, 2, 3);
  expect(constantTimeEqual(left, Uint8Array.of(1, 2, 3))).toBe(true);
  expect(constantTimeEqual(left, Uint8Array.of(1, 2, 4))).toBe(false);
  expect(constantTimeEqual(left, Uint8Array.of(1, 2))).toBe(false);
});
