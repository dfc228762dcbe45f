/** What others rest on: the tree over the log's leaves, the checkpoints that are signed, and the keys that sign them. */
import {
  CorruptionError,
  type Disk,
  equalBytes,
  firstNonZero,
  type LeafIndex,
  VerityError,
} from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import { crc32, ed25519Verify, sha256 } from '../crypto/index.ts';
import {
  checkpointsPath,
  handOversOf,
  handOverText,
  type Keyring,
  noteEntryAt,
  originOf,
  readWhole,
  tileRoot,
  tilesPath,
  treeRecordPath,
  vkeysOf,
} from '../engine/index.ts';
import { settingOf } from '../kernel/index.ts';
import {
  leafHash,
  hashBytes,
  makeVkey,
  nodesOfTiles,
  openNote,
  parseCheckpoint,
  parseNote,
  parseVkey,
  rootOf,
  signatureTypes,
  tileBytes,
  tileWidth,
  type TreeNodes,
  type Vkey,
} from '../proof/index.ts';
import type { ReadView } from '../store/index.ts';
import { type AuditWorkers, runAll } from './jobs.ts';
import type { AuditedLog } from './log-audit.ts';
import type { SegmentCommitments } from './segment-commitments.ts';
import { isAt, type SeenCheckpoint, type SegmentAudit } from './segment-job.ts';
import type { TimeStampsReport } from './timestamps-check.ts';
import { firstDifference, type TreeJob } from './tree-job.ts';

/** Tiles of leaves that are hashed as one piece. */
const tilesAtOnce = 64;
const recordBytes = 512;

/** The tree over all leaves of a log. */
export interface AuditedTree {
  readonly size: number;
  root(size: number): Uint8Array;
}

export interface ProofsReport extends TimeStampsReport {
  /** Leaves of the tree, which was made from the log; tiles that are good for fewer were compared with it. */
  readonly treeSize: number;
  /** Hex. */
  readonly root: string;
  /** Signed checkpoints, all of which were checked. */
  readonly checkpoints: number;
  /** Signatures of witnesses that are known, and good. */
  readonly cosignatures: number;
  /** Notes of keys that cannot be known without the key: they were not checked. */
  readonly unchecked: number;
}

/** Makes the tree from a log's leaves, with all workers, and compares the tiles on the disk with it. */
export async function auditTree(
  disk: Disk,
  commitments: SegmentCommitments,
  workers: AuditWorkers,
): Promise<{ readonly tree: AuditedTree; readonly errors: readonly CorruptionError[] }> {
  const size = commitments.count;
  const jobs: TreeJob[] = [];
  for (let tile = 0; tile * tileWidth < size; tile += tilesAtOnce) {
    const first = (tile * tileWidth) as LeafIndex;
    const end = Math.min(size, (tile + tilesAtOnce) * tileWidth);
    jobs.push({ kind: 'tree', firstTile: tile, commitments: commitments.range(first, end) });
  }
  const done = await runAll(workers, jobs);
  const levels: Uint8Array[] = [joined(done.map(({ roots }) => roots))];
  while ((levels.at(-1)?.length ?? 0) >= tileBytes)
    levels.push(rootsOf(levels.at(-1) as Uint8Array));
  const tree = treeOn(commitments, levels);
  const badLeaf = done.find(({ badByte }) => badByte !== undefined)?.badByte;
  return { tree, errors: checkTiles(disk, { tree, levels, badLeaf }) };
}

function rootsOf(hashes: Uint8Array): Uint8Array {
  const tiles = Math.floor(hashes.length / tileBytes);
  return joined(
    Array.from({ length: tiles }, (_, tile) =>
      tileRoot(hashes.subarray(tile * tileBytes, (tile + 1) * tileBytes)),
    ),
  );
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}

function treeOn(commitments: SegmentCommitments, levels: readonly Uint8Array[]): AuditedTree {
  const tile = (level: number, index: number): Uint8Array => {
    const start = index * tileBytes;
    if (level > 0) return (levels[level - 1] as Uint8Array).subarray(start, start + tileBytes);
    const first = index * tileWidth;
    const end = Math.min(commitments.count, first + tileWidth);
    const hashes = new Uint8Array((end - first) * hashBytes);
    for (let leaf = first; leaf < end; leaf++)
      hashes.set(leafHash(sha256, commitments.at(leaf as LeafIndex)), (leaf - first) * hashBytes);
    return hashes;
  };
  const nodes: TreeNodes = nodesOfTiles(sha256, tile);
  return { size: commitments.count, root: (size) => rootOf(sha256, nodes, size) };
}

