/** The machine may stop at any call of a repair or a copy: the same can be done again, and nothing is lost. */
import { beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import type { RepairOptions, RepairReport } from '../../src/database/index.ts';
import { copyLog, inspectDirectory, loadKeys } from '../../src/engine/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { framesOf, type FramePlace, type Image, inSession, segmentsOf, withFile } from './image.ts';
import { fixedKey, smallLogSizes } from './machine.ts';

const masterKey = fixedKey();

async function rows(seed: number, count: number): Promise<Image> {
  const disk = new SimDisk({ seed });
  await inSession(
    disk,
    async ({ db }) => {
      const tenant = await db.createTenant('amber');
      await tenant.execute('CREATE TABLE rows (id integer PRIMARY KEY, memo text)');
      for (let id = 1; id <= count; id++) {
        await tenant.execute('INSERT INTO rows VALUES ($1, $2)', [id, 'm'.repeat(1_500)]);
      }
      await db.close();
    },
    { seed },
  );
  return disk.image();
}

function flipped(image: Image, path: string, offset: number): Image {
  return withFile(image, path, (bytes) => {
    bytes[offset] = (bytes[offset] as number) ^ 4;
    return bytes;
  });
}

/** Runs a repair on `disk`, or until its machine stops. */
async function repair(
  disk: SimDisk,
  options: RepairOptions,
  copy?: Image,
): Promise<RepairReport | undefined> {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const hostOf = (one: SimDisk): Parameters<typeof repairOn>[0] => ({
    disk: one,
    clock,
    scheduler,
    entropy: new Prng(3),
    logSizes: smallLogSizes,
  });
  const from = copy === undefined ? undefined : hostOf(SimDisk.fromImage(copy));
  try {
    return await scheduler.settle(repairOn(hostOf(disk), from, { masterKey, ...options }));
  } catch (error) {
    if (disk.isDead) return undefined;
    throw error;
  }
}

async function idsIn(disk: SimDisk): Promise<number[]> {
  return inSession(disk, async ({ db }) => {
    const query = db.tenant('amber').query<{ id: number }>('SELECT id FROM rows ORDER BY id');
    const ids = (await query).rows.map(({ id }) => id);
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
    return ids;
  });
}

let image: Image;
let hurt: FramePlace;

beforeAll(async () => {
  image = await rows(21, 8);
  const frames = framesOf(image);
  hurt = frames[Math.floor(frames.length / 2)] as FramePlace;
  expect(segmentsOf(image).length).toBeGreaterThan(2);
});

const changing = new Set([
  'write',
  'flush',
  'flushInBackground',
  'truncate',
  'rename',
  'remove',
  'flushDirectory',
  'makeDirectory',
]);

/** The disk, noting in `calls` which of its calls change anything: a crash at another leaves what the one before it left. */
function recorded(disk: SimDisk, calls: number[]): SimDisk {
  const watch = <T extends object>(target: T): T =>
    new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          if (changing.has(name as string)) calls.push(disk.callCount + 1);
          if (name === 'open' && given[1] === 'create') calls.push(disk.callCount + 1);
          const result: unknown = Reflect.apply(value, target, given);
          return name === 'open' ? watch(result as object) : result;
        };
      },
    });
  return watch(disk);
}

/** Does something with a crash at each changing call of the disk in turn, and again after it. Returns how many there were. */
async function atEveryCall(
  start: Image,
  act: (disk: SimDisk) => Promise<unknown>,
  after: (disk: SimDisk) => Promise<void>,
): Promise<number> {
  const whole = SimDisk.fromImage(start, { seed: 1 });
  const calls: number[] = [];
  await act(recorded(whole, calls));
  await after(whole);
  for (const call of calls) {
    const disk = SimDisk.fromImage(start, { seed: call, faults: { crashAtCall: call } });
    await act(disk).catch((error: unknown) => {
      if (!disk.isDead) throw error;
    });
    expect(disk.isDead, `call ${call}`).toBe(true);
    const crashed = disk.crash();
    crashed.setFaults({});
    try {
      await act(crashed);
      await after(crashed);
    } catch (error) {
      throw new Error(`crash at call ${call} of ${calls.at(-1)}: ${String(error)}`, {
        cause: error,
      });
    }
  }
  return calls.length;
}

const all = Array.from({ length: 8 }, (_, index) => index + 1);

describe('at every call of the disk the machine may stop', () => {
  test('while frames are taken from a copy', async () => {
    const missing = segmentsOf(image).at(-2) as string;
    const damaged = flipped(
      withFile(image, missing, () => undefined),
      hurt.path,
      hurt.offset + 200,
    );
    const calls = await atEveryCall(
      damaged,
      async (disk) => repair(disk, { from: 'copy' }, image),
      async (disk) => expect(await idsIn(disk)).toEqual(all),
    );
    expect(calls).toBeGreaterThan(10);
  });

  test('while keyring, verity.json and anchor are restored', async () => {
    const damaged = flipped(
      withFile(
        withFile(image, 'anchor', () => undefined),
        'verity.json',
        () => undefined,
      ),
      'keyring',
      300,
    );
    await atEveryCall(
      damaged,
      async (disk) => repair(disk, { from: 'copy' }, image),
      async (disk) => expect(await idsIn(disk)).toEqual(all),
    );
  });

  test('while the log is cut, and the cut is recorded once', async () => {
    const damaged = flipped(image, hurt.path, hurt.offset + 200);
    const left = all.slice(0, (await idsOfCut(damaged)).length);
    await atEveryCall(
      damaged,
      async (disk) => repair(disk, { cutTail: true, actor: 'ann' }),
      async (disk) => {
        expect(await idsIn(disk)).toEqual(left);
        const report = await repair(disk, { cutTail: true });
        expect(report).toMatchObject({ ok: true, cut: undefined });
        expect(report?.verification?.cuts).toMatchObject([
          { file: hurt.path, offset: hurt.offset, firstOp: hurt.header.op },
        ]);
      },
    );
  });

  test('while a copy is made: there is none, or all of it', async () => {
    const source = SimDisk.fromImage(image);
    const hierarchy = await loadKeys(source, masterKey);
    const copyTo = (target: SimDisk): Promise<unknown> =>
      copyLog({
        source: { disk: source, hierarchy },
        target,
        entropy: new Prng(9),
        pause: () => Promise.resolve(),
      });
    const whole = new SimDisk({ seed: 1 });
    await copyTo(whole);
    let made = 0;
    for (let call = 1; call <= whole.callCount; call++) {
      const disk = new SimDisk({ seed: call, faults: { crashAtCall: call } });
      await copyTo(disk).catch((error: unknown) => {
        if (!disk.isDead) throw error;
      });
      const crashed = disk.crash();
      const state = stateOf(crashed);
      if (state !== 'database') continue;
      made += 1;
      expect(await idsIn(crashed), `crash at call ${call}`).toEqual(all);
    }
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThan(4);
    expect(await idsIn(whole)).toEqual(all);
  });
});

/** What is left after a cut, on a disk that does not crash. */
async function idsOfCut(damaged: Image): Promise<number[]> {
  const disk = SimDisk.fromImage(damaged);
  await repair(disk, { cutTail: true });
  return idsIn(disk);
}

/** A log with records and no verity.json is said to be damaged, which it is. */
function stateOf(disk: SimDisk): string {
  try {
    return inspectDirectory(disk);
  } catch {
    return 'damaged';
  }
}
