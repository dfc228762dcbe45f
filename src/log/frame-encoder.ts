import {
  assert,
  type Digest32,
  type LogId,
  type Op,
  utf8Encode,
  type View,
} from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { crc32, pae, sha256Into } from '../crypto/index.ts';
import {
  digestsBytes,
  formatRevision,
  frameAlignment,
  type FrameKind,
  frameKinds,
  frameMagic,
  physicalHeaderBytes,
  sectionHeaderBytes,
  trailer,
} from './format.ts';

/** The physical fields that a section's seal covers besides the chain hash. */
export interface SealedPlace {
  readonly logId: LogId;
  readonly kind: FrameKind;
  /** Numbers, as they stand in the header. */
  readonly algorithm: number;
  readonly compression: number;
  readonly sealingEpoch: number;
  readonly view: View;
  readonly durableHead: Op;
}

/** The fields of a physical header that are not lengths or checksums. */
export interface PhysicalFields extends SealedPlace {
  readonly epochSalt: Uint8Array;
}

/** A section as it stands in a frame. */
export interface EncodedSection {
  readonly secretNumber: number;
  readonly commitment: Uint8Array;
  readonly nonce: Uint8Array;
  /** In plain mode the bytes themselves. */
  readonly ciphertext: Uint8Array;
  /** In plain mode empty. */
  readonly tag: Uint8Array;
}

export interface FrameContents {
  readonly logicalHeader: Uint8Array;
  readonly leaves: Uint8Array;
  readonly sections: readonly EncodedSection[];
  readonly chain: Digest32;
}

const aadDomain = utf8Encode('veritydb/frame/v1');
/** Kind, algorithm, compression, sealing epoch, view, durable head, section number. */
const sealedFieldsBytes = 3 + 4 + 8 + 8 + 2;

/** Binds a section to its place: moved, swapped or replayed bytes, or an edited header, do not open. */
export function sectionAad(place: SealedPlace, section: number, chain: Digest32): Uint8Array {
  const fields = new Uint8Array(sealedFieldsBytes);
  const view = new DataView(fields.buffer);
  fields[0] = frameKinds[place.kind];
  fields[1] = place.algorithm;
  fields[2] = place.compression;
  view.setUint32(3, place.sealingEpoch, true);
  setU64(view, 7, place.view);
  setU64(view, 15, place.durableHead);
  view.setUint16(23, section, true);
  return pae(aadDomain, place.logId, fields, chain);
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

function sealedBytes({ ciphertext, tag }: EncodedSection): number {
  return ciphertext.length + tag.length;
}

/** The bytes of a frame, with its lengths, seal digest and checksums. The caller owns them. */
export function encodeFrame(fields: PhysicalFields, contents: FrameContents): Uint8Array {
  const { logicalHeader, leaves, sections, chain } = contents;
  let sectionBytes = 0;
  for (const section of sections) sectionBytes += sectionHeaderBytes + sealedBytes(section);
  const bodyStart = physicalHeaderBytes + logicalHeader.length;
  const unpadded = bodyStart + leaves.length + sectionBytes + digestsBytes;
  const frameLength = Math.ceil(unpadded / frameAlignment) * frameAlignment + trailer.length;
  const writer = new Writer(frameLength);
  writer.u32(frameMagic);
  writer.u8(formatRevision);
  writer.u8(frameKinds[fields.kind]);
  writer.u8(fields.algorithm);
  writer.u8(fields.compression);
  writer.u32(frameLength);
  writer.u32(logicalHeader.length);
  writer.u32(frameLength - bodyStart);
  writer.u32(fields.sealingEpoch);
  writer.u64(fields.view);
  writer.u64(fields.durableHead);
  writer.raw(fields.epochSalt);
  const crcOffset = writer.skip(16);
  writer.raw(logicalHeader);
  writer.raw(leaves);
  const sectionsStart = writer.length;
  for (const section of sections) {
    writer.u32(sealedBytes(section));
    writer.u32(section.secretNumber);
    writer.raw(section.commitment);
    writer.raw(section.nonce);
    writer.raw(section.ciphertext);
    writer.raw(section.tag);
  }
  const sectionsEnd = writer.length;
  const digestOffset = writer.skip(32);
  writer.raw(chain);
  writer.skip(frameLength - trailer.length - writer.length);
  writer.raw(trailer);
  assert(writer.length === frameLength, 'a frame has the length that its header says');
  const bytes = writer.view();
  sha256Into(bytes, digestOffset, bytes.subarray(sectionsStart, sectionsEnd));
  writer.u32At(crcOffset, crc32(bytes.subarray(bodyStart)));
  writer.u32At(crcOffset + 4, crc32(logicalHeader));
  writer.u32At(crcOffset + 12, crc32(bytes.subarray(0, physicalHeaderBytes - 4)));
  return bytes;
}
