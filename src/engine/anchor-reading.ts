import { CorruptionError, type Disk } from '../base/index.ts';
import { anchorKeys, type AnchorReading, readAnchor } from './anchor.ts';
import { readKeyFiles } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { readNewerKeyring, RootKeyRenewed } from './keyring-follower.ts';

/**
 * Reads the anchor with the keys of `hierarchy`, which goes on with a newer keyring if its owner has rotated keys since.
 * Throws RootKeyRenewed when that is under another root key, and what `readAnchor` throws.
 */
export function readAnchorWith(disk: Disk, hierarchy: KeyHierarchy): AnchorReading {
  try {
    return readNow(disk, hierarchy);
  } catch (error) {
    const isForged = error instanceof CorruptionError && error.code === 'AUTHENTICATION_FAILED';
    const { generation } = hierarchy.keyring;
    if (!isForged || readKeyFiles(disk).keyring.generation === generation) throw error;
    if (!readNewerKeyring(disk, hierarchy)) throw new RootKeyRenewed();
    return readNow(disk, hierarchy);
  }
}

function readNow(disk: Disk, hierarchy: KeyHierarchy): AnchorReading {
  const keys = anchorKeys(hierarchy);
  try {
    return readAnchor(disk, hierarchy.keyring.logId, keys);
  } finally {
    for (const key of keys) key.wipe();
  }
}
