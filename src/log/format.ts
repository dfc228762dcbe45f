/**
 * Byte layout of frames and segments, revision 1. docs/format/log.md draws it; test/compat keeps golden files.
 *
 * Invariants
 * - A frame's length is a multiple of 8 and its last 8 bytes are a constant without zero bytes, so no
 *   512-byte sector that holds a part of a frame becomes all zero by losing a single byte.
 * - Every byte of a frame is under one of three CRCs (physical header, logical header, body), so that a
 *   frame's length can be trusted before the rest is read; every logical byte is under the chain hash.
 */
import type {
  Digest32,
  LeafIndex,
  LogId,
  Op,
  Position,
  TenantId,
  TimestampMicros,
  View,
} from '../base/index.ts';
import { crc32, sha256, tagBytes } from '../crypto/index.ts';
import { Reader, Writer } from '../codec/index.ts';
import { concatBytes, firstNonZero, utf8Encode } from '../base/index.ts';

export const formatRevision = 1;
export const sectorBytes = 512;
export const frameAlignment = 8;
export const frameMagic = 0x4d52_4656; // "VFRM"
const segmentMagic = 0x474f_4c56; // "VLOG"
export const physicalHeaderBytes = 88;
/** Where the durable head stands in the physical header. */
export const durableHeadOffset = 32;
export const logicalHeaderFixedBytes = 16 + 8 * 4 + 4 + 8 + 4 + 32;
const sectionOrderBytes = 8;
export const leafBytes = 2 + 32;
/** Length, secret number, key commitment, nonce. */
export const sectionHeaderBytes = 4 + 4 + 32 + 12;
/** What a section adds to a frame besides its events at most: its order, header, form and tag. */
export const sectionOverheadBytes = sectionOrderBytes + sectionHeaderBytes + 1 + tagBytes;
export const digestsBytes = 64;
export const trailer = Uint8Array.of(0xf5, 0x56, 0x45, 0x52, 0x49, 0x54, 0x59, 0xfa);
/** No frame is longer; readers refuse one that says it is. */
export const frameBytesMax = 64 << 20;
/** Leaves name their section by a u16. */
const sectionsMax = 0x1_0000;
export const segmentHeaderBytes = 128;
/** From here to the header's CRC all is zero. */
const segmentReservedStart = 80;

export const frameKinds = { data: 1, mark: 2, end: 3, close: 4 } as const;
export type FrameKind = keyof typeof frameKinds;
const kindsByCode = new Map<number, FrameKind>(
  Object.entries(frameKinds).map(([kind, code]) => [code, kind as FrameKind]),
);

/** What the chain hash covers besides the leaves; the same in every copy of the log, for ever. */
export interface LogicalHeader {
  readonly logId: LogId;
  readonly op: Op;
  /** Position of the first event; for a frame without events, the next position. */
  readonly firstPosition: Position;
  /** Position of the last event; for a frame without events, one less than firstPosition. */
  readonly lastPosition: Position;
  readonly firstLeaf: LeafIndex;
  readonly leafCount: number;
  /** Time of the frame's last command; never goes back. */
  readonly timestamp: TimestampMicros;
  readonly sections: readonly { readonly tenant: TenantId; readonly count: number }[];
  readonly parent: Digest32;
}

export interface FrameHeader extends LogicalHeader {
  readonly kind: FrameKind;
  readonly algorithm: number;
  readonly compression: number;
  readonly frameLength: number;
  readonly bodyCrc: number;
  readonly sealingEpoch: number;
  readonly epochSalt: Uint8Array;
  readonly view: View;
  /** The newest op known durable when this frame was written: nothing up to it may ever be cut. */
  readonly durableHead: Op;
  /** Where the body starts, relative to the frame. */
  readonly bodyStart: number;
}

export function encodeLogicalHeader(writer: Writer, header: LogicalHeader): void {
  writer.raw(header.logId);
  writer.u64(header.op);
  writer.u64(header.firstPosition);
  writer.u64(header.lastPosition);
  writer.u64(header.firstLeaf);
  writer.u32(header.leafCount);
  writer.u64(header.timestamp);
  writer.u32(header.sections.length);
  for (const section of header.sections) {
    writer.u32(section.tenant);
    writer.u32(section.count);
  }
  writer.raw(header.parent);
}

export type HeaderProblem = 'short' | 'magic' | 'revision' | 'checksum' | 'contents';

/** The frame's length if its physical header is intact, else undefined. */
export function trustedFrameLength(bytes: Uint8Array, start: number): number | undefined {
  if (bytes.length - start < physicalHeaderBytes) return undefined;
  const reader = new Reader(bytes, start, start + physicalHeaderBytes);
  if (reader.u32() !== frameMagic) return undefined;
  reader.raw(4);
  const frameLength = reader.u32();
  reader.raw(physicalHeaderBytes - 16);
  const crc = reader.u32();
  const intact = crc32(bytes.subarray(start, start + physicalHeaderBytes - 4)) === crc;
  return intact && frameLength <= frameBytesMax ? frameLength : undefined;
}

