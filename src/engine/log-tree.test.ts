import { beforeEach, describe, expect, test } from 'vitest';
import { flipByte } from '../../test/integrity/disk-image.ts';
import { naiveLeafHash, naiveRoot } from '../../test/support/naive-tree.ts';
import { type Disk, type LeafIndex, type LogId, Prng } from '../base/index.ts';
import { SecretKey, sha256 } from '../crypto/index.ts';
import { leafBytes } from '../log/index.ts';
import { tileBytes, verifyConsistency, verifyInclusion } from '../proof/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../sim/index.ts';
import type { LocatedFrame } from './log-reader.ts';
import { LogTree } from './log-tree.ts';
import { TileFiles } from './tile-files.ts';

/** Frames in memory, as the log holds them. */
class TestLog {
  commitments: Uint8Array[] = [];
  readonly #entropy: Prng;
  #frames: { readonly first: number; readonly leaves: Uint8Array }[] = [];
  /** Leaves that were asked for, from this one on. */
  readonly readFrom: number[] = [];

  constructor(seed = 1) {
    this.#entropy = new Prng(seed);
  }

  get size(): number {
    return this.commitments.length;
  }

  /** Adds a frame of so many events; its first leaf, and its leaves. */
  add(count: number): readonly [LeafIndex, Uint8Array] {
    const leaves = this.#entropy.bytes(count * leafBytes);
    const first = this.size;
    this.#frames.push({ first, leaves });
    for (let at = 0; at < leaves.length; at += leafBytes)
      this.commitments.push(leaves.subarray(at + 2, at + leafBytes));
    return [first as LeafIndex, leaves];
  }

  /** Cuts the frames from this leaf on. */
  cut(first: number): void {
    this.#frames = this.#frames.filter((frame) => frame.first < first);
    this.commitments = this.commitments.slice(0, first);
  }

  *from(leaf: number): Generator<LocatedFrame> {
    this.readFrom.push(leaf);
    for (const { first, leaves } of this.#frames) {
      const leafCount = leaves.length / leafBytes;
      if (first + leafCount <= leaf) continue;
      const header = { firstLeaf: first, leafCount };
      yield { frame: { header, leaves }, path: 'log', offset: 0 } as unknown as LocatedFrame;
    }
  }
}

let log: TestLog;
let disk: SimDisk;
let scheduler: SimScheduler;
beforeEach(() => {
  log = new TestLog();
  disk = new SimDisk();
  disk.makeDirectory('');
  scheduler = new SimScheduler(new SimClock());
});

interface TreeOptions {
  readonly isOwner?: boolean;
  readonly keyByte?: number;
  readonly of?: TestLog;
}

function treeOn(on: Disk, { isOwner = true, keyByte = 1, of = log }: TreeOptions = {}): LogTree {
  const logId = new Uint8Array(16) as LogId;
  const key = new SecretKey(new Uint8Array(32).fill(keyByte));
  return new LogTree({
    files: new TileFiles({ disk: on, logId, key, isOwner }),
    isOwner,
    scheduler,
    framesFrom: (leaf) => of.from(leaf),
    leafCount: () => of.size,
  });
}

function treeCaughtUp(): LogTree {
  const tree = treeOn(disk);
  tree.catchUpNow();
  return tree;
}

/** A tree that was told of each frame, as the commit loop does. */
function grown(tree: LogTree, frames: readonly number[]): LogTree {
  for (const count of frames) tree.note(...log.add(count));
  return tree;
}

/** Compares roots and proofs at some sizes with the naive tree. */
function check(tree: LogTree, of = log, seed = 5): void {
  const { commitments } = of;
  expect(tree.size).toBe(commitments.length);
  expect(tree.root(tree.size)).toEqual(naiveRoot(commitments));
  const random = new Prng(seed);
  for (let round = 0; round < 4; round++) {
    const to = 1 + random.below(tree.size);
    const from = random.below(to + 1);
    const leaf = random.below(to);
    const root = naiveRoot(commitments, 0, to);
    expect(tree.root(to)).toEqual(root);
    expect(tree.leafHash(leaf)).toEqual(naiveLeafHash(commitments[leaf]!));
    const inclusion = tree.inclusionProof(leaf, to);
    const claim = { index: leaf, size: to, leafHash: tree.leafHash(leaf), proof: inclusion, root };
    expect(verifyInclusion(sha256, claim)).toBe(true);
    expect(inclusion.length).toBeLessThanOrEqual(Math.ceil(Math.log2(to)));
    const proof = tree.consistencyProof(from, to);
    const fromRoot = naiveRoot(commitments, 0, from);
    if (from > 0)
      expect(verifyConsistency(sha256, { from, to, fromRoot, toRoot: root, proof })).toBe(true);
  }
}

