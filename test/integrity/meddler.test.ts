/** Forgeries by somebody without a key, who recomputes every checksum, digest and unkeyed hash. */
import { describe, expect, test } from 'vitest';
import { type Disk, VerityError } from '../../src/base/index.ts';
import { crc32 } from '../../src/crypto/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { type CorruptionError, keys, type TenantHandle, Verity } from '../../src/database/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { type DiskImage, diskOf, imageOf, readFile } from './disk-image.ts';
import { diskWith, frameField, type FramePlace, framesOf, reseal } from './forge.ts';
import { hostOn, idleMs, pause, TestKey } from './sample-database.ts';

const firstSegment = 'log/00000000000000000001.vlog';
const masterKey = new TestKey();

interface Opened {
  readonly disk: Disk;
  readonly db: Verity;
  readonly tenant: TenantHandle;
}

/** A row written by three actors, in a frame each. */
async function threeFrames(): Promise<Opened> {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  const tenant = await db.createTenant('north');
  await tenant.execute('CREATE TABLE visits (id integer PRIMARY KEY, code text)');
  await tenant.execute("INSERT INTO visits VALUES (1, 'a')", [], { actor: 'ann' });
  await tenant.execute("UPDATE visits SET code = 'b'", [], { actor: 'eve' });
  await tenant.execute("UPDATE visits SET code = 'c'", [], { actor: 'bob' });
  return { disk, db, tenant };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function overwrite(disk: Disk, path: string, bytes: Uint8Array): void {
  const file = disk.open(path, 'readwrite');
  file.write(bytes, 0);
  file.close();
}

async function actorsOf(tenant: TenantHandle): Promise<unknown[]> {
  const changes = await tenant.history('visits', [1]);
  return changes.map((change) => change.actor);
}

test('a frame given to another tenant while the database is open is not left out of the history', async () => {
  const { disk, db, tenant } = await threeFrames();
  expect(await actorsOf(tenant)).toEqual(['ann', 'eve', 'bob']);
  const segment = readFile(disk, firstSegment);
  const eves = framesOf(segment).at(-2);
  if (eves === undefined) throw new Error('there are frames');
  new DataView(segment.buffer).setUint32(eves.offset + frameField.firstTenant, 77, true);
  reseal(segment, eves);
  overwrite(disk, firstSegment, segment);
  await expect(tenant.history('visits', [1])).rejects.toThrow(
    expect.objectContaining({ code: 'AUTHENTICATION_FAILED' }),
  );
  await expect(collect(tenant.changes())).rejects.toThrow(
    expect.objectContaining({ code: 'AUTHENTICATION_FAILED' }),
  );
  await db.close();
});

test('committed frames that were wiped while the database is open are missed', async () => {
  const { disk, db, tenant } = await threeFrames();
  const segment = readFile(disk, firstSegment);
  const eves = framesOf(segment).at(-2);
  segment.fill(0, eves?.offset);
  overwrite(disk, firstSegment, segment);
  await expect(collect(tenant.changes())).rejects.toThrow(
    expect.objectContaining({ code: 'MISSING_DATA' }),
  );
  await db.close();
});

test('a forged mark does not make a reader take a frame for durable', async () => {
  const { disk, db, tenant } = await threeFrames();
  await pause(idleMs);
  await tenant.execute("UPDATE visits SET code = 'd'");
  const reader = await Verity.openOn(hostOn(disk), { masterKey, readOnly: true });
  const shown = await reader.tenant('north').query('SELECT code FROM visits');
  expect(shown.rows).toEqual([{ code: 'c' }]);
  overwrite(disk, firstSegment, withForgedMark(readFile(disk, firstSegment)));
  expect(() => reader.tenants()).toThrow(
    expect.objectContaining({ code: 'AUTHENTICATION_FAILED' }),
  );
  await reader.close();
  await db.close();
});

/** The segment with a copy of its mark frame behind the last frame, made to continue it. */
function withForgedMark(segment: Uint8Array): Uint8Array {
  const frames = framesOf(segment);
  const last = frames.at(-1);
  const mark = frames.find((frame) => frame.kind === 'mark');
  if (last === undefined || mark === undefined)
    throw new Error('there is a mark and a frame behind it');
  const parent = reseal(segment, last);
  const forged = { ...mark, offset: last.offset + last.length };
  segment.set(segment.slice(mark.offset, mark.offset + mark.length), forged.offset);
  const view = new DataView(segment.buffer);
  const number = (at: number): bigint => view.getBigUint64(last.offset + at, true);
  const put = (at: number, value: bigint): void =>
    view.setBigUint64(forged.offset + at, value, true);
  put(frameField.durableHead, BigInt(last.op));
  put(frameField.op, BigInt(last.op) + 1n);
  put(frameField.firstPosition, number(frameField.lastPosition) + 1n);
  put(frameField.lastPosition, number(frameField.lastPosition));
  put(
    frameField.firstLeaf,
    number(frameField.firstLeaf) + BigInt(view.getUint32(last.offset + 136, true)),
  );
  put(frameField.timestamp, number(frameField.timestamp));
  reseal(segment, forged, parent);
  return segment;
}

test('when the end of a segment is gone, the segments behind it are neither ignored nor removed', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  const tenant = await db.createTenant('north');
  await tenant.execute('CREATE TABLE scans (id integer PRIMARY KEY, image text)');
  const image = 'x'.repeat(1_000_000);
  for (let id = 0; id < 40; id++)
    await tenant.execute('INSERT INTO scans VALUES ($1, $2)', [id, image]);
  await db.close();
  const files = imageOf(disk);
  const segment = readFile(disk, firstSegment);
  const end = framesOf(segment).at(-1);
  expect(end?.kind).toBe('end');
  const cut = diskWith(files, firstSegment, segment.subarray(0, end?.offset));
  const before = cut.list('log');
  await expect(Verity.openOn(hostOn(cut), { masterKey })).rejects.toThrow(
    expect.objectContaining({ code: 'MISSING_DATA', file: firstSegment, offset: end?.offset }),
  );
  expect(before).toHaveLength(2);
  expect(cut.list('log')).toEqual(before);
});

