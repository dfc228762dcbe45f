import {
  CorruptionError,
  type Disk,
  equalBytes,
  type LeafIndex,
  type Position,
  toHex,
  VerityError,
} from '../base/index.ts';
import { ed25519Verify } from '../crypto/index.ts';
import {
  checkpointsPath,
  checkSubjectLayout,
  fileBytes,
  type KeyHierarchy,
  type Keyring,
  type LoggedCut,
  olderKeyring,
  originOf,
  readAnchor,
  readAnchorWith,
  readKeyFiles,
  readWhole,
  segmentPaths,
  timeStampsPath,
} from '../engine/index.ts';
import { KernelState, settingOf } from '../kernel/index.ts';
import { openNote, parseCheckpoint, parseNote } from '../proof/index.ts';
import { MemoryStore, type ReadView, readSuperblock } from '../store/index.ts';
import { affectedBy, nameAffected } from './affected.ts';
import { auditState } from './audit-state.ts';
import { type AuditWorkers, inThisThread } from './jobs.ts';
import { auditLog, type AuditedLog } from './log-audit.ts';
import { AuditMemory, type AuditNotebook } from './memory.ts';
import { strayBytes } from './live.ts';
import { figuresOf, filesOf, findingOf, keysOf, readBlobs, slotFindings, tornOf } from './parts.ts';
import { type Pause, pausing } from './pause.ts';
import {
  type AuditedTree,
  auditNotes,
  auditTree,
  type ProofsReport,
  sizeOfNote,
  vkeysFor,
} from './proofs-check.ts';
import type { Verification, VerificationFinding, VerificationSettings } from './report.ts';
import { SegmentCommitments } from './segment-commitments.ts';
import { auditTimeStamps, type CheckTimeStamp } from './timestamps-check.ts';

export interface AuditSettings extends VerificationSettings {
  /** Starts others who do the pieces of the work, with a key of their own; absent: this thread does them. */
  readonly workers?: (hierarchy: KeyHierarchy | undefined) => AuditWorkers;
  readonly onPhase?: (progress: AuditProgress) => void;
  /** A signed checkpoint of before: that it is a beginning of this log is proved, and only what came after is opened. */
  readonly since?: string;
  /** Checks time stamps; absent: they are counted only. */
  readonly checkTimeStamp?: CheckTimeStamp;
  /** What an audit that was interrupted had found out, and where that is kept. Of no use without a key. */
  readonly notebook?: AuditNotebook;
}

/** How far an audit is. */
export interface AuditProgress {
  /**
   * 'log': segments that were read and checked; 'tree': the tree over the log's leaves; 'replay': segments whose commands were held against the
   * store; 'store': ranges of the store that were read back; 'state': the state hash and all else that rests on the state.
   */
  readonly phase: 'log' | 'tree' | 'replay' | 'store' | 'state';
  readonly done: number;
  readonly total: number;
}

/** A verification, and what of it an audit tells beyond. */
export interface Audit extends Verification {
  /** Events that were opened and checked against their commitments, those of an audit before that was gone on with included. */
  readonly eventsOpened: number;
  /** Segments that an interrupted audit had opened before. */
  readonly segmentsResumed: number;
  /** Versions of keys that the store has and that the log yields; absent where it was not held against the log. */
  readonly versionsCompared?: number;
  /** The tree and what is signed of it; absent where the log is damaged. */
  readonly proofs?: ProofsReport;
  /** Leaves of the checkpoint that was given, which is a beginning of this log. */
  readonly since?: number;
}

/** What an audit has found out so far. */
export interface Found {
  readonly findings: VerificationFinding[];
  cuts: readonly LoggedCut[];
  opened: boolean;
  segmentsCompared: number;
  segmentsResumed: number;
  log?: AuditedLog;
  storeCompared?: Position;
  versionsCompared?: number;
  stateHash?: NonNullable<Verification['stateHash']>;
  blobs?: NonNullable<Verification['blobs']>;
  proofs?: ProofsReport;
  since?: number;
}

export interface Auditing {
  readonly settings: AuditSettings;
  readonly hierarchy: KeyHierarchy | undefined;
  readonly workers: AuditWorkers;
  readonly pause: Pause;
}

/**
 * Reads every byte of a database, for an open handle too: verity.json, keyring, anchor, every segment, the tree and its
 * checkpoints, the store, blobs, keys of subjects; checks checksums, digests, chain, seals, commitments and signatures, and holds the store
 * against what the log yields. Damage is a finding with file and offset, not an exception; what does not rest on it is checked all the same.
 */
