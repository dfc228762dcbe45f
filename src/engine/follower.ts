import type { Op } from '../base/index.ts';
import {
  advance, type CheckedFrame, checkSegmentHeader, isProblem, type LogHead, segmentHeaderBytes, walkSegment,
} from '../log/index.ts';
import { readWhole, segmentPaths } from './files.ts';
import { checkAuthentic, readKeyFiles } from './key-files.ts';
import { applyFrame, corruption, decodeFrame, type Replay } from './replay.ts';

/**
 * Follows the log of a running owner: applies the frames that a later frame says are durable, and
 * leaves the rest for the next time. A frame that is only half there is one being written.
 */
export class Follower {
  readonly #replay: Replay;
  #applied: LogHead;
  #path: string | undefined;
  #offset = segmentHeaderBytes;

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
    for (;;) {
      const { disk } = this.#replay;
      this.#path ??= segmentPaths(disk)[0];
      if (this.#path === undefined) return;
      const bytes = readWhole(disk, this.#path) ?? new Uint8Array();
      if (this.#offset === segmentHeaderBytes) {
        const problem = checkSegmentHeader(bytes, this.#applied);
        if (problem !== undefined) throw corruption(this.#path, problem);
      }
      this.#applyDurable(this.#path, bytes);
      const next = segmentPaths(disk).find((path) => path > (this.#path as string));
      if (this.#applied.lastKind !== 'end' || next === undefined) return;
      this.#path = next;
      this.#offset = segmentHeaderBytes;
    }
  }

  #applyDurable(path: string, bytes: Uint8Array): void {
    const pending: { frame: CheckedFrame; offset: number }[] = [];
    const walked = walkSegment(
      { bytes, offset: this.#offset, head: this.#applied, last: true },
      (frame, offset) => {
        pending.push({ frame, offset });
        return undefined;
      },
    );
    if (walked.end.kind === 'damaged') throw corruption(path, walked.end.problem);
    const newest = pending.at(-1);
    if (newest === undefined) return;
    this.#checkSealed(path, newest);
    const { op, kind, durableHead } = newest.frame.header;
    const durable = kind === 'close' || kind === 'end' ? op : durableHead;
    for (const { frame, offset } of pending) {
      if (!this.#applyOne(path, frame, offset, durable)) return;
    }
  }

  /** Only a frame that the owner sealed tells what is durable; it also vouches for all that its chain hash continues. */
  #checkSealed(path: string, { frame, offset }: { readonly frame: CheckedFrame; readonly offset: number }): void {
    this.#learnKeys(frame);
    const events = decodeFrame(this.#replay.hierarchy, frame);
    if (frame.sections.length === 0 || isProblem(events)) {
      throw corruption(path, { code: 'AUTHENTICATION_FAILED', offset, what: 'A frame that nobody sealed lies' });
    }
  }

  #applyOne(path: string, frame: CheckedFrame, offset: number, durable: Op): boolean {
    if (frame.header.op > durable) return false;
    this.#learnKeys(frame);
    const after = advance(this.#applied, frame);
    const problem = applyFrame(this.#replay, frame, { path, offset, after });
    if (problem !== undefined) throw corruption(path, { ...problem, offset: offset + problem.offset });
    this.#applied = after;
    this.#offset = offset + frame.header.frameLength;
    return true;
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
