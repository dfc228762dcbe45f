/** What a meddler without any key can do: change a frame and recompute all that needs no key. */
import {
  chainHash,
  decodeFrameHeader,
  leafBytes,
  physicalHeaderBytes,
  sectionHeaderBytes,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { crc32, sha256 } from '../../src/crypto/index.ts';
import type { DiskImage } from './disk-image.ts';
import { diskOf } from './disk-image.ts';

export interface FramePlace {
  readonly offset: number;
  readonly length: number;
  readonly kind: string;
  readonly op: number;
}

/** The frames of a segment, in order. */
export function framesOf(segment: Uint8Array): FramePlace[] {
  const frames: FramePlace[] = [];
  for (let offset = segmentHeaderBytes; ;) {
    const header = decodeFrameHeader(segment, offset);
    if (typeof header === 'string') return frames;
    frames.push({ offset, length: header.frameLength, kind: header.kind, op: header.op });
    offset += header.frameLength;
  }
}

/** Field offsets within a frame. */
export const frameField = {
  durableHead: 32,
  op: physicalHeaderBytes + 16,
  firstPosition: physicalHeaderBytes + 24,
  lastPosition: physicalHeaderBytes + 32,
  firstLeaf: physicalHeaderBytes + 40,
  timestamp: physicalHeaderBytes + 52,
  firstTenant: physicalHeaderBytes + 64,
} as const;

/** Recomputes seal digest, chain hash and the three checksums of the frame; returns its chain hash. */
export function reseal(
  segment: Uint8Array,
  { offset, length }: FramePlace,
  parent?: Uint8Array,
): Uint8Array {
  const view = new DataView(segment.buffer, segment.byteOffset);
  const logical = offset + physicalHeaderBytes;
  const body = logical + view.getUint32(offset + 12, true);
  if (parent !== undefined) segment.set(parent, body - 32);
  const sealed = body + view.getUint32(logical + 48, true) * leafBytes;
  let end = sealed;
  for (let left = view.getUint32(logical + 60, true); left > 0; left--)
    end += sectionHeaderBytes + view.getUint32(end, true);
  segment.set(sha256(segment.subarray(sealed, end)), end);
  const chain = chainHash(segment.subarray(logical, body), segment.subarray(body, sealed));
  segment.set(chain, end + 32);
  view.setUint32(offset + 72, crc32(segment.subarray(body, offset + length)), true);
  view.setUint32(offset + 76, crc32(segment.subarray(logical, body)), true);
  view.setUint32(offset + 84, crc32(segment.subarray(offset, offset + 84)), true);
  return chain;
}

/** The image with other bytes in one file, on a new disk. */
export function diskWith(
  image: DiskImage,
  path: string,
  bytes: Uint8Array,
): ReturnType<typeof diskOf> {
  return diskOf(new Map(image).set(path, bytes));
}
