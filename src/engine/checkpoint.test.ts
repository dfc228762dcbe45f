import { beforeEach, describe, expect, test } from 'vitest';
import { type Disk, type DiskFile, VerityError } from '../base/index.ts';
import { auditDatabase } from '../audit/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { HeldKeyProvider } from '../keys/index.ts';
import { SimDisk, SimScheduler } from '../sim/index.ts';
import { contentHashOf, pageBytes, pagesPath, superblockPath } from '../store/index.ts';
import {
  append,
  burst,
  engineWorld,
  type EngineOptions,
  type EngineWorld,
  idle,
  openEngineOn,
} from '../../test/support/engine-world.ts';
import type { Engine } from './engine.ts';
import type { LogSizes } from './log-writer.ts';

/** A checkpoint at every close, and whenever one is asked for. */
const checkpoints = { logBytesMin: 0, logBytesMax: 1 << 30, milliseconds: 1e9, pagesPerTurn: 2 };
const logSizes: LogSizes = { segmentBytes: 8_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };
const options: EngineOptions = { checkpoints, logSizes };
const provider = new HeldKeyProvider(
  'fixed',
  'fixed',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);

let disk: SimDisk;
let scheduler: SimScheduler;

beforeEach(() => {
  scheduler = new SimScheduler();
  disk = new SimDisk({ seed: 1, scheduler });
});

const world = (more: EngineOptions = {}): Promise<EngineWorld> =>
  engineWorld(disk, scheduler, { ...options, ...more });

const open = (on = disk, more: EngineOptions = {}): Promise<Engine> =>
  openEngineOn(on, scheduler, { ...options, ...more });

async function fill(on: EngineWorld, count: number): Promise<void> {
  for (let done = 0; done < count; done += 10) {
    burst(on, Array<number>(10).fill(60 + (done % 7) * 150));
    await idle(scheduler);
  }
}