export async function auditDatabase(settings: AuditSettings): Promise<Audit> {
  const { disk } = settings;
  const found: Found = {
    findings: [],
    cuts: [],
    opened: false,
    segmentsCompared: 0,
    segmentsResumed: 0,
  };
  let hierarchy: KeyHierarchy | undefined;
  let workers: AuditWorkers | undefined;
  try {
    hierarchy = await keysOf(disk, settings.root);
    found.opened = hierarchy !== undefined;
    const pause = pausing(settings.scheduler);
    const { logId } = hierarchy?.keyring ?? readKeyFiles(disk).keyring;
    workers = settings.workers?.(hierarchy) ?? inThisThread({ disk, logId, hierarchy }, pause);
    await audit({ settings, hierarchy, workers, pause }, found);
  } catch (error) {
    if (!(error instanceof VerityError) || error.exitCode !== 3) throw error;
    settings.security?.observe(error);
    found.findings.unshift(findingOf(error));
  } finally {
    await workers?.close();
    hierarchy?.wipe();
  }
  return reportOf(settings, found);
}

async function audit(auditing: Auditing, found: Found): Promise<void> {
  const { settings, hierarchy } = auditing;
  const { disk } = settings;
  const { logId } = hierarchy?.keyring ?? readKeyFiles(disk).keyring;
  // Before the log: what is durable now is there when the log is read.
  const anchor =
    hierarchy === undefined ? readAnchor(disk, logId, undefined) : readAnchorWith(disk, hierarchy);
  found.findings.push(...slotFindings(anchor));
  const attested = readAttested(disk);
  const log = await readSegments(auditing, { logId, durable: anchor.newest }, found);
  found.log = log;
  const stray = strayBytes(log);
  if (stray !== undefined) found.findings.push(findingOf(stray));
  // An older keyring than the log names lacks keys: that is what is wrong then, and not the sections.
  const lacking = hierarchy && keyringOlderThan(log, hierarchy);
  if (lacking !== undefined) throw lacking;
  if (log.damages.length > 0) {
    noteDamages(auditing, log, found);
    return;
  }
  const commitments = new SegmentCommitments(log.segments);
  settings.onPhase?.({ phase: 'tree', done: 0, total: 1 });
  const { tree, errors } = await auditTree(disk, commitments, auditing.workers);
  settings.onPhase?.({ phase: 'tree', done: 1, total: 1 });
  if (hierarchy === undefined) {
    checkProofs(auditing, { log, tree, attested, view: undefined }, found);
    const state = new KernelState(new MemoryStore());
    await readBlobs(settings, { hierarchy, state }, found.findings);
    if (log.tail.head.lastKind === 'close')
      found.findings.push(...checkSubjectLayout(disk, logId).map(findingOf));
    // Pages are sealed; that the copies of the superblock are as they were written can be told without a key.
    for (const error of readSuperblock(disk, logId)?.damaged ?? [])
      found.findings.push(findingOf(error));
  } else {
    const onView = (view: ReadView): void =>
      checkProofs(auditing, { log, tree, attested, view }, found);
    await auditState({ ...auditing, hierarchy }, { log, commitments, onView }, found);
  }
  for (const error of errors) found.findings.push(findingOf(error));
}

/** What was signed and stamped before the log was read: the log has all that it is of. */
interface Attested {
  readonly notes: Uint8Array;
  readonly timeStamps: Uint8Array;
}

const readAttested = (disk: Disk): Attested => ({
  notes: readWhole(disk, checkpointsPath) ?? new Uint8Array(),
  timeStamps: readWhole(disk, timeStampsPath) ?? new Uint8Array(),
});

async function readSegments(
  { settings, hierarchy, workers }: Auditing,
  of: Pick<Parameters<typeof auditLog>[0], 'logId' | 'durable'>,
  found: Found,
): Promise<AuditedLog> {
  const { disk, onProgress, onPhase, notebook, since } = settings;
  const memory =
    hierarchy === undefined || notebook === undefined
      ? undefined
      : new AuditMemory(hierarchy, notebook);
  onPhase?.({ phase: 'log', done: 0, total: segmentPaths(disk).length });
  const opensFrom = since === undefined ? undefined : (sizeOfNote(since) as LeafIndex);
  try {
    return await auditLog({
      ...of,
      disk,
      workers,
      live: settings.live,
      opensFrom,
      before: memory && ((path) => memory.before(path)),
      onSegment: (segment, done, total) => {
        if (segment.resumed) found.segmentsResumed += 1;
        // With `since` some of it was not opened.
        else if (opensFrom === undefined) memory?.note(segment);
        onProgress?.(done - 1, total);
        onPhase?.({ phase: 'log', done, total });
      },
    });
  } finally {
    memory?.wipe();
  }
}

