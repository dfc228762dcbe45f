/** Files that a repair takes from a copy: what was checked is what is put in place, whatever the copy answers later. */
import { concatBytes, type Digest32, type Disk, equalBytes, VerityError } from '../base/index.ts';
import { Sha256 } from '../crypto/index.ts';

const sliceBytes = 1 << 20;

/** A file of a copy, as it was when it was checked. */
export interface CopiedFile {
  readonly kind: 'file';
  readonly disk: Disk;
  readonly path: string;
  /** SHA-256 of what was checked. */
  readonly digest: Digest32;
}

/** Names a file of a copy, as it is now. What is read of it from here on must have the digest that it has now. */
export function copiedFile(disk: Disk, path: string): CopiedFile {
  return { kind: 'file', disk, path, digest: digestOfFile(disk, path) };
}

/** The bytes of a copied file. Throws CHECKSUM_MISMATCH if the copy holds others by now. */
export function readCopied({ disk, path, digest }: CopiedFile): Uint8Array {
  const slices = [...slicesOf(disk, path)];
  if (!equalBytes(digestOf(slices), digest)) throw notAsChecked(path);
  return concatBytes(...slices);
}

export function digestOfFile(disk: Disk, path: string): Digest32 {
  return digestOf(slicesOf(disk, path));
}

function digestOf(slices: Iterable<Uint8Array>): Digest32 {
  const hash = new Sha256();
  for (const slice of slices) hash.update(slice);
  return hash.digest();
}

function* slicesOf(disk: Disk, path: string): Generator<Uint8Array> {
  const file = disk.open(path, 'read');
  try {
    for (let offset = 0; ;) {
      const slice = new Uint8Array(sliceBytes);
      const count = file.read(slice, offset);
      if (count === 0) return;
      yield slice.subarray(0, count);
      offset += count;
    }
  } finally {
    file.close();
  }
}

export function notAsChecked(path: string): VerityError {
  return new VerityError(
    'CHECKSUM_MISMATCH',
    `The file ${path} of the copy is not what was checked: it changed meanwhile, or one of the two disks fails. ` +
      'It was not put in place. See to it that nobody writes to the copy, and repair again.',
    { details: { file: path, offset: 0 } },
  );
}
