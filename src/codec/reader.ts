import { utf8Decode } from '../base/index.ts';

/** Bytes end early, a number is out of range, or text is not UTF-8. The caller knows file and offset and reports them. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  /** Where in the reader's bytes. */
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(what);
    this.offset = offset;
  }
}

/** Reads little-endian values; every read is bounds-checked and throws DecodeError. Returned arrays are views. */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset: number;
  readonly #end: number;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#offset = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }
  get remaining(): number {
    return this.#end - this.#offset;
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }
  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }
  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }
  u64(): number {
    const at = this.#take(8);
    const high = this.#view.getUint32(at + 4, true);
    if (high > 0x1f_ffff) throw new DecodeError('a number exceeds 2^53', at);
    return high * 0x1_0000_0000 + this.#view.getUint32(at, true);
  }
  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }
  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }
  f32(): number {
    return this.#view.getFloat32(this.#take(4), true);
  }
  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  /** LEB128; only the shortest form is accepted, so that one value has one encoding. */
  varint(): number {
    const start = this.#offset;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw new DecodeError('a number exceeds 2^53', start);
        if (byte === 0 && count > 0)
          throw new DecodeError('a number is not in its shortest form', start);
        return value;
      }
      scale *= 0x80;
    }
    throw new DecodeError('a number is too long', start);
  }

  raw(count: number): Uint8Array {
    const at = this.#take(count);
    return this.#bytes.subarray(at, at + count);
  }

  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  text(): string {
    const length = this.varint();
    const at = this.#take(length);
    try {
      return utf8Decode(this.#bytes, at, at + length);
    } catch {
      throw new DecodeError('text is not UTF-8', at);
    }
  }

  binary(): string {
    const length = this.varint();
    const at = this.#take(length);
    let text = '';
    for (let index = at; index < at + length; index++) {
      text += String.fromCharCode(this.#bytes[index] as number);
    }
    return text;
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.#offset !== this.#end) throw new DecodeError('bytes are left over', this.#offset);
  }

  #take(count: number): number {
    const at = this.#offset;
    if (count > this.#end - at) throw new DecodeError('bytes end early', at);
    this.#offset = at + count;
    return at;
  }
}
