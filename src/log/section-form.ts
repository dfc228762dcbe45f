/**
 * What is sealed of a section. Without compression that is the section itself: seed, then records. With it
 * (docs/format/log.md, Sealing) a byte behind the seed tells whether this section's records were compressed;
 * being sealed, it is as authentic as they are.
 */
import { assert } from '../base/index.ts';
import { Reader, type Writer } from '../codec/index.ts';
import {
  type Compression,
  compressBytes,
  compressionId,
  expandBytes,
  seedBytes,
} from '../crypto/index.ts';

const forms = { stored: 0, compressed: 1 } as const;
/** The length that stands before compressed records, which must not eat up what was gained. */
const compressedHeaderBytes = 4;
/** Shorter records hardly shrink, and the call costs more than the bytes. */
const compressedBytesMin = 256;

/** The bytes to seal of a section, in `writer`'s memory or in the section's own. */
export function packSection(
  section: Uint8Array,
  compression: Compression,
  writer: Writer,
): Uint8Array {
  if (compression === 'none') return section;
  assert(section.length >= seedBytes, 'a section begins with its seed');
  const records = section.subarray(seedBytes);
  writer.reset();
  writer.raw(section.subarray(0, seedBytes));
  const compressed =
    records.length < compressedBytesMin
      ? undefined
      : compressBytes(records, records.length - compressedHeaderBytes);
  if (compressed === undefined) {
    writer.u8(forms.stored);
    writer.raw(records);
  } else {
    writer.u8(forms.compressed);
    writer.u32(records.length);
    writer.raw(compressed);
    compressed.fill(0);
  }
  return writer.view();
}

/** The records of a section that was opened, or undefined if they are malformed or longer than `bytesMax`. */
export function unpackRecords(
  opened: Uint8Array,
  compression: number,
  bytesMax: number,
): Uint8Array | undefined {
  const records = opened.subarray(seedBytes);
  if (compression === compressionId('none')) return records.length > bytesMax ? undefined : records;
  if (records.length === 0) return undefined;
  const reader = new Reader(records);
  const form = reader.u8();
  if (form === forms.stored) return reader.raw(reader.remaining);
  if (form !== forms.compressed || reader.remaining < compressedHeaderBytes) return undefined;
  const length = reader.u32();
  if (length > bytesMax) return undefined;
  return expandBytes(reader.raw(reader.remaining), length);
}
