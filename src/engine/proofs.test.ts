/** Signed checkpoints: when they are made, what they say, and what becomes of them. */
import { beforeEach, describe, expect, test } from 'vitest';
import { flipByte, imageOf } from '../../test/integrity/disk-image.ts';
import {
  append,
  eagerPace,
  engineWorld,
  type EngineWorld,
  idle,
} from '../../test/support/engine-world.ts';
import { naiveRoot } from '../../test/support/naive-tree.ts';
import { type Disk, type LeafIndex, type Op, Prng, VerityError } from '../base/index.ts';
import { ed25519Verify, SecretKey } from '../crypto/index.ts';
import { leafBytes, segmentHeaderBytes } from '../log/index.ts';
import { openNote, parseCheckpoint } from '../proof/index.ts';
import { HeldKeyProvider } from '../keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../sim/index.ts';
import type { Engine } from './engine.ts';
import { openEngine, type OpenSettings } from './open.ts';
import type { ProofSettings } from './checkpoint-times.ts';
import type { SignedCheckpoint } from './proofs-parts.ts';

const provider = new HeldKeyProvider(
  'fixed',
  'fixed',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);

let world: EngineWorld;
let disk: SimDisk;
let scheduler: SimScheduler;
let engine: Engine;
beforeEach(async () => {
  disk = new SimDisk();
  scheduler = new SimScheduler(new SimClock());
  world = await engineWorld(disk, scheduler);
  ({ engine } = world);
});

interface Reopening {
  readonly proofs?: Partial<ProofSettings>;
  readonly settings?: Partial<OpenSettings>;
}

async function open(on: Disk, { proofs, settings }: Reopening = {}): Promise<Engine> {
  const clock = new SimClock();
  const host = {
    disk: on,
    clock,
    scheduler,
    entropy: new Prng(99),
    pace: eagerPace,
    ...(proofs !== undefined && { proofs }),
  };
  return scheduler.settle(
    openEngine(host, { provider, mode: 'owner', create: false, ...settings }),
  );
}

const checkpointOf = (of: Engine): Promise<SignedCheckpoint> =>
  scheduler.settle(of.proofs.checkpoint());
const rows = async (count: number, to: EngineWorld = world): Promise<void> => {
  for (let row = 0; row < count; row++) await scheduler.settle(append(to, 10));
};

/** The commitments of all events, as the frames of the log hold them. */
function commitmentsOf({ reader }: Engine): Uint8Array[] {
  const all: Uint8Array[] = [];
  const start = { path: firstSegment(), offset: segmentHeaderBytes, op: 1 as Op };
  for (const { frame } of reader.frames(start)) {
    for (let at = 0; at < frame.leaves.length; at += leafBytes)
      all.push(frame.leaves.slice(at + 2, at + leafBytes));
  }
  return all;
}

const firstSegment = (): string => `log/${(disk.list('log') ?? []).toSorted()[0]}`;

/** Everything that a checkpoint says is so. */
function check(of: Engine, { note, size, root, record }: SignedCheckpoint): void {
  const { verified, text } = openNote(note, of.proofs.vkeys, ed25519Verify);
  expect(verified).toHaveLength(1);
  expect(parseCheckpoint(text)).toMatchObject({ origin: of.proofs.origin, size, root });
  const commitments = commitmentsOf(of);
  expect(root).toEqual(naiveRoot(commitments, 0, size));
  expect(record.leaf).toBe(size - 1);
  expect(record.root).toEqual(naiveRoot(commitments, 0, record.size));
  expect(record.size).toBeLessThanOrEqual(record.leaf);
}

test('a checkpoint is of all that is committed, and its record is the last leaf under the note', async () => {
  await rows(5);
  const { leafCount, position, chainHash } = engine.head;
  const signed = await checkpointOf(engine);
  check(engine, signed);
  expect(signed.size).toBe(leafCount + 1);
  expect(signed.record).toMatchObject({ size: leafCount, covered: position, chainHash });
  const { hash } = await scheduler.settle(engine.stateHash());
  expect(signed.record.state).toEqual({ position, hash });
  expect(engine.proofs.newest).toEqual(signed);
});

test('where nothing came since but the record, the newest is given again, and nothing is written', async () => {
  const first = await checkpointOf(engine);
  const { op } = engine.head;
  expect(await checkpointOf(engine)).toEqual(first);
  expect(engine.head.op).toBe(op);
  await rows(1);
  const second = await checkpointOf(engine);
  check(engine, second);
  expect(engine.proofs.all()).toEqual([first, second]);
});

