/** What an audit finds, names and keeps: of whole databases on disks in memory. */
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  AuditBench,
  type Audit,
  auditDatabase,
  type AuditJob,
  type AuditResult,
  type AuditSettings,
  type AuditWorkers,
} from '../../src/audit/index.ts';
import { type Disk, firstNonZero, objectOfTree, Prng } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { firstUserObject, Overlay } from '../../src/kernel/index.ts';
import { decodeFrameHeader, segmentHeaderBytes } from '../../src/log/index.ts';
import { type StoreChange, TreeStore } from '../../src/store/index.ts';
import { diskOf, type DiskImage, imageOf, withFlip } from './disk-image.ts';
import { fillSample, hostOn, TestKey } from './sample-database.ts';
import { memoryDisk } from '../../src/host/index.ts';

afterEach(() => vi.restoreAllMocks());

const logSizes = { segmentBytes: 6_000, fillBytesMin: 4_096, fillBytesMax: 4_096 };
const checkpoints = { logBytesMin: 0, logBytesMax: 1 << 30, milliseconds: 1e9, pagesPerTurn: 8 };

interface Written {
  readonly image: DiskImage;
  /** A note that was signed when about half was written. */
  readonly note: string;
}

/** A closed database of two tenants with a store, several segments, and two signed checkpoints. */
async function written(seed = 1): Promise<Written> {
  const disk = memoryDisk();
  const db = await Verity.openOn(
    { ...hostOn(disk, seed), logSizes, checkpoints },
    { masterKey: new TestKey() },
  );
  await fillSample(db, 200);
  await db.tenant('north').createEnvelopeKey();
  const { note } = await db.proofs.checkpoint();
  await db.tenant('north').execute('CREATE INDEX visits_cost ON visits (cost)');
  await db.tenant('north').execute("UPDATE visits SET code = 'e' || id WHERE id > 90");
  await db.tenant('south').execute('DELETE FROM visits WHERE id > 95');
  await db.proofs.checkpoint();
  await db.close();
  return { image: imageOf(disk), note };
}

function auditOf(disk: Disk, settings: Partial<AuditSettings> = {}): Promise<Audit> {
  return auditDatabase({ disk, entropy: new Prng(5), root: new TestKey(), ...settings });
}

/** Where the frames of a segment begin and end, by the headers of the good image. */
function framesIn(
  bytes: Uint8Array,
): { start: number; end: number; first: number; last: number }[] {
  const frames = [];
  for (let start = segmentHeaderBytes; start < bytes.length;) {
    const header = decodeFrameHeader(bytes, start);
    if (typeof header === 'string') break;
    const { firstPosition: first, lastPosition: last, frameLength } = header;
    frames.push({ start, end: start + frameLength, first, last });
    start += frameLength;
  }
  return frames;
}

const good = await written();
const names = [...good.image.keys()];

test('a database that is as it was written: what an audit tells of it', async () => {
  const audit = await auditOf(diskOf(good.image));
  expect(audit.findings).toEqual([]);
  expect(audit).toMatchObject({ ok: true, opened: true, segmentsResumed: 0 });
  expect(audit.eventsOpened).toBe(audit.events);
  expect(audit.storeCompared).toBeGreaterThan(0);
  // Rows, index entries and what the kernel keeps: more than there are events of rows.
  expect(audit.versionsCompared).toBeGreaterThan(audit.events);
  expect(audit.proofs).toMatchObject({ treeSize: audit.events, checkpoints: 2, unchecked: 0 });
  const keyless = await auditOf(diskOf(good.image), { root: 'none' });
  expect(keyless).toMatchObject({ ok: true, opened: false, eventsOpened: 0, proofs: audit.proofs });
});

