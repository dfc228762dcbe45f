import {
  assert,
  type Op,
  type Position,
  type TenantId,
  type TimestampMicros,
  type View,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import {
  type BuiltFrame,
  digestsBytes,
  FrameBuilder,
  frameBytesMax,
  type FrameKind,
  leafBytes,
  logicalHeaderFixedBytes,
  type LogHead,
  physicalHeaderBytes,
  sectionOverheadBytes,
} from '../log/index.ts';
import { isDiskFull } from './commit-errors.ts';
import { segmentPosition } from './files.ts';
import type { EngineHost } from './host.ts';
import { type KeyHierarchy, SealingEpoch } from './key-hierarchy.ts';
import type { LogIndex, LogPlace } from './log-index.ts';
import type { LogTree } from './log-tree.ts';
import type { FrameSpan } from './log-walk.ts';
import { type LogWriter, publishSegment, writeSegment } from './log-writer.ts';
import type { StateHasher } from './state-hasher.ts';

const frameOverheadBytes = physicalHeaderBytes + logicalHeaderFixedBytes + digestsBytes + 16;

export interface FrameParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly index: LogIndex;
  readonly writer: LogWriter;
  readonly head: LogHead;
  /** The last frame of `head`; absent if there is none. */
  readonly lastFrame: FrameSpan | undefined;
  /** Is told what durable frames hold. */
  readonly hasher?: StateHasher | undefined;
  /** As well. */
  readonly tree?: Pick<LogTree, 'note'> | undefined;
}

/** What the state says of the events that a frame is to hold. */
export interface FrameEnd {
  readonly position: Position;
  readonly leafCount: LogHead['leafCount'];
  readonly timestamp: TimestampMicros;
}

/** A frame that is written but not known to be durable. */
interface WrittenFrame {
  readonly place: LogPlace;
  readonly end: number;
  /** The head after it. */
  readonly head: LogHead;
  readonly events: readonly LogEvent[];
  readonly leaves: Uint8Array;
}

/**
 * The frames of one writer: gathers events, seals them, writes them one behind the other and rolls segments.
 *
 * Invariants: each frame names as durable only what was durable when it was sealed; frames become durable, for
 * all that we rely on, in the order in which they were written; a segment is rolled, and an empty frame written,
 * only when every frame before it is durable.
 */
export class CommitFrames {
  readonly #parts: FrameParts;
  readonly #writer: LogWriter;
  readonly #builder = new FrameBuilder();
  /** For frames without events, which may go out while events are gathered. */
  readonly #emptyBuilder = new FrameBuilder();
  #epoch: SealingEpoch | undefined;
  #head: LogHead;
  /** The head after the last frame written. */
  #tip: LogHead;
  /** What is gathered. */
  #events: LogEvent[] = [];
  readonly #written: WrittenFrame[] = [];
  #isToFinish = false;
  #lastFrame: FrameSpan | undefined;
  #durableBytes = 0;

  constructor(parts: FrameParts) {
    this.#parts = parts;
    this.#writer = parts.writer;
    this.#head = parts.head;
    this.#tip = parts.head;
    this.#lastFrame = parts.lastFrame;
  }

