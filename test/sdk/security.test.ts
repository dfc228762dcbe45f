import { chmodSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { crc32 } from '../../src/crypto/index.ts';
import { keys, type SecurityFailure, Verity, VerityError } from '../../src/database/index.ts';
import { decodeBlob, encodeBlob, EnvelopeCipher } from '../../src/envelope/index.ts';
import { Folder, newDisk, openOn, StandingClock } from './support.ts';

const folder = new Folder();
afterAll(() => folder.remove());

const context = ['missions', 'player-17', 42];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const otherKey = (): ReturnType<typeof keys.fromEnv> => {
  process.env['VERITY_OTHER_TEST_KEY'] = 'a5'.repeat(32);
  return keys.fromEnv('VERITY_OTHER_TEST_KEY');
};

async function codeOf(action: () => unknown): Promise<string | undefined> {
  try {
    await action();
    return undefined;
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

describe('envelope keys of a tenant', () => {
  test('open what they sealed after a reopen, and in no other tenant or database', async () => {
    const disk = newDisk();
    const db = await openOn(disk);
    const clinic = await db.createTenant('clinic');
    const other = await db.createTenant('other');
    const id = await clinic.createEnvelopeKey();
    expect(id).toMatch(/^verity-[0-9a-f]{32}-1-0$/);
    const stored = encodeBlob(
      new EnvelopeCipher(clinic.envelopeKeys(id)).encrypt(text('graz'), context),
    );
    expect(await codeOf(() => other.envelopeKeys(id))).toBe('ENVELOPE_KEY_UNKNOWN');
    const otherId = await other.createEnvelopeKey();
    const otherCipher = new EnvelopeCipher(other.envelopeKeys(otherId));
    expect(await codeOf(() => otherCipher.decrypt(decodeBlob(stored), context))).toBe(
      'ENVELOPE_KEY_UNKNOWN',
    );
    await db.close();

    const again = await openOn(disk);
    const keks = again.tenant('clinic').envelopeKeys(id);
    expect(new EnvelopeCipher(keks).decrypt(decodeBlob(stored), context)).toEqual(text('graz'));
    await again.close();
    expect(await codeOf(() => new EnvelopeCipher(keks).decrypt(decodeBlob(stored), context))).toBe(
      'CLOSED',
    );
  });

  test('rotate by a new key and rewrap', async () => {
    const db = await openOn(newDisk());
    const clinic = await db.createTenant('clinic');
    const first = await clinic.createEnvelopeKey();
    const blob = new EnvelopeCipher(clinic.envelopeKeys(first)).encrypt(text('graz'), context);
    const second = await clinic.createEnvelopeKey();
    const cipher = new EnvelopeCipher(clinic.envelopeKeys(second));
    const moved = cipher.rewrap(blob, context);
    expect([blob.kekId, moved.kekId]).toEqual([first, second]);
    expect(cipher.decrypt(moved, context)).toEqual(text('graz'));
    expect(await codeOf(() => clinic.envelopeKeys('verity-0-1-0'))).toBe('ENVELOPE_KEY_UNKNOWN');
    expect(db.status().subjects).toEqual({ live: 2, erased: 0, pages: 1 });
    expect(await db.verify()).toMatchObject({ ok: true, findings: [] });
    await db.close();
  });
});

describe('failures of authentication', () => {
  test('are counted, reported, and recorded in the log', async () => {
    const clock = new StandingClock();
    const disk = newDisk();
    const reported: SecurityFailure[] = [];
    const db = await openOn(disk, {
      clock,
      onSecurityFailure: (failure) => reported.push(failure),
    });
    const clinic = await db.createTenant('clinic');
    const cipher = new EnvelopeCipher(clinic.envelopeKeys(await clinic.createEnvelopeKey()));
    const blob = cipher.encrypt(text('graz'), context);
    expect(db.status().security).toEqual({
      failures: 0,
      byCode: {},
      suppressed: 0,
      lastFailure: undefined,
      records: 0,
    });
    for (let count = 0; count < 50; count++)
      expect(await codeOf(() => cipher.decrypt(blob, ['elsewhere']))).toBe('AUTHENTICATION_FAILED');
    expect(reported).toHaveLength(10);
    expect(reported[0]).toMatchObject({ code: 'AUTHENTICATION_FAILED', suppressed: 0 });
    expect(reported[0]?.message).not.toContain('graz');
    await db.close();

    const again = await openOn(disk, { clock });
    const records = [];
    for await (const record of again.securityRecords()) records.push(record);
    expect(records.map(({ failures }) => failures)).toEqual([50]);
    expect(records[0]).toMatchObject({ byCode: { AUTHENTICATION_FAILED: 50 }, file: undefined });
    expect(again.status().security).toMatchObject({ failures: 0, records: 1 });
    expect((await again.verify()).ok).toBe(true);
    await again.close();
  });

  test('that end the opening are reported too', async () => {
    const disk = newDisk();
    await (await openOn(disk)).close();
    const reported: SecurityFailure[] = [];
    const open = openOn(disk, {
      masterKey: otherKey(),
      onSecurityFailure: (failure) => reported.push(failure),
    });
    expect(await codeOf(() => open)).toBe('WRONG_KEY');
    expect(reported.map(({ code }) => code)).toEqual(['WRONG_KEY']);
  });

  test('met while opening are recorded once it is open', async () => {
    const disk = newDisk();
    await (await openOn(disk)).close();
    const file = disk.open('anchor', 'readwrite');
    const slot = new Uint8Array(512);
    file.read(slot, 512);
    slot[40] = (slot[40] as number) ^ 1;
    new DataView(slot.buffer).setUint32(508, crc32(slot.subarray(0, 508)), true);
    file.write(slot, 512);
    file.close();
    const warnings: string[] = [];
    const db = await openOn(disk, { onWarning: (warning) => warnings.push(warning) });
    expect(db.status().security).toMatchObject({
      failures: 1,
      byCode: { AUTHENTICATION_FAILED: 1 },
    });
    await db.close();
    const again = await openOn(disk);
    const records = [];
    for await (const record of again.securityRecords()) records.push(record);
    expect(records).toMatchObject([{ failures: 1, file: 'anchor', offset: 512 }]);
    await again.close();
  });

  test('met by verification are counted: an older page of keys put back', async () => {
    const disk = newDisk();
    const warnings: string[] = [];
    const db = await openOn(disk, { onWarning: (warning) => warnings.push(warning) });
    const clinic = await db.createTenant('clinic');
    await clinic.createEnvelopeKey();
    const path = 'subjects/0000000001.vsub';
    const file = disk.open(path, 'readwrite');
    const older = new Uint8Array(file.sizeBytes());
    file.read(older, 0);
    await clinic.createEnvelopeKey();
    file.write(older, 0);
    const report = await db.verify();
    expect(report.findings.map(({ code, file: name }) => [code, name])).toEqual([
      ['SUBJECT_KEYS_ROLLED_BACK', path],
      ['SUBJECT_KEYS_ROLLED_BACK', path],
    ]);
    expect(db.status().security.byCode).toEqual({ SUBJECT_KEYS_ROLLED_BACK: 2 });
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/^SUBJECT_KEYS_ROLLED_BACK: /);
    file.close();
    await db.close();
  });
});

test.skipIf(process.platform === 'win32')(
  'a directory that others may look into is opened with a warning',
  async () => {
    const path = folder.at('open');
    await keys.generateFile(folder.at('open.key'));
    const warnings: string[] = [];
    const open = (): Promise<Verity> =>
      Verity.open(path, {
        masterKey: keys.fromFile(folder.at('open.key')),
        onWarning: (warning) => warnings.push(warning),
      });
    await (await open()).close();
    expect(warnings).toEqual([]);
    for (const mode of [0o750, 0o701, 0o707]) {
      chmodSync(path, mode);
      await (await open()).close();
    }
    expect(warnings).toHaveLength(3);
    expect(warnings[0]).toContain(`has mode 0750`);
    expect(warnings[0]).toContain(`chmod 700 ${path}`);
    chmodSync(folder.at('open.key'), 0o644);
    expect(await codeOf(open)).toBe('KEY_FILE_EXPOSED');
  },
);