test('callers that ask at once share one checkpoint', async () => {
  await rows(1);
  const asked = [engine.proofs.checkpoint(), engine.proofs.checkpoint()];
  const captured = engine.proofs.captureAtState(({ hash }) => hash);
  const [first, second] = await scheduler.settle(Promise.all(asked));
  expect(second).toEqual(first);
  const { captured: hash, checkpoint } = await scheduler.settle(captured);
  expect(checkpoint).toEqual(first);
  expect(hash).toEqual(first!.record.state?.hash);
});

test('what is captured is of the state that the checkpoint signs, while commands come', async () => {
  const capturing = engine.proofs.captureAtState((state) => state);
  const writing = rows(6);
  const failing = engine.proofs.captureAtState(() => {
    throw new Error('of its own');
  });
  const { captured, checkpoint } = await scheduler.settle(capturing);
  await writing;
  check(engine, checkpoint);
  expect(checkpoint.record.state).toEqual(captured);
  expect(captured.position).toBeLessThanOrEqual(checkpoint.record.covered);
  await expect(scheduler.settle(failing)).rejects.toThrow('of its own');
});

describe('by themselves', () => {
  const sizes = (of: Engine): number[] => of.proofs.all().map(({ size }) => size);
  const later = (ms: number): Promise<void> =>
    scheduler.settle(new Promise<void>((resolve) => void scheduler.delay(ms, resolve)));
  const proofs = { checkpointEvents: 8, checkpointSeconds: 60 };

  beforeEach(async () => {
    await scheduler.settle(engine.close());
    engine = await open(disk, { proofs });
    world = { ...world, engine };
  });

  test('checkpoints are made after so many events, from the start on, and not before', async () => {
    await rows(20);
    await later(1);
    expect(sizes(engine)).toEqual([]);
    engine.proofs.start();
    await later(1);
    expect(sizes(engine)).toHaveLength(1);
    await rows(8);
    await later(1);
    expect(sizes(engine)).toHaveLength(2);
    await rows(7);
    await later(1);
    expect(sizes(engine)).toHaveLength(2);
  });

  test('checkpoints are made so long after an event, and none after that', async () => {
    engine.proofs.start();
    await later(200_000);
    const first = sizes(engine).length;
    await rows(1);
    await later(59_000);
    expect(sizes(engine)).toHaveLength(first);
    await later(2_000);
    expect(sizes(engine)).toHaveLength(first + 1);
    const { op } = engine.head;
    await later(600_000);
    expect(sizes(engine)).toHaveLength(first + 1);
    expect(engine.head.op).toBeLessThanOrEqual(op + 1);
    await scheduler.settle(engine.close());
  });
});

describe('after a restart', () => {
  let notes: SignedCheckpoint[];
  beforeEach(async () => {
    notes = [];
    for (let round = 0; round < 3; round++) {
      await rows(3);
      notes.push(await checkpointOf(engine));
    }
  });

  test('notes and proofs are there as before', async () => {
    await scheduler.settle(engine.close());
    const again = await open(disk);
    expect(again.proofs.all()).toEqual(notes);
    expect(again.proofs.newest).toEqual(notes[2]);
    expect(await checkpointOf(again)).toMatchObject({ size: again.head.leafCount });
    for (const signed of again.proofs.all()) check(again, signed);
  });

  test('the newest note is made again, the very same, when the files of proofs are gone', async () => {
    await scheduler.settle(engine.close());
    for (const name of disk.list('proofs') ?? []) disk.remove(`proofs/${name}`);
    const again = await open(disk);
    expect(again.proofs.newest).toBeUndefined();
    again.proofs.start();
    await scheduler.settle(again.proofs.whileNoneIsMade(async () => undefined));
    expect(again.proofs.newest).toEqual(notes[2]);
    await rows(2, { ...world, engine: again });
    check(again, await checkpointOf(again));
  });

  test('a note that a crash took is made again, also when other events have come since', async () => {
    disk = disk.crash();
    // The last sector is the last note; what was about to be signed stands before it.
    const file = disk.open('proofs/checkpoints', 'readwrite');
    file.truncate(file.sizeBytes() - 512);
    file.close();
    const again = await open(disk);
    expect(again.proofs.all()).toEqual(notes.slice(0, 2));
    await rows(3, { ...world, engine: again });
    const next = await checkpointOf(again);
    expect(again.proofs.all().slice(-2)).toEqual([notes[2], next]);
    check(again, next);
  });

  test('damaged notes are passed over, and new ones stand behind them', async () => {
    await scheduler.settle(engine.close());
    const image = imageOf(disk);
    const { length } = image.get('proofs/checkpoints')!;
    for (let at = 0; at < length; at += 61) {
      const damaged = SimDisk.fromImage(image);
      flipByte(damaged, 'proofs/checkpoints', at, 1 << (at % 8));
      const again = await open(damaged);
      for (const signed of again.proofs.all())
        expect(notes.map(({ note }) => note)).toContain(signed.note);
      const next = await checkpointOf(again);
      check(again, next);
      await scheduler.settle(again.close());
      const then = await open(damaged);
      expect(then.proofs.newest).toEqual(next);
      await scheduler.settle(then.close());
    }
  });

  test('signatures that were added stay with the note', async () => {
    const [added] = openNote(notes[2]!.note, engine.proofs.vkeys, ed25519Verify).verified;
    const line = { name: 'witness.example', id: 7, signature: added!.signature };
    engine.proofs.amend(notes[2]!.size, [line]);
    engine.proofs.amend(notes[0]!.size, [line]);
    engine.proofs.amend(12_345, [line]);
    const named = (of: Engine): boolean[] =>
      of.proofs.all().map(({ note }) => note.includes('— witness.example '));
    expect(engine.proofs.newest?.note).toContain('— witness.example ');
    await scheduler.settle(engine.close());
    const again = await open(disk);
    expect(named(again)).toEqual([true, false, true]);
    expect(again.proofs.newest?.size).toBe(notes[2]!.size);
  });

  test('a handle that only reads gives the newest note, and makes none', async () => {
    const settings = { mode: 'follower' } as const;
    const follower = await open(disk, { settings });
    // It does not have the last frame yet, which nothing marks as durable.
    expect(await checkpointOf(follower)).toEqual(notes[1]);
    await idle(scheduler);
    follower.catchUp();
    expect(await checkpointOf(follower)).toEqual(notes[2]);
    await rows(1);
    const next = await checkpointOf(engine);
    await idle(scheduler);
    follower.catchUp();
    expect(await checkpointOf(follower)).toEqual(next);
    const leaf = (next.size - 1) as LeafIndex;
    expect(follower.proofs.tree.inclusionProof(leaf, next.size)).toEqual(
      engine.proofs.tree.inclusionProof(leaf, next.size),
    );
  });
});

