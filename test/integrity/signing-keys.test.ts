/** What becomes of the signing key, and of those before it, when other keys rotate, in copies, and when a log's end is lost. */
import { beforeEach, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import { Verity } from '../../src/database/index.ts';
import { decodeKeyring, handOverText, type Keyring, originOf } from '../../src/engine/index.ts';
import { makeVkey, openNote, parseVkey, signatureTypes, type Vkey } from '../../src/proof/index.ts';
import { diskOf, imageOf, readFile } from './disk-image.ts';
import { framesOf } from './forge.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const origin = 'clinic.example/records';
const logSizes = { segmentBytes: 65_536, fillBytesMin: 4_096, fillBytesMax: 4_096 };

let disk: Disk;
let db: Verity;
beforeEach(async () => {
  disk = diskOf(new Map());
  db = await Verity.openOn({ ...hostOn(disk, 1), logSizes }, { masterKey, origin });
});

function keyringOn(from: Disk): Keyring {
  const keyring = decodeKeyring(readFile(from, 'keyring'));
  if ('what' in keyring) throw new Error(keyring.what);
  return keyring;
}

const vkeyOf = (publicKey: Uint8Array): Vkey =>
  makeVkey(sha256, origin, signatureTypes.ed25519, publicKey);

test('without a key the keyring shows every signing key there was, and that each handed over to the next', async () => {
  const before = await db.proofs.checkpoint();
  await db.keys.rotateSigningKey();
  await db.keys.rotateSigningKey();
  const { vkey, earlierVkeys } = db.keys.exportPublic();
  await db.close();
  const keyring = keyringOn(disk);
  expect(originOf(keyring)).toBe(origin);
  expect(keyring.entryNumbers('signing')).toEqual([3]);
  expect(keyring.entryNumbers('formerSigning')).toEqual([2, 1]);
  const former = [1, 2].map(
    (number) => keyring.entry('formerSigning', number)?.publicBytes as Uint8Array,
  );
  const newest = keyring.entry('signing', 3)?.publicBytes as Uint8Array;
  const vkeys = [...former.map((bytes) => bytes.slice(0, 32)), newest].map(vkeyOf);
  expect(vkeys).toEqual([...earlierVkeys, vkey].map((text) => parseVkey(sha256, text)));
  for (const [index, bytes] of former.entries()) {
    const [from, to] = vkeys.slice(index, index + 2) as [Vkey, Vkey];
    const text = handOverText(origin, from, to);
    expect(ed25519Verify(from.publicKey, text, bytes.slice(32))).toBe(true);
    expect(ed25519Verify(to.publicKey, text, bytes.slice(32))).toBe(false);
  }
  expect(openNote(before.note, vkeys.slice(0, 1), ed25519Verify).verified).toHaveLength(1);
});

test('a rotation of the master key leaves the signing key, and those before it, as they are', async () => {
  await db.keys.rotateSigningKey();
  const exported = db.keys.exportPublic();
  const other = new TestKey('another key');
  await db.keys.rotate({ masterKey: other });
  expect(db.keys.exportPublic()).toEqual(exported);
  const { note } = await db.proofs.checkpoint();
  const keys = [parseVkey(sha256, exported.vkey)];
  expect(openNote(note, keys, ed25519Verify).verified).toHaveLength(1);
  await db.close();
  const again = await Verity.openOn(hostOn(disk, 2), { masterKey: other });
  await again.keys.rotateSigningKey();
  expect(again.keys.exportPublic().earlierVkeys).toEqual([...exported.earlierVkeys, exported.vkey]);
  expect((await again.verify()).findings).toEqual([]);
  await again.close();
});

test('a hand-over that was cut off with the end of the log is logged again', async () => {
  await db.createTenant('acme');
  await db.close();
  const path = [...imageOf(disk).keys()].find((name) => name.endsWith('.vlog')) as string;
  const kept = framesOf(readFile(disk, path)).at(-1)?.op as number;
  const second = await Verity.openOn({ ...hostOn(disk, 2), logSizes }, { masterKey });
  await second.keys.rotateSigningKey();
  await second.keys.rotateSigningKey();
  const exported = second.keys.exportPublic();
  await second.close();
  const cut = framesOf(readFile(disk, path)).find(({ op }) => op === kept + 1)?.offset as number;
  const file = disk.open(path, 'readwrite');
  file.write(new Uint8Array(file.sizeBytes() - cut), cut);
  file.close();
  const repaired = await repairOn({ ...hostOn(disk, 3), logSizes }, undefined, {
    masterKey,
    cutTail: true,
  });
  expect(repaired.ok).toBe(true);
  const last = await Verity.openOn({ ...hostOn(disk, 4), logSizes }, { masterKey });
  expect(last.keys.exportPublic()).toEqual(exported);
  const { note } = await last.proofs.checkpoint();
  const vkeys = [parseVkey(sha256, exported.vkey)];
  expect(openNote(note, vkeys, ed25519Verify).verified).toHaveLength(1);
  expect((await last.verify()).findings).toEqual([]);
  await last.close();
  expect(keyringOn(disk).entryNumbers('formerSigning')).toEqual([2, 1]);
});

test('a copy has the same name and the same keys, also one that is made while the key is rotated', async () => {
  await db.createTenant('acme');
  await db.keys.rotateSigningKey();
  const exported = db.keys.exportPublic();
  const rotating = db.keys.rotateSigningKey();
  const targets = [diskOf(new Map()), diskOf(new Map())] as const;
  await db.copyOnto(targets[0]);
  const newer = await rotating;
  await db.copyOnto(targets[1]);
  await db.close();
  for (const target of targets) {
    const copy = await Verity.openOn(hostOn(target, 5), { masterKey });
    expect(copy.status().origin).toBe(origin);
    const has = copy.keys.exportPublic();
    expect([exported, newer]).toContainEqual(has);
    const { note } = await copy.proofs.checkpoint();
    expect(openNote(note, [parseVkey(sha256, has.vkey)], ed25519Verify).verified).toHaveLength(1);
    expect((await copy.verify()).findings).toEqual([]);
    await copy.close();
  }
});
