import { assert, utf8Write } from '../base/index.ts';

/** Up to here a loop beats the call of `set`. */
const copiedByHandMax = 24;

/**
 * A growing little-endian byte buffer. `finish` copies the bytes out; `reset` keeps the memory, so one
 * writer serves many records. Whole numbers are checked against their width.
 */
export class Writer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  get length(): number {
    return this.#length;
  }

  /** The written bytes from `start`, without a copy: valid until they are written over after a reset, truncate or wipe. */
  view(start = 0): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(start, this.#length);
  }

  /** A copy of the written bytes. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  reset(): void {
    this.#length = 0;
  }

  /** Wipes all memory this writer holds; for buffers that carried plaintext. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  /** Moves the end back to `length`, dropping what was written after it. */
  truncate(length: number): void {
    assert(length <= this.#length, 'a writer only truncates to what it has');
    this.#length = length;
  }

  /** Makes room for `count` more bytes and returns the offset where they start; the bytes are zero. */
  skip(count: number): number {
    this.#reserve(count);
    const offset = this.#length;
    this.#bytes.fill(0, offset, offset + count);
    this.#length += count;
    return offset;
  }

  u8(value: number): void {
    assert(value >= 0 && value <= 0xff, 'u8 in range');
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  u16(value: number): void {
    assert(value >= 0 && value <= 0xffff, 'u16 in range');
    this.#reserve(2);
    this.#view.setUint16(this.#length, value, true);
    this.#length += 2;
  }

  u32(value: number): void {
    assert(value >= 0 && value <= 0xffff_ffff, 'u32 in range');
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** Overwrites four bytes already written. */
  u32At(offset: number, value: number): void {
    assert(offset + 4 <= this.#length, 'u32At lies within what is written');
    this.#view.setUint32(offset, value, true);
  }

  /** A whole number up to 2^53 - 1 in eight bytes. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'u64 is a safe whole number');
    this.#reserve(8);
    this.#view.setUint32(this.#length, value >>> 0, true);
    this.#view.setUint32(this.#length + 4, Math.floor(value / 0x1_0000_0000), true);
    this.#length += 8;
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#view.setInt32(this.#length, value, true);
    this.#length += 4;
  }

  i64(value: bigint): void {
    this.#reserve(8);
    this.#view.setBigInt64(this.#length, value, true);
    this.#length += 8;
  }

  f32(value: number): void {
    this.#reserve(4);
    this.#view.setFloat32(this.#length, value, true);
    this.#length += 4;
  }

  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** LEB128, up to 2^53 - 1. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'varint is a safe whole number');
    this.#reserve(8);
    let rest = value;
    // Beyond 31 bits the quick shifts would lose the high ones: four groups of 7 bits first, and 25 bits remain.
    if (value > 0x7fff_ffff) {
      rest = Math.floor(value / 0x1000_0000);
      const low = value - rest * 0x1000_0000;
      this.#bytes[this.#length++] = (low & 0x7f) | 0x80;
      this.#bytes[this.#length++] = ((low >>> 7) & 0x7f) | 0x80;
      this.#bytes[this.#length++] = ((low >>> 14) & 0x7f) | 0x80;
      this.#bytes[this.#length++] = ((low >>> 21) & 0x7f) | 0x80;
    }
    while (rest > 0x7f) {
      this.#bytes[this.#length++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#length++] = rest;
  }

  raw(bytes: Uint8Array): void {
    const length = bytes.length;
    this.#reserve(length);
    if (length <= copiedByHandMax) {
      const target = this.#bytes;
      const at = this.#length;
      for (let index = 0; index < length; index++) target[at + index] = bytes[index] as number;
    } else {
      this.#bytes.set(bytes, this.#length);
    }
    this.#length += length;
  }

  /** Length as varint, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length);
    this.raw(bytes);
  }

  /**
   * Starts bytes whose length, a varint in front of them, is known only when they are written; returns
   * where they start. `lengthBytes` is the size to expect of that varint: another one costs a move.
   */
  beginBytes(lengthBytes: 1 | 2): number {
    this.#reserve(lengthBytes);
    this.#length += lengthBytes;
    return this.#length;
  }

  /** Ends what `beginBytes(lengthBytes)` started at `start`; returns where the bytes start now. */
  endBytes(start: number, lengthBytes: 1 | 2): number {
    const end = this.#length;
    const length = end - start;
    let needed = 1;
    for (let rest = length; rest > 0x7f; rest >>>= 7) needed += 1;
    const moved = start - lengthBytes + needed;
    if (moved !== start) {
      this.#reserve(needed);
      this.#bytes.copyWithin(moved, start, end);
    }
    let at = start - lengthBytes;
    for (let rest = length; at < moved; rest >>>= 7) {
      this.#bytes[at] = rest > 0x7f ? (rest & 0x7f) | 0x80 : rest;
      at += 1;
    }
    this.#length = moved + length;
    return moved;
  }

  /** UTF-8 length as varint, then the UTF-8 bytes. */
  text(text: string): void {
    const roomMax = text.length * 3;
    this.#reserve(roomMax + 8);
    const start = this.#length;
    // The length takes one byte when the text is short; otherwise write behind the longest prefix and move.
    if (roomMax < 0x80) {
      const written = utf8Write(text, this.#bytes, start + 1);
      this.#bytes[start] = written;
      this.#length = start + 1 + written;
      return;
    }
    const written = utf8Write(text, this.#bytes, start + 8);
    this.varint(written);
    this.#bytes.copyWithin(this.#length, start + 8, start + 8 + written);
    this.#length += written;
  }

  /** A binary string (char codes 0–255): length as varint, then one byte a char. */
  binary(text: string): void {
    const length = text.length;
    this.varint(length);
    this.#reserve(length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let index = 0; index < length; index++) bytes[at++] = text.charCodeAt(index);
    this.#length = at;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
    this.#view = new DataView(grown.buffer);
  }
}
