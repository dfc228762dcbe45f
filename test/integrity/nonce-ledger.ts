/**
 * A ledger of every section that was ever handed to a disk: under which key, with which nonce, and what
 * came out. Two different messages under one key and one nonce would give both away.
 */
import { createHash } from 'node:crypto';
import type { Disk, DiskFile } from '../../src/base/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  isProblem,
  isSegmentName,
  type SealedSection,
  segmentHeaderBytes,
} from '../../src/log/index.ts';

export class NonceLedger {
  /** Key commitment and nonce → digest of what was sealed. */
  readonly #seals = new Map<string, string>();
  readonly #keys = new Set<string>();
  /** Places where a nonce came back with something else under it. */
  readonly repeats: string[] = [];
  /** Sections that were met again, the same to the byte: frames that were copied. */
  copies = 0;

  /** How many different seals there were. */
  get seals(): number {
    return this.#seals.size;
  }

  /** Under how many keys. */
  get keys(): number {
    return this.#keys.size;
  }

  note({ commitment, nonce, sealed }: SealedSection, where: string): void {
    const key = Buffer.from(commitment).toString('latin1');
    const place = key + Buffer.from(nonce).toString('latin1');
    const digest = createHash('sha256').update(sealed).digest('base64');
    const before = this.#seals.get(place);
    if (before === undefined) this.#seals.set(place, digest);
    else if (before === digest) this.copies += 1;
    else this.repeats.push(where);
    this.#keys.add(key);
  }

  /** Notes all frames among bytes that were written to a segment. */
  noteFrames(bytes: Uint8Array, where: string): void {
    let offset = 0;
    while (offset < bytes.length) {
      const header = decodeFrameHeader(bytes, offset);
      if (typeof header === 'string') return;
      const end = offset + header.frameLength;
      const frame = checkFrame(bytes.subarray(offset, end), header);
      if (isProblem(frame)) throw new Error(`${where}: ${frame.what}`);
      for (const section of frame.sections) this.note(section, `${where}, frame ${header.op}`);
      offset = end;
    }
  }
}

/** `disk` with every write of frames noted in `ledger` before it is made. */
export function ledgerDisk(disk: Disk, ledger: NonceLedger, name: string): Disk {
  const file = (inner: DiskFile): DiskFile => ({
    path: inner.path,
    sizeBytes: () => inner.sizeBytes(),
    read: (target, offset) => inner.read(target, offset),
    write: (bytes, offset) => {
      if (isSegment(inner.path)) {
        const start = offset === 0 ? segmentHeaderBytes : 0;
        ledger.noteFrames(bytes.subarray(start), `${name} ${inner.path}`);
      }
      inner.write(bytes, offset);
    },
    flush: () => inner.flush(),
    flushInBackground: () => inner.flushInBackground(),
    truncate: (sizeBytes) => inner.truncate(sizeBytes),
    close: () => inner.close(),
  });
  return {
    root: disk.root,
    list: (directory) => disk.list(directory),
    exists: (path) => disk.exists(path),
    makeDirectory: (path) => disk.makeDirectory(path),
    open: (path, mode) => file(disk.open(path, mode)),
    rename: (from, to) => disk.rename(from, to),
    remove: (path) => disk.remove(path),
    flushDirectory: (path) => disk.flushDirectory(path),
  };
}

function isSegment(path: string): boolean {
  return path.startsWith('log/') && isSegmentName(path.slice('log/'.length).replace(/\.tmp$/, ''));
}
