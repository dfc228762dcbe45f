import { type Disk, type LogId, systemTenant, VerityError } from '../base/index.ts';
import { type MasterKeyProvider, plainProviderKind, SecretKey } from '../crypto/index.ts';
import { emptyLogHead, isSegmentName, segmentHeaderBytes } from '../log/index.ts';
import { anchorKey, emptyAnchor, writeNewAnchor } from './anchor.ts';
import {
  anchorPath,
  identityPath,
  keyringPath,
  logDirectory,
  readWhole,
  replaceFile,
  rootNames,
  segmentPaths,
  temporarySuffix,
} from './files.ts';
import type { EngineHost } from './host.ts';
import {
  checkOrigin,
  encodeIdentity,
  type Identity,
  newSuite,
  type WantedSuite,
} from './identity.ts';
import { encodeKeyring } from './keyring-file.ts';
import { Keyring } from './keyring.ts';
import { publishSegment, writeSegment } from './log-writer.ts';

export type DirectoryState = 'absent' | 'empty' | 'unfinished' | 'database';

/**
 * What a directory holds. 'unfinished' is a creation that crashed: no verity.json and no record in the
 * log. A log with records but no verity.json is damage, a directory with other files is not ours.
 */
export function inspectDirectory(disk: Disk): DirectoryState {
  const names = disk.list('');
  if (names === undefined) return 'absent';
  if (names.includes(identityPath)) return 'database';
  const foreign = names.find((name) => !rootNames.has(name));
  // A folder named log alone does not make it ours.
  const ours = names.includes(keyringPath) || (names.includes(logDirectory) && holdsSegments(disk));
  if (ours && logHasRecords(disk)) {
    throw new VerityError(
      'MISSING_DATA',
      `${identityPath} is missing from ${disk.root}, but its log is there. Restore ${identityPath} from a copy.`,
      {
        details: { file: identityPath, offset: 0 },
      },
    );
  }
  if (foreign !== undefined) {
    throw new VerityError(
      'NOT_A_DATABASE',
      `${disk.root} holds other files (${foreign}), not a VerityDB database. Name an empty directory.`,
    );
  }
  return ours ? 'unfinished' : 'empty';
}

/** Whether there is a log of ours; another's "log" may be a file or hold anything. */
function holdsSegments(disk: Disk): boolean {
  try {
    return (disk.list(logDirectory) ?? []).some(isSegmentName);
  } catch (error) {
    if (error instanceof VerityError && error.code === 'IO_ERROR') return false;
    throw error;
  }
}

function logHasRecords(disk: Disk): boolean {
  return segmentPaths(disk).some((path) => {
    const bytes = readWhole(disk, path);
    return bytes !== undefined && bytes.subarray(segmentHeaderBytes).some((byte) => byte !== 0);
  });
}

/**
 * Creates a database: keyring, empty first segment, anchor, then verity.json, which makes it one. A crash
 * before that leaves an 'unfinished' directory, which the next creation clears.
 */
export async function createDatabase(
  host: EngineHost,
  provider: MasterKeyProvider,
  wanted: WantedSuite = {},
): Promise<void> {
  const { disk, entropy } = host;
  if (wanted.origin !== undefined) checkOrigin(wanted.origin);
  disk.makeDirectory('');
  clearUnfinished(disk);
  const root = new SecretKey(entropy.bytes(32));
  const lasting = new SecretKey(entropy.bytes(32));
  const signing = new SecretKey(entropy.bytes(32));
  const anchoring = new SecretKey(entropy.bytes(32));
  try {
    const identity: Identity = {
      logId: entropy.bytes(16) as LogId,
      instanceId: entropy.bytes(16),
      suite: newSuite(wanted, provider.kind === plainProviderKind),
      ...(wanted.origin !== undefined && { origin: wanted.origin }),
    };
    const identityBytes = encodeIdentity(identity, lasting);
    const keyring = new Keyring(identity.logId, identityBytes, 1);
    keyring.addSlot(await provider.wrap(root, { logId: identity.logId }), root);
    keyring.setEntry('lasting', 0, { key: lasting, root });
    keyring.setEntry('signing', 1, { key: signing, root });
    keyring.setEntry('anchor', 1, { key: anchoring, root });
    keyring.addTenant(systemTenant, root, entropy);
    replaceFile(disk, keyringPath, encodeKeyring(keyring, root));
    publishSegment(disk, writeSegment(disk, emptyLogHead(identity.logId)));
    disk.flushDirectory('');
    const key = anchorKey({ keyring, root });
    writeNewAnchor(disk, emptyAnchor(identity.logId), { logId: identity.logId, key });
    key.wipe();
    replaceFile(disk, identityPath, identityBytes);
  } finally {
    for (const key of [root, lasting, signing, anchoring]) key.wipe();
  }
}

function clearUnfinished(disk: Disk): void {
  for (const path of segmentPaths(disk)) disk.remove(path);
  for (const path of [keyringPath, anchorPath, identityPath]) {
    for (const left of [path, path + temporarySuffix]) if (disk.exists(left)) disk.remove(left);
  }
}
