import { CorruptionError, type Disk, equalBytes, toHex } from '../base/index.ts';
import { Sha256 } from '../crypto/index.ts';
import { type BlobRecord, blobRecords, type KernelState } from '../kernel/index.ts';
import {
  BlobFile,
  blobIdOf,
  blobPath,
  blobPaths,
  checkBlobHeader,
  damagedBlob,
} from './blob-file.ts';
import { blobsDirectory, temporarySuffix } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';

export interface BlobCheck {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** Gives other work its turn when that many bytes were read. */
  readonly pause: (bytes: number) => Promise<void> | undefined;
  /** Reads keys that came since, beside an owner that seals blobs anew. */
  readonly renew?: (() => unknown) | undefined;
}

export interface CheckedBlobs {
  /** Those that rows name, or named once, and their bytes. */
  readonly checked: number;
  readonly bytes: number;
  /** Files that no row names: a crash left them, or a command on its way is going to name them. */
  readonly unnamed: readonly string[];
  readonly errors: readonly CorruptionError[];
}

/** Another process may replace a file, and forget the key that it was sealed under, while it is read. */
const readsMax = 3;

/** Reads every byte of a blob and compares it with what the log says; what is wrong with it, or undefined. */
export async function checkBlob(
  check: BlobCheck,
  blob: BlobRecord,
): Promise<CorruptionError | undefined> {
  let found: CorruptionError | undefined;
  for (let count = 0; count < readsMax; count++) {
    try {
      await readBlob(check, blob);
      return undefined;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      found = error;
      check.renew?.();
    }
  }
  return found;
}

async function readBlob({ disk, hierarchy, pause }: BlobCheck, blob: BlobRecord): Promise<void> {
  const file = BlobFile.open(disk, hierarchy, blob);
  const hash = new Sha256();
  try {
    for (const chunk of file.chunks()) {
      hash.update(chunk);
      await pause(chunk.length);
    }
  } finally {
    file.close();
  }
  if (!equalBytes(hash.digest(), blob.digest))
    throw damagedBlob('CHECKSUM_MISMATCH', blob, 0, 'Another value than the log names lies');
}

/** Reads all blobs that the log names, and everything that lies among them. Damage is returned, not thrown. */
export async function checkBlobs(
  check: BlobCheck,
  { store }: Pick<KernelState, 'store'>,
): Promise<CheckedBlobs> {
  const errors: CorruptionError[] = [];
  const named = new Set<string>();
  let bytes = 0;
  for (const blob of blobRecords(store)) {
    named.add(toHex(blob.id));
    bytes += blob.lengthBytes;
    const error = await checkBlob(check, blob);
    if (error !== undefined) errors.push(error);
  }
  const unnamed: string[] = [];
  for (const path of blobPaths(check.disk)) {
    const id = idOfPath(path);
    if (id === undefined) errors.push(foreign(path));
    else if (path !== blobPath(id) || !named.has(toHex(id))) unnamed.push(path);
  }
  return { checked: named.size, bytes, unnamed, errors };
}

/** What can be told without a key: that each file is a blob of its own name, and as long as it says. */
export function checkBlobHeaders(disk: Disk): CorruptionError[] {
  return blobPaths(disk).flatMap((path) => {
    const id = idOfPath(path);
    if (id === undefined) return [foreign(path)];
    // One that is being written.
    if (path !== blobPath(id)) return [];
    const error = checkBlobHeader(disk, id);
    return error === undefined ? [] : [error];
  });
}

/** The id in the name of a blob, or of one that is being written. */
function idOfPath(path: string): Uint8Array | undefined {
  const name = path.slice(blobsDirectory.length + 1);
  return blobIdOf(name.endsWith(temporarySuffix) ? name.slice(0, -temporarySuffix.length) : name);
}

const foreign = (path: string): CorruptionError =>
  new CorruptionError('FOREIGN_FILE', path, 0, 'A file that is none of ours lies');