test('the tree of frames of every length is that of RFC 6962', () => {
  const tree = treeOn(disk);
  expect(tree.root(0)).toEqual(naiveRoot([]));
  const random = new Prng(3);
  for (let frame = 0; frame < 40; frame++) {
    grown(tree, [1 + random.below(frame % 7 === 0 ? 700 : 30)]);
    check(tree, log, frame);
  }
});

test('every size around full tiles has the right root, and proofs to every other', () => {
  const tree = grown(treeOn(disk), [255, 1, 1, 254, 1, 1]);
  for (let to = 1; to <= tree.size; to += to > 8 && to < 250 ? 31 : 1) {
    const root = naiveRoot(log.commitments, 0, to);
    expect(tree.root(to)).toEqual(root);
    for (const from of [1, 2, 128, 255, 256, 257, to - 1].filter(
      (size) => size > 0 && size <= to,
    )) {
      const fromRoot = naiveRoot(log.commitments, 0, from);
      const proof = tree.consistencyProof(from, to);
      expect(verifyConsistency(sha256, { from, to, fromRoot, toRoot: root, proof })).toBe(true);
    }
  }
});

/** Two full tiles of level 1 would take too long here: one level of files, 70 full tiles and a part of one. */
const manyFrames = [9_000, 9_000, 100];

describe('after a restart', () => {
  beforeEach(async () => {
    await scheduler.settle(grown(treeOn(disk), manyFrames).close());
    log.readFrom.length = 0;
  });

  test('only the leaves behind the tiles are read, and everything is the same', () => {
    const tree = treeOn(disk);
    const behindTiles = log.size - (log.size % 256);
    expect(tree.size).toBe(behindTiles);
    tree.catchUpNow();
    // The last leaf of the tiles is compared with the log's.
    expect(log.readFrom).toEqual([behindTiles - 1, behindTiles]);
    check(tree);
    check(grown(tree, [300, 5]));
  });

  test('it is caught up in slices, while frames come', async () => {
    const tree = treeOn(disk);
    const caughtUp = tree.catchUp();
    grown(tree, [40]);
    await scheduler.settle(caughtUp);
    check(tree);
  });

  const damages: [string, (on: SimDisk) => void][] = [
    ['a byte of a tile', (on) => flipByte(on, 'proofs/tile-0', 5 * tileBytes + 77, 1)],
    ['the last byte of all tiles', (on) => flipByte(on, 'proofs/tile-0', 70 * tileBytes - 1, 4)],
    ['a byte of the record', (on) => flipByte(on, 'proofs/tree', 30, 1)],
    ['a missing end of the tiles', (on) => truncate(on, 'proofs/tile-0', 69 * tileBytes + 3)],
    ['missing tiles', (on) => on.remove('proofs/tile-0')],
    ['a missing record', (on) => on.remove('proofs/tree')],
    ['an empty record', (on) => truncate(on, 'proofs/tree', 0)],
    ['tiles and record of zeros', zeroAll],
  ];
  test.each(damages)('%s changes no root and no proof, at once or later', async (_what, damage) => {
    const open = treeOn(disk);
    open.catchUpNow();
    damage(disk);
    check(open);
    await scheduler.settle(open.close());
    const again = treeOn(disk);
    again.catchUpNow();
    check(again);
    await scheduler.settle(again.close());
    const healed = treeOn(disk);
    expect(healed.size).toBe(log.size - (log.size % 256));
    healed.catchUpNow();
    check(healed, log, 9);
  });

  test("another key's record is none", () => {
    expect(treeOn(disk, { keyByte: 2 }).size).toBe(0);
  });

  test.each([17_000, 18_100])(
    'a log that was cut and has other events since, now %i, has its own tree',
    async (size) => {
      log.cut(9_000);
      log.add(size - 9_000);
      const tree = treeOn(disk);
      tree.catchUpNow();
      check(tree);
      await scheduler.settle(tree.close());
      const again = treeOn(disk);
      expect(again.size).toBe(size - (size % 256));
      again.catchUpNow();
      check(again);
    },
  );

  test('a log that was cut before the first tile, and is shorter than that, has its own tree', () => {
    log.cut(0);
    log.add(20);
    const tree = treeOn(disk);
    tree.catchUpNow();
    check(tree);
  });
});

