/** Values that are kept as blobs: every kind of damage is found and named, copies and repairs have them, keys change. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Verification, auditDatabase } from '../../src/audit/index.ts';
import type { Disk } from '../../src/base/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import { Verity, type VerityError } from '../../src/database/index.ts';
import { copyLog, loadKeys } from '../../src/engine/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { type DiskImage, diskOf, flipByte, imageOf, withFlip } from './disk-image.ts';
import { hostOn, pause, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const headerBytes = 128;
const chunkBytes = 1 << 20;
const tagBytes = 16;
/** Two chunks and a bit; two of them are as long as each other. */
const lengthBytes = 2 * chunkBytes + 77;

const text = (id: number): string => String.fromCharCode(96 + id).repeat(lengthBytes);
const bytesOf = (id: number): Uint8Array =>
  Uint8Array.from({ length: chunkBytes + 1 }, (_, at) => (at * id) & 0xff);

const none = new Uint8Array();
let whole: DiskImage;
/** The file of the text of a row. */
let paths: string[];

async function open(disk: Disk, seed = 2): Promise<Verity> {
  return Verity.openOn(hostOn(disk, seed), { masterKey });
}

const blobsOf = (image: DiskImage): string[] =>
  [...image.keys()].filter((path) => path.startsWith('blobs/')).toSorted();

beforeAll(async () => {
  const disk = memoryDisk();
  const db = await open(disk, 1);
  const tenant = await db.createTenant('north');
  await tenant.execute(
    'CREATE TABLE scans (id integer PRIMARY KEY, name text, body text, raw bytea)',
  );
  paths = [];
  for (const id of [1, 2, 3]) {
    const before = blobsOf(imageOf(disk));
    await tenant.execute('INSERT INTO scans (id, name, body) VALUES ($1, $2, $3)', [
      id,
      `scan ${id}`,
      text(id),
    ]);
    paths.push(...blobsOf(imageOf(disk)).filter((path) => !before.includes(path)));
  }
  await tenant.execute('INSERT INTO scans (id, raw) VALUES (4, $1)', [bytesOf(3)]);
  await db.close();
  whole = imageOf(disk);
  expect(paths).toHaveLength(3);
  expect(blobsOf(whole)).toHaveLength(4);
});

async function verified(
  image: DiskImage,
  root: TestKey | 'none' = masterKey,
): Promise<Verification> {
  return auditDatabase({ disk: diskOf(image), root });
}

const codeOf = (error: unknown): unknown => (error as VerityError).code;

