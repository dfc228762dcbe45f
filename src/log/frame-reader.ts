import { type Digest32, equalBytes, type ErrorCode, type TenantId } from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import {
  algorithmId,
  commitSection,
  crc32,
  isKnownSuite,
  type SectionKey,
  seedBytes,
  sha256,
} from '../crypto/index.ts';
import {
  chainHash,
  digestsBytes,
  frameBytesMax,
  type FrameHeader,
  leafBytes,
  physicalHeaderBytes,
  sectionHeaderBytes,
  trailer,
} from './format.ts';
import { sectionAad } from './frame-encoder.ts';
import { unpackRecords } from './section-form.ts';

/** A damaged place inside a frame. `offset` is relative to the frame's first byte. */
export interface FrameProblem {
  readonly code: ErrorCode;
  readonly offset: number;
  readonly what: string;
}

export interface SealedSection {
  readonly tenant: TenantId;
  readonly count: number;
  readonly number: number;
  /** Offset of the section relative to the frame. */
  readonly offset: number;
  /** Which of the tenant's epoch secrets the section's key derives from. */
  readonly secretNumber: number;
  readonly commitment: Uint8Array;
  readonly nonce: Uint8Array;
  readonly sealed: Uint8Array;
}

/** A frame whose bytes are intact (both CRCs, digests, chain hash); sections are still sealed. */
export interface CheckedFrame {
  readonly header: FrameHeader;
  readonly chainHash: Digest32;
  readonly leaves: Uint8Array;
  readonly sections: readonly SealedSection[];
}

/** One event of a frame, opened. */
export interface OpenedEvent {
  /** Place among the frame's leaves. */
  readonly leaf: number;
  readonly tenant: TenantId;
  readonly event: Uint8Array;
}

export function isProblem<T extends object>(result: T | FrameProblem): result is FrameProblem {
  return 'what' in result;
}

const bad = (code: FrameProblem['code'], offset: number, what: string): FrameProblem => ({
  code,
  offset,
  what,
});

/** Checks everything that needs no key: body CRC, layout, seal digest, chain hash, padding, trailer. `frame` is exactly one frame. */
export function checkFrame(frame: Uint8Array, header: FrameHeader): CheckedFrame | FrameProblem {
  const { bodyStart, frameLength, leafCount } = header;
  if (crc32(frame.subarray(bodyStart, frameLength)) !== header.bodyCrc) {
    return bad('CHECKSUM_MISMATCH', bodyStart, 'A frame body does not match its checksum');
  }
  if (!isKnownSuite(header)) {
    return bad('FORMAT_UNSUPPORTED', 6, 'A frame uses an unknown algorithm or compression');
  }
  const leavesEnd = bodyStart + leafCount * leafBytes;
  const contentsEnd = frameLength - trailer.length;
  if (leavesEnd + digestsBytes > contentsEnd) {
    return bad('CHECKSUM_MISMATCH', bodyStart, 'A frame is too short for its leaves');
  }
  const leaves = frame.subarray(bodyStart, leavesEnd);
  const sections: SealedSection[] = [];
  let offset = leavesEnd;
  for (const [number, { tenant, count }] of header.sections.entries()) {
    if (offset + sectionHeaderBytes + digestsBytes > contentsEnd) {
      return bad('CHECKSUM_MISMATCH', offset, 'A frame is too short for its sections');
    }
    const reader = new Reader(frame, offset, contentsEnd - digestsBytes);
    const length = reader.u32();
    const secretNumber = reader.u32();
    const commitment = reader.raw(32);
    const nonce = reader.raw(12);
    if (length > reader.remaining) {
      return bad('CHECKSUM_MISMATCH', offset, 'A section is longer than its frame');
    }
    const sealed = reader.raw(length);
    sections.push({ tenant, count, number, offset, secretNumber, commitment, nonce, sealed });
    offset += sectionHeaderBytes + length;
  }
  return checkDigests(frame, header, { leaves, leavesEnd, sectionsEnd: offset, sections });
}

