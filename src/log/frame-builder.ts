import {
  assert,
  concatBytes,
  type Digest32,
  type Entropy,
  type LeafIndex,
  type LogId,
  type Op,
  type Position,
  systemTenant,
  type TenantId,
  type TimestampMicros,
  type View,
} from '../base/index.ts';
import { encodeEvent, type EventCut, type LogEvent, Writer } from '../codec/index.ts';
import {
  commitSection,
  type SealingSuite,
  type SectionKey,
  seedBytes,
  suiteIds,
} from '../crypto/index.ts';
import { chainHash, encodeLogicalHeader, type FrameKind, leafBytes } from './format.ts';
import { encodeFrame, sectionAad } from './frame-encoder.ts';
import { packSection } from './section-form.ts';

/** What a frame is written under; fixed for one writer until its next sealing epoch. */
export interface SealingContext {
  readonly logId: LogId;
  readonly view: View;
  readonly sealingEpoch: number;
  readonly epochSalt: Uint8Array;
  readonly entropy: Entropy;
  readonly suite: SealingSuite;
  keyFor(tenant: TenantId): SectionKey;
}

/** Where the frame stands in the log. */
export interface FramePlace {
  readonly kind: FrameKind;
  readonly op: Op;
  readonly firstPosition: Position;
  readonly lastPosition: Position;
  readonly firstLeaf: LeafIndex;
  readonly timestamp: TimestampMicros;
  readonly parent: Digest32;
  readonly durableHead: Op;
}

export interface BuiltFrame {
  readonly bytes: Uint8Array;
  readonly chainHash: Digest32;
  /** Section and commitment of each event, in log order. */
  readonly leaves: Uint8Array;
}

interface PendingSection {
  readonly tenant: TenantId;
  readonly number: number;
  /** Seed (filled at build), then the records. */
  readonly plaintext: Writer;
  /** Per event: start and end of its bytes in `plaintext`. */
  readonly bounds: number[];
  /** Where the commitment of each event stands among the frame's leaves. */
  readonly offsets: number[];
  /** Of events committed to field by field (kind 1), by their number: start and end of each field in `plaintext`. */
  fields: Map<number, readonly number[]> | undefined;
}

/** Of a leaf, in front of the commitment. */
const sectionNumberBytes = 2;
/** Random bytes are drawn for this many sections at a time: a draw costs more than the bytes. */
const seedsDrawn = 64;
/** Writers kept for the next frame, so that one that grew need not grow again. */
const spareWritersMax = 64;
const spareBytesMax = 1 << 20;
/** The same of the packed form, all of which is wiped after each frame. */
const packedBytesMax = 1 << 17;

/**
 * Gathers the events of one frame and seals them. Salts, commitments, chain hash and ciphertexts are made
 * in `build`, once a frame; `drop` forgets everything gathered (a refused or failed batch).
 */
export class FrameBuilder {
  readonly #sections = new Map<TenantId, PendingSection>();
  /** Section number of each event in log order. */
  readonly #order: number[] = [];
  readonly #header = new Writer(512);
  readonly #spare: Writer[] = [];
  /** The packed form of one section at a time. */
  #packed = new Writer(1024);
  /** One event at a time that is to be cut into fields. */
  #uncut = new Writer(1024);
  #seeds: Uint8Array = new Uint8Array();
  #bytes = 0;

  get eventCount(): number {
    return this.#order.length;
  }
  /** Plaintext bytes gathered. */
  get sizeBytes(): number {
    return this.#bytes;
  }
  get tenants(): Iterable<TenantId> {
    return this.#sections.keys();
  }

  /** Appends one event under a commitment of kind 0, or of kind 1 if it names its cut. */
  addEvent(event: LogEvent): void {
    if ('cut' in event && event.cut !== undefined) {
      this.#addCut(event, event.cut);
      return;
    }
    const section = this.#section(event.tenant);
    const plaintext = section.plaintext;
    const before = plaintext.length;
    plaintext.u8(0);
    const start = plaintext.beginBytes(2);
    encodeEvent(plaintext, event);
    section.bounds.push(plaintext.endBytes(start, 2), plaintext.length);
    this.#added(section, before);
  }

  /** As `addEvent`, of an event that is encoded already. */
  add(tenant: TenantId, event: Uint8Array): void {
    const section = this.#section(tenant);
    const plaintext = section.plaintext;
    const before = plaintext.length;
    plaintext.u8(0);
    plaintext.varint(event.length);
    section.bounds.push(plaintext.length, plaintext.length + event.length);
    plaintext.raw(event);
    this.#added(section, before);
  }

  /** Appends one event under a commitment of kind 1: its bytes are the concatenation of `fields`, each openable alone. */
  addFields(tenant: TenantId, fields: readonly Uint8Array[]): void {
    assert(fields.length > 0, 'an event of kind 1 has fields');
    const ends: number[] = [];
    for (const field of fields) ends.push((ends[ends.length - 1] ?? 0) + field.length);
    this.#addFields(tenant, concatBytes(...fields), ends);
  }

