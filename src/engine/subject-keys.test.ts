import { describe, expect, test } from 'vitest';
import { type CorruptionError, Prng, type TenantId, VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  SecretKey,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';
import { subjectsPerPage, unwrittenSubjectPages } from '../kernel/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../sim/index.ts';
import { type Engine, openEngine } from './index.ts';
import { checkSubjectKeys } from './subject-keys-check.ts';
import { copyOffset, readCopies, subjectPath } from './subject-keys-file.ts';
import { isPageProblem, subjectPageBytes } from './subject-keys-page.ts';

const tenant = 1 as TenantId;
const path = subjectPath(tenant);
const nothing = '00'.repeat(32);

function providerOf(fill: number): MasterKeyProvider {
  const master = (): SecretKey => new SecretKey(new Uint8Array(32).fill(fill));
  return {
    kind: 'fixed',
    wrap: async (root: SecretKey): Promise<NewKeySlot> => ({
      kind: 'fixed',
      parameters: new Uint8Array(),
      commitment: new Uint8Array(32),
      wrapped: wrapKey(master(), root),
    }),
    unwrap: async ([slot]: readonly KeySlot[]) => {
      const root = unwrapKey(master(), (slot as KeySlot).wrapped);
      return root === undefined ? undefined : { root, slotId: 1 };
    },
    describe: () => ({ kind: 'fixed', source: '', parameters: {}, rotates: false }),
    rotate: async () => {
      throw new Error('not used');
    },
  };
}

interface Session {
  readonly engine: Engine;
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

async function open(disk: SimDisk, seed = 1): Promise<Session> {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const host = { disk, clock, scheduler, entropy: new Prng(seed) };
  const settings = { provider: providerOf(7), mode: 'owner', create: true } as const;
  const settle = <T>(promise: Promise<T>): Promise<T> => {
    // After a simulated crash nobody may be left to hear of it.
    promise.catch(() => undefined);
    return scheduler.settle(promise);
  };
  return { engine: await settle(openEngine(host, settings)), settle };
}

const hex = (engine: Engine, number: number): string => {
  const key = engine.subjects.key(tenant, number);
  try {
    return Buffer.from(key.expose()).toString('hex');
  } finally {
    key.wipe();
  }
};

/** A key's digits, or the code of the error. */
function look(engine: Engine, number: number): string {
  try {
    return hex(engine, number);
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

function check(engine: Engine): CorruptionError[] {
  const { hierarchy, state } = engine;
  return checkSubjectKeys({ disk: lastDisk as SimDisk, hierarchy, state });
}
let lastDisk: SimDisk | undefined;

/** The digits of a slot's key in both copies of a page, as they are on the disk. */
function onDisk(engine: Engine, disk: SimDisk, page: number, slot: number): string[] {
  const { keyring, root } = engine.hierarchy;
  const file = disk.open(path, 'read');
  const place = { logId: keyring.logId, owner: tenant, page };
  const copies = readCopies(file, place, (number) => keyring.epochSecret(tenant, number, root));
  file.close();
  return copies.map((copy) =>
    isPageProblem(copy) ? copy.code : Buffer.from(copy.key(slot).expose()).toString('hex'),
  );
}

async function onNewDisk(): Promise<Session & { disk: SimDisk }> {
  const disk = new SimDisk({ seed: 1 });
  lastDisk = disk;
  return { ...(await open(disk)), disk };
}

describe('keys of data subjects', () => {
  test('are random, numbered in order, and the same after a reopen', async () => {
    const { engine, settle, disk } = await onNewDisk();
    expect(await settle(engine.subjects.create(tenant, 3))).toBe(0);
    expect(await settle(engine.subjects.create(tenant, 2))).toBe(3);
    const keys = [0, 1, 2, 3, 4].map((number) => hex(engine, number));
    expect([0, 1, 2, 3, 4].map((number) => hex(engine, number))).toEqual(keys);
    expect(new Set(keys).size).toBe(5);
    expect(look(engine, 5)).toBe('UNKNOWN_SUBJECT');
    expect(look(engine, -1)).toBe('UNKNOWN_SUBJECT');
    expect(look(engine, 0.5)).toBe('UNKNOWN_SUBJECT');
    await settle(engine.close());
    const again = await open(disk, 2);
    expect([0, 1, 2, 3, 4].map((number) => hex(again.engine, number))).toEqual(keys);
    expect(again.engine.subjects.counts).toEqual({ subjects: 5, erased: 0, pages: 1 });
    expect(check(again.engine)).toEqual([]);
  });

  test('are kept apart by tenant', async () => {
    const { engine, settle } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 1));
    await settle(engine.subjects.create(2 as TenantId, 1));
    const other = engine.subjects.key(2 as TenantId, 0);
    expect(Buffer.from(other.expose()).toString('hex')).not.toBe(hex(engine, 0));
    expect(engine.subjects.counts.pages).toBe(2);
  });

  test('are gone once erased, from both copies, and their neighbours stay', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, subjectsPerPage + 3));
    const before = [0, 1, 2, subjectsPerPage].map((number) => hex(engine, number));
    const old = disk.image().get(path) as Uint8Array;
    await settle(engine.subjects.erase(tenant, [1, subjectsPerPage + 1]));
    await settle(engine.subjects.erase(tenant, [1]));
    expect(look(engine, 1)).toBe('SUBJECT_ERASED');
    expect(onDisk(engine, disk, 0, 1)).toEqual([nothing, nothing]);
    expect(onDisk(engine, disk, 0, 2)).toEqual([before[2], before[2]]);
    expect([0, 2, subjectsPerPage].map((number) => hex(engine, number))).toEqual([
      before[0],
      before[2],
      before[3],
    ]);
    const now = disk.image().get(path) as Uint8Array;
    for (const page of [0, 1]) {
      const wrapped = (bytes: Uint8Array, copy: 0 | 1): string =>
        Buffer.from(
          bytes.subarray(copyOffset(page, copy) + 48, copyOffset(page, copy) + 132),
        ).toString('hex');
      for (const copy of [0, 1] as const)
        expect([0, 1].map((other) => wrapped(old, other as 0))).not.toContain(wrapped(now, copy));
      expect(wrapped(now, 0)).toBe(wrapped(now, 1));
    }
    expect(engine.subjects.counts).toEqual({ subjects: subjectsPerPage + 1, erased: 2, pages: 2 });
    expect(check(engine)).toEqual([]);
    await expect(settle(engine.subjects.erase(tenant, [500]))).rejects.toMatchObject({
      code: 'UNKNOWN_SUBJECT',
    });
  });

  test('are sealed anew by renew, and stay the same', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 200));
    const keys = [0, 150].map((number) => hex(engine, number));
    const before = disk.image().get(path) as Uint8Array;
    await settle(engine.subjects.renew(tenant));
    const after = disk.image().get(path) as Uint8Array;
    for (const page of [0, 1])
      expect(after.subarray(copyOffset(page, 0), copyOffset(page, 1))).not.toEqual(
        before.subarray(copyOffset(page, 0), copyOffset(page, 1)),
      );
    expect([0, 150].map((number) => hex(engine, number))).toEqual(keys);
    expect(check(engine)).toEqual([]);
  });

  test('100,000 open lazily: a page at a time, and few stay open', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 60_000));
    expect(await settle(engine.subjects.create(tenant, 40_000))).toBe(60_000);
    const some = [0, 7, 59_999, 60_000, 99_999];
    const keys = some.map((number) => hex(engine, number));
    await settle(engine.close());
    const again = await open(disk, 2);
    const calls = disk.callCount;
    expect(some.map((number) => hex(again.engine, number))).toEqual(keys);
    expect(disk.callCount - calls).toBeLessThan(some.length * 6);
    expect(again.engine.subjects.counts.subjects).toBe(100_000);
  }, 60_000);
});

