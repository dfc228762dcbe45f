/** What failed and background flushes of the simulated disk promise, over many seeds. */
import { describe, expect, test } from 'vitest';
import { VerityError, type DiskFile } from '../base/index.ts';
import { SimDisk, SimulatedCrash, SimScheduler, type SimFaults } from './index.ts';

const sector = 512;
const seeds = Array.from({ length: 200 }, (_, index) => index);

function filled(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

function contentOf(disk: SimDisk, path: string): Uint8Array | undefined {
  return disk.image().get(path);
}

/** A durable file of `length` bytes of value 1. */
function withDurableFile(
  seed: number,
  length: number,
  faults: SimFaults = {},
): { disk: SimDisk; file: DiskFile } {
  const disk = SimDisk.fromImage(new Map([['file', filled(1, length)]]), { seed });
  const file = disk.open('file', 'readwrite');
  disk.setFaults(faults);
  return { disk, file };
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

describe('failed flushes', () => {
  const failing: SimFaults = { fail: [{ call: 1, kind: 'flush', code: 'IO_ERROR' }] };

  test('the bytes read back and are gone after a crash, even if a later flush succeeds', () => {
    for (const seed of seeds) {
      const { disk, file } = withDurableFile(seed, 2 * sector, failing);
      file.write(filled(2, sector), 0);
      expect(codeOf(() => file.flush())).toBe('IO_ERROR');
      file.write(filled(3, sector), sector);
      file.flush();
      expect(contentOf(disk, 'file')?.[0]).toBe(2);
      const content = contentOf(disk.crash(), 'file');
      expect(content?.[0]).toBe(1);
      expect(content?.[sector]).toBe(3);
    }
  });

  test('bytes that were appended read as zeros after the crash, or are past the end', () => {
    for (const seed of seeds) {
      const { disk, file } = withDurableFile(seed, sector, failing);
      file.write(filled(2, sector), sector);
      expect(codeOf(() => file.flush())).toBe('IO_ERROR');
      file.flush();
      expect(contentOf(disk.crash(), 'file')).not.toContain(2);
    }
  });

  test('the same holds in the background', async () => {
    const { disk, file } = withDurableFile(1, sector, {
      fail: [{ call: 1, kind: 'flushInBackground', code: 'IO_ERROR' }],
    });
    file.write(filled(2, sector), 0);
    await expect(file.flushInBackground()).rejects.toMatchObject({ code: 'IO_ERROR' });
    await file.flushInBackground();
    expect(contentOf(disk, 'file')?.[0]).toBe(2);
    expect(contentOf(disk.crash(), 'file')?.[0]).toBe(1);
  });

  test('a flush that finds the disk full loses the bytes as well, and does not say that it may be tried again', () => {
    const { disk, file } = withDurableFile(1, sector, {
      fail: [{ call: 1, kind: 'flush', code: 'DISK_FULL' }],
    });
    file.write(filled(2, sector), 0);
    expect(codeOf(() => file.flush())).toBe('IO_ERROR');
    file.flush();
    expect(contentOf(disk.crash(), 'file')?.[0]).toBe(1);
  });

  test('names stay in doubt for ever after a failed flush of their directory', () => {
    const there = outcomes((seed) => {
      const disk = new SimDisk({
        seed,
        faults: { fail: [{ call: 1, kind: 'flushDirectory', code: 'IO_ERROR' }] },
      });
      disk.open('file', 'create').close();
      expect(codeOf(() => disk.flushDirectory(''))).toBe('IO_ERROR');
      disk.flushDirectory('');
      return disk.crash().exists('file');
    });
    expect(there).toEqual(new Set([false, true]));
  });
});

describe('background flushes', () => {
  test('they end when the scheduler runs, and not before', async () => {
    const scheduler = new SimScheduler();
    const disk = new SimDisk({ scheduler });
    const file = disk.open('file', 'create');
    let isFlushed = false;
    const flush = file.flushInBackground().then(() => (isFlushed = true));
    await Promise.resolve();
    expect(isFlushed).toBe(false);
    await scheduler.run();
    expect(isFlushed).toBe(true);
    expect(scheduler.elapsedMicros).toBeGreaterThan(0);
    await flush;
  });

  test('what is written meanwhile is not covered', async () => {
    const later = new Set<number>();
    for (const seed of seeds) {
      const scheduler = new SimScheduler();
      const disk = SimDisk.fromImage(new Map([['file', filled(1, 2 * sector)]]), {
        seed,
        scheduler,
      });
      const file = disk.open('file', 'readwrite');
      file.write(filled(2, sector), 0);
      const flush = file.flushInBackground();
      file.write(filled(3, sector), sector);
      await scheduler.settle(flush);
      const content = contentOf(disk.crash(), 'file') as Uint8Array;
      expect(content[0]).toBe(2);
      later.add(content[sector] as number);
    }
    expect(later).toEqual(new Set([1, 3]));
  });

  test('those of two files end in an order that the seed decides', async () => {
    const orders = new Set<string>();
    for (const seed of seeds.slice(0, 20)) {
      const scheduler = new SimScheduler();
      const disk = new SimDisk({ seed, scheduler });
      let order = '';
      for (const name of ['a', 'b'])
        void disk
          .open(name, 'create')
          .flushInBackground()
          .then(() => (order += name));
      await scheduler.run();
      orders.add(order);
    }
    expect(orders).toEqual(new Set(['ab', 'ba']));
  });

  test('one that is under way when the machine stops ends in SimulatedCrash', async () => {
    const scheduler = new SimScheduler();
    const disk = new SimDisk({ scheduler });
    const flush = disk.open('file', 'create').flushInBackground();
    disk.crash();
    await expect(scheduler.settle(flush)).rejects.toThrow(SimulatedCrash);
  });

  test('one that is itself the call of the crash rejects with SimulatedCrash', async () => {
    const { disk, file } = withDurableFile(1, 1);
    disk.setFaults({ crashAtCall: disk.callCount + 1 });
    await expect(file.flushInBackground()).rejects.toThrow(SimulatedCrash);
    expect(disk.isDead).toBe(true);
  });
});