test('the state hash of a checkpoint, and that of the store, are each of their own position', async () => {
  const disk = diskOf(good.image);
  const db = await Verity.openOn(
    { ...hostOn(disk, 4), logSizes, checkpoints },
    { masterKey: new TestKey() },
  );
  await db.tenant('north').execute("UPDATE visits SET code = 'f' || id WHERE id > 80");
  await db.close();
  const before = await auditOf(diskOf(good.image));
  const lines: string[] = [];
  const append = (line: string): void => void lines.push(line);
  const audit = await auditOf(disk, { notebook: { lines: [], append } });
  expect(audit.findings).toEqual([]);
  expect(audit.storeCompared).toBeGreaterThan(before.storeCompared ?? 0);
  const again = await auditOf(disk, { notebook: { lines, append } });
  expect(again).toMatchObject({ findings: [], eventsOpened: 0 });
});

test('a changed byte of a tile of the tree, and of what is kept of the tree, is found where it is', async () => {
  const disk = memoryDisk();
  const db = await Verity.openOn({ ...hostOn(disk, 6), logSizes }, { masterKey: new TestKey() });
  await fillSample(db, 600);
  await db.proofs.checkpoint();
  await db.close();
  const image = imageOf(disk);
  expect((await auditOf(diskOf(image), { root: 'none' })).findings).toEqual([]);
  for (const [file, offset, code] of [
    ['proofs/tile-0', 0, 'STATE_MISMATCH'],
    ['proofs/tile-0', 8_191, 'STATE_MISMATCH'],
    ['proofs/tile-0', 9_000, 'STATE_MISMATCH'],
    ['proofs/tree', 0, 'CHECKSUM_MISMATCH'],
  ] as const) {
    const { findings } = await auditOf(diskOf(withFlip(image, file, offset, 8)), { root: 'none' });
    expect(findings, `${file} at ${offset}`).toMatchObject([{ code, file, offset }]);
  }
});

test('a damaged page of subject keys names whose keys they are', async () => {
  const [path = ''] = names.filter((name) => name.startsWith('subjects/'));
  const { findings } = await auditOf(diskOf(withFlip(good.image, path, 5_000, 1)));
  expect(findings).toMatchObject([
    { code: 'CHECKSUM_MISMATCH', file: path, affected: { tenants: ['north'], tables: [] } },
  ]);
});

describe('a changed byte of any file', () => {
  const chances = new Prng(77);
  const flips = names.flatMap((path) => {
    const bytes = good.image.get(path) as Uint8Array;
    const count = path.startsWith('store/pages') ? 0 : 6;
    return Array.from({ length: count }, () => ({ path, offset: chances.below(bytes.length) }));
  });

  test('is found with the key, in the file that it is in', async () => {
    for (const { path, offset } of flips) {
      const audit = await auditOf(diskOf(withFlip(good.image, path, offset, 1 << (offset % 8))));
      const where = `${path} at ${offset}`;
      expect(audit.ok, where).toBe(false);
      expect(
        audit.findings.map(({ file }) => file),
        where,
      ).toContain(path);
    }
  });

  test('is found without a key, but for what is sealed', async () => {
    for (const { path, offset } of flips) {
      const disk = diskOf(withFlip(good.image, path, offset, 1 << (offset % 8)));
      const audit = await auditOf(disk, { root: 'none' });
      expect(
        audit.findings.map(({ file }) => file),
        `${path} at ${offset}`,
      ).toContain(path);
    }
  });

  test('of a page in use is found', async () => {
    const pages = good.image.get('store/pages') as Uint8Array;
    let found = 0;
    for (let page = 1; page * 4_096 < pages.length; page++) {
      const audit = await auditOf(
        diskOf(withFlip(good.image, 'store/pages', page * 4_096 + 99, 4)),
      );
      if (audit.ok) continue;
      found += 1;
      expect(audit.findings[0]).toMatchObject({ file: 'store/pages', offset: page * 4_096 });
    }
    // The rest are free.
    expect(found).toBeGreaterThan(3);
  });
});

