/** Failing and crashing at any call. */
import { describe, expect, test } from 'vitest';
import { VerityError, type Disk } from '../base/index.ts';
import { callKinds } from './faults.ts';
import { SimDisk, SimulatedCrash } from './index.ts';

const before = new Map([['log/old', Uint8Array.of(1, 1, 1)]]);

/** Uses every method once or more. */
async function useAll(disk: Disk): Promise<void> {
  disk.makeDirectory('log/deep');
  disk.exists('log');
  disk.list('log');
  const file = disk.open('log/new', 'create');
  file.write(new Uint8Array(2_000).fill(2), 0);
  file.truncate(3_000);
  file.sizeBytes();
  file.flush();
  file.write(new Uint8Array(10).fill(3), 100);
  await file.flushInBackground();
  file.read(new Uint8Array(10), 0);
  file.close();
  disk.rename('log/new', 'log/newer');
  disk.flushDirectory('log');
  disk.remove('log/old');
}

async function outcomeOf(disk: SimDisk): Promise<unknown> {
  try {
    await useAll(disk);
    return undefined;
  } catch (error) {
    return error;
  }
}

async function callsOf(): Promise<number> {
  const disk = SimDisk.fromImage(before);
  await useAll(disk);
  expect(callKinds.filter((kind) => disk.calls[kind] === 0)).toEqual([]);
  expect(callKinds.reduce((sum, kind) => sum + disk.calls[kind], 0)).toBe(disk.callCount);
  return disk.callCount;
}

