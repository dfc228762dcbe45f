/**
 * Rows as bytes, revision 1.
 *
 * | part        | bytes                                                                  |
 * |-------------|------------------------------------------------------------------------|
 * | null bitmap | ceil(columns / 8); bit i of byte i >> 3 (lowest first) set: NULL       |
 * | values      | every non-null value in column order, without padding                  |
 * | groups      | the same two again for each group of columns added since (row-groups.ts) |
 *
 * | type                        | value                                                    |
 * |-----------------------------|----------------------------------------------------------|
 * | smallint, integer           | zigzag varint                                            |
 * | bigint, timestamp, timestamptz | i64                                                   |
 * | real, double precision      | f32, f64; NaN only as the quiet NaN without payload      |
 * | numeric                     | varint length, canonical ASCII text                      |
 * | text, varchar, jsonb        | varint length, UTF-8 without U+0000                      |
 * | boolean                     | one byte, 0 or 1                                         |
 * | bytea                       | varint length, bytes                                     |
 * | date                        | i32 days; the extremes are -infinity and infinity        |
 * | uuid                        | 16 bytes                                                 |
 *
 * A text, varchar, jsonb or bytea value that is kept in a file of its own has, in the place of its length, the
 * length 2³² − 1, and behind it the reference of blob-reference.ts.
 *
 * Invariants: whole numbers are little-endian; one row has exactly one encoding, and decode refuses
 * every other (the text of a jsonb value is held as it is, canonical by the SQL layer's doing).
 */
import {
  assert,
  type ColumnType,
  limits,
  type TypeName,
  type Value,
  VerityError,
  utf8Length,
} from '../base/index.ts';
import {
  asStoredValue,
  BlobReference,
  blobReferenceBytes,
  encodeBlobReference,
  decodeBlobReference,
} from './blob-reference.ts';
import { DecodeError } from './reader.ts';
import { decodeNumericText, decodeText } from './row-text.ts';
import { uuidFromBytes, uuidToBytes } from './uuid-text.ts';
import type { Writer } from './writer.ts';

/** Encodes and decodes rows of one list of column types. Holds no state between calls. */
export interface RowCodec {
  /** Appends the row. Throws VALUE_TOO_LARGE; the writer then holds a part of the row to truncate. */
  encode(writer: Writer, values: readonly Value[]): void;
  /** The row's values, owned by the caller. Throws DecodeError on anything but one whole row. */
  decode(bytes: Uint8Array): Value[];
  /**
   * The values of the columns with these ordinals, which ascend, each at its column's place; NULL stands for all others.
   * Throws DecodeError; does not look at what is behind the last of them.
   */
  decodeSome(bytes: Uint8Array, ordinals: readonly number[]): Value[];
  /** One column's value; skips those before it and ignores those after it. Throws DecodeError. */
  decodeColumn(bytes: Uint8Array, ordinal: number): Value;
}

const form = {
  smallint: 0,
  integer: 1,
  int64: 2,
  real: 3,
  double: 4,
  numeric: 5,
  text: 6,
  boolean: 7,
  bytea: 8,
  date: 9,
  uuid: 10,
} as const;

const formOf: Readonly<Record<TypeName, number>> = {
  smallint: form.smallint,
  integer: form.integer,
  bigint: form.int64,
  real: form.real,
  'double precision': form.double,
  numeric: form.numeric,
  text: form.text,
  varchar: form.text,
  boolean: form.boolean,
  bytea: form.bytea,
  date: form.date,
  timestamp: form.int64,
  timestamptz: form.int64,
  uuid: form.uuid,
  jsonb: form.text,
  // Of no column: rows that are stored have none.
  interval: form.text,
};

const dateInfinity = 0x7fff_ffff;
const dateMinusInfinity = -0x8000_0000;
/** In the place of a value's length: a reference follows. No value is that long. */
const referenceMark = 0xffff_ffff;
const realNaN = 0x7fc0_0000;
const doubleNaNHigh = 0x7ff8_0000;
const uuidScratch = new Uint8Array(16);
const scratch = new DataView(new ArrayBuffer(8));