function bytesOf(on: Disk, path: string): Uint8Array {
  const file = on.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

function edit(on: Disk, path: string, change: (file: DiskFile) => void): void {
  const file = on.open(path, 'readwrite');
  change(file);
  file.close();
}

function flip(on: Disk, path: string, offset: number): void {
  edit(on, path, (file) => {
    const byte = new Uint8Array(1);
    file.read(byte, offset);
    file.write(Uint8Array.of((byte[0] as number) ^ (1 << (offset % 8))), offset);
  });
}

/** A disk of its own with the same files. */
const copyOf = (from: SimDisk): SimDisk => SimDisk.fromImage(from.image(), { seed: 1, scheduler });

const verified = (on: Disk) => scheduler.settle(auditDatabase({ disk: on, root: provider }));

describe('after a clean close', () => {
  let hash: string;
  let frames: number;

  beforeEach(async () => {
    const here = await world();
    await fill(here, 120);
    await scheduler.settle(here.engine.checkpoint());
    await fill(here, 20);
    hash = contentHashOf(here.engine.walked);
    await scheduler.settle(here.engine.close());
    frames = here.engine.head.op;
  });

  test('an open replays no frame, and the content is that of a whole replay', async () => {
    const engine = await open();
    expect(engine.recovery.replayedFrames).toBe(0);
    expect(engine.recovery.cleanShutdown).toBe(true);
    expect(contentHashOf(engine.walked)).toBe(hash);
    await scheduler.settle(engine.close());
    disk.remove(superblockPath);
    const again = await open();
    expect(again.recovery.replayedFrames).toBeGreaterThanOrEqual(frames);
    expect(again.recovery.storeRebuilt).toBeUndefined();
    expect(contentHashOf(again.walked)).toBe(hash);
    await scheduler.settle(again.close());
    expect(await verified(disk)).toMatchObject({ ok: true });
  });

  test('the log is read back from positions before the checkpoint, too', async () => {
    const engine = await open();
    const tenant = 1 as Parameters<typeof engine.reader.commands>[0];
    const positions = [...engine.reader.commands(tenant, 1 as never)].map(
      ({ position }) => position,
    );
    expect(positions.length).toBeGreaterThan(100);
    const [middle] = positions.slice(60);
    const [first] = engine.reader.commands(tenant, middle as never);
    expect(first?.position).toBe(middle);
    await scheduler.settle(engine.close());
  });

  test('a store that was deleted is made again', async () => {
    for (const path of [pagesPath, superblockPath]) {
      const image = copyOf(disk);
      image.remove(path);
      const engine = await open(image);
      expect(contentHashOf(engine.walked)).toBe(hash);
      expect(engine.recovery.replayedFrames).toBe(frames);
      await scheduler.settle(engine.close());
      const again = await open(image);
      expect(again.recovery.replayedFrames).toBe(0);
      await scheduler.settle(again.close());
    }
  });

  test('verification compares the checkpoint with the log, and finds every flipped byte of a page in use', async () => {
    expect(await verified(disk)).toMatchObject({ ok: true, storeCompared: expect.any(Number) });
    const size = bytesOf(disk, pagesPath).length;
    let found = 0;
    for (let offset = pageBytes + 11; offset < size; offset += 5_021) {
      const image = copyOf(disk);
      flip(image, pagesPath, offset);
      const { ok, findings } = await verified(image);
      if (ok) continue;
      found += 1;
      expect(findings).toMatchObject([
        {
          code: 'AUTHENTICATION_FAILED',
          file: pagesPath,
          offset: Math.floor(offset / pageBytes) * pageBytes,
        },
      ]);
    }
    // The rest of the file is free pages, and ends of runs.
    expect(found).toBeGreaterThan(5);
  });

  test('whatever byte of the store is flipped, an open serves what the log says or names the page', async () => {
    const size = bytesOf(disk, pagesPath).length;
    const outcomes = new Set<string>();
    for (let offset = 5; offset < size; offset += 6_511) {
      const image = copyOf(disk);
      flip(image, pagesPath, offset);
      const engine = await open(image);
      try {
        expect(contentHashOf(engine.walked)).toBe(hash);
        outcomes.add(engine.recovery.storeRebuilt?.code ?? 'unhurt');
      } catch (error) {
        expect(error).toMatchObject({ code: 'AUTHENTICATION_FAILED', file: pagesPath });
        outcomes.add('named');
      }
      await scheduler.settle(engine.close());
    }
    expect(outcomes).toContain('named');
    expect(outcomes).toContain('unhurt');
  });

  test('flips in the superblock leave the other copies; with three damaged the store is made again', async () => {
    for (let offset = 3; offset < 4 * 4_096; offset += 997) {
      const image = copyOf(disk);
      flip(image, superblockPath, offset);
      const engine = await open(image);
      expect(engine.recovery.replayedFrames).toBe(0);
      expect(contentHashOf(engine.walked)).toBe(hash);
      await scheduler.settle(engine.close());
      expect(await verified(image)).toMatchObject({ ok: true });
    }
    for (const copy of [0, 1, 2]) flip(disk, superblockPath, copy * 4_096 + 100);
    const engine = await open();
    expect(engine.recovery).toMatchObject({
      replayedFrames: frames,
      storeRebuilt: { code: 'CHECKSUM_MISMATCH', file: superblockPath, offset: 0 },
    });
    expect(contentHashOf(engine.walked)).toBe(hash);
    await scheduler.settle(engine.close());
  });

  test('an older store that is put back is brought up to date', async () => {
    const older = disk.image();
    const engine = await open();
    const here: EngineWorld = { disk, scheduler, engine, tenant: 1 as EngineWorld['tenant'] };
    await fill(here, 40);
    const newer = contentHashOf(engine.walked);
    await scheduler.settle(engine.close());
    for (const path of [pagesPath, superblockPath])
      edit(disk, path, (file) => {
        file.truncate(0);
        file.write(older.get(path) as Uint8Array, 0);
      });
    const again = await open();
    expect(again.recovery.replayedFrames).toBeGreaterThan(0);
    expect(again.recovery.replayedFrames).toBeLessThan(frames);
    expect(contentHashOf(again.walked)).toBe(newer);
    await scheduler.settle(again.close());
  });

  test('a superblock alone that is put back leads to pages that are not its own: nothing wrong is served', async () => {
    const older = bytesOf(disk, superblockPath);
    const engine = await open();
    const here: EngineWorld = { disk, scheduler, engine, tenant: 1 as EngineWorld['tenant'] };
    for (let round = 0; round < 4; round++) {
      await fill(here, 20);
      await scheduler.settle(engine.checkpoint());
    }
    const newer = contentHashOf(engine.walked);
    await scheduler.settle(engine.close());
    edit(disk, superblockPath, (file) => file.write(older, 0));
    const again = await open();
    expect(again.recovery.storeRebuilt).toMatchObject({ file: pagesPath });
    expect(contentHashOf(again.walked)).toBe(newer);
    await scheduler.settle(again.close());
  });

  test('a store of a log that was cut or put back is ahead of it, and is made again', async () => {
    const older = disk.image();
    const engine = await open();
    const here: EngineWorld = { disk, scheduler, engine, tenant: 1 as EngineWorld['tenant'] };
    await fill(here, 20);
    await scheduler.settle(engine.close());
    // Everything but the store.
    const mixed = new Map(older);
    for (const path of [pagesPath, superblockPath])
      mixed.set(path, disk.image().get(path) as Uint8Array);
    const image = SimDisk.fromImage(mixed, { seed: 1, scheduler });
    expect((await verified(image)).findings).toMatchObject([
      { code: 'STATE_MISMATCH', file: superblockPath },
    ]);
    const again = await open(image);
    expect(again.recovery.storeRebuilt).toMatchObject({ code: 'STATE_MISMATCH' });
    expect(contentHashOf(again.walked)).toBe(hash);
    await scheduler.settle(again.close());
  });

  test("another database's store is refused and made again", async () => {
    const other = new SimDisk({ seed: 2, scheduler });
    const there = await engineWorld(other, scheduler, { ...options, entropySeed: 99 });
    await fill(there, 30);
    await scheduler.settle(there.engine.close());
    for (const paths of [[pagesPath, superblockPath], [pagesPath], [superblockPath]]) {
      const image = copyOf(disk);
      for (const path of paths)
        edit(image, path, (file) => {
          file.truncate(0);
          file.write(bytesOf(other, path), 0);
        });
      const engine = await open(image);
      expect(engine.recovery.storeRebuilt?.code).toBe('FOREIGN_FILE');
      expect(contentHashOf(engine.walked)).toBe(hash);
      await scheduler.settle(engine.close());
    }
  });

  test('a segment that is missing, cut or foreign is refused at open, though its frames are not read', async () => {
    const segments = (disk.list('log') ?? []).map((name) => `log/${name}`);
    expect(segments.length).toBeGreaterThan(4);
    for (const path of segments.slice(0, -1)) {
      const without = copyOf(disk);
      without.remove(path);
      await expect(open(without)).rejects.toMatchObject({ exitCode: 3 });
      const short = copyOf(disk);
      edit(short, path, (file) => file.truncate(file.sizeBytes() - 1));
      await expect(open(short)).rejects.toMatchObject({ exitCode: 3 });
      const header = copyOf(disk);
      flip(header, path, 30);
      await expect(open(header)).rejects.toMatchObject({ exitCode: 3 });
    }
  });

  test('a flipped byte in an old segment is found by verification and by who reads it', async () => {
    const [first] = disk.list('log') ?? [];
    flip(disk, `log/${first}`, 700);
    const engine = await open();
    expect(engine.recovery.replayedFrames).toBe(0);
    const tenant = 1 as Parameters<typeof engine.reader.commands>[0];
    expect(() => [...engine.reader.commands(tenant, 1 as never)]).toThrow(VerityError);
    await scheduler.settle(engine.close());
    expect((await verified(disk)).findings).toMatchObject([{ file: `log/${first}` }]);
  });
});

test('equal logs give equal content, whatever the cache, the checkpoints and the restarts', async () => {
  const ways = [
    { logBytesMax: 1 << 30, cacheBytes: 8 << 20 },
    { logBytesMax: 2_000, cacheBytes: 400 << 10 },
    { logBytesMax: 9_000, cacheBytes: 1 << 20, pagesPerTurn: 50 },
  ].map((more) => ({ ...options, checkpoints: { ...checkpoints, ...more } }));
  for (const way of ways) {
    const on = new SimDisk({ seed: 1, scheduler });
    let here = await engineWorld(on, scheduler, way);
    for (let round = 0; round < 3; round++) {
      await fill(here, 50);
      await scheduler.settle(here.engine.close());
      here = { ...here, engine: await openEngineOn(on, scheduler, way) };
    }
    const hash = contentHashOf(here.engine.walked);
    await scheduler.settle(here.engine.close());
    expect(await verified(on)).toMatchObject({ ok: true });
    for (const other of ways) {
      const image = copyOf(on);
      image.remove(superblockPath);
      const engine = await openEngineOn(image, scheduler, other);
      expect(contentHashOf(engine.walked)).toBe(hash);
      await scheduler.settle(engine.close());
    }
  }
});

test('after a crash only what lies behind the last checkpoint is replayed', async () => {
  const here = await world();
  await fill(here, 100);
  await scheduler.settle(here.engine.checkpoint());
  const { op } = here.engine.head;
  await fill(here, 30);
  const after = here.engine.head.op - op;
  const hash = contentHashOf(here.engine.walked);
  const engine = await open(disk.crash({ seed: 3, scheduler }));
  expect(engine.recovery.replayedFrames).toBe(after);
  expect(contentHashOf(engine.walked)).toBe(hash);
  await scheduler.settle(engine.close());
});

test('a crash at every call of checkpoints leaves a database that opens with all that was acknowledged', async () => {
  const settings = { checkpoints: { ...checkpoints, logBytesMax: 3_000, cacheBytes: 400 << 10 } };
  let replayedLess = 0;
  let total = 0;
  const seen = new Set<number>();
  for (let seed = 0; seed < 3; seed++) {
    for (let call = 1; ; call += 31) {
      const own = new SimScheduler();
      const on = new SimDisk({ seed, scheduler: own });
      const here = await engineWorld(on, own, { ...options, ...settings });
      on.crashAt(on.callCount + call + seed);
      const acknowledged: number[] = [];
      for (let round = 0; round < 6 && !on.isDead; round++) {
        const answers = burst(here, Array<number>(8).fill(300));
        try {
          await idle(own);
        } catch {
          // The machine stopped.
        }
        for (const answer of answers) if (typeof answer === 'number') acknowledged.push(answer);
      }
      const died = on.isDead;
      const after = on.crash({ scheduler: own });
      const engine = await openEngineOn(after, own, { ...options, ...settings });
      const { replayedFrames, storeRebuilt } = engine.recovery;
      expect(storeRebuilt).toBeUndefined();
      expect(engine.committedPosition).toBeGreaterThanOrEqual(Math.max(0, ...acknowledged));
      const hash = contentHashOf(engine.walked);
      if (replayedFrames < engine.head.op) replayedLess += 1;
      seen.add(replayedFrames);
      await own.settle(engine.close());
      after.remove(superblockPath);
      const rebuilt = await openEngineOn(after, own, { ...options, ...settings });
      expect(contentHashOf(rebuilt.walked)).toBe(hash);
      await own.settle(rebuilt.close());
      total += 1;
      if (!died) break;
    }
  }
  expect(replayedLess).toBeGreaterThan(total / 2);
  expect(seen.size).toBeGreaterThan(5);
});

test('on a full disk checkpoints wait, commands go on while the log has room, and nothing is lost', async () => {
  const here = await world({ checkpoints: { ...checkpoints, logBytesMax: 2_000 } });
  await fill(here, 20);
  let used = 0;
  for (const bytes of disk.image().values()) used += bytes.length;
  disk.setFaults({ capacityBytes: used + 6_000 });
  const answers = burst(here, Array<number>(60).fill(200));
  await idle(scheduler);
  expect(answers.filter((answer) => typeof answer === 'number').length).toBeGreaterThan(0);
  expect(here.engine.poisoned).toBe(false);
  disk.setFaults({});
  await idle(scheduler);
  expect(await scheduler.settle(append(here))).toBeTypeOf('number');
  await scheduler.settle(here.engine.checkpoint());
  const hash = contentHashOf(here.engine.walked);
  await scheduler.settle(here.engine.close());
  const engine = await open();
  expect(engine.recovery.replayedFrames).toBeLessThan(3);
  expect(contentHashOf(engine.walked)).toBe(hash);
  await scheduler.settle(engine.close());
});

test('a flush of the store that fails poisons the handle, and the next open has all that was acknowledged', async () => {
  const here = await world();
  await fill(here, 30);
  const hash = contentHashOf(here.engine.walked);
  disk.setFaults({
    fail: [{ call: disk.calls.flushInBackground + 1, kind: 'flushInBackground', code: 'IO_ERROR' }],
  });
  await expect(scheduler.settle(here.engine.checkpoint())).rejects.toMatchObject({
    code: 'IO_ERROR',
  });
  expect(here.engine.poisoned).toBe(true);
  expect(contentHashOf(here.engine.walked)).toBe(hash);
  await scheduler.settle(here.engine.close());
  disk.setFaults({});
  const engine = await open(disk.crash({ seed: 1, scheduler }));
  expect(contentHashOf(engine.walked)).toBe(hash);
  await scheduler.settle(engine.close());
});
