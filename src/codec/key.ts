/**
 * Values as keys whose byte order is the order of the values (StoreKey: one char a byte).
 *
 * Each column: 01 and the value, or 02 for NULL, so that NULLs come last.
 *
 * | type                        | value                                                          |
 * |-----------------------------|----------------------------------------------------------------|
 * | smallint; integer, date     | two's complement with the sign bit flipped, big-endian, 2; 4   |
 * | bigint, timestamp, timestamptz | the same in 8 bytes                                         |
 * | real, double precision      | IEEE 754 big-endian; positive: sign bit flipped, negative: all bits flipped; -0 as 0; NaN last |
 * | boolean                     | 0 or 1                                                         |
 * | uuid                        | 16 bytes                                                       |
 * | text, varchar               | UTF-8, 00                                                      |
 * | bytea                       | 00 as 00 FF, end 00 00                                         |
 * | numeric, jsonb              | see key-number.ts, key-json.ts                                 |
 *
 * Invariants: equal values give equal keys and unequal ones unequal keys; no column's bytes are the
 * beginning of another value's bytes, so the key of leading columns is a prefix of exactly the keys
 * that agree in these columns.
 */
import {
  assert,
  type ColumnType,
  limits,
  type StoreKey,
  type Value,
  VerityError,
} from '../base/index.ts';
import { decodeJsonKey, encodeJsonKey } from './key-json.ts';
import { decodeNumericKey, encodeNumericKey } from './key-number.ts';
import {
  decodeBytesKey,
  decodeTextKey,
  encodeBytesKey,
  encodeTextKey,
  type KeyPart,
} from './key-text.ts';
import { DecodeError } from './reader.ts';
import { uuidFromBytes, uuidToBytes } from './uuid-text.ts';

const nullMark = '\x02';
const nullMarkCode = 2;
const valueMarkCode = 1;
const dateInfinity = 0x7fff_ffff;
const dateMinusInfinity = -0x8000_0000;
const scratch = new DataView(new ArrayBuffer(8));
const uuidScratch = new Uint8Array(16);

/**
 * The key of `values`, one a type. `types` may be the leading columns only: see keyPrefixRange.
 * Throws VALUE_TOO_LARGE when the key exceeds limits.keyBytesMax.
 */
export function encodeKey(types: readonly ColumnType[], values: readonly Value[]): StoreKey {
  const key = encodeBoundKey(types, values);
  if (key.length > limits.keyBytesMax) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `A key takes ${key.length} bytes; the limit is ${limits.keyBytesMax}. Index a shorter column, such as a digest of this one.`,
      { details: { sizeBytes: key.length, sizeBytesMax: limits.keyBytesMax } },
    );
  }
  return key;
}

/** As encodeKey, of any length: a key to compare stored ones with. */
export function encodeBoundKey(types: readonly ColumnType[], values: readonly Value[]): StoreKey {
  assert(values.length === types.length, 'a key has one value for each column');
  let key = '';
  for (let index = 0; index < types.length; index++) {
    const value = values[index] as Value;
    key += value === null ? nullMark : encodeColumn(types[index] as ColumnType, value);
  }
  return key as StoreKey;
}

function encodeColumn(type: ColumnType, value: NonNullable<Value>): string {
  switch (type.name) {
    case 'uuid':
      return encodeUuid(value as string);
    case 'text':
    case 'varchar':
      return `\x01${encodeTextKey(value as string)}`;
    case 'smallint':
      return encodeSmallint(value as number);
    case 'integer':
      return encodeInt32(value as number);
    case 'date':
      return encodeInt32(
        value === Infinity
          ? dateInfinity
          : value === -Infinity
            ? dateMinusInfinity
            : (value as number),
      );
    case 'bigint':
    case 'timestamp':
    case 'timestamptz':
      scratch.setBigInt64(0, value as bigint);
      return encode64(scratch.getInt32(0) ^ 0x8000_0000, scratch.getInt32(4));
    case 'boolean':
      return value === true ? '\x01\x01' : '\x01\0';
    case 'real':
      return encodeReal(value as number);
    case 'double precision':
      return encodeDouble(value as number);
    case 'numeric':
      return `\x01${encodeNumericKey(value as string)}`;
    case 'bytea':
      return `\x01${encodeBytesKey(value as Uint8Array)}`;
    case 'jsonb':
      return `\x01${encodeJsonKey(value as string)}`;
    case 'interval':
      return `\x01${encodeNumericKey(intervalLength(value as string))}`;
  }
}

