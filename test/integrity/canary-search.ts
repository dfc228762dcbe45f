/** Searches files for given texts and bytes in every form that a careless program would write them in. */
import type { ColumnType, Value } from '../../src/base/index.ts';
import { encodeKey, rowCodec, Writer } from '../../src/codec/index.ts';
import type { DiskImage } from './disk-image.ts';

export interface Needle {
  readonly what: string;
  readonly form: string;
  readonly bytes: Buffer;
}

/** Shorter needles would be found in random bytes by chance. */
const needleBytesMin = 6;
const windowBytes = 8;

const long = ({ bytes }: Needle): boolean => bytes.length >= needleBytesMin;

/** `text` in UTF-8, UTF-16 of both orders, and the UTF-8 bytes in the forms of `byteForms`. */
export function textForms(what: string, text: string): Needle[] {
  const utf16 = Buffer.from(text, 'utf16le');
  return [
    ...byteForms(what, Buffer.from(text, 'utf8')),
    { what, form: 'UTF-16LE', bytes: utf16 },
    { what, form: 'UTF-16BE', bytes: Buffer.from(utf16).swap16() },
  ].filter(long);
}

/** Bytes as they are, in hex of both cases, and in base64 at each of its three alignments. */
export function byteForms(what: string, source: Uint8Array): Needle[] {
  const bytes = Buffer.from(source);
  const needles: Needle[] = [
    { what, form: 'bytes', bytes },
    { what, form: 'hex', bytes: Buffer.from(bytes.toString('hex')) },
    { what, form: 'HEX', bytes: Buffer.from(bytes.toString('hex').toUpperCase()) },
  ];
  for (const alphabet of ['base64', 'base64url'] as const) {
    for (let shift = 0; shift < 3; shift++) {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString(alphabet);
      // Characters that also carry bits of the neighbours are left out.
      const start = Math.ceil((shift * 8) / 6);
      const end = Math.floor(((shift + bytes.length) * 8) / 6);
      needles.push({
        what,
        form: `${alphabet} at ${shift}`,
        bytes: Buffer.from(text.slice(start, end)),
      });
    }
  }
  return needles.filter(long);
}

/** A value in our own encodings: as a row, as a key, and a whole number as a varint. */
export function ownForms(what: string, type: ColumnType, value: Value): Needle[] {
  const row = new Writer();
  rowCodec([type]).encode(row, [value]);
  const needles: Needle[] = [
    // Without the marks of NULLs before them.
    { what, form: 'row', bytes: Buffer.from(row.finish().subarray(1)) },
    { what, form: 'key', bytes: Buffer.from(encodeKey([type], [value]).slice(1), 'latin1') },
  ];
  if (typeof value === 'bigint' && value > 0 && value <= Number.MAX_SAFE_INTEGER) {
    const varint = new Writer();
    varint.varint(Number(value));
    needles.push({ what, form: 'varint', bytes: Buffer.from(varint.finish()) });
  }
  return needles.filter(long);
}

/** Every stretch of eight bytes of encoded data: finds values too short to be searched alone. */
export function windowForms(what: string, bytes: Uint8Array): Needle[] {
  const needles: Needle[] = [];
  for (let start = 0; start + windowBytes <= bytes.length; start++) {
    const window = Buffer.from(bytes.subarray(start, start + windowBytes));
    // Zeros and the like lie everywhere.
    if (new Set(window).size >= 4)
      needles.push({ what, form: `window at ${start}`, bytes: window });
  }
  return needles;
}

/** Where needles lie, as "file at offset: what as form", at most one for each file and needle. */
export function findNeedles(image: DiskImage, needles: readonly Needle[]): string[] {
  const found: string[] = [];
  for (const [path, content] of image) {
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
    for (const { what, form, bytes: needle } of needles) {
      const offset = bytes.indexOf(needle);
      if (offset !== -1) found.push(`${path} at ${offset}: ${what} as ${form}`);
    }
  }
  return found;
}
