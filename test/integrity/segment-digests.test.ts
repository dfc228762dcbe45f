/** What the log records of its finished segments, and what verification makes of it. */
import { expect, test } from 'vitest';
import { auditDatabase } from '../../src/audit/index.ts';
import type { Position } from '../../src/base/index.ts';
import { Verity } from '../../src/database/index.ts';
import { type Engine, openEngine, segmentDigestCommand } from '../../src/engine/index.ts';
import { diskOf, imageOf } from './disk-image.ts';
import { hostOn, idleMs, pause, sampleDatabase, TestKey } from './sample-database.ts';

const sizes = { segmentBytes: 4_096, fillBytesMin: 4_096, fillBytesMax: 4_096 };
const key = new TestKey();

const segmentsOf = (image: ReadonlyMap<string, Uint8Array>): string[] =>
  [...image.keys()].filter((path) => path.endsWith('.vlog')).toSorted();

test('every finished segment is recorded while the database runs, and compared', async () => {
  const { db, disk } = await sampleDatabase(60, sizes);
  await pause(idleMs);
  const report = await db.verify();
  const finished = segmentsOf(imageOf(disk)).length - 1;
  expect(finished).toBeGreaterThan(2);
  expect(report).toMatchObject({ ok: true, opened: true, segmentsCompared: finished });
  await db.close();
  const closed = await auditDatabase({ disk, root: key });
  expect(closed).toMatchObject({ ok: true, segmentsCompared: finished });
});

test('what a process could not record any more, the next one does', async () => {
  const { db, disk } = await sampleDatabase(4, { ...sizes, segmentBytes: 1 << 20 });
  await db.close();
  const small = await Verity.openOn({ ...hostOn(disk, 2), logSizes: sizes }, { masterKey: key });
  // Rolls, and is gone before the segment is hashed.
  await small.tenant('north').append('notes', [{ text: 'x'.repeat(5_000) }]);
  const image = imageOf(disk);
  await small.close();
  const left = diskOf(image);
  const before = await auditDatabase({ disk: left, root: key });
  expect(before.ok).toBe(true);
  expect(before.segmentsCompared).toBeLessThan(segmentsOf(image).length - 1);
  const next = await Verity.openOn({ ...hostOn(left, 3), logSizes: sizes }, { masterKey: key });
  await pause(idleMs);
  const finished = segmentsOf(imageOf(left)).length - 1;
  expect(await next.verify()).toMatchObject({ ok: true, segmentsCompared: finished });
  await next.close();
});

async function withEngine(
  disk: ReturnType<typeof diskOf>,
  act: (engine: Engine) => Promise<unknown>,
): Promise<void> {
  const host = { ...hostOn(disk, 4), logSizes: { ...sizes, segmentBytes: 1 << 20 } };
  const engine = await openEngine(host, { provider: key, mode: 'owner', create: false });
  await act(engine);
  await engine.close();
}

test('a file that is neither as the newest record says nor as the one before is found, whatever its frames say', async () => {
  const { db, disk } = await sampleDatabase(60, sizes);
  await db.close();
  const segment = 1 as Position;
  const wrong = (fill: number) =>
    segmentDigestCommand(segment, { digest: new Uint8Array(32).fill(fill), lengthBytes: 7 });
  // A crash came between a new record and its file: the file is as the record before says.
  await withEngine(disk, (engine) => engine.submit(wrong(1)));
  expect(await auditDatabase({ disk, root: key })).toMatchObject({ ok: true });
  await withEngine(disk, (engine) => engine.submit(wrong(2)));
  const report = await auditDatabase({ disk, root: key });
  expect(report.ok).toBe(false);
  expect(report.findings).toMatchObject([
    { code: 'CHECKSUM_MISMATCH', file: segmentsOf(imageOf(disk))[0], offset: 0 },
  ]);
});

test('without a key all is checked that needs none', async () => {
  const { db, disk } = await sampleDatabase(60, sizes);
  await db.close();
  const whole = await auditDatabase({ disk, root: key });
  const report = await auditDatabase({ disk, root: 'none' });
  expect(report).toMatchObject({
    ok: true,
    opened: false,
    segmentsCompared: 0,
    frames: whole.frames,
    events: whole.events,
    position: whole.position,
    chainHash: whole.chainHash,
    bytesRead: whole.bytesRead,
  });
  for (const path of ['anchor', 'keyring', 'verity.json', ...segmentsOf(imageOf(disk))]) {
    const bytes = (imageOf(disk).get(path) as Uint8Array).slice();
    bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] as number) ^ 1;
    const damaged = diskOf(new Map(imageOf(disk)).set(path, bytes));
    const found = await auditDatabase({ disk: damaged, root: 'none' });
    expect(found.findings[0]?.file, path).toBe(path);
  }
});

test('verification leaves the event loop to others, and commits meanwhile are no damage', async () => {
  const { db } = await sampleDatabase(10);
  const tenant = db.tenant('north');
  await tenant.execute('CREATE TABLE big (id integer PRIMARY KEY, memo text)');
  for (let id = 0; id < 12; id++)
    await tenant.execute('INSERT INTO big VALUES ($1, $2)', [id, 'b'.repeat(900_000)]);
  let turns = 0;
  let done = false;
  const others = (async () => {
    for (; !done; turns++) {
      await tenant.execute('INSERT INTO visits VALUES ($1, $2, 1)', [5_000 + turns, `t${turns}`]);
      await pause(0);
    }
  })();
  for (let round = 0; round < 3; round++) {
    const before = turns;
    expect((await db.verify()).findings).toEqual([]);
    expect(turns).toBeGreaterThan(before + 1);
  }
  done = true;
  await others;
  await db.close();
});