test('nothing can be hidden in the unused bytes of a segment header', async () => {
  const { disk, db } = await threeFrames();
  await db.close();
  const segment = readFile(disk, firstSegment);
  segment[100] = 1;
  new DataView(segment.buffer).setUint32(124, crc32(segment.subarray(0, 124)), true);
  await expect(
    Verity.openOn(hostOn(diskWith(imageOf(disk), firstSegment, segment)), { masterKey }),
  ).rejects.toThrow(expect.objectContaining({ code: 'CHECKSUM_MISMATCH', file: firstSegment }));
});

test('a segment full of crafted frame headers is judged in time linear in its length', async () => {
  const { disk, db } = await threeFrames();
  await db.close();
  const whole = readFile(disk, firstSegment);
  const crafted = new Uint8Array(8 << 20);
  crafted.set(whole);
  const view = new DataView(crafted.buffer);
  // As if a frame had not reached the disk, and behind it headers that each announce a frame up to the end of the file.
  for (let offset = whole.length + 512; offset + 88 < crafted.length; offset += 88) {
    const length = crafted.length - offset - 88;
    view.setUint32(offset, 0x4d52_4656, true);
    crafted[offset + 4] = 1;
    crafted[offset + 5] = 1;
    view.setUint32(offset + 8, 88 + length - (length % 8), true);
    view.setUint32(offset + 12, length - (length % 8), true);
    view.setUint32(offset + 84, crc32(crafted.subarray(offset, offset + 84)), true);
  }
  const started = performance.now();
  const opening = Verity.openOn(hostOn(diskWith(imageOf(disk), firstSegment, crafted)), {
    masterKey,
  });
  await opening.then(
    (opened) => opened.close(),
    () => undefined,
  );
  expect(performance.now() - started).toBeLessThan(5_000);
});

