import { CorruptionError, type Disk, type LogId, VerityError } from '../base/index.ts';
import {
  type MasterKeyProvider,
  plainProviderKind,
  type SealingSuite,
  type SecretKey,
} from '../crypto/index.ts';
import { decodeSegmentHeader, segmentHeaderBytes } from '../log/index.ts';
import { identityPath, keyringPath, readStart, readWhole, segmentPaths } from './files.ts';
import {
  checkSlotKinds,
  checkSuite,
  decodeIdentity,
  firstDifference,
  type Identity,
  identityIsAuthentic,
  type WantedSuite,
} from './identity.ts';
import { KeyHierarchy, type KeyHierarchyOptions } from './key-hierarchy.ts';
import { Keyring } from './keyring.ts';
import { decodeKeyring, keyringIsAuthentic } from './keyring-file.ts';

/** Reads verity.json and the keyring, checks them, and unwraps the root key: one call of the provider. */
export async function loadKeys(
  disk: Disk,
  provider: MasterKeyProvider,
  wanted: WantedSuite = {},
  options: Omit<KeyHierarchyOptions, 'suite' | 'renewedSlot'> = {},
): Promise<KeyHierarchy> {
  const files = readKeyFiles(disk);
  checkSuite(files.identity, wanted, provider.kind === plainProviderKind, disk.root);
  const { slots, logId } = files.keyring;
  const opened = await provider.unwrap(slots, { logId });
  const root = opened?.root;
  if (root === undefined) {
    throw new VerityError(
      'WRONG_KEY',
      `The ${provider.kind} key does not open ${disk.root}. Pass the key, passphrase or recovery code this database was created with.`,
    );
  }
  try {
    checkAuthentic(root, files);
    checkSlotKinds(files.identity.suite, slots);
  } catch (error) {
    root.wipe();
    throw error;
  }
  return new KeyHierarchy(root, files.keyring, {
    ...options,
    suite: files.identity.suite,
    ...(opened?.renewed && { renewedSlot: { id: opened.slotId, ...opened.renewed } }),
  });
}

export interface KeyFiles {
  readonly identityBytes: Uint8Array;
  readonly identity: Identity;
  readonly keyringBytes: Uint8Array;
  readonly keyring: Keyring;
}

/** Reads verity.json and the keyring and checks all that needs no key. Throws CorruptionError. */
export function readKeyFiles(disk: Disk): KeyFiles {
  const identityBytes = required(disk, identityPath);
  const keyringBytes = required(disk, keyringPath);
  const keyring = decodeKeyring(keyringBytes);
  const identity = decodeIdentity(identityBytes);
  if (!(keyring instanceof Keyring))
    throw new CorruptionError(keyring.code, keyringPath, keyring.offset, keyring.what);
  if ('what' in identity) {
    // The keyring's copy of verity.json tells where exactly.
    const offset =
      identity.code === 'CHECKSUM_MISMATCH'
        ? firstDifference(identityBytes, keyring.identity)
        : undefined;
    throw new CorruptionError(
      identity.code,
      identityPath,
      offset ?? identity.offset,
      identity.what,
    );
  }
  const difference = firstDifference(identityBytes, keyring.identity);
  if (firstDifference(identity.logId, keyring.logId) !== undefined) {
    // The log tells which of the two was put here.
    const keyringBelongs =
      logIdOnDisk(disk)?.every((byte, index) => byte === keyring.logId[index]) ?? false;
    throw keyringBelongs
      ? new CorruptionError(
          'FOREIGN_FILE',
          identityPath,
          difference ?? 0,
          'The verity.json of another database lies',
        )
      : new CorruptionError('FOREIGN_FILE', keyringPath, 8, 'The keyring of another database lies');
  }
  if (difference !== undefined) {
    throw new CorruptionError(
      'CHECKSUM_MISMATCH',
      identityPath,
      difference,
      'Bytes that differ from their copy in the keyring lie',
    );
  }
  return { identityBytes, identity, keyringBytes, keyring };
}

/**
 * What verity.json, or if it is damaged its copy in the keyring, says of the database's suite, without any key
 * and so without proof; undefined if neither can be read.
 */
export function readSuite(disk: Disk): SealingSuite | undefined {
  const identity = decodeIdentity(readWhole(disk, identityPath) ?? new Uint8Array());
  if (!('what' in identity)) return identity.suite;
  const keyring = decodeKeyring(readWhole(disk, keyringPath) ?? new Uint8Array());
  const copy = keyring instanceof Keyring ? decodeIdentity(keyring.identity) : identity;
  return 'what' in copy ? undefined : copy.suite;
}

/** The log id in the header of the first segment; undefined if there is no such header. */
function logIdOnDisk(disk: Disk): LogId | undefined {
  const [path] = segmentPaths(disk);
  const header =
    path === undefined ? 'short' : decodeSegmentHeader(readStart(disk, path, segmentHeaderBytes));
  return typeof header === 'string' ? undefined : header.logId;
}

/** Checks that both files were written by a holder of the root key. Throws CorruptionError. */
export function checkAuthentic(root: SecretKey, files: KeyFiles): void {
  const forged = forgedFile(root, files);
  if (forged === undefined) return;
  throw new CorruptionError(
    'AUTHENTICATION_FAILED',
    forged,
    0,
    'Contents that this database did not write lie',
  );
}

function forgedFile(root: SecretKey, files: KeyFiles): string | undefined {
  if (!keyringIsAuthentic(files.keyringBytes, root)) return keyringPath;
  const lasting = lastingKey(files.keyring, root);
  const isAuthentic = identityIsAuthentic(files.identityBytes, lasting);
  lasting.wipe();
  return isAuthentic ? undefined : identityPath;
}

/**
 * The key for what must outlive the root key: the MAC of verity.json and the fingerprints of requests. The caller
 * wipes it. Throws CorruptionError.
 */
export function lastingKey(keyring: Keyring, root: SecretKey): SecretKey {
  const key = keyring.entryKey('lasting', 0, root);
  if (key !== undefined) return key;
  throw new CorruptionError(
    'AUTHENTICATION_FAILED',
    keyringPath,
    0,
    'A keyring without the key that outlives the root key lies',
  );
}

/** The error for a keyring of an older generation than the log names. */
export function olderKeyring(generation: number, logged: number): CorruptionError {
  return new CorruptionError(
    'KEYRING_ROLLED_BACK',
    keyringPath,
    24,
    `Generation ${generation}, older than the log's ${logged}, lies`,
  );
}

/** The bytes of a file that every database has. Throws CorruptionError with MISSING_DATA. */
export function required(disk: Disk, path: string): Uint8Array {
  const bytes = readWhole(disk, path);
  if (bytes === undefined)
    throw new CorruptionError(
      'MISSING_DATA',
      path,
      0,
      'The whole file is missing: nothing is left',
    );
  return bytes;
}
