/** The keys of a database whose verity.json or keyring may be what is damaged. */
import {
  CorruptionError,
  type Disk,
  type Entropy,
  equalBytes,
  type LogId,
  VerityError,
} from '../base/index.ts';
import type { MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../log/index.ts';
import { identityPath, keyringPath, readStart, readWhole, segmentPaths } from './files.ts';
import { decodeIdentity, identityIsAuthentic } from './identity.ts';
import { lastingKey, loadKeys, required } from './key-files.ts';
import { KeyHierarchy } from './key-hierarchy.ts';
import { decodeKeyring } from './keyring-file.ts';
import { Keyring } from './keyring.ts';
import { OverlayDisk, type Replacement } from './overlay-disk.ts';
import { reissueIdentity } from './reissue.ts';

export interface RepairKeys {
  readonly hierarchy: KeyHierarchy;
  /** What takes the place of verity.json, if anything does. */
  readonly replacements: ReadonlyMap<string, Replacement>;
  /** The files that were damaged or missing. */
  readonly restored: readonly string[];
  /** The copy's keyring, where it takes the place of ours: the log must not name a newer one. */
  readonly borrowed: BorrowedKeyring | undefined;
}

export interface BorrowedKeyring {
  readonly generation: number;
  /** The file, as it was read and is taken. */
  readonly bytes: Uint8Array;
  readonly digest: Uint8Array;
  /** verity.json as it will be. */
  readonly identityBytes: Uint8Array;
}

export interface RepairKeysSettings {
  readonly disk: Disk;
  readonly copy: Disk;
  readonly provider: MasterKeyProvider;
  readonly entropy: Entropy;
}

/** Whether an error says that bytes are not as they were written. */
export function isDamage(error: unknown): error is VerityError {
  return error instanceof VerityError && error.exitCode === 3;
}

/**
 * The database's own keys if they are good; else verity.json from its copy in the keyring, or both from the copy of the
 * database, if that is provably of the same log. Throws CorruptionError otherwise.
 */
export async function keysForRepair(settings: RepairKeysSettings): Promise<RepairKeys> {
  const { disk, provider } = settings;
  try {
    return ownKeys(await loadKeys(disk, provider), new Map());
  } catch (error) {
    if (!isDamage(error)) throw error;
  }
  const keyring = decodeKeyring(readWhole(disk, keyringPath) ?? new Uint8Array());
  if (keyring instanceof Keyring) {
    const identity = { kind: 'bytes', bytes: keyring.identity } as const;
    const replacements = new Map([[identityPath, identity]]);
    try {
      return ownKeys(await loadKeys(new OverlayDisk(disk, replacements), provider), replacements);
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return borrowKeys(settings);
}

function ownKeys(hierarchy: KeyHierarchy, replacements: Map<string, Replacement>): RepairKeys {
  return { hierarchy, replacements, restored: [...replacements.keys()], borrowed: undefined };
}

/** The copy's keys, for this database. */
export async function borrowKeys(settings: RepairKeysSettings): Promise<RepairKeys> {
  const { disk, copy, provider, entropy } = settings;
  const theirs = await loadKeys(copy, provider);
  const { keyring, root, suite } = theirs;
  try {
    checkSameLog(disk, keyring.logId);
  } catch (error) {
    theirs.wipe();
    throw error;
  }
  const bytes = required(copy, keyringPath);
  const own = ownIdentity(disk, keyring, root);
  const replacements = new Map<string, Replacement>();
  const restored = [keyringPath];
  const identityBytes = own ?? reissueIdentity(keyring, root, entropy).identityBytes;
  if (own === undefined) {
    replacements.set(identityPath, { kind: 'bytes', bytes: identityBytes });
    restored.push(identityPath);
  }
  const borrowed = {
    generation: keyring.generation,
    bytes,
    digest: keyring.digest(bytes),
    identityBytes,
  };
  const hierarchy = new KeyHierarchy(root, keyring, { suite });
  return { hierarchy, replacements, restored, borrowed };
}

/** Our own verity.json, if the copy's keys say that it is authentic. */
function ownIdentity(disk: Disk, keyring: Keyring, root: SecretKey): Uint8Array | undefined {
  const bytes = readWhole(disk, identityPath) ?? new Uint8Array();
  const identity = decodeIdentity(bytes);
  if ('what' in identity || !equalBytes(identity.logId, keyring.logId)) return undefined;
  const lasting = lastingKey(keyring, root);
  const isAuthentic = identityIsAuthentic(bytes, lasting);
  lasting.wipe();
  return isAuthentic ? bytes : undefined;
}

/** The segments here must say that they are of that log. */
function checkSameLog(disk: Disk, logId: LogId): void {
  const ids = segmentPaths(disk).map((path) => {
    const header = decodeSegmentHeader(readStart(disk, path, segmentHeaderBytes));
    return typeof header === 'string' ? undefined : header.logId;
  });
  if (ids.some((id) => id !== undefined && equalBytes(id, logId))) return;
  throw new CorruptionError(
    'FOREIGN_FILE',
    keyringPath,
    0,
    'Nothing here says that the copy is of the same log: no segment of its log',
  );
}
