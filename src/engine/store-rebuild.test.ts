import { beforeEach, expect, test } from 'vitest';
import type { Disk } from '../base/index.ts';
import { auditDatabase } from '../audit/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { HeldKeyProvider } from '../keys/index.ts';
import { SimDisk, SimScheduler } from '../sim/index.ts';
import { contentHashOf, pageBytes, pagesPath, superblockPath } from '../store/index.ts';
import {
  burst,
  engineWorld,
  type EngineOptions,
  type EngineWorld,
  idle,
  openEngineOn,
  turn,
} from '../../test/support/engine-world.ts';

const options: EngineOptions = {
  checkpoints: {
    logBytesMin: 0,
    logBytesMax: 1 << 30,
    milliseconds: 1e9,
    pagesPerTurn: 2,
    cacheBytes: 400 << 10,
  },
  logSizes: { segmentBytes: 30_000, fillBytesMin: 1_024, fillBytesMax: 4_096 },
};
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

async function fill(on: EngineWorld, count: number): Promise<void> {
  for (let done = 0; done < count; done += 10) {
    burst(on, Array<number>(10).fill(60 + (done % 7) * 350));
    await idle(on.scheduler);
  }
}

/** Damages every page that is in the file. */
function ruin(on: Disk): void {
  const file = on.open(pagesPath, 'readwrite');
  const pages = file.sizeBytes() / pageBytes;
  for (let page = 1; page < pages; page++) file.write(Uint8Array.of(1, 2, 3), page * pageBytes);
  file.close();
}

const verified = (on: Disk) => scheduler.settle(auditDatabase({ disk: on, root: provider }));

test('a store all of whose pages are damaged under an open database is made anew, with what is written meanwhile', async () => {
  const world = await engineWorld(disk, scheduler, options);
  await fill(world, 300);
  await scheduler.settle(world.engine.checkpoint());
  ruin(disk);
  expect(() => contentHashOf(world.engine.walked)).toThrow(/damaged/);
  expect(world.engine.storeStatus?.damagedPages).toBeGreaterThan(0);
  await scheduler.settle(world.engine.rebuildStore());
  await idle(scheduler);
  const before = contentHashOf(world.engine.walked);
  expect(world.engine.storeStatus).toMatchObject({ damagedPages: 0, damage: undefined });
  const answers = burst(world, Array<number>(60).fill(400));
  const rebuilt = scheduler.settle(world.engine.rebuildStore());
  await rebuilt;
  await idle(scheduler);
  expect(answers.every((answer) => typeof answer === 'number')).toBe(true);
  const after = contentHashOf(world.engine.walked);
  expect(after).not.toBe(before);
  await scheduler.settle(world.engine.close());
  expect(await verified(disk)).toMatchObject({ ok: true, storeCompared: expect.any(Number) });
  const engine = await openEngineOn(disk, scheduler, options);
  expect(engine.recovery).toMatchObject({ replayedFrames: 0 });
  expect(engine.recovery.storeRebuilt).toBeUndefined();
  expect(contentHashOf(engine.walked)).toBe(after);
  await scheduler.settle(engine.close());
});

test('a page that is damaged between deciding and committing poisons the handle, which says so; the next open has the command', async () => {
  const world = await engineWorld(disk, scheduler, options);
  for (let round = 0; round < 60; round++) {
    burst(world, Array<number>(10).fill(700));
    await idle(scheduler);
  }
  await scheduler.settle(world.engine.close());
  const engine = await openEngineOn(disk, scheduler, options);
  const here = { ...world, engine };
  const answers = burst(here, [10]);
  await turn();
  expect(engine.busy).toBe(true);
  const before = contentHashOf(engine.walked);
  // What the command was decided on leaves the memory: it is read first.
  const tree = engine.walked.trees().at(-1)!;
  const keys = [...engine.walked.history(tree)].map(({ key }) => key);
  const middle = keys.at(-20)!;
  for (let round = 0; round < 4; round++) {
    const cursor = engine.state.store.scan(tree, { to: middle });
    while (cursor.next() !== undefined);
  }
  ruin(disk);
  await idle(scheduler);
  expect(answers).toEqual(['COMMIT_UNKNOWN']);
  expect(engine.poisoned).toBe(true);
  expect(() => engine.checkWritable()).toThrow(/store\/pages is damaged at byte \d+.*Reopen/);
  await scheduler.settle(engine.close());
  const again = await openEngineOn(disk, scheduler, options);
  expect(again.recovery.storeRebuilt).toMatchObject({ file: pagesPath });
  expect(again.committedPosition).toBe(world.engine.committedPosition + 1);
  expect(contentHashOf(again.walked)).not.toBe(before);
  await scheduler.settle(again.close());
});

test('who walks the store walks on in the new trees', async () => {
  const world = await engineWorld(disk, scheduler, options);
  await fill(world, 300);
  await scheduler.settle(world.engine.checkpoint());
  const { store } = world.engine.state;
  const tree = world.engine.walked.trees().at(-1)!;
  const whole: string[] = [];
  const all = store.scan(tree, {});
  for (let entry = all.next(); entry !== undefined; entry = all.next()) whole.push(entry.key);
  expect(whole.length).toBeGreaterThan(250);
  for (const reverse of [false, true]) {
    const cursor = store.scan(tree, { reverse });
    const seen: string[] = [];
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      seen.push(entry.key);
      if (seen.length % 100 === 50) await scheduler.settle(world.engine.rebuildStore());
    }
    expect(reverse ? seen.toReversed() : seen).toEqual(whole);
  }
  await scheduler.settle(world.engine.close());
});

