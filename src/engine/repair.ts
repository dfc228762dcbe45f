/**
 * What an operator can do about damage: take what is bad from another copy of the same log, or cut the log where it
 * becomes bad. docs/recovery.md says when which.
 *
 * Invariants
 * - All is planned and read back before the first byte changes: a plan whose result does not open changes nothing.
 * - Nothing is overwritten or removed before a copy of it lies, durable, below `damaged/`.
 * - A cut stands in the anchor, durably, before it is made, so that the next open records it in the log.
 */
import {
  concatBytes,
  CorruptionError,
  type Disk,
  type Entropy,
  equalBytes,
  type Op,
  type Position,
} from '../base/index.ts';
import type { MasterKeyProvider } from '../crypto/index.ts';
import { blobRecords, KernelState } from '../kernel/index.ts';
import {
  type DurableFrame,
  emptyLogHead,
  encodeSegmentHeader,
  findFrames,
  frameBytesMax,
  type LogHead,
  segmentHeaderAt,
  segmentPath,
} from '../log/index.ts';
import { MemoryStore } from '../store/index.ts';
import {
  type AnchoredFrame,
  anchoredAt,
  anchorKeys,
  type AnchorReading,
  type PendingCut,
  readAnchor,
} from './anchor.ts';
import { checkBlob } from './blob-check.ts';
import { blobPath } from './blob-file.ts';
import {
  anchorPath,
  fileBytes,
  keyringPath,
  readWhole,
  segmentPaths,
  segmentPosition,
} from './files.ts';
import { loadKeys, olderKeyring } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { encodeKeyring } from './keyring-file.ts';
import { type KeyringRecord, loggedKeyring } from './keyring-record.ts';
import { LogIndex } from './log-index.ts';
import { corruption, frameCorruption, holdsFrame, type LogTail, LogWalk } from './log-walk.ts';
import { checkSubjectKeys } from './subject-keys-check.ts';
import { checkGeneration } from './keyring-record.ts';
import { OverlayDisk, type Replacement } from './overlay-disk.ts';
import { keyringFor } from './reissue.ts';
import { copiedFile } from './repair-copied.ts';
import { proofsReplacements } from './repair-proofs.ts';
import { originOf } from './identity.ts';
import { vkeysOf } from './signing-keys.ts';
import {
  type BorrowedKeyring,
  borrowKeys,
  isDamage,
  keysForRepair,
  type RepairKeys,
} from './repair-keys.ts';
import { isFinishedWalk, type ReplacedPart, repairLog, walkOwn } from './repair-log.ts';
import { applyFrame } from './replay.ts';
import { fitsRecord, recordsOf, segmentRecordOf } from './segment-digests.ts';

export interface RepairSettings {
  readonly disk: Disk;
  readonly provider: MasterKeyProvider;
  readonly entropy: Entropy;
}

export interface CopyRepairSettings extends RepairSettings {
  readonly copy: Disk;
  /** Take frames behind this log's own end, too. */
  readonly extend: boolean;
}

/** What a repair is going to do, checked, and nothing of it done. */
export interface RepairPlan {
  readonly hierarchy: KeyHierarchy;
  readonly replacements: ReadonlyMap<string, Replacement>;
  /** Small files that are restored: keyring, verity.json, anchor. */
  readonly restored: readonly string[];
  readonly replaced: readonly ReplacedPart[];
  /** The log as it will be. */
  readonly head: LogHead;
  /** A new anchor; undefined if the one there holds. */
  readonly anchor: (AnchoredFrame & { readonly cut?: PendingCut }) | undefined;
  readonly cut: PendingCut | undefined;
  /** Whether the copy has frames behind this log's end, which are not taken. */
  readonly copyGoesOn: boolean;
}

/** Plans to take what is damaged or missing from another copy. Throws CorruptionError where the copy does not help. */
export async function planFromCopy(settings: CopyRepairSettings): Promise<RepairPlan> {
  const keys = await keysForRepair(settings);
  try {
    return await planWith(settings, keys);
  } catch (error) {
    keys.hierarchy.wipe();
    if (!isDamage(error) || error.code !== 'KEYRING_ROLLED_BACK' || keys.borrowed !== undefined) {
      throw error;
    }
  }
  const borrowed = await borrowKeys(settings);
  try {
    return await planWith(settings, borrowed);
  } catch (error) {
    borrowed.hierarchy.wipe();
    throw error;
  }
}