describe('a crash at any call', () => {
  const changes = {
    create: (engine: Engine) => engine.subjects.create(tenant, 2),
    'create on a new page': (engine: Engine) => engine.subjects.create(tenant, subjectsPerPage),
    erase: (engine: Engine) => engine.subjects.erase(tenant, [1]),
    renew: (engine: Engine) => engine.subjects.renew(tenant),
  } satisfies Record<string, (engine: Engine) => Promise<unknown>>;

  /** Three subjects, then a change that a crash may interrupt. */
  async function run(
    change: (engine: Engine) => Promise<unknown>,
    crashAfter: number | undefined,
  ): Promise<{ disk: SimDisk; before: string[]; calls: number; done: boolean }> {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 3));
    const before = [0, 1, 2].map((number) => hex(engine, number));
    const start = disk.callCount;
    if (crashAfter !== undefined) disk.setFaults({ crashAtCall: start + crashAfter });
    const done = await settle(change(engine)).then(
      () => true,
      () => false,
    );
    return { disk, before, calls: disk.callCount - start, done };
  }

  test.each(Object.entries(changes))('%s leaves what was or what will be', async (name, change) => {
    const whole = await run(change, undefined);
    expect(whole.done).toBe(true);
    expect(whole.calls).toBeGreaterThan(6);
    const seen = new Set<string>();
    for (let call = 1; call <= whole.calls; call++) {
      const { disk, before, done } = await run(change, call);
      for (let image = 0; image < 3; image++) {
        const copy = disk.crash();
        lastDisk = copy;
        const { engine, settle } = await open(copy, 100 + image);
        const found = [0, 1, 2, 3].map((number) => look(engine, number));
        expect([found[0], found[2]]).toEqual([before[0], before[2]]);
        expect([before[1], 'SUBJECT_ERASED']).toContain(found[1]);
        if (name === 'erase' && done) expect(found[1]).toBe('SUBJECT_ERASED');
        // Opening has finished it, with nothing left to do.
        expect(unwrittenSubjectPages(engine.state.store)).toEqual([]);
        const erased = found[1] === 'SUBJECT_ERASED' ? nothing : before[1];
        expect(onDisk(engine, copy, 0, 1)).toEqual([erased, erased]);
        if (name.startsWith('create') && done) expect(found[3]).toMatch(/^[0-9a-f]{64}$/);
        expect(check(engine)).toEqual([]);
        seen.add(`${found[1] === before[1]} ${found[3]?.length === 64}`);
        // The handle goes on.
        const next = await settle(engine.subjects.create(tenant, 1));
        expect(look(engine, next)).toMatch(/^[0-9a-f]{64}$/);
        await settle(engine.close());
      }
    }
    expect(seen.size).toBe(name === 'renew' ? 1 : 2);
  });

  test.each([0, 1] as const)(
    'leaves the keys of a page whose copy %i was damaged before',
    async (bad) => {
      for (let call = 1; ; call++) {
        const { engine, settle, disk } = await onNewDisk();
        await settle(engine.subjects.create(tenant, 3));
        const before = [0, 2].map((number) => hex(engine, number));
        const file = disk.open(path, 'readwrite');
        file.write(Uint8Array.of(7), copyOffset(0, bad) + 300);
        file.flush();
        file.close();
        const start = disk.callCount;
        disk.setFaults({ crashAtCall: start + call });
        await settle(engine.subjects.erase(tenant, [1])).catch(() => undefined);
        const isOver = disk.callCount - start < call;
        for (let image = 0; image < 4; image++) {
          const again = await open(disk.crash(), image);
          expect([0, 2].map((number) => look(again.engine, number))).toEqual(before);
        }
        if (isOver) break;
      }
    },
  );

  test('while opening finishes a destruction, the destruction is finished by the next', async () => {
    const { calls } = await run(changes.erase, undefined);
    let redone = 0;
    for (let call = 1; call <= calls; call += 2) {
      const { disk } = await run(changes.erase, call);
      const image = disk.crash();
      for (let again = 1; again < 60; again++) {
        const copy = SimDisk.fromImage(image.image(), { seed: again });
        copy.setFaults({ crashAtCall: again });
        await open(copy, again).catch(() => undefined);
        if (copy.callCount < again) break;
        const last = copy.crash();
        lastDisk = last;
        const { engine, settle } = await open(last, 7);
        if (look(engine, 1) === 'SUBJECT_ERASED') redone += 1;
        expect(check(engine)).toEqual([]);
        await settle(engine.close());
      }
    }
    expect(redone).toBeGreaterThan(10);
  });
});