describe('crashAtCall', () => {
  test('stops the machine inside each call in turn, and at no other', async () => {
    const calls = await callsOf();
    for (let call = 1; call <= calls; call++) {
      const disk = SimDisk.fromImage(before, { seed: call, faults: { crashAtCall: call } });
      expect(await outcomeOf(disk)).toBeInstanceOf(SimulatedCrash);
      expect(disk.callCount).toBe(call);
      expect(disk.isDead).toBe(true);
    }
    const disk = SimDisk.fromImage(before, { faults: { crashAtCall: calls + 1 } });
    expect(await outcomeOf(disk)).toBeUndefined();
  });

  test('a dead disk and its open files throw SimulatedCrash at every call', async () => {
    const disk = SimDisk.fromImage(before);
    const file = disk.open('log/old', 'readwrite');
    disk.crash();
    const attempts = [
      () => disk.list(''),
      () => disk.exists('a'),
      () => disk.makeDirectory('a'),
      () => disk.open('a', 'create'),
      () => disk.rename('log/old', 'a'),
      () => disk.remove('log/old'),
      () => disk.flushDirectory(''),
      () => file.sizeBytes(),
      () => file.read(new Uint8Array(1), 0),
      () => file.write(new Uint8Array(1), 0),
      () => file.flush(),
      () => file.truncate(0),
      () => file.close(),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(SimulatedCrash);
    await expect(file.flushInBackground()).rejects.toThrow(SimulatedCrash);
    expect(disk.callCount).toBe(1);
  });

  test('a SimulatedCrash is no error of the disk', () => {
    expect(new SimulatedCrash()).not.toBeInstanceOf(VerityError);
  });

  test('the call that crashes may or may not have happened', () => {
    const seen = {
      created: new Set<boolean>(),
      written: new Set<number>(),
      flushed: new Set<number>(),
    };
    for (let seed = 0; seed < 200; seed++) {
      const created = SimDisk.fromImage(before, { seed, faults: { crashAtCall: 1 } });
      expect(() => created.open('new', 'create')).toThrow(SimulatedCrash);
      seen.created.add(created.crash().exists('new'));

      const written = SimDisk.fromImage(before, { seed, faults: { crashAtCall: 2 } });
      const file = written.open('log/old', 'readwrite');
      expect(() => file.write(new Uint8Array(3).fill(2), 0)).toThrow(SimulatedCrash);
      const content = written.crash().image().get('log/old') as Uint8Array;
      seen.written.add(content.filter((byte) => byte === 2).length);
      expect(content.join('')).toMatch(/^2*1*$/);

      const flushed = SimDisk.fromImage(before, { seed, faults: { crashAtCall: 3 } });
      const other = flushed.open('log/old', 'readwrite');
      other.write(new Uint8Array(3).fill(2), 0);
      expect(() => other.flush()).toThrow(SimulatedCrash);
      seen.flushed.add(flushed.crash().image().get('log/old')?.[0] ?? -1);
    }
    expect(seen.created).toEqual(new Set([false, true]));
    expect(seen.written).toEqual(new Set([0, 1, 2, 3]));
    expect(seen.flushed).toEqual(new Set([1, 2]));
  });
});

describe('fail', () => {
  test('fails each call in turn, once, naming the path', async () => {
    const calls = await callsOf();
    for (let call = 1; call <= calls; call++) {
      const disk = SimDisk.fromImage(before, { faults: { fail: [{ call, code: 'IO_ERROR' }] } });
      const error = await outcomeOf(disk);
      expect(error).toMatchObject({
        code: 'IO_ERROR',
        details: { path: expect.stringMatching(/^log/) as string },
      });
      expect(disk.callCount).toBe(call);
      expect(disk.isDead).toBe(false);
      expect(disk.exists('log')).toBe(true);
    }
  });

  test('for good, fails every later call as well', () => {
    const disk = SimDisk.fromImage(before, {
      faults: { fail: [{ call: 2, code: 'IO_ERROR', forGood: true }] },
    });
    expect(disk.exists('log')).toBe(true);
    for (let attempt = 0; attempt < 3; attempt++)
      expect(() => disk.exists('log')).toThrow(VerityError);
  });

  test('with a kind, counts the calls of that kind', () => {
    const disk = SimDisk.fromImage(before, {
      faults: { fail: [{ call: 2, kind: 'open', code: 'IO_ERROR' }] },
    });
    disk.exists('log');
    disk.open('log/old', 'read').close();
    expect(() => disk.open('log/old', 'read')).toThrow(VerityError);
    disk.open('log/old', 'read').close();
  });

  test('DISK_FULL strikes what may take space and lets the rest pass', () => {
    const disk = SimDisk.fromImage(before, {
      faults: { fail: [{ call: 1, code: 'DISK_FULL', forGood: true }] },
    });
    const full = expect.objectContaining({ code: 'DISK_FULL' }) as Error;
    const file = disk.open('log/old', 'readwrite');
    expect(file.read(new Uint8Array(3), 0)).toBe(3);
    expect(() => file.write(new Uint8Array(1), 9)).toThrow(full);
    expect(() => file.flush()).toThrow(expect.objectContaining({ code: 'IO_ERROR' }) as Error);
    expect(() => disk.open('new', 'create')).toThrow(full);
    expect(() => disk.makeDirectory('new')).toThrow(full);
    disk.remove('log/old');
    file.close();
    expect(disk.list('log')).toEqual([]);
  });

  test('a write that fails may have written a part, from the start', () => {
    const lengths = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      const disk = SimDisk.fromImage(before, {
        seed,
        faults: { fail: [{ call: 1, kind: 'write', code: 'IO_ERROR' }] },
      });
      const file = disk.open('log/old', 'readwrite');
      expect(() => file.write(new Uint8Array(3).fill(2), 0)).toThrow(VerityError);
      const content = disk.image().get('log/old') as Uint8Array;
      expect(content.join('')).toMatch(/^2*1*$/);
      lengths.add(content.filter((byte) => byte === 2).length);
    }
    expect(lengths).toEqual(new Set([0, 1, 2, 3]));
  });

  test('setFaults takes effect from the next call and keeps the counts', () => {
    const disk = SimDisk.fromImage(before);
    disk.exists('log');
    disk.setFaults({ crashAtCall: disk.callCount + 2 });
    disk.exists('log');
    expect(() => disk.exists('log')).toThrow(SimulatedCrash);
    expect(disk.calls.exists).toBe(3);
  });
});
