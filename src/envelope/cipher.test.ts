import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import {
  decodeBlob,
  type EncryptedBlob,
  encodeBlob,
  EnvelopeCipher,
  envelopeLimits,
  KekRing,
} from './index.ts';

const context = ['missions', 'player-17', 42n] as const;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function ringOf(...fills: number[]): KekRing {
  return KekRing.fromKeys(
    fills.map((fill) => ({ id: `k${fill}`, key: new Uint8Array(32).fill(fill) })),
  );
}

/** The code of what `action` throws; undefined if it does not throw. */
function codeOf(action: () => unknown): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

describe('what was sealed opens', () => {
  const cipher = new EnvelopeCipher(ringOf(1));

  test.each([0, 1, 15, 16, 17, 4_096, (256 << 10) - 1, 256 << 10, (256 << 10) + 1, 1 << 20])(
    'with %i bytes, in both forms and across them',
    async (length) => {
      const plaintext = new Uint8Array(randomBytes(length));
      const kept = plaintext.slice();
      const blob = cipher.encrypt(plaintext, context);
      const same = (opened: Uint8Array): void => expect(Buffer.compare(opened, plaintext)).toBe(0);
      same(cipher.decrypt(blob, context));
      same(await cipher.decryptAsync(blob, context));
      same(cipher.decrypt(await cipher.encryptAsync(plaintext, context), context));
      same(kept);
      expect(blob.ciphertext.length).toBe(length + 16);
    },
  );

  test('16 MiB leave the event loop free: it turns between pieces', async () => {
    const plaintext = new Uint8Array(16 << 20).fill(7);
    const started = performance.now();
    const blob = cipher.encrypt(plaintext, context);
    const wholeMs = performance.now() - started;
    const turnsMs: number[] = [];
    let last = performance.now();
    let running = true;
    const tick = (): void => {
      const now = performance.now();
      turnsMs.push(now - last);
      last = now;
      if (running) setImmediate(tick);
    };
    setImmediate(tick);
    const other = await cipher.encryptAsync(plaintext, context);
    const opened = await cipher.decryptAsync(blob, context);
    running = false;
    expect(turnsMs.length).toBeGreaterThan(2 * 60);
    // The longest turn says more about what else runs here.
    const middleMs = turnsMs.toSorted((a, b) => a - b)[turnsMs.length >> 1] as number;
    expect(middleMs).toBeLessThan(wholeMs / 4);
    expect(Buffer.compare(opened, plaintext)).toBe(0);
    expect(Buffer.compare(cipher.decrypt(other, context), plaintext)).toBe(0);
  });

  test('through its bytes, and the bytes are stable', () => {
    const blob = cipher.encrypt(text('graz'), context);
    const bytes = encodeBlob(blob);
    expect(cipher.decrypt(decodeBlob(bytes), context)).toEqual(text('graz'));
    expect(encodeBlob(decodeBlob(bytes))).toEqual(bytes);
  });
});

test('each blob has a key and a nonce of its own', () => {
  const cipher = new EnvelopeCipher(ringOf(1));
  const seen = { dek: new Set<string>(), nonce: new Set<string>(), ciphertext: new Set<string>() };
  for (let count = 0; count < 1_000; count++) {
    const blob = cipher.encrypt(text('the same'), context);
    seen.dek.add(Buffer.from(blob.encryptedDek).toString('hex'));
    seen.nonce.add(Buffer.from(blob.nonce).toString('hex'));
    seen.ciphertext.add(Buffer.from(blob.ciphertext).toString('hex'));
  }
  expect([seen.dek.size, seen.nonce.size, seen.ciphertext.size]).toEqual([1_000, 1_000, 1_000]);
});

