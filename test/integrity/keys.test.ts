import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import { crc32 } from '../../src/crypto/index.ts';
import {
  CorruptionError,
  keys,
  type MasterKeyProvider,
  Verity,
  VerityError,
} from '../../src/database/index.ts';
import { memoryDisk, nodeDisk } from '../../src/host/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  isProblem,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { differing, type DiskImage, diskOf, imageOf, readFile } from './disk-image.ts';
import { hostOn, sampleDatabase, TestKey } from './sample-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-key-tests-'));
const variable = 'VERITY_MASTER_KEY';
const before = { variable: process.env[variable], cwd: process.cwd() };
afterEach(() => {
  process.chdir(before.cwd);
  if (before.variable === undefined) delete process.env[variable];
  else process.env[variable] = before.variable;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const digits = 'c0ffee'.repeat(10).slice(0, 60) + 'beef';
const otherDigits = digits.replaceAll('c0', '0c');
const passphrase = 'tschüß, said the ﬁsh';

function keyFile(name: string, content: string): string {
  writeFileSync(join(folder, name), content, { mode: 0o600 });
  return join(folder, name);
}

/** The code of the error that `work` ends with, or what it found. */
async function outcome(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return 'opened';
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

async function openAndRead(path: string, masterKey?: MasterKeyProvider): Promise<void> {
  const db = await Verity.open(path, {
    create: false,
    ...(masterKey !== undefined && { masterKey }),
  });
  try {
    const { rows } = await db.tenant('acme').query('SELECT v FROM t');
    expect(rows).toEqual([{ v: 'kept' }]);
  } finally {
    await db.close();
  }
}

async function createWith(path: string, masterKey: MasterKeyProvider): Promise<string> {
  const db = await Verity.open(path, { masterKey });
  const tenant = await db.createTenant('acme');
  await tenant.execute('CREATE TABLE t (v text)');
  await tenant.execute("INSERT INTO t VALUES ('kept')");
  const code = await db.addRecoveryCode();
  await db.close();
  return code;
}

describe('a database made with a key file', () => {
  const path = join(folder, 'by-file');
  let code: string;
  beforeAll(async () => {
    code = await createWith(path, keys.fromFile(keyFile('right.key', digits)));
  });
  const attempt = (masterKey: () => MasterKeyProvider): Promise<string> =>
    outcome(async () => openAndRead(path, masterKey()));

  test('opens with the file, the environment, .env, and the recovery code', async () => {
    expect(await attempt(() => keys.fromFile(join(folder, 'right.key')))).toBe('opened');
    expect(await attempt(() => keys.fromRecoveryCode(code))).toBe('opened');
    process.env[variable] = digits;
    expect(await attempt(() => keys.fromEnv())).toBe('opened');
    delete process.env[variable];
    const elsewhere = mkdtempSync(join(folder, 'cwd-'));
    writeFileSync(join(elsewhere, '.env'), `${variable}=${digits}\n`);
    process.chdir(elsewhere);
    expect(await attempt(() => keys.fromEnv())).toBe('opened');
  });

  test('says WRONG_KEY to another key of any kind', async () => {
    process.env[variable] = otherDigits;
    const others = [
      () => keys.fromFile(keyFile('wrong.key', otherDigits)),
      () => keys.fromEnv(),
      () => keys.fromPassphrase(digits),
      () => keys.fromRecoveryCode('JA7N-Z8R8-ZKAA-D98B-95EJ-2WH8-XPDN-CCHY-SNWA-9G36'),
    ];
    for (const other of others) expect(await attempt(other)).toBe('WRONG_KEY');
  });

  test('says KEY_INVALID to a malformed key and KEY_MISSING to none', async () => {
    delete process.env[variable];
    expect(await attempt(() => keys.fromFile(keyFile('short.key', digits.slice(2))))).toBe(
      'KEY_INVALID',
    );
    expect(await attempt(() => keys.fromRecoveryCode(code.slice(1)))).toBe('KEY_INVALID');
    expect(await attempt(() => keys.fromPassphrase(''))).toBe('KEY_INVALID');
    expect(await attempt(() => keys.fromFile(join(folder, 'none.key')))).toBe('KEY_MISSING');
    process.chdir(mkdtempSync(join(folder, 'cwd-')));
    expect(await attempt(() => keys.fromEnv())).toBe('KEY_MISSING');
    expect(await outcome(() => openAndRead(path))).toBe('KEY_MISSING');
    process.env[variable] = 'xyz';
    expect(await attempt(() => keys.fromEnv())).toBe('KEY_INVALID');
  });

  test('is not changed by an attempt with a wrong key', async () => {
    const image = imageOf(nodeDisk(path, { readOnly: true }));
    await attempt(() => keys.fromFile(keyFile('wrong.key', otherDigits)));
    await attempt(() => keys.fromFile(join(folder, 'none.key')));
    expect(differing(imageOf(nodeDisk(path, { readOnly: true })), image)).toEqual([]);
    expect(readdirSync(path).toSorted()).toEqual([
      'LOCK',
      'anchor',
      'keyring',
      'log',
      'proofs',
      'verity.json',
    ]);
  });
});

test('a database made with a passphrase opens with it in any Unicode form, and with no other', async () => {
  const path = join(folder, 'by-passphrase');
  await createWith(path, keys.fromPassphrase(passphrase));
  await openAndRead(path, keys.fromPassphrase(passphrase.normalize('NFD')));
  await openAndRead(path, keys.fromPassphrase(passphrase.replace('ﬁ', 'fi')));
  expect(
    await outcome(() => openAndRead(path, keys.fromPassphrase('tschuss, said the fish'))),
  ).toBe('WRONG_KEY');
});

test('a key that is missing makes no database', async () => {
  const path = join(folder, 'never');
  expect(
    await outcome(() => Verity.open(path, { masterKey: keys.fromFile(join(folder, 'none.key')) })),
  ).toBe('KEY_MISSING');
  expect(
    await outcome(() => Verity.open(path, { masterKey: keys.fromFile(keyFile('bad.key', 'bad')) })),
  ).toBe('KEY_INVALID');
  expect(await outcome(() => Verity.open(path, { create: false, masterKey: new TestKey() }))).toBe(
    'NO_DATABASE',
  );
});

describe('files of another time or another database are refused', () => {
  let ours: DiskImage;
  let theirs: DiskImage;
  /** Our keyring before a tenant wrote for the first time, and before a recovery code was added. */
  const older: Uint8Array[] = [];
  const segment = 'log/00000000000000000001.vlog';

  async function closedImage(seed: number): Promise<Map<string, Uint8Array>> {
    const disk = memoryDisk();
    const db = await Verity.openOn(hostOn(disk, seed), { masterKey: new TestKey() });
    await (await db.createTenant('first')).append('s', [1]);
    if (seed === 1) older.push(readFile(disk, 'keyring'));
    await (await db.createTenant('second')).append('s', [2]);
    if (seed === 1) older.push(readFile(disk, 'keyring'));
    await db.addRecoveryCode();
    await db.close();
    return imageOf(disk);
  }

  beforeAll(async () => {
    ours = await closedImage(1);
    // Under the same master key, as a careless operator's two databases would be.
    theirs = await closedImage(2);
  });

  const of = (image: DiskImage, path: string): Uint8Array => image.get(path) as Uint8Array;

  /** What verify and open say of our files with some replaced: one finding, and the same error. */
  async function refusal(replaced: Record<string, Uint8Array>): Promise<[string, string]> {
    const image = new Map([...ours, ...Object.entries(replaced)]);
    const directory = mkdtempSync(join(folder, 'mixed-'));
    for (const [path, bytes] of image) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), bytes);
    }
    const { ok, findings } = await Verity.verify(directory, { masterKey: new TestKey() });
    const error: unknown = await Verity.open(directory, { masterKey: new TestKey() }).catch(
      (reason: unknown) => reason,
    );
    if (!(error instanceof CorruptionError)) throw new Error(`it opened: ${String(error)}`);
    expect({ ok, findings }).toEqual({
      ok: false,
      findings: [
        { code: error.code, file: error.file, offset: error.offset, message: error.message },
      ],
    });
    expect(differing(imageOf(nodeDisk(directory, { readOnly: true })), image)).toEqual([]);
    return [error.code, error.file];
  }

  test('all together they are our database', async () => {
    const db = await Verity.openOn(hostOn(diskOf(ours)), { masterKey: new TestKey() });
    expect((await db.verify()).ok).toBe(true);
    await db.close();
  });

  test('the keyring of another database', async () => {
    expect(await refusal({ keyring: of(theirs, 'keyring') })).toEqual(['FOREIGN_FILE', 'keyring']);
  });

  test('the verity.json of another database', async () => {
    expect(await refusal({ 'verity.json': of(theirs, 'verity.json') })).toEqual([
      'FOREIGN_FILE',
      'verity.json',
    ]);
  });

  test('both of another database', async () => {
    const both = { keyring: of(theirs, 'keyring'), 'verity.json': of(theirs, 'verity.json') };
    expect(await refusal(both)).toEqual(['FOREIGN_FILE', 'anchor']);
  });

  test('the log of another database', async () => {
    expect(await refusal({ [segment]: of(theirs, segment) })).toEqual(['FOREIGN_FILE', segment]);
  });

  test('a frame of another database behind our segment header', async () => {
    const mixed = new Uint8Array([
      ...of(ours, segment).subarray(0, segmentHeaderBytes),
      ...of(theirs, segment).subarray(segmentHeaderBytes),
    ]);
    expect(await refusal({ [segment]: mixed })).toEqual(['FOREIGN_FILE', segment]);
  });

  test('an older keyring put back', async () => {
    expect(older).toHaveLength(2);
    for (const keyring of older) {
      expect(of(ours, 'keyring').length).toBeGreaterThan(keyring.length);
      expect(await refusal({ keyring })).toEqual(['KEYRING_ROLLED_BACK', 'keyring']);
    }
  });

  test('an older keyring put back under an open handle', async () => {
    const disk = diskOf(ours);
    const db = await Verity.openOn(hostOn(disk, 3), { masterKey: new TestKey() });
    for (const keyring of older) {
      disk.remove('keyring');
      const file = disk.open('keyring', 'create');
      file.write(keyring, 0);
      file.close();
      const { ok, findings } = await db.verify();
      expect(ok).toBe(false);
      // 24 is where the generation stands.
      expect(findings[0]).toMatchObject({
        code: 'KEYRING_ROLLED_BACK',
        file: 'keyring',
        offset: 24,
      });
    }
    await db.close();
  });

  test('a keyring whose tenants have swapped keys, checksums put right', async () => {
    const swapped = of(ours, 'keyring').slice();
    const [second, third] = [swapped.length - 36 - 2 * 96, swapped.length - 36 - 96];
    swapped.copyWithin(second + 4, third + 4, third + 92);
    swapped.set(of(ours, 'keyring').subarray(second + 4, second + 92), third + 4);
    const view = new DataView(swapped.buffer);
    for (const record of [second, third]) {
      view.setUint32(record + 92, crc32(swapped.subarray(record, record + 92)), true);
    }
    expect(swapped).not.toEqual(of(ours, 'keyring'));
    expect(await refusal({ keyring: swapped })).toEqual(['AUTHENTICATION_FAILED', 'keyring']);
  });

  test('a keyring with an altered slot, checksum put right', async () => {
    const altered = of(ours, 'keyring').slice();
    const view = new DataView(altered.buffer);
    const slot = 52 + view.getUint32(44, true) + 4;
    const end = slot + 4 + view.getUint32(slot, true);
    altered[end - 1] = (altered[end - 1] as number) ^ 1;
    view.setUint32(end, crc32(altered.subarray(slot, end)), true);
    expect(await refusal({ keyring: altered })).toEqual(['AUTHENTICATION_FAILED', 'keyring']);
  });

  test('a keyring that claims a later generation, checksum put right', async () => {
    const altered = of(ours, 'keyring').slice();
    const view = new DataView(altered.buffer);
    view.setUint32(24, view.getUint32(24, true) + 1, true);
    view.setUint32(48, crc32(altered.subarray(0, 48)), true);
    expect(await refusal({ keyring: altered })).toEqual(['AUTHENTICATION_FAILED', 'keyring']);
  });

  test('each file that is missing is named', async () => {
    for (const path of ['verity.json', 'keyring', segment]) {
      const image = new Map(ours);
      image.delete(path);
      const error: unknown = await Verity.openOn(hostOn(diskOf(image)), {
        masterKey: new TestKey(),
      }).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'MISSING_DATA' });
      expect((error as VerityError).message).toContain(path === segment ? 'log' : path);
    }
  });
});

