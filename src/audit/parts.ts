/** What every check of a database has in common. */
import {
  CorruptionError,
  type Disk,
  type Position,
  toHex,
  type VerityError,
} from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import {
  anchorPath,
  type AnchorReading,
  blobPaths,
  checkAuthentic,
  checkBlobHeaders,
  checkBlobs,
  fitsRecord,
  identityPath,
  KeyHierarchy,
  keyringPath,
  loadKeys,
  type LogTail,
  proofsDirectory,
  readKeyFiles,
  readNewerKeyring,
  RootKeyRenewed,
  segmentPaths,
  subjectPaths,
} from '../engine/index.ts';
import type { KernelState } from '../kernel/index.ts';
import { type LogHead, segmentPath } from '../log/index.ts';
import { pagesPath, superblockPath } from '../store/index.ts';
import { pausing } from './pause.ts';
import type { AuditedLog } from './log-audit.ts';
import type { Verification, VerificationFinding, VerificationSettings } from './report.ts';

export function filesOf(disk: VerificationSettings['disk']): string[] {
  return [
    identityPath,
    keyringPath,
    anchorPath,
    ...pathsOf(disk),
    ...subjectPaths(disk),
    ...blobPaths(disk),
    ...storePaths(disk),
    ...proofPaths(disk),
  ];
}

export function figuresOf(
  head: LogHead | undefined,
): Pick<Verification, 'frames' | 'events' | 'position' | 'chainHash'> {
  return {
    frames: head?.op ?? 0,
    events: head?.leafCount ?? 0,
    position: head?.position ?? (0 as Position),
    chainHash: head === undefined ? '' : toHex(head.chainHash),
  };
}

export function tornOf(tail: LogTail | undefined): Verification['tornTail'] {
  return tail?.torn === undefined ? undefined : { file: tail.path, ...tail.torn };
}

export async function readBlobs(
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
export async function keysOf(
  disk: Disk,
  root: VerificationSettings['root'],
): Promise<KeyHierarchy | undefined> {
  if (root === 'none') return undefined;
  if ('unwrap' in root) {
    return followingKeyring(disk, await loadKeys(disk, root));
  }
  const files = readKeyFiles(disk);
  checkAuthentic(root.root, files);
  // With a root key of its own, and the secrets of now: either may go from the handle while the log is read.
  const copy = new SecretKey(root.root.expose().slice());
  const own = new KeyHierarchy(copy, files.keyring, { suite: files.identity.suite });
  own.whenMissing((...which) => root.deriveSectionKey(...which));
  return own;
}

/** The keys that a root key opens, which is moved. Throws CorruptionError. */
export function keysFromRoot(disk: Disk, rootKey: Uint8Array): KeyHierarchy {
  const root = new SecretKey(rootKey);
  const files = readKeyFiles(disk);
  checkAuthentic(root, files);
  return followingKeyring(
    disk,
    new KeyHierarchy(root, files.keyring, { suite: files.identity.suite }),
  );
}

/** Beside a running owner, who may give a tenant new keys meanwhile. */
function followingKeyring(disk: Disk, hierarchy: KeyHierarchy): KeyHierarchy {
  hierarchy.whenMissing((...which) => {
    if (!readNewerKeyring(disk, hierarchy)) throw new RootKeyRenewed();
    return hierarchy.deriveSectionKey(...which);
  });
  return hierarchy;
}

export function slotFindings({ damaged }: AnchorReading): VerificationFinding[] {
  return damaged.map((offset) => ({
    code: 'CHECKSUM_MISMATCH',
    file: anchorPath,
    offset,
    message:
      `One of the anchor's two slots, in ${anchorPath} at byte ${offset}, is not as it was written; the other one ` +
      'holds. Open the database for writing, which writes it again.',
  }));
}

export function compareSegments(
  log: Pick<AuditedLog, 'records'>,
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

export function findingOf(error: VerityError): VerificationFinding {
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

function proofPaths(disk: Disk): string[] {
  return (disk.list(proofsDirectory) ?? []).map((name) => `${proofsDirectory}/${name}`);
}

function pathsOf(disk: Disk): string[] {
  try {
    return segmentPaths(disk);
  } catch {
    return [];
  }
}
