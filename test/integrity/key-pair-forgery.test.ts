/**
 * A key pair's public key is known to others. With it anybody can lock a database of his own for the pair and put it in
 * the place of ours (docs/security-review.md, 27): it must not open, whatever he makes of the slot.
 */
import { createHmac } from 'node:crypto';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Disk, type LogId, Prng } from '../../src/base/index.ts';
import {
  deriveKey,
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  pae,
  SecretKey,
  type SlotBinding,
} from '../../src/crypto/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { decodeKeyring } from '../../src/engine/keyring-file.ts';
import type { Keyring } from '../../src/engine/keyring.ts';
import { EnvelopeCipher, KekRing } from '../../src/envelope/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import type { KeyPair } from '../../src/keys/key-pair-file.ts';
import { lockAsPair, lockForPair } from '../../src/keys/key-pair-slot.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { cheapPair } from '../providers/cheap-pair.ts';
import { oldPairSlot } from '../providers/old-pair-slot.ts';
import { codeOf, errorOf } from '../providers/support.ts';
import { diskOf, type DiskImage, imageOf, readFile } from './disk-image.ts';
import { hostOn } from './sample-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-pair-forgery-'));
const path = (name: string): string => join(folder, name);
const passphrase = 'correct horse battery staple';
const mine = path('mine.pair');
const given = keys.fromKeyPair({ privateKeyFile: mine, passphrase });
const accepting = keys.fromKeyPair({ privateKeyFile: mine, passphrase, acceptForeign: true });
const publicOnly = (): MasterKeyProvider => keys.fromKeyPair({ publicKeyFile: path('mine.pem') });
let pair: KeyPair;
let attacker: KeyPair;
let genuine: DiskImage;
let slot: KeySlot;
let logId: LogId;

beforeAll(async () => {
  pair = await cheapPair(mine, passphrase);
  attacker = await cheapPair(path('attacker.pair'), 'his own');
  writeFileSync(path('mine.pem'), keys.publicKeyOf(mine));
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk, 1), { masterKey: given });
  await (await db.createTenant('clinic')).append('notes', [{ text: 'true' }]);
  await db.close();
  genuine = imageOf(disk);
  const keyring = keyringOf(disk);
  logId = keyring.logId;
  slot = keyring.slots[0] as KeySlot;
});
afterAll(() => rmSync(folder, { recursive: true }));

const keyringOf = (disk: Disk): Keyring => decodeKeyring(readFile(disk, 'keyring')) as Keyring;

type Lock = (root: SecretKey, binding: SlotBinding) => NewKeySlot | Promise<NewKeySlot>;

interface Forgery {
  readonly lock: Lock;
  /** The root key that he wants; a random one unless given. */
  readonly root?: Uint8Array;
  readonly logId?: Uint8Array;
}

/** A provider that only wraps. */
const wrapping = (wrap: MasterKeyProvider['wrap']): MasterKeyProvider => ({
  kind: 'wrapping',
  wrap,
  unwrap: () => Promise.reject(new Error('not used')),
  describe: () => ({ kind: 'wrapping', source: '', parameters: {}, rotates: false }),
  rotate: () => Promise.reject(new Error('not used')),
});

/** A whole database whose root key its maker knows, with the slot that `lock` makes, under any log id. */
async function forgedDatabase({ lock, root, ...wanted }: Forgery): Promise<DiskImage> {
  let known: SecretKey | undefined;
  const maker: MasterKeyProvider = {
    ...wrapping(async (key, binding) => {
      known = new SecretKey(key.expose().slice());
      return lock(known, binding);
    }),
    unwrap: async ([first]) =>
      known && first && { root: new SecretKey(known.expose().slice()), slotId: first.id },
  };
  const drawn: (Uint8Array | undefined)[] = [root, wanted.logId ?? logId];
  const random = new Prng(7);
  const bytes = (count: number): Uint8Array => {
    const index = drawn.findIndex((one) => one?.length === count);
    return (index < 0 ? undefined : drawn.splice(index, 1)[0]?.slice()) ?? random.bytes(count);
  };
  const disk = memoryDisk();
  const host = { ...hostOn(disk), entropy: { bytes } };
  const db = await Verity.openOn(host, { masterKey: maker });
  await (await db.createTenant('clinic')).append('notes', [{ text: 'forged' }]);
  await db.close();
  expect(keyringOf(disk).logId).toEqual(wanted.logId ?? logId);
  return imageOf(disk);
}

