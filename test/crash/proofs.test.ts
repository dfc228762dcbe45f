/** Checkpoints and tiles on a disk that stops, or fails, at every one of its calls: no two signed notes contradict each other. */
import { beforeAll, expect, test } from 'vitest';
import { type Disk, fromHex, Prng, toHex } from '../../src/base/index.ts';
import { ed25519Verify, SecretKey, sha256 } from '../../src/crypto/index.ts';
import { Verity } from '../../src/database/index.ts';
import { noteEntryAt } from '../../src/engine/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { leafBytes } from '../../src/log/index.ts';
import {
  openNote,
  parseCheckpoint,
  parseVkey,
  type Vkey,
  verifyConsistency,
  verifyInclusion,
} from '../../src/proof/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { imageOf } from '../integrity/disk-image.ts';
import { naiveLeafHash, naiveRoot } from '../support/naive-tree.ts';
import { logicalFrames } from './logical-frames.ts';

const masterKey = new HeldKeyProvider(
  'held',
  'held',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);
const sectorBytes = 512;
/** More than a tile, so that a close writes some. */
const rowsAtOnce = 300;

interface World {
  readonly host: Parameters<typeof Verity.openOn>[0];
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

function worldOn(disk: Disk, seed: number): World {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const logSizes = { segmentBytes: 65_536, fillBytesMin: 8_192, fillBytesMax: 8_192 };
  const host = { disk, clock, scheduler, entropy: new Prng(seed), logSizes };
  return { host, settle: (promise) => scheduler.settle(promise) };
}

async function insert({ settle }: World, db: Verity, first: number): Promise<void> {
  const acme = db.tenant('acme');
  const rows = Array.from({ length: rowsAtOnce }, (_, index) => `(${first + index})`);
  await settle(acme.execute(`INSERT INTO t VALUES ${rows.join(', ')}`));
}

/** Checkpoints between writes, one while a write is under way; `notes` gets what callers were given. */
async function change(world: World, notes: string[], started: () => void): Promise<void> {
  const { host, settle } = world;
  const db = await settle(Verity.openOn(host, { masterKey }));
  started();
  const note = async (): Promise<void> => {
    notes.push((await db.proofs.checkpoint()).note);
  };
  await insert(world, db, 1_000);
  await settle(note());
  const written = db.tenant('acme').execute('INSERT INTO t VALUES (2000)');
  await settle(Promise.all([written, note()]));
  await insert(world, db, 3_000);
  await settle(note());
  await settle(db.close());
}

let image: Map<string, Uint8Array>;
let vkey: Vkey;
beforeAll(async () => {
  const disk = new SimDisk();
  const world = worldOn(disk, 1);
  const db = await world.settle(Verity.openOn(world.host, { masterKey }));
  await world.settle(db.createTenant('acme'));
  await world.settle(db.tenant('acme').execute('CREATE TABLE t (id integer PRIMARY KEY)'));
  await insert(world, db, 0);
  await world.settle(db.proofs.checkpoint());
  vkey = parseVkey(sha256, db.keys.exportPublic().vkey);
  await world.settle(db.close());
  image = imageOf(disk);
  expect(image.get('proofs/tile-0')?.length).toBe(8_192);
});

/** The commitments of all events in the log on the disk, read without anything that makes trees. */
function commitmentsOn(disk: Disk): Uint8Array[] {
  return logicalFrames(disk).flatMap((frame) => {
    const leaves = fromHex(frame.split(':')[1] as string) as Uint8Array;
    return Array.from({ length: leaves.length / leafBytes }, (_, index) =>
      leaves.slice(index * leafBytes + 2, (index + 1) * leafBytes),
    );
  });
}

/** Every note in the file of notes, durable or not. */
function notesOn(disk: SimDisk): string[] {
  const bytes = disk.image().get('proofs/checkpoints') ?? new Uint8Array();
  const notes: string[] = [];
  for (let at = 0; at + sectorBytes <= bytes.length; at += sectorBytes) {
    const entry = noteEntryAt(bytes, at)?.entry;
    if (entry?.kind === 'note') notes.push(entry.note);
  }
  return notes;
}

interface After {
  /** Notes that callers were given. */
  readonly told: readonly string[];
  /** Those, and what else was signed before the fault. */
  readonly signed: readonly string[];
  readonly where: string;
}

/** Reopens: the log has the tree that every note says, the notes are there, and proofs lead from each to a new one. */
async function checkAfter(disk: SimDisk, { told, signed, where }: After): Promise<void> {
  const { host, settle } = worldOn(disk, 99);
  const db = await settle(Verity.openOn(host, { masterKey, create: false }));
  const now = await settle(db.proofs.checkpoint());
  const kept = db.proofs.list().map(({ note }) => note);
  for (const note of told) expect(kept.includes(note), `${where}: a note is gone`).toBe(true);
  const to = Number(now.size);
  const leaf = to - 2;
  const inclusion = await settle(db.proofs.inclusion(leaf));
  const shown = await Promise.all(
    [...signed, now.note].map(async (note) => {
      const { text, verified } = openNote(note, [vkey], ed25519Verify);
      expect(verified, where).toHaveLength(1);
      const { size, root } = parseCheckpoint(text);
      const { hashes } = await settle(db.proofs.consistency(size, to));
      return { size, root, proof: hashes.map((hash) => fromHex(hash) as Uint8Array) };
    }),
  );
  expect((await settle(db.verify())).findings, where).toEqual([]);
  await settle(db.close());
  const commitments = commitmentsOn(disk);
  const toRoot = naiveRoot(commitments, 0, to);
  for (const { size: from, root: fromRoot, proof } of shown) {
    expect(toHex(fromRoot), `${where}: size ${from}`).toBe(toHex(naiveRoot(commitments, 0, from)));
    expect(verifyConsistency(sha256, { from, to, fromRoot, toRoot, proof }), where).toBe(true);
  }
  const claim = {
    index: leaf,
    size: to,
    leafHash: naiveLeafHash(commitments[leaf] as Uint8Array),
    proof: inclusion.hashes.map((hash) => fromHex(hash) as Uint8Array),
  };
  expect(verifyInclusion(sha256, { ...claim, root: toRoot }), where).toBe(true);
}

async function callsOfChange(): Promise<{ readonly first: number; readonly last: number }> {
  const disk = SimDisk.fromImage(image);
  let first = 0;
  const told: string[] = [];
  await change(worldOn(disk, 2), told, () => (first = disk.callCount));
  expect(told).toHaveLength(3);
  expect(imageOf(disk).get('proofs/tile-0')?.length).toBe(3 * 8_192);
  return { first, last: disk.callCount };
}

test('a machine that stops at any call has signed nothing that its log is not, and has lost no checkpoint', async () => {
  const { first, last } = await callsOfChange();
  const seen = [0, 0, 0, 0];
  for (let call = first + 1; call <= last; call++) {
    const disk = SimDisk.fromImage(image, { seed: call, faults: { crashAtCall: call } });
    const told: string[] = [];
    await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
    seen[told.length] = (seen[told.length] as number) + 1;
    const signed = [...new Set([...told, ...notesOn(disk)])];
    await checkAfter(disk.crash(), { told, signed, where: `call ${call}` });
  }
  expect(Math.min(...seen)).toBeGreaterThan(3);
}, 120_000);

test.each(['IO_ERROR', 'DISK_FULL'] as const)(
  'a disk that answers %s once, at any call, makes no checkpoint wrong',
  async (code) => {
    const { first, last } = await callsOfChange();
    for (let call = first + 1; call <= last; call += 2) {
      const disk = SimDisk.fromImage(image, { seed: call, faults: { fail: [{ call, code }] } });
      const told: string[] = [];
      await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
      const signed = [...new Set([...told, ...notesOn(disk)])];
      await checkAfter(disk.crash(), { told, signed, where: `${code} at call ${call}` });
    }
  },
  120_000,
);
