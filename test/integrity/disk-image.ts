/** A database's files as plain data: taken from a disk, changed, and put onto another one. */
import type { Disk } from '../../src/base/index.ts';
import { memoryDisk } from '../../src/host/index.ts';

/** Paths and bytes of a database's files. */
export type DiskImage = ReadonlyMap<string, Uint8Array>;

const directories: ReadonlySet<string> = new Set(['log', 'subjects', 'store', 'blobs', 'proofs']);

/** Copies of all files on `disk`, the LOCK file and what a repair kept aside. */
export function imageOf(disk: Disk): Map<string, Uint8Array> {
  const image = new Map<string, Uint8Array>();
  for (const name of disk.list('') ?? []) {
    if (name === 'LOCK' || name === 'damaged') continue;
    const below = directories.has(name)
      ? (disk.list(name) ?? []).map((file) => `${name}/${file}`)
      : [name];
    for (const path of below) image.set(path, readFile(disk, path));
  }
  return image;
}

/** A new disk in memory that holds the image. */
export function diskOf(image: DiskImage): Disk {
  const disk = memoryDisk();
  disk.makeDirectory('log');
  for (const [path, bytes] of image) {
    disk.makeDirectory(path.slice(0, Math.max(0, path.lastIndexOf('/'))));
    const file = disk.open(path, 'create');
    file.write(bytes, 0);
    file.close();
  }
  return disk;
}

export function readFile(disk: Disk, path: string): Uint8Array {
  const file = disk.open(path, 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

/** Changes the bits of `mask` in one byte, in place. A second call puts the byte back. */
export function flipByte(disk: Disk, path: string, offset: number, mask: number): void {
  const file = disk.open(path, 'readwrite');
  const byte = new Uint8Array(1);
  file.read(byte, offset);
  byte[0] = (byte[0] as number) ^ mask;
  file.write(byte, offset);
  file.close();
}

/** The image with one byte changed; the other files are shared with the original. */
export function withFlip(
  image: DiskImage,
  path: string,
  offset: number,
  mask: number,
): Map<string, Uint8Array> {
  const changed = new Map(image);
  const bytes = (image.get(path) as Uint8Array).slice();
  bytes[offset] = (bytes[offset] as number) ^ mask;
  return changed.set(path, bytes);
}

/** The files that are not the same in both. */
export function differing(left: DiskImage, right: DiskImage): string[] {
  const paths = new Set([...left.keys(), ...right.keys()]);
  return [...paths].filter((path) => {
    const [one, other] = [left.get(path), right.get(path)];
    return one === undefined || other === undefined || Buffer.compare(one, other) !== 0;
  });
}