function checkDigests(
  frame: Uint8Array,
  header: FrameHeader,
  layout: { leaves: Uint8Array; leavesEnd: number; sectionsEnd: number; sections: SealedSection[] },
): CheckedFrame | FrameProblem {
  const { leaves, leavesEnd, sectionsEnd, sections } = layout;
  const contentsEnd = header.frameLength - trailer.length;
  const padding = contentsEnd - sectionsEnd - digestsBytes;
  if (
    padding < 0 ||
    padding >= 8 ||
    frame.subarray(contentsEnd - padding, contentsEnd).some((byte) => byte !== 0) ||
    !equalBytes(frame.subarray(contentsEnd, header.frameLength), trailer)
  ) {
    return bad('CHECKSUM_MISMATCH', sectionsEnd, 'The end of a frame is not as it was written');
  }
  if (
    !equalBytes(
      sha256(frame.subarray(leavesEnd, sectionsEnd)),
      frame.subarray(sectionsEnd, sectionsEnd + 32),
    )
  ) {
    return bad(
      'CHECKSUM_MISMATCH',
      leavesEnd,
      'The sealed bytes of a frame do not match their digest',
    );
  }
  const chain = chainHash(frame.subarray(physicalHeaderBytes, header.bodyStart), leaves);
  if (!equalBytes(chain, frame.subarray(sectionsEnd + 32, sectionsEnd + 64))) {
    return bad('CHAIN_BROKEN', sectionsEnd + 32, 'A frame does not match its chain hash');
  }
  return { header, chainHash: chain, leaves, sections };
}

/** The leaves of a frame by section: the first of each section, and after each leaf the next one of its section; -1 is none. */
interface LeafChains {
  readonly first: Int32Array;
  readonly next: Int32Array;
}

/** How many bytes the sections of a frame may still expand to: a writer gathers no more before it compresses. */
interface Budget {
  bytesLeft: number;
}

/** Opens one section and checks every event against its commitment. */
function openSection(
  frame: CheckedFrame,
  section: SealedSection,
  key: SectionKey,
  checks: { readonly chains: LeafChains; readonly budget: Budget },
): Uint8Array[] | FrameProblem {
  const { header } = frame;
  const { chains, budget } = checks;
  // A header that names plain mode must not make us believe bytes that nobody sealed.
  const plaintext =
    header.algorithm === algorithmId(key.algorithm)
      ? key.open(
          sectionAad(header, section.number, frame.chainHash),
          section.commitment,
          section.nonce,
          section.sealed,
        )
      : undefined;
  if (plaintext === undefined) {
    return bad('AUTHENTICATION_FAILED', section.offset, 'A sealed section does not open');
  }
  const mismatch = (): FrameProblem =>
    bad('COMMITMENT_MISMATCH', section.offset, 'An event does not match its commitment');
  const events: Uint8Array[] = [];
  try {
    const seed = new Reader(plaintext).raw(seedBytes);
    const records = unpackRecords(plaintext, header.compression, budget.bytesLeft);
    if (records === undefined)
      return bad('COMMITMENT_MISMATCH', section.offset, 'A section does not expand to its records');
    budget.bytesLeft -= records.length;
    const reader = new Reader(records);
    const places: RecordPlaces = { bounds: [], fields: new Map(), offsets: [] };
    for (let number = 0; number < section.count; number++) {
      events.push(readRecord(reader, number, places));
      places.offsets.push(number * commitmentBytes);
    }
    reader.end();
    const commitments = new Uint8Array(section.count * commitmentBytes);
    const { bounds, fields, offsets } = places;
    if (section.count > 0)
      commitSection({ seed, source: records, bounds, fields }, { bytes: commitments, offsets });
    let leaf = chains.first[section.number] as number;
    for (const offset of offsets) {
      if (leaf === -1 || !isCommittedBy(frame.leaves, leaf, commitments, offset)) return mismatch();
      leaf = chains.next[leaf] as number;
    }
    if (leaf !== -1) return mismatch();
  } catch {
    return mismatch();
  }
  return events;
}