describe('damage', () => {
  async function closed(): Promise<{ disk: SimDisk; image: Map<string, Uint8Array> }> {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 3));
    await settle(engine.subjects.erase(tenant, [1]));
    await settle(engine.close());
    return { disk, image: disk.image() };
  }

  const reopened = async (image: Map<string, Uint8Array>): Promise<Engine> => {
    lastDisk = SimDisk.fromImage(image, { seed: 3 });
    return (await open(lastDisk, 3)).engine;
  };

  test('a flipped bit, wherever in the file, is found at its page, and the key is read from the other copy', async () => {
    const { image } = await closed();
    const file = image.get(path) as Uint8Array;
    const engine = await reopened(image);
    const disk = lastDisk as SimDisk;
    const handle = disk.open(path, 'readwrite');
    const key = hex(engine, 0);
    // An odd step meets every bit of a byte, every sector, and all fields of four bytes and more.
    for (let at = 0; at < file.length; at += 3) {
      const bit = 1 << (at % 8);
      handle.write(Uint8Array.of((file[at] as number) ^ bit), at);
      const [first, ...rest] = check(engine);
      expect(rest).toEqual([]);
      expect(first?.file).toBe(path);
      expect(Math.floor((first?.offset ?? -1) / subjectPageBytes)).toBe(
        Math.floor(at / subjectPageBytes),
      );
      if (at % 1_023 === 0) {
        engine.subjects.wipe();
        expect(hex(engine, 0)).toBe(key);
      }
      handle.write(file.subarray(at, at + 1), at);
    }
    expect(check(engine)).toEqual([]);
  }, 60_000);

  test('of both copies is refused with file and offset', async () => {
    const { image } = await closed();
    const file = image.get(path) as Uint8Array;
    for (const copy of [0, 1] as const) file[copyOffset(0, copy) + 200] = 1;
    const engine = await reopened(image);
    expect(() => engine.subjects.key(tenant, 0)).toThrow(`${path} at byte ${copyOffset(0, 0)}`);
    expect(look(engine, 0)).toBe('CHECKSUM_MISMATCH');
    expect(check(engine)).toHaveLength(2);
  });

  test('an older page put back is refused, even when it is authentic', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 3));
    const older = disk.image().get(path) as Uint8Array;
    await settle(engine.subjects.erase(tenant, [1]));
    await settle(engine.close());
    const image = disk.image();
    image.set(path, older);
    const again = await reopened(image);
    expect(look(again, 0)).toBe('SUBJECT_KEYS_ROLLED_BACK');
    expect(look(again, 1)).toBe('SUBJECT_ERASED');
    expect(check(again).map(({ code }) => code)).toEqual([
      'SUBJECT_KEYS_ROLLED_BACK',
      'SUBJECT_KEYS_ROLLED_BACK',
    ]);
  });

  test('a page of another place, tenant or database is refused', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, subjectsPerPage + 1));
    await settle(engine.subjects.create(2 as TenantId, 1));
    await settle(engine.close());
    const otherDisk = new SimDisk({ seed: 2 });
    const other = await open(otherDisk, 99);
    await other.settle(other.engine.subjects.create(tenant, 3));
    const mine = disk.image();
    const page = (file: Uint8Array, number: number): Uint8Array =>
      file.subarray(copyOffset(number, 0), copyOffset(number + 1, 0));
    const sources = [
      page(mine.get(path) as Uint8Array, 1),
      page(mine.get(subjectPath(2 as TenantId)) as Uint8Array, 0),
      page(otherDisk.image().get(path) as Uint8Array, 0),
    ];
    for (const source of sources) {
      const image = disk.image();
      (image.get(path) as Uint8Array).set(source, copyOffset(0, 0));
      const again = await reopened(image);
      expect(look(again, 0)).toBe('FOREIGN_FILE');
      expect(look(again, subjectsPerPage)).toMatch(/^[0-9a-f]{64}$/);
    }
  });

  test('a missing, cut, extended or foreign file is found', async () => {
    const { image } = await closed();
    const file = image.get(path) as Uint8Array;
    const cases: [Uint8Array | undefined, string][] = [
      [undefined, 'MISSING_DATA'],
      [file.slice(0, copyOffset(0, 1) + 100), 'MISSING_DATA'],
      [Uint8Array.from([...file, 1]), 'CHECKSUM_MISMATCH'],
    ];
    for (const [bytes, code] of cases) {
      const changed = new Map(image);
      if (bytes === undefined) changed.delete(path);
      else changed.set(path, bytes);
      const engine = await reopened(changed);
      expect(check(engine).map((error) => error.code)).toEqual([code]);
    }
    const strays = new Map(image);
    strays.set('subjects/notes.txt', new Uint8Array(3));
    strays.set(subjectPath(9 as TenantId), file);
    strays.set(subjectPath(8 as TenantId), new Uint8Array(5_000));
    const engine = await reopened(strays);
    const found = check(engine).map(({ file: name, code }) => `${name} ${code}`);
    expect(found).toEqual([
      'subjects/notes.txt FOREIGN_FILE',
      `${subjectPath(8 as TenantId)} CHECKSUM_MISMATCH`,
      `${subjectPath(8 as TenantId)} CHECKSUM_MISMATCH`,
      `${subjectPath(9 as TenantId)} FOREIGN_FILE`,
      `${subjectPath(9 as TenantId)} CHECKSUM_MISMATCH`,
    ]);
  });
});