async function planWith(settings: CopyRepairSettings, keys: RepairKeys): Promise<RepairPlan> {
  const { disk, copy, extend } = settings;
  const { hierarchy } = keys;
  const own = anchorOf(disk, hierarchy);
  const anchor = own ?? anchorOf(copy, hierarchy);
  if (anchor === undefined) {
    throw new CorruptionError(
      'MISSING_DATA',
      anchorPath,
      0,
      'Neither here nor in the copy a good anchor lies: nothing',
    );
  }
  const durable = anchor.newest;
  const log = repairLog({ disk, copy, hierarchy, durable, extend });
  const replacements = new Map([...keys.replacements, ...log.replacements]);
  const overlay = new OverlayDisk(disk, replacements);
  const { tail, state } = check(overlay, { hierarchy, durable, replacements });
  if (keys.borrowed === undefined) {
    checkGeneration(overlay, hierarchy, state);
  } else {
    const { borrowed } = keys;
    const logged = loggedKeyring(state);
    replacements.set(keyringPath, keyringOf({ hierarchy, borrowed, logged }));
  }
  const subjects = subjectFiles(copy, overlay, { hierarchy, state });
  for (const [path, file] of subjects) replacements.set(path, file);
  const blobs = await blobFiles(copy, overlay, { hierarchy, state });
  for (const [path, file] of blobs) replacements.set(path, file);
  const { keyring } = hierarchy;
  const copied = {
    disk: copy,
    origin: originOf(keyring),
    vkeys: vkeysOf(keyring, state.store),
    leafCount: tail.head.leafCount,
    leaves: () => leavesOf(overlay, { hierarchy, durable }),
  };
  const proofs = proofsReplacements({ disk, hierarchy, copy: copied });
  for (const [path, file] of proofs) replacements.set(path, file);
  return {
    hierarchy,
    replacements,
    restored: [
      ...keys.restored,
      ...(own === undefined ? [anchorPath] : []),
      ...subjects.keys(),
      ...blobs.keys(),
      ...proofs.keys(),
    ],
    replaced: log.replaced,
    head: tail.head,
    anchor: own === undefined ? anchoredAt(tail.head, segmentPosition(tail.path)) : undefined,
    cut: undefined,
    copyGoesOn: goesOn(copy, tail),
  };
}

/**
 * The files of subject keys that are damaged here, and good in the copy: each page as the log says, so that no key
 * that was destroyed comes back. Throws CorruptionError where the copy's is not good either.
 */
function subjectFiles(
  copy: Disk,
  disk: Disk,
  how: { readonly hierarchy: KeyHierarchy; readonly state: KernelState },
): Map<string, Replacement> {
  const damaged = new Set(checkSubjectKeys({ ...how, disk }).map(({ file }) => file));
  const taken = new Map<string, Replacement>();
  if (damaged.size === 0) return taken;
  for (const path of damaged) {
    if (copy.exists(path)) taken.set(path, copiedFile(copy, path));
  }
  const [left] = checkSubjectKeys({ ...how, disk: new OverlayDisk(disk, taken) });
  if (left !== undefined) throw left;
  return taken;
}

/** The blobs that are damaged or missing here, and good in the copy. Throws CorruptionError where the copy's is not. */
async function blobFiles(
  copy: Disk,
  disk: Disk,
  { hierarchy, state }: { readonly hierarchy: KeyHierarchy; readonly state: KernelState },
): Promise<Map<string, Replacement>> {
  const pause = (): Promise<void> => Promise.resolve();
  const taken = new Map<string, Replacement>();
  for (const blob of blobRecords(state.store)) {
    const damage = await checkBlob({ disk, hierarchy, pause }, blob);
    if (damage === undefined) continue;
    const path = blobPath(blob.id);
    if (!copy.exists(path)) throw damage;
    const file = copiedFile(copy, path);
    const repaired = new OverlayDisk(disk, new Map([[path, file]]));
    const left = await checkBlob({ disk: repaired, hierarchy, pause }, blob);
    if (left !== undefined) throw left;
    taken.set(path, file);
  }
  return taken;
}

/** Plans to remove tiles of the tree that are damaged, and of checkpoints what is: for that no copy is needed. The log stays. */
export function planProofs(disk: Disk, hierarchy: KeyHierarchy): RepairPlan {
  const replacements = proofsReplacements({ disk, hierarchy });
  return {
    hierarchy,
    replacements,
    restored: [...replacements.keys()],
    replaced: [],
    head: emptyLogHead(hierarchy.keyring.logId),
    anchor: undefined,
    cut: undefined,
    copyGoesOn: false,
  };
}

