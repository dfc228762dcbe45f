import { concatBytes, type Digest32, equalBytes, firstNonZero } from '../base/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  decodeSegmentHeader,
  type FrameHeader,
  isProblem,
  physicalHeaderBytes,
  segmentHeaderBytes,
} from '../log/index.ts';

/**
 * Checks a finished segment as its bytes come, a slice at a time, without any key: each frame is intact and continues
 * the one before it. What is recorded of a file is recorded for good, so it must not be of rotten bytes.
 */
export class SegmentCheck {
  /** The start of a frame that is not all there yet. */
  #rest: Uint8Array = new Uint8Array();
  #chainHash: Digest32 | undefined;
  #lastKind: FrameHeader['kind'] | undefined;

  /** Takes the next bytes; false as soon as something is not as it was written. */
  take(slice: Uint8Array): boolean {
    const bytes = this.#rest.length === 0 ? slice : concatBytes(this.#rest, slice);
    let offset = 0;
    if (this.#chainHash === undefined) {
      const header = decodeSegmentHeader(bytes);
      if (typeof header === 'string') return false;
      this.#chainHash = header.parent;
      offset = segmentHeaderBytes;
    }
    while (this.#lastKind !== 'end' && offset + physicalHeaderBytes <= bytes.length) {
      const header = decodeFrameHeader(bytes, offset);
      if (header === 'short') break;
      if (typeof header === 'string') return false;
      const end = offset + header.frameLength;
      if (end > bytes.length) break;
      if (!this.#accept(bytes.subarray(offset, end), header)) return false;
      offset = end;
    }
    // A crash may leave some of the zeros that the file was filled with.
    if (this.#lastKind === 'end' && firstNonZero(bytes, offset) === -1) offset = bytes.length;
    this.#rest = bytes.slice(offset);
    return this.#lastKind !== 'end' || offset === bytes.length;
  }

  /** Whether all that came is a whole segment, and the log goes on from it with `next`. */
  endsBefore(next: Uint8Array): boolean {
    const header = decodeSegmentHeader(next);
    const isWhole = this.#rest.length === 0 && this.#lastKind === 'end';
    return (
      isWhole &&
      typeof header !== 'string' &&
      this.#chainHash !== undefined &&
      equalBytes(header.parent, this.#chainHash)
    );
  }

  #accept(frame: Uint8Array, header: FrameHeader): boolean {
    const checked = checkFrame(frame, header);
    if (isProblem(checked) || this.#chainHash === undefined) return false;
    if (!equalBytes(header.parent, this.#chainHash)) return false;
    this.#chainHash = checked.chainHash;
    this.#lastKind = header.kind;
    return true;
  }
}
