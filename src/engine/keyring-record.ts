import { CorruptionError, type Digest32, type Disk, equalBytes } from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import { sha256 } from '../crypto/index.ts';
import { type KernelState, keyringTree, singleKey } from '../kernel/index.ts';
import { keyringPath } from './files.ts';
import { olderKeyring, readKeyFiles } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';

/** What the log says of the keyring. */
export interface KeyringRecord {
  readonly generation: number;
  /** SHA-256 of the file. */
  readonly digest: Digest32;
}

/** The newest record of a keyring that is durable in the log; undefined without one. */
export function loggedKeyring(state: Pick<KernelState, 'store'>): KeyringRecord | undefined {
  const logged = state.store.get(keyringTree, singleKey);
  if (logged === undefined) return undefined;
  const reader = new Reader(logged.row);
  return { generation: reader.u64(), digest: reader.raw(32) as Digest32 };
}

/**
 * Compares the keyring with the newest record of the log, which was read after `hierarchy` was made. An older one is
 * refused, and so is another one of the same generation, and one that is ahead of the log by more than a crash leaves.
 * Returns whether the log names the keyring that is on the disk.
 */
export function checkGeneration(
  disk: Disk,
  hierarchy: Pick<KeyHierarchy, 'keyring'>,
  state: Pick<KernelState, 'store'>,
): boolean {
  const logged = loggedKeyring(state) ?? { generation: 0, digest: undefined };
  const { generation } = hierarchy.keyring;
  if (generation > logged.generation + 1) {
    throw new CorruptionError(
      'MISSING_DATA',
      keyringPath,
      24,
      `Generation ${generation}, more than one ahead of the log's ${logged.generation}, so that the end of the log is missing, lies`,
    );
  }
  // Read again: beside a running owner it may be newer by now.
  const { keyring, keyringBytes } = readKeyFiles(disk);
  if (keyring.generation < logged.generation) {
    throw olderKeyring(keyring.generation, logged.generation);
  }
  if (keyring.generation > logged.generation || logged.digest === undefined) return false;
  if (!equalBytes(sha256(keyringBytes), logged.digest)) {
    throw new CorruptionError(
      'KEYRING_ROLLED_BACK',
      keyringPath,
      0,
      'Another keyring of the same generation lies',
    );
  }
  return true;
}