test('full tiles are written while the tree grows, and durable before the record that stands for them', async () => {
  const tree = treeOn(disk);
  for (let frame = 0; frame < 40; frame++) {
    grown(tree, [500]);
    await scheduler.settle(Promise.resolve());
  }
  const crashed = disk.crash();
  const after = treeOn(crashed);
  expect(after.size).toBe(64 * 256);
  after.catchUpNow();
  check(after);
});

test('tiles of the level above are files too', async () => {
  await scheduler.settle(grown(treeOn(disk), [40_000, 30_000]).close());
  expect(disk.list('proofs')?.toSorted()).toEqual(['tile-0', 'tile-1', 'tree']);
  check(treeCaughtUp());
  flipByte(disk, 'proofs/tile-1', 4_000, 1);
  const tree = treeCaughtUp();
  check(tree);
  await scheduler.settle(tree.close());
  log.readFrom.length = 0;
  check(treeCaughtUp());
  expect(Math.min(...log.readFrom)).toBeGreaterThan(69_000);
});

test('a handle that only reads uses the tiles of the owner, writes nothing and keeps up', async () => {
  const owner = grown(treeOn(disk), [20_000]);
  await scheduler.settle(owner.close());
  const calls = disk.list('proofs')?.toSorted();
  const follower = treeOn(disk, { isOwner: false });
  expect(follower.size).toBe(20_000 - (20_000 % 256));
  follower.catchUpNow();
  check(follower);
  const next = treeOn(disk);
  next.catchUpNow();
  const frame = log.add(17_000);
  next.note(...frame);
  follower.note(...frame);
  await scheduler.settle(next.close());
  follower.note(...log.add(300));
  check(follower);
  await scheduler.settle(follower.close());
  expect(disk.list('proofs')?.toSorted()).toEqual(calls);
});

test('a handle that only reads keeps tiles that are damaged in the files, and lets go of the others', async () => {
  await scheduler.settle(grown(treeOn(disk), [40_000]).close());
  flipByte(disk, 'proofs/tile-0', 3 * tileBytes + 5, 1);
  flipByte(disk, 'proofs/tile-0', 140 * tileBytes, 8);
  const follower = treeOn(disk, { isOwner: false });
  follower.catchUpNow();
  check(follower);
  for (const leaf of [3 * 256, 140 * 256 + 9]) follower.inclusionProof(leaf, 40_000);
  check(grown(follower, [300]));
});

test('tiles are written while the whole log is read on one turn, and stay behind a record that stands for all', async () => {
  for (let frame = 0; frame < 60; frame++) log.add(1_000);
  const tree = treeOn(disk);
  tree.catchUpNow();
  const { length } = disk.image().get('proofs/tile-0') ?? new Uint8Array();
  expect(log.size * 32 - length).toBeLessThanOrEqual(129 * tileBytes);
  check(tree);
  await scheduler.settle(tree.close());
  const crashed = treeOn(disk.crash());
  expect(crashed.size).toBe(log.size - (log.size % 256));
  crashed.catchUpNow();
  check(crashed);
});

test('a close keeps tiles that were written, and for which no record stood yet', async () => {
  // 64 tiles, which a flush is begun for, and 128 more: none waits.
  for (let frame = 0; frame < 48; frame++) log.add(1_024);
  const tree = treeOn(disk);
  tree.catchUpNow();
  expect(disk.image().get('proofs/tile-0')?.length).toBe(192 * tileBytes);
  await scheduler.settle(tree.close());
  expect(treeOn(disk.crash()).size).toBe(log.size);
});

test('on a full disk tiles wait in memory, and are written when there is room', async () => {
  const fail = Array.from({ length: 3_000 }, (_, call) => ({
    call: call + 1,
    code: 'DISK_FULL' as const,
  }));
  const full = new SimDisk({ faults: { fail } });
  const tree = grown(treeOn(full), [17_000]);
  await scheduler.settle(Promise.resolve());
  check(tree);
  check(grown(tree, [17_000]));
  full.setFaults({});
  grown(tree, [1]);
  await scheduler.settle(tree.close());
  const again = treeOn(full);
  expect(again.size).toBe(log.size - (log.size % 256));
  again.catchUpNow();
  check(again);
});

function truncate(on: Disk, path: string, length: number): void {
  const file = on.open(path, 'readwrite');
  file.truncate(length);
  file.close();
}

function zeroAll(on: Disk): void {
  for (const path of ['proofs/tile-0', 'proofs/tree']) {
    const file = on.open(path, 'readwrite');
    file.write(new Uint8Array(file.sizeBytes()), 0);
    file.close();
  }
}
