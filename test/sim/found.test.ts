/** What the simulator found, each as it shrank. */
import { expect, test } from 'vitest';
import { type Position, Prng, type TenantId } from '../../src/base/index.ts';
import {
  Rekey,
  type RekeyParts,
  SegmentDigester,
  segmentPaths,
  segmentPosition,
} from '../../src/engine/index.ts';
import { Verity } from '../../src/database/index.ts';
import { segmentHeaderBytes } from '../../src/log/index.ts';
import { SimClock, SimDisk, SimMachine, SimScheduler } from '../../src/sim/index.ts';
import { fixedKey, openSession, smallPace, wait } from '../crash/machine.ts';
import { type Answer, append, type EngineWorld, engineWorld } from '../support/engine-world.ts';

test('a command that waited for room is answered before later ones of the same frame', async () => {
  const scheduler = new SimScheduler();
  const world = await engineWorld(new SimDisk({ seed: 1, scheduler }), scheduler, {
    pace: {
      writersOnTurnMax: 0,
      overlapMicrosPerWriter: 0,
      cutCommandsMin: 3,
      frameBytesTarget: 500,
      commandsWaitingMax: 1_000,
      bytesWaitingMax: 1 << 20,
    },
  });
  const answers: Answer[] = [];
  const writer = async (_none: unknown, number: number): Promise<void> => {
    for (let count = 0; count < 8; count++) {
      answers.push(await append(world, 20 + 30 * ((number + count) % 7)));
      if ((number + count) % 3 === 0) await wait(scheduler, (number * count) % 4);
    }
  };
  await scheduler.settle(Promise.all(Array.from({ length: 14 }, writer)));
  expect(answers.filter((answer) => typeof answer === 'number')).toHaveLength(14 * 8);
  expect(answers).toEqual(answers.toSorted((left, right) => Number(left) - Number(right)));
});

test('a command whose frame is durable is answered when the anchor cannot be written then', async () => {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ seed: 1, scheduler });
  const { engine } = await engineWorld(disk, scheduler);
  const created = await scheduler.settle(
    engine.submit({ kind: 'createTenant', name: 'birch', origin: {} }),
  );
  const tenant = created.outcome.tenant as TenantId;
  // A tenant's first write: the keyring is flushed, the frame in the background, and then the anchor.
  disk.setFaults({ fail: [{ kind: 'flush', call: disk.calls.flush + 2, code: 'IO_ERROR' }] });
  const answer = await scheduler.settle(append({ engine, tenant }), 'inside');
  expect(engine.poisoned).toBe(true);
  expect(['number', 'string']).toContain(typeof answer);
});

test('a bit that rots before its segment is finished is not vouched for', async () => {
  const scheduler = new SimScheduler();
  const machine = new SimMachine({ seed: 1, scheduler, onLie: () => undefined });
  const session = await openSession(machine.disk);
  const { db } = session;
  const clinic = await session.scheduler.settle(db.createTenant('clinic'));
  const fill = async (): Promise<void> => {
    for (let count = 0; count < 3; count++) await clinic.append('visits', ['x'.repeat(700)]);
  };
  await session.scheduler.settle(fill());
  const [first] = machine.disk.list('log') ?? [];
  expect(machine.disk.rot(`log/${first}`, 700, 4)).toBe(true);
  await session.scheduler.settle(
    fill()
      .then(fill)
      .then(() => wait(session.scheduler, 200)),
  );
  expect(machine.disk.list('log')?.length).toBeGreaterThan(1);
  session.disk.kill();
  machine.mend();
  const again = await openSession(machine.disk);
  const report = await again.scheduler.settle(again.db.verify());
  expect(report.findings).toEqual([]);
});

async function worldOfSegments(): Promise<EngineWorld & { readonly tail: Position }> {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ seed: 1, scheduler });
  const logSizes = { segmentBytes: 2_500, fillBytesMin: 512, fillBytesMax: 512 };
  const world = await engineWorld(disk, scheduler, { logSizes });
  for (let count = 0; count < 6; count++) await scheduler.settle(append(world, 700));
  const paths = segmentPaths(disk);
  expect(paths.length).toBeGreaterThan(2);
  return { ...world, tail: segmentPosition(paths.at(-1) as string) };
}

