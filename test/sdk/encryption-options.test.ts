/** What `Verity.open` takes and refuses of encryption, algorithm and compression. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { keys, type OpenOptions, Verity } from '../../src/database/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-suite-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const keyFile = join(folder, 'key');
writeFileSync(keyFile, 'c3'.repeat(32), { mode: 0o600 });
const masterKey = keys.fromFile(keyFile);
const onWarning = (): void => undefined;
const plain: OpenOptions = { encryption: 'none', onWarning };

let made = 0;
/** A directory with a closed database that was created with these options, with a row in it. */
async function created(options: OpenOptions): Promise<string> {
  const path = join(folder, `db${made++}`);
  await using db = await Verity.open(path, options);
  const tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE notes (id integer PRIMARY KEY, text text)');
  await tenant.execute('INSERT INTO notes VALUES (1, $1)', ['the row that was written']);
  return path;
}

async function rowsOf(path: string, options: OpenOptions): Promise<unknown> {
  await using db = await Verity.open(path, options);
  return (await db.tenant('clinic').query('SELECT text FROM notes')).rows;
}

const rows = [{ text: 'the row that was written' }];
const code = (expected: string) => expect.objectContaining({ code: expected });

test('the default is AES-256-GCM without compression', async () => {
  const path = await created({ masterKey });
  expect(Verity.encryptionOf(path)).toBe('aes-256-gcm');
  await using db = await Verity.open(path, { masterKey });
  expect(db.status()).toMatchObject({ encryption: 'aes-256-gcm', compression: 'none' });
});

describe.each([
  { algorithm: 'chacha20-poly1305' },
  { compression: 'brotli' },
  { algorithm: 'chacha20-poly1305', compression: 'brotli' },
] as const)('a database with $algorithm $compression', (suite) => {
  test('is opened with the same options or without them, and not with others', async () => {
    const path = await created({ masterKey, ...suite });
    expect(await rowsOf(path, { masterKey })).toEqual(rows);
    expect(await rowsOf(path, { masterKey, ...suite })).toEqual(rows);
    const others = { algorithm: 'aes-256-gcm', compression: 'none' } as const;
    for (const name of Object.keys(suite) as (keyof typeof suite)[]) {
      await expect(Verity.open(path, { masterKey, [name]: others[name] })).rejects.toEqual(
        code('INVALID_ARGUMENT'),
      );
    }
    expect((await Verity.verify(path, { masterKey })).ok).toBe(true);
  });
});

describe('plain mode', () => {
  test('needs no key, holds text as it is, and is verified', async () => {
    const path = await created(plain);
    expect(Verity.encryptionOf(path)).toBe('none');
    expect(await rowsOf(path, plain)).toEqual(rows);
    const [log] = [readFileSync(join(path, 'log', '00000000000000000001.vlog'))];
    expect(log.includes('the row that was written')).toBe(true);
    expect(await Verity.verify(path, plain)).toMatchObject({ ok: true, findings: [] });
  });

  test('is never entered by accident: the option must be given, and a key must not', async () => {
    const path = await created(plain);
    await expect(Verity.open(path, { masterKey })).rejects.toEqual(code('NOT_ENCRYPTED'));
    await expect(Verity.verify(path, { masterKey })).rejects.toEqual(code('NOT_ENCRYPTED'));
    await expect(Verity.open(path, { ...plain, masterKey })).rejects.toEqual(
      code('INVALID_ARGUMENT'),
    );
    await expect(Verity.open(path, {})).rejects.toEqual(code('KEY_MISSING'));
    const sealed = await created({ masterKey });
    await expect(Verity.open(sealed, plain)).rejects.toEqual(code('KEY_MISSING'));
    await expect(Verity.verify(sealed, plain)).rejects.toEqual(code('KEY_MISSING'));
  });

  test('has no use for a recovery code', async () => {
    await using db = await Verity.open(await created(plain), plain);
    await expect(db.addRecoveryCode()).rejects.toEqual(code('NOT_ENCRYPTED'));
  });

  test('warns at each open: the hook, or else as a warning of the process', async () => {
    const warnings: string[] = [];
    const path = await created({ encryption: 'none', onWarning: (text) => warnings.push(text) });
    await Verity.verify(path, { encryption: 'none', onWarning: (text) => warnings.push(text) });
    expect(warnings).toEqual([
      expect.stringContaining('plain mode'),
      expect.stringContaining(`${path} is in plain mode: nothing in it is encrypted`),
    ]);
    const emitted = new Promise<Error>((resolve) => process.once('warning', resolve));
    await rowsOf(path, { encryption: 'none' });
    expect(await emitted).toMatchObject({ code: 'VERITY_PLAIN_MODE', name: 'VerityWarning' });
    const quiet: string[] = [];
    const sealed = await created({ masterKey, onWarning: (text) => quiet.push(text) });
    await rowsOf(sealed, { masterKey, onWarning: (text) => quiet.push(text) });
    expect(quiet).toEqual([]);
  });

  test('takes the other compression, but no algorithm', async () => {
    const path = await created({ ...plain, compression: 'brotli' });
    expect(await rowsOf(path, plain)).toEqual(rows);
    await expect(Verity.open(path, { ...plain, algorithm: 'aes-256-gcm' })).rejects.toEqual(
      code('INVALID_ARGUMENT'),
    );
  });
});

test('unknown values are refused before anything is made', async () => {
  for (const options of [
    { encryption: 'aes' },
    { encryption: null },
    { algorithm: 'none' },
    { algorithm: 'aes-128-gcm' },
    { algorithm: 1 },
    { compression: 'zstd' },
    { compression: '__proto__' },
  ]) {
    const path = join(folder, 'never');
    await expect(Verity.open(path, { masterKey, ...options } as OpenOptions)).rejects.toEqual(
      code('INVALID_ARGUMENT'),
    );
    expect(Verity.encryptionOf(path)).toBeUndefined();
  }
});
