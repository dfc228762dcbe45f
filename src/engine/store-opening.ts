/**
 * Opening the store: from the newest checkpoint if that fits the log, and empty otherwise, to be filled again by
 * replaying all of the log.
 */
import {
  CorruptionError,
  type Disk,
  type Entropy,
  equalBytes,
  type Position,
  type TenantId,
} from '../base/index.ts';
import { DecodeError } from '../codec/index.ts';
import {
  decodeSegmentRecord,
  type KernelSnapshot,
  segmentKey,
  segmentsTree,
} from '../kernel/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  decodeSegmentHeader,
  type DurableFrame,
  isProblem,
  segmentHeaderBytes,
} from '../log/index.ts';
import {
  pageBytes,
  PageFile,
  pagesPath,
  readSuperblock,
  storeDirectory,
  StoreKeys,
  type Superblock,
  SuperblockFile,
  superblockIsAuthentic,
  superblockPath,
  TreeStore,
  walkUsed,
} from '../store/index.ts';
import { isDiskFull } from './commit-errors.ts';
import type { DamagedPages } from './damaged-pages.ts';
import { type CheckpointPlace, placeOf, readCounters, readPlaces } from './checkpoint-records.ts';
import { fileBytes, readStart, readWhole, segmentPaths, segmentPosition } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { LogIndex } from './log-index.ts';
import type { FrameSpan } from './log-walk.ts';
import { PageWalk } from './page-walk.ts';

/** Pages that opening reads to find out which are free; more of them are read in the background. */
const walkedAtOnce = 512;

export interface StoreOpening {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** The newest frame that is known to be durable: no checkpoint is of a later one. */
  readonly durable: DurableFrame;
  readonly cacheBytes: number;
  /**
   * 'read' looks at all of it beside an owner and changes nothing. 'follow' reads on later: pages that the owner has used
   * again by then do not open, and that is no damage.
   */
  readonly mode: 'readwrite' | 'read' | 'follow';
  /** Gets the damaged pages that are met. */
  readonly damage?: DamagedPages;
  /** Told when copies of the superblock are written again. */
  readonly onHealed?: () => void;
}

/** Why the store is built anew from the log. */
export interface StoreProblem {
  readonly code: CorruptionError['code'];
  readonly file: string;
  readonly offset: number;
  readonly message: string;
}

export interface OpenedStore {
  readonly store: TreeStore;
  readonly pages: PageFile;
  readonly keys: StoreKeys;
  readonly index: LogIndex;
  readonly sequence: number;
  /** What is still to be found out of which pages are free; absent in an empty store. */
  readonly walk?: PageWalk;
  /** Absent: the store is empty. */
  readonly checkpoint:
    | {
        readonly place: CheckpointPlace;
        readonly snapshot: KernelSnapshot;
        readonly superblock: Superblock;
      }
    | undefined;
}

/** The store as its newest checkpoint left it; undefined without one. Throws CorruptionError if it does not fit the log. */
export function openCheckpoint(opening: StoreOpening): OpenedStore | undefined {
  const { disk, hierarchy } = opening;
  const { logId } = hierarchy.keyring;
  const reading = readSuperblock(disk, logId);
  // Pages alone are those of a checkpoint that was not finished, or of rows that are longer than a page.
  if (reading === undefined) return undefined;
  for (const error of reading.damaged)
    if (error.code !== 'CHECKSUM_MISMATCH') hierarchy.security.observe(error);
  const { newest, bytes } = reading;
  if (newest === undefined)
    throw (
      reading.damaged[0] ??
      problem('CHECKSUM_MISMATCH', 'No two copies of the superblock that agree lie')
    );
  const keys = unwrapKeys(hierarchy, newest);
  // A crash came between a rotation of the root key and the superblock that follows it.
  if (keys === undefined) return undefined;
  try {
    if (!superblockIsAuthentic(bytes, keys))
      throw problem('AUTHENTICATION_FAILED', 'A superblock that this database did not write lies');
    const place = placeOf(logId, newest.head);
    checkPlace(opening, place);
    if (opening.mode === 'readwrite' && !reading.isWhole) heal(opening, bytes);
    return openAt(opening, { newest, keys, place });
  } catch (error) {
    keys.wipe();
    throw error;
  }
}