function noteDamages({ settings, hierarchy }: Auditing, log: AuditedLog, found: Found): void {
  const { disk, security } = settings;
  const lost = log.damages.map((damage) => damage.lost);
  const affected =
    hierarchy === undefined ? lost.map(affectedBy) : nameAffected(disk, hierarchy, lost);
  for (const [index, { error }] of log.damages.entries()) {
    security?.observe(error);
    const of = affected[index];
    found.findings.push({ ...findingOf(error), ...(of !== undefined && { affected: of }) });
  }
}

function keyringOlderThan(
  { segments, damages }: AuditedLog,
  { keyring }: KeyHierarchy,
): VerityError | undefined {
  const isLacking = damages.some(({ error }) => error.code === 'MISSING_DATA');
  const logged = Math.max(0, ...segments.map(({ facts }) => facts.keyringGeneration));
  return isLacking && keyring.generation < logged
    ? olderKeyring(keyring.generation, logged)
    : undefined;
}

function checkProofs(
  { settings, hierarchy }: Auditing,
  of: {
    readonly log: AuditedLog;
    readonly tree: AuditedTree;
    readonly attested: Attested;
    readonly view: ReadView | undefined;
  },
  found: Found,
): void {
  const { disk, since } = settings;
  const { keyring } = hierarchy ?? readKeyFiles(disk);
  const { tree, attested } = of;
  const { errors, report } = auditNotes({ ...of, disk, keyring, notes: attested.notes });
  const stamps = auditTimeStamps({
    bytes: attested.timeStamps,
    tree,
    origin: originOf(keyring),
    authority: of.view && settingOf(of.view, 'timestamp-authority'),
    check: settings.checkTimeStamp,
  });
  found.proofs = {
    treeSize: tree.size,
    root: toHex(tree.root(tree.size)),
    ...report,
    ...stamps.report,
  };
  for (const error of [...errors, ...stamps.errors]) found.findings.push(findingOf(error));
  if (since !== undefined) checkSince(since, { ...of, keyring }, found);
}

function checkSince(
  since: string,
  of: {
    readonly log: AuditedLog;
    readonly tree: AuditedTree;
    readonly keyring: Keyring;
    readonly view: ReadView | undefined;
  },
  found: Found,
): void {
  const { log, tree, keyring, view } = of;
  const { origin, size, root } = parseCheckpoint(parseNote(since).text);
  try {
    openNote(since, vkeysFor(keyring, view), ed25519Verify);
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    const message = `The checkpoint that was given, of ${size} leaves, does not hold: ${error.message}`;
    found.findings.push({ code: error.code, file: '', offset: 0, message });
    return;
  }
  const isPrefix = size <= tree.size && equalBytes(tree.root(size), root);
  if (origin === originOf(keyring) && isPrefix) {
    found.since = size;
    return;
  }
  const what = `The log does not begin with the ${size} leaves that the given checkpoint stands for: another log, or an older one,`;
  found.findings.push(
    findingOf(new CorruptionError('LOG_ROLLED_BACK', log.tail.path, 0, `${what} lies`)),
  );
}

function reportOf(settings: AuditSettings, found: Found): Audit {
  const { disk } = settings;
  const { findings, log, cuts, opened, segmentsCompared, segmentsResumed } = found;
  const { storeCompared, versionsCompared, stateHash, blobs, proofs, since } = found;
  const files = filesOf(disk);
  return {
    ok: findings.length === 0,
    filesRead: files.length,
    bytesRead: files.reduce((sum, path) => sum + fileBytes(disk, path), 0),
    ...figuresOf(log?.tail.head),
    findings,
    // What an owner has on its way is no torn write.
    tornTail: log?.live?.owner === true ? undefined : tornOf(log?.tail),
    opened,
    segmentsCompared,
    eventsOpened: (log?.segments ?? []).reduce((sum, each) => sum + each.eventsOpened, 0),
    segmentsResumed,
    ...(storeCompared !== undefined && { storeCompared }),
    ...(versionsCompared !== undefined && { versionsCompared }),
    ...(stateHash !== undefined && { stateHash }),
    ...(blobs !== undefined && { blobs }),
    ...(proofs !== undefined && { proofs }),
    ...(since !== undefined && { since }),
    cuts,
  };
}
