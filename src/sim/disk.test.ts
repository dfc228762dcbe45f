/** Each promise of the simulated disk, by example over many seeds. */
import { describe, expect, test } from 'vitest';
import { VerityError, type DiskFile } from '../base/index.ts';
import { ramDisk, SimDisk } from './index.ts';

const sector = 512;
const seeds = Array.from({ length: 200 }, (_, index) => index);

function filled(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

function contentOf(disk: SimDisk, path: string): Uint8Array | undefined {
  return disk.image().get(path);
}

/** A durable file of `length` bytes of value 1. */
function withDurableFile(seed: number, length: number): { disk: SimDisk; file: DiskFile } {
  const disk = SimDisk.fromImage(new Map([['file', filled(1, length)]]), { seed });
  return { disk, file: disk.open('file', 'readwrite') };
}

/** The distinct outcomes over all seeds. */
function outcomes<T>(of: (seed: number) => T): Set<T> {
  return new Set(seeds.map(of));
}

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
  return 'no error';
}

describe('bytes after a crash', () => {
  test('flushed bytes are there, whatever happens to later ones elsewhere', () => {
    for (const seed of seeds) {
      const { disk, file } = withDurableFile(seed, 4 * sector);
      file.write(filled(2, 2 * sector), 0);
      file.flush();
      file.write(filled(3, 2 * sector), 2 * sector);
      expect(contentOf(disk.crash(), 'file')?.subarray(0, 2 * sector)).toEqual(
        filled(2, 2 * sector),
      );
    }
  });

  test('an unsynced write is applied, lost or torn between sectors, never within one', () => {
    const kinds = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, 8 * sector);
      file.write(filled(2, 8 * sector), 0);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      let changed = 0;
      for (let start = 0; start < content.length; start += sector) {
        const bytes = content.subarray(start, start + sector);
        expect(new Set(bytes).size).toBe(1);
        if (bytes[0] === 2) changed++;
      }
      return changed === 0 ? 'lost' : changed === 8 ? 'applied' : 'torn';
    });
    expect(kinds).toEqual(new Set(['applied', 'lost', 'torn']));
  });

  test('a torn write may miss its beginning', () => {
    const starts = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, 8 * sector);
      file.write(filled(2, 8 * sector), 0);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      return content[0] === 1 && content.includes(2);
    });
    expect(starts.has(true)).toBe(true);
  });

  test('writes reach the disk in any order: the later one may be there without the earlier', () => {
    const seen = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, 2 * sector);
      file.write(filled(2, sector), 0);
      file.write(filled(3, sector), sector);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      return `${content[0]} ${content[sector]}`;
    });
    expect(seen).toEqual(new Set(['1 1', '1 3', '2 1', '2 3']));
  });

  test('a sector that was written twice is as it was before, between or after, never a mixture', () => {
    const seen = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, sector);
      file.write(filled(2, 100), 0);
      file.write(filled(3, 100), 100);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      return `${content[0]} ${content[100]}`;
    });
    expect(seen).toEqual(new Set(['1 1', '2 1', '2 3']));
  });

  test('an unsynced growth may leave the old size, zeros, or the bytes', () => {
    const seen = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, sector);
      file.write(filled(2, sector), sector);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      return content.length === sector ? 'old' : `byte ${content[sector]}`;
    });
    expect(seen).toEqual(new Set(['byte 0', 'byte 2', 'old']));
  });

  test('an unsynced cut may or may not have happened', () => {
    const sizes = outcomes((seed) => {
      const { disk, file } = withDurableFile(seed, 2 * sector);
      file.truncate(sector);
      return contentOf(disk.crash(), 'file')?.length ?? -1;
    });
    expect(sizes).toEqual(new Set([sector, 2 * sector]));
  });

  test('sizes come in order: growth after a cut never brings the cut bytes back', () => {
    for (const seed of seeds) {
      const { disk, file } = withDurableFile(seed, 4 * sector);
      file.truncate(2 * sector);
      file.truncate(6 * sector);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      if (content.length === 6 * sector) expect(content.lastIndexOf(1)).toBe(2 * sector - 1);
    }
  });

  test('a crash leaves all of it durable: the next crash changes nothing', () => {
    for (const seed of seeds.slice(0, 50)) {
      const { disk, file } = withDurableFile(seed, 4 * sector);
      file.write(filled(2, 6 * sector), 100);
      const after = disk.crash();
      expect(after.durableImage()).toEqual(after.image());
      expect(after.crash().image()).toEqual(after.image());
    }
  });

  test('crash() may be called again, for another of the images', () => {
    const { disk, file } = withDurableFile(7, 64 * sector);
    file.write(filled(2, 64 * sector), 0);
    const images = new Set(
      Array.from({ length: 20 }, () => String(contentOf(disk.crash(), 'file'))),
    );
    expect(images.size).toBeGreaterThan(3);
  });
});

