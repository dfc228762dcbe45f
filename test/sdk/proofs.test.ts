/** Signed checkpoints and proofs from the log's tree, as an application asks for them. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Disk, fromHex } from '../../src/base/index.ts';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import type { OpenOptions, Verity } from '../../src/database/index.ts';
import {
  openNote,
  parseCheckpoint,
  parseVkey,
  verifyConsistency,
  verifyInclusion,
} from '../../src/proof/index.ts';
import { newDisk, openOn } from './support.ts';

function bytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  if (bytes === undefined) throw new Error('not hex');
  return bytes;
}

let disk: Disk;
let db: Verity;
beforeEach(async () => {
  disk = newDisk();
  db = await openOn(disk);
  const acme = await db.createTenant('acme');
  await acme.execute('CREATE TABLE t (id integer PRIMARY KEY)');
});
afterEach(() => db.close());

const rows = async (first: number, count: number): Promise<void> => {
  for (let id = first; id < first + count; id++)
    await db.tenant('acme').execute('INSERT INTO t VALUES ($1)', [id]);
};

test('a checkpoint is a signed note of the log, with its state; the newest is given while nothing comes', async () => {
  expect(db.proofs.newest()).toBeUndefined();
  expect(db.proofs.list()).toEqual([]);
  const first = await db.proofs.checkpoint();
  const vkeys = db.proofs.vkeys().map((vkey) => parseVkey(sha256, vkey));
  const { text, verified } = openNote(first.note, vkeys, ed25519Verify);
  expect(verified).toHaveLength(1);
  const { origin, size, root } = parseCheckpoint(text);
  expect({ origin, size: BigInt(size), root }).toEqual({
    origin: db.proofs.origin,
    size: first.size,
    root: bytesOf(first.root),
  });
  expect(first.stateHash?.hash).toBe((await db.stateHash()).hash);
  expect(first.stateHash?.position).toBe(first.position);
  expect(await db.proofs.checkpoint()).toEqual(first);
  await rows(0, 1);
  const second = await db.proofs.checkpoint();
  expect(second.size).toBe(first.size + 2n);
  expect(second.stateHash).not.toEqual(first.stateHash);
  expect([db.proofs.newest(), db.proofs.list()]).toEqual([second, [first, second]]);
});

test('every event is proved to be in the log, and each checkpoint to be continued by the later one', async () => {
  const older = await db.proofs.checkpoint();
  await rows(0, 20);
  const newer = await db.proofs.checkpoint();
  const root = bytesOf(newer.root);
  for (let index = 0; index < newer.size; index++) {
    const proof = await db.proofs.inclusion(index, newer.size);
    expect(proof).toMatchObject({ leaf: BigInt(index), size: newer.size, root: newer.root });
    const [leafHash, size] = [bytesOf(proof.leafHash), Number(proof.size)];
    const claim = { index, size, leafHash, proof: proof.hashes.map(bytesOf), root };
    expect(verifyInclusion(sha256, claim)).toBe(true);
  }
  const { from, to, hashes } = await db.proofs.consistency(older.size);
  expect([from, to]).toEqual([older.size, newer.size]);
  const claim = { from: Number(from), to: Number(to), proof: hashes.map(bytesOf) };
  const roots = { fromRoot: bytesOf(older.root), toRoot: root };
  expect(verifyConsistency(sha256, { ...claim, ...roots })).toBe(true);
});

test('what the log does not have is refused', async () => {
  const { size } = await db.proofs.checkpoint();
  const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENT' });
  for (const asked of [
    () => db.proofs.inclusion(size),
    () => db.proofs.inclusion(-1),
    () => db.proofs.inclusion(0, size + 1n),
    () => db.proofs.inclusion(0, 0),
    () => db.proofs.inclusion(0.5),
    () => db.proofs.consistency(2, 1),
    () => db.proofs.consistency(0, size + 1n),
  ])
    await expect(asked()).rejects.toEqual(invalid);
});

describe('by themselves', () => {
  const reopen = async (proofs: OpenOptions['proofs']): Promise<void> => {
    await db.close();
    db = await openOn(disk, { timers: true, ...(proofs !== undefined && { proofs }) });
  };
  const settled = (): Promise<unknown> => new Promise((resolve) => void setTimeout(resolve, 20));

  test('checkpoints are made after as many events as the options say', async () => {
    const { size } = await db.proofs.inclusion(0);
    await reopen({ checkpointEvents: Number(size) + 5, checkpointSeconds: 0 });
    await rows(0, 4);
    await settled();
    expect(db.proofs.list()).toEqual([]);
    await rows(4, 1);
    await expect.poll(() => db.proofs.list().length).toBe(1);
  });

  test('none is made with 0 for both', async () => {
    await reopen({ checkpointEvents: 0, checkpointSeconds: 0 });
    await rows(0, 30);
    await settled();
    expect(db.proofs.list()).toEqual([]);
  });

  test.each([
    { checkpointEvents: -1 },
    { checkpointEvents: 1.5 },
    { checkpointEvents: Number.NaN },
    { checkpointSeconds: -1 },
    { checkpointSeconds: 2_000_001 },
  ])('%j is refused', async (proofs) => {
    await expect(openOn(newDisk(), { proofs })).rejects.toEqual(
      expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
    );
  });
});
