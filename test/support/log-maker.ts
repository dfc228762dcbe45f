/** Frames and segments made by hand, under keys that are the same in every run. */
import {
  concatBytes,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  Prng,
  type TenantId,
  type TimestampMicros,
  type View,
} from '../../src/base/index.ts';
import { defaultSuite, type SealingSuite, SecretKey, SectionKey } from '../../src/crypto/index.ts';
import {
  type BuiltFrame,
  emptyLogHead,
  encodeSegmentHeader,
  FrameBuilder,
  type FrameKind,
  type LogHead,
  segmentHeaderAt,
} from '../../src/log/index.ts';

/** An event of kind 0 is its bytes, one of kind 1 a list of fields. */
export type MadeEvent = {
  readonly tenant: number;
  readonly event: Uint8Array | readonly Uint8Array[];
};

export interface MadeFrame extends BuiltFrame {
  readonly kind: FrameKind;
  readonly offset: number;
  readonly end: number;
  readonly op: Op;
}

/** Writes a log of one segment, frame by frame, as an engine would. */
export class LogMaker {
  readonly logId: LogId;
  readonly epochSalt = new Uint8Array(32).fill(3);
  readonly frames: MadeFrame[] = [];
  readonly suite: SealingSuite;
  head: LogHead;
  readonly #builder = new FrameBuilder();
  readonly #keys = new Map<TenantId, SectionKey>();
  readonly #prng: Prng;
  #bytes: Uint8Array;

  constructor(seed = 1, suite: SealingSuite = defaultSuite) {
    this.suite = suite;
    this.#prng = new Prng(seed);
    this.logId = new Uint8Array(16).fill(seed) as Uint8Array as LogId;
    this.head = emptyLogHead(this.logId);
    this.#bytes = encodeSegmentHeader(segmentHeaderAt(this.head));
  }

  /** The segment so far. */
  get segment(): Uint8Array {
    return this.#bytes.slice();
  }

  keyFor(tenant: number): SectionKey {
    const id = tenant as TenantId;
    let key = this.#keys.get(id);
    if (key === undefined) {
      const secret = new SecretKey(new Uint8Array(32).fill(tenant + 1));
      key = new SectionKey(secret, this.epochSalt, {
        logId: this.logId,
        tenant: id,
        secretNumber: 1,
        algorithm: this.suite.algorithm,
      });
      this.#keys.set(id, key);
    }
    return key;
  }

  /** Gathers events and drops them again. */
  drop(events: readonly MadeEvent[]): void {
    this.#gather(events);
    this.#builder.drop();
  }

  #gather(events: readonly MadeEvent[]): void {
    for (const { tenant, event } of events) {
      if (event instanceof Uint8Array) this.#builder.add(tenant as TenantId, event);
      else this.#builder.addFields(tenant as TenantId, event);
    }
  }

  /** Appends a frame; `events` make one command each. `durable`: the newest op known durable then, by default the one before. */
  add(kind: FrameKind, events: readonly MadeEvent[] = [], durable = this.head.op): MadeFrame {
    this.#gather(events);
    const { head } = this;
    const op = (head.op + 1) as Op;
    const lastPosition = (head.position + events.length) as Position;
    const timestamp = (head.timestamp + 1_000) as TimestampMicros;
    const built = this.#builder.build(
      {
        kind,
        op,
        firstPosition: (head.position + 1) as Position,
        lastPosition,
        firstLeaf: head.leafCount,
        timestamp,
        parent: head.chainHash,
        durableHead: durable,
      },
      {
        logId: this.logId,
        view: 0 as View,
        sealingEpoch: 1,
        epochSalt: this.epochSalt,
        entropy: this.#prng,
        suite: this.suite,
        keyFor: (tenant) => this.keyFor(tenant),
      },
    );
    const frame = {
      ...built,
      kind,
      op,
      offset: this.#bytes.length,
      end: this.#bytes.length + built.bytes.length,
    };
    this.frames.push(frame);
    this.#bytes = concatBytes(this.#bytes, built.bytes);
    this.head = {
      ...head,
      op,
      position: lastPosition,
      leafCount: (head.leafCount + events.length) as LeafIndex,
      timestamp,
      chainHash: built.chainHash,
      sealingEpoch: 1,
      durableHead: Math.max(head.durableHead, durable) as Op,
      lastKind: kind,
    };
    return frame;
  }

  /** Appends a data frame with one event of `bytes` bytes. */
  addBytes(bytes: number, tenant = 1, durable = this.head.op): MadeFrame {
    return this.add('data', [{ tenant, event: this.#prng.bytes(bytes) }], durable);
  }
}