function* leavesOf(
  disk: Disk,
  how: { readonly hierarchy: KeyHierarchy; readonly durable: DurableFrame | undefined },
): Generator<Uint8Array, void> {
  const start = emptyLogHead(how.hierarchy.keyring.logId);
  const walk = new LogWalk({ disk, start, durable: how.durable });
  for (let step = walk.next(); step !== undefined; step = walk.next())
    if (step.kind !== 'finished') yield step.frame.leaves;
}

/** Undefined if no slot of it is good. */
function anchorOf(disk: Disk, hierarchy: KeyHierarchy): AnchorReading | undefined {
  const keys = anchorKeys(hierarchy);
  try {
    return readAnchor(disk, hierarchy.keyring.logId, keys);
  } catch (error) {
    if (isDamage(error)) return undefined;
    throw error;
  } finally {
    for (const key of keys) key.wipe();
  }
}

function goesOn(copy: Disk, { path, head }: LogTail): boolean {
  const bytes = readWhole(copy, path) ?? new Uint8Array();
  return findFrames(bytes, head.logId).has((head.op + 1) as Op);
}

/**
 * Reads the log as it would be, opens and applies every frame, and compares it with what it records. A replacement
 * that lacks nothing but zeros behind its last frame gets them.
 */
function check(
  disk: Disk,
  how: {
    readonly hierarchy: KeyHierarchy;
    readonly durable: DurableFrame | undefined;
    readonly replacements: Map<string, Replacement>;
  },
): { readonly tail: LogTail; readonly state: KernelState } {
  const { hierarchy, durable, replacements } = how;
  const state = new KernelState(new MemoryStore());
  const replay = { hierarchy, state, index: new LogIndex() };
  const records = new Map<Position, ReturnType<typeof segmentRecordOf>>();
  const walk = new LogWalk({ disk, start: emptyLogHead(hierarchy.keyring.logId), durable });
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    if (step.kind === 'finished') {
      records.set(step.firstPosition, segmentRecordOf(step.bytes));
      continue;
    }
    const problem = applyFrame(replay, step.frame, step.place);
    if (problem !== undefined) throw frameCorruption(step.place, problem);
  }
  for (const [segment, record] of records) {
    if (fitsRecord(state, segment, record) !== false) continue;
    const path = segmentPath(segment);
    const recorded = replacements.has(path) ? withZeros(disk, path, state) : undefined;
    if (recorded === undefined) {
      throw corruption(path, {
        code: 'CHECKSUM_MISMATCH',
        offset: 0,
        what: 'A segment that is not the file that the log records, in the copy neither, lies',
      });
    }
    replacements.set(path, { kind: 'bytes', bytes: recorded });
  }
  return { tail: walk.tail, state };
}

/**
 * The segment with as many zeros behind it as the log records, if that makes it what was recorded: a crash may leave some
 * behind the last frame of a finished segment, and frames are put together without.
 */
function withZeros(disk: Disk, path: string, state: KernelState): Uint8Array | undefined {
  const bytes = readWhole(disk, path) ?? new Uint8Array();
  const segment = segmentPosition(path);
  for (const { lengthBytes } of recordsOf(state, segment)) {
    const zeros = lengthBytes - bytes.length;
    if (zeros <= 0 || zeros > frameBytesMax) continue;
    const filled = concatBytes(bytes, new Uint8Array(zeros));
    if (fitsRecord(state, segment, segmentRecordOf(filled)) === true) return filled;
  }
  return undefined;
}

/** The copy's keyring must not be older than the one that the log names, nor another one of its generation. */
function keyringOf(how: {
  readonly hierarchy: KeyHierarchy;
  readonly borrowed: BorrowedKeyring;
  readonly logged: KeyringRecord | undefined;
}): Replacement {
  const { hierarchy, borrowed, logged } = how;
  const { generation = 0, digest } = logged ?? {};
  if (borrowed.generation < generation) throw olderKeyring(borrowed.generation, generation);
  if (borrowed.generation > generation) {
    return renewedKeyring(hierarchy, borrowed.identityBytes, generation);
  }
  if (digest !== undefined && equalBytes(borrowed.digest, digest)) {
    const isSame = equalBytes(hierarchy.keyring.identity, borrowed.identityBytes);
    return isSame
      ? { kind: 'bytes', bytes: borrowed.bytes }
      : renewedKeyring(hierarchy, borrowed.identityBytes, generation);
  }
  throw new CorruptionError(
    'KEYRING_ROLLED_BACK',
    keyringPath,
    0,
    "The copy's keyring is another one of the same generation; no good one lies",
  );
}

