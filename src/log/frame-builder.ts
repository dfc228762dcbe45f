import {
  assert,
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
import { encodeEvent, type LogEvent, Writer } from '../codec/index.ts';
import {
  commitFieldsInto,
  EventCommitter,
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
  /** Where each event stands in the frame. */
  readonly leaves: number[];
  /** Fields of the events committed to field by field (kind 1), by event number; most sections have none. */
  fields: Map<number, readonly Uint8Array[]> | undefined;
}

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

  /** Appends one event under a commitment of kind 0. */
  addEvent(event: LogEvent): void {
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
    const section = this.#section(tenant);
    const plaintext = section.plaintext;
    const before = plaintext.length;
    plaintext.u8(1);
    plaintext.varint(fields.length);
    for (const field of fields) plaintext.bytes(field);
    section.fields ??= new Map();
    section.fields.set(section.bounds.length / 2, fields);
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
        leaves: [],
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
    section.leaves.push(this.#order.length);
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
    for (const section of sections) {
      const plaintext = section.plaintext.view();
      const seed = plaintext.subarray(0, seedBytes);
      this.#drawSeed(seed, entropy);
      const committer = new EventCommitter(seed);
      const { bounds, fields, number } = section;
      for (let event = 0; event < section.leaves.length; event++) {
        const at = (section.leaves[event] as number) * leafBytes;
        leaves[at] = number & 0xff;
        leaves[at + 1] = number >> 8;
        const parts = fields?.get(event);
        if (parts !== undefined) commitFieldsInto(leaves, at + 2, seed, event, parts);
        else
          committer.commitInto(
            leaves,
            at + 2,
            event,
            plaintext.subarray(bounds[event * 2], bounds[event * 2 + 1]),
          );
      }
    }
    return leaves;
  }
}