test('a segment whose new record is on its way is not hashed over and over until that is durable', async () => {
  const { disk, engine, tail } = await worldOfSegments();
  const scheduler = new SimScheduler();
  const nothing = { get: () => undefined };
  const digester = new SegmentDigester({
    disk,
    scheduler,
    state: { store: nothing, overlay: engine.state.overlay } as unknown as typeof engine.state,
    tip: () => tail,
    submit: async () => undefined,
  });
  const { read } = disk.calls;
  digester.look();
  await scheduler.run(1_000);
  expect(disk.calls.read).toBe(read);
});

/** Rekeying in a world where the tail uses an older secret; `changes` are parts that behave otherwise. */
async function rekeyWith(
  changes: (
    tail: Position,
    state: RekeyParts['state'],
  ) => Partial<Pick<RekeyParts, 'tip' | 'state'>>,
): Promise<{ readonly finished: number; readonly outcome: unknown }> {
  const { disk, scheduler, engine, tenant, tail } = await worldOfSegments();
  await scheduler.settle(engine.renewTenant(tenant));
  let finished = 0;
  const rekey = new Rekey(
    {
      disk,
      scheduler,
      entropy: new Prng(5),
      hierarchy: engine.hierarchy,
      state: engine.state,
      tip: () => tail,
      written: () => writtenBytes(disk, tail),
      finishSegment: async () => void (finished += 1),
      submit: (command) => engine.submit(command),
      changeKeyring: (change) => engine.changeKeyring(change),
      renewSubjects: async () => undefined,
      renewBlobs: async () => ({ blobs: 0, bytes: 0 }),
      renewStore: async () => undefined,
      checkWritable: () => engine.checkWritable(),
      fail: () => undefined,
      onRarePath: undefined,
      ...changes(tail, engine.state),
    },
    {},
  );
  const outcome = await scheduler.settle(
    rekey.run().then(
      () => 'done',
      (error: { code?: string }) => error.code,
    ),
  );
  return { finished, outcome };
}

/** Bytes of a segment up to its last frame. */
function writtenBytes(disk: SimDisk, segment: Position): number {
  const path = segmentPaths(disk).find((each) => segmentPosition(each) === segment) ?? '';
  return (
    (disk
      .image()
      .get(path)
      ?.findLastIndex((byte) => byte !== 0) ?? -1) + 1
  );
}

test('a tail that the commands of others fill while rekeying looks at it is not finished once more', async () => {
  expect(await rekeyWith(() => ({}))).toEqual({ finished: 1, outcome: 'done' });
  let asked = 0;
  const rolled = await rekeyWith((tail) => ({
    tip: () => (++asked === 2 ? ((tail + 1) as Position) : tail),
  }));
  expect(rolled).toEqual({ finished: 0, outcome: 'done' });
});