test('a deeply nested verity.json is damage like any other', async () => {
  const { disk, db } = await threeFrames();
  await db.close();
  const text = new TextDecoder().decode(readFile(disk, 'verity.json'));
  const nested = text.replace('{', `{"x": ${'['.repeat(200_000)}${']'.repeat(200_000)},`);
  const forged = diskWith(imageOf(disk), 'verity.json', new TextEncoder().encode(nested));
  await expect(Verity.openOn(hostOn(forged), { masterKey })).rejects.toThrow(
    expect.objectContaining({ code: 'CHECKSUM_MISMATCH', file: 'verity.json' }),
  );
});

test.each([
  ['less memory than its lanes need', { memoryKib: 8, passes: 1, lanes: 16 }],
  ['hours of work', { memoryKib: 1 << 20, passes: 64, lanes: 1 }],
])('a passphrase slot that asks for %s is refused', async (_what, cost) => {
  const disk = memoryDisk();
  const passphrase = keys.fromPassphrase('correct horse');
  await (await Verity.openOn(hostOn(disk), { masterKey: passphrase })).close();
  const keyring = readFile(disk, 'keyring');
  const view = new DataView(keyring.buffer);
  const slot = 52 + view.getUint32(44, true) + 4;
  const payload = view.getUint32(slot, true);
  const parameters = slot + 4 + 4 + 1 + 'passphrase'.length + 1;
  expect(view.getUint32(parameters, true)).toBe(64 << 10);
  view.setUint32(parameters, cost.memoryKib, true);
  view.setUint32(parameters + 4, cost.passes, true);
  view.setUint32(parameters + 8, cost.lanes, true);
  view.setUint32(slot + 4 + payload, crc32(keyring.subarray(slot, slot + 4 + payload)), true);
  const forged = diskWith(imageOf(disk), 'keyring', keyring);
  await expect(Verity.openOn(hostOn(forged), { masterKey: passphrase })).rejects.toThrow(
    VerityError,
  );
});

test('after the keyring could not be written, nothing is sealed under keys that only memory holds', async () => {
  const disk = memoryDisk();
  let full = false;
  const failing: Disk = Object.create(disk, {
    root: { value: disk.root },
    list: { value: (directory: string) => disk.list(directory) },
    exists: { value: (path: string) => disk.exists(path) },
    makeDirectory: { value: (path: string) => disk.makeDirectory(path) },
    rename: { value: (from: string, to: string) => disk.rename(from, to) },
    remove: { value: (path: string) => disk.remove(path) },
    flushDirectory: { value: (path: string) => disk.flushDirectory(path) },
    open: {
      value: (...[path, mode]: Parameters<Disk['open']>) => {
        if (full && path === 'keyring.tmp') throw new VerityError('DISK_FULL', 'full');
        return disk.open(path, mode);
      },
    },
  }) as Disk;
  const db = await Verity.openOn(hostOn(failing), { masterKey });
  const tenant = await db.createTenant('north');
  full = true;
  await expect(tenant.append('notes', [1])).rejects.toThrow(
    expect.objectContaining({ code: 'DISK_FULL' }),
  );
  await expect(db.addRecoveryCode()).rejects.toThrow(
    expect.objectContaining({ code: 'DISK_FULL' }),
  );
  full = false;
  await tenant.append('notes', [2]);
  const slots = db.status().keySlots.length;
  await db.close();
  const reopened = await Verity.openOn(hostOn(diskOf(imageOf(disk)), 2), { masterKey });
  const events = await collect(reopened.tenant('north').read('notes'));
  expect(events.map((event) => event.data)).toEqual([2]);
  expect([slots, reopened.status().keySlots.length]).toEqual([1, 1]);
  await reopened.close();
});