/** The tiles that the record of the tree promises. */
function checkTiles(
  disk: Disk,
  {
    tree,
    levels,
    badLeaf,
  }: {
    readonly tree: AuditedTree;
    readonly levels: readonly Uint8Array[];
    readonly badLeaf: number | undefined;
  },
): CorruptionError[] {
  const record = readWhole(disk, treeRecordPath);
  // Tiles that nothing promises anything of are made again before they are used.
  if (record === undefined || record.length < recordBytes) return [];
  const isWhole =
    crc32(record.subarray(0, recordBytes - 4)) === new Reader(record, recordBytes - 4).u32();
  if (!isWhole)
    return [
      damaged('CHECKSUM_MISMATCH', treeRecordPath, 0, 'A record of the tree that is damaged lies'),
    ];
  const reader = new Reader(record, 24);
  const size = reader.u64();
  const root = reader.raw(hashBytes);
  const errors: CorruptionError[] = [];
  // It may be of frames that were cut from the end of the log, or of some that came after it was read.
  const inLog = Math.min(size, tree.size);
  if (size <= tree.size && !equalBytes(tree.root(size), root))
    errors.push(
      damaged(
        'STATE_MISMATCH',
        treeRecordPath,
        32,
        "A root that is not that of the log's leaves lies",
      ),
    );
  const what = "A hash that is not that of the log's leaves lies";
  if (badLeaf !== undefined && badLeaf < Math.floor(inLog / tileWidth) * tileBytes)
    errors.push(damaged('STATE_MISMATCH', tilesPath(0), badLeaf, what));
  for (const [index, hashes] of levels.entries()) {
    const path = tilesPath(index + 1);
    const promised = Math.floor(inLog / tileWidth ** (index + 2)) * tileBytes;
    const stored = (readWhole(disk, path) ?? new Uint8Array()).subarray(0, promised);
    const bad = firstDifference(stored, hashes);
    if (bad !== undefined) errors.push(damaged('STATE_MISMATCH', path, bad, what));
  }
  return errors;
}

export interface NotesCheck {
  readonly disk: Disk;
  /** The file of signed checkpoints as it was before the log was read. */
  readonly notes: Uint8Array;
  readonly keyring: Keyring;
  readonly log: AuditedLog;
  readonly tree: AuditedTree;
  /** Absent: without a key. */
  readonly view: ReadView | undefined;
}

/** Checks every signed checkpoint, the records that they sign, and the hand-overs of the keys that sign. */
export function auditNotes(check: NotesCheck): {
  readonly errors: readonly VerityError[];
  readonly report: Omit<ProofsReport, 'treeSize' | 'root' | keyof TimeStampsReport>;
} {
  const { disk, notes, keyring, log, tree, view } = check;
  const errors: VerityError[] = [...checkRecords(log, tree)];
  if (view !== undefined) errors.push(...checkHandOvers(keyring, view));
  const own = vkeysFor(keyring, view);
  const witnesses = view === undefined ? [] : witnessVkeys(view);
  const signed = new Set<number>();
  let [checkpoints, cosignatures, unchecked] = [0, 0, 0];
  for (const { note, offset, problem } of notesIn(notes)) {
    if (problem !== undefined) {
      errors.push(
        damaged(
          'CHECKSUM_MISMATCH',
          checkpointsPath,
          problem,
          'Bytes of checkpoints that are not as they were written lie',
        ),
      );
      continue;
    }
    checkpoints += 1;
    try {
      const opened = openNote(note, [...own, ...witnesses], ed25519Verify);
      const { origin, size, root } = parseCheckpoint(opened.text);
      const isOwn = opened.verified.some(({ vkey }) => own.includes(vkey));
      cosignatures += opened.verified.length - (isOwn ? 1 : 0);
      signed.add(size);
      const what = problemOf({ origin, size, root, isOwn }, originOf(keyring), tree);
      if (what !== undefined) errors.push(damaged('STATE_MISMATCH', checkpointsPath, offset, what));
    } catch (error) {
      if (!(error instanceof VerityError)) throw error;
      // Without a key a key of before may not be known; what it signed is not said to be bad.
      const isUnknown =
        view === undefined && error.code === 'SIGNATURE_INVALID' && !hasSignatureOf(note, own);
      if (isUnknown) unchecked += 1;
      else
        errors.push(
          damaged(
            error.code,
            checkpointsPath,
            offset,
            'A checkpoint whose signature or form is wrong lies',
          ),
        );
    }
  }
  if (log.tail.head.lastKind === 'close') errors.push(...missingNotes(disk, log, signed));
  return { errors, report: { checkpoints, cosignatures, unchecked } };
}

/** Throws PROOF_MALFORMED. */
export const sizeOfNote = (note: string): number => parseCheckpoint(parseNote(note).text).size;

function problemOf(
  note: {
    readonly origin: string;
    readonly size: number;
    readonly root: Uint8Array;
    readonly isOwn: boolean;
  },
  origin: string,
  tree: AuditedTree,
): string | undefined {
  if (note.origin !== origin || !note.isOwn)
    return 'A checkpoint that this database did not sign lies';
  if (note.size > tree.size)
    return `A checkpoint of ${note.size} leaves, of which the log has only ${tree.size}, lies`;
  return equalBytes(tree.root(note.size), note.root)
    ? undefined
    : `A checkpoint whose root is not that of the log's first ${note.size} leaves lies`;
}