/** Compiles the codec of a schema version's columns. */
export function rowCodec(types: readonly ColumnType[]): RowCodec {
  const forms = Uint8Array.from(types, (type) => formOf[type.name]);
  const bitmapBytes = (forms.length + 7) >> 3;
  return {
    encode(writer, values) {
      assert(values.length === forms.length, 'a row has one value for each column');
      writeBitmap(writer, values);
      for (let index = 0; index < forms.length; index++) {
        const value = values[index] as Value;
        if (value !== null) writeValue(forms[index] as number, writer, value);
      }
    },
    decode(bytes) {
      checkBitmap(bytes, forms.length, bitmapBytes);
      cursor = bitmapBytes;
      const values = new Array<Value>(forms.length);
      for (let index = 0; index < forms.length; index++) {
        values[index] = isNull(bytes, index) ? null : readValue(forms[index] as number, bytes);
      }
      if (cursor !== bytes.length) throw new DecodeError('bytes are left over', cursor);
      return values;
    },
    decodeSome(bytes, ordinals) {
      checkBitmap(bytes, forms.length, bitmapBytes);
      cursor = bitmapBytes;
      const values = new Array<Value>(forms.length).fill(null);
      for (let index = 0, next = 0; next < ordinals.length; index++) {
        const isAsked = index === ordinals[next];
        if (isAsked) next += 1;
        if (isNull(bytes, index)) continue;
        if (isAsked) values[index] = readValue(forms[index] as number, bytes);
        else skipValue(forms[index] as number, bytes);
      }
      return values;
    },
    decodeColumn(bytes, ordinal) {
      assert(ordinal >= 0 && ordinal < forms.length, 'the ordinal names a column');
      checkBitmap(bytes, forms.length, bitmapBytes);
      if (isNull(bytes, ordinal)) return null;
      cursor = bitmapBytes;
      for (let index = 0; index < ordinal; index++) {
        if (!isNull(bytes, index)) skipValue(forms[index] as number, bytes);
      }
      return readValue(forms[ordinal] as number, bytes);
    },
  };
}

/** A part of a row: the bitmap and the values of some of its columns, anywhere in its bytes. */
export interface RowPart {
  /** Appends the part; `values` are those of its columns. */
  encode(writer: Writer, values: readonly Value[]): void;
  /** Appends the part's values to `values`; returns where the part ends. Throws DecodeError. */
  decode(bytes: Uint8Array, start: number, values: Value[]): number;
  /** Appends to `ends` where the part's bitmap and each of its values end, of NULL where it would begin; returns where the part ends. */
  cut(bytes: Uint8Array, start: number, ends: number[]): number;
}

export function rowPart(types: readonly ColumnType[]): RowPart {
  const forms = Uint8Array.from(types, (type) => formOf[type.name]);
  const bitmapBytes = (forms.length + 7) >> 3;
  const whole = rowCodec(types);
  return {
    encode: (writer, values) => whole.encode(writer, values),
    decode: (bytes, start, values) => {
      const bitmap = bytes.subarray(start, start + bitmapBytes);
      checkBitmap(bitmap, forms.length, bitmapBytes);
      cursor = start + bitmapBytes;
      for (let index = 0; index < forms.length; index++) {
        values.push(isNull(bitmap, index) ? null : readValue(forms[index] as number, bytes));
      }
      return cursor;
    },
    cut: (bytes, start, ends) => {
      cursor = start + bitmapBytes;
      ends.push(cursor);
      for (let index = 0; index < forms.length; index++) {
        const bits = bytes[start + (index >> 3)] as number;
        if (((bits >> (index & 7)) & 1) === 0) skipValue(forms[index] as number, bytes);
        ends.push(cursor);
      }
      return cursor;
    },
  };
}

function writeBitmap(writer: Writer, values: readonly Value[]): void {
  for (let start = 0; start < values.length; start += 8) {
    const end = Math.min(start + 8, values.length);
    let bits = 0;
    for (let index = start; index < end; index++) {
      if (values[index] === null) bits |= 1 << (index - start);
    }
    writer.u8(bits);
  }
}

function checkBitmap(bytes: Uint8Array, count: number, bitmapBytes: number): void {
  if (bytes.length < bitmapBytes) throw new DecodeError('bytes end early', 0);
  const used = count & 7;
  if (used !== 0 && (bytes[bitmapBytes - 1] as number) >> used !== 0) {
    throw new DecodeError('an unused null bit is set', bitmapBytes - 1);
  }
}