test('a rotten segment that the log has no record of yet is not vouched for by rekeying', async () => {
  const { disk, scheduler, engine, tenant, tail } = await worldOfSegments();
  await scheduler.settle(engine.renewTenant(tenant));
  const [path] = segmentPaths(disk) as [string];
  const bytes = disk.image().get(path) as Uint8Array;
  // In the last frame: the first one says already that the segment is to be sealed anew.
  expect(disk.rot(path, bytes.length - 30, 4)).toBe(true);
  const recorded: string[] = [];
  const nothing = { get: () => undefined, versions: () => [] };
  const store = new Proxy(engine.state.store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Object.hasOwn(nothing, name) ? nothing : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const rekey = new Rekey(
    {
      disk,
      scheduler,
      entropy: new Prng(5),
      hierarchy: engine.hierarchy,
      state: { store } as RekeyParts['state'],
      tip: () => tail,
      written: () => writtenBytes(disk, tail),
      finishSegment: async () => undefined,
      submit: async ({ kind }) => void recorded.push(kind),
      changeKeyring: (change) => engine.changeKeyring(change),
      renewSubjects: async () => undefined,
      renewBlobs: async () => ({ blobs: 0, bytes: 0 }),
      renewStore: async () => undefined,
      checkWritable: () => engine.checkWritable(),
      fail: () => undefined,
      onRarePath: undefined,
    },
    {},
  );
  await expect(scheduler.settle(rekey.run())).rejects.toMatchObject({ code: 'CHECKSUM_MISMATCH' });
  expect(recorded).toEqual([]);
});

test('no secret is forgotten while a rotten bit hides what the tail holds under it', async () => {
  const scheduler = new SimScheduler();
  const machine = new SimMachine({ seed: 1, scheduler, onLie: () => undefined });
  const session = await openSession(machine.disk);
  const settle = session.scheduler.settle.bind(session.scheduler);
  const clinic = await settle(session.db.createTenant('clinic'));
  const { position } = await settle(clinic.append('visits', ['kept']));
  const [tail] = segmentPaths(machine.disk) as [string];
  // In a frame before the one that holds the record: what follows it looks like an unfinished write.
  expect(machine.disk.rot(tail, 619, 8)).toBe(true);
  await settle(session.db.keys.rotate({ tenant: 'clinic' }));
  await expect(settle(session.db.keys.rekey())).rejects.toMatchObject({
    code: 'CHECKSUM_MISMATCH',
    details: { file: tail },
  });
  session.disk.kill();
  machine.mend();
  const again = await openSession(machine.disk);
  const read = async (): Promise<unknown[]> => {
    const events: unknown[] = [];
    for await (const event of again.db.tenant('clinic').read('visits')) events.push(event);
    return events;
  };
  expect(await again.scheduler.settle(read())).toMatchObject([{ position }]);
});

test('the end of a finished segment that is missing stops rekeying', async () => {
  const { disk, scheduler, engine, tenant, tail } = await worldOfSegments();
  await scheduler.settle(engine.renewTenant(tenant));
  const [path] = segmentPaths(disk) as [string];
  const file = disk.open(path, 'readwrite');
  file.truncate(segmentHeaderBytes);
  file.close();
  expect(segmentPosition(path)).toBeLessThan(tail);
  await expect(scheduler.settle(engine.rekey({ proceed: () => undefined }))).rejects.toMatchObject({
    code: 'MISSING_DATA',
    details: { file: path },
  });
});

test('a directory whose flush failed for lack of room is not flushed again as if nothing were', async () => {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ seed: 1, scheduler });
  const world = await engineWorld(disk, scheduler);
  const { calls } = disk;
  disk.setFaults({
    fail: [{ kind: 'flushDirectory', call: calls.flushDirectory + 1, code: 'DISK_FULL' }],
  });
  // The first checkpoint makes the directory of the store.
  const outcome = world.engine.checkpoint();
  await expect(scheduler.settle(outcome)).rejects.toMatchObject({ code: 'IO_ERROR' });
  expect(world.engine.poisoned).toBe(true);
});

test('whoever waits for a checkpoint is told why there is none when the log cannot be written', async () => {
  const scheduler = new SimScheduler();
  const disk = new SimDisk({ seed: 1, scheduler });
  const world = await engineWorld(disk, scheduler);
  const waiting = world.engine.checkpoint();
  disk.setFaults({ fail: [{ kind: 'write', call: disk.calls.write + 1, code: 'IO_ERROR' }] });
  const answer = append(world, 20);
  await expect(scheduler.settle(waiting)).rejects.toMatchObject({ code: 'DATABASE_POISONED' });
  await scheduler.settle(answer);
});