/** Decodes and checks the header at `start`; says what is wrong instead of throwing. */
export function decodeFrameHeader(bytes: Uint8Array, start: number): FrameHeader | HeaderProblem {
  if (bytes.length - start < physicalHeaderBytes) return 'short';
  const reader = new Reader(bytes, start, start + physicalHeaderBytes);
  if (reader.u32() !== frameMagic) return 'magic';
  if (trustedFrameLength(bytes, start) === undefined) return 'checksum';
  const revision = reader.u8();
  if (revision !== formatRevision) return 'revision';
  const kind = kindsByCode.get(reader.u8());
  const algorithm = reader.u8();
  const compression = reader.u8();
  const frameLength = reader.u32();
  const logicalLength = reader.u32();
  const bodyLength = reader.u32();
  const sealingEpoch = reader.u32();
  const view = u64(reader);
  const durableHead = u64(reader);
  const epochSalt = reader.raw(32);
  const bodyCrc = reader.u32();
  const logicalCrc = reader.u32();
  const reserved = reader.u32();
  const wellFormed =
    kind !== undefined &&
    view !== undefined &&
    durableHead !== undefined &&
    reserved === 0 &&
    frameLength % frameAlignment === 0 &&
    frameLength <= frameBytesMax &&
    logicalLength >= logicalHeaderFixedBytes &&
    frameLength === physicalHeaderBytes + logicalLength + bodyLength;
  if (!wellFormed) return 'contents';
  const bodyStart = physicalHeaderBytes + logicalLength;
  if (bytes.length - start < bodyStart) return 'short';
  const logicalBytes = bytes.subarray(start + physicalHeaderBytes, start + bodyStart);
  if (crc32(logicalBytes) !== logicalCrc) return 'checksum';
  const logical = decodeLogicalHeader(logicalBytes);
  if (logical === undefined) return 'contents';
  // Field by field: spreading costs more than all the rest.
  return {
    logId: logical.logId,
    op: logical.op,
    firstPosition: logical.firstPosition,
    lastPosition: logical.lastPosition,
    firstLeaf: logical.firstLeaf,
    leafCount: logical.leafCount,
    timestamp: logical.timestamp,
    sections: logical.sections,
    parent: logical.parent,
    kind,
    algorithm,
    compression,
    frameLength,
    bodyCrc,
    sealingEpoch,
    epochSalt,
    bodyStart,
    view: view as View,
    durableHead: durableHead as Op,
  };
}

function u64(reader: Reader): number | undefined {
  const value = reader.u32() + reader.u32() * 0x1_0000_0000;
  return Number.isSafeInteger(value) ? value : undefined;
}

function decodeLogicalHeader(bytes: Uint8Array): LogicalHeader | undefined {
  const reader = new Reader(bytes);
  try {
    const logId = reader.raw(16) as LogId;
    const op = reader.u64() as Op;
    const firstPosition = reader.u64() as Position;
    const lastPosition = reader.u64() as Position;
    const firstLeaf = reader.u64() as LeafIndex;
    const leafCount = reader.u32();
    const timestamp = reader.u64() as TimestampMicros;
    const sectionCount = reader.u32();
    if (sectionCount > sectionsMax || reader.remaining !== sectionCount * sectionOrderBytes + 32)
      return undefined;
    const sections = [];
    let total = 0;
    for (let index = 0; index < sectionCount; index++) {
      const section = { tenant: reader.u32() as TenantId, count: reader.u32() };
      total += section.count;
      sections.push(section);
    }
    const parent = reader.raw(32) as Digest32;
    if (total !== leafCount) return undefined;
    return {
      logId,
      op,
      firstPosition,
      lastPosition,
      firstLeaf,
      leafCount,
      timestamp,
      sections,
      parent,
    };
  } catch {
    return undefined;
  }
}

const chainDomain = utf8Encode('veritydb/chain/v1');

/** The frame's chain hash: SHA-256(domain ‖ logical header ‖ leaves). */
export function chainHash(logicalHeader: Uint8Array, leaves: Uint8Array): Digest32 {
  return sha256(concatBytes(chainDomain, logicalHeader, leaves));
}

/** The chain hash before the first frame of a log. */
export function genesisHash(logId: LogId): Digest32 {
  return sha256(concatBytes(utf8Encode('veritydb/genesis/v1'), logId));
}

/** Where a segment starts in the log; its file name and header say the same. */
export interface SegmentHeader {
  readonly logId: LogId;
  readonly firstPosition: Position;
  readonly firstOp: Op;
  readonly firstLeaf: LeafIndex;
  readonly parent: Digest32;
}

const segmentNamePattern = /^\d{20}\.vlog$/;

export function segmentPath(firstPosition: Position): string {
  return `log/${String(firstPosition).padStart(20, '0')}.vlog`;
}

export function isSegmentName(name: string): boolean {
  return segmentNamePattern.test(name);
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const writer = new Writer(segmentHeaderBytes);
  writer.u32(segmentMagic);
  writer.u32(formatRevision);
  writer.raw(header.logId);
  writer.u64(header.firstPosition);
  writer.u64(header.firstOp);
  writer.u64(header.firstLeaf);
  writer.raw(header.parent);
  writer.skip(segmentHeaderBytes - 4 - writer.length);
  writer.u32(crc32(writer.view()));
  return writer.finish();
}

export function decodeSegmentHeader(bytes: Uint8Array): SegmentHeader | HeaderProblem {
  if (bytes.length < segmentHeaderBytes) return 'short';
  const reader = new Reader(bytes, 0, segmentHeaderBytes);
  if (reader.u32() !== segmentMagic) return 'magic';
  const revision = reader.u32();
  const crc = new Reader(bytes, segmentHeaderBytes - 4, segmentHeaderBytes).u32();
  if (crc32(bytes.subarray(0, segmentHeaderBytes - 4)) !== crc) return 'checksum';
  if (revision !== formatRevision) return 'revision';
  if (firstNonZero(bytes, segmentReservedStart, segmentHeaderBytes - 4) !== -1) return 'contents';
  try {
    return {
      logId: reader.raw(16) as LogId,
      firstPosition: reader.u64() as Position,
      firstOp: reader.u64() as Op,
      firstLeaf: reader.u64() as LeafIndex,
      parent: reader.raw(32) as Digest32,
    };
  } catch {
    return 'contents';
  }
}