test('a handle that only reads says so where there is no checkpoint yet', async () => {
  const follower = await open(disk, { settings: { mode: 'follower' } });
  await expect(checkpointOf(follower)).rejects.toMatchObject({ code: 'READ_ONLY' });
});

describe('a log that was signed and is not there any more', () => {
  let before: Map<string, Uint8Array>;
  let signed: SignedCheckpoint;
  beforeEach(async () => {
    await rows(2);
    await checkpointOf(engine);
    await scheduler.settle(engine.close());
    before = imageOf(disk);
    engine = await open(disk);
    world = { ...world, engine };
    await rows(4);
    signed = await checkpointOf(engine);
    await scheduler.settle(engine.close());
  });

  /** The log as it was, and the notes as they are. */
  const rewound = (): Disk => {
    const notes = imageOf(disk).get('proofs/checkpoints')!;
    return SimDisk.fromImage(new Map(before).set('proofs/checkpoints', notes));
  };

  test('is refused for writing, and can be read', async () => {
    await expect(open(rewound())).rejects.toMatchObject({ code: 'LOG_ROLLED_BACK', exitCode: 3 });
    const reader = await open(rewound(), { settings: { mode: 'follower' } });
    expect(reader.head.leafCount).toBeLessThan(signed.size);
  });

  test('is refused as well when it has grown again', async () => {
    const forked = SimDisk.fromImage(before);
    const other = await open(forked);
    await rows(12, { ...world, engine: other });
    await scheduler.settle(other.close());
    const image = imageOf(forked).set(
      'proofs/checkpoints',
      imageOf(disk).get('proofs/checkpoints')!,
    );
    await expect(open(SimDisk.fromImage(image))).rejects.toMatchObject({ code: 'LOG_ROLLED_BACK' });
  });

  test('can be given up, which the log records, and then what is here is signed', async () => {
    const on = rewound();
    const accepted = await open(on, { settings: { acceptRollback: true } });
    expect(accepted.setting('rollback-accepted')).toMatchObject([{ size: signed.size }]);
    const next = await checkpointOf(accepted);
    check(accepted, next);
    expect(accepted.proofs.all().map(({ size }) => size)).not.toContain(signed.size);
    await scheduler.settle(accepted.close());
    const again = await open(on);
    expect(again.proofs.newest).toEqual(next);
    await rows(signed.size, { ...world, engine: again });
    check(again, await checkpointOf(again));
  });
});