test('a copy of a running database does not end before a durable frame that is gone', async () => {
  const scheduler = new SimScheduler();
  const machine = new SimMachine({ seed: 1, scheduler, onLie: () => undefined });
  const session = await openSession(machine.disk);
  const settle = session.scheduler.settle.bind(session.scheduler);
  const clinic = await settle(session.db.createTenant('clinic'));
  const [tail] = segmentPaths(machine.disk) as [string];
  const damage = (async () => {
    const ends = (): number =>
      (machine.disk
        .image()
        .get(tail)
        ?.findLastIndex((byte) => byte !== 0) ?? 0) + 1;
    await clinic.append('visits', ['first']);
    const start = ends();
    await clinic.append('visits', ['kept']);
    // The anchor does not name the last frame yet, and for want of room it will not.
    const call = machine.disk.calls.write + 1;
    machine.disk.setFaults({ fail: [{ kind: 'write', call, code: 'DISK_FULL', forGood: true }] });
    const file = machine.disk.open(tail, 'readwrite');
    file.truncate(start);
    file.close();
    await session.db.copyOnto(new SimDisk({ seed: 2, scheduler: session.scheduler }));
  })();
  await expect(settle(damage)).rejects.toMatchObject({ details: { file: tail } });
});

test('a note that was shown before it was durable is there after a loss of power', async () => {
  let shownEarly = 0;
  for (let flush = 1; flush <= 8; flush++) {
    const disk = new SimDisk({ seed: 1 });
    const first = await openSession(disk);
    const settle = first.scheduler.settle.bind(first.scheduler);
    const clinic = await settle(first.db.createTenant('clinic'));
    await settle(first.db.proofs.checkpoint());
    await settle(clinic.append('visits', ['first']));
    const call = disk.calls.flush + flush;
    disk.setFaults({ fail: [{ kind: 'flush', call, code: 'IO_ERROR' }] });
    const told = await settle(first.db.proofs.checkpoint()).catch(() => undefined);
    first.disk.kill();
    disk.setFaults({});
    // The note is in the memory of the system, which will not write it.
    const second = await openSession(disk);
    const shown = second.db.proofs.list().map(({ note }) => note);
    if (told === undefined && shown.length > 1) shownEarly += 1;
    await second.scheduler.settle(second.db.keys.rotateSigningKey());
    const third = await openSession(disk.crash());
    const notes = third.db.proofs.list().map(({ note }) => note);
    expect(shown.filter((note) => !notes.includes(note))).toEqual([]);
  }
  expect(shownEarly).toBeGreaterThan(0);
});

test('a checkpoint that is asked for names the state of now, also where one that was made by itself covers all', async () => {
  const scheduler = new SimScheduler();
  const host = {
    disk: new SimDisk({ seed: 1, scheduler }),
    clock: new SimClock(),
    scheduler,
    entropy: new Prng(1),
    checkpoints: { cacheBytes: 1 << 20, logBytesMax: 3_000, logBytesMin: 0, milliseconds: 1 },
    pace: { ...smallPace, cutCommandsMin: 1 },
    proofs: { checkpointEvents: 1, checkpointSeconds: 0 },
  };
  const db = await scheduler.settle(Verity.openOn(host, { masterKey: fixedKey() }));
  const clinic = await scheduler.settle(db.createTenant('clinic'));
  await scheduler.settle(clinic.execute('CREATE TABLE t (id integer PRIMARY KEY)'));
  let stale = 0;
  for (let step = 0; step < 40; step++) {
    const inserts = Array.from({ length: 5 }, async (_, row) => {
      for (let hop = 0; hop < row * step; hop++) await Promise.resolve();
      await clinic.execute('INSERT INTO t VALUES ($1)', [step * 5 + row]);
    });
    await scheduler.settle(Promise.all(inserts));
    await scheduler.settle(wait(scheduler, 50));
    const bySelf = db.proofs.newest();
    const signed = await scheduler.settle(db.proofs.checkpoint());
    const { hash } = await scheduler.settle(db.stateHash());
    expect(signed.stateHash?.hash).toBe(hash);
    if (bySelf?.stateHash?.hash !== hash) stale += 1;
  }
  expect(stale).toBeGreaterThan(0);
});