describe('what a damage affects', () => {
  const logs = names.filter((path) => path.startsWith('log/'));

  test('is named to the row: frames, positions, tenants, tables, keys', async () => {
    const [path = ''] = logs.slice(1);
    const frames = framesIn(good.image.get(path) as Uint8Array).filter(
      ({ first, last }) => last >= first,
    );
    let rows = 0;
    for (const { start, end, first, last } of frames) {
      const audit = await auditOf(diskOf(withFlip(good.image, path, end - 60, 1)));
      const [finding] = audit.findings;
      expect(finding).toMatchObject({ file: path });
      expect(finding?.offset).toBeGreaterThanOrEqual(start);
      expect(finding?.offset).toBeLessThan(end);
      expect(finding?.affected?.positions).toEqual({ first, last });
      for (const { tenant, table, rows: keys } of finding?.affected?.tables ?? []) {
        expect(['north', 'south']).toContain(tenant);
        expect(table).toBe('visits');
        for (const { key, position } of keys) {
          rows += 1;
          expect(Number(key)).toBeGreaterThan(0);
          expect(position).toBeGreaterThanOrEqual(first);
          expect(position).toBeLessThanOrEqual(last);
        }
      }
    }
    expect(rows).toBeGreaterThan(20);
  });

  test('without a key: positions, and tenants by number', async () => {
    const [path = ''] = logs.slice(1);
    const [frame] = framesIn(good.image.get(path) as Uint8Array);
    const disk = diskOf(withFlip(good.image, path, (frame?.end ?? 0) - 60, 1));
    const { findings } = await auditOf(disk, { root: 'none' });
    expect(findings[0]?.affected?.tenants.every((tenant) => typeof tenant === 'number')).toBe(true);
    expect(findings[0]?.affected?.tables).toEqual([]);
  });

  test('of several places each is told, and what lies between them is checked', async () => {
    const [first = '', second = ''] = logs.slice(1);
    const both = withFlip(withFlip(good.image, first, 400, 1), second, 400, 1);
    const { findings } = await auditOf(diskOf(both));
    expect(findings.map(({ file }) => file)).toEqual([first, second]);
  });

  test('of a segment that is gone: the frames that are missing', async () => {
    const image = new Map(good.image);
    const [path = ''] = logs.slice(2);
    const frames = framesIn(image.get(path) as Uint8Array);
    image.delete(path);
    const { findings } = await auditOf(diskOf(image));
    expect(findings[0]).toMatchObject({
      code: 'MISSING_DATA',
      affected: { frames: { last: expect.any(Number) } },
    });
    const { first = 0, last = 0 } = findings[0]?.affected?.frames ?? {};
    expect(last - first + 1).toBe(frames.length);
  });
});

test('a row of the store that is not the log’s is named, though every page is sealed as it should be', async () => {
  // oxlint-disable-next-line typescript/unbound-method -- called with the `this` of each call
  const apply = TreeStore.prototype.apply;
  vi.spyOn(TreeStore.prototype, 'apply').mockImplementation(function apply2(
    this: TreeStore,
    position,
    batch,
  ) {
    const lying = batch.map((change): StoreChange => {
      const text = change.row === undefined ? '' : Buffer.from(change.row).toString('latin1');
      if (!text.includes('c42') || text.includes('{')) return change;
      return { ...change, row: Uint8Array.from(Buffer.from(text.replace('c42', 'c43'), 'latin1')) };
    });
    apply.call(this, position, lying);
  });
  const { image } = await written();
  vi.restoreAllMocks();
  const audit = await auditOf(diskOf(image));
  expect(audit.versionsCompared).toBeUndefined();
  const finding = audit.findings.find(({ affected }) => affected !== undefined);
  expect(finding).toMatchObject({ code: 'STATE_MISMATCH', file: 'store/pages' });
  expect(finding?.affected?.tables).toContainEqual(
    expect.objectContaining({
      tenant: 'north',
      table: 'visits',
      rows: expect.arrayContaining([expect.objectContaining({ key: '42' })]),
    }),
  );
});