describe('what was altered does not open', () => {
  const failures: string[] = [];
  const cipher = new EnvelopeCipher(ringOf(1, 2), { onFailure: ({ code }) => failures.push(code) });
  const blob = cipher.encrypt(text('patient 17: 120/80'), context);

  test.each(['encryptedDek', 'nonce', 'ciphertext'] as const)('in any bit of %s', async (field) => {
    const count = failures.length;
    for (let bit = 0; bit < blob[field].length * 8; bit++) {
      const part = blob[field].slice();
      part[bit >> 3] = (part[bit >> 3] as number) ^ (1 << (bit & 7));
      const altered = { ...blob, [field]: part };
      expect(codeOf(() => cipher.decrypt(altered, context))).toBe('AUTHENTICATION_FAILED');
      await expect(cipher.decryptAsync(altered, context)).rejects.toThrow('does not open');
    }
    expect(failures.length - count).toBe(blob[field].length * 16);
  });

  test('in any bit of its bytes', () => {
    const bytes = encodeBlob(blob);
    const codes = new Set<string>();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const altered = bytes.slice();
      altered[bit >> 3] = (altered[bit >> 3] as number) ^ (1 << (bit & 7));
      codes.add(codeOf(() => cipher.decrypt(decodeBlob(altered), context)) ?? 'opened');
    }
    expect([...codes].toSorted()).toEqual([
      'AUTHENTICATION_FAILED',
      'ENVELOPE_INVALID',
      'ENVELOPE_KEY_UNKNOWN',
      'FORMAT_UNSUPPORTED',
    ]);
  });

  test('in its KEK id, also to one that the source has', () => {
    expect(codeOf(() => cipher.decrypt({ ...blob, kekId: 'k1' }, context))).toBe(
      'AUTHENTICATION_FAILED',
    );
    expect(codeOf(() => cipher.decrypt({ ...blob, kekId: 'k3' }, context))).toBe(
      'ENVELOPE_KEY_UNKNOWN',
    );
  });

  test('in its KEK id, also where both ids name the same key', () => {
    const key = new Uint8Array(32).fill(5);
    const twice = new EnvelopeCipher(
      KekRing.fromKeys([
        { id: 'one', key },
        { id: 'two', key },
      ]),
    );
    const sealed = twice.encrypt(text('graz'), context);
    expect(sealed.kekId).toBe('two');
    expect(codeOf(() => twice.decrypt({ ...sealed, kekId: 'one' }, context))).toBe(
      'AUTHENTICATION_FAILED',
    );
  });

  test('by any part of another blob of the same context, or all but one', () => {
    const other = cipher.encrypt(text('patient 18: 140/90'), context);
    for (const field of ['encryptedDek', 'nonce', 'ciphertext'] as const) {
      const one = { ...blob, [field]: other[field] };
      const rest = { ...other, [field]: blob[field] };
      expect(codeOf(() => cipher.decrypt(one, context))).toBe('AUTHENTICATION_FAILED');
      expect(codeOf(() => cipher.decrypt(rest, context))).toBe('AUTHENTICATION_FAILED');
    }
    expect(cipher.decrypt(other, context)).toEqual(text('patient 18: 140/90'));
  });

  test('under another key of the same id', () => {
    const wrong = KekRing.fromKeys([{ id: 'k2', key: new Uint8Array(32).fill(9) }]);
    expect(codeOf(() => new EnvelopeCipher(wrong).decrypt(blob, context))).toBe(
      'AUTHENTICATION_FAILED',
    );
    expect(codeOf(() => new EnvelopeCipher(wrong).rewrap(blob, context))).toBe(
      'AUTHENTICATION_FAILED',
    );
  });

  test('in any other context, however alike', () => {
    const others = [
      [],
      ['missions', 'player-17'],
      ['missions', 'player-17', 42n, ''],
      ['missions', 'player-17', 43],
      ['missions', 'player-17', '42'],
      ['missions', text('player-17'), 42],
      ['missionsplayer-17', 42n],
      ['missions', 'player-17 ', 42n],
      ['player-17', 'missions', 42n],
    ];
    for (const other of others) {
      expect(codeOf(() => cipher.decrypt(blob, other))).toBe('AUTHENTICATION_FAILED');
      expect(codeOf(() => cipher.rewrap(blob, other))).toBe('AUTHENTICATION_FAILED');
    }
    expect(cipher.decrypt(blob, ['missions', 'player-17', 42])).toEqual(text('patient 17: 120/80'));
  });

  test('and the message names neither key nor context', () => {
    for (const altered of [
      { ...blob, nonce: new Uint8Array(12) },
      { ...blob, kekId: 'k9' },
    ]) {
      const message = codeMessage(() => cipher.decrypt(altered, context));
      expect(message).not.toMatch(/player-17|120\/80|k2/);
    }
  });
});

