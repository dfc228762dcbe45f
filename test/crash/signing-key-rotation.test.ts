/** Rotation of the signing key on a disk that stops, or fails, at every one of its calls. */
import { beforeAll, expect, test } from 'vitest';
import { type Disk, Prng, type VerityError } from '../../src/base/index.ts';
import { ed25519Verify, SecretKey, sha256 } from '../../src/crypto/index.ts';
import { Verity } from '../../src/database/index.ts';
import { decodeKeyring } from '../../src/engine/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { openNote, parseVkey } from '../../src/proof/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { imageOf } from '../integrity/disk-image.ts';

const masterKey = new HeldKeyProvider(
  'held',
  'held',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);

interface World {
  readonly host: Parameters<typeof Verity.openOn>[0];
  readonly settle: <T>(promise: Promise<T>) => Promise<T>;
}

function worldOn(disk: Disk, seed: number): World {
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const logSizes = { segmentBytes: 65_536, fillBytesMin: 4_096, fillBytesMax: 4_096 };
  const host = { disk, clock, scheduler, entropy: new Prng(seed), logSizes };
  return { host, settle: (promise) => scheduler.settle(promise) };
}

interface Told {
  /** Keys that callers know to sign. */
  readonly vkeys: string[];
  readonly notes: string[];
}

async function create(disk: Disk): Promise<void> {
  const { host, settle } = worldOn(disk, 1);
  const db = await settle(Verity.openOn(host, { masterKey, origin: 'clinic.example/records' }));
  const acme = await settle(db.createTenant('acme'));
  await settle(acme.execute('CREATE TABLE t (id integer PRIMARY KEY)'));
  await settle(db.close());
}

/** Rotates twice, with writes and checkpoints between, and one write on its way meanwhile. */
async function change({ host, settle }: World, told: Told, started: () => void): Promise<void> {
  const db = await settle(Verity.openOn(host, { masterKey }));
  const acme = db.tenant('acme');
  told.vkeys.push(db.keys.exportPublic().vkey);
  started();
  for (const id of [1, 2]) {
    await settle(acme.execute('INSERT INTO t VALUES ($1)', [id]));
    told.notes.push((await settle(db.proofs.checkpoint())).note);
    const written = acme.execute('INSERT INTO t VALUES ($1)', [id + 10]);
    const [exported] = await settle(Promise.all([db.keys.rotateSigningKey(), written]));
    told.vkeys.push(exported.vkey);
  }
  told.notes.push((await settle(db.proofs.checkpoint())).note);
  await settle(db.close());
}

let image: Map<string, Uint8Array>;
beforeAll(async () => {
  const disk = new SimDisk();
  await create(disk);
  image = imageOf(disk);
});

/** Which of `vkeys` signed the note alone; fails unless it is one. */
function signerOf(note: string, vkeys: readonly string[], where: string): number {
  const signers = vkeys.flatMap((vkey, index) => {
    const { verified } = openNoteOrNone(note, vkey);
    return verified === 0 ? [] : [index];
  });
  expect(signers, `${where}: signers of a note`).toHaveLength(1);
  return signers[0] as number;
}

function openNoteOrNone(note: string, vkey: string): { verified: number } {
  try {
    const { verified } = openNote(note, [parseVkey(sha256, vkey)], ed25519Verify);
    return { verified: verified.length };
  } catch (error) {
    if ((error as VerityError).code === 'SIGNATURE_INVALID') return { verified: 0 };
    throw error;
  }
}

function signingNumbersOn(disk: SimDisk): number[] {
  const keyring = decodeKeyring(imageOf(disk).get('keyring') as Uint8Array);
  if ('what' in keyring) throw new Error(keyring.what);
  return keyring.entryNumbers('signing');
}

/** Reopens: one key signs, all that signed before are known, and each is handed over to by the one before it. */
async function checkAfter(disk: SimDisk, told: Told, where: string): Promise<number> {
  const { host, settle } = worldOn(disk, 99);
  const db = await settle(Verity.openOn(host, { masterKey, create: false }));
  const { vkey, earlierVkeys } = db.keys.exportPublic();
  const vkeys = [...earlierVkeys, vkey];
  expect(vkeys.slice(0, told.vkeys.length), where).toEqual(told.vkeys);
  expect(vkeys.length - told.vkeys.length, where).toBeLessThanOrEqual(1);
  const { note } = await settle(db.proofs.checkpoint());
  expect(signerOf(note, vkeys, where), where).toBe(vkeys.length - 1);
  for (const told1 of told.notes) signerOf(told1, vkeys, where);
  const newer = await settle(db.keys.rotateSigningKey());
  expect(newer.earlierVkeys, where).toEqual(vkeys);
  const last = await settle(db.proofs.checkpoint());
  expect(signerOf(last.note, [...vkeys, newer.vkey], where), where).toBe(vkeys.length);
  expect((await settle(db.verify())).findings, where).toEqual([]);
  await settle(db.close());
  expect(signingNumbersOn(disk), where).toEqual([vkeys.length + 1]);
  return vkeys.length;
}

async function callsOfChange(): Promise<{ readonly first: number; readonly last: number }> {
  const disk = SimDisk.fromImage(image);
  let first = 0;
  const told: Told = { vkeys: [], notes: [] };
  await change(worldOn(disk, 2), told, () => (first = disk.callCount));
  expect(told.vkeys).toHaveLength(3);
  expect(new Set(told.vkeys).size).toBe(3);
  expect(told.notes.map((note) => signerOf(note, told.vkeys, 'without a fault'))).toEqual([
    0, 1, 2,
  ]);
  expect(signingNumbersOn(disk)).toEqual([3]);
  return { first, last: disk.callCount };
}

test('a machine that stops at any call of a rotation of the signing key has one key that signs, and knows those before it', async () => {
  const { first, last } = await callsOfChange();
  const seen = [0, 0, 0, 0];
  for (let call = first + 1; call <= last; call++) {
    const disk = SimDisk.fromImage(image, { seed: call, faults: { crashAtCall: call } });
    const told: Told = { vkeys: [], notes: [] };
    await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
    const count = await checkAfter(disk.crash(), told, `call ${call}`);
    seen[count] = (seen[count] as number) + 1;
  }
  expect(Math.min(...seen.slice(1))).toBeGreaterThan(3);
}, 120_000);

test.each(['IO_ERROR', 'DISK_FULL'] as const)(
  'a disk that answers %s once, at any call of a rotation of the signing key, loses no key',
  async (code) => {
    const { first, last } = await callsOfChange();
    for (let call = first + 1; call <= last; call += 3) {
      const disk = SimDisk.fromImage(image, { seed: call, faults: { fail: [{ call, code }] } });
      const told: Told = { vkeys: [], notes: [] };
      await change(worldOn(disk, 2), told, () => undefined).catch(() => undefined);
      await checkAfter(disk.crash(), told, `${code} at call ${call}`);
    }
  },
  120_000,
);