describe('an event of a row that names another one before it than there was', () => {
  /** A database whose operator leaves one change out of the row's history, or names an earlier one. */
  async function lying(how: 'left out' | 'an earlier one'): Promise<DiskImage> {
    // oxlint-disable-next-line typescript/unbound-method -- called with the `this` of each call
    const latest = Overlay.prototype.latest;
    const disk = diskOf(good.image);
    const db = await Verity.openOn(
      { ...hostOn(disk, 8), logSizes, checkpoints },
      { masterKey: new TestKey() },
    );
    const north = db.tenant('north');
    await north.execute('UPDATE visits SET cost = 1 WHERE id = 42');
    vi.spyOn(Overlay.prototype, 'latest').mockImplementation(function lies(
      this: Overlay,
      ...of: Parameters<typeof latest>
    ) {
      const found = latest.apply(this, of);
      if (found === undefined || objectOfTree(of[0]).object < firstUserObject) return found;
      return how === 'left out' ? undefined : Object.create(found, { leaf: { value: 1 } });
    });
    await north.execute('UPDATE visits SET cost = 2 WHERE id = 42');
    vi.restoreAllMocks();
    await north.execute('UPDATE visits SET cost = 3 WHERE id = 42');
    await db.close();
    return imageOf(disk);
  }

  for (const how of ['left out', 'an earlier one'] as const)
    test(`is found and named (${how}): held against the store, behind it, and without one`, async () => {
      const image = await lying(how);
      const isStore = (path: string): boolean => path.startsWith('store/');
      const without = new Map([...image].filter(([path]) => !isStore(path)));
      const behind = new Map([...without, ...[...good.image].filter(([path]) => isStore(path))]);
      for (const each of [image, behind, without]) {
        const { findings } = await auditOf(diskOf(each));
        expect(findings).toHaveLength(1);
        const [{ affected, ...finding }] = findings as [(typeof findings)[number]];
        expect(finding).toMatchObject({
          code: 'STATE_MISMATCH',
          file: expect.stringMatching(/^log\//),
          message: expect.stringContaining('does not name the event of that row before it'),
        });
        expect(affected).toMatchObject({
          tenants: ['north'],
          tables: [{ tenant: 'north', table: 'visits', versions: 1, rows: [{ key: '42' }] }],
        });
      }
    });
});

/** Several at a time, whose pieces end in another order than they were given out in. */
function interleaved(disk: Disk): NonNullable<AuditSettings['workers']> {
  return (hierarchy) => {
    const logId = hierarchy?.keyring.logId;
    if (hierarchy === undefined || logId === undefined) throw new Error('with the key');
    const benches = [1, 2, 3].map(() => new AuditBench({ disk, logId, hierarchy }));
    const free = [...benches];
    let turn = 0;
    return {
      count: benches.length,
      run: async <Job extends AuditJob>(job: Job): Promise<AuditResult<Job>> => {
        const bench = free.pop();
        if (bench === undefined) throw new Error('more pieces at a time than workers');
        for (let waits = ++turn % 4; waits > 0; waits--) await Promise.resolve();
        const steps = bench.steps(structuredClone(job));
        for (;;) {
          const step = steps.next();
          if (step.done === true) {
            free.push(bench);
            return structuredClone(step.value);
          }
          await Promise.resolve();
        }
      },
      close: async () => {
        for (const bench of benches) bench.close();
      },
    };
  };
}

test('with several workers the report is the same', async () => {
  const [path = ''] = names.filter((name) => name.startsWith('log/')).slice(1);
  const damaged = withFlip(good.image, path, 700, 2);
  for (const image of [good.image, damaged]) {
    const disk = diskOf(image);
    const alone = await auditOf(disk);
    expect(await auditOf(disk, { workers: interleaved(disk) })).toEqual(alone);
  }
});

describe('an audit that was interrupted', () => {
  /** Does so many pieces, and then fails as a process that is killed. */
  function failing(disk: Disk, pieces: number): NonNullable<AuditSettings['workers']> {
    const start = interleaved(disk);
    return (hierarchy) => {
      const workers: AuditWorkers = start(hierarchy);
      let left = pieces;
      return {
        ...workers,
        count: 1,
        run: (job) => {
          if (left-- === 0) throw new Error('killed');
          return workers.run(job);
        },
      };
    };
  }

  async function interruptedAfter(disk: Disk, pieces: number): Promise<string[]> {
    const lines: string[] = [];
    const notebook = { lines: [], append: (line: string) => lines.push(line) };
    const workers = failing(disk, pieces);
    await expect(auditOf(disk, { workers, notebook })).rejects.toThrow('killed');
    expect(lines).toHaveLength(pieces);
    return lines;
  }

  test('goes on behind what it had opened, and tells the same', async () => {
    const disk = diskOf(good.image);
    const lines = await interruptedAfter(disk, 3);
    const { segmentsResumed, eventsOpened, ...rest } = await auditOf(disk, {
      notebook: { lines, append: () => undefined },
    });
    const { segmentsResumed: none, eventsOpened: all, ...fresh } = await auditOf(disk);
    expect([segmentsResumed, none]).toEqual([3, 0]);
    expect(eventsOpened).toBeLessThan(all);
    expect(rest).toEqual(fresh);
  });

  test('reads a file again that has changed since, and believes no line that it did not write', async () => {
    const lines = await interruptedAfter(diskOf(good.image), 3);
    const [path = ''] = names.filter((name) => name.startsWith('log/'));
    const disk = diskOf(withFlip(good.image, path, 500, 1));
    const audit = await auditOf(disk, { notebook: { lines, append: () => undefined } });
    expect(audit).toMatchObject({ ok: false, segmentsResumed: 2, findings: [{ file: path }] });
    const forged = lines.map((line) => line.replace('"generation":', '"generation": '));
    const torn = [...forged, lines[0]?.slice(0, 70) ?? '', 'nonsense'];
    const again = await auditOf(diskOf(good.image), {
      notebook: { lines: torn, append: () => undefined },
    });
    expect(again).toMatchObject({ ok: true, segmentsResumed: 0 });
  });
});

describe('since a signed checkpoint', () => {
  test('proves that the log goes on from it, and opens only what came after', async () => {
    const all = await auditOf(diskOf(good.image));
    const audit = await auditOf(diskOf(good.image), { since: good.note });
    expect(audit).toMatchObject({ ok: true, since: expect.any(Number) });
    expect(audit.since).toBeLessThan(audit.events);
    expect(audit.eventsOpened).toBeLessThan(all.eventsOpened / 2);
    expect(audit.versionsCompared).toBeLessThan(all.versionsCompared ?? 0);
  });

  test('a checkpoint of another log is told so', async () => {
    const other = await written(2);
    const { findings, since } = await auditOf(diskOf(good.image), { since: other.note });
    expect(since).toBeUndefined();
    expect(findings[0]).toMatchObject({ code: 'SIGNATURE_INVALID' });
  });

  test('a log that was put back behind it is told so, and one with another past', async () => {
    const disk = diskOf(good.image);
    const db = await Verity.openOn({ ...hostOn(disk, 3), logSizes }, { masterKey: new TestKey() });
    await db.tenant('north').execute('DELETE FROM visits WHERE id = 7');
    const { note } = await db.proofs.checkpoint();
    await db.close();
    expect(await auditOf(disk, { since: note })).toMatchObject({ ok: true });
    const { findings } = await auditOf(diskOf(good.image), { since: note });
    expect(findings).toContainEqual(expect.objectContaining({ code: 'LOG_ROLLED_BACK' }));
  });
});

test('sizes and counts that are out of all measure end in findings', async () => {
  const [path = ''] = names.filter((name) => name.startsWith('log/'));
  const bytes = good.image.get(path) as Uint8Array;
  const from = firstNonZero(bytes, segmentHeaderBytes);
  for (const [at, value] of [
    [8, 0xffff_ffff],
    [12, 0xffff_fff0],
    [16, 0x7fff_ffff],
    [8, 0],
  ] as const) {
    const hostile = bytes.slice();
    new DataView(hostile.buffer).setUint32(from + at, value, true);
    const audit = await auditOf(diskOf(new Map([...good.image, [path, hostile]])));
    expect(audit).toMatchObject({ ok: false, findings: [{ file: path }] });
  }
  const huge = new Uint8Array(13);
  new DataView(huge.buffer).setUint32(0, 0x504b_4356, true);
  new DataView(huge.buffer).setUint32(4, 0xffff_ffff, true);
  const image = new Map([...good.image, ['proofs/checkpoints', huge]]);
  expect((await auditOf(diskOf(image))).ok).toBe(false);
});