function codeMessage(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('rewrap', () => {
  const before = ringOf(1);
  const both = ringOf(1, 2);
  const after = ringOf(2);
  const blob = new EnvelopeCipher(before).encrypt(text('graz'), context);

  test('moves a blob to the current KEK without touching nonce and ciphertext', () => {
    const moved = new EnvelopeCipher(both).rewrap(blob, context);
    expect(moved.kekId).toBe('k2');
    expect(moved.nonce).toBe(blob.nonce);
    expect(moved.ciphertext).toBe(blob.ciphertext);
    expect(moved.encryptedDek).not.toEqual(blob.encryptedDek);
    expect(new EnvelopeCipher(after).decrypt(moved, context)).toEqual(text('graz'));
    expect(codeOf(() => new EnvelopeCipher(before).decrypt(moved, context))).toBe(
      'ENVELOPE_KEY_UNKNOWN',
    );
  });

  test('needs the old KEK, and the right one', () => {
    expect(codeOf(() => new EnvelopeCipher(after).rewrap(blob, context))).toBe(
      'ENVELOPE_KEY_UNKNOWN',
    );
    const altered = { ...blob, encryptedDek: blob.encryptedDek.slice().fill(1, 3, 4) };
    expect(codeOf(() => new EnvelopeCipher(both).rewrap(altered, context))).toBe(
      'AUTHENTICATION_FAILED',
    );
  });
});

describe('hostile input ends before memory is taken', () => {
  const cipher = new EnvelopeCipher(ringOf(1));
  const huge = { length: envelopeLimits.plaintextBytesMax + 1 };

  test('a plaintext over the limit', () => {
    // Its length alone is looked at: no memory of that size exists here.
    const plaintext = Object.create(Uint8Array.prototype, { length: { value: huge.length } });
    expect(codeOf(() => cipher.encrypt(plaintext as Uint8Array, context))).toBe('VALUE_TOO_LARGE');
  });

  test.each<[string, unknown]>([
    ['text', 'text'],
    ['nothing', undefined],
    ['a list', [1, 2, 3]],
  ])('a plaintext that is %s', (_what, plaintext) => {
    expect(codeOf(() => cipher.encrypt(plaintext as Uint8Array, context))).toBe('INVALID_ARGUMENT');
  });

  test.each<[string, unknown]>([
    ['no list', 'missions'],
    ['17 parts', Array.from({ length: 17 }, () => 'a')],
    ['a long text', ['a'.repeat(5_000)]],
    ['parts that are long together', ['a'.repeat(2_100), 'b'.repeat(2_100)]],
    ['a fraction', [0.5]],
    ['a number past 2^53', [2 ** 53]],
    ['a number past 64 bits', [2n ** 65n]],
    ['half a surrogate pair', ['\ud800']],
    ['an object', [{}]],
    ['nothing in it', [undefined]],
  ])('a context of %s', (_what, bad) => {
    expect(codeOf(() => cipher.encrypt(text(''), bad as string[]))).toBe('INVALID_ARGUMENT');
  });

  test.each<[string, Partial<Record<keyof EncryptedBlob, unknown>>]>([
    ['without a KEK id', { kekId: '' }],
    ['with a KEK id that is no text', { kekId: 7 }],
    ['with a long KEK id', { kekId: 'k'.repeat(256) }],
    ['with a KEK id that is not well-formed', { kekId: '\udfff' }],
    ['with a short wrapped key', { encryptedDek: new Uint8Array(39) }],
    ['with a long nonce', { nonce: new Uint8Array(16) }],
    ['with a ciphertext shorter than a tag', { ciphertext: new Uint8Array(15) }],
    ['with a missing part', { ciphertext: undefined }],
  ])('a blob %s', (_what, parts) => {
    const blob = { ...cipher.encrypt(text('a'), context), ...parts } as EncryptedBlob;
    expect(codeOf(() => cipher.decrypt(blob, context))).toBe('ENVELOPE_INVALID');
    expect(codeOf(() => encodeBlob(blob))).toBe('ENVELOPE_INVALID');
  });
});
