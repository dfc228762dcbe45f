/** One segment of the log, read and checked on its own: what the one before it left is taken from its header. */
import {
  equalBytes,
  type ErrorCode,
  firstNonZero,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  type TenantId,
  type TimestampMicros,
} from '../base/index.ts';
import type { CheckpointEvent } from '../codec/index.ts';
import { Sha256 } from '../crypto/index.ts';
import { decodeFrame, type FrameSpan, type KeyHierarchy } from '../engine/index.ts';
import {
  decodeFrameHeader,
  decodeSegmentHeader,
  type DurableFrame,
  findFrames,
  type FoundFrame,
  FrameWalk,
  isProblem,
  leafBytes,
  type LogHead,
  segmentHeaderBytes,
  type WalkedFrame,
  type WalkEnd,
  type WalkProblem,
} from '../log/index.ts';
import {
  before,
  behind,
  claimedHead,
  headBefore,
  lostFrame,
  type LostFrames,
} from './lost-frames.ts';

const hashSliceBytes = 1 << 20;
const commitmentBytes = 32;
/** More damaged places of one file are counted, but not told one by one. */
const damagesMax = 256;

export interface SegmentJob {
  readonly kind: 'segment';
  readonly path: string;
  /** Whether no later segment holds a frame: only then its end may be torn. */
  readonly last: boolean;
  /** What the anchor says is durable. */
  readonly durable: DurableFrame;
  /** The last frame that counts: what an owner writes meanwhile comes behind it. */
  readonly upTo?: Op;
  /** Frames whose events all lie before this leaf are not opened. */
  readonly opensFrom?: LeafIndex;
  /** What was found in the segment's events before: they are not opened again if the file is still the one with this digest. */
  readonly before?: OpenedFacts & { readonly digest: Uint8Array };
}

/** What the events of a segment say that later checks need. */
export interface OpenedFacts {
  /** The newest keyring that the segment names; 0 without one. */
  readonly keyringGeneration: number;
  readonly checkpoints: readonly SeenCheckpoint[];
  /** The position of the last event that is no record of a checkpoint, and so may change the state hash; 0 without one. */
  readonly changedAt: Position;
}

/** A checkpoint record of the log. */
export interface SeenCheckpoint {
  readonly leaf: LeafIndex;
  readonly size: number;
  readonly root: Uint8Array;
  readonly covered: Position;
  readonly chainHash: Uint8Array;
  readonly state?: { readonly position: Position; readonly hash: Uint8Array };
  readonly keyNumber: number;
  /** Whether the chain hash is that of the frame that it names; absent: that frame lies in the segment before. */
  readonly fits?: boolean;
}

/** A damaged place, and the frames that cannot be read for it. */
export interface SegmentDamage {
  readonly code: ErrorCode;
  /** The first bad byte. */
  readonly offset: number;
  readonly what: string;
  readonly lost: LostFrames;
}

/** Where the log stood after a frame. */
export interface Ending {
  readonly position: Position;
  readonly chainHash: Uint8Array;
}

export const isAt = (ending: Ending, { position, chainHash }: Ending): boolean =>
  ending.position === position && equalBytes(ending.chainHash, chainHash);

export interface SegmentAudit {
  readonly path: string;
  readonly bytes: number;
  readonly digest: Uint8Array;
  /** The file's first bytes. */
  readonly header: Uint8Array;
  /** Of the first frame; absent where none is good. */
  readonly firstTimestamp: TimestampMicros | undefined;
  /** Behind the last good frame. */
  readonly head: LogHead;
  /** Behind each of the frames that no event follows in this segment: the last one, and empty ones. */
  readonly endings: readonly Ending[];
  readonly frame: FrameSpan | undefined;
  readonly end: WalkEnd;
  /** The first byte behind the last frame that counts that is not zero. */
  readonly restAt: number | undefined;
  readonly frames: number;
  readonly damages: readonly SegmentDamage[];
  readonly facts: OpenedFacts;
  /** Whether what was found before was gone on with. */
  readonly resumed: boolean;
  /** Events that were opened and checked against their commitments. */
  readonly eventsOpened: number;
  /** Of the last frame that was not opened, since it lies before what is to be opened. */
  readonly skippedTo: Position;
  /** Of all events of the segment, in order; of no use where something is damaged. */
  readonly commitments: Uint8Array;
}

export interface SegmentReading {
  /** The whole file, until the piece is done. */
  readonly bytes: Uint8Array;
  readonly logId: LogId;
  /** Absent: what needs no key is checked. */
  readonly hierarchy: KeyHierarchy | undefined;
}