/** What everything that opens a database says of this one, which must be the same. */
async function refusal(image: DiskImage, masterKey = given): Promise<string> {
  const opens = [false, true].map((readOnly) =>
    codeOf(() => Verity.openOn(hostOn(diskOf(image)), { masterKey, readOnly, create: false })),
  );
  const codes = new Set(await Promise.all(opens));
  expect(codes.size).toBe(1);
  return [...codes][0] as string;
}

async function notesOf(db: Verity): Promise<unknown[]> {
  const notes: unknown[] = [];
  for await (const { data } of db.tenant('clinic').read('notes')) notes.push(data);
  return notes;
}

describe('a database that somebody else made is refused in the place of ours, under its log id', () => {
  const forgeries: [string, string, Lock][] = [
    [
      'locked with the public key alone',
      'KEY_SLOT_FOREIGN',
      (root, binding) => lockForPair(pair.publicKey, root, binding),
    ],
    [
      'locked in the form of revision 1',
      'KEY_SLOT_FOREIGN',
      (root, binding) => oldPairSlot(pair.publicKey, root, binding),
    ],
    ['with our own slot', 'AUTHENTICATION_FAILED', () => slot],
    [
      'with our own mark on a slot of his',
      'AUTHENTICATION_FAILED',
      (root, binding) => {
        const his = lockForPair(pair.publicKey, root, binding);
        const mark = slot.parameters.slice(his.parameters.length);
        return { ...his, parameters: Buffer.concat([his.parameters, mark]) };
      },
    ],
    [
      'with a mark of zeros',
      'AUTHENTICATION_FAILED',
      (root, binding) => {
        const his = lockForPair(pair.publicKey, root, binding);
        return { ...his, parameters: Buffer.concat([his.parameters, Buffer.alloc(32)]) };
      },
    ],
    [
      'with a mark of a private key of his own',
      'AUTHENTICATION_FAILED',
      (root, binding) =>
        lockAsPair({ publicKey: pair.publicKey, privateKey: attacker.privateKey }, root, binding),
    ],
    [
      'locked for his own pair',
      'WRONG_KEY',
      (root, binding) => lockAsPair(attacker, root, binding),
    ],
  ];

  test.each(forgeries)('%s', async (_name, code, lock) => {
    expect(await refusal(await forgedDatabase({ lock }))).toBe(code);
  });

  test('and would open, made by a holder of the private key', async () => {
    const image = await forgedDatabase({ lock: (root, place) => lockAsPair(pair, root, place) });
    await using db = await Verity.openOn(hostOn(diskOf(image)), { masterKey: given });
    expect(await notesOf(db)).toEqual([{ text: 'forged' }]);
  });

  test('as `rotate` to the public key makes it, also by verify, copy and repair', async () => {
    const directory = path('his');
    {
      await keys.generateFile(path('his.key'));
      await using db = await Verity.open(directory, { masterKey: keys.fromFile(path('his.key')) });
      await db.createTenant('clinic');
      await db.keys.rotate({ masterKey: publicOnly() });
    }
    const masterKey = given;
    const error = await errorOf(() => Verity.open(directory, { masterKey }));
    expect(error).toMatchObject({
      code: 'KEY_SLOT_FOREIGN',
      exitCode: 3,
      details: { slot: 1, file: 'keyring' },
      message: expect.stringContaining('acceptForeign') as string,
    });
    const report = await Verity.verify(directory, { masterKey });
    expect(report.ok).toBe(false);
    expect(report.findings).toMatchObject([{ code: 'KEY_SLOT_FOREIGN', file: 'keyring' }]);
    const copy = (): Promise<unknown> => Verity.copyLog(directory, path('copy'), { masterKey });
    expect(await codeOf(copy)).toBe('KEY_SLOT_FOREIGN');
    cpSync(directory, path('another'), { recursive: true });
    const repair = (): Promise<unknown> =>
      Verity.repair(directory, { masterKey, from: path('another') });
    expect(await codeOf(repair)).toBe('KEY_SLOT_FOREIGN');
  });
});

test('the public key is nowhere in the files that it opens', () => {
  const publicKey = Buffer.from(pair.publicKey);
  for (const [file, bytes] of genuine)
    expect(Buffer.from(bytes).includes(publicKey), file).toBe(false);
});

