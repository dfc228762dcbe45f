/** Copies made while the database runs: whole, consistent, openable, and no more than what was durable. */
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditDatabase } from '../../src/audit/index.ts';
import type { TenantId } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { copyLog, loadKeys, openEngine } from '../../src/engine/index.ts';
import { memoryDisk, nodeDisk } from '../../src/host/index.ts';
import { differing, type DiskImage, diskOf, imageOf, withFlip } from './disk-image.ts';
import { fillSample, hostOn, pause, sampleDatabase, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const sizes = { segmentBytes: 4_096, fillBytesMin: 4_096, fillBytesMax: 4_096 };
const folder = mkdtempSync(join(tmpdir(), 'verity-copy-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let number = 0;
const fresh = (): string => join(folder, `copy-${++number}`);

const logOf = (image: DiskImage): DiskImage =>
  new Map([...image].filter(([path]) => path.startsWith('log/')));

const diskAt = (path: string): ReturnType<typeof nodeDisk> => nodeDisk(path, { readOnly: true });

async function rowsOf(db: Verity, tenant = 'north'): Promise<unknown> {
  const { rows } = await db.tenant(tenant).query('SELECT * FROM visits ORDER BY id');
  return rows;
}

describe('a copy of a closed database', () => {
  let source: string;
  beforeAll(async () => {
    source = join(folder, 'closed');
    const db = await Verity.openOn({ ...hostOn(nodeDisk(source)), logSizes: sizes }, { masterKey });
    await fillSample(db, 60);
    await db.close();
  });

  test('has the same log byte for byte, the same log id, another instance id, and closed modes', async () => {
    const out = fresh();
    const steps: number[] = [];
    const report = await Verity.copyLog(source, out, {
      masterKey,
      onProgress: ({ phase, done, total }) => {
        expect(phase).toBe('copy');
        expect(done).toBeLessThanOrEqual(total);
        steps.push(done);
      },
    });
    expect(steps.length).toBeGreaterThan(2);
    const [from, to] = [imageOf(diskAt(source)), imageOf(diskAt(out))];
    expect(differing(logOf(from), logOf(to))).toEqual([]);
    const identity = (image: DiskImage): Record<string, string> =>
      JSON.parse(new TextDecoder().decode(image.get('verity.json'))) as Record<string, string>;
    expect(identity(to)['logId']).toBe(identity(from)['logId']);
    expect(identity(to)['instanceId']).not.toBe(identity(from)['instanceId']);
    expect(report).toMatchObject({
      path: out,
      logId: identity(to)['logId'],
      instanceId: identity(to)['instanceId'],
      segments: logOf(to).size,
    });
    for (const path of ['', ...to.keys(), 'log']) {
      const mode = statSync(join(out, path)).mode & 0o777;
      expect([path, mode]).toEqual([path, path === '' || path === 'log' ? 0o700 : 0o600]);
    }
    expect(await Verity.verify(out, { masterKey })).toMatchObject({
      ok: true,
      position: report.position,
      chainHash: report.chainHash,
      frames: report.frames,
    });
  });

  test('goes its own way when it is written to, and the source opens as before', async () => {
    const out = fresh();
    await Verity.copyLog(source, out, { masterKey });
    const copy = await Verity.open(out, { masterKey });
    await copy.tenant('north').execute("INSERT INTO visits VALUES (900, 'copy', 1)");
    await copy.createTenant('third');
    await copy.close();
    expect((await Verity.verify(out, { masterKey })).findings).toEqual([]);
    const db = await Verity.open(source, { masterKey });
    expect((await db.tenant('north').query('SELECT 1 FROM visits WHERE id = 900')).rows).toEqual(
      [],
    );
    await db.close();
  });

  test('is made only in a new or empty directory elsewhere', async () => {
    const to = (out: string): Promise<unknown> => Verity.copyLog(source, out, { masterKey });
    await expect(to(source)).rejects.toMatchObject({ code: 'DATABASE_EXISTS' });
    await expect(to(join(source, 'inside'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(to(join(source, 'log', 'deep', 'er'))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const link = fresh();
    symlinkSync(source, link);
    await expect(to(join(link, 'inside'))).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const full = fresh();
    mkdirSync(join(full, 'something'), { recursive: true });
    await expect(to(full)).rejects.toMatchObject({ code: 'NOT_A_DATABASE' });
    await expect(to(':memory:')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const empty = fresh();
    mkdirSync(empty);
    await to(empty);
    await expect(
      Verity.copyLog(join(folder, 'none'), fresh(), { masterKey }),
    ).rejects.toMatchObject({ code: 'NO_DATABASE' });
  });

  test('is not made of damage: the place is named and nothing is left', async () => {
    const image = imageOf(diskAt(source));
    const path = [...logOf(image).keys()][1] as string;
    for (const damaged of [withFlip(image, path, 700, 2), withFlip(image, path, 5, 2)]) {
      const disk = diskOf(damaged);
      const target = memoryDisk();
      const copying = copyLog({
        source: { disk, hierarchy: await loadKeys(disk, masterKey) },
        target,
        entropy: hostOn(disk, 8).entropy,
        pause: () => Promise.resolve(),
      });
      await expect(copying).rejects.toMatchObject({ exitCode: 3, file: path });
      expect(imageOf(target).size).toBe(0);
    }
  });
});

describe('a copy of a running database', () => {
  test('made by its own handle while it is written holds a prefix of what was committed', async () => {
    const { db, disk } = await sampleDatabase(20, sizes);
    const north = db.tenant('north');
    let stopped = false;
    const writing = (async () => {
      for (let id = 1_000; !stopped; id++) {
        await north.execute(`INSERT INTO visits VALUES (${id}, '${'w'.repeat(300)}${id}', 1)`);
        await pause(1);
      }
    })();
    for (let round = 0; round < 4; round++) {
      await pause(20);
      const before = db.status().position;
      const out = fresh();
      const report = await db.copyLog(out);
      expect(report.position).toBeGreaterThanOrEqual(before);
      expect(await Verity.verify(out, { masterKey })).toMatchObject({ findings: [] });
      const copy = await Verity.open(out, { masterKey });
      const { rows } = await north.queryAt('SELECT * FROM visits ORDER BY id', [], report.position);
      expect(await rowsOf(copy)).toEqual(rows);
      await copy.close();
    }
    stopped = true;
    await writing;
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
    expect(imageOf(disk).size).toBeGreaterThan(6);
  });

  test('made through its directory follows the owner, new tenants and keys meanwhile', async () => {
    const source = join(folder, 'running');
    const db = await Verity.openOn({ ...hostOn(nodeDisk(source)), logSizes: sizes }, { masterKey });
    await fillSample(db, 20);
    await db.close();
    const owner = await Verity.open(source, { masterKey });
    const copying = Verity.copyLog(source, join(folder, 'followed'), { masterKey });
    for (let tenant = 0; tenant < 5; tenant++) {
      const handle = await owner.createTenant(`more${tenant}`);
      await handle.append('notes', [{ tenant }]);
      await owner.addRecoveryCode();
    }
    await copying;
    await owner.close();
    expect((await Verity.verify(join(folder, 'followed'), { masterKey })).findings).toEqual([]);
    const copy = await Verity.open(join(folder, 'followed'), { masterKey });
    expect(copy.tenants()).toContain('north');
    await copy.close();
  });

  test.each(['its own handle', 'its directory'])(
    'made through %s while keys are rotated and the log is rekeyed opens whole',
    async (way) => {
      const source = fresh();
      const filling = await Verity.openOn(
        { ...hostOn(nodeDisk(source)), logSizes: sizes },
        { masterKey },
      );
      await fillSample(filling, 40);
      await filling.close();
      const db = await Verity.open(source, { masterKey });
      const out = [fresh(), fresh(), fresh()];
      let turns = 0;
      const churning = (async () => {
        for (let round = 0; round < 4; round++) {
          await db.keys.rotate({ tenant: 'north' });
          await db.tenant('north').append('notes', [{ round }]);
          await db.keys.rekey();
          turns += 1;
        }
      })();
      for (const path of out) {
        if (way === 'its own handle') await db.copyLog(path);
        else await Verity.copyLog(source, path, { masterKey });
      }
      await churning;
      expect(turns).toBe(4);
      const expected = await rowsOf(db);
      await db.close();
      for (const path of out) {
        expect((await Verity.verify(path, { masterKey })).findings).toEqual([]);
        const copy = await Verity.open(path, { masterKey });
        expect(await rowsOf(copy)).toEqual(expected);
        await copy.close();
      }
      expect((await Verity.verify(source, { masterKey })).findings).toEqual([]);
    },
  );

  test('has the keys of data subjects as they are at its end', async () => {
    const disk = diskOf(imageOf(diskAt(join(folder, 'closed'))));
    const engine = await openEngine(hostOn(disk, 12), {
      provider: masterKey,
      mode: 'owner',
      create: false,
    });
    await engine.subjects.create(1 as TenantId, 3);
    const target = memoryDisk();
    const copying = copyLog({
      source: {
        disk,
        hierarchy: engine.hierarchy,
        handle: { state: engine.state, head: () => engine.head },
      },
      target,
      entropy: hostOn(disk, 13).entropy,
      pause: () => pause(0),
    });
    await engine.subjects.create(1 as TenantId, 200);
    await engine.subjects.erase(1 as TenantId, [2, 150]);
    await copying;
    await engine.close();
    const report = await auditDatabase({ disk: target, root: masterKey });
    expect(report.findings).toEqual([]);
    expect([...imageOf(target).keys()].some((path) => path.startsWith('subjects/'))).toBe(true);
  });

  test('of what a crash left has all that a reopen would find, and no torn tail', async () => {
    const { db, disk } = await sampleDatabase(20, sizes);
    await db.tenant('north').append('notes', [{ text: 'last' }]);
    const image = imageOf(disk);
    await db.close();
    const path = [...logOf(image).keys()].at(-1) as string;
    const torn = image.get(path) as Uint8Array;
    const end = torn.findLastIndex((byte) => byte !== 0) + 1;
    const from = Math.ceil(end / 8) * 8;
    torn.set(torn.slice(128, 128 + 300), from);
    torn.fill(0, from + 200, from + 512);
    const left = diskOf(image);
    const target = memoryDisk();
    await copyLog({
      source: { disk: left, hierarchy: await loadKeys(left, masterKey) },
      target,
      entropy: hostOn(left, 8).entropy,
      pause: () => Promise.resolve(),
    });
    const copy = await Verity.openOn(hostOn(target, 9), { masterKey });
    expect(copy.status().recovery.cut).toEqual([]);
    const notes: unknown[] = [];
    for await (const { data } of copy.tenant('north').read('notes')) notes.push(data);
    expect(notes.at(-1)).toEqual({ text: 'last' });
    expect((await copy.verify()).findings).toEqual([]);
    await copy.close();
  });

  test('of a read-only handle, and of one in memory', async () => {
    const source = join(folder, 'closed');
    const reader = await Verity.open(source, { masterKey, readOnly: true });
    const out = fresh();
    await reader.copyLog(out);
    const copy = await Verity.open(out, { masterKey });
    expect(await rowsOf(copy)).toEqual(await rowsOf(reader));
    await copy.close();
    await reader.close();
    await expect(reader.copyLog(fresh())).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
