/** What is cut from the end of a log, what is refused, and what an interrupted roll leaves. */
import { beforeAll, describe, expect, test } from 'vitest';
import type { CorruptionError } from '../../src/base/index.ts';
import { readAnchor, readKeyFiles } from '../../src/engine/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { withAnchorAt } from './anchor-image.ts';
import {
  framesOf,
  type FramePlace,
  type Image,
  inSession,
  sameFiles,
  segmentsOf,
  withFile,
  zeroed,
} from './image.ts';
import { smallLogSizes, wait } from './machine.ts';

const sector = 512;
const oneSegment = { ...smallLogSizes, segmentBytes: 1 << 20 };

/** Three rows, one a frame; the last frame is `memoLength` bytes and more. `marked`: the owner then idled. */
async function threeRows(memoLength: number, marked: boolean): Promise<Image> {
  const disk = new SimDisk({ seed: 5 });
  await inSession(
    disk,
    async ({ db, scheduler }) => {
      const tenant = await db.createTenant('amber');
      await tenant.execute('CREATE TABLE rows (id integer PRIMARY KEY, memo text)');
      for (const id of [1, 2, 3]) {
        const memo = 'm'.repeat(id === 3 ? memoLength : 20);
        await tenant.execute('INSERT INTO rows VALUES ($1, $2)', [id, memo]);
      }
      if (marked) await wait(scheduler, 60);
    },
    { logSizes: oneSegment },
  );
  return disk.image();
}

/** Thirteen rows over several segments. */
async function severalSegments(seed = 6, end: 'close' | 'kill' = 'close'): Promise<Image> {
  const disk = new SimDisk({ seed });
  await inSession(
    disk,
    async ({ db }) => {
      const tenant = await db.createTenant('amber');
      await tenant.execute('CREATE TABLE rows (id integer PRIMARY KEY, memo text)');
      for (let id = 1; id <= 13; id++) {
        await tenant.execute('INSERT INTO rows VALUES ($1, $2)', [id, 'm'.repeat(1_500)]);
      }
      if (end === 'close') await db.close();
    },
    { seed },
  );
  return disk.image();
}

interface Opened {
  readonly ids: number[];
  readonly cut: readonly { readonly file: string; readonly offset: number }[];
  readonly cleanShutdown: boolean;
  readonly segments: number;
}

/** Opens `image`, and once more what that left behind, which must then be whole. */
async function openImage(image: Image): Promise<Opened> {
  const disk = SimDisk.fromImage(image);
  const opened = await inSession(disk, async ({ db }) => {
    const { recovery, segments } = db.status();
    const { rows } = await db
      .tenant('amber')
      .query<{ id: number }>('SELECT id FROM rows ORDER BY id');
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
    return { ids: rows.map(({ id }) => id), ...recovery, segments };
  });
  await inSession(disk, async ({ db }) => {
    expect(db.status().recovery).toEqual({ cleanShutdown: true, cut: [] });
  });
  return opened;
}

/** Opening must fail, change nothing and name the place. */
async function refusal(image: Image): Promise<CorruptionError> {
  const disk = SimDisk.fromImage(image);
  let refused: unknown;
  await inSession(disk, async () => undefined).catch((error: unknown) => (refused = error));
  expect(refused, 'opening must fail').toMatchObject({ name: 'CorruptionError', exitCode: 3 });
  expect(sameFiles(disk.image(), image), 'a refused database is left as it was').toBe(true);
  return refused as CorruptionError;
}