test('every bit of the slot is covered', async () => {
  const binding = { logId };
  const opened = await given.unwrap([slot], binding);
  expect(opened?.renewed).toBeUndefined();
  const fields = ['parameters', 'commitment', 'wrapped'] as const;
  for (const field of fields) {
    for (let bit = 0; bit < slot[field].length * 8; bit += 1) {
      const bytes = slot[field].slice();
      bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
      const altered = [{ ...slot, [field]: bytes }];
      // The first bytes say whose slot it is: another's does not concern this key.
      const isOther = field === 'parameters' && bit < 33 * 8;
      const code = isOther
        ? await given.unwrap(altered, binding)
        : await codeOf(() => given.unwrap(altered, binding));
      expect(code, `${field} bit ${bit}`).toBe(isOther ? undefined : 'AUTHENTICATION_FAILED');
    }
  }
  const place = { logId: new Uint8Array(16).fill(9) as LogId };
  expect(await codeOf(() => given.unwrap([slot], place))).toBe('AUTHENTICATION_FAILED');
});

describe('a database that is locked for us', () => {
  test('opens once with acceptForeign, is marked then, and needs it no more', async () => {
    for (const lock of [
      (root: SecretKey, binding: SlotBinding) => lockForPair(pair.publicKey, root, binding),
      (root: SecretKey, binding: SlotBinding) => oldPairSlot(pair.publicKey, root, binding),
    ]) {
      const disk = diskOf(await forgedDatabase({ lock }));
      const warnings: string[] = [];
      const options = {
        masterKey: accepting,
        onWarning: (warning: string) => warnings.push(warning),
      };
      {
        // Who only reads changes nothing.
        await using db = await Verity.openOn(hostOn(disk), { ...options, readOnly: true });
        expect(await notesOf(db)).toEqual([{ text: 'forged' }]);
        expect(db.keys.list().slots[0]?.parameters).toMatchObject({ lockedWith: 'public key' });
      }
      expect(warnings).toEqual([expect.stringContaining('the next open needs acceptForeign')]);
      expect(await refusal(imageOf(disk))).toBe('KEY_SLOT_FOREIGN');
      {
        await using db = await Verity.openOn(hostOn(disk), options);
        expect(db.keys.list().slots).toMatchObject([
          { id: 1, kind: 'key-pair', parameters: { lockedWith: 'private key' } },
        ]);
      }
      expect(warnings.slice(1)).toEqual([expect.stringContaining('leave acceptForeign out')]);
      {
        await using db = await Verity.openOn(hostOn(disk), { masterKey: given });
        expect(await notesOf(db)).toEqual([{ text: 'forged' }]);
        expect(await db.verify()).toMatchObject({ ok: true });
      }
      await (await Verity.openOn(hostOn(disk), options)).close();
      expect(warnings.slice(2)).toEqual([expect.stringContaining('opens without acceptForeign')]);
    }
  });

  test('is refused with acceptForeign, too, if the slot was altered', async () => {
    for (const made of [
      lockForPair(pair.publicKey, new SecretKey(new Uint8Array(32).fill(3)), { logId }),
      oldPairSlot(pair.publicKey, new SecretKey(new Uint8Array(32).fill(3)), { logId }),
      slot,
    ]) {
      for (const field of ['parameters', 'commitment', 'wrapped'] as const) {
        const bytes = made[field].slice();
        bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1;
        const altered = [{ id: 1, ...made, [field]: bytes }];
        expect(await codeOf(() => accepting.unwrap(altered, { logId }))).toBe(
          'AUTHENTICATION_FAILED',
        );
      }
    }
  });
});

test('a machine that stops at any call of the open that accepts a database leaves one that opens', async () => {
  const image = await forgedDatabase({
    lock: (root, place) => lockForPair(pair.publicKey, root, place),
  });
  const onWarning = (): void => undefined;
  const opened = async (disk: Disk, masterKey: MasterKeyProvider): Promise<void> => {
    await using db = await Verity.openOn(hostOn(disk), { masterKey, onWarning, create: false });
    expect(await notesOf(db)).toEqual([{ text: 'forged' }]);
  };
  const whole = SimDisk.fromImage(image);
  await opened(whole, accepting);
  const seen = { KEY_SLOT_FOREIGN: 0, marked: 0 };
  for (let call = 1; call <= whole.callCount; call++) {
    const disk = SimDisk.fromImage(image, { seed: call, faults: { crashAtCall: call } });
    await opened(disk, accepting).catch(() => undefined);
    const left = disk.crash();
    const said = await opened(left, given).then(
      () => 'marked' as const,
      ({ code }: { code: 'KEY_SLOT_FOREIGN' }) => code,
    );
    seen[said] += 1;
    await opened(left, accepting);
    await opened(left, given);
  }
  expect(seen.KEY_SLOT_FOREIGN + seen.marked).toBe(whole.callCount);
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(3);
});

