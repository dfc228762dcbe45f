/**
 * What a repair does about `proofs/`: tiles that do not fit are removed, since the next owner makes them again; of the checkpoints the
 * good entries are kept, and notes that are missing are taken from the copy, as far as they are of this log.
 */
import { type Disk, equalBytes, VerityError } from '../base/index.ts';
import { deriveKey, ed25519Verify, sha256 } from '../crypto/index.ts';
import {
  hashBytes,
  nodeHash,
  openNote,
  parseCheckpoint,
  tileBytes,
  tileWidth,
  type Vkey,
} from '../proof/index.ts';
import { checkpointsPath, entriesOf, type NoteEntry, notesFile } from './checkpoint-notes.ts';
import { proofsDirectory, readWhole } from './files.ts';
import { lastingKey } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { Replacement } from './overlay-disk.ts';
import { TileFiles, treeKeyPurpose, treeRecordPath } from './tile-files.ts';
import { hashLeaves, tileRoot } from './tree-hashes.ts';

export interface ProofsRepair {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** What the copy's are checked with; absent where there is none. */
  readonly copy?: CopiedProofs;
}

export interface CopiedProofs {
  readonly disk: Disk;
  readonly origin: string;
  readonly vkeys: readonly Vkey[];
  readonly leafCount: number;
  /** The leaves of each frame of the repaired log, in its order. */
  readonly leaves: () => Iterable<Uint8Array>;
}

/** The files of `proofs/` that are to be replaced or removed. */
export function proofsReplacements(repair: ProofsRepair): Map<string, Replacement> {
  const replaced = new Map<string, Replacement>();
  if (!areTilesSound(repair)) {
    for (const name of repair.disk.list(proofsDirectory) ?? []) {
      const path = `${proofsDirectory}/${name}`;
      if (path === treeRecordPath || name.startsWith('tile-'))
        replaced.set(path, { kind: 'nothing' });
    }
  }
  const own = readWhole(repair.disk, checkpointsPath) ?? new Uint8Array();
  const kept = [...entriesOf(own)];
  const known = new Set(kept.map((entry) => (entry.kind === 'note' ? entry.size : undefined)));
  const others = notesOfCopy(repair.copy).filter(({ size }) => !known.has(size));
  const taken = ofThisLog(others, repair.copy).map(({ entry }) => entry);
  const bytes = notesFile([...taken, ...kept]);
  if (!equalBytes(bytes, own)) replaced.set(checkpointsPath, { kind: 'bytes', bytes });
  return replaced;
}

/** Whether the tiles, if their record is there, lead to the root that it names. */
function areTilesSound({ disk, hierarchy }: ProofsRepair): boolean {
  if (!disk.exists(treeRecordPath)) return true;
  const lasting = lastingKey(hierarchy.keyring, hierarchy.root);
  const key = deriveKey(lasting, treeKeyPurpose);
  lasting.wipe();
  const files = new TileFiles({ disk, logId: hierarchy.keyring.logId, key, isOwner: false });
  try {
    const record = files.record();
    if (record === undefined || record.size === 0) return record !== undefined;
    let roots: Uint8Array[] = [];
    const edge: Uint8Array[] = [];
    for (let level = 0, hashes = record.size; hashes > 0; level++) {
      const full = Math.floor(hashes / tileWidth);
      const above: Uint8Array[] = [];
      for (let index = 0; index < full; index++) {
        const tile = files.read(level, index);
        if (tile === undefined || (level > 0 && !holds(tile, roots, index))) return false;
        above.push(tileRoot(tile));
      }
      // The rest of a row stands for itself: the smaller the trees, the further to the right.
      if (level > 0) edge.unshift(...completeTrees(roots.slice(full * tileWidth)));
      roots = above;
      hashes = full;
    }
    return equalBytes(joinedRoot(edge), record.root);
  } finally {
    files.close();
  }
}

function holds(tile: Uint8Array, roots: readonly Uint8Array[], index: number): boolean {
  for (let at = 0; at < tileBytes; at += hashBytes) {
    const root = roots[index * tileWidth + at / hashBytes];
    if (root === undefined || !equalBytes(tile.subarray(at, at + hashBytes), root)) return false;
  }
  return true;
}

/** The roots of the complete trees that a row of equal ones is made of, the largest first. */
function completeTrees(row: readonly Uint8Array[]): Uint8Array[] {
  const stack = new RootStack();
  for (const hash of row) stack.push(hash);
  return stack.roots;
}

function joinedRoot(roots: readonly Uint8Array[]): Uint8Array {
  return roots.reduceRight((right, left) => nodeHash(sha256, left, right));
}

/** Complete trees side by side, the largest first: what is known of a tree whose leaves come one by one. */
class RootStack {
  readonly roots: Uint8Array[] = [];
  count = 0;

  push(hash: Uint8Array): void {
    let root = hash;
    for (let rest = this.count; rest % 2 === 1; rest = (rest - 1) / 2)
      root = nodeHash(sha256, this.roots.pop() as Uint8Array, root);
    this.roots.push(root);
    this.count += 1;
  }
}

interface CopiedNote {
  readonly entry: NoteEntry;
  readonly size: number;
  readonly root: Uint8Array;
}

/** The notes of the copy that are signed by keys of this log. */
function notesOfCopy(copy: CopiedProofs | undefined): CopiedNote[] {
  const found: CopiedNote[] = [];
  if (copy === undefined) return found;
  const { disk, origin, vkeys, leafCount } = copy;
  for (const entry of entriesOf(readWhole(disk, checkpointsPath) ?? new Uint8Array())) {
    if (entry.kind !== 'note' || entry.size === 0 || entry.size > leafCount) continue;
    try {
      const { text } = openNote(entry.note, vkeys, ed25519Verify);
      const { origin: of, size, root } = parseCheckpoint(text);
      if (of === origin) found.push({ entry, size, root });
    } catch (error) {
      if (!(error instanceof VerityError)) throw error;
    }
  }
  return found;
}

function ofThisLog(notes: readonly CopiedNote[], copy: CopiedProofs | undefined): CopiedNote[] {
  if (copy === undefined || notes.length === 0) return [];
  const sizes = new Set(notes.map(({ size }) => size));
  const roots = new Map<number, Uint8Array>();
  const stack = new RootStack();
  for (const frame of copy.leaves()) {
    const hashes = hashLeaves(frame);
    for (let at = 0; at < hashes.length; at += hashBytes) {
      stack.push(hashes.subarray(at, at + hashBytes));
      if (sizes.has(stack.count)) roots.set(stack.count, joinedRoot(stack.roots));
    }
  }
  return notes.filter(({ size, root }) => equalBytes(roots.get(size) ?? new Uint8Array(), root));
}