describe('the last frame, torn', () => {
  let unmarked: Image;
  let marked: Image;
  let last: FramePlace;

  beforeAll(async () => {
    unmarked = await threeRows(1_700, false);
    marked = await threeRows(1_700, true);
    last = framesOf(unmarked).at(-1) as FramePlace;
    expect(last.header.kind).toBe('data');
    expect(framesOf(marked).at(-1)?.header.kind).toBe('mark');
    expect(Math.floor((last.end - 1) / sector) - Math.floor(last.offset / sector)).toBeGreaterThan(
      3,
    );
  });

  const tornAt = (image: Image, from: number): Image =>
    withFile(image, last.path, (bytes) => zeroed(bytes, from, last.end));

  test('at any byte: it is cut, reported, and nothing else is lost', async () => {
    // The edges of the frame and of its sectors, and some between; src/log/walk.test.ts does every byte.
    for (let at = last.offset + 1; at < last.end; at++) {
      const nearEdge =
        Math.min(at - last.offset, last.end - at, at % sector, sector - (at % sector)) < 6;
      if (!nearEdge && at % 37 !== 0) continue;
      const { ids, cut, cleanShutdown } = await openImage(tornAt(unmarked, at));
      expect({ at, ids, cleanShutdown }).toEqual({ at, ids: [1, 2], cleanShutdown: false });
      expect(cut).toMatchObject([{ file: last.path, offset: last.offset }]);
    }
  });

  test('at any sector subset: it is cut unless nothing of it is missing', async () => {
    const first = Math.floor(last.offset / sector);
    const count = Math.floor((last.end - 1) / sector) - first + 1;
    for (let kept = 0; kept < 2 ** count; kept++) {
      const image = withFile(unmarked, last.path, (bytes) => {
        for (let index = 0; index < count; index++) {
          if ((kept >> index) % 2 === 1) continue;
          const start = Math.max(last.offset, (first + index) * sector);
          bytes.fill(0, start, Math.min(last.end, (first + index + 1) * sector));
        }
        return bytes;
      });
      const { ids, cut } = await openImage(image);
      expect({ kept, ids }).toEqual({ kept, ids: kept === 2 ** count - 1 ? [1, 2, 3] : [1, 2] });
      expect(cut.length).toBe(kept === 0 || kept === 2 ** count - 1 ? 0 : 1);
    }
  });

  test('by the end of the file: it is cut', async () => {
    for (let at = last.offset + 1; at < last.end; at += 97) {
      const image = withFile(unmarked, last.path, (bytes) => bytes.slice(0, at));
      const { ids, cut } = await openImage(image);
      expect(ids).toEqual([1, 2]);
      expect(cut).toMatchObject([{ file: last.path, offset: last.offset }]);
    }
  });

  test('but acknowledged, as a mark behind it says: it is refused, with its place', async () => {
    for (let at = last.offset; at < last.end; at += 61) {
      const error = await refusal(tornAt(marked, at));
      expect(error.code).toBe('CHECKSUM_MISMATCH');
      expect(error.file).toBe(last.path);
      expect(error.offset).toBeGreaterThanOrEqual(last.offset);
      expect(error.offset).toBeLessThanOrEqual(last.end);
    }
  });

  test('a changed byte is never cut, acknowledged or not', async () => {
    for (const image of [unmarked, marked]) {
      for (let at = last.offset; at < last.end; at += 71) {
        const error = await refusal(
          withFile(image, last.path, (bytes) => {
            bytes[at] = (bytes[at] as number) ^ 0x10;
            return bytes;
          }),
        );
        expect(error.file).toBe(last.path);
        expect(error.offset).toBeGreaterThanOrEqual(last.offset);
      }
    }
  });
});

test('a hole followed by good frames is refused wherever it is', async () => {
  const image = await threeRows(700, true);
  const frames = framesOf(image);
  for (const [number, frame] of frames.slice(0, -1).entries()) {
    const error = await refusal(
      withFile(image, frame.path, (bytes) => zeroed(bytes, frame.offset, frame.end)),
    );
    expect(error.code).toBe('CHECKSUM_MISMATCH');
    expect(error.offset).toBe(frames[number + 1]?.offset);
  }
});