describe('damage', () => {
  const [first, second] = [(): string => paths[0] as string, (): string => paths[1] as string];
  const file = (path: string): Uint8Array => whole.get(path) as Uint8Array;
  const cases: [string, () => DiskImage, code: string, offset: number][] = [
    [
      'a missing file',
      () => new Map([...whole].filter(([path]) => path !== first())),
      'MISSING_DATA',
      0,
    ],
    [
      'two files that changed places',
      () => new Map(whole).set(first(), file(second())).set(second(), file(first())),
      'FOREIGN_FILE',
      8,
    ],
    [
      'a file cut to nothing',
      () => new Map(whole).set(first(), new Uint8Array()),
      'CHECKSUM_MISMATCH',
      0,
    ],
    [
      'a file cut within a chunk',
      () => new Map(whole).set(first(), file(first()).slice(0, 300_000)),
      'MISSING_DATA',
      300_000,
    ],
    [
      'a file cut between two chunks',
      () =>
        new Map(whole).set(first(), file(first()).slice(0, headerBytes + chunkBytes + tagBytes)),
      'MISSING_DATA',
      headerBytes + chunkBytes + tagBytes,
    ],
    [
      'a byte too many',
      () => new Map(whole).set(first(), extended(file(first()))),
      'CHECKSUM_MISMATCH',
      headerBytes + lengthBytes + 3 * tagBytes,
    ],
    [
      'two chunks that changed places',
      () => {
        const bytes = file(first()).slice();
        const size = chunkBytes + tagBytes;
        const chunk = bytes.slice(headerBytes, headerBytes + size);
        bytes.copyWithin(headerBytes, headerBytes + size, headerBytes + 2 * size);
        bytes.set(chunk, headerBytes + size);
        return new Map(whole).set(first(), bytes);
      },
      'AUTHENTICATION_FAILED',
      headerBytes,
    ],
    [
      'a changed byte of the last chunk',
      () => withFlip(whole, first(), headerBytes + 2 * (chunkBytes + tagBytes) + 5, 1),
      'AUTHENTICATION_FAILED',
      headerBytes + 2 * (chunkBytes + tagBytes),
    ],
    [
      'a changed tag',
      () => withFlip(whole, first(), headerBytes + chunkBytes + 3, 128),
      'AUTHENTICATION_FAILED',
      headerBytes,
    ],
  ];

  for (const [what, damaged, code, offset] of cases) {
    test(`${what} is found, and met only by who asks for the value`, async () => {
      const image = damaged();
      const report = await verified(image);
      expect(report.ok).toBe(false);
      expect(report.findings).toContainEqual(
        expect.objectContaining({ code, file: first(), offset }),
      );
      const db = await open(diskOf(image));
      const tenant = db.tenant('north');
      const error = await tenant
        .query('SELECT body FROM scans WHERE id = 1')
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code, details: { file: first(), offset } });
      expect((await tenant.query('SELECT id, name FROM scans WHERE id = 1')).rows).toHaveLength(1);
      expect((await tenant.query('SELECT body FROM scans WHERE id = 3')).rows).toEqual([
        { body: text(3) },
      ]);
      await db.close();
    });
  }

  test('every byte of a header counts', async () => {
    const disk = diskOf(whole);
    const db = await open(disk);
    const tenant = db.tenant('north');
    const read = (): Promise<unknown> => tenant.query('SELECT body FROM scans WHERE id = 1');
    for (let offset = 0; offset < headerBytes; offset++) {
      const mask = 1 << (offset & 7);
      flipByte(disk, first(), offset, mask);
      const error = await read().catch((thrown: unknown) => thrown);
      expect(codeOf(error), `offset ${offset}`).toBe('CHECKSUM_MISMATCH');
      flipByte(disk, first(), offset, mask);
    }
    await read();
    await db.close();
  });

  test('a file that is none of ours is named, and left alone', async () => {
    const image = new Map(whole).set('blobs/notes.txt', new Uint8Array(3));
    const report = await verified(image);
    expect(report.findings).toMatchObject([{ code: 'FOREIGN_FILE', file: 'blobs/notes.txt' }]);
    const disk = diskOf(image);
    await (await open(disk)).close();
    expect(disk.exists('blobs/notes.txt')).toBe(true);
  });

  test('without a key, headers and lengths are checked', async () => {
    expect((await verified(whole, 'none')).ok).toBe(true);
    const cut = new Map(whole).set(first(), file(first()).slice(0, -1));
    const { findings } = await verified(cut, 'none');
    expect(findings).toMatchObject([{ code: 'MISSING_DATA', file: first() }]);
  });
});

function extended(bytes: Uint8Array): Uint8Array {
  const longer = new Uint8Array(bytes.length + 1);
  longer.set(bytes);
  return longer;
}

test('verify reads all of them, and tells of those that no row names', async () => {
  const stray = `blobs/${'0f'.repeat(16)}.vblob`;
  const bytes = 3 * lengthBytes + chunkBytes + 1;
  expect(await verified(whole)).toMatchObject({
    ok: true,
    blobs: { checked: 4, bytes, unnamed: [] },
  });
  const image = new Map(whole)
    .set(stray, (whole.get(paths[0] as string) as Uint8Array).slice())
    .set(`${stray}.tmp`, new Uint8Array(9));
  expect(await verified(image)).toMatchObject({
    ok: true,
    blobs: { checked: 4, unnamed: [stray, `${stray}.tmp`] },
  });
  const disk = diskOf(image);
  await (await open(disk)).close();
  expect(blobsOf(imageOf(disk))).toEqual(blobsOf(whole));
});

