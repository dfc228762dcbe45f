import { firstNonZero, type Op } from '../base/index.ts';
import {
  advance,
  type CheckedFrame,
  checkSegmentHeader,
  isProblem,
  type LogHead,
  physicalHeaderBytes,
  segmentHeaderBytes,
  walkSegment,
} from '../log/index.ts';
import { readWhole, segmentPaths } from './files.ts';
import { checkAuthentic, readKeyFiles } from './key-files.ts';
import { applyFrame, corruption, decodeFrame, holdsFrame, type Replay } from './replay.ts';

interface Found {
  readonly path: string;
  readonly offset: number;
  readonly frame: CheckedFrame;
}

/** Where a look at the log ended: nothing is new while the last file has this size and only zeros there. */
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
  /** The segment of the last frame applied, and where that ends. */
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
    const { disk } = this.#replay;
    let paths = segmentPaths(disk);
    if (this.#nothingNew(paths)) return;
    this.#path ??= paths[0];
    let path = this.#path;
    let offset = this.#offset;
    let head = this.#applied;
    const waiting: Found[] = [];
    while (path !== undefined) {
      // The next segment is looked at first: if it holds a frame, this one is finished when it is read.
      paths = segmentPaths(disk);
      const next = paths[paths.indexOf(path) + 1];
      const last = next === undefined || !holdsFrame(disk, next);
      const walked = this.#walk({ path, offset, head, last }, waiting);
      head = walked.head;
      this.#checkSealed(waiting.at(-1));
      this.#apply(waiting, head.durableHead);
      const finished = head.lastKind === 'end' && walked.end > segmentHeaderBytes;
      if (!finished && !last) {
        throw corruption(path, {
          code: 'MISSING_DATA',
          offset: walked.end,
          what: 'The end of a segment that others follow is missing: it stops',
        });
      }
      this.#seen = { path, sizeBytes: walked.sizeBytes, end: walked.end };
      path = finished ? next : undefined;
      offset = segmentHeaderBytes;
    }
  }

  #nothingNew(paths: readonly string[]): boolean {
    const seen = this.#seen;
    if (seen === undefined || seen.path !== paths.at(-1)) return false;
    const file = this.#replay.disk.open(seen.path, 'read');
    try {
      if (file.sizeBytes() !== seen.sizeBytes) return false;
      const start = new Uint8Array(physicalHeaderBytes);
      return firstNonZero(start, 0, file.read(start, seen.end)) === -1;
    } finally {
      file.close();
    }
  }

  /** Walks the rest of a segment and puts its intact frames into `waiting`. */
  #walk(
    from: {
      readonly path: string;
      readonly offset: number;
      readonly head: LogHead;
      readonly last: boolean;
    },
    waiting: Found[],
  ): { readonly head: LogHead; readonly end: number; readonly sizeBytes: number } {
    const { path, offset, head } = from;
    const bytes = readWhole(this.#replay.disk, path) ?? new Uint8Array();
    const headerProblem =
      offset === segmentHeaderBytes ? checkSegmentHeader(bytes, head) : undefined;
    if (headerProblem !== undefined) throw corruption(path, headerProblem);
    const walked = walkSegment({ ...from, bytes }, (frame, at) => {
      waiting.push({ path, offset: at, frame });
      return undefined;
    });
    if (walked.end.kind === 'damaged') throw corruption(path, walked.end.problem);
    return { head: walked.head, end: walked.end.offset, sizeBytes: bytes.length };
  }

  /** Applies, and takes out of `waiting`, what is durable. */
  #apply(waiting: Found[], durable: Op): void {
    const later = waiting.findIndex(({ frame }) => frame.header.op > durable);
    for (const found of waiting.splice(0, later === -1 ? waiting.length : later))
      this.#applyOne(found);
  }

  #applyOne({ path, offset, frame }: Found): void {
    this.#learnKeys(frame);
    const after = advance(this.#applied, frame);
    const problem = applyFrame(this.#replay, frame, { path, offset, after });
    if (problem !== undefined)
      throw corruption(path, { ...problem, offset: offset + problem.offset });
    this.#applied = after;
    this.#path = path;
    this.#offset = offset + frame.header.frameLength;
  }

  /**
   * Only a frame that the owner sealed tells what is durable; it also vouches for all that its chain hash
   * continues. Without this a forged mark would make us take frames for durable (test/integrity/meddler.test.ts).
   */
  #checkSealed(newest: Found | undefined): void {
    if (newest === undefined) return;
    const { frame, path, offset } = newest;
    this.#learnKeys(frame);
    const events = decodeFrame(this.#replay.hierarchy, frame);
    if (frame.sections.length === 0 || isProblem(events)) {
      throw corruption(path, {
        code: 'AUTHENTICATION_FAILED',
        offset,
        what: 'A frame that nobody sealed lies',
      });
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