describe('names after a crash', () => {
  test('a new file may vanish until its directory is flushed, however well it was flushed itself', () => {
    const lastsFrom = (flushesDirectory: boolean) =>
      outcomes((seed) => {
        const disk = new SimDisk({ seed });
        const file = disk.open('file', 'create');
        file.write(filled(2, 10), 0);
        file.flush();
        if (flushesDirectory) disk.flushDirectory('');
        return disk.crash().exists('file');
      });
    expect(lastsFrom(false)).toEqual(new Set([false, true]));
    expect(lastsFrom(true)).toEqual(new Set([true]));
  });

  test('a flushed name says nothing of the bytes', () => {
    const sizes = outcomes((seed) => {
      const disk = new SimDisk({ seed });
      disk.open('file', 'create').write(filled(2, 10), 0);
      disk.flushDirectory('');
      return contentOf(disk.crash(), 'file')?.length ?? -1;
    });
    expect(sizes).toEqual(new Set([0, 10]));
  });

  test('an unflushed directory takes the files in it along', () => {
    const seen = outcomes((seed) => {
      const disk = new SimDisk({ seed });
      disk.makeDirectory('log');
      const file = disk.open('log/file', 'create');
      file.flush();
      disk.flushDirectory('log');
      const after = disk.crash();
      return `${after.exists('log')} ${after.exists('log/file')}`;
    });
    expect(seen).toEqual(new Set(['false false', 'true true']));
  });

  test('a removed file may be back until its directory is flushed', () => {
    const isBack = (flushes: boolean) =>
      outcomes((seed) => {
        const { disk } = withDurableFile(seed, 10);
        disk.remove('file');
        if (flushes) disk.flushDirectory('');
        return contentOf(disk.crash(), 'file')?.length ?? -1;
      });
    expect(isBack(false)).toEqual(new Set([-1, 10]));
    expect(isBack(true)).toEqual(new Set([-1]));
  });

  test.each(['', 'other'])(
    'a file renamed to directory %j has exactly one of its names, always',
    (directory) => {
      const to = directory === '' ? 'to' : `${directory}/to`;
      const run = (flushed: readonly string[]) =>
        outcomes((seed) => {
          const disk = SimDisk.fromImage(
            new Map([
              ['from', filled(1, 3)],
              ['other/there', filled(9, 1)],
            ]),
            { seed },
          );
          disk.rename('from', to);
          for (const path of flushed) disk.flushDirectory(path);
          const after = disk.crash();
          expect(after.exists('from')).not.toBe(after.exists(to));
          expect(contentOf(after, after.exists(to) ? to : 'from')).toEqual(filled(1, 3));
          return after.exists(to);
        });
      expect(run([])).toEqual(new Set([false, true]));
      expect(run(['', directory])).toEqual(new Set([true]));
    },
  );

  test('a replaced file is the old one or the new one, and the new one once flushed', () => {
    const run = (flushes: boolean) =>
      outcomes((seed) => {
        const disk = SimDisk.fromImage(new Map([['file', filled(1, 3)]]), { seed });
        const next = disk.open('file.new', 'create');
        next.write(filled(2, 3), 0);
        next.flush();
        disk.rename('file.new', 'file');
        if (flushes) disk.flushDirectory('');
        return String(contentOf(disk.crash(), 'file'));
      });
    expect(run(false)).toEqual(new Set(['1,1,1', '2,2,2']));
    expect(run(true)).toEqual(new Set(['2,2,2']));
  });

  test('replacing a file without flushing its bytes first may leave it empty', () => {
    const seen = outcomes((seed) => {
      const disk = SimDisk.fromImage(new Map([['file', filled(1, 3)]]), { seed });
      disk.open('file.new', 'create').write(filled(2, 3), 0);
      disk.rename('file.new', 'file');
      return contentOf(disk.crash(), 'file')?.length ?? -1;
    });
    expect(seen).toEqual(new Set([0, 3]));
  });

  test('a new file under the old name of a renamed one never costs the renamed one', () => {
    const seen = outcomes((seed) => {
      const disk = SimDisk.fromImage(new Map([['a', filled(1, 1)]]), { seed });
      disk.rename('a', 'b');
      disk.open('a', 'create');
      return [...disk.crash().image()]
        .map(([name, content]) => `${name}:${content.length}`)
        .join(' ');
    });
    expect(seen).toEqual(new Set(['a:1', 'b:1', 'a:0 b:1']));
  });

  test('a flush of one directory covers the changes that its names rest on', () => {
    for (const seed of seeds) {
      const disk = SimDisk.fromImage(
        new Map([
          ['a', filled(1, 1)],
          ['other/there', filled(9, 1)],
        ]),
        { seed },
      );
      disk.rename('a', 'other/b');
      disk.open('a', 'create');
      disk.flushDirectory('');
      expect([...disk.crash().image()]).toEqual([
        ['a', new Uint8Array()],
        ['other/b', filled(1, 1)],
        ['other/there', filled(9, 1)],
      ]);
    }
  });
});