describe('a disk that fails', () => {
  test.each(['DISK_FULL', 'IO_ERROR'] as const)(
    'with %s at any call loses no key, and opens cleanly',
    async (code) => {
      let refused = 0;
      for (let call = 1; ; call++) {
        const { engine, settle, disk } = await onNewDisk();
        await settle(engine.subjects.create(tenant, 3));
        const before = [0, 2].map((number) => hex(engine, number));
        const calls = disk.callCount;
        disk.setFaults({ fail: [{ call: calls + call, code }] });
        const change = settle(engine.subjects.erase(tenant, [1]));
        const failure = await change.then(
          () => undefined,
          (error: unknown) => error,
        );
        const made = disk.callCount - calls;
        disk.setFaults({});
        if (failure !== undefined) refused += 1;
        expect([0, 2].map((number) => hex(engine, number))).toEqual(before);
        await settle(engine.close()).catch((error: unknown) =>
          expect(error).toBeInstanceOf(VerityError),
        );
        const again = await open(disk, 5);
        expect([0, 2].map((number) => hex(again.engine, number))).toEqual(before);
        if (failure === undefined) expect(look(again.engine, 1)).toBe('SUBJECT_ERASED');
        expect(check(again.engine)).toEqual([]);
        await again.settle(again.engine.close());
        if (made < call) break;
      }
      expect(refused).toBeGreaterThan(2);
    },
  );

  test('after a full disk the same handle finishes the change once there is room', async () => {
    const { engine, settle, disk } = await onNewDisk();
    await settle(engine.subjects.create(tenant, 3));
    const used = [...disk.image().values()].reduce((sum, bytes) => sum + bytes.length, 0);
    disk.setFaults({ capacityBytes: used + 100 });
    await expect(settle(engine.subjects.create(tenant, subjectsPerPage))).rejects.toMatchObject({
      code: 'DISK_FULL',
    });
    disk.setFaults({});
    const next = await settle(engine.subjects.create(tenant, 1));
    expect(look(engine, next)).toMatch(/^[0-9a-f]{64}$/);
    expect(check(engine)).toEqual([]);
  });
});