const commitmentBytes = 32;

function isCommittedBy(
  leaves: Uint8Array,
  leaf: number,
  commitments: Uint8Array,
  offset: number,
): boolean {
  const from = leaf * leafBytes + leafBytes - commitmentBytes;
  for (let byte = 0; byte < commitmentBytes; byte++)
    if (leaves[from + byte] !== commitments[offset + byte]) return false;
  return true;
}

/** Opens every section that `keyFor` has a key for; events in log order. A section it answers `undefined` for is skipped. */
export function openFrame(
  frame: CheckedFrame,
  keyFor: (section: SealedSection) => SectionKey | undefined,
): OpenedEvent[] | FrameProblem {
  const chains = leafChains(frame);
  if (chains === undefined)
    return bad('COMMITMENT_MISMATCH', frame.header.bodyStart, 'A leaf names no section');
  const checks = { chains, budget: { bytesLeft: frameBytesMax } };
  const bySection: (Uint8Array[] | undefined)[] = [];
  for (const section of frame.sections) {
    const key = keyFor(section);
    const events = key === undefined ? undefined : openSection(frame, section, key, checks);
    if (events !== undefined && isProblem(events)) return events;
    bySection.push(events);
  }
  const next = new Uint32Array(frame.sections.length);
  const opened: OpenedEvent[] = [];
  for (let leaf = 0; leaf < frame.header.leafCount; leaf++) {
    const section = frame.sections[sectionOfLeaf(frame.leaves, leaf)] as SealedSection;
    const event = bySection[section.number]?.[next[section.number] as number];
    next[section.number] = (next[section.number] as number) + 1;
    if (event !== undefined) opened.push({ leaf, tenant: section.tenant, event });
  }
  return opened;
}

function sectionOfLeaf(leaves: Uint8Array, leaf: number): number {
  return (leaves[leaf * leafBytes] as number) | ((leaves[leaf * leafBytes + 1] as number) << 8);
}

/** Undefined if a leaf names a section that the frame does not have. One pass: a frame may have thousands of sections. */
function leafChains(frame: CheckedFrame): LeafChains | undefined {
  const { leafCount } = frame.header;
  const chains = {
    first: new Int32Array(frame.sections.length).fill(-1),
    next: new Int32Array(leafCount).fill(-1),
  };
  for (let leaf = leafCount - 1; leaf >= 0; leaf--) {
    const number = sectionOfLeaf(frame.leaves, leaf);
    if (number >= frame.sections.length) return undefined;
    chains.next[leaf] = chains.first[number] as number;
    chains.first[number] = leaf;
  }
  return chains;
}

/** Where the events of a section lie in its records, as `commitSection` asks for it. */
interface RecordPlaces {
  readonly bounds: number[];
  readonly fields: Map<number, readonly number[]>;
  readonly offsets: number[];
}

function readRecord(
  reader: Reader,
  number: number,
  { bounds, fields: places }: RecordPlaces,
): Uint8Array {
  const kind = reader.u8();
  if (kind === 0) {
    const event = reader.bytes();
    bounds.push(reader.offset - event.length, reader.offset);
    return event;
  }
  if (kind !== 1) throw new Error('unknown commitment kind');
  const start = reader.offset;
  const count = reader.varint();
  const fields: Uint8Array[] = [];
  const bytes: number[] = [];
  for (let field = 0; field < count; field++) {
    const next = reader.bytes();
    fields.push(next);
    bytes.push(reader.offset - next.length, reader.offset);
  }
  bounds.push(start, reader.offset);
  places.set(number, bytes);
  return joined(fields);
}

function joined(fields: readonly Uint8Array[]): Uint8Array {
  const event = new Uint8Array(fields.reduce((sum, field) => sum + field.length, 0));
  let offset = 0;
  for (const field of fields) {
    event.set(field, offset);
    offset += field.length;
  }
  return event;
}
