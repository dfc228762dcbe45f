import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/base/index.ts';
import type { MasterKeyProvider } from '../../src/crypto/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import type { Pkcs11Library } from '../../src/keys/pkcs11-library.ts';
import { findSoftHsm, pin, TokenStore } from './softhsm.ts';
import {
  binding,
  codeOf,
  errorOf,
  flipped,
  newRoot,
  openedSlot,
  otherBinding,
  rootBytes,
  shown,
  slotOf,
} from './support.ts';

const found = findSoftHsm();
const isThere = typeof found !== 'string';
if (!isThere) process.stderr.write(`${found}\n`);
const { module, library } = isThere ? found : { module: '', library: undefined };

type Settings = Parameters<typeof keys.fromPkcs11>[0];
const place = { module, library, tokenLabel: 'verity', pin, keyLabel: 'master' };
const quick = { forMs: 60, firstPauseMs: 10, attemptMs: 1_000 };
const settings = (more: Partial<Settings> = {}): Settings => ({ ...place, retry: quick, ...more });
const provider = (more: Partial<Settings> = {}): MasterKeyProvider =>
  keys.fromPkcs11(settings(more));

describe.skipIf(!isThere)('a key in a PKCS#11 token', () => {
  let store: TokenStore;
  const folder = mkdtempSync(join(tmpdir(), 'verity-pkcs11-'));
  beforeAll(async () => {
    store = new TokenStore();
    store.addToken('verity');
    await keys.generatePkcs11Key(settings());
  });
  afterAll(() => {
    store.remove();
    rmSync(folder, { recursive: true });
  });

  test('opens what it wrapped, and its slot holds no root key', async () => {
    const slot = await slotOf(provider());
    expect(slot.kind).toBe('pkcs11');
    expect(slot.wrapped).toHaveLength(12 + 32 + 16);
    expect(Buffer.from(slot.wrapped).includes(Buffer.from(rootBytes()))).toBe(false);
    expect(await openedSlot(provider(), [slot])).toBe(1);
    expect(await openedSlot(provider(), [])).toBeUndefined();
    expect((await slotOf(provider())).wrapped).not.toEqual(slot.wrapped);
  });

  test('does not open in another database, or altered at any byte', async () => {
    const slot = await slotOf(provider());
    await expect(provider().unwrap([slot], otherBinding)).rejects.toThrow(CorruptionError);
    for (const at of [0, 11, 12, 43, 44, 59]) {
      const altered = { ...slot, wrapped: flipped(slot.wrapped, at) };
      expect(await codeOf(() => provider().unwrap([altered], binding)), `byte ${at}`).toBe(
        'AUTHENTICATION_FAILED',
      );
    }
    for (const wrapped of [new Uint8Array(), slot.wrapped.subarray(0, 28)]) {
      await expect(provider().unwrap([{ ...slot, wrapped }], binding)).rejects.toThrow(
        CorruptionError,
      );
    }
    const commitment = flipped(slot.commitment, 0);
    await expect(provider().unwrap([{ ...slot, commitment }], binding)).rejects.toThrow(
      CorruptionError,
    );
  });

  test('of another label, or another key under the same id, opens nothing', async () => {
    const slot = await slotOf(provider());
    await keys.generatePkcs11Key(settings({ keyLabel: 'other' }));
    expect(await openedSlot(provider({ keyLabel: 'other' }), [slot])).toBeUndefined();
    store.addToken('second');
    await keys.generatePkcs11Key(settings({ tokenLabel: 'second' }));
    expect(await openedSlot(provider({ tokenLabel: 'second' }), [slot])).toBeUndefined();
  });

  test('rotates to a new key of the same label; a discarded one is destroyed', async () => {
    const given = settings({ keyLabel: 'rotating' });
    await keys.generatePkcs11Key(given);
    const old = await slotOf(keys.fromPkcs11(given));
    await (await keys.fromPkcs11(given).rotate(newRoot(), binding)).discard();
    const rotation = await keys.fromPkcs11(given).rotate(newRoot(), binding);
    await rotation.activate();
    const next = { id: 2, ...rotation.slot };
    expect(JSON.parse(Buffer.from(next.parameters).toString())).toMatchObject({ id: '00000002' });
    expect(next.parameters).not.toEqual(old.parameters);
    expect(await openedSlot(keys.fromPkcs11(given), [next])).toBe(2);
    expect(await openedSlot(keys.fromPkcs11(given), [old])).toBe(1);
    expect((await slotOf(keys.fromPkcs11(given))).parameters).toEqual(next.parameters);
  });

  test('is never made twice', async () => {
    expect(await codeOf(() => keys.generatePkcs11Key(settings()))).toBe('KEY_INVALID');
  });

  test('that is missing, in a token or with a module that is missing, is told apart', async () => {
    const codeWith = (more: Partial<Settings>): Promise<string> =>
      codeOf(() => provider(more).wrap(newRoot(), binding));
    expect(await codeWith({ keyLabel: 'nothing' })).toBe('KEY_MISSING');
    expect(await codeOf(() => provider({ keyLabel: 'nothing' }).unwrap([], binding))).toBe(
      'KEY_MISSING',
    );
    expect(await codeWith({ tokenLabel: 'nowhere' })).toBe('KEY_MISSING');
    expect(await codeWith({ module: '/nowhere/module.so' })).toBe('KEY_PROVIDER_MISSING');
    expect(await codeWith({ module: import.meta.filename })).toBe('KEY_PROVIDER_MISSING');
  });

  test('is refused with a wrong PIN, which is tried once and never shown', async () => {
    const wrong = '000111222';
    const error = await errorOf(() => provider({ pin: wrong }).wrap(newRoot(), binding));
    expect(error.code).toBe('KEY_PROVIDER_DENIED');
    expect(error.message).toContain('CKR_PIN_INCORRECT');
    expect(shown(error)).not.toContain(wrong);
    expect(shown(provider())).not.toContain(pin);
  });

  test('of a token that is taken away while it is used comes back with it', async () => {
    store.addToken('portable');
    const given = settings({ tokenLabel: 'portable' });
    await keys.generatePkcs11Key(given);
    const slot = await slotOf(keys.fromPkcs11(given));
    store.removeToken('portable');
    expect(await codeOf(() => keys.fromPkcs11(given).unwrap([slot], binding))).toBe('KEY_MISSING');
    store.addToken('portable');
    await keys.generatePkcs11Key(given);
    expect(await openedSlot(keys.fromPkcs11(given), [slot])).toBeUndefined();
  });

  test('opens a database again after a restart', async () => {
    const directory = join(folder, 'data');
    {
      await using db = await Verity.open(directory, { masterKey: provider() });
      await db.createTenant('clinic');
    }
    {
      await using db = await Verity.open(directory, { masterKey: provider() });
      expect(db.tenants()).toEqual(['clinic']);
      expect(db.status().keySlots).toEqual([{ id: 1, kind: 'pkcs11' }]);
    }
    expect(
      await codeOf(() => Verity.open(directory, { masterKey: provider({ keyLabel: 'other' }) })),
    ).toBe('WRONG_KEY');
  });

  test('is found by the id of its slot, too', async () => {
    const p = library as Pkcs11Library;
    const token = new p.PKCS11();
    token.load(module);
    token.C_Initialize();
    const [handle] = token
      .C_GetSlotList(true)
      .filter((slot) => token.C_GetTokenInfo(slot).label.trimEnd() === 'verity');
    const slot = Number(handle?.readBigUInt64LE());
    try {
      // While somebody else in this process has the module open, it stays open for them.
      const { tokenLabel: _, ...unlabelled } = place;
      const bySlot = keys.fromPkcs11({ ...unlabelled, slot, retry: quick });
      expect(await openedSlot(bySlot, [await slotOf(bySlot)])).toBe(1);
      expect(token.C_GetSlotList(true).length).toBeGreaterThan(0);
      expect(
        await codeOf(() =>
          keys.fromPkcs11({ ...unlabelled, slot: slot + 1, retry: quick }).wrap(newRoot(), binding),
        ),
      ).toBe('KEY_MISSING');
    } finally {
      token.C_Finalize();
      token.close();
    }
  });

  test('must be one that never leaves the token', async () => {
    const p = library as Pkcs11Library;
    const token = new p.PKCS11();
    token.load(module);
    token.C_Initialize();
    const [slot] = token
      .C_GetSlotList(true)
      .filter((handle) => token.C_GetTokenInfo(handle).label.trimEnd() === 'verity');
    const session = token.C_OpenSession(slot as Buffer, p.CKF_SERIAL_SESSION | p.CKF_RW_SESSION);
    token.C_Login(session, p.CKU_USER, pin);
    token.C_GenerateKey(session, { mechanism: p.CKM_AES_KEY_GEN }, [
      { type: p.CKA_CLASS, value: p.CKO_SECRET_KEY },
      { type: p.CKA_KEY_TYPE, value: p.CKK_AES },
      { type: p.CKA_LABEL, value: 'readable' },
      { type: p.CKA_VALUE_LEN, value: 32 },
      { type: p.CKA_TOKEN, value: true },
      { type: p.CKA_EXTRACTABLE, value: true },
      { type: p.CKA_SENSITIVE, value: false },
      { type: p.CKA_ENCRYPT, value: true },
    ]);
    token.C_CloseSession(session);
    token.C_Finalize();
    token.close();
    expect(
      await errorOf(() => provider({ keyLabel: 'readable' }).wrap(newRoot(), binding)),
    ).toMatchObject({
      code: 'KEY_INVALID',
      message: expect.stringContaining('read out') as string,
    });
  });
});

test('what it is can be shown without the token', () => {
  const given = { module: '/usr/lib/x.so', tokenLabel: 'hsm', pin: '1', keyLabel: 'k' };
  expect(keys.fromPkcs11(given).describe()).toEqual({
    kind: 'pkcs11',
    source: 'k',
    parameters: { module: '/usr/lib/x.so', tokenLabel: 'hsm' },
    rotates: true,
  });
  const { tokenLabel: _, ...unlabelled } = given;
  for (const bad of [unlabelled, { ...given, slot: 1 }, { ...given, keyLabel: '' }]) {
    expect(() => keys.fromPkcs11(bad)).toThrow(/fromPkcs11 needs/);
  }
});

test('without the package it says what to install', async () => {
  const error = await errorOf(() =>
    keys
      .fromPkcs11({ module: '/usr/lib/x.so', slot: 1, pin: '1', keyLabel: 'k' })
      .wrap(newRoot(), binding),
  );
  expect(error.code).toBe('KEY_PROVIDER_MISSING');
  expect(error.message).toContain('npm install pkcs11js');
});