describe('segments', () => {
  let image: Image;
  let paths: string[];

  beforeAll(async () => {
    image = await severalSegments();
    paths = segmentsOf(image);
    expect(paths.length).toBeGreaterThan(3);
    expect((await openImage(image)).ids).toHaveLength(13);
  });

  test('a missing segment is refused', async () => {
    for (const [number, path] of paths.entries()) {
      const error = await refusal(withFile(image, path, () => undefined));
      expect(error.code).toBe('MISSING_DATA');
      // The one after the gap tells; behind the last it is the one before.
      expect(error.file).toBe(paths[number + 1] ?? paths[number - 1]);
    }
    const none = [...image].filter(([path]) => !paths.includes(path));
    expect((await refusal(new Map(none))).code).toBe('MISSING_DATA');
  });

  test('a segment of another database is refused', async () => {
    const other = await severalSegments(7);
    for (const path of paths) {
      const foreign = other.get(path);
      if (foreign === undefined) continue;
      const error = await refusal(withFile(image, path, () => foreign.slice()));
      expect(error).toMatchObject({ code: 'FOREIGN_FILE', file: path });
    }
  });

  test('another segment under its name is refused', async () => {
    for (const [number, path] of paths.entries()) {
      const wrong = image.get(paths[(number + 1) % paths.length] as string) as Uint8Array;
      const error = await refusal(withFile(image, path, () => wrong.slice()));
      expect(error.file).toBe(path);
      expect(['MISSING_DATA', 'CHAIN_BROKEN']).toContain(error.code);
    }
  });

  test('a segment that others follow is refused when it is cut short, or an older copy lies there', async () => {
    for (const path of paths.slice(0, -1)) {
      const frames = framesOf(image).filter((frame) => frame.path === path);
      for (const { offset } of frames) {
        const short = await refusal(withFile(image, path, (bytes) => bytes.slice(0, offset)));
        expect(short).toMatchObject({ code: 'MISSING_DATA', file: path, offset });
        const older = await refusal(
          withFile(image, path, (bytes) => zeroed(bytes, offset, bytes.length)),
        );
        expect(older).toMatchObject({ code: 'MISSING_DATA', file: path, offset });
        const torn = await refusal(withFile(image, path, (bytes) => bytes.slice(0, offset + 50)));
        expect(torn).toMatchObject({ code: 'CHECKSUM_MISMATCH', file: path, offset });
      }
    }
  });

  test('the last segment as it was some frames ago is refused, with where it ends and what is missing', async () => {
    const path = paths.at(-1) as string;
    const frames = framesOf(image).filter((frame) => frame.path === path);
    for (const { offset, header } of frames) {
      const older = withFile(image, path, (bytes) => bytes.slice(0, offset));
      const error = await refusal(older);
      expect(error).toMatchObject({ code: 'MISSING_DATA', file: path, offset });
      expect(error.message).toMatch(new RegExp(`Frames? ${header.op}[ ,]`));
      expect(error.message).toContain('verity repair --from');
    }
  });

  test('an anchor that is missing, of another database, or of a log that went another way is refused', async () => {
    const foreign = (await severalSegments(7)).get('anchor') as Uint8Array;
    const cases: [string, () => Uint8Array | undefined][] = [
      ['MISSING_DATA', () => undefined],
      ['FOREIGN_FILE', () => foreign],
      ['CHECKSUM_MISMATCH', () => new Uint8Array(1_024)],
    ];
    for (const [code, anchor] of cases) {
      expect(await refusal(withFile(image, 'anchor', anchor))).toMatchObject({
        code,
        file: 'anchor',
      });
    }
  });

  test('an older anchor opens the log, and is moved on', async () => {
    const older = await withAnchorAt(image, 3);
    expect((await openImage(older)).ids).toHaveLength(13);
    const disk = SimDisk.fromImage(older);
    // By the open itself: nothing is written, and the process is killed.
    await inSession(disk, async () => undefined);
    const path = paths.at(-1) as string;
    const last = framesOf(image).at(-1) as FramePlace;
    expect(
      await refusal(withFile(disk.image(), path, (bytes) => bytes.slice(0, last.offset))),
    ).toMatchObject({ code: 'MISSING_DATA' });
  });

  test('under steady load, too, the anchor follows within about a second', async () => {
    const disk = new SimDisk({ seed: 12 });
    const lastMarked = await inSession(
      disk,
      async ({ db, scheduler }) => {
        const tenant = await db.createTenant('amber');
        await tenant.execute('CREATE TABLE rows (id integer PRIMARY KEY, memo text)');
        for (let id = 1; id <= 150; id++) {
          await tenant.execute('INSERT INTO rows VALUES ($1, $2)', [id, 'm']);
          await wait(scheduler, 10);
        }
        return db.status().frames;
      },
      { logSizes: oneSegment },
    );
    const kinds = framesOf(disk.image()).map(({ header }) => header.kind);
    expect(kinds).not.toContain('mark');
    const { keyring } = readKeyFiles(disk);
    const { newest } = readAnchor(disk, keyring.logId, undefined);
    expect(newest.op).toBeGreaterThan(lastMarked - 110);
  });

  test('with a slot of the anchor torn, it opens, says so and has both slots again', async () => {
    for (const slot of [0, 512]) {
      const disk = SimDisk.fromImage(
        withFile(image, 'anchor', (bytes) => bytes.slice().fill(0, slot, slot + 512)),
      );
      await inSession(disk, async ({ db }) => {
        expect(db.status().recovery.anchorRenewed).toBe(true);
        expect((await db.verify()).findings).toEqual([]);
        await db.close();
      });
      await inSession(disk, async ({ db }) => {
        expect(db.status().recovery).toEqual({ cleanShutdown: true, cut: [] });
      });
    }
  });

  test('bytes behind the end of a finished segment are refused', async () => {
    const path = paths[0] as string;
    const error = await refusal(withFile(image, path, (bytes) => Uint8Array.of(...bytes, 0, 0, 9)));
    expect(error).toMatchObject({ file: path, offset: (image.get(path) as Uint8Array).length + 2 });
  });
});

