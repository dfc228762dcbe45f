import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  hmac,
  sealBytes,
  SecretKey,
  useSecretMemory,
} from './index.ts';

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
  const key = filled(0xa7);
  const bytes = key.expose();
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

test('a key takes its bytes away from where they were', () => {
  const bytes = new Uint8Array(32).fill(0xa7);
  const key = new SecretKey(bytes);
  expect(bytes).toEqual(new Uint8Array(32));
  expect(key.expose()).toEqual(new Uint8Array(32).fill(0xa7));
});

describe('in memory of its own', () => {
  const slots: Uint8Array[] = [];
  const free: Uint8Array[] = [
    new Uint8Array(new ArrayBuffer(32)),
    new Uint8Array(new ArrayBuffer(32)),
  ];
  const memory = {
    take: (): Uint8Array | undefined => {
      const slot = free.pop();
      if (slot !== undefined) slots.push(slot);
      return slot;
    },
    give: (bytes: Uint8Array): void => void free.push(bytes),
  };
  beforeAll(() => useSecretMemory(memory));
  afterAll(() => useSecretMemory(undefined));

  test('a key lives there, works as anywhere else, and gives its place back once', () => {
    const key = filled(0xa7);
    expect(key.expose()).toBe(slots.at(-1));
    expect(key.handle()).toBe(key.expose());
    const derived = deriveKey(key, 'a');
    const mac = hmac(key, Uint8Array.of(1));
    const sealed = sealBytes(key, new Uint8Array(12), new Uint8Array(), Uint8Array.of(1, 2));
    key.wipe();
    key.wipe();
    derived.wipe();
    expect(free).toHaveLength(2);
    expect(slots.every((slot) => slot.every((byte) => byte === 0))).toBe(true);
    useSecretMemory(undefined);
    expect(hmac(filled(0xa7), Uint8Array.of(1))).toEqual(mac);
    expect(
      sealBytes(filled(0xa7), new Uint8Array(12), new Uint8Array(), Uint8Array.of(1, 2)),
    ).toEqual(sealed);
    useSecretMemory(memory);
  });

  test('wiping a key twice does not touch the key that has its place now', () => {
    const first = filled(1);
    first.wipe();
    const second = filled(2);
    first.wipe();
    expect(second.expose()).toEqual(new Uint8Array(32).fill(2));
    second.wipe();
  });

  test('without room keys are in the heap', () => {
    const keys = [filled(1), filled(2), filled(3)];
    expect(slots).not.toContain(keys[2]?.expose());
    expect(keys[2]?.expose()).toEqual(new Uint8Array(32).fill(3));
    for (const key of keys) key.wipe();
  });
});
