import { describe, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  type SlotBinding,
  SecretKey,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';
import { EnvelopeCipher, KekRing } from './index.ts';

const context = ['missions', 1];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

/** A provider that wraps under one key and binds to nothing but it. */
function providerOf(fill: number): MasterKeyProvider {
  const master = (): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
  return {
    kind: 'fake',
    wrap: async (root: SecretKey, _binding: SlotBinding): Promise<NewKeySlot> => ({
      kind: 'fake',
      parameters: new Uint8Array(),
      commitment: new Uint8Array(32),
      wrapped: wrapKey(master(), root),
    }),
    unwrap: async (slots: readonly KeySlot[]) => {
      const slot = slots[0] as KeySlot;
      const root = unwrapKey(master(), slot.wrapped);
      return root === undefined ? undefined : { root, slotId: slot.id };
    },
    describe: () => ({ kind: 'fake', source: '', parameters: {}, rotates: false }),
    rotate: async () => {
      throw new Error('not used');
    },
  };
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

describe('a saved ring', () => {
  test('opens old and new blobs after a rotation, and holds no key', async () => {
    const ring = KekRing.generate();
    const old = new EnvelopeCipher(ring).encrypt(text('old'), context);
    const secrets = [ring.kek(ring.currentId)?.expose().slice() as Uint8Array];
    const id = ring.rotate();
    secrets.push(ring.kek(id)?.expose().slice() as Uint8Array);
    const young = new EnvelopeCipher(ring).encrypt(text('young'), context);
    const saved = await ring.save(providerOf(1));
    for (const secret of secrets)
      expect(Buffer.from(saved).includes(Buffer.from(secret))).toBe(false);

    const loaded = await KekRing.load(saved, providerOf(1));
    expect(loaded.ids).toEqual(ring.ids);
    expect(loaded.currentId).toBe(id);
    const cipher = new EnvelopeCipher(loaded);
    expect(cipher.decrypt(old, context)).toEqual(text('old'));
    expect(cipher.decrypt(young, context)).toEqual(text('young'));
    expect(old.kekId).not.toBe(young.kekId);
  });

  test('moves to another master key without a change of any blob', async () => {
    const ring = KekRing.generate();
    const blob = new EnvelopeCipher(ring).encrypt(text('graz'), context);
    const loaded = await KekRing.load(await ring.save(providerOf(1)), providerOf(1));
    const moved = await KekRing.load(await loaded.save(providerOf(2)), providerOf(2));
    expect(new EnvelopeCipher(moved).decrypt(blob, context)).toEqual(text('graz'));
  });

  test('does not open with another master key', async () => {
    const saved = await KekRing.generate().save(providerOf(1));
    expect(await codeOf(KekRing.load(saved, providerOf(2)))).toBe('WRONG_KEY');
  });

  test('is refused with any bit altered, cut or extended', async () => {
    const saved = await KekRing.generate().save(providerOf(1));
    for (let bit = 0; bit < saved.length * 8; bit++) {
      const altered = saved.slice();
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(await codeOf(KekRing.load(altered, providerOf(1))), `bit ${bit}`).toBeDefined();
    }
    for (let length = 0; length < saved.length; length++)
      expect(await codeOf(KekRing.load(saved.subarray(0, length), providerOf(1)))).toBeDefined();
    expect(await codeOf(KekRing.load(Uint8Array.from([...saved, 0]), providerOf(1)))).toBeDefined();
  });

  test('is refused with an entry removed or two swapped', async () => {
    const ring = KekRing.generate();
    ring.rotate();
    const saved = await ring.save(providerOf(1));
    const head = 4 + 4 + 16 + 4;
    const entryBytes = (saved.length - head - 32) / 2;
    const [first, second] = [0, 1].map((index) =>
      saved.subarray(head + index * entryBytes, head + (index + 1) * entryBytes),
    ) as [Uint8Array, Uint8Array];
    const mac = saved.subarray(saved.length - 32);
    const withCount = (count: number, ...entries: Uint8Array[]): Uint8Array => {
      const start = saved.slice(0, head);
      start[24] = count;
      return Buffer.concat([start, ...entries, mac]);
    };
    expect(await codeOf(KekRing.load(withCount(2, first, second), providerOf(1)))).toBe(undefined);
    for (const forged of [withCount(1, first), withCount(1, second), withCount(2, second, first)])
      expect(await codeOf(KekRing.load(forged, providerOf(1)))).toBe('AUTHENTICATION_FAILED');
  });
});

test('keys of the caller are copied, checked, and the last is current', () => {
  const key = new Uint8Array(32).fill(7);
  const ring = KekRing.fromKeys([
    { id: '2025', key: new Uint8Array(32).fill(6) },
    { id: '2026', key },
  ]);
  const blob = new EnvelopeCipher(ring).encrypt(text('graz'), context);
  key.fill(0);
  expect(blob.kekId).toBe('2026');
  expect(new EnvelopeCipher(ring).decrypt(blob, context)).toEqual(text('graz'));
  const bad = [
    [],
    [{ id: 'a', key: new Uint8Array(16).fill(1) }],
    [{ id: 'a', key: new Uint8Array(32) }],
    [
      { id: 'a', key: new Uint8Array(32).fill(1) },
      { id: 'a', key: new Uint8Array(32).fill(2) },
    ],
  ];
  for (const keks of bad) expect(() => KekRing.fromKeys(keks)).toThrow(VerityError);
});

test('a removed KEK is overwritten and its blobs open no more; the current one stays', () => {
  const ring = KekRing.generate();
  const old = ring.currentId;
  const kek = ring.kek(old) as SecretKey;
  const bytes = kek.expose();
  const blob = new EnvelopeCipher(ring).encrypt(text('graz'), context);
  expect(() => ring.remove(old)).toThrow('Rotate first');
  ring.rotate();
  ring.remove(old);
  expect(bytes.every((byte) => byte === 0)).toBe(true);
  expect(() => new EnvelopeCipher(ring).decrypt(blob, context)).toThrow('not among those given');
});

test('a wiped ring is of no use', () => {
  const ring = KekRing.generate();
  ring.wipe();
  expect(() => new EnvelopeCipher(ring).encrypt(text('graz'), context)).toThrow(VerityError);
});