/** Notes, and places that are neither a note nor what is left of one that a crash tore at the end. */
function* notesIn(
  bytes: Uint8Array,
): Generator<{ readonly note: string; readonly offset: number; readonly problem?: number }> {
  const sector = 512;
  let pending: number | undefined;
  for (let offset = 0; offset < bytes.length;) {
    const found = noteEntryAt(bytes, offset);
    if (found === undefined) {
      pending ??= firstNonZero(bytes, offset, Math.min(offset + sector, bytes.length));
      if (pending === -1) pending = undefined;
      offset += sector;
      continue;
    }
    if (pending !== undefined) yield { note: '', offset: pending, problem: pending };
    pending = undefined;
    const stray = firstNonZero(bytes, offset + found.length, Math.min(found.end, bytes.length));
    if (stray !== -1) yield { note: '', offset: stray, problem: stray };
    if (found.entry.kind === 'note') yield { note: found.entry.note, offset };
    offset = found.end;
  }
  if (pending !== undefined) yield { note: '', offset: pending, problem: pending };
}

/** A record says what the tree and the log were: both are there to be asked. */
function checkRecords({ segments }: AuditedLog, tree: AuditedTree): CorruptionError[] {
  const errors: CorruptionError[] = [];
  for (const [index, { path, facts }] of segments.entries()) {
    const before = segments.slice(0, index);
    for (const record of facts.checkpoints) {
      const fits = record.fits ?? fitsEndings(record, before);
      if (
        record.size <= record.leaf &&
        equalBytes(tree.root(record.size), record.root) &&
        fits !== false
      )
        continue;
      const what = `A record of a checkpoint (leaf ${record.leaf}) that does not say what the log was lies`;
      errors.push(damaged('STATE_MISMATCH', path, 0, what));
    }
  }
  return errors;
}

/** Whether the log stood where the record says at the end of one of the segments before it; undefined if that was further back. */
function fitsEndings(
  { size, covered, chainHash }: SeenCheckpoint,
  before: readonly SegmentAudit[],
): boolean | undefined {
  for (const { head, endings } of before.toReversed()) {
    if (head.leafCount > size) return undefined;
    if (head.leafCount < size) return false;
    if (endings.some((ending) => isAt(ending, { position: covered, chainHash }))) return true;
  }
  return undefined;
}

/** After a clean close every record but one that was being signed has its note. */
function missingNotes(
  disk: Disk,
  { segments }: AuditedLog,
  signed: ReadonlySet<number>,
): CorruptionError[] {
  const records = segments.flatMap(({ facts }) => facts.checkpoints);
  const newest = records.at(-1);
  if (newest === undefined || signed.has(newest.leaf + 1)) return [];
  // It may have been signed, and the database closed, while the log was read.
  const now = readWhole(disk, checkpointsPath) ?? new Uint8Array();
  for (const { note, problem } of notesIn(now))
    if (problem === undefined && sizeOfNote(note) === newest.leaf + 1) return [];
  const what = `The checkpoint of ${newest.leaf + 1} leaves, which the log has a record of, is missing: what there is`;
  return [damaged('MISSING_DATA', checkpointsPath, 0, `${what} lies`)];
}

function checkHandOvers(keyring: Keyring, view: ReadView): CorruptionError[] {
  const origin = originOf(keyring);
  let before: Vkey | undefined;
  return handOversOf(keyring, view).flatMap(({ from, to, signature }) => {
    const follows = before === undefined || equalBytes(before.publicKey, from.publicKey);
    before = to;
    const isSigned = ed25519Verify(from.publicKey, handOverText(origin, from, to), signature);
    if (follows && isSigned) return [];
    const what =
      'A hand-over of the key that signs checkpoints, which the one before did not sign, lies';
    return [damaged('SIGNATURE_INVALID', 'log', 0, what)];
  });
}

/** The keys that sign, or signed: as the log says, or without a key as the keyring does, which anybody can read. */
export const vkeysFor = (keyring: Keyring, view: ReadView | undefined): Vkey[] =>
  view === undefined ? publicVkeys(keyring) : vkeysOf(keyring, view);

/** The public keys of the keyring. */
function publicVkeys(keyring: Keyring): Vkey[] {
  const origin = originOf(keyring);
  const types = ['signing', 'formerSigning'] as const;
  return types.flatMap((type) =>
    keyring.entryNumbers(type).flatMap((number) => {
      const publicKey = keyring.entry(type, number)?.publicBytes.slice(0, 32);
      return publicKey === undefined
        ? []
        : [makeVkey(sha256, origin, signatureTypes.ed25519, publicKey)];
    }),
  );
}

function witnessVkeys(view: ReadView): Vkey[] {
  const stored = settingOf(view, 'witnesses');
  if (!Array.isArray(stored)) return [];
  return stored.flatMap((witness: unknown) => {
    const { vkey } = (witness ?? {}) as { readonly vkey?: unknown };
    return typeof vkey === 'string' ? [parseVkey(sha256, vkey)] : [];
  });
}

const hasSignatureOf = (note: string, vkeys: readonly Vkey[]): boolean =>
  parseNote(note).signatures.some((signature) =>
    vkeys.some(({ name, id }) => name === signature.name && id === signature.id),
  );

const damaged = (
  code: CorruptionError['code'],
  file: string,
  offset: number,
  what: string,
): CorruptionError => new CorruptionError(code, file, offset, what);
