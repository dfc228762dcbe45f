import { equalBytes, type LogId, type Op } from '../base/index.ts';
import {
  decodeFrameHeader,
  frameAlignment,
  type FrameHeader,
  segmentHeaderBytes,
  trustedFrameLength,
} from './format.ts';
import { checkFrame, type CheckedFrame, isProblem } from './frame-reader.ts';

/** Crafted headers cannot make this look at the segment's bytes more often. */
const looksMax = 8;

/** A frame whose bytes are intact, wherever in a segment it lies. */
export interface FoundFrame {
  readonly header: FrameHeader;
  readonly offset: number;
  readonly checked: CheckedFrame;
}

/**
 * Every intact frame of a log in a segment that may be damaged anywhere, by op; of one op there may be several. What
 * a frame says of itself is checked against its own checksums and digests only, not against its neighbours.
 */
export function findFrames(bytes: Uint8Array, logId: LogId): Map<Op, FoundFrame[]> {
  const found = new Map<Op, FoundFrame[]>();
  let budget = looksMax * bytes.length;
  for (let offset = segmentHeaderBytes; offset < bytes.length && budget > 0;) {
    const frame = bytes[offset] === 0x56 ? frameAt(bytes, offset, logId) : undefined;
    if (frame === undefined) {
      budget -= bytes[offset] === 0x56 ? (trustedFrameLength(bytes, offset) ?? 0) : 0;
      offset += frameAlignment;
      continue;
    }
    const { op, frameLength } = frame.header;
    const same = found.get(op);
    if (same === undefined) found.set(op, [frame]);
    else same.push(frame);
    offset += frameLength;
  }
  return found;
}

function frameAt(bytes: Uint8Array, offset: number, logId: LogId): FoundFrame | undefined {
  const header = decodeFrameHeader(bytes, offset);
  if (typeof header === 'string' || !equalBytes(header.logId, logId)) return undefined;
  const end = offset + header.frameLength;
  if (end > bytes.length) return undefined;
  const checked = checkFrame(bytes.subarray(offset, end), header);
  return isProblem(checked) ? undefined : { header, offset, checked };
}