/** Microseconds, as intervals compare: a month has 30 days, a day 24 hours. Only rows in memory are told apart by it. */
function intervalLength(interval: string): string {
  const [months = 0n, days = 0n, micros = 0n] = interval.split(' ').map(BigInt);
  return String((months * 30n + days) * 86_400_000_000n + micros);
}

function encodeUuid(uuid: string): string {
  const b = uuidScratch;
  uuidToBytes(uuid, b);
  return String.fromCharCode(
    valueMarkCode,
    b[0]!,
    b[1]!,
    b[2]!,
    b[3]!,
    b[4]!,
    b[5]!,
    b[6]!,
    b[7]!,
    b[8]!,
    b[9]!,
    b[10]!,
    b[11]!,
    b[12]!,
    b[13]!,
    b[14]!,
    b[15]!,
  );
}

function encodeSmallint(value: number): string {
  const biased = value + 0x8000;
  assert(biased >= 0 && biased <= 0xffff, 'the value is a smallint');
  return String.fromCharCode(valueMarkCode, biased >> 8, biased & 0xff);
}

function encodeInt32(value: number): string {
  assert((value | 0) === value, 'the value is a 32-bit whole number');
  return encode32(value ^ 0x8000_0000);
}

function encode32(bits: number): string {
  return String.fromCharCode(
    valueMarkCode,
    bits >>> 24,
    (bits >>> 16) & 0xff,
    (bits >>> 8) & 0xff,
    bits & 0xff,
  );
}