describe('what an interrupted roll leaves', () => {
  let image: Image;
  let lastPath: string;
  let endFrame: FramePlace;
  /** The log as it was before its last roll: the end frame and all behind it is gone. */
  let before: Map<string, Uint8Array>;
  let header: Uint8Array;

  beforeAll(async () => {
    image = await severalSegments(8, 'kill');
    lastPath = segmentsOf(image).at(-1) as string;
    header = (image.get(lastPath) as Uint8Array).slice(0, 128);
    endFrame = framesOf(image).findLast((frame) => frame.header.kind === 'end') as FramePlace;
    expect(framesOf(image).at(-1)?.path).toBe(lastPath);
    const anchored = await withAnchorAt(image, endFrame.header.op - 1);
    before = withFile(anchored, endFrame.path, (bytes) => bytes.slice(0, endFrame.offset));
    before.delete(lastPath);
  });

  test('a new segment, in any state, behind an unfinished one is removed', async () => {
    const whole = await openImage(before);
    for (const left of [header, header.slice(0, 60), new Uint8Array(), new Uint8Array(128)]) {
      const opened = await openImage(new Map(before).set(lastPath, left));
      expect(opened.ids).toEqual(whole.ids);
      expect(opened.segments).toBe(whole.segments);
      expect(opened.cleanShutdown).toBe(false);
    }
  });

  test('together with a torn end frame it is removed and the frame is cut', async () => {
    const anchored = await withAnchorAt(image, endFrame.header.op - 1);
    const torn = withFile(anchored, endFrame.path, (bytes) =>
      zeroed(bytes, endFrame.offset + 100, endFrame.end + 9),
    );
    const opened = await openImage(torn.set(lastPath, header));
    expect(opened.cut).toMatchObject([{ file: endFrame.path, offset: endFrame.offset }]);
    expect(opened.segments).toBe(segmentsOf(image).length - 1);
  });

  test('a new segment behind a finished one stays, and the log goes on in it', async () => {
    const rolled = withFile(image, lastPath, () => header);
    const opened = await openImage(rolled);
    expect(opened.segments).toBe(segmentsOf(image).length);
    expect(opened.cleanShutdown).toBe(false);
  });

  test('a segment with frames behind an unfinished one is never removed', async () => {
    const anchored = await withAnchorAt(image, 0);
    const unfinished = withFile(anchored, endFrame.path, (b) => b.slice(0, endFrame.offset));
    const error = await refusal(unfinished);
    expect(error).toMatchObject({
      code: 'MISSING_DATA',
      file: endFrame.path,
      offset: endFrame.offset,
    });
  });
});