describe('capacity', () => {
  test('a write past it takes what fits and throws DISK_FULL', () => {
    const disk = new SimDisk({ faults: { capacityBytes: 1_000 } });
    const file = disk.open('file', 'create');
    file.write(filled(1, 900), 0);
    expect(codeOf(() => file.write(filled(2, 200), 900))).toBe('DISK_FULL');
    expect(file.sizeBytes()).toBe(1_000);
    expect(codeOf(() => file.truncate(1_001))).toBe('DISK_FULL');
    file.write(filled(3, 1_000), 0);
  });

  test('it counts all files, and a removed or cut one gives room back', () => {
    const disk = new SimDisk({ faults: { capacityBytes: 1_000 } });
    const first = disk.open('first', 'create');
    const second = disk.open('second', 'create');
    first.write(filled(1, 1_000), 0);
    expect(codeOf(() => second.write(filled(1, 500), 0))).toBe('DISK_FULL');
    first.truncate(700);
    second.write(filled(1, 300), 0);
    disk.remove('first');
    second.truncate(1_000);
  });
});

describe('images', () => {
  test('image() shows what reads see, durableImage() what flushes covered', () => {
    const disk = ramDisk();
    disk.makeDirectory('log');
    const file = disk.open('log/file', 'create');
    file.write(filled(1, 2), 0);
    expect(disk.image()).toEqual(new Map([['log/file', filled(1, 2)]]));
    expect(disk.durableImage()).toEqual(new Map());
    file.flush();
    disk.flushDirectory('log');
    expect(disk.durableImage()).toEqual(new Map());
    disk.flushDirectory('');
    expect(disk.durableImage()).toEqual(disk.image());
  });

  test('fromImage() gives the files back, all durable, and shares no bytes', () => {
    const bytes = filled(1, 3);
    const image = new Map([
      ['a/b/file', bytes],
      ['top', filled(2, 1)],
    ]);
    const disk = SimDisk.fromImage(image);
    bytes[0] = 9;
    expect(disk.durableImage()).toEqual(
      new Map([
        ['a/b/file', filled(1, 3)],
        ['top', filled(2, 1)],
      ]),
    );
    disk.image().get('top')?.fill(9);
    expect(contentOf(disk, 'top')).toEqual(filled(2, 1));
    expect(disk.list('a/b')).toEqual(['file']);
  });
});
