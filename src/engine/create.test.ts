import { expect, test } from 'vitest';
import { Prng } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { HeldKeyProvider } from '../keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../sim/index.ts';
import { createDatabase, inspectDirectory } from './create.ts';
import type { EngineHost } from './host.ts';
import { openEngine } from './open.ts';

const master = (): SecretKey => new SecretKey(new Uint8Array(32).fill(7));
const provider = new HeldKeyProvider('fixed', 'fixed', master);

function hostOn(disk: SimDisk): EngineHost {
  return { disk, clock: new SimClock(), scheduler: new SimScheduler(), entropy: new Prng(3) };
}

async function callsOfCreation(): Promise<number> {
  const disk = new SimDisk();
  await createDatabase(hostOn(disk), provider);
  return disk.callCount;
}

test('a creation that stops at any call leaves nothing or a database, and can be done again', async () => {
  const calls = await callsOfCreation();
  const states = new Set<string>();
  for (let call = 1; call <= calls; call++) {
    for (let seed = 0; seed < 6; seed++) {
      const disk = new SimDisk({ seed, faults: { crashAtCall: call } });
      await expect(createDatabase(hostOn(disk), provider)).rejects.toThrow(/stopped/);
      const after = disk.crash();
      const state = inspectDirectory(after);
      states.add(state);
      expect(['empty', 'unfinished', 'database'], `call ${call}, seed ${seed}`).toContain(state);
      const engine = await openEngine(hostOn(after), {
        provider,
        mode: 'owner',
        create: state !== 'database',
      });
      await engine.close();
      expect(inspectDirectory(after)).toBe('database');
    }
  }
  expect([...states].toSorted()).toEqual(['database', 'empty', 'unfinished']);
});

test('a creation that fails once at any call can be done again on the same disk', async () => {
  const calls = await callsOfCreation();
  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    for (let call = 1; call <= calls; call++) {
      const disk = new SimDisk({ faults: { fail: [{ call, code }] } });
      const first = await createDatabase(hostOn(disk), provider).catch(
        (error: { code: string }) => error.code,
      );
      // A flush fails with IO_ERROR for lack of room, too.
      expect([undefined, code, 'IO_ERROR']).toContain(first);
      const engine = await openEngine(hostOn(disk), { provider, mode: 'owner', create: true });
      await engine.close();
      expect(inspectDirectory(disk)).toBe('database');
    }
  }
});

test('a directory with other files is not ours, and is left alone', () => {
  const image = new Map([['letter.txt', Uint8Array.of(1)]]);
  const disk = SimDisk.fromImage(image);
  expect(() => inspectDirectory(disk)).toThrow(expect.objectContaining({ code: 'NOT_A_DATABASE' }));
  expect(disk.image()).toEqual(image);
  expect(inspectDirectory(new SimDisk())).toBe('empty');
});

test('a log with records but without verity.json is damage, and nothing is created over it', async () => {
  const disk = new SimDisk();
  const engine = await openEngine(hostOn(disk), { provider, mode: 'owner', create: true });
  await Promise.resolve();
  await engine.close();
  const image = disk.image();
  image.delete('verity.json');
  const left = SimDisk.fromImage(image);
  const open = openEngine(hostOn(left), { provider, mode: 'owner', create: true });
  await expect(open).rejects.toMatchObject({
    code: 'MISSING_DATA',
    details: { file: 'verity.json' },
  });
  expect(left.image()).toEqual(image);
});

test('only an owner that may create does', async () => {
  for (const settings of [
    { mode: 'owner', create: false },
    { mode: 'follower', create: true },
  ] as const) {
    const disk = new SimDisk();
    await expect(openEngine(hostOn(disk), { provider, ...settings })).rejects.toMatchObject({
      code: 'NO_DATABASE',
    });
    expect(disk.image().size).toBe(0);
  }
});
