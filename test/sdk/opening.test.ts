/**
 * Opening what cannot be opened, and disks that are full or read-only: each has a stable code, a message that
 * says what to do, and leaves every file as it was.
 */
import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ErrorCode, keys, Verity } from '../../src/database/index.ts';
import { nodeDisk, systemClock, systemEntropy, systemScheduler } from '../../src/host/index.ts';
import { ramDisk } from '../../src/sim/index.ts';
import { Folder, openOn, refused, testKey as masterKey } from './support.ts';

const nobody = 65_534;

describe('opening', () => {
  let folder: Folder;
  const open = (options: object = {}): Promise<Verity> =>
    Verity.open(folder.at('data'), { masterKey, ...options });

  beforeEach(async () => {
    folder = new Folder();
    await using db = await open();
    const tenant = await db.createTenant('clinic');
    await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY)');
    await tenant.execute('INSERT INTO t VALUES (1)');
  });

  afterEach(async () => {
    // Whatever was wrong before, the database opens with its own key and has its row.
    await using db = await open();
    expect((await db.tenant('clinic').query('SELECT id FROM t')).rows).toEqual([{ id: 1 }]);
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
    folder.remove();
  });

  /** Opening is refused, and every file is as it was. */
  async function unopened(code: ErrorCode, options: object = {}, path = 'data'): Promise<string> {
    const before = folder.digests(path);
    const error = await refused(code, () =>
      Verity.open(folder.at(path), { masterKey, ...options }),
    );
    expect(folder.digests(path)).toEqual(before);
    return error.message;
  }

  test('with a wrong key, of any kind', async () => {
    const message = await unopened('WRONG_KEY', {
      masterKey: keys.fromPassphrase('PRIVATE words'),
    });
    expect(message).not.toContain('PRIVATE');
    expect(message).toMatch(/Pass the key, passphrase or recovery code/);
    await keys.generateFile(folder.at('other.key'));
    await unopened('WRONG_KEY', { masterKey: keys.fromFile(folder.at('other.key')) });
    await unopened('WRONG_KEY', {
      masterKey: keys.fromFile(folder.at('other.key')),
      readOnly: true,
    });
    await using other = await Verity.open(':memory:');
    await unopened('WRONG_KEY', {
      masterKey: keys.fromRecoveryCode(await other.addRecoveryCode()),
    });
  });

  test('without a key', async () => {
    expect(await unopened('KEY_MISSING', { masterKey: undefined })).toMatch(/keys\.fromFile/);
    expect(
      await unopened('KEY_MISSING', { masterKey: keys.fromFile(folder.at('no.key')) }),
    ).toMatch(/no\.key.*verity init/);
    expect(
      await unopened('KEY_MISSING', { masterKey: keys.fromEnv('VERITY_KEY_THAT_IS_NOT_SET') }),
    ).toMatch(/VERITY_KEY_THAT_IS_NOT_SET/);
  });

  test.each([
    '',
    '5a',
    'x'.repeat(64),
    `${'5a'.repeat(32)}5a`,
    '5a'.repeat(31),
    ` ${'5a'.repeat(32)}`,
    '５ａ'.repeat(32),
  ])('with a key file that holds %j', async (text) => {
    writeFileSync(folder.at('bad.key'), text, { mode: 0o600 });
    const message = await unopened('KEY_INVALID', {
      masterKey: keys.fromFile(folder.at('bad.key')),
    });
    expect(message).toMatch(/expected 64 hex digits/);
    if (text.length > 4) expect(message).not.toContain(text.slice(0, 5));
  });

  test.each([
    null,
    'a key',
    5,
    {},
    { wrap: 1, unwrap: 2 },
    { unwrap: (): undefined => undefined },
    Uint8Array.of(1),
  ])('with a key that is none (%s)', async (given) => {
    expect(await unopened('KEY_INVALID', { masterKey: given })).toMatch(/keys\.fromFile/);
  });

  test('with a mistyped recovery code', async () => {
    for (const code of ['', 'abc', 'PRIV-ATE0-0000-0000-0000-0000-0000-0000-0000-0000']) {
      await refused('KEY_INVALID', () => keys.fromRecoveryCode(code));
    }
    await refused('KEY_INVALID', () => keys.fromPassphrase(''));
  });

  test('a directory of another format revision', async () => {
    const path = folder.at('data/verity.json');
    const mine = readFileSync(path, 'utf8');
    const { checksum: _, mac, ...body } = JSON.parse(mine) as Record<string, unknown>;
    const later = { ...body, revision: 2 };
    const checksum = createHash('sha256').update(JSON.stringify(later)).digest('hex');
    writeFileSync(path, JSON.stringify({ ...later, checksum, mac }, undefined, 2));
    const message = await unopened('FORMAT_UNSUPPORTED');
    expect(message).toMatch(/revision 2/i);
    expect(message).not.toMatch(/restore/i);
    writeFileSync(path, mine);
  });

  test('a directory that is not ours', async () => {
    mkdirSync(folder.at('theirs'));
    writeFileSync(folder.at('theirs/thesis.tex'), 'years of work');
    expect(await unopened('NOT_A_DATABASE', {}, 'theirs')).toMatch(/thesis\.tex/);
    await unopened('NOT_A_DATABASE', { create: false }, 'theirs');
    // A folder of ours by its name alone.
    mkdirSync(folder.at('theirs/log'));
    writeFileSync(folder.at('theirs/log/build.log'), 'done');
    await unopened('NOT_A_DATABASE', {}, 'theirs');
    await unopened('NOT_A_DATABASE', { readOnly: true }, 'theirs');
    rmSync(folder.at('theirs/log'), { recursive: true });
    writeFileSync(folder.at('theirs/log'), 'a file');
    await unopened('NOT_A_DATABASE', {}, 'theirs');
    await refused('NOT_A_DATABASE', () => Verity.verify(folder.at('theirs'), { masterKey }));
    expect(readFileSync(folder.at('theirs/thesis.tex'), 'utf8')).toBe('years of work');
  });

  test('a path that is a file, or leads through one', async () => {
    writeFileSync(folder.at('file'), 'x');
    for (const path of ['file', 'file/data']) {
      const error = await refused('IO_ERROR', () => Verity.open(folder.at(path), { masterKey }));
      expect(error.message).toContain('file');
    }
    expect(readFileSync(folder.at('file'), 'utf8')).toBe('x');
  });

  test('where there is no database, when none is to be made', async () => {
    await refused('NO_DATABASE', () =>
      Verity.open(folder.at('nowhere'), { masterKey, create: false }),
    );
    mkdirSync(folder.at('empty'));
    await unopened('NO_DATABASE', { create: false }, 'empty');
    expect(folder.digests('empty')).toEqual({});
  });

  test.each(['', 5, null, undefined, {}, ['data']])('at a path that is none (%s)', async (path) => {
    await refused('INVALID_ARGUMENT', () => Verity.open(path as string, { masterKey }));
    await refused('INVALID_ARGUMENT', () => Verity.verify(path as string, { masterKey }));
  });

  test('at a path that holds U+0000', async () => {
    await refused('INVALID_ARGUMENT', () => Verity.open(folder.at('a\0b'), { masterKey }));
  });

  test.each([null, 'x', 5])('with options that are none (%s)', async (options) => {
    await refused('INVALID_ARGUMENT', () => Verity.open(folder.at('data'), options as never));
  });

  test.each(['seconds', '__proto__', 5, null])('with timestamps as %s', async (timestamps) => {
    expect(await unopened('INVALID_ARGUMENT', { timestamps })).toMatch(/microseconds/);
  });

  test('a file of the database that is a link', async () => {
    const path = folder.at('data/verity.json');
    const text = readFileSync(path);
    writeFileSync(folder.at('elsewhere.json'), text);
    rmSync(path);
    symlinkSync(folder.at('elsewhere.json'), path);
    const error = await refused('IO_ERROR', () => open());
    expect(error.message).toMatch(/symbolic link/);
    rmSync(path);
    writeFileSync(path, text);
  });

  test('a directory that cannot be written', async () => {
    const host = {
      disk: nodeDisk(folder.at('data'), { readOnly: true }),
      clock: systemClock,
      entropy: systemEntropy,
      scheduler: systemScheduler,
    };
    const before = folder.digests('data');
    await refused('READ_ONLY', async () => {
      await using db = await Verity.openOn(host, { masterKey });
      await db.tenant('clinic').execute('INSERT INTO t VALUES (2)');
    });
    expect(folder.digests('data')).toEqual(before);
    await using follower = await open({ readOnly: true });
    expect((await follower.tenant('clinic').query('SELECT id FROM t')).rows).toEqual([{ id: 1 }]);
  });

  test('a directory without permission to write', async () => {
    const before = folder.digests('data');
    // The superuser may write anywhere, so look with another user's eyes.
    const isRoot = process.geteuid?.() === 0;
    for (const path of ['data/log', 'data']) chmodSync(folder.at(path), isRoot ? 0o755 : 0o500);
    if (isRoot) process.seteuid?.(nobody);
    try {
      const error = await refused('READ_ONLY', () => open());
      expect(error.message).toMatch(/permission/);
    } finally {
      if (isRoot) process.seteuid?.(0);
      for (const path of ['data/log', 'data']) chmodSync(folder.at(path), 0o700);
    }
    expect(folder.digests('data')).toEqual(before);
  });
});