/** Reads and checks every byte of a segment; yields the bytes that each step went through. */
export function* auditSegment(
  reading: SegmentReading,
  job: SegmentJob,
): Generator<number, SegmentAudit> {
  const { bytes } = reading;
  const hash = new Sha256();
  for (let offset = 0; offset < bytes.length; offset += hashSliceBytes) {
    const slice = bytes.subarray(offset, offset + hashSliceBytes);
    hash.update(slice);
    yield slice.length;
  }
  const digest = hash.digest();
  const isKnown = job.before !== undefined && equalBytes(job.before.digest, digest);
  const walk = new SegmentWalk(reading, job);
  yield* walk.run(isKnown ? job.before : undefined);
  return {
    path: job.path,
    bytes: bytes.length,
    digest,
    resumed: isKnown,
    header: bytes.slice(0, segmentHeaderBytes),
    ...walk.result(),
  };
}

class SegmentWalk {
  readonly #reading: SegmentReading;
  readonly #job: SegmentJob;
  readonly #bytes: Uint8Array;
  readonly #good: WalkedFrame[] = [];
  readonly #damages: SegmentDamage[] = [];
  #found: FoundFrame[] | undefined;
  #head: LogHead;
  #end: WalkEnd = { kind: 'tail', offset: segmentHeaderBytes };
  #keyringGeneration = 0;
  #changedAt = 0 as Position;
  #checkpoints: SeenCheckpoint[] = [];
  #eventsOpened = 0;
  #skippedTo = 0 as Position;
  /** Where the walk went on behind a damage. */
  #wentOnAt = -1;

  constructor(reading: SegmentReading, job: SegmentJob) {
    this.#reading = reading;
    this.#job = job;
    this.#bytes = reading.bytes;
    this.#head = claimedHead(reading.bytes, reading.logId);
  }

