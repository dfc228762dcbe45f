import type { Disk } from '../../src/base/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  isProblem,
  physicalHeaderBytes,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { readFile } from '../integrity/disk-image.ts';

/**
 * What outlives rekeying of each data frame, in hex: logical header, leaves (all commitments) and chain hash. All that
 * receipts will rest on.
 */
export function logicalFrames(disk: Disk): string[] {
  const frames: string[] = [];
  for (const name of (disk.list('log') ?? []).filter((each) => each.endsWith('.vlog'))) {
    const bytes = readFile(disk, `log/${name}`);
    for (let offset = segmentHeaderBytes; ;) {
      const header = decodeFrameHeader(bytes, offset);
      if (typeof header === 'string') break;
      const frame = checkFrame(bytes.subarray(offset, offset + header.frameLength), header);
      if (isProblem(frame)) throw new Error(frame.what);
      const logical = bytes.subarray(offset + physicalHeaderBytes, offset + header.bodyStart);
      frames.push(
        [logical, frame.leaves, frame.chainHash]
          .map((part) => Buffer.from(part).toString('hex'))
          .join(':'),
      );
      offset += header.frameLength;
    }
  }
  return frames;
}