function encode64(high: number, low: number): string {
  return String.fromCharCode(
    valueMarkCode,
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

function encodeReal(value: number): string {
  if (value !== value) return '\x01\xff\xc0\0\0';
  // Adding 0 turns -0 into 0.
  scratch.setFloat32(0, value + 0);
  const bits = scratch.getInt32(0);
  return encode32(bits < 0 ? ~bits : bits ^ 0x8000_0000);
}

function encodeDouble(value: number): string {
  if (value !== value) return '\x01\xff\xf8\0\0\0\0\0\0';
  scratch.setFloat64(0, value + 0);
  const high = scratch.getInt32(0);
  const low = scratch.getInt32(4);
  return high < 0 ? encode64(~high, ~low) : encode64(high ^ 0x8000_0000, low);
}

/** The values of a whole key. Numbers of numeric and jsonb come back at their smallest scale, -0 as 0. Throws DecodeError. */
export function decodeKey(types: readonly ColumnType[], key: StoreKey): Value[] {
  const values: Value[] = [];
  let at = 0;
  for (const type of types) {
    const part = decodeKeyColumn(type, key, at);
    values.push(part.value);
    at = part.end;
  }
  if (at !== key.length) throw new DecodeError('bytes are left over', at);
  return values;
}

/** The value of the column that begins at `at` in a key, and where it ends. Throws DecodeError. */
export function decodeKeyColumn(type: ColumnType, key: string, at: number): KeyPart<Value> {
  const mark = key.charCodeAt(at);
  if (mark === nullMarkCode) return { value: null, end: at + 1 };
  if (mark === valueMarkCode) return decodeColumn(type, key, at + 1);
  throw new DecodeError('a key column begins with neither mark', at);
}

function decodeColumn(type: ColumnType, key: string, at: number): KeyPart<Value> {
  switch (type.name) {
    case 'uuid':
      return { value: decodeUuid(key, at), end: at + 16 };
    case 'text':
    case 'varchar':
      return decodeTextKey(key, at);
    case 'smallint':
      return { value: unsigned(key, at, 2) - 0x8000, end: at + 2 };
    case 'integer':
      return { value: unsigned(key, at, 4) - 0x8000_0000, end: at + 4 };
    case 'date':
      return { value: decodeDate(unsigned(key, at, 4) - 0x8000_0000), end: at + 4 };
    case 'bigint':
    case 'timestamp':
    case 'timestamptz':
      scratch.setInt32(0, unsigned(key, at, 4) ^ 0x8000_0000);
      scratch.setInt32(4, unsigned(key, at + 4, 4));
      return { value: scratch.getBigInt64(0), end: at + 8 };
    case 'boolean':
      return { value: decodeBoolean(key, at), end: at + 1 };
    case 'real':
      return { value: decodeReal(key, at), end: at + 4 };
    case 'double precision':
      return { value: decodeDouble(key, at), end: at + 8 };
    case 'numeric':
      return decodeNumericKey(key, at);
    case 'bytea':
      return decodeBytesKey(key, at);
    case 'jsonb':
      return decodeJsonKey(key, at);
    case 'interval':
      throw new DecodeError('an interval is no part of a stored key', at);
  }
}

function unsigned(key: string, at: number, count: number): number {
  if (at + count > key.length) throw new DecodeError('bytes end early', key.length);
  let value = 0;
  for (let index = at; index < at + count; index++) value = value * 0x100 + key.charCodeAt(index);
  return value;
}

function decodeUuid(key: string, at: number): string {
  if (at + 16 > key.length) throw new DecodeError('bytes end early', key.length);
  for (let index = 0; index < 16; index++) uuidScratch[index] = key.charCodeAt(at + index);
  return uuidFromBytes(uuidScratch, 0);
}

function decodeDate(days: number): number {
  if (days === dateInfinity) return Infinity;
  return days === dateMinusInfinity ? -Infinity : days;
}

function decodeBoolean(key: string, at: number): boolean {
  const byte = unsigned(key, at, 1);
  if (byte > 1) throw new DecodeError('a boolean is neither 0 nor 1', at);
  return byte === 1;
}

function decodeReal(key: string, at: number): number {
  const bits = unsigned(key, at, 4) | 0;
  scratch.setInt32(0, bits < 0 ? bits ^ 0x8000_0000 : ~bits);
  const value = scratch.getFloat32(0);
  return checkFloat(value, encodeReal(value), key, at);
}

function decodeDouble(key: string, at: number): number {
  const high = unsigned(key, at, 4) | 0;
  const low = unsigned(key, at + 4, 4);
  scratch.setInt32(0, high < 0 ? high ^ 0x8000_0000 : ~high);
  scratch.setInt32(4, high < 0 ? low : ~low);
  const value = scratch.getFloat64(0);
  return checkFloat(value, encodeDouble(value), key, at);
}

/** Refuses bytes that encodeKey never makes: -0, and NaN with a sign or payload. */
function checkFloat(value: number, encoded: string, key: string, at: number): number {
  if (encoded !== key.slice(at - 1, at - 1 + encoded.length))
    throw new DecodeError('a float key is malformed', at);
  return value;
}

/** The range of exactly the keys that start with `key`: those whose leading columns are the ones it was made of. */
export function keyPrefixRange(key: StoreKey): { readonly from: StoreKey; readonly to: StoreKey } {
  let last = key.length - 1;
  while (last >= 0 && key.charCodeAt(last) === 0xff) last--;
  // No key begins with FF: columns begin with 01 or 02, descending ones with FE or FD, and row ids with a byte below 20.
  if (last < 0) return { from: key, to: '\xff' as StoreKey };
  const to = key.slice(0, last) + String.fromCharCode(key.charCodeAt(last) + 1);
  return { from: key, to: to as StoreKey };
}

/** The key of a row without primary key: 8 bytes, big-endian. `id` is a whole number from 0 to 2^53 - 1. */
export function rowIdKey(id: number): StoreKey {
  assert(Number.isSafeInteger(id) && id >= 0, 'a row id is a safe whole number');
  const high = Math.floor(id / 0x1_0000_0000);
  const low = id >>> 0;
  return String.fromCharCode(
    0,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  ) as StoreKey;
}

/** The row id that rowIdKey made the key of. Throws DecodeError. */
export function rowIdOfKey(key: StoreKey): number {
  if (key.length !== 8) throw new DecodeError('a row id key is not 8 bytes', 0);
  const id = unsigned(key, 0, 8);
  if (!Number.isSafeInteger(id)) throw new DecodeError('a row id exceeds 2^53', 0);
  return id;
}