test('recovery codes end before the keyring has more slots than it may be read with', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn(hostOn(disk), { masterKey });
  for (let slot = 1; slot < 64; slot++) await db.addRecoveryCode();
  await expect(db.addRecoveryCode()).rejects.toThrow(
    expect.objectContaining({ code: 'COMMAND_TOO_LARGE' }),
  );
  await db.close();
  await (await Verity.openOn(hostOn(disk), { masterKey })).close();
});

test('a transaction whose statements exceed the limit of a command is refused, not written', async () => {
  const { disk, db, tenant } = await threeFrames();
  const names = Array.from({ length: 900 }, (_, index) => `code AS "${'n'.repeat(230)}${index}"`);
  const long = `UPDATE visits SET code = 'z' RETURNING ${names.join(', ')}`;
  const run = tenant.transaction(async (transaction) => {
    for (let count = 0; count < 300; count++) await transaction.execute(long);
  });
  await expect(run).rejects.toThrow(expect.objectContaining({ code: 'COMMAND_TOO_LARGE' }));
  await db.close();
  await (await Verity.openOn(hostOn(disk), { masterKey })).close();
});

describe('a log that ends before what was durable', () => {
  /** The files as they are, but for the log's first segment. */
  async function closed(): Promise<{
    image: DiskImage;
    segment: Uint8Array;
    frames: FramePlace[];
  }> {
    const { disk, db } = await threeFrames();
    await db.close();
    const segment = readFile(disk, firstSegment);
    return { image: imageOf(disk), segment, frames: framesOf(segment) };
  }

  async function refused(image: DiskImage, log: Uint8Array): Promise<Refusal> {
    const disk = diskWith(image, firstSegment, log);
    const report = await auditDatabase({ disk, root: masterKey });
    const reader = await answerTo(Verity.openOn(hostOn(disk), { masterKey, readOnly: true }));
    const owner = await answerTo(Verity.openOn(hostOn(disk), { masterKey }));
    expect(reader).toEqual(owner);
    expect(report.findings[0]).toMatchObject(owner);
    return owner;
  }

  interface Refusal {
    readonly code: string;
    readonly file: string;
    readonly offset: number;
  }

  async function answerTo(opening: Promise<Verity>): Promise<Refusal> {
    try {
      await (await opening).close();
    } catch (error) {
      const { code, file, offset } = error as CorruptionError;
      return { code, file, offset };
    }
    return { code: 'opened', file: '', offset: 0 };
  }

  test('is refused, cut between any two frames, down to its first 128 bytes', async () => {
    const { image, segment, frames } = await closed();
    for (const { offset } of frames) {
      expect(await refused(image, segment.subarray(0, offset))).toEqual({
        code: 'MISSING_DATA',
        file: firstSegment,
        offset,
      });
    }
  });

  test('is refused, zeros over any number of its last frames', async () => {
    const { image, segment, frames } = await closed();
    for (const { offset, length } of frames) {
      for (const from of [offset, offset + 100, offset + length - 1]) {
        const zeroed = segment.slice().fill(0, from);
        const { code, file } = await refused(image, zeroed);
        expect([code, file]).toEqual([
          from === offset ? 'MISSING_DATA' : 'CHECKSUM_MISMATCH',
          firstSegment,
        ]);
      }
    }
  });

  test('is refused, ending with the close frame of an earlier session', async () => {
    const { disk, db } = await threeFrames();
    await db.close();
    const earlier = readFile(disk, firstSegment);
    const again = await Verity.openOn(hostOn(disk, 2), { masterKey });
    await again.tenant('north').execute("UPDATE visits SET code = 'd'");
    await again.close();
    expect(await refused(imageOf(disk), earlier)).toMatchObject({ code: 'MISSING_DATA' });
  });

  test('is refused where other frames stand, made by a clone that went its own way', async () => {
    const { image } = await closed();
    const logs: Uint8Array[] = [];
    for (const code of ['x', 'y']) {
      const disk = diskOf(image);
      const db = await Verity.openOn(hostOn(disk, 50), { masterKey });
      await db.tenant('north').execute('UPDATE visits SET code = $1', [code]);
      await db.close();
      logs.push(readFile(disk, firstSegment));
      if (code === 'y') {
        expect(await refused(imageOf(disk), logs[0] as Uint8Array)).toMatchObject({
          code: 'CHAIN_BROKEN',
        });
      }
    }
  });

  test('while it is open is missed within the idle time, by a reader, too', async () => {
    const { disk, db } = await threeFrames();
    await pause(idleMs);
    const segment = readFile(disk, firstSegment);
    const last = framesOf(segment).at(-1) as FramePlace;
    expect(last.kind).toBe('mark');
    const image = imageOf(disk);
    await db.close();
    expect(await refused(image, segment.slice().fill(0, last.offset))).toMatchObject({
      code: 'MISSING_DATA',
      offset: last.offset,
    });
  });

  test('known limit: the whole directory as it was is a true, older database; only a position noted elsewhere tells', async () => {
    const { disk, db } = await threeFrames();
    await db.close();
    const before = imageOf(disk);
    const again = await Verity.openOn(hostOn(disk, 2), { masterKey });
    await again.tenant('north').execute("UPDATE visits SET code = 'd'");
    await again.close();
    const opened = await Verity.openOn(hostOn(diskOf(before)), { masterKey });
    expect((await opened.tenant('north').query('SELECT code FROM visits')).rows).toEqual([
      { code: 'c' },
    ]);
    expect((await opened.verify()).ok).toBe(true);
    await opened.close();
  });
});

