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
import { type KeyringFollower, RootKeyRenewed } from './keyring-follower.ts';
import { loggedKeyring } from './keyring-record.ts';
import { corruption, type FrameSpan, holdsFrame } from './log-walk.ts';
import { applyFrame, decodeFrame, type Replay } from './replay.ts';

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

/** Where following begins: the state is of that. */
export interface FollowedStart {
  readonly head: LogHead;
  /** The last frame of `head`; absent if there is none. */
  readonly frame: FrameSpan | undefined;
  /** Called after each frame that was applied. */
  relieve(): void;
  close(): void;
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
  readonly #keyring: KeyringFollower;
  readonly #start: FollowedStart;

  constructor(replay: Replay, start: FollowedStart, keyring: KeyringFollower) {
    this.#replay = replay;
    this.#applied = start.head;
    this.#path = start.frame?.path;
    this.#offset = start.frame?.end ?? segmentHeaderBytes;
    this.#keyring = keyring;
    this.#start = start;
  }

  /** Gives back what the state holds. */
  close(): void {
    this.#start.close();
  }

  /** The head of what is applied. */
  get head(): LogHead {
    return this.#applied;
  }

  /**
   * Applies what has become durable since the last call; while the key provider is asked for a new root key, nothing.
   * Throws CorruptionError on damage, and what the provider answers if it does not open the new keyring.
   */
  catchUp(): void {
    try {
      if (this.#keyring.isAsking) return;
      this.#catchUp();
      this.#keyring.follow(loggedKeyring(this.#replay.state)?.generation ?? 0);
    } catch (error) {
      if (!(error instanceof RootKeyRenewed)) throw error;
    }
  }

  #catchUp(): void {
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
      // The anchor vouches for its frame as a later one would.
      const anchored = this.#replay.durable?.op ?? 0;
      this.#apply(waiting, Math.max(head.durableHead, anchored) as Op);
      const finished = head.lastKind === 'end' && walked.end > segmentHeaderBytes;
      if (!finished && !last) {
        throw corruption(path, {
          code: 'MISSING_DATA',
          offset: walked.end,
          what: 'The end of a segment that others follow is missing: it stops',
        });
      }
      this.#seen = { path, sizeBytes: walked.sizeBytes, end: walked.end };
      path = finished ? this.#after(path, walked.end) : undefined;
      offset = segmentHeaderBytes;
    }
  }

  /** The segment that the log goes on in; it was there before the end of `path` was written. */
  #after(path: string, offset: number): string {
    const next = segmentPaths(this.#replay.disk).find((later) => later > path);
    if (next !== undefined) return next;
    throw corruption(path, {
      code: 'MISSING_DATA',
      offset,
      what: 'The segment after a finished one is missing; a finished segment lies',
    });
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
    const { durable } = this.#replay;
    const walked = walkSegment({ ...from, bytes, durable }, (frame, at) => {
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
    const { state } = this.#replay;
    const after = advance(this.#applied, frame);
    let problem: ReturnType<typeof applyFrame>;
    try {
      problem = applyFrame(this.#replay, frame, { path, offset, after });
    } catch (error) {
      // Tried again with the next look at the log, e.g. when the key provider has answered.
      state.rewind(this.#applied);
      throw error;
    }
    if (problem !== undefined)
      throw corruption(path, { ...problem, offset: offset + problem.offset });
    this.#applied = after;
    this.#path = path;
    this.#offset = offset + frame.header.frameLength;
    this.#start.relieve();
  }

  /**
   * Only a frame that the owner sealed tells what is durable; it also vouches for all that its chain hash
   * continues. Without this a forged mark would make us take frames for durable (test/integrity/meddler.test.ts).
   */
  #checkSealed(newest: Found | undefined): void {
    if (newest === undefined) return;
    const { frame, path, offset } = newest;
    const events = decodeFrame(this.#replay.hierarchy, frame);
    if (frame.sections.length === 0 || isProblem(events)) {
      throw corruption(path, {
        code: 'AUTHENTICATION_FAILED',
        offset,
        what: 'A frame that nobody sealed lies',
      });
    }
  }
}
