/** Published test vectors: test/vectors/PROVENANCE.md says from where. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  ed25519Verify,
  hkdf,
  hmac,
  openBytes,
  sealBytes,
  SecretKey,
  unwrapKey,
  wrapKey,
} from './index.ts';

type Case = Readonly<Record<string, string>> & { readonly tcId: number; readonly size?: number };

/** All cases of a file whose group fits, as [name, case]. */
function cases(file: string, fits: (group: Record<string, unknown>) => boolean): Case[] {
  const url = new URL(`../../test/vectors/wycheproof/${file}_test.json`, import.meta.url);
  const { testGroups } = JSON.parse(readFileSync(url, 'utf8')) as {
    testGroups: (Record<string, unknown> & { tests: Case[] })[];
  };
  return testGroups.filter(fits).flatMap((group) => group.tests);
}

const bytes = (hex: string | undefined): Uint8Array =>
  new Uint8Array(Buffer.from(hex ?? '', 'hex'));
const keyOf = (hex: string | undefined): SecretKey => new SecretKey(bytes(hex));
const valid = (all: readonly Case[]): number =>
  all.filter(({ result }) => result === 'valid').length;

const aeads = [
  {
    algorithm: 'aes-256-gcm',
    file: 'aes_gcm',
    count: { all: 66, valid: 39, otherNonces: 39 },
  },
  {
    algorithm: 'chacha20-poly1305',
    file: 'chacha20_poly1305',
    count: { all: 316, valid: 256, otherNonces: 9 },
  },
] as const;

describe.each(aeads)('$algorithm', ({ algorithm, file, count }) => {
  const ours = cases(file, ({ keySize, ivSize }) => keySize === 256 && ivSize === 96);
  const open = ({ key, iv, aad }: Case, sealed: Uint8Array): Uint8Array | undefined =>
    openBytes(keyOf(key), bytes(iv), bytes(aad), sealed, algorithm);
  const sealedOf = ({ ct, tag }: Case): Buffer => Buffer.concat([bytes(ct), bytes(tag)]);

  test('seals and opens as published', () => {
    expect([ours.length, valid(ours)]).toEqual([count.all, count.valid]);
    for (const one of ours) {
      const { tcId, key, iv, aad, msg, result } = one;
      const opened = open(one, sealedOf(one));
      if (result === 'valid') {
        expect(Buffer.from(opened ?? []).toString('hex'), `case ${tcId}`).toBe(msg);
        const sealed = sealBytes(keyOf(key), bytes(iv), bytes(aad), bytes(msg), algorithm);
        expect(Buffer.from(sealed), `case ${tcId}`).toEqual(sealedOf(one));
      } else {
        expect(opened, `case ${tcId}`).toBeUndefined();
      }
    }
  });

  test('opens nothing under a nonce of another size than 96 bits', () => {
    const all = cases(file, ({ keySize, ivSize }) => keySize === 256 && ivSize !== 96);
    expect(all.length).toBe(count.otherNonces);
    for (const one of all) {
      expect(open(one, sealedOf(one)), `case ${one.tcId}`).toBeUndefined();
    }
  });

  test('opens nothing with a shortened tag', () => {
    const first = ours[0] as Case;
    for (let kept = 0; kept < 16; kept++) {
      const sealed = sealedOf(first);
      expect(open(first, sealed.subarray(0, sealed.length - 16 + kept))).toBeUndefined();
    }
  });
});

test('AES-KWP wraps and unwraps keys of 256 bits as published, and unwraps nothing else', () => {
  const all = cases('aes_kwp', ({ keySize }) => keySize === 256);
  const ours = all.filter(({ msg, result }) => result === 'valid' && msg?.length === 64);
  expect([all.length, ours.length]).toEqual([94, 3]);
  for (const { tcId, key, msg, ct, result } of all) {
    const unwrapped = unwrapKey(keyOf(key), bytes(ct));
    if (result === 'valid' && msg?.length === 64) {
      expect(Buffer.from(unwrapped?.expose() ?? []).toString('hex'), `case ${tcId}`).toBe(msg);
      expect(Buffer.from(wrapKey(keyOf(key), keyOf(msg))).toString('hex')).toBe(ct);
    } else {
      expect(unwrapped, `case ${tcId}`).toBeUndefined();
    }
  }
});

test('HKDF-SHA-256 derives as published', () => {
  const all = cases('hkdf_sha256', ({ keySize }) => keySize === 256);
  expect([all.length, valid(all)]).toEqual([37, 36]);
  for (const { tcId, ikm, salt, info, size, okm, result } of all) {
    const derive = (): Uint8Array => hkdf(keyOf(ikm), bytes(salt), bytes(info), Number(size));
    if (result === 'valid') expect(Buffer.from(derive()).toString('hex'), `case ${tcId}`).toBe(okm);
    else expect(derive, `case ${tcId}`).toThrow(RangeError);
  }
});

test('HMAC-SHA-256 authenticates as published', () => {
  const all = cases('hmac_sha256', ({ keySize }) => keySize === 256);
  expect([all.length, valid(all)]).toEqual([162, 54]);
  for (const { tcId, key, msg, tag, result } of all) {
    const ours = Buffer.from(hmac(keyOf(key), bytes(msg))).toString('hex');
    expect(ours.startsWith(tag ?? ''), `case ${tcId}`).toBe(result === 'valid');
  }
});

test('Ed25519 signatures: every vector has its verdict', () => {
  const url = new URL('../../test/vectors/wycheproof/ed25519_test.json', import.meta.url);
  const { testGroups } = JSON.parse(readFileSync(url, 'utf8')) as {
    testGroups: { publicKey: { pk: string }; tests: Case[] }[];
  };
  const all = testGroups.flatMap(({ publicKey: { pk }, tests }) =>
    tests.map((one) => ({ one, signer: bytes(pk) })),
  );
  expect([all.length, valid(all.map(({ one }) => one))]).toEqual([151, 88]);
  const differ = all.filter(
    ({ signer, one: { msg, sig, result } }) =>
      ed25519Verify(signer, bytes(msg), bytes(sig)) !== (result === 'valid'),
  );
  expect(differ.map(({ one }) => one.tcId)).toEqual([]);
});