describe('a full disk', () => {
  const sizeOf = (disk: ReturnType<typeof ramDisk>): number =>
    [...disk.image().values()].reduce((sum, bytes) => sum + bytes.length, 0);

  test('refuses what does not fit with DISK_FULL, keeps what was answered, and goes on when there is room', async () => {
    const disk = ramDisk();
    const db = await openOn(disk);
    const tenant = await db.createTenant('clinic');
    await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text)');
    disk.setFaults({ capacityBytes: sizeOf(disk) });
    const value = 'x'.repeat(10_000);
    let id = 0;
    const error = await refused('DISK_FULL', async () => {
      for (; id < 100; id++) await tenant.execute('INSERT INTO t VALUES ($1, $2)', [id, value]);
    });
    expect(error.message).not.toContain('xxxx');
    expect(id).toBeLessThan(100);
    const answered = (await tenant.query('SELECT id FROM t ORDER BY id')).rows.map(
      (row) => row['id'],
    );
    expect(answered).toEqual(Array.from({ length: id }, (_, index) => index));
    await refused('DISK_FULL', () =>
      tenant.transaction((tx) => tx.execute('INSERT INTO t VALUES (1000, $1)', [value.repeat(10)])),
    );
    await refused('DISK_FULL', () => tenant.append('s', [value.repeat(10)]));
    await refused('DISK_FULL', () => db.createTenant('x'.repeat(200))).catch(() => undefined);
    expect(db.status().poisoned).toBe(false);
    disk.setFaults({});
    await tenant.execute('INSERT INTO t VALUES (2000, $1)', [value]);
    await db.close();
    const again = await openOn(disk);
    const rows = (await again.tenant('clinic').query('SELECT id FROM t ORDER BY id')).rows.map(
      (row) => row['id'],
    );
    expect(rows).toEqual([...answered, 2000]);
    expect((await again.verify()).findings).toEqual([]);
    await again.close();
  });

  test.each([0, 100, 1_000, 5_000, 70_000])(
    'of %i bytes: a database is made whole or not at all',
    async (capacityBytes) => {
      const disk = ramDisk();
      disk.setFaults({ capacityBytes });
      let db: Verity | undefined;
      try {
        db = await openOn(disk);
        await db.close();
      } catch (error) {
        expect((error as { code?: string }).code).toBe('DISK_FULL');
      }
      disk.setFaults({});
      const again = await openOn(disk);
      await again.createTenant('clinic');
      expect((await again.verify()).findings).toEqual([]);
      await again.close();
    },
  );
});