/** The position of the newest checkpoint that this database wrote; 0 without one. Its pages are not looked at. */
export function newestCheckpoint(disk: Disk, hierarchy: KeyHierarchy): Position {
  const reading = readSuperblock(disk, hierarchy.keyring.logId);
  if (reading?.newest === undefined) return 0 as Position;
  const { keyring, suite, root } = hierarchy;
  const of = { logId: keyring.logId, algorithm: suite.algorithm };
  const keys = StoreKeys.unwrap(of, reading.newest.keys, root);
  const isOurs = keys !== undefined && superblockIsAuthentic(reading.bytes, keys);
  keys?.wipe();
  return isOurs ? reading.newest.head.position : (0 as Position);
}

/** Writes the copies that a crash left, or damage made, other than the newest. A full disk leaves them for the next checkpoint. */
function heal({ disk, onHealed }: StoreOpening, bytes: Uint8Array): void {
  onHealed?.();
  const file = new SuperblockFile(disk);
  try {
    file.heal(bytes);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
  } finally {
    file.close();
  }
}

/** Undefined if the root key was rotated since. */
function unwrapKeys(
  hierarchy: KeyHierarchy,
  { keys: wrapped, keyringGeneration }: Superblock,
): StoreKeys | undefined {
  const { keyring, suite, root } = hierarchy;
  const keys = StoreKeys.unwrap(
    { logId: keyring.logId, algorithm: suite.algorithm },
    wrapped,
    root,
  );
  if (keys !== undefined || keyringGeneration < keyring.generation) return keys;
  throw problem('AUTHENTICATION_FAILED', 'A superblock whose keys the root key does not open lies');
}

/**
 * The store's head must be a frame of this log, and one that is known to be durable. The frames before it in its segment,
 * which the log goes on in, are checked as far as no key is needed.
 */
function checkPlace({ disk, durable }: StoreOpening, { head, frame }: CheckpointPlace): void {
  if (head.op > durable.op) {
    const what = `A checkpoint of frame ${head.op}, which the log does not reach, lies`;
    throw problem('STATE_MISMATCH', what);
  }
  const bytes = readWhole(disk, frame.path) ?? new Uint8Array();
  const found = chainTo(bytes, frame);
  const fits = found?.op === head.op && equalBytes(found.chainHash, head.chainHash);
  const isAnchored = head.op !== durable.op || equalBytes(head.chainHash, durable.chainHash);
  if (!fits || !isAnchored)
    throw problem(
      'STATE_MISMATCH',
      `A checkpoint of frame ${head.op}, which is not in the log, lies`,
    );
}

/** Where the chain of a segment's frames has got to behind `frame`; undefined if they are not whole up to there. */
function chainTo(bytes: Uint8Array, { end }: FrameSpan): DurableFrame | undefined {
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') return undefined;
  let offset = segmentHeaderBytes;
  let { parent: chainHash } = header;
  let op = (header.firstOp - 1) as DurableFrame['op'];
  while (offset < end) {
    const next = decodeFrameHeader(bytes, offset);
    if (typeof next === 'string' || !equalBytes(next.parent, chainHash)) return undefined;
    const after = offset + next.frameLength;
    const checked = after > end ? undefined : checkFrame(bytes.subarray(offset, after), next);
    if (checked === undefined || isProblem(checked)) return undefined;
    ({ chainHash } = checked);
    op = next.op;
    offset = after;
  }
  return { op, chainHash };
}

function openAt(
  opening: StoreOpening,
  found: { readonly newest: Superblock; readonly keys: StoreKeys; readonly place: CheckpointPlace },
): OpenedStore {
  const { disk, hierarchy, cacheBytes } = opening;
  const { newest, keys, place } = found;
  const using: StoreInUse = { store: undefined };
  const pages = pageFile(opening, keys, { epoch: newest.epoch + 1, using });
  try {
    pages.checkHeader();
    const store = new TreeStore(pages, { cacheBytes }, newest.roots);
    using.store = store;
    if (store.appliedPosition !== newest.head.position)
      throw problem('STATE_MISMATCH', 'A superblock whose trees are of another position lies');
    pages.beginMarking(newest.pageCount);
    const steps = walkUsed(pages, newest.roots, (page, count) => {
      if (pages.markUsed(page, count)) return;
      const offset = page * pageBytes;
      throw new CorruptionError(
        'STATE_MISMATCH',
        pagesPath,
        offset,
        'A page that is used twice, or was not there, lies',
      );
    });
    const walk = new PageWalk(pages, steps);
    // Whoever only reads wants to know all of it.
    if (opening.mode === 'follow') walk.stop();
    else
      do walk.step(walkedAtOnce);
      while (!walk.isOver && opening.mode === 'read');
    const index = new LogIndex();
    index.restore(readPlaces(store.meta));
    checkSegments({ disk, hierarchy, store, index, last: place.frame });
    const snapshot: KernelSnapshot = {
      position: newest.head.position,
      leafCount: newest.head.leafCount,
      time: newest.head.timestamp,
      nextTenant: newest.nextTenant,
      countersOf: (tenant: TenantId) => readCounters(store.meta, tenant),
    };
    return {
      store,
      pages,
      keys,
      index,
      sequence: newest.sequence,
      walk,
      checkpoint: { place, snapshot, superblock: newest },
    };
  } catch (error) {
    pages.close();
    if (error instanceof DecodeError)
      throw problem('STATE_MISMATCH', 'A checkpoint whose records cannot be read lies');
    throw error;
  }
}

