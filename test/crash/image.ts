/** Databases as images (path → bytes), and where the frames of their logs lie. */
import { equalBytes } from '../../src/base/index.ts';
import { readKeyFiles } from '../../src/engine/index.ts';
import {
  emptyLogHead,
  type FrameHeader,
  isSegmentName,
  type LogHead,
  segmentHeaderBytes,
  walkSegment,
} from '../../src/log/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { openSession, type Session, type SessionOptions } from './machine.ts';

export type Image = ReadonlyMap<string, Uint8Array>;

export interface FramePlace {
  readonly path: string;
  readonly offset: number;
  readonly end: number;
  readonly header: FrameHeader;
}

/** The segments' paths, in order. */
export function segmentsOf(image: Image): string[] {
  return [...image.keys()].filter((path) => isSegmentName(path.slice('log/'.length))).toSorted();
}

/** Every intact frame of the log, in order. */
export function framesOf(image: Image): FramePlace[] {
  let head: LogHead = emptyLogHead(readKeyFiles(SimDisk.fromImage(image)).keyring.logId);
  const frames: FramePlace[] = [];
  for (const path of segmentsOf(image)) {
    const bytes = image.get(path) as Uint8Array;
    const walked = walkSegment(
      { bytes, offset: segmentHeaderBytes, head, last: true },
      ({ header }, offset) => {
        frames.push({ path, offset, end: offset + header.frameLength, header });
        return undefined;
      },
    );
    head = walked.head;
  }
  return frames;
}

/** The image with one file changed; the file is left out if `change` returns undefined. */
export function withFile(
  image: Image,
  path: string,
  change: (bytes: Uint8Array) => Uint8Array | undefined,
): Map<string, Uint8Array> {
  const copy = new Map<string, Uint8Array>();
  for (const [name, bytes] of image) copy.set(name, bytes.slice());
  const changed = change(copy.get(path) ?? new Uint8Array());
  if (changed === undefined) copy.delete(path);
  else copy.set(path, changed);
  return copy;
}

export function sameFiles(left: Image, right: Image): boolean {
  if (left.size !== right.size) return false;
  return [...left].every(([path, bytes]) => {
    const other = right.get(path);
    return other !== undefined && equalBytes(bytes, other);
  });
}

/** `bytes` with [start, end) zero. */
export function zeroed(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return bytes.slice().fill(0, start, end);
}

/** Runs `body` with the database open on `disk`, to its end. The process is then killed, not closed. */
export async function inSession<T>(
  disk: SimDisk,
  body: (session: Session) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const session = await openSession(disk, options);
  try {
    return await session.scheduler.settle(body(session));
  } finally {
    session.disk.kill();
  }
}
