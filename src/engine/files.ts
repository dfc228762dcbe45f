/** The files of a database directory, and whole-file reads and atomic replacement. */
import {
  CorruptionError,
  type Disk,
  type DiskFile,
  type Position,
  VerityError,
} from '../base/index.ts';
import { isSegmentName } from '../log/index.ts';
import { storeDirectory } from '../store/index.ts';

export const identityPath = 'verity.json';
export const keyringPath = 'keyring';
export const anchorPath = 'anchor';
/** Where a repair keeps what it replaced or cut. */
export const damagedDirectory = 'damaged';
export const logDirectory = 'log';
export const subjectsDirectory = 'subjects';
export const blobsDirectory = 'blobs';
/** Tiles of the Merkle tree and signed checkpoints: derived. */
export const proofsDirectory = 'proofs';
export const temporarySuffix = '.tmp';
/** The longest verity.json or keyring. */
export const smallFileBytesMax = 64 << 20;
export const segmentFileBytesMax = 256 << 20;
/** Checkpoints of years, or tiles. */
const proofsFileBytesMax = 2 ** 32;

/** Names at the root that belong to a database; anything else there is not ours. */
export const rootNames: ReadonlySet<string> = new Set([
  identityPath,
  keyringPath,
  anchorPath,
  logDirectory,
  damagedDirectory,
  subjectsDirectory,
  blobsDirectory,
  proofsDirectory,
  storeDirectory,
  'LOCK',
  identityPath + temporarySuffix,
  keyringPath + temporarySuffix,
  anchorPath + temporarySuffix,
]);

/** The size of a file; 0 if it is not there. */
export function fileBytes(disk: Disk, path: string): number {
  if (!disk.exists(path)) return 0;
  const file = disk.open(path, 'read');
  try {
    return file.sizeBytes();
  } finally {
    file.close();
  }
}

/** Reads a whole file; undefined if it is not there. Refuses files that are larger than any we write. */
export function readWhole(disk: Disk, path: string): Uint8Array | undefined {
  if (!disk.exists(path)) return undefined;
  const file = disk.open(path, 'read');
  try {
    return readFrom(file, 0, bytesMaxOf(path));
  } finally {
    file.close();
  }
}

function bytesMaxOf(path: string): number {
  if (path.startsWith(`${logDirectory}/`)) return segmentFileBytesMax;
  return path.startsWith(`${proofsDirectory}/`) ? proofsFileBytesMax : smallFileBytesMax;
}

/** Reads a file from `offset` to its end. */
function readFrom(file: DiskFile, offset: number, bytesMax: number): Uint8Array {
  const size = file.sizeBytes();
  if (size > bytesMax) {
    throw new CorruptionError(
      'CHECKSUM_MISMATCH',
      file.path,
      bytesMax,
      'More bytes than were ever written lie',
    );
  }
  const bytes = new Uint8Array(Math.max(0, size - offset));
  const read = file.read(bytes, offset);
  return read === bytes.length ? bytes : bytes.subarray(0, read);
}

/** Reads the first `count` bytes of a file, or fewer if it is shorter or not there. */
export function readStart(disk: Disk, path: string, count: number): Uint8Array {
  if (!disk.exists(path)) return new Uint8Array();
  const file = disk.open(path, 'read');
  try {
    const bytes = new Uint8Array(count);
    return bytes.subarray(0, file.read(bytes, 0));
  } finally {
    file.close();
  }
}

/** Replaces a file so that after a crash either the old or the new bytes are there. */
export function replaceFile(disk: Disk, path: string, bytes: Uint8Array): void {
  disk.rename(writeTemporary(disk, path, bytes), path);
  disk.flushDirectory(directoryOf(path));
}

/** Writes and flushes what is to replace `path`, beside it; returns its path. Nothing else changes. */
export function writeTemporary(disk: Disk, path: string, bytes: Uint8Array): string {
  const temporary = path + temporarySuffix;
  if (disk.exists(temporary)) disk.remove(temporary);
  const file = disk.open(temporary, 'create');
  try {
    file.write(bytes, 0);
    file.flush();
  } finally {
    file.close();
  }
  return temporary;
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash === -1 ? '' : path.slice(0, slash);
}

/** Paths of the log's segments in order. */
export function segmentPaths(disk: Disk): string[] {
  const names = disk.list(logDirectory) ?? [];
  for (const name of names) {
    if (!isSegmentName(name) && !name.endsWith(temporarySuffix)) {
      throw new VerityError(
        'FOREIGN_FILE',
        `log/${name} is not a segment of this log. Move it elsewhere and open again.`,
        {
          details: { file: `${logDirectory}/${name}`, offset: 0 },
        },
      );
    }
  }
  return names.filter(isSegmentName).map((name) => `${logDirectory}/${name}`);
}

/** The first position of a segment, by its name. */
export function segmentPosition(path: string): Position {
  return Number.parseInt(path.slice(logDirectory.length + 1), 10) as Position;
}
