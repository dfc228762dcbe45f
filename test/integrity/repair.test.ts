/** Damage of every kind, and what an operator can do about each: frames from another copy, or a cut that is recorded. */
import { beforeAll, describe, expect, test } from 'vitest';
import { type Disk, type TenantId, VerityError } from '../../src/base/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import { type RepairOptions, type RepairReport, Verity } from '../../src/database/index.ts';
import { type Engine, openEngine } from '../../src/engine/index.ts';
import { differing, type DiskImage, diskOf, imageOf, readFile, withFlip } from './disk-image.ts';
import { type FramePlace, framesOf, reseal } from './forge.ts';
import { hostOn, idleMs, pause, sampleDatabase, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const sizes = { segmentBytes: 4_096, fillBytesMin: 4_096, fillBytesMax: 4_096 };

let whole: DiskImage;
let segments: string[];
/** The same database some commands earlier. */
let older: DiskImage;

beforeAll(async () => {
  const { db, disk } = await sampleDatabase(60, sizes);
  await db.close();
  older = imageOf(disk);
  const again = await Verity.openOn({ ...hostOn(disk, 2), logSizes: sizes }, { masterKey });
  for (let id = 100; id < 112; id++) {
    await again
      .tenant('north')
      .execute(`INSERT INTO visits VALUES (${id}, '${'x'.repeat(400)}${id}', 1)`);
  }
  await pause(idleMs);
  await again.close();
  whole = imageOf(disk);
  segments = [...whole.keys()].filter((path) => path.endsWith('.vlog')).toSorted();
  expect(segments.length).toBeGreaterThan(4);
});

function without(image: DiskImage, ...paths: string[]): Map<string, Uint8Array> {
  return new Map([...image].filter(([path]) => !paths.includes(path)));
}

function withBytes(image: DiskImage, path: string, bytes: Uint8Array): Map<string, Uint8Array> {
  return new Map(image).set(path, bytes);
}

const bytesOf = (image: DiskImage, path: string): Uint8Array => image.get(path) as Uint8Array;

async function repair(
  disk: Disk,
  options: Omit<RepairOptions, 'from'> & { readonly copy?: DiskImage },
): Promise<RepairReport> {
  const { copy, ...rest } = options;
  const from = copy === undefined ? undefined : hostOn(diskOf(copy));
  return repairOn({ ...hostOn(disk, 3), logSizes: sizes }, from, {
    masterKey,
    ...rest,
    ...(copy !== undefined && { from: 'copy' }),
  });
}

async function refusal(action: Promise<unknown>): Promise<unknown> {
  return action.then(
    () => 'done',
    (error: { code?: string }) => error.code ?? error,
  );
}

/** The object, with these methods in the place of its own. */
function withMethods<T extends object>(object: T, methods: Partial<T>): T {
  return new Proxy(object, {
    get: (target, name) => {
      const value: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof value === 'function' && !(name in methods) ? value.bind(target) : value;
    },
  });
}

/** The disk, but that no file gets shorter; `onRefused` is told of each that should. */
function withoutTruncate(disk: Disk, onRefused: () => void): Disk {
  const truncate = (): void => {
    onRefused();
    throw new VerityError('IO_ERROR', 'no file gets shorter');
  };
  return withMethods(disk, {
    open: (path, mode) => withMethods(disk.open(path, mode), { truncate }),
  });
}

const middle = (): string => segments[Math.floor(segments.length / 2)] as string;

describe('from another copy', () => {
  const cases: [string, () => DiskImage][] = [
    ['a changed byte in a frame', () => withFlip(whole, middle(), 900, 4)],
    ['a changed byte in a segment header', () => withFlip(whole, middle(), 30, 4)],
    [
      'a changed byte in the last frame',
      () => {
        const path = segments.at(-1) as string;
        return withFlip(whole, path, bytesOf(whole, path).length - 60, 4);
      },
    ],
    ['a missing segment', () => without(whole, middle())],
    ['the last segment missing', () => without(whole, segments.at(-1) as string)],
    ['the first segment missing', () => without(whole, segments[0] as string)],
    [
      'a hole in a segment',
      () => {
        const bytes = bytesOf(whole, middle()).slice().fill(0, 600, 1_800);
        return withBytes(whole, middle(), bytes);
      },
    ],
    [
      'a segment cut short',
      () => withBytes(whole, middle(), bytesOf(whole, middle()).slice(0, 2_000)),
    ],
    [
      'another segment in its place',
      () => withBytes(whole, middle(), bytesOf(whole, segments[0] as string)),
    ],
    ['a changed byte in the keyring', () => withFlip(whole, 'keyring', 200, 1)],
    ['no keyring', () => without(whole, 'keyring')],
    ['no verity.json', () => without(whole, 'verity.json')],
    ['a changed byte in verity.json', () => withFlip(whole, 'verity.json', 40, 1)],
    ['neither keyring nor verity.json', () => without(whole, 'keyring', 'verity.json')],
    ['no anchor', () => without(whole, 'anchor')],
    [
      'both slots of the anchor changed',
      () => withFlip(withFlip(whole, 'anchor', 60, 1), 'anchor', 600, 1),
    ],
    [
      'the older log put back',
      () =>
        new Map(
          [...whole]
            .map(([path, bytes]) => [
              path,
              path.startsWith('log/') ? (older.get(path) ?? new Uint8Array()) : bytes,
            ])
            .filter(
              ([path]) => !(path as string).startsWith('log/') || older.has(path as string),
            ) as [string, Uint8Array][],
        ),
    ],
  ];

  test.each(cases)('%s is made good, and is kept', async (_what, damage) => {
    const damaged = damage();
    const disk = diskOf(damaged);
    expect(await refusal(Verity.openOn(hostOn(diskOf(damaged)), { masterKey }))).not.toBe('done');
    const dry = await repair(disk, { copy: whole, dryRun: true });
    expect(differing(imageOf(disk), damaged)).toEqual([]);
    expect(dry).toMatchObject({ dryRun: true, ok: true });
    const report = await repair(disk, { copy: whole });
    expect(report.verification?.findings).toEqual([]);
    expect(report).toMatchObject({ ok: true, dryRun: false, cut: undefined, copyGoesOn: false });
    expect(report.restored.length + report.replaced.length).toBeGreaterThan(0);
    // Byte for byte; keys that were restored may carry another instance id.
    const differ = differing(imageOf(disk), whole);
    expect(differ.filter((path) => !['anchor', 'keyring', 'verity.json'].includes(path))).toEqual(
      [],
    );
    if (!report.restored.includes('verity.json')) expect(differ).not.toContain('keyring');
    const db = await Verity.openOn(hostOn(disk, 4), { masterKey });
    const { rows } = await db.tenant('north').query('SELECT count(*) AS n FROM visits');
    expect(rows).toEqual([{ n: 42n }]);
    await db.close();
  });

  test('nothing is done to a database that is whole', async () => {
    const disk = diskOf(whole);
    expect(await repair(disk, { copy: whole })).toMatchObject({
      ok: true,
      restored: [],
      replaced: [],
      removed: [],
      kept: undefined,
    });
    expect(differing(imageOf(disk), whole)).toEqual([]);
  });

  test('what was replaced is kept byte for byte, and told with its place', async () => {
    const path = middle();
    const hurt = framesOf(bytesOf(whole, path))[1] as FramePlace;
    const damaged = withFlip(whole, path, hurt.offset + 200, 8);
    const disk = diskOf(damaged);
    const report = await repair(disk, { copy: whole });
    expect(report.replaced).toEqual([
      {
        file: path,
        offset: hurt.offset,
        lengthBytes: hurt.length,
        firstOp: hurt.op,
        lastOp: hurt.op,
      },
    ]);
    expect(report.kept).toBe('damaged/1');
    expect(readFile(disk, `damaged/1/${path}`)).toEqual(bytesOf(damaged, path));
  });

  test('a last frame that the anchor does not name yet is asked for, too, not dropped', async () => {
    const disk = diskOf(whole);
    const db = await Verity.openOn({ ...hostOn(disk, 6), logSizes: sizes }, { masterKey });
    await db.tenant('north').execute("INSERT INTO visits VALUES (777, 'seven', 7)");
    const crashed = imageOf(disk);
    await db.close();
    const path = [...crashed.keys()].filter((name) => name.startsWith('log/')).at(-1) as string;
    const last = framesOf(bytesOf(crashed, path)).at(-1) as FramePlace;
    expect(last.kind).toBe('data');
    const damaged = diskOf(withFlip(crashed, path, last.offset + 150, 2));
    const report = await repair(damaged, { copy: crashed });
    expect(report).toMatchObject({ ok: true, replaced: [{ firstOp: last.op, lastOp: last.op }] });
    const opened = await Verity.openOn(hostOn(damaged, 7), { masterKey });
    const { rows } = await opened.tenant('north').query('SELECT code FROM visits WHERE id = 777');
    expect(rows).toEqual([{ code: 'seven' }]);
    await opened.close();
    // Where the copy lacks it, too, nothing is done.
    const other = diskOf(withFlip(crashed, path, last.offset + 150, 2));
    expect(await refusal(repair(other, { copy: whole }))).toBe('MISSING_DATA');
  });

  test('a finished segment with zeros behind its last frame, as the log records it, is put together with them', async () => {
    const disk = diskOf(older);
    // Cutting the zeros off the finished segment fails; the process ends, and the next one records the file as it is.
    let refused = 0;
    const failing = withoutTruncate(disk, () => (refused += 1));
    const db = await Verity.openOn({ ...hostOn(failing, 6), logSizes: sizes }, { masterKey });
    const north = db.tenant('north');
    for (let id = 200; refused === 0; id++)
      await north.execute(`INSERT INTO visits VALUES (${id}, '${'y'.repeat(300)}${id}', 1)`).then(
        () => undefined,
        () => undefined,
      );
    await db.close();
    const again = await Verity.openOn({ ...hostOn(disk, 7), logSizes: sizes }, { masterKey });
    await pause(idleMs);
    await again.tenant('north').execute("INSERT INTO visits VALUES (300, 'after', 1)");
    await pause(idleMs);
    await again.close();
    const image = imageOf(disk);
    const path = [...image.keys()].filter((name) => name.endsWith('.vlog')).at(-2) as string;
    const frames = framesOf(bytesOf(image, path));
    const { offset } = frames[1] as FramePlace;
    expect(bytesOf(image, path).at(-1)).toBe(0);
    const damaged = diskOf(withFlip(image, path, offset + 150, 4));
    expect(await repair(damaged, { copy: image })).toMatchObject({ ok: true });
    expect(imageOf(damaged).get(path)).toEqual(bytesOf(image, path));
  });

  test('keys of data subjects are taken from a copy, and none that was destroyed since', async () => {
    const disk = diskOf(whole);
    const withEngine = async (act: (engine: Engine) => Promise<unknown>): Promise<DiskImage> => {
      const host = { ...hostOn(disk, 11), logSizes: sizes };
      const engine = await openEngine(host, { provider: masterKey, mode: 'owner', create: false });
      await act(engine);
      await engine.close();
      return imageOf(disk);
    };
    const tenant = 1 as TenantId;
    const created = await withEngine((engine) => engine.subjects.create(tenant, 3));
    const erased = await withEngine((engine) => engine.subjects.erase(tenant, [1]));
    const path = [...erased.keys()].find((name) => name.startsWith('subjects/')) as string;
    for (const damage of [withFlip(erased, path, 5_000, 2), without(erased, path)]) {
      const target = diskOf(damage);
      expect(await repair(target, { copy: erased })).toMatchObject({ ok: true, restored: [path] });
      expect(differing(imageOf(target), erased)).toEqual([]);
      const other = diskOf(damage);
      expect(await refusal(repair(other, { copy: created }))).not.toBe('done');
      expect(differing(imageOf(other), damage)).toEqual([]);
    }
  });

  test('two copies with damage in different frames make one good log', async () => {
    const frames = framesOf(bytesOf(whole, middle()));
    const [first, second] = [frames[0], frames[2]] as [FramePlace, FramePlace];
    const disk = diskOf(withFlip(whole, middle(), first.offset + 150, 2));
    const copy = withFlip(whole, middle(), second.offset + 150, 2);
    expect((await repair(disk, { copy })).ok).toBe(true);
    expect(differing(imageOf(disk), whole)).toEqual([]);
  });

  test('a copy with the same frame damaged does not help, and nothing is changed', async () => {
    const hurt = framesOf(bytesOf(whole, middle()))[1] as FramePlace;
    const damaged = withFlip(whole, middle(), hurt.offset + 150, 2);
    const disk = diskOf(damaged);
    const copy = withFlip(whole, middle(), hurt.offset + 170, 2);
    await expect(repair(disk, { copy })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      file: middle(),
      offset: hurt.offset,
    });
    expect(differing(imageOf(disk), damaged)).toEqual([]);
  });

  test('a frame of the copy whose sealed bytes somebody changed, digests and all, is not taken', async () => {
    const hurt = framesOf(bytesOf(whole, middle()))[1] as FramePlace;
    const forged = bytesOf(whole, middle()).slice();
    // The last byte of the last section: behind it lie two digests, padding and the trailer.
    const at = hurt.offset + hurt.length - 64 - 8 - 20;
    forged[at] = (forged[at] as number) ^ 1;
    reseal(forged, hurt);
    expect(framesOf(forged)).toEqual(framesOf(bytesOf(whole, middle())));
    const damaged = withFlip(whole, middle(), hurt.offset + 150, 2);
    const disk = diskOf(damaged);
    await expect(repair(disk, { copy: withBytes(whole, middle(), forged) })).rejects.toMatchObject({
      code: 'MISSING_DATA',
      offset: hurt.offset,
    });
    expect(differing(imageOf(disk), damaged)).toEqual([]);
  });

  test('a frame of a copy that went its own way is not taken', async () => {
    const forked = diskOf(older);
    const db = await Verity.openOn({ ...hostOn(forked, 9), logSizes: sizes }, { masterKey });
    for (let id = 200; id < 212; id++) {
      await db
        .tenant('north')
        .execute(`INSERT INTO visits VALUES (${id}, '${'y'.repeat(400)}${id}', 1)`);
    }
    await db.close();
    const path = segments.at(-2) as string;
    const damaged = withFlip(whole, path, 400, 2);
    const disk = diskOf(damaged);
    const answer = await refusal(repair(disk, { copy: imageOf(forked) }));
    expect(['MISSING_DATA', 'CHAIN_BROKEN']).toContain(answer);
    expect(differing(imageOf(disk), damaged)).toEqual([]);
  });

  test('a copy of another database is not taken', async () => {
    const copy = await otherDatabase();
    const cases = [withFlip(whole, middle(), 900, 4), without(whole, 'keyring')];
    for (const [number, damaged] of cases.entries()) {
      const disk = diskOf(damaged);
      const code = ['MISSING_DATA', 'FOREIGN_FILE'][number];
      expect(await refusal(repair(disk, { copy }))).toBe(code);
      expect(differing(imageOf(disk), damaged)).toEqual([]);
    }
  });

  test('an older keyring put back is found, and the copy has the newer one', async () => {
    const disk = diskOf(whole);
    const db = await Verity.openOn(hostOn(disk, 5), { masterKey });
    await db.addRecoveryCode();
    await db.close();
    const newer = imageOf(disk);
    const rolledBack = withBytes(newer, 'keyring', bytesOf(whole, 'keyring'));
    expect(await refusal(Verity.openOn(hostOn(diskOf(rolledBack)), { masterKey }))).toBe(
      'KEYRING_ROLLED_BACK',
    );
    const target = diskOf(rolledBack);
    expect(await repair(target, { copy: newer })).toMatchObject({
      ok: true,
      restored: ['keyring'],
    });
    expect(await refusal(repair(diskOf(without(newer, 'keyring')), { copy: whole }))).toBe(
      'KEYRING_ROLLED_BACK',
    );
  });

  test('frames behind the own end are taken only when asked for', async () => {
    const disk = diskOf(older);
    const plain = await repair(disk, { copy: whole });
    expect(plain).toMatchObject({ ok: true, replaced: [], copyGoesOn: true });
    const extended = await repair(disk, { copy: whole, extend: true });
    expect(extended.ok).toBe(true);
    expect(extended.replaced.length).toBeGreaterThan(1);
    const logOf = (image: DiskImage): DiskImage =>
      new Map([...image].filter(([path]) => path.startsWith('log/')));
    expect(differing(logOf(imageOf(disk)), logOf(whole))).toEqual([]);
  });

  test('without a way the store alone is made again; a dry run only verifies', async () => {
    const disk = diskOf(whole);
    expect(await repair(disk, { dryRun: true })).toMatchObject({ ok: true, storeRebuilt: false });
    expect(disk.list('store')).toBeUndefined();
    const report = await repair(disk, {});
    expect(report).toMatchObject({ ok: true, storeRebuilt: true, restored: [], replaced: [] });
    expect(report.verification?.storeCompared).toBeGreaterThan(0n);
    expect(disk.list('store')).toEqual(['pages', 'superblock']);
  });

  test('the options must say one way', async () => {
    const disk = diskOf(whole);
    await expect(repair(disk, { cutTail: true, copy: whole })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(repair(disk, { extend: true })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    await expect(repair(disk, { cutTail: true, extend: true })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

async function otherDatabase(): Promise<DiskImage> {
  const disk = diskOf(new Map());
  const db = await Verity.openOn({ ...hostOn(disk, 77), logSizes: sizes }, { masterKey });
  const tenant = await db.createTenant('north');
  await tenant.append('notes', [{ text: 'z'.repeat(6_000) }]);
  await db.close();
  return imageOf(disk);
}

describe('a cut', () => {
  test('takes away the first bad frame and all behind it, and the log says so for ever', async () => {
    const path = middle();
    const hurt = framesOf(bytesOf(whole, path))[1] as FramePlace;
    const damaged = withFlip(whole, path, hurt.offset + 150, 2);
    const disk = diskOf(damaged);
    const last = framesOf(bytesOf(whole, segments.at(-1) as string)).at(-1) as FramePlace;
    const cut = { file: path, offset: hurt.offset, firstOp: hurt.op, lastOp: last.op };
    const dry = await repair(disk, { cutTail: true, dryRun: true });
    expect(dry.cut).toMatchObject(cut);
    expect(differing(imageOf(disk), damaged)).toEqual([]);
    const report = await repair(disk, { cutTail: true, actor: 'ann', reason: 'no copy left' });
    expect(report).toMatchObject({ ok: true, cut, kept: 'damaged/1' });
    const record = { ...report.cut, actor: 'ann', reason: 'no copy left', time: expect.any(Date) };
    expect(report.verification?.cuts).toEqual([record]);
    for (const later of segments.slice(segments.indexOf(path)))
      expect(readFile(disk, `damaged/1/${later}`)).toEqual(bytesOf(damaged, later));
    const db = await Verity.openOn(hostOn(disk, 4), { masterKey });
    expect((await db.verify()).cuts).toEqual([record]);
    await db.close();
    // Later repairs do not forget it.
    expect(await repair(disk, { cutTail: true })).toMatchObject({
      cut: undefined,
      kept: undefined,
    });
  });

  test('accepts that the log ends before its anchor, and records what is gone', async () => {
    const path = segments.at(-1) as string;
    const frames = framesOf(bytesOf(whole, path));
    const gone = frames.at(-2) as FramePlace;
    const disk = diskOf(withBytes(whole, path, bytesOf(whole, path).slice(0, gone.offset)));
    expect(await refusal(Verity.openOn(hostOn(diskOf(imageOf(disk))), { masterKey }))).toBe(
      'MISSING_DATA',
    );
    const report = await repair(disk, { cutTail: true });
    expect(report).toMatchObject({
      ok: true,
      cut: {
        file: path,
        offset: gone.offset,
        lengthBytes: 0,
        firstOp: gone.op,
        lastOp: gone.op + 1,
      },
    });
  });

  test('makes a new anchor where that is lost, and records it', async () => {
    const disk = diskOf(without(whole, 'anchor'));
    const report = await repair(disk, { cutTail: true });
    expect(report).toMatchObject({ ok: true, restored: ['anchor'], cut: { lengthBytes: 0 } });
    expect(report.verification?.cuts).toHaveLength(1);
  });

  test('of a missing segment leaves an empty one to go on in', async () => {
    const disk = diskOf(without(whole, middle()));
    expect(await repair(disk, { cutTail: true })).toMatchObject({
      ok: true,
      cut: { file: middle(), offset: 0 },
    });
  });

  test('is not made while keys are damaged', async () => {
    const damaged = without(whole, 'keyring');
    const disk = diskOf(damaged);
    expect(await refusal(repair(disk, { cutTail: true }))).toBe('MISSING_DATA');
    expect(differing(imageOf(disk), damaged)).toEqual([]);
  });
});
