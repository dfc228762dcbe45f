/** Published test vectors: test/vectors/PROVENANCE.md says from where. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { hkdf, hmac, openBytes, sealBytes, SecretKey, unwrapKey, wrapKey } from './index.ts';

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

test('AES-256-GCM seals and opens as published', () => {
  const all = cases('aes_gcm', ({ keySize, ivSize }) => keySize === 256 && ivSize === 96);
  expect([all.length, valid(all)]).toEqual([66, 39]);
  for (const { tcId, key, iv, aad, msg, ct, tag, result } of all) {
    const sealed = Buffer.concat([bytes(ct), bytes(tag)]);
    const opened = openBytes(keyOf(key), bytes(iv), bytes(aad), sealed);
    if (result === 'valid') {
      expect(Buffer.from(opened ?? []).toString('hex'), `case ${tcId}`).toBe(msg);
      expect(Buffer.from(sealBytes(keyOf(key), bytes(iv), bytes(aad), bytes(msg)))).toEqual(sealed);
    } else {
      expect(opened, `case ${tcId}`).toBeUndefined();
    }
  }
});

test('AES-256-GCM opens nothing under a nonce of another size than 96 bits', () => {
  const all = cases('aes_gcm', ({ keySize, ivSize }) => keySize === 256 && ivSize !== 96);
  expect(all.length).toBe(39);
  for (const { tcId, key, iv, aad, ct, tag } of all) {
    const sealed = Buffer.concat([bytes(ct), bytes(tag)]);
    expect(openBytes(keyOf(key), bytes(iv), bytes(aad), sealed), `case ${tcId}`).toBeUndefined();
  }
});

test('AES-256-GCM opens nothing with a shortened tag', () => {
  const [first] = cases('aes_gcm', ({ keySize, ivSize }) => keySize === 256 && ivSize === 96);
  const { key, iv, aad, ct, tag } = first as Case;
  for (let kept = 0; kept < 16; kept++) {
    const sealed = Buffer.concat([bytes(ct), bytes(tag).subarray(0, kept)]);
    expect(openBytes(keyOf(key), bytes(iv), bytes(aad), sealed)).toBeUndefined();
  }
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