  *run(before: OpenedFacts | undefined): Generator<number, void> {
    const { last, durable, upTo = Number.POSITIVE_INFINITY } = this.#job;
    const bytes = this.#bytes;
    const header = decodeSegmentHeader(bytes);
    let offset: number | undefined = segmentHeaderBytes;
    if (typeof header === 'string' || bytes.length < segmentHeaderBytes) {
      const what = `A segment header is damaged (${typeof header === 'string' ? header : 'short'})`;
      offset = this.#goOn({ code: 'CHECKSUM_MISMATCH', offset: 0, what }, 0);
    }
    while (offset !== undefined) {
      const walk: FrameWalk = new FrameWalk({ bytes, offset, head: this.#head, last, durable });
      let found: WalkedFrame | undefined;
      while (walk.head.op < upTo && (found = walk.next()) !== undefined) {
        this.#good.push(found);
        yield found.frame.header.frameLength;
      }
      this.#head = walk.head;
      this.#end = walk.end ?? { kind: 'tail', offset: walk.offset };
      offset =
        this.#end.kind === 'damaged' ? this.#goOn(this.#end.problem, walk.offset) : undefined;
    }
    // Of another log, our keys open nothing of it.
    if (typeof header !== 'string' && !equalBytes(header.logId, this.#reading.logId)) return;
    // What needs no key first, over the whole of it: damage is found before anything is opened.
    if (before === undefined) yield* this.#open();
    else {
      this.#keyringGeneration = before.keyringGeneration;
      this.#changedAt = before.changedAt;
      this.#checkpoints = [...before.checkpoints];
    }
  }

  result(): Omit<SegmentAudit, 'path' | 'bytes' | 'digest' | 'header' | 'resumed'> {
    const good = this.#good;
    const last = good.at(-1);
    const rest = firstNonZero(this.#bytes, last === undefined ? segmentHeaderBytes : endOf(last));
    return {
      firstTimestamp: good[0]?.frame.header.timestamp,
      head: this.#head,
      endings: good
        .filter(({ head }) => head.leafCount === this.#head.leafCount)
        .map(({ head: { position, chainHash } }) => ({
          position,
          chainHash: chainHash.slice(),
        })),
      frame: last && {
        path: this.#job.path,
        offset: last.offset,
        end: endOf(last),
      },
      end: this.#end,
      restAt: rest === -1 ? undefined : rest,
      frames: good.length,
      damages: this.#damages.toSorted((left, right) => left.offset - right.offset),
      facts: {
        keyringGeneration: this.#keyringGeneration,
        checkpoints: this.#checkpoints,
        changedAt: this.#changedAt,
      },
      eventsOpened: this.#eventsOpened,
      skippedTo: this.#skippedTo,
      commitments: commitmentsOf(good),
    };
  }

  /** Notes a damage that the walk met at `from`, and where the next good frame lies: `head` is what that one goes on from. */
  #goOn(problem: WalkProblem, from: number): number | undefined {
    const { op, position, leafCount } = this.#head;
    const tenants = new Set(tenantsAt(this.#bytes, from));
    const next = this.#framesFrom(from).find(
      // Tried already, and no better for a head that it fits.
      (frame) => frame.header.op > op && frame.offset !== this.#wentOnAt,
    );
    // A good frame that does not fit the ones before is one of those that are lost.
    const isItself = next?.offset === from && next.header.op === op + 1;
    const after = next && (isItself ? behind(next.header) : before(next.header));
    this.#note({
      ...problem,
      lost: {
        firstOp: (op + 1) as Op,
        firstPosition: (position + 1) as Position,
        firstLeaf: leafCount,
        ...(after !== undefined && { next: after }),
        tenants: [...tenants],
      },
    });
    if (next === undefined) return undefined;
    this.#head = headBefore(next.header, this.#head);
    this.#wentOnAt = next.offset;
    return next.offset;
  }

  #framesFrom(offset: number): FoundFrame[] {
    this.#found ??= [...findFrames(this.#bytes, this.#reading.logId).values()]
      .flat()
      .toSorted((left, right) => left.offset - right.offset);
    return this.#found.filter((frame) => frame.offset >= offset);
  }

  #note(damage: SegmentDamage): void {
    if (this.#damages.length < damagesMax) this.#damages.push(damage);
  }

  *#open(): Generator<number, void> {
    const { hierarchy } = this.#reading;
    const { opensFrom = 0 } = this.#job;
    if (hierarchy === undefined) return;
    for (const [index, { frame, offset }] of this.#good.entries()) {
      const { header } = frame;
      if (header.firstLeaf + header.leafCount <= opensFrom && header.leafCount > 0) {
        this.#skippedTo = header.lastPosition;
        this.#changedAt = header.lastPosition;
        continue;
      }
      const events = decodeFrame(hierarchy, frame);
      if (isProblem(events)) {
        this.#note({ ...events, offset: offset + events.offset, lost: lostFrame(header) });
        continue;
      }
      for (const [within, event] of events.entries()) {
        if (event.type === 'keyringChanged') this.#keyringGeneration = event.generation;
        if (event.type === 'checkpoint')
          this.#see(event, (header.firstLeaf + within) as LeafIndex, index);
        else this.#changedAt = event.position;
      }
      this.#eventsOpened += events.length;
      yield header.frameLength;
    }
  }

  #see(event: CheckpointEvent, leaf: LeafIndex, frame: number): void {
    const { size, root, covered, chainHash, state, keyNumber } = event;
    // It was taken at the end of a frame before, mostly of the one before.
    let fits: boolean | undefined;
    for (let at = frame - 1; at >= 0 && fits === undefined; at--) {
      const { head } = this.#good[at] as WalkedFrame;
      if (head.leafCount < size) fits = false;
      else if (head.leafCount === size && isAt(head, { position: covered, chainHash })) fits = true;
    }
    this.#checkpoints.push({
      leaf,
      size,
      root: root.slice(),
      covered,
      chainHash: chainHash.slice(),
      ...(state !== undefined && {
        state: { position: state.position, hash: state.hash.slice() },
      }),
      keyNumber,
      ...(fits !== undefined && { fits }),
    });
  }
}

const endOf = ({ offset, frame }: WalkedFrame): number => offset + frame.header.frameLength;

/** The tenants that the header of a frame names, if it can be read. */
function tenantsAt(bytes: Uint8Array, offset: number): TenantId[] {
  const header = offset < bytes.length ? decodeFrameHeader(bytes, offset) : 'short';
  return typeof header === 'string' ? [] : header.sections.map(({ tenant }) => tenant);
}

function commitmentsOf(frames: readonly WalkedFrame[]): Uint8Array {
  const count = frames.reduce((sum, { frame }) => sum + frame.header.leafCount, 0);
  const commitments = new Uint8Array(count * commitmentBytes);
  let end = 0;
  for (const { frame } of frames) {
    for (let at = 2; at < frame.leaves.length; at += leafBytes) {
      commitments.set(frame.leaves.subarray(at, at + commitmentBytes), end);
      end += commitmentBytes;
    }
  }
  return commitments;
}
