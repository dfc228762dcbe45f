import {
  CorruptionError,
  type Disk,
  type Entropy,
  type ErrorCode,
  type Position,
  type Scheduler,
  toHex,
  VerityError,
} from '../base/index.ts';
import {
  anchorPath,
  type AnchorReading,
  blobPaths,
  checkAuthentic,
  checkBlobHeaders,
  checkBlobs,
  checkGeneration,
  checkSubjectKeys,
  fileBytes,
  fitsRecord,
  identityPath,
  KeyHierarchy,
  keyringPath,
  loadKeys,
  type LoggedCut,
  loggedCuts,
  type LogTail,
  readAnchor,
  readAnchorWith,
  readKeyFiles,
  readNewerKeyring,
  RootKeyRenewed,
  type SecurityMonitor,
  segmentPaths,
  subjectPaths,
} from '../engine/index.ts';
import { type MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import { DefinitionCache, KernelState } from '../kernel/index.ts';
import { type LogHead, segmentPath } from '../log/index.ts';
import {
  hashSeedOf,
  MemoryStore,
  pagesPath,
  type ScratchFile,
  ScratchStore,
  type Store,
  superblockPath,
  type WalkedStore,
} from '../store/index.ts';
import { compareLive, type LiveState } from './live.ts';
import { pausing } from './pause.ts';
import { readLog, type ReadLog } from './read-log.ts';
import { Commitments, compareStateHashes } from './state-check.ts';
import { checkStore } from './store-check.ts';

/** Memory for pages of what the log yields. */
const replayedBytes = 256 << 20;

export type { LoggedCut } from '../engine/index.ts';

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
  /** False without a key: seals, commitments and the anchor's MAC were not checked, and no state was rebuilt. */
  readonly opened: boolean;
  /** Finished segments whose file is as the log records it. */
  readonly segmentsCompared: number;
  /** The position of the store's checkpoint, all rows and versions of which were compared with the log's. */
  readonly storeCompared?: Position;
  /** The state hash that the log yields, at a position: the one that was compared with what is kept, if any is. */
  readonly stateHash?: { readonly hash: string; readonly position: Position };
  /** Values that are kept as blobs; absent without a key, and where there are none. */
  readonly blobs?: {
    /** Those that rows name, or named once. Every byte of them was read. */
    readonly checked: number;
    /** Of these values. */
    readonly bytes: number;
    /** Files that no row names, which the next open for writing removes. */
    readonly unnamed: readonly string[];
  };
  /** What `repair --cut-tail` cut from this log, oldest first. */
  readonly cuts: readonly LoggedCut[];
}