test('the pages of the store before are used again: rebuilding over and over takes no more than two stores', async () => {
  const world = await engineWorld(disk, scheduler, options);
  await fill(world, 300);
  await scheduler.settle(world.engine.checkpoint());
  const once = world.engine.storeStatus!.fileBytes;
  for (let round = 0; round < 6; round++) await scheduler.settle(world.engine.rebuildStore());
  expect(world.engine.storeStatus!.fileBytes).toBeLessThan(3 * once);
  await scheduler.settle(world.engine.close());
  expect(await verified(disk)).toMatchObject({ ok: true });
});

test('without room for a second store all stays as it is, and the room that was taken is given back', async () => {
  const world = await engineWorld(disk, scheduler, options);
  for (let round = 0; round < 60; round++) {
    burst(world, Array<number>(10).fill(700));
    await idle(scheduler);
  }
  await scheduler.settle(world.engine.checkpoint());
  const before = contentHashOf(world.engine.walked);
  const { freeBytes } = world.engine.storeStatus!;
  let used = 0;
  for (const bytes of disk.image().values()) used += bytes.length;
  disk.setFaults({ capacityBytes: used + 20_000 });
  await expect(scheduler.settle(world.engine.rebuildStore())).rejects.toMatchObject({
    code: 'DISK_FULL',
  });
  expect(world.engine.poisoned).toBe(false);
  expect(contentHashOf(world.engine.walked)).toBe(before);
  const { fileBytes, freeBytes: freeAfter } = world.engine.storeStatus!;
  disk.setFaults({});
  await fill(world, 10);
  await scheduler.settle(world.engine.checkpoint());
  expect(freeAfter).toBeGreaterThanOrEqual(freeBytes);
  expect(world.engine.storeStatus!.fileBytes).toBe(fileBytes);
  await scheduler.settle(world.engine.rebuildStore());
  await scheduler.settle(world.engine.close());
  expect(await verified(disk)).toMatchObject({ ok: true });
});

test('closing ends a rebuild, and leaves the store as it was', async () => {
  const world = await engineWorld(disk, scheduler, options);
  await fill(world, 300);
  await scheduler.settle(world.engine.checkpoint());
  const rebuilt = world.engine.rebuildStore().catch((error: unknown) => error);
  await scheduler.settle(world.engine.close());
  expect(await scheduler.settle(rebuilt)).toMatchObject({ code: 'CLOSED' });
  const engine = await openEngineOn(disk, scheduler, options);
  expect(engine.recovery.storeRebuilt).toBeUndefined();
  await scheduler.settle(engine.close());
  expect(await verified(disk)).toMatchObject({ ok: true });
});

test('damage of the log ends a rebuild and is named', async () => {
  const world = await engineWorld(disk, scheduler, options);
  await fill(world, 300);
  const [first] = disk.list('log') ?? [];
  const file = disk.open(`log/${first}`, 'readwrite');
  file.write(Uint8Array.of(1, 2, 3, 4), 900);
  file.close();
  const before = contentHashOf(world.engine.walked);
  await expect(scheduler.settle(world.engine.rebuildStore())).rejects.toMatchObject({
    file: `log/${first}`,
  });
  expect(contentHashOf(world.engine.walked)).toBe(before);
  await scheduler.settle(world.engine.close());
});

test('a crash at any call of a rebuild leaves a database with all that was acknowledged', async () => {
  const outcomes = { before: 0, after: 0, died: 0 };
  for (let call = 1; ; call += 13) {
    const own = new SimScheduler();
    const on = new SimDisk({ seed: call, scheduler: own });
    const world = await engineWorld(on, own, options);
    await fill(world, 60);
    await own.settle(world.engine.checkpoint());
    const { op } = world.engine.head;
    on.crashAt(on.callCount + call);
    const rebuilt = world.engine.rebuildStore().then(
      () => true,
      () => false,
    );
    const answers = burst(world, Array<number>(20).fill(300));
    let isDone = false;
    try {
      isDone = await own.settle(rebuilt);
      await idle(own);
    } catch {
      // The machine stopped.
    }
    const died = on.isDead;
    const after = on.crash({ scheduler: own });
    const acknowledged = answers.filter((answer) => typeof answer === 'number');
    const engine = await openEngineOn(after, own, options);
    expect(engine.recovery.storeRebuilt).toBeUndefined();
    expect(engine.committedPosition).toBeGreaterThanOrEqual(Math.max(0, ...acknowledged));
    // Before or after the switch, a checkpoint is there.
    expect(engine.recovery.replayedFrames).toBeLessThanOrEqual(engine.head.op - op);
    if (isDone) outcomes.after += 1;
    else outcomes.before += 1;
    const hash = contentHashOf(engine.walked);
    await own.settle(engine.close());
    after.remove(superblockPath);
    const again = await openEngineOn(after, own, options);
    expect(contentHashOf(again.walked)).toBe(hash);
    await own.settle(again.close());
    if (!died) break;
    outcomes.died += 1;
  }
  expect(outcomes.died).toBeGreaterThan(3);
  expect(outcomes.before).toBeGreaterThan(1);
  expect(outcomes.after).toBeGreaterThan(0);
});