/**
 * All segments up to the checkpoint's must be there with their headers and lengths, as the index and the log's records
 * say: their frames are not read. What is wrong with them the replay of the whole log finds out and names.
 */
function checkSegments(of: {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly store: TreeStore;
  readonly index: LogIndex;
  readonly last: FrameSpan;
}): void {
  const { disk, hierarchy, store, index, last } = of;
  const there = segmentPaths(disk).filter((path) => path <= last.path);
  let count = 0;
  for (const { first, last: lastPlace } of index.segments()) {
    const path = there[count++];
    const header = decodeSegmentHeader(readStart(disk, first.path, segmentHeaderBytes));
    const size = fileBytes(disk, first.path);
    const row = store.get(segmentsTree, segmentKey(segmentPosition(first.path)));
    const record = row === undefined ? undefined : decodeSegmentRecord(row.row);
    const fits =
      path === first.path &&
      typeof header !== 'string' &&
      equalBytes(header.logId, hierarchy.keyring.logId) &&
      header.firstPosition === segmentPosition(path) &&
      header.firstOp === first.op &&
      first.offset === segmentHeaderBytes &&
      size > lastPlace.offset &&
      (record === undefined || record.lengthBytes === size);
    if (!fits)
      throw problem(
        'STATE_MISMATCH',
        `A checkpoint that knows the segment ${first.path} otherwise lies`,
      );
  }
  if (count !== there.length)
    throw problem('STATE_MISMATCH', 'A checkpoint that does not know all segments before it lies');
}

/** An empty store; what was there is removed, the superblock first. */
export function emptyStore(opening: StoreOpening, entropy: Entropy): OpenedStore {
  const { disk, hierarchy, cacheBytes } = opening;
  dropStore(disk);
  const { keyring, suite } = hierarchy;
  const keys = StoreKeys.draw({ logId: keyring.logId, algorithm: suite.algorithm }, entropy);
  const using: StoreInUse = { store: undefined };
  const pages = pageFile(opening, keys, { epoch: 1, using });
  const store = new TreeStore(pages, { cacheBytes });
  using.store = store;
  const index = new LogIndex();
  return { store, pages, keys, index, sequence: 0, checkpoint: undefined };
}

/** Whose pages they are: it knows which tree was asked for when one was met damaged. */
interface StoreInUse {
  store: TreeStore | undefined;
}

function pageFile(
  { disk, hierarchy, mode, damage }: StoreOpening,
  keys: StoreKeys,
  { epoch, using }: { readonly epoch: number; readonly using: StoreInUse },
): PageFile {
  return new PageFile({
    disk,
    logId: hierarchy.keyring.logId,
    keys,
    epoch,
    mode: mode === 'readwrite' ? mode : 'read',
    onDamage: (error) => {
      if (mode !== 'follow') hierarchy.security.observe(error);
      damage?.add(error);
      error.tree = using.store?.treeInUse;
    },
  });
}

/** Removes the store's files: the log makes them again. */
export function dropStore(disk: Disk): void {
  if (disk.list(storeDirectory) === undefined) return;
  // No superblock may be left that names pages which are not there.
  if (disk.exists(superblockPath)) {
    disk.remove(superblockPath);
    disk.flushDirectory(storeDirectory);
  }
  if (disk.exists(pagesPath)) disk.remove(pagesPath);
}

function problem(code: CorruptionError['code'], what: string): CorruptionError {
  return new CorruptionError(code, superblockPath, 0, what);
}

/** The error as a finding: the store is derived, so opening goes on without it. */
export function storeProblemOf(error: CorruptionError): StoreProblem {
  const { code, file, offset, message } = error;
  return { code, file, offset, message };
}

/** Whether an error is damage of the store's own files, which the log heals. */
export function isStoreDamage(error: unknown): error is CorruptionError {
  return error instanceof CorruptionError && error.file.startsWith(`${storeDirectory}/`);
}