test('a rollback that was accepted, and whose notes a crash left, is finished at the next open', async () => {
  await rows(2);
  const kept = await checkpointOf(engine);
  await scheduler.settle(engine.close());
  const before = imageOf(disk);
  engine = await open(disk);
  await rows(4, { ...world, engine });
  const gone = await checkpointOf(engine);
  await scheduler.settle(engine.close());
  const notes = imageOf(disk).get('proofs/checkpoints')!;
  disk = SimDisk.fromImage(new Map(before).set('proofs/checkpoints', notes));
  const accepted = await open(disk, { settings: { acceptRollback: true } });
  await scheduler.settle(accepted.close());
  const after = imageOf(disk).set('proofs/checkpoints', notes);
  disk = SimDisk.fromImage(after);
  const again = await open(disk);
  expect(again.setting('rollback-accepted')).toHaveLength(1);
  expect(again.proofs.all().map(({ size }) => size)).toEqual([kept.size]);
  const file = new TextDecoder().decode(imageOf(disk).get('proofs/checkpoints'));
  expect([kept, gone].map(({ note }) => file.includes(note))).toEqual([true, false]);
  await rows(gone.size, { ...world, engine: again });
  check(again, await checkpointOf(again));
});

test('a full disk puts a checkpoint off: with room the record that has no note is signed first', async () => {
  await checkpointOf(engine);
  await rows(1);
  await scheduler.settle(engine.close());
  const image = imageOf(disk);
  let putOff = 0;
  for (let calls = 1; calls < 30; calls++) {
    disk = SimDisk.fromImage(image);
    const on = await open(disk);
    const { leafCount } = on.head;
    disk.setFaults({ fail: [{ call: disk.callCount + calls, code: 'DISK_FULL' }] });
    const error: unknown = await checkpointOf(on).catch((thrown: unknown) => thrown);
    disk.setFaults({});
    // The record is there, and what could not be written is its intent or its note.
    if (!(error instanceof VerityError) || on.head.leafCount === leafCount) continue;
    if (error.code !== 'DISK_FULL') continue;
    putOff += 1;
    const signed = await checkpointOf(on);
    check(on, signed);
    expect(signed.size).toBe(leafCount + 1);
    await scheduler.settle(on.close());
  }
  expect(putOff).toBeGreaterThanOrEqual(2);
});

test('the first checkpoint flushes no directory that anything else rests on', async () => {
  const { flushDirectory } = disk.calls;
  await checkpointOf(engine);
  expect(disk.calls.flushDirectory - flushDirectory).toBe(1);
  // Its name was made durable when the database was opened.
  expect(disk.crash().list('')).toContain('proofs');
});

test('nothing is signed before what is to be signed is durable', async () => {
  await checkpointOf(engine);
  await rows(1);
  await scheduler.settle(engine.close());
  const image = imageOf(disk);
  const before = image.get('proofs/checkpoints')!.length;
  const sectors: number[] = [];
  for (let flush = 1; flush < 8; flush++) {
    disk = SimDisk.fromImage(image);
    const on = await open(disk);
    const call = disk.calls.flush + flush;
    disk.setFaults({ fail: [{ kind: 'flush', call, code: 'IO_ERROR' }] });
    await checkpointOf(on).catch(() => undefined);
    // Behind what was written there is room that was taken for it, zeros.
    const added = imageOf(disk).get('proofs/checkpoints')!.subarray(before);
    sectors.push(Math.ceil((added.findLastIndex((byte) => byte !== 0) + 1) / 512));
  }
  // None; the intent alone, whose flush failed; intent and note.
  expect([...new Set(sectors)].toSorted((a, b) => a - b)).toEqual([1, 2]);
});

test('no record is logged whose note the disk has no room for', async () => {
  await checkpointOf(engine);
  await rows(1);
  const { leafCount } = engine.head;
  const used = [...imageOf(disk).values()].reduce((sum, { length }) => sum + length, 0);
  // The log's segment has room ahead of its tail.
  disk.setFaults({ capacityBytes: used + 100 });
  await expect(checkpointOf(engine)).rejects.toMatchObject({ code: 'DISK_FULL' });
  expect(engine.head.leafCount).toBe(leafCount);
  disk.setFaults({});
  expect((await checkpointOf(engine)).size).toBe(leafCount + 1);
});

test('nothing is signed when it cannot be kept what is signed', async () => {
  await checkpointOf(engine);
  await rows(1);
  disk.setFaults({
    fail: Array.from({ length: 40 }, (_, at) => ({
      call: disk.callCount + 1 + at,
      code: 'IO_ERROR' as const,
    })),
  });
  const error: unknown = await checkpointOf(engine).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(VerityError);
  disk.setFaults({});
  await expect(checkpointOf(engine)).rejects.toThrow(VerityError);
});