  /** The head after the last durable frame. */
  get head(): LogHead {
    return this.#head;
  }
  /** Where the last durable frame lies; undefined if there is none. */
  get lastFrame(): FrameSpan | undefined {
    return this.#lastFrame;
  }
  /** Bytes of all frames that became durable through this writer. */
  get durableBytes(): number {
    return this.#durableBytes;
  }
  /** First position of the segment that is written. */
  get segment(): Position {
    return segmentPosition(this.#writer.path);
  }
  /** Its bytes up to where the next frame goes. */
  get written(): number {
    return this.#writer.tail;
  }
  /** Plaintext bytes gathered. */
  get sizeBytes(): number {
    return this.#builder.sizeBytes;
  }
  get isEmpty(): boolean {
    return this.#builder.eventCount === 0;
  }
  /** Whether the segment is full: no more frames until it is rolled. */
  get isSegmentFull(): boolean {
    return this.#writer.full || this.#isToFinish;
  }

  /** The segment counts as full, or no longer does, whatever its size. It holds a frame with events. */
  finishSegment(isToFinish: boolean): void {
    assert(
      !isToFinish || this.#tip.position >= this.segment,
      'two segments differ in first position',
    );
    this.#isToFinish = isToFinish;
  }
  get tenants(): Iterable<TenantId> {
    return this.#builder.tenants;
  }

  add(event: LogEvent): void {
    this.#builder.addEvent(event);
    this.#events.push(event);
  }

  /** Forgets what is gathered. */
  drop(): void {
    this.#builder.drop();
    this.#events = [];
  }

  /** Takes room for the frame of what is gathered. Throws DISK_FULL with nothing of a frame written. */
  reserve(): void {
    const bytesMax = this.#frameBytesMax();
    // Readers refuse a longer one, so it must never be acknowledged.
    assert(bytesMax <= frameBytesMax, 'commands are bounded so that a frame is');
    this.#writer.reserve(bytesMax);
  }

  /** Seals what is gathered, for which there is room, and writes it as one frame; its length in bytes. */
  write(end: FrameEnd): number {
    const frame = this.#build('data', end);
    const events = this.#events;
    this.#events = [];
    this.#write('data', { frame, events }, end);
    return frame.bytes.length;
  }

  /** Writes a frame without events; its length in bytes. Undefined if the disk is full: then nothing was written. */
  writeEmpty(kind: 'mark' | 'close'): number | undefined {
    assert(this.#written.length === 0, 'an empty frame says that all before it is durable');
    const frame = this.#build(kind, this.#tip);
    try {
      this.#writer.reserve(frame.bytes.length);
    } catch (error) {
      if (isDiskFull(error)) return undefined;
      throw error;
    }
    this.#write(kind, { frame, events: [] }, this.#tip);
    return frame.bytes.length;
  }

  /** Makes the oldest frame that is written durable, and whatever else is written by now. Throws on the calling turn. */
  flush(): void {
    this.#writer.flush();
  }

  /** As `flush`, in the background. One at a time. */
  flushInBackground(): Promise<void> {
    return this.#writer.flushInBackground();
  }

  /** The oldest frame written is durable. */
  landed(): void {
    const frame = this.#written.shift();
    assert(frame !== undefined, 'only a frame that was written becomes durable');
    const { path, offset } = frame.place;
    this.#parts.index.add(frame.place);
    const firstLeaf = this.#head.leafCount;
    this.#head = frame.head;
    this.#lastFrame = { path, offset, end: frame.end };
    this.#durableBytes += frame.end - offset;
    this.#parts.hasher?.note(frame.events, frame.leaves, frame.head.position);
    this.#parts.tree?.note(firstLeaf, frame.leaves);
  }

  /** Goes on in a new segment; false if the disk is too full for one. Everything written is durable. */
  roll(): boolean {
    assert(this.#written.length === 0, 'a segment is finished when its frames are durable');
    const { disk } = this.#parts.host;
    const end = this.#build('end', this.#tip);
    const after: LogHead = { ...this.#tip, op: (this.#tip.op + 1) as Op, chainHash: end.chainHash };
    let path: string;
    try {
      this.#writer.reserve(end.bytes.length);
      path = writeSegment(disk, after);
    } catch (error) {
      // On a full disk the segment grows on; the next frame tries again.
      if (isDiskFull(error)) return false;
      throw error;
    }
    // The next segment is durable before the end frame that promises it.
    publishSegment(disk, path);
    this.#write('end', { frame: end, events: [] }, this.#tip);
    this.flush();
    this.landed();
    this.#writer.continueIn(path);
    this.#isToFinish = false;
    return true;
  }

  /** Marks the clean end of the log, all of which is durable, and closes its file. */
  close(): void {
    let clean = false;
    try {
      clean = this.#tip.op === 0 || this.#tip.lastKind === 'close' || this.#closeFrame();
    } finally {
      // On a full disk the next open takes this for a crash; nothing acknowledged is lost.
      if (!clean) this.#writer.abandon();
    }
    if (clean) this.#writer.close();
  }

  /** Closes the file without touching it: after a failed flush. */
  abandon(): void {
    this.#writer.abandon();
  }

  /** Overwrites the sealing keys. */
  wipe(): void {
    this.#epoch?.wipe();
  }

  #closeFrame(): boolean {
    if (this.writeEmpty('close') === undefined) return false;
    this.flush();
    this.landed();
    return true;
  }

  #frameBytesMax(): number {
    let sections = 0;
    for (const _tenant of this.#builder.tenants) sections += 1;
    return (
      frameOverheadBytes +
      sections * sectionOverheadBytes +
      this.#builder.eventCount * leafBytes +
      this.#builder.sizeBytes
    );
  }

  #build(kind: FrameKind, end: FrameEnd): BuiltFrame {
    const { host, hierarchy } = this.#parts;
    const { entropy } = host;
    if (this.#epoch === undefined || this.#epoch.exhausted) {
      this.#epoch?.wipe();
      this.#epoch = new SealingEpoch(this.#tip.sealingEpoch + 1, entropy, hierarchy);
    }
    const epoch = this.#epoch;
    const builder = kind === 'data' ? this.#builder : this.#emptyBuilder;
    return builder.build(
      {
        kind,
        op: (this.#tip.op + 1) as Op,
        firstPosition: (this.#tip.position + 1) as Position,
        lastPosition: end.position,
        firstLeaf: this.#tip.leafCount,
        timestamp: end.timestamp,
        parent: this.#tip.chainHash,
        durableHead: this.#head.op,
      },
      {
        logId: this.#tip.logId,
        view: 0 as View,
        sealingEpoch: epoch.number,
        epochSalt: epoch.salt,
        entropy,
        suite: hierarchy.suite,
        keyFor: (tenant: TenantId) => epoch.keyFor(tenant),
      },
    );
  }

  #write(
    kind: FrameKind,
    { frame, events }: { readonly frame: BuiltFrame; readonly events: readonly LogEvent[] },
    end: FrameEnd,
  ): void {
    assert(this.#epoch !== undefined, 'a frame is sealed under an epoch');
    const op = (this.#tip.op + 1) as Op;
    const { timestamp } = end;
    const place: LogPlace = {
      path: this.#writer.path,
      offset: this.#writer.tail,
      op,
      position: (this.#tip.position + 1) as Position,
      timestamp,
    };
    this.#writer.write(frame.bytes);
    this.#tip = {
      logId: this.#tip.logId,
      op,
      position: end.position,
      leafCount: end.leafCount,
      timestamp,
      chainHash: frame.chainHash,
      sealingEpoch: this.#epoch.number,
      durableHead: this.#head.op,
      lastKind: kind,
    };
    const { leaves } = frame;
    this.#written.push({ place, end: this.#writer.tail, head: this.#tip, events, leaves });
  }
}
