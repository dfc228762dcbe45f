import { equalBytes, firstNonZero, type Op } from '../base/index.ts';
import {
  advance, type CheckedFrame, checkSegmentHeader, decodeFrameHeader, type LogHead, physicalHeaderBytes,
  segmentHeaderBytes, walkSegment,
} from '../log/index.ts';
import { readWhole, segmentPaths } from './files.ts';
import { checkAuthentic, readKeyFiles } from './key-files.ts';
import { applyFrame, corruption, type Replay } from './replay.ts';

/** What a look at a segment saw: nothing is new while the file has this size and only zeros at `end`. */
interface Seen {
  readonly path: string;
  readonly sizeBytes: number;
  readonly end: number;
}

/**
 * Follows the log of a running owner: applies the frames that a later frame says are durable, and
 * leaves the rest for the next time. A frame that is only half there is one being written.
 *
 * Invariant: what is applied was durable, so the owner may crash, recover or cut its tail at any time
 * and the log still continues from here.
 */
export class Follower {
  readonly #replay: Replay;
  #applied: LogHead;
  #path: string | undefined;
  #offset = segmentHeaderBytes;
  #seen: Seen | undefined;

  constructor(replay: Replay, start: LogHead) {
    this.#replay = replay;
    this.#applied = start;
  }

  /** The head of what is applied. */
  get head(): LogHead {
    return this.#applied;
  }

  /** Applies what has become durable since the last call. Throws CorruptionError on damage. */
  catchUp(): void {
    while (this.#catchUpSegment());
  }

  /** Returns whether the log goes on in another segment. */
  #catchUpSegment(): boolean {
    const { disk } = this.#replay;
    // The next segment is looked at first: if it holds a frame, this one is finished when it is read.
    const paths = segmentPaths(disk);
    this.#path ??= paths[0];
    const path = this.#path;
    if (path === undefined) return false;
    const next = paths.find((other) => other > path);
    const nextBytes = next === undefined ? undefined : readWhole(disk, next);
    const last = nextBytes === undefined || firstNonZero(nextBytes, segmentHeaderBytes) === -1;
    if (last && this.#nothingNew(path)) return false;
    const bytes = readWhole(disk, path) ?? new Uint8Array();
    if (this.#offset === segmentHeaderBytes) {
      const problem = checkSegmentHeader(bytes, this.#applied);
      if (problem !== undefined) throw corruption(path, problem);
    }
    const walked = this.#walk(path, bytes, last);
    const goesOn = nextBytes !== undefined && continues(nextBytes, walked.head);
    this.#apply(path, walked.frames, goesOn ? walked.head.op : walked.head.durableHead);
    if (!goesOn) {
      this.#seen = { path, sizeBytes: bytes.length, end: walked.end };
      return false;
    }
    this.#path = next;
    this.#offset = segmentHeaderBytes;
    return true;
  }

  #nothingNew(path: string): boolean {
    const seen = this.#seen;
    if (seen?.path !== path) return false;
    const file = this.#replay.disk.open(path, 'read');
    try {
      if (file.sizeBytes() !== seen.sizeBytes) return false;
      const start = new Uint8Array(physicalHeaderBytes);
      return firstNonZero(start.subarray(0, file.read(start, seen.end))) === -1;
    } finally {
      file.close();
    }
  }

  #walk(path: string, bytes: Uint8Array, last: boolean): { frames: Found[]; head: LogHead; end: number } {
    const frames: Found[] = [];
    const { end, head } = walkSegment(
      { bytes, offset: this.#offset, head: this.#applied, last },
      (frame, offset) => {
        frames.push({ frame, offset });
        return undefined;
      },
    );
    if (end.kind === 'damaged') throw corruption(path, end.problem);
    return { frames, head, end: end.offset };
  }

  #apply(path: string, frames: readonly Found[], durable: Op): void {
    for (const { frame, offset } of frames) {
      if (frame.header.op > durable) return;
      this.#learnKeys(frame);
      const after = advance(this.#applied, frame);
      const problem = applyFrame(this.#replay, frame, { path, offset, after });
      if (problem !== undefined) throw corruption(path, { ...problem, offset: offset + problem.offset });
      this.#applied = after;
      this.#offset = offset + frame.header.frameLength;
    }
  }

  /** A tenant that wrote for the first time since has its keys in the owner's newer keyring. */
  #learnKeys(frame: CheckedFrame): void {
    const { disk, hierarchy } = this.#replay;
    if (frame.sections.every((section) => hierarchy.keyring.has(section.tenant))) return;
    const files = readKeyFiles(disk);
    checkAuthentic(hierarchy.root, files);
    hierarchy.replaceKeyring(files.keyring);
  }
}

interface Found {
  readonly frame: CheckedFrame;
  readonly offset: number;
}

/** Whether a segment starts with the frame after `head`, which was then durable when that was written. */
function continues(segment: Uint8Array, head: LogHead): boolean {
  if (head.lastKind !== 'end') return false;
  const header = decodeFrameHeader(segment, segmentHeaderBytes);
  return typeof header !== 'string' && header.op === head.op + 1 && equalBytes(header.parent, head.chainHash);
}