describe('what is sealed', () => {
  /** Key commitment, nonce and ciphertext of every section on a disk. */
  function sectionsOn(disk: Disk): { key: string; nonce: string; sealed: string; salt: string }[] {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    const sections = [];
    for (const [path, bytes] of imageOf(disk)) {
      if (!path.endsWith('.vlog')) continue;
      let offset = segmentHeaderBytes;
      while (offset < bytes.length && bytes[offset] !== 0) {
        const header = decodeFrameHeader(bytes, offset);
        if (typeof header === 'string') throw new Error(header);
        const frame = checkFrame(bytes.subarray(offset, offset + header.frameLength), header);
        if (isProblem(frame)) throw new Error(frame.what);
        for (const { commitment, nonce, sealed } of frame.sections) {
          sections.push({
            key: hex(commitment),
            nonce: hex(nonce),
            sealed: hex(sealed),
            salt: hex(header.epochSalt),
          });
        }
        offset += header.frameLength;
      }
    }
    return sections;
  }

  /** No (key, nonce) may have sealed two different texts. */
  function reused(sections: ReturnType<typeof sectionsOn>): string[] {
    const seen = new Map<string, string>();
    const bad: string[] = [];
    for (const { key, nonce, sealed } of sections) {
      const known = seen.get(key + nonce);
      if (known !== undefined && known !== sealed) bad.push(key + nonce);
      seen.set(key + nonce, sealed);
    }
    return bad;
  }

  test('in 1,000 opens, 40 in a row and the others of one copy, never has key and nonce of another', async () => {
    const masterKey = new TestKey();
    const inARow = 40;
    /** Opens, seals the same bytes at the same place as every other, and closes. */
    const write = async (disk: Disk, seed: number): Promise<void> => {
      const host = { ...hostOn(disk, seed), clock: { now: () => 4_102_444_800_000_000 as never } };
      const db = await Verity.openOn(host, { masterKey });
      await db.tenant('a').append('s', ['the same']);
      await db.close();
    };
    const disk = memoryDisk();
    const created = await Verity.openOn(hostOn(disk, 0), { masterKey });
    await (await created.createTenant('a')).append('s', [0]);
    await created.close();
    const image = imageOf(disk);
    const known = sectionsOn(disk).length;
    for (let seed = 1; seed <= inARow; seed++) await write(disk, seed);
    const sections = sectionsOn(disk);
    expect(sections.length).toBe(known + 2 * inARow);
    for (let seed = inARow + 1; seed <= 1_000; seed++) {
      const copy = diskOf(image);
      await write(copy, seed);
      sections.push(...sectionsOn(copy).slice(known));
    }
    expect(sections.length).toBe(known + 2_000);
    expect(new Set(sections.map(({ key, nonce }) => key + nonce)).size).toBe(sections.length);
    expect(new Set(sections.map(({ nonce }) => nonce)).size).toBe(sections.length);
    // One salt, and for each tenant one key, an open.
    expect(new Set(sections.map(({ salt }) => salt)).size).toBe(1_001);
    expect(new Set(sections.map(({ key }) => key)).size).toBe(2_002);
  });

  test('by two clones of one machine, which draw the same random bytes, never shares key and nonce', async () => {
    const original = await sampleDatabase(10);
    await original.db.close();
    const image = imageOf(original.disk);
    const clones: ReturnType<typeof sectionsOn>[] = [];
    for (const written of ['one thing', 'another', 'one thing']) {
      const disk = diskOf(image);
      // A clock that stands still, too.
      const host = { ...hostOn(disk, 77), clock: { now: () => 4_102_444_800_000_000 as never } };
      const db = await Verity.openOn(host, { masterKey: original.key });
      await db.tenant('north').append('s', [written]);
      await db.tenant('south').append('s', ['in both clones']);
      await db.close();
      clones.push(sectionsOn(disk).slice(sectionsOn(diskOf(image)).length));
    }
    const [one = [], other = [], again = []] = clones;
    expect(one.length).toBeGreaterThan(2);
    // They did draw the same keys: the danger was real.
    expect(one.map(({ key }) => key)).toEqual(other.map(({ key }) => key));
    expect(one).toEqual(again);
    expect(reused([...one, ...other])).toEqual([]);
    expect(one.filter(({ nonce }) => other.some((section) => section.nonce === nonce))).toEqual([]);
  });

  test('under a reused key and nonce would be noticed', () => {
    const section = { key: 'k', nonce: 'n', sealed: 'a', salt: 's' };
    expect(reused([section, section])).toEqual([]);
    expect(reused([section, { ...section, sealed: 'b' }])).toEqual(['kn']);
  });

  test('with random bytes that repeat for ever still differs by tenant and place', async () => {
    const disk = memoryDisk();
    const host = {
      ...hostOn(disk),
      entropy: { bytes: (count: number) => new Uint8Array(count).fill(1) },
    };
    const masterKey = new TestKey();
    for (let opened = 0; opened < 3; opened++) {
      const db = await Verity.openOn(host, { masterKey });
      for (const name of ['a', 'b']) {
        const tenant = opened === 0 ? await db.createTenant(name) : db.tenant(name);
        await tenant.append('s', ['the same']);
      }
      await db.close();
    }
    const sections = sectionsOn(disk);
    expect(new Set(sections.map(({ nonce }) => nonce)).size).toBe(sections.length);
  });
});
