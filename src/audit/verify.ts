import {
  CorruptionError,
  type Disk,
  type Entropy,
  type ErrorCode,
  firstNonZero,
  type Op,
  type Position,
  toHex,
  VerityError,
} from '../base/index.ts';
import {
  checkAuthentic,
  checkGeneration,
  checkLog,
  identityPath,
  KeyHierarchy,
  keyringPath,
  loadKeys,
  LogIndex,
  type LogTail,
  readKeyFiles,
  readWhole,
  replayLog,
  segmentPaths,
} from '../engine/index.ts';
import type { MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import { KernelState } from '../kernel/index.ts';
import { emptyLogHead, type LogHead } from '../log/index.ts';
import { firstStoreDifference, hashSeedOf, MemoryStore } from '../store/index.ts';

export interface VerificationFinding {
  readonly code: ErrorCode;
  /** Relative to the database's directory. */
  readonly file: string;
  readonly offset: number;
  readonly message: string;
}

export interface Verification {
  readonly ok: boolean;
  readonly filesRead: number;
  readonly bytesRead: number;
  readonly frames: number;
  readonly events: number;
  readonly position: Position;
  /** Hex. */
  readonly chainHash: string;
  readonly findings: readonly VerificationFinding[];
  /** An unfinished write at the end of the log, never acknowledged; the next open cuts it. */
  readonly tornTail:
    | { readonly file: string; readonly offset: number; readonly length: number }
    | undefined;
}

/** What an open handle knows; the files must agree with it. */
export interface LiveState {
  readonly head: LogHead;
  readonly store: MemoryStore;
  /** False for a handle that follows another process's log: the files may be ahead of it. */
  readonly owner: boolean;
}

export interface VerificationSettings {
  readonly disk: Disk;
  /** So that keys that were chosen to collide cannot slow the rebuild down; absent where nobody else chose them. */
  readonly entropy?: Entropy;
  /** The root key of an open handle, or a provider to unwrap it. */
  readonly root: SecretKey | MasterKeyProvider;
  /** Asked when the log has been walked, so that commits meanwhile do not look like damage. */
  readonly live?: () => LiveState;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Reads every byte of a database: verity.json, keyring, every segment; checks checksums, digests,
 * chain, seals and commitments; rebuilds the state from the log and, for an open handle, compares it
 * with what the handle serves. Damage is a finding with file and offset, not an exception.
 */
export async function verifyDatabase(settings: VerificationSettings): Promise<Verification> {
  const { disk, live } = settings;
  const findings: VerificationFinding[] = [];
  const state = new KernelState(
    new MemoryStore(settings.entropy && hashSeedOf(settings.entropy.bytes(8))),
  );
  let tail: LogTail | undefined;
  let hierarchy: KeyHierarchy | undefined;
  try {
    // Without any key and at the speed of the hash: damage is found before anything is opened or rebuilt.
    checkLog(disk, emptyLogHead(readKeyFiles(disk).keyring.logId));
    hierarchy = await keysOf(settings);
    const replay = {
      disk,
      hierarchy,
      state,
      index: new LogIndex(),
      ...(settings.onProgress !== undefined && { onSegment: settings.onProgress }),
    };
    tail = replayLog(replay, emptyLogHead(hierarchy.keyring.logId));
    checkGeneration(disk, hierarchy, state);
    if (live !== undefined) findings.push(...compareLive(disk, tail, state, live()));
  } catch (error) {
    if (!(error instanceof VerityError) || error.exitCode !== 3) throw error;
    findings.push(findingOf(error));
  } finally {
    if ('unwrap' in settings.root) hierarchy?.wipe();
    else hierarchy?.wipeSectionKeys();
  }
  const files = [identityPath, keyringPath, ...pathsOf(disk)];
  const head = tail?.head;
  return {
    ok: findings.length === 0,
    filesRead: files.length,
    bytesRead: files.reduce((sum, path) => sum + (readWhole(disk, path)?.length ?? 0), 0),
    frames: head?.op ?? 0,
    events: state.leafCount,
    position: state.store.appliedPosition,
    chainHash: head === undefined ? '' : toHex(head.chainHash),
    findings,
    tornTail: tail?.torn === undefined ? undefined : { file: tail.path, ...tail.torn },
  };
}

async function keysOf(settings: VerificationSettings): Promise<KeyHierarchy> {
  const { disk, root } = settings;
  if ('unwrap' in root) return loadKeys(disk, root);
  const files = readKeyFiles(disk);
  checkAuthentic(root, files);
  return new KeyHierarchy(root, files.keyring);
}

function compareLive(
  disk: Disk,
  tail: LogTail,
  state: KernelState,
  live: LiveState,
): VerificationFinding[] {
  const findings: VerificationFinding[] = [];
  const at = (code: ErrorCode, message: string, offset = tail.offset): VerificationFinding => ({
    code,
    file: tail.path,
    offset,
    message,
  });
  const behind = tail.head.op < (live.head.op as Op);
  if (behind) {
    findings.push(
      at(
        'MISSING_DATA',
        `The log ends before frame ${live.head.op}, which was acknowledged, in ${tail.path} at byte ${tail.offset}.`,
      ),
    );
  }
  if (!live.owner || behind) return findings;
  if (tail.torn !== undefined) {
    const stray = firstNonZero(readWhole(disk, tail.path) ?? new Uint8Array(), tail.offset);
    const offset = stray === -1 ? tail.offset : stray;
    findings.push(
      at(
        'CHECKSUM_MISMATCH',
        `Bytes that no frame wrote follow the end of the log in ${tail.path} at byte ${offset}.`,
        offset,
      ),
    );
  } else if (toHex(tail.head.chainHash) !== toHex(live.head.chainHash)) {
    findings.push(at('CHAIN_BROKEN', `The log in ${tail.path} is not the one this handle wrote.`));
  } else if (firstStoreDifference(state.store as MemoryStore, live.store) !== undefined) {
    findings.push(
      at(
        'STATE_MISMATCH',
        'What the handle serves differs from what the log yields. Reopen the database to rebuild it.',
      ),
    );
  }
  return findings;
}

function findingOf(error: VerityError): VerificationFinding {
  const { file, offset } = error.details as { file?: string; offset?: number };
  return {
    code: error.code,
    file: error instanceof CorruptionError ? error.file : (file ?? ''),
    offset: offset ?? 0,
    message: error.message,
  };
}

function pathsOf(disk: Disk): string[] {
  try {
    return segmentPaths(disk);
  } catch {
    return [];
  }
}