function isNull(bytes: Uint8Array, index: number): boolean {
  return (((bytes[index >> 3] as number) >> (index & 7)) & 1) === 1;
}

function writeValue(kind: number, writer: Writer, value: NonNullable<Value>): void {
  switch (kind) {
    case form.smallint:
    case form.integer:
      writeInteger(writer, value, kind === form.smallint ? 16 : 32);
      return;
    case form.int64:
      assert(
        typeof value === 'bigint' && BigInt.asIntN(64, value) === value,
        'the value is an i64',
      );
      writer.i64(value);
      return;
    case form.real:
      assert(typeof value === 'number', 'the value is a number');
      assert(Math.fround(value) === value || value !== value, 'the value is a float32');
      if (value !== value) writer.u32(realNaN);
      else writer.f32(value);
      return;
    case form.double:
      assert(typeof value === 'number', 'the value is a number');
      if (value === value) writer.f64(value);
      else {
        writer.u32(0);
        writer.u32(doubleNaNHigh);
      }
      return;
    case form.numeric:
    case form.text:
      if (value instanceof BlobReference) {
        writeReference(kind === form.text && value.isText, writer, value);
        return;
      }
      assert(typeof value === 'string', 'the value is a string');
      if (value.length * 3 > limits.valueBytesMax) checkSize(utf8Length(value));
      writer.text(value);
      return;
    case form.boolean:
      assert(typeof value === 'boolean', 'the value is a boolean');
      writer.u8(value ? 1 : 0);
      return;
    case form.bytea:
      if (value instanceof BlobReference) {
        writeReference(!value.isText, writer, value);
        return;
      }
      assert(value instanceof Uint8Array, 'the value is bytes');
      checkSize(value.length);
      writer.bytes(value);
      return;
    case form.date:
      writeDate(writer, value);
      return;
    default:
      assert(typeof value === 'string', 'the value is a string');
      uuidToBytes(value, uuidScratch);
      writer.raw(uuidScratch);
  }
}

function writeReference(fits: boolean, writer: Writer, reference: BlobReference): void {
  assert(fits, 'a reference is of a value of the column');
  writer.varint(referenceMark);
  encodeBlobReference(writer, reference);
}

function checkSize(sizeBytes: number): void {
  if (sizeBytes <= limits.valueBytesMax) return;
  throw new VerityError(
    'VALUE_TOO_LARGE',
    `A value takes ${sizeBytes} bytes; the limit is ${limits.valueBytesMax}. Split it, or keep it outside and store its digest.`,
    { details: { sizeBytes, sizeBytesMax: limits.valueBytesMax } },
  );
}

function writeInteger(writer: Writer, value: NonNullable<Value>, bits: 16 | 32): void {
  assert(typeof value === 'number', 'the value is a number');
  const whole = value | 0;
  // An exact comparison, so that a fraction, NaN or anything wider than 32 bits cannot pass.
  assert(whole === value, 'the value is a 32-bit whole number');
  assert(bits === 32 || (whole << 16) >> 16 === whole, 'the value is a 16-bit whole number');
  writer.varint(((whole << 1) ^ (whole >> 31)) >>> 0);
}

function writeDate(writer: Writer, value: NonNullable<Value>): void {
  assert(typeof value === 'number', 'the value is a number');
  if (value === Infinity) writer.i32(dateInfinity);
  else if (value === -Infinity) writer.i32(dateMinusInfinity);
  else {
    assert((value | 0) === value, 'the date is a 32-bit number of days');
    assert(value !== dateInfinity && value !== dateMinusInfinity, 'the date is finite');
    writer.i32(value);
  }
}

/** Where the next value starts. A module variable, not an object: decode runs for every row that is read. */
let cursor = 0;

function take(bytes: Uint8Array, count: number): number {
  const at = cursor;
  if (count > bytes.length - at) throw new DecodeError('bytes end early', at);
  cursor = at + count;
  return at;
}