  #addCut(event: LogEvent, cut: EventCut): void {
    const uncut = this.#uncut;
    uncut.reset();
    encodeEvent(uncut, event);
    const bytes = uncut.view();
    const ends: number[] = [];
    cut.fieldEnds(bytes, ends);
    this.#addFields(event.tenant, bytes, ends);
    // Only what was written: the buffer is as long as the longest event so far.
    bytes.fill(0);
    if (bytes.length > spareBytesMax) this.#uncut = new Writer(1024);
  }

  #addFields(tenant: TenantId, event: Uint8Array, ends: readonly number[]): void {
    const section = this.#section(tenant);
    const plaintext = section.plaintext;
    const before = plaintext.length;
    plaintext.u8(1);
    plaintext.varint(ends.length);
    const places: number[] = [];
    let start = 0;
    for (const end of ends) {
      plaintext.varint(end - start);
      places.push(plaintext.length, plaintext.length + end - start);
      plaintext.raw(event.subarray(start, end));
      start = end;
    }
    section.fields ??= new Map();
    section.fields.set(section.bounds.length / 2, places);
    section.bounds.push(before, plaintext.length);
    this.#added(section, before);
  }

  drop(): void {
    for (const { plaintext } of this.#sections.values()) {
      const size = plaintext.length;
      plaintext.wipe();
      if (this.#spare.length < spareWritersMax && size <= spareBytesMax)
        this.#spare.push(plaintext);
    }
    this.#sections.clear();
    this.#order.length = 0;
    this.#bytes = 0;
  }

  /**
   * Seals everything gathered into one frame and forgets it. The caller owns the bytes. A frame without
   * events gets an empty section of the system tenant, so that nobody without a key can add one.
   */
  build(place: FramePlace, context: SealingContext): BuiltFrame {
    assert(
      (place.kind === 'data') === this.#order.length > 0,
      'data frames have events, others none',
    );
    if (this.#order.length === 0) this.#section(systemTenant);
    const sections = [...this.#sections.values()];
    const leaves = this.#commit(sections, context.entropy);
    this.#header.reset();
    encodeLogicalHeader(this.#header, {
      op: place.op,
      firstPosition: place.firstPosition,
      lastPosition: place.lastPosition,
      firstLeaf: place.firstLeaf,
      timestamp: place.timestamp,
      parent: place.parent,
      logId: context.logId,
      leafCount: this.#order.length,
      sections: sections.map((section) => ({
        tenant: section.tenant,
        count: section.bounds.length / 2,
      })),
    });
    const logicalHeader = this.#header.view();
    const chain = chainHash(logicalHeader, leaves);
    // Field by field: spreading both objects costs more than the hashes of a small frame.
    const { algorithm, compression } = suiteIds(context.suite);
    const physical = {
      logId: context.logId,
      kind: place.kind,
      algorithm,
      compression,
      sealingEpoch: context.sealingEpoch,
      view: context.view,
      durableHead: place.durableHead,
      epochSalt: context.epochSalt,
    };
    let packedBytes = 0;
    const sealed = sections.map(({ tenant, number, plaintext }) => {
      const key = context.keyFor(tenant);
      const packed = packSection(plaintext.view(), context.suite.compression, this.#packed);
      packedBytes = Math.max(packedBytes, this.#packed.length);
      const { secretNumber, commitment } = key;
      const { nonce, ciphertext, tag } = key.seal(sectionAad(physical, number, chain), packed);
      return { secretNumber, commitment, nonce, ciphertext, tag };
    });
    if (packedBytes > 0) this.#packed.wipe();
    if (packedBytes > packedBytesMax) this.#packed = new Writer(1024);
    const bytes = encodeFrame(physical, { logicalHeader, leaves, sections: sealed, chain });
    this.drop();
    return { bytes, chainHash: chain, leaves };
  }

  #section(tenant: TenantId): PendingSection {
    let section = this.#sections.get(tenant);
    if (section === undefined) {
      const plaintext = this.#spare.pop() ?? new Writer(1024);
      section = {
        tenant,
        number: this.#sections.size,
        plaintext,
        bounds: [],
        offsets: [],
        fields: undefined,
      };
      assert(section.number <= 0xffff, 'a frame has at most 65,536 sections');
      section.plaintext.skip(seedBytes);
      this.#sections.set(tenant, section);
      this.#bytes += seedBytes;
    }
    return section;
  }

  #added(section: PendingSection, before: number): void {
    this.#bytes += section.plaintext.length - before;
    section.offsets.push(this.#order.length * leafBytes + sectionNumberBytes);
    this.#order.push(section.number);
  }

  /** Moves the next random bytes into `seed`; none is used twice. */
  #drawSeed(seed: Uint8Array, entropy: Entropy): void {
    if (this.#seeds.length === 0) this.#seeds = entropy.bytes(seedsDrawn * seedBytes);
    const next = this.#seeds.subarray(0, seedBytes);
    seed.set(next);
    next.fill(0);
    this.#seeds = this.#seeds.subarray(seedBytes);
  }

  #commit(sections: readonly PendingSection[], entropy: Entropy): Uint8Array {
    const leaves = new Uint8Array(this.#order.length * leafBytes);
    for (const { plaintext, bounds, fields, offsets, number } of sections) {
      const source = plaintext.view();
      const seed = source.subarray(0, seedBytes);
      this.#drawSeed(seed, entropy);
      for (const offset of offsets) {
        leaves[offset - sectionNumberBytes] = number & 0xff;
        leaves[offset - 1] = number >> 8;
      }
      if (offsets.length > 0)
        commitSection({ seed, source, bounds, fields }, { bytes: leaves, offsets });
    }
    return leaves;
  }
}