describe('a rotation', () => {
  test('of the pair, and to it, leaves slots with its mark; recovery codes open as before', async () => {
    const disk = diskOf(genuine);
    const privateKeyFile = path('rotated.pair');
    await cheapPair(privateKeyFile, passphrase);
    const next = keys.fromKeyPair({ privateKeyFile, passphrase });
    let code: string;
    {
      await using db = await Verity.openOn(hostOn(disk, 2), { masterKey: given });
      code = await db.addRecoveryCode();
      await db.keys.rotate({ masterKey: next });
      const first = db.keys.list().slots.at(-1)?.parameters;
      expect(first).toMatchObject({ lockedWith: 'private key' });
      await db.keys.rotate();
      const second = db.keys.list().slots.at(-1)?.parameters;
      expect(second).toMatchObject({ lockedWith: 'private key' });
      expect(second?.['fingerprint']).not.toBe(first?.['fingerprint']);
    }
    {
      await using db = await Verity.openOn(hostOn(disk, 3), { masterKey: next });
      expect(await notesOf(db)).toEqual([{ text: 'true' }]);
    }
    const masterKey = keys.fromRecoveryCode(code);
    {
      await using db = await Verity.openOn(hostOn(disk, 4), { masterKey });
      expect(await notesOf(db)).toEqual([{ text: 'true' }]);
      await db.keys.rotate({ masterKey: given });
    }
    expect(await refusal(imageOf(disk), next)).toBe('WRONG_KEY');
    await (await Verity.openOn(hostOn(disk, 5), { masterKey: given })).close();
    // The recovery slot is no way in for who lacks the key that the keyring hides.
    const copied = keyringOf(disk).slots.find(({ kind }) => kind === 'recovery') as KeySlot;
    expect(await refusal(await forgedDatabase({ lock: () => copied }), masterKey)).toBe(
      'AUTHENTICATION_FAILED',
    );
  });
});

describe('a ring of envelope keys', () => {
  const context = ['missions', 1];
  const sealed = (ring: KekRing): ReturnType<EnvelopeCipher['encrypt']> =>
    new EnvelopeCipher(ring).encrypt(new TextEncoder().encode('graz'), context);

  test('that somebody saved with the public key is refused, unless it is expected', async () => {
    const his = await KekRing.generate().save(publicOnly());
    const error = await errorOf(() => KekRing.load(his, given));
    expect(error).toMatchObject({ code: 'KEY_SLOT_FOREIGN', details: { slot: 1 } });
    expect(error.message).toContain('ring of envelope keys');
    const accepted = await KekRing.load(his, accepting);
    const loaded = await KekRing.load(await accepted.save(given), given);
    expect(loaded.ids).toEqual(accepted.ids);
  });

  test('with a key of his beside ours is refused', async () => {
    const ring = KekRing.generate();
    ring.rotate();
    let count = 0;
    const mixed = wrapping((root, binding) =>
      (count++ === 0 ? given : publicOnly()).wrap(root, binding),
    );
    expect(await codeOf(async () => KekRing.load(await ring.save(mixed), given))).toBe(
      'KEY_SLOT_FOREIGN',
    );
  });

  test('of the holder opens, and a key of it that leaked makes no database, nor a root key a ring', async () => {
    const ring = KekRing.generate();
    const saved = await ring.save(given);
    const blob = sealed(ring);
    expect(new EnvelopeCipher(await KekRing.load(saved, given)).decrypt(blob, context)).toEqual(
      new TextEncoder().encode('graz'),
    );
    let kekSlot: NewKeySlot | undefined;
    const watched = wrapping(async (root, binding) => {
      kekSlot = await given.wrap(root, binding);
      return kekSlot;
    });
    const ringId = (await ring.save(watched)).slice(8, 24);
    const kek = (ring.kek(ring.currentId) as SecretKey).expose();
    const leaked = { root: kek, logId: ringId, lock: () => kekSlot as NewKeySlot };
    expect(await refusal(await forgedDatabase(leaked))).toBe('AUTHENTICATION_FAILED');

    const root = (await given.unwrap([slot], { logId }))?.root as SecretKey;
    const forged = KekRing.fromKeys([{ id: 'kek', key: root.expose() }]);
    const bytes = await forged.save(wrapping(async () => slot));
    bytes.set(logId, 8);
    const purpose = 'veritydb/kek-ring-mac/v1';
    const covered = bytes.subarray(0, -32);
    const mac = createHmac('sha256', deriveKey(root, purpose).expose());
    bytes.set(mac.update(pae(purpose, covered)).digest(), covered.length);
    expect(await codeOf(() => KekRing.load(bytes, given))).toBe('AUTHENTICATION_FAILED');
  });
});