test('no file shows any of a value', () => {
  for (const bytes of whole.values()) {
    const shown = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    for (const id of [1, 2, 3]) expect(shown.includes(text(id).slice(0, 16))).toBe(false);
  }
});

test('a copy has them, and a repair takes from it what is damaged or missing', async () => {
  const source = diskOf(whole);
  const target = memoryDisk();
  const hierarchy = await loadKeys(source, masterKey);
  const { entropy } = hostOn(source, 9);
  await copyLog({
    source: { disk: source, hierarchy },
    target,
    entropy,
    pause: () => Promise.resolve(),
  });
  hierarchy.wipe();
  expect(blobsOf(imageOf(target))).toEqual(blobsOf(whole));
  expect((await verified(imageOf(target))).ok).toBe(true);

  const [first, second] = paths as [string, string];
  const damaged = new Map(withFlip(whole, second, 2_000, 8));
  damaged.delete(first);
  const disk = diskOf(damaged);
  const report = await repairOn(hostOn(disk, 4), hostOn(target, 5), { masterKey, from: 'copy' });
  expect(report).toMatchObject({ restored: expect.arrayContaining([first, second]) as unknown });
  expect(await verified(imageOf(disk))).toMatchObject({ ok: true, blobs: { checked: 4 } });

  target.remove(first);
  const again = repairOn(hostOn(diskOf(damaged), 4), hostOn(target, 5), {
    masterKey,
    from: 'copy',
  });
  expect(await again.catch((error: unknown) => error)).toMatchObject({
    code: 'MISSING_DATA',
    details: { file: first },
  });
});

test('a damaged blob is not copied', async () => {
  const source = diskOf(withFlip(whole, paths[1] as string, 2_000, 8));
  const hierarchy = await loadKeys(source, masterKey);
  const { entropy } = hostOn(source, 9);
  const target = memoryDisk();
  const copied = copyLog({
    source: { disk: source, hierarchy },
    target,
    entropy,
    pause: () => Promise.resolve(),
  });
  expect(await copied.catch((error: unknown) => error)).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
    details: { file: paths[1] },
  });
  expect(imageOf(target).size).toBe(0);
});

test('a rotation leaves them as they are; rekeying seals them anew', async () => {
  const disk = diskOf(whole);
  const db = await open(disk);
  await db.keys.rotate({ masterKey: new TestKey('another') });
  await db.keys.rotate({ tenant: 'north' });
  const changed = (): string[] => {
    const image = imageOf(disk);
    return blobsOf(whole).filter(
      (path) => Buffer.compare(image.get(path) ?? none, whole.get(path) ?? none) !== 0,
    );
  };
  expect(changed()).toEqual([]);
  const tenant = db.tenant('north');
  // One that no row names yet, of a transaction that is still open.
  const tx = tenant.begin();
  await tx.execute('INSERT INTO scans (id, body) VALUES (9, $1)', [text(9)]);
  await db.keys.rotate({ tenant: 'north' });
  const report = await db.keys.rekey();
  expect(report).toMatchObject({ blobs: 5 });
  expect(report.secretsRemoved).toBeGreaterThan(0);
  await tx.commit();
  expect(changed()).toEqual(blobsOf(whole));
  expect(await db.keys.rekey()).toMatchObject({ blobs: 0 });
  await pause(1);
  await db.close();
  const again = await Verity.openOn(hostOn(disk, 6), { masterKey: new TestKey('another') });
  const { rows } = await again
    .tenant('north')
    .query('SELECT id, body FROM scans WHERE body IS NOT NULL ORDER BY id');
  expect(rows.map((row) => row['body'] === text(Number(row['id'])))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect((await again.verify()).ok).toBe(true);
  await again.close();
});
