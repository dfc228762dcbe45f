/** Changed bytes of `proofs/`: the database opens, gives no wrong proof, and verification names the byte; with its next close all that is derived is whole. */
import { fromHex, VerityError } from '../../src/base/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { sha256 } from '../../src/crypto/index.ts';
import { Verity } from '../../src/database/index.ts';
import { verifyConsistency, verifyInclusion } from '../../src/proof/index.ts';
import { type DiskImage, diskOf, imageOf } from './disk-image.ts';
import { hostOn, sampleDatabase, TestKey } from './sample-database.ts';

export interface ProofsSample {
  /** All files after a close, and those of `proofs/` among them. */
  readonly image: DiskImage;
  readonly paths: readonly string[];
  readonly size: number;
  readonly root: string;
  /** Notes by their size. */
  readonly notes: ReadonlyMap<bigint, string>;
}

const rowsOfSample = 300;
const damagedTile = 'proofs/tile-0';

/** A database with a full tile of its tree and checkpoints; its last event is the newest one's record. */
export async function proofsSample(): Promise<ProofsSample> {
  const { db, disk } = await sampleDatabase(rowsOfSample);
  const notes = new Map<bigint, string>();
  let newest = await db.proofs.checkpoint();
  for (let round = 0; round < 3; round++) {
    await db.createTenant(`more-${round}`);
    newest = await db.proofs.checkpoint();
  }
  for (const { size, note } of db.proofs.list()) notes.set(size, note);
  await db.close();
  const image = imageOf(disk);
  const paths = [...image.keys()].filter((path) => path.startsWith('proofs/'));
  return { image, paths, size: Number(newest.size), root: newest.root, notes };
}

/** What is wrong with what a database answers to one changed byte; undefined if nothing is. */
export async function judgeFlip(
  sample: ProofsSample,
  { path, offset, mask }: { path: string; offset: number; mask: number },
): Promise<string | undefined> {
  const bytes = Uint8Array.from(sample.image.get(path) as Uint8Array);
  bytes[offset] = (bytes[offset] as number) ^ mask;
  const disk = diskOf(new Map(sample.image).set(path, bytes));
  const where = `${path} at ${offset}, ${mask}`;
  const { findings } = await auditDatabase({ disk, root: new TestKey() });
  if (!findings.some((one) => one.file === path)) return `${where}: not found`;
  try {
    const db = await Verity.openOn(hostOn(disk), { masterKey: new TestKey(), create: false });
    const wrong = await wrongProof(db, sample);
    await db.close();
    if (wrong !== undefined) return `${where}: ${wrong}`;
    // Tiles that no proof read are as they were until they are read.
    if (path === damagedTile) return undefined;
    const after = await auditDatabase({ disk, root: new TestKey() });
    const left = path === 'proofs/tree' ? after.findings.map(({ message }) => message) : [];
    return left.length > 0 ? `${where}: not made again: ${left.join()}` : undefined;
  } catch (error) {
    return `${where}: ${error instanceof VerityError ? error.code : String(error)}`;
  }
}

async function wrongProof(db: Verity, sample: ProofsSample): Promise<string | undefined> {
  const { size, notes } = sample;
  const root = fromHex(sample.root) as Uint8Array;
  for (const { size: of, note } of db.proofs.list())
    if (notes.get(of) !== note) return `another note of ${of} events`;
  if ((await db.proofs.checkpoint()).note !== notes.get(BigInt(size))) return 'another newest note';
  for (const leaf of [0, 100, 255, 256, size - 1]) {
    const { leafHash, hashes } = await db.proofs.inclusion(leaf, size);
    const proof = hashes.map((hash) => fromHex(hash) as Uint8Array);
    const claim = { index: leaf, size, leafHash: fromHex(leafHash) as Uint8Array, proof, root };
    if (!verifyInclusion(sha256, claim)) return `a wrong proof of leaf ${leaf}`;
  }
  for (const from of [1, 77, 256, size - 3]) {
    const fromRoot = fromHex((await db.proofs.inclusion(0, from)).root) as Uint8Array;
    const { hashes } = await db.proofs.consistency(from, size);
    const proof = hashes.map((hash) => fromHex(hash) as Uint8Array);
    if (!verifyConsistency(sha256, { from, to: size, fromRoot, toRoot: root, proof }))
      return `a wrong proof from ${from}`;
  }
  return undefined;
}