function readValue(kind: number, bytes: Uint8Array): NonNullable<Value> {
  switch (kind) {
    case form.smallint:
      return readInteger(bytes, 16);
    case form.integer:
      return readInteger(bytes, 32);
    case form.int64:
      load64(bytes, take(bytes, 8));
      return scratch.getBigInt64(0, true);
    case form.real:
      return readReal(bytes, take(bytes, 4));
    case form.double:
      return readDouble(bytes, take(bytes, 8));
    case form.numeric: {
      const length = readLength(bytes);
      return decodeNumericText(bytes, take(bytes, length), cursor);
    }
    case form.text: {
      const length = readLength(bytes);
      if (length === referenceMark) return readReference(bytes, true);
      return decodeText(bytes, take(bytes, length), cursor);
    }
    case form.boolean: {
      const at = take(bytes, 1);
      const byte = bytes[at] as number;
      if (byte > 1) throw new DecodeError('a boolean is neither 0 nor 1', at);
      return byte === 1;
    }
    case form.bytea: {
      const length = readLength(bytes);
      if (length === referenceMark) return readReference(bytes, false);
      if (length > limits.valueBytesMax) throw new DecodeError('a bytea is too long', cursor);
      // A copy: the row's bytes belong to the store, which may use them again.
      return bytes.slice(take(bytes, length), cursor);
    }
    case form.date: {
      const days = loadInt32(bytes, take(bytes, 4));
      if (days === dateInfinity) return Infinity;
      return days === dateMinusInfinity ? -Infinity : days;
    }
    default:
      return uuidFromBytes(bytes, take(bytes, 16));
  }
}

function skipValue(kind: number, bytes: Uint8Array): void {
  switch (kind) {
    case form.smallint:
    case form.integer:
      readVarint32(bytes);
      return;
    case form.int64:
    case form.double:
      take(bytes, 8);
      return;
    case form.real:
    case form.date:
      take(bytes, 4);
      return;
    case form.boolean:
      take(bytes, 1);
      return;
    case form.uuid:
      take(bytes, 16);
      return;
    default: {
      const length = readLength(bytes);
      take(bytes, length === referenceMark ? blobReferenceBytes : length);
    }
  }
}

function readReference(bytes: Uint8Array, isText: boolean): NonNullable<Value> {
  const at = take(bytes, blobReferenceBytes);
  return asStoredValue(decodeBlobReference(bytes.subarray(at, cursor), isText));
}

function readInteger(bytes: Uint8Array, bits: 16 | 32): number {
  const start = cursor;
  const zigzag = readVarint32(bytes);
  const value = (zigzag >>> 1) ^ -(zigzag & 1);
  if (bits === 16 && (value << 16) >> 16 !== value)
    throw new DecodeError('a smallint is out of range', start);
  return value;
}

function readLength(bytes: Uint8Array): number {
  const at = cursor;
  const first = bytes[at];
  if (first !== undefined && first < 0x80) {
    cursor = at + 1;
    return first;
  }
  return readVarint32(bytes);
}

/** LEB128 of at most 32 bits, in its shortest form. */
function readVarint32(bytes: Uint8Array): number {
  const start = cursor;
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[take(bytes, 1)] as number;
    if (shift === 28 && byte > 0x0f) throw new DecodeError('a number exceeds 32 bits', start);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (byte === 0 && shift > 0)
        throw new DecodeError('a number is not in its shortest form', start);
      return value >>> 0;
    }
  }
  throw new DecodeError('a number is too long', start);
}

function loadInt32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

function load64(bytes: Uint8Array, at: number): void {
  scratch.setInt32(0, loadInt32(bytes, at), true);
  scratch.setInt32(4, loadInt32(bytes, at + 4), true);
}

function readReal(bytes: Uint8Array, at: number): number {
  const bits = loadInt32(bytes, at);
  scratch.setInt32(0, bits, true);
  const value = scratch.getFloat32(0, true);
  if (value !== value && bits !== realNaN) throw new DecodeError('a NaN is not canonical', at);
  return value;
}

function readDouble(bytes: Uint8Array, at: number): number {
  load64(bytes, at);
  const value = scratch.getFloat64(0, true);
  if (
    value !== value &&
    (loadInt32(bytes, at) !== 0 || loadInt32(bytes, at + 4) !== doubleNaNHigh)
  ) {
    throw new DecodeError('a NaN is not canonical', at);
  }
  return value;
}