test.each([
  ['revision', 4],
  ['algorithm', 6],
  ['compression', 7],
])('another %s in a frame, with its checksum, is damage and no newer format', async (_what, at) => {
  const { disk, db } = await threeFrames();
  await db.close();
  for (const place of framesOf(readFile(disk, firstSegment))) {
    const segment = readFile(disk, firstSegment);
    segment[place.offset + at] = 9;
    const view = new DataView(segment.buffer);
    view.setUint32(
      place.offset + 84,
      crc32(segment.subarray(place.offset, place.offset + 84)),
      true,
    );
    const image = diskWith(imageOf(disk), firstSegment, segment);
    const report = await auditDatabase({ disk: image, root: masterKey });
    expect(report.findings).toMatchObject([{ code: 'AUTHENTICATION_FAILED', file: firstSegment }]);
    await expect(Verity.openOn(hostOn(image), { masterKey })).rejects.toThrow(
      expect.objectContaining({ exitCode: 3 }),
    );
  }
});

test('two clones of a machine, with the same randomness even, seal other data under another nonce', async () => {
  const { disk, db } = await threeFrames();
  await db.close();
  const sealed = async (code: string): Promise<{ key: string; nonce: string }> => {
    const clone = diskOf(imageOf(disk));
    const opened = await Verity.openOn(hostOn(clone, 99), { masterKey });
    await opened.tenant('north').execute('UPDATE visits SET code = $1', [code]);
    await opened.close();
    const segment = readFile(clone, firstSegment);
    const { offset } = framesOf(segment).at(-2) ?? { offset: 0 };
    const view = new DataView(segment.buffer);
    const section =
      offset + 88 + view.getUint32(offset + 12, true) + view.getUint32(offset + 136, true) * 34;
    const hex = (start: number, end: number): string =>
      Buffer.from(segment.subarray(section + start, section + end)).toString('hex');
    return { key: hex(8, 40), nonce: hex(40, 52) };
  };
  const one = await sealed('x');
  const other = await sealed('y');
  expect(one.key).toBe(other.key);
  expect(one.nonce).not.toBe(other.nonce);
});
