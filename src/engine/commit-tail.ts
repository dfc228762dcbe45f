import type { Scheduler } from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import type { KernelState } from '../kernel/index.ts';
import { anchoredAt, type AnchorFile } from './anchor.ts';
import type { CommitFrames } from './commit-frames.ts';
import { CommitIdle } from './commit-idle.ts';
import type { EngineHost } from './host.ts';
import { SegmentDigester, type SegmentDigesterParts } from './segment-digests.ts';

export interface CommitTailParts {
  readonly host: EngineHost;
  readonly background: Scheduler;
  readonly state: KernelState;
  readonly frames: CommitFrames;
  readonly anchor: AnchorFile;
  /** Has a command of our own decided. */
  readonly submit: SegmentDigesterParts['submit'];
  /** Whether frames are gathered or on their way, or commands wait. */
  readonly isBusy: () => boolean;
  /** Whether nothing more is written: the log failed, or is closing. */
  readonly isOver: () => boolean;
  /** An empty frame of so many bytes was written and is to be flushed. */
  readonly sendEmpty: (bytes: number) => void;
  readonly fail: (cause: unknown) => void;
}

/**
 * What keeps the end of the log in order behind the commands: marks that say that all is durable, the anchor that
 * names the newest durable frame, segments that are rolled, and the digests of those that are finished.
 */
export class CommitTail {
  readonly #parts: CommitTailParts;
  readonly #idle: CommitIdle;
  readonly #digests: SegmentDigester;

  constructor(parts: CommitTailParts) {
    this.#parts = parts;
    const { host, state, frames } = parts;
    this.#digests = new SegmentDigester({
      disk: host.disk,
      scheduler: parts.background,
      state,
      tip: () => frames.segment,
      submit: parts.submit,
    });
    this.#idle = new CommitIdle({
      scheduler: host.scheduler,
      newest: () => {
        const { op, lastKind } = frames.head;
        return parts.isBusy() ? undefined : { op, isMark: lastKind !== 'data' };
      },
      mark: () => this.#mark(),
      anchor: () => this.#anchorUnderLoad(),
    });
  }

  /** Records what finished segments are, from now on. */
  begin(): void {
    this.#digests.look();
  }

  /** A frame was written. */
  written(): void {
    this.#idle.written();
  }

  /** A frame became durable; `isRecorded`: with a record of the keyring that the anchor is to name. Throws IO_ERROR. */
  durable(isRecorded: boolean): void {
    // Both slots: of the two an attacker chooses the older one.
    if (this.#parts.frames.head.lastKind === 'mark') this.settle();
    else if (isRecorded) this.#advance();
  }

  /** Goes on in a new segment if there is room for one; nothing is on its way. Never throws. */
  roll(): void {
    try {
      if (!this.#parts.frames.roll()) return;
      this.#advance();
      this.#digests.look();
    } catch (error) {
      this.#parts.fail(error);
    }
  }

  /** Has the anchor written with another key, which is taken over; whether all of it is now. Throws IO_ERROR. */
  renewAnchor(key: SecretKey): boolean {
    try {
      return this.#parts.anchor.renew(key);
    } catch (error) {
      this.#parts.fail(error);
      throw error;
    }
  }

  /** Names the newest durable frame in both slots of the anchor. Throws IO_ERROR. */
  settle(): void {
    const { anchor, frames } = this.#parts;
    anchor.settle(anchoredAt(frames.head, frames.segment));
  }

  /** Has the anchor name the newest durable frame; false if it does not, for want of room. Throws IO_ERROR. */
  reach(): boolean {
    const { anchor, frames } = this.#parts;
    const { op } = frames.head;
    if (anchor.frame.op < op) this.#advance();
    return anchor.frame.op >= op;
  }

  /** Begins no digest of a segment any more. */
  stopDigests(): void {
    this.#digests.stop();
  }

  close(): void {
    this.#parts.anchor.close();
  }

  /** Writes no mark and no anchor by itself any more. */
  stop(): void {
    this.#idle.stop();
  }

  /** Names the newest durable frame where a log that ends before it is found out. */
  #advance(): void {
    const { anchor, frames } = this.#parts;
    anchor.advance(anchoredAt(frames.head, frames.segment));
  }

  #anchorUnderLoad(): void {
    if (this.#parts.isOver()) return;
    try {
      this.#advance();
    } catch (error) {
      this.#parts.fail(error);
    }
  }

  #mark(): void {
    if (this.#parts.isOver()) return;
    try {
      const bytes = this.#parts.frames.writeEmpty('mark');
      if (bytes !== undefined) this.#parts.sendEmpty(bytes);
    } catch (error) {
      this.#parts.fail(error);
    }
  }
}