/** The keyring as the generation after the one that the log names, which the next open records. */
function renewedKeyring(
  { keyring, root }: KeyHierarchy,
  identityBytes: Uint8Array,
  loggedGeneration: number,
): Replacement {
  const renewed = keyringFor(keyring, { identityBytes, loggedGeneration });
  return { kind: 'bytes', bytes: encodeKeyring(renewed, root) };
}

/**
 * Plans to cut the log at its first bad frame, or to accept that it ends before its anchor. `cut` is undefined when
 * there is nothing to cut.
 */
export async function planCut({ disk, provider }: RepairSettings): Promise<RepairPlan> {
  const hierarchy = await loadKeys(disk, provider);
  try {
    return cutWith(disk, hierarchy);
  } catch (error) {
    hierarchy.wipe();
    throw error;
  }
}

function cutWith(disk: Disk, hierarchy: KeyHierarchy): RepairPlan {
  const anchor = anchorOf(disk, hierarchy);
  const good = goodPart(disk, hierarchy);
  const { path, own, head } = good;
  const later = segmentPaths(disk).filter((other) => other > path);
  const anchored = anchor?.newest;
  const unchanged = {
    hierarchy,
    replacements: new Map<string, Replacement>(),
    restored: [],
    replaced: [],
    head,
    anchor: undefined,
    cut: undefined,
    copyGoesOn: false,
  };
  const reaches = anchored !== undefined && head.op >= anchored.op;
  if (!good.isDamaged && reaches) return unchanged;
  const kept =
    good.offset === 0 ? encodeSegmentHeader(segmentHeaderAt(head)) : own.subarray(0, good.offset);
  const replacements = new Map<string, Replacement>([[path, { kind: 'bytes', bytes: kept }]]);
  for (const other of later) replacements.set(other, { kind: 'nothing' });
  const overlay = new OverlayDisk(disk, replacements);
  const logged = loggedKeyring(
    check(overlay, { hierarchy, durable: undefined, replacements }).state,
  );
  const { keyring } = hierarchy;
  // The record of the keyring may have been cut, too.
  if (keyring.generation > (logged?.generation ?? 0) + 1) {
    replacements.set(
      keyringPath,
      renewedKeyring(hierarchy, keyring.identity, logged?.generation ?? 0),
    );
  }
  const before = anchored?.cut;
  const segment = segmentPosition(path);
  const isSame = before?.segment === segment && before.offset === good.offset;
  const gone =
    own.length - good.offset + later.reduce((sum, other) => sum + fileBytes(disk, other), 0);
  const cut: PendingCut = {
    segment,
    offset: good.offset,
    lengthBytes: Math.max(gone, isSame ? before.lengthBytes : 0),
    firstOp: (head.op + 1) as Op,
    lastOp: Math.max(
      anchored?.op ?? 0,
      before?.lastOp ?? 0,
      lastOpOf(disk, [path, ...later], head),
    ) as Op,
  };
  return {
    ...unchanged,
    replacements,
    restored: anchor === undefined ? [anchorPath] : [],
    anchor: { ...anchoredAt(head, segment), cut },
    cut,
  };
}

interface GoodPart {
  readonly path: string;
  readonly own: Uint8Array;
  /** Where what is not good begins in the segment; 0 when its header is not. */
  readonly offset: number;
  readonly head: LogHead;
  readonly isDamaged: boolean;
}

/** The log up to its first frame that is not good. */
function goodPart(disk: Disk, hierarchy: KeyHierarchy): GoodPart {
  let head = emptyLogHead(hierarchy.keyring.logId);
  for (;;) {
    const path = segmentPath((head.position + 1) as Position);
    const own = readWhole(disk, path) ?? new Uint8Array();
    const walked = walkOwn(hierarchy, own, head);
    head = walked.head;
    if (isFinishedWalk(walked)) continue;
    const holdsMore = segmentPaths(disk).some((other) => other > path && holdsFrame(disk, other));
    const isDamaged = walked.end.kind === 'damaged' || holdsMore;
    return { path, own, offset: walked.offset, head, isDamaged };
  }
}

/** The newest op among the frames that are not kept. */
function lastOpOf(disk: Disk, paths: readonly string[], head: LogHead): number {
  let last: number = head.op;
  for (const path of paths) {
    const frames = findFrames(readWhole(disk, path) ?? new Uint8Array(), head.logId);
    for (const op of frames.keys()) last = Math.max(last, op);
  }
  return last;
}