export interface VerificationSettings {
  readonly disk: Disk;
  /** So that keys that were chosen to collide cannot slow the rebuild down; absent where nobody else chose them. */
  readonly entropy?: Entropy;
  /** Opens a file for what the log yields and memory does not hold; absent, or without entropy: memory holds it. */
  readonly scratch?: () => ScratchFile;
  /** Memory for pages of what the log yields; default 256 MiB. Of no use without `scratch`. */
  readonly cacheBytes?: number;
  /** Gives other work its turn between frames; absent where there is none. */
  readonly scheduler?: Scheduler;
  /** The keys of an open handle, or a provider to unwrap them; 'none' checks what needs no key. */
  readonly root: KeyHierarchy | MasterKeyProvider | 'none';
  /** What an open handle knows, asked whenever a segment is read, so that commits meanwhile do not look like damage. */
  readonly live?: () => LiveState;
  /** Counts the findings that may mean an attack. */
  readonly security?: SecurityMonitor;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Reads every byte of a database: verity.json, keyring, anchor, every segment; checks checksums, digests,
 * chain, seals and commitments; rebuilds the state from the log and, for an open handle, compares it
 * with what the handle serves. Damage is a finding with file and offset, not an exception.
 */
export async function verifyDatabase(settings: VerificationSettings): Promise<Verification> {
  const target = replayTarget(settings);
  try {
    return await verifyInto(settings, target);
  } finally {
    target.close();
  }
}

/** What the log is replayed into. */
interface ReplayTarget {
  readonly store: WalkedStore & Store;
  readonly state: KernelState;
  /** Between frames, now and then: keeps memory bounded. */
  relieve(): void;
  close(): void;
}

function replayTarget({ entropy, scratch, cacheBytes }: VerificationSettings): ReplayTarget {
  if (scratch === undefined || entropy === undefined) {
    const store = new MemoryStore(entropy && hashSeedOf(entropy.bytes(8)));
    const nothing = (): void => undefined;
    return { store, state: new KernelState(store), relieve: nothing, close: nothing };
  }
  const replayed = new ScratchStore({ entropy, scratch, cacheBytes: cacheBytes ?? replayedBytes });
  const { store } = replayed;
  return {
    store,
    state: new KernelState(new DefinitionCache(store)),
    relieve: () => replayed.relieve(),
    close: () => replayed.close(),
  };
}

async function verifyInto(
  settings: VerificationSettings,
  target: ReplayTarget,
): Promise<Verification> {
  const { disk, root } = settings;
  const findings: VerificationFinding[] = [];
  const { store, state } = target;
  const commitments = new Commitments();
  let log: ReadLog | undefined;
  let hierarchy: KeyHierarchy | undefined;
  let segmentsCompared = 0;
  let storeCompared: Position | undefined;
  let stateHash: Verification['stateHash'];
  let blobs: Verification['blobs'];
  try {
    hierarchy = await keysOf(disk, root);
    log = await readAll(settings, { hierarchy, target, commitments }, findings);
    if (hierarchy !== undefined) {
      checkGeneration(disk, hierarchy, state);
      // Pages are read as they are now, with the secrets of now.
      const current = typeof root === 'object' && !('unwrap' in root) ? root : hierarchy;
      for (const error of checkSubjectKeys({ disk, hierarchy: current, state })) {
        settings.security?.observe(error);
        findings.push(findingOf(error));
      }
      segmentsCompared = compareSegments(log, state, findings);
      const { head } = log.tail;
      const pause = pausing(settings.scheduler);
      const checked = await checkStore({ disk, hierarchy: current, replayed: store, head, pause });
      storeCompared = checked.checkpoint;
      for (const error of checked.errors) findings.push(findingOf(error));
      const replayed = { hierarchy, commitments, store };
      const known = [checked.mark, log.live?.stateHash];
      const compared = await compareStateHashes(replayed, { known, head, pause });
      stateHash = compared.stateHash;
      for (const error of compared.errors) findings.push(findingOf(error));
    }
    blobs = await readBlobs(settings, { hierarchy, state }, findings);
    if (log.live !== undefined) {
      findings.push(...(await compareLive(log, store, log.live, pausing(settings.scheduler))));
    }
  } catch (error) {
    if (!(error instanceof VerityError) || error.exitCode !== 3) throw error;
    settings.security?.observe(error);
    findings.unshift(findingOf(error));
  } finally {
    hierarchy?.wipe();
  }
  const files = filesOf(disk);
  return {
    ok: findings.length === 0,
    filesRead: files.length,
    bytesRead: files.reduce((sum, path) => sum + fileBytes(disk, path), 0),
    ...figuresOf(log?.tail.head, state),
    findings,
    tornTail: tornOf(log?.tail),
    opened: hierarchy !== undefined,
    segmentsCompared,
    ...(storeCompared !== undefined && { storeCompared }),
    ...(stateHash !== undefined && { stateHash }),
    ...(blobs !== undefined && { blobs }),
    cuts: loggedCuts(state.store),
  };
}

function filesOf(disk: VerificationSettings['disk']): string[] {
  return [
    identityPath,
    keyringPath,
    anchorPath,
    ...pathsOf(disk),
    ...subjectPaths(disk),
    ...blobPaths(disk),
    ...storePaths(disk),
  ];
}

function figuresOf(
  head: LogHead | undefined,
  state: KernelState,
): Pick<Verification, 'frames' | 'events' | 'position' | 'chainHash'> {
  return {
    frames: head?.op ?? 0,
    events: head?.leafCount ?? state.leafCount,
    position: head?.position ?? state.store.appliedPosition,
    chainHash: head === undefined ? '' : toHex(head.chainHash),
  };
}

function tornOf(tail: LogTail | undefined): Verification['tornTail'] {
  return tail?.torn === undefined ? undefined : { file: tail.path, ...tail.torn };
}

async function readAll(
  settings: VerificationSettings,
  into: {
    readonly hierarchy: KeyHierarchy | undefined;
    readonly target: ReplayTarget;
    readonly commitments: Commitments;
  },
  findings: VerificationFinding[],
): Promise<ReadLog> {
  const { disk, scheduler, live, onProgress } = settings;
  const { hierarchy, target, commitments } = into;
  const { logId } = hierarchy?.keyring ?? readKeyFiles(disk).keyring;
  // Before the log: what is durable now is there when the log is read.
  const anchor =
    hierarchy === undefined ? readAnchor(disk, logId, undefined) : readAnchorWith(disk, hierarchy);
  findings.push(...slotFindings(anchor));
  return readLog({
    disk,
    logId,
    hierarchy,
    commitments,
    state: target.state,
    relieve: () => target.relieve(),
    durable: anchor.newest,
    pause: pausing(scheduler),
    live,
    onSegment: onProgress,
  });
}

async function readBlobs(
  { disk, root, scheduler, security }: VerificationSettings,
  {
    hierarchy,
    state,
  }: { readonly hierarchy: KeyHierarchy | undefined; readonly state: KernelState },
  findings: VerificationFinding[],
): Promise<Verification['blobs']> {
  if (hierarchy === undefined) {
    findings.push(...checkBlobHeaders(disk).map(findingOf));
    return undefined;
  }
  const isHandle = typeof root === 'object' && !('unwrap' in root);
  const { errors, ...blobs } = await checkBlobs(
    {
      disk,
      // They are read as they are now, with the secrets of now.
      hierarchy: isHandle ? root : hierarchy,
      pause: pausing(scheduler),
      renew: isHandle ? undefined : () => readNewerKeyring(disk, hierarchy),
    },
    state,
  );
  for (const error of errors) {
    security?.observe(error);
    findings.push(findingOf(error));
  }
  return blobs.checked === 0 && blobs.unnamed.length === 0 ? undefined : blobs;
}

/** Undefined if what needs no key is all that is to be checked. */
async function keysOf(
  disk: Disk,
  root: VerificationSettings['root'],
): Promise<KeyHierarchy | undefined> {
  if (root === 'none') return undefined;
  if ('unwrap' in root) {
    const loaded = await loadKeys(disk, root);
    // Beside a running owner, who may give a tenant new keys meanwhile.
    loaded.whenMissing((...which) => {
      if (!readNewerKeyring(disk, loaded)) throw new RootKeyRenewed();
      return loaded.deriveSectionKey(...which);
    });
    return loaded;
  }
  const files = readKeyFiles(disk);
  checkAuthentic(root.root, files);
  // With a root key of its own, and the secrets of now: either may go from the handle while the log is read.
  const copy = new SecretKey(root.root.expose().slice());
  const own = new KeyHierarchy(copy, files.keyring, { suite: files.identity.suite });
  own.whenMissing((...which) => root.deriveSectionKey(...which));
  return own;
}

function slotFindings({ damaged }: AnchorReading): VerificationFinding[] {
  return damaged.map((offset) => ({
    code: 'CHECKSUM_MISMATCH',
    file: anchorPath,
    offset,
    message:
      `One of the anchor's two slots, in ${anchorPath} at byte ${offset}, is not as it was written; the other one ` +
      'holds. Open the database for writing, which writes it again.',
  }));
}

function compareSegments(
  log: ReadLog,
  state: KernelState,
  findings: VerificationFinding[],
): number {
  let compared = 0;
  for (const [segment, record] of log.records) {
    const fits = fitsRecord(state, segment, record);
    if (fits === true) compared += 1;
    if (fits !== false) continue;
    const file = segmentPath(segment);
    findings.push({
      code: 'CHECKSUM_MISMATCH',
      file,
      offset: 0,
      message:
        `The segment ${file} is not the file that the log records, though every frame in it is good: an older ` +
        'copy, or one sealed under other keys. Restore it from a newer copy: verity repair --from COPY.',
    });
  }
  return compared;
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

function storePaths(disk: Disk): string[] {
  return [superblockPath, pagesPath].filter((path) => disk.exists(path));
}

function pathsOf(disk: Disk): string[] {
  try {
    return segmentPaths(disk);
  } catch {
    return [];
  }
}
