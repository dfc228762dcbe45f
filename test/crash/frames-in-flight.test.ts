/** Two frames on their way to the disk, written behind each other and flushed one after the other. */
import { describe, expect, test } from 'vitest';
import { equalBytes, type Position, Prng } from '../../src/base/index.ts';
import type { Engine } from '../../src/engine/index.ts';
import { SimDisk, SimScheduler } from '../../src/sim/index.ts';
import {
  type Answer,
  burst,
  engineWorld,
  type EngineWorld,
  openEngineOn,
  turn,
} from '../support/engine-world.ts';
import { type FramePlace, framesOf, type Image } from './image.ts';

/** Commands of sizes that make frames of one to a few sectors. */
function sizes(prng: Prng): number[] {
  return Array.from({ length: 8 + prng.below(24) }, () => prng.below(500));
}

function isWhole(image: Image, before: Image, { path, offset, end }: FramePlace): boolean {
  const [now, then] = [image.get(path), before.get(path)].map((bytes) =>
    (bytes as Uint8Array).subarray(offset, end),
  );
  return equalBytes(now as Uint8Array, then as Uint8Array);
}

/** Opens what a crash left: what was acknowledged is there, whole, and the log goes on. */
async function reopened(
  { tenant }: EngineWorld,
  disk: SimDisk,
  answers: readonly Answer[],
): Promise<Engine> {
  const scheduler = new SimScheduler();
  const engine = await openEngineOn(disk, scheduler);
  const acknowledged = answers.filter((answer) => typeof answer === 'number');
  expect(engine.committedPosition).toBeGreaterThanOrEqual(Math.max(0, ...acknowledged));
  const found = [...engine.reader.commands(tenant, 0 as Position)];
  // Nothing is missing in between: versions of the stream ascend one by one.
  const versions = found.flatMap(({ events }) =>
    events.map(({ event }) => (event.type === 'streamAppended' ? event.version : 0)),
  );
  expect(versions).toEqual(versions.map((_version, index) => index + 1));
  await scheduler.settle(engine.close());
  return engine;
}

describe('a power failure while two frames are on their way', () => {
  test('leaves either, both or none of them; an earlier one that is torn takes the later with it', async () => {
    const left = { both: 0, none: 0, 'first only': 0, 'second only': 0 };
    for (let seed = 1; seed <= 60; seed++) {
      const prng = new Prng(seed);
      const scheduler = new SimScheduler();
      const here = await engineWorld(new SimDisk({ seed, scheduler }), scheduler);
      const answers = burst(here, sizes(prng));
      // Some frames become durable first.
      for (let task = prng.below(4); task > 0; task--) {
        scheduler.step();
        await turn();
      }
      const { op } = here.engine.head;
      const before = here.disk.image();
      const flying = framesOf(before).filter(({ header }) => header.op > op);
      const [first, second] = flying;
      if (first === undefined || second === undefined) continue;
      expect(flying).toHaveLength(2);
      for (let image = 0; image < 6; image++) {
        const after = here.disk.crash();
        const kept = [first, second].map((frame) => isWhole(after.image(), before, frame));
        const engine = await reopened(here, after, answers);
        const expected = kept[0] === true ? (kept[1] === true ? second : first) : undefined;
        expect(engine.recovery.cut.length).toBeLessThanOrEqual(1);
        const head = framesOf(after.image())
          .filter(({ header }) => header.kind !== 'close')
          .at(-1);
        expect(head?.header.op).toBe(expected?.header.op ?? op);
        if (kept[0] === true) left[kept[1] === true ? 'both' : 'first only'] += 1;
        else left[kept[1] === true ? 'second only' : 'none'] += 1;
      }
    }
    // Each of them was seen, and the one that matters often enough.
    expect(Math.min(...Object.values(left))).toBeGreaterThan(10);
  });

  test('loses nothing acknowledged, whichever call it strikes', async () => {
    const load = async (seed: number, crashAtCall?: number): Promise<number> => {
      const scheduler = new SimScheduler();
      const disk = new SimDisk({ seed, scheduler });
      const logSizes = { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 4_096 };
      const here = await engineWorld(disk, scheduler, { logSizes });
      const start = disk.callCount;
      if (crashAtCall !== undefined) disk.setFaults({ crashAtCall: start + crashAtCall });
      const answers = burst(here, sizes(new Prng(seed)));
      for (let task = 0; task < 60 && !disk.isDead; task++) {
        await turn();
        if (!scheduler.step()) break;
      }
      await turn();
      if (crashAtCall === undefined) return disk.callCount - start;
      for (let image = 0; image < 2; image++) await reopened(here, disk.crash(), answers);
      return 0;
    };
    for (const seed of [1, 2]) {
      const calls = await load(seed);
      expect(calls).toBeGreaterThan(15);
      for (let call = 1; call <= calls; call++) await load(seed, call);
    }
  });
});

test('what a killed process leaves in the page cache is taken over whole', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const scheduler = new SimScheduler();
    const here = await engineWorld(new SimDisk({ seed, scheduler }), scheduler);
    const answers = burst(here, sizes(new Prng(seed)));
    await turn();
    expect(here.engine.busy).toBe(true);
    const engine = await reopened(here, SimDisk.fromImage(here.disk.image()), answers);
    expect(engine.recovery.cut).toEqual([]);
    expect(engine.committedPosition).toBeGreaterThan(here.engine.committedPosition);
  }
});
