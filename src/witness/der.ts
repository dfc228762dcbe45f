/** DER (X.690): what time stamps need of it. Every length has one form, nothing is left over, and nothing is read beyond its bounds. */
import { concatBytes, VerityError } from '../base/index.ts';

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** [0] and [1], constructed. */
  context0: 0xa0,
  context1: 0xa1,
} as const;

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** Tag, length and content. */
  readonly whole: Uint8Array;
}

/** A time stamp is refused for its form. */
export function badForm(what: string): VerityError {
  return new VerityError('TIMESTAMP_INVALID', `The time stamp is malformed: ${what}.`);
}

/** Reads the values that stand side by side in `bytes`. */
export class DerReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of the next value, or undefined at the end. */
  peek(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The next value, which has this tag (any, when none is given). Throws TIMESTAMP_INVALID. */
  next(tag?: number): DerValue {
    const start = this.#at;
    const found = this.#byte();
    if ((found & 0x1f) === 0x1f) throw badForm('a tag has more than one byte');
    if (tag !== undefined && found !== tag) {
      throw badForm(`tag 0x${found.toString(16)} stands where 0x${tag.toString(16)} belongs`);
    }
    const length = this.#length();
    if (length > this.#bytes.length - this.#at) throw badForm('a value ends behind its container');
    this.#at += length;
    return {
      tag: found,
      content: this.#bytes.subarray(this.#at - length, this.#at),
      whole: this.#bytes.subarray(start, this.#at),
    };
  }

  /** What is in the next value, a container of this tag. */
  into(tag: number): DerReader {
    return new DerReader(this.next(tag).content);
  }

  /** The next value if it has this tag. */
  optional(tag: number): DerValue | undefined {
    return this.peek() === tag ? this.next(tag) : undefined;
  }

  /** Throws TIMESTAMP_INVALID unless everything was read. */
  end(): void {
    if (!this.isAtEnd) throw badForm('something stands behind the last value');
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw badForm('it is cut short');
    return byte;
  }

  #length(): number {
    const first = this.#byte();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0 || count > 3) throw badForm('a length is indefinite or too large');
    let length = 0;
    for (let left = count; left > 0; left--) length = length * 256 + this.#byte();
    const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : 3;
    if (count !== shortest) throw badForm('a length is longer than it need be');
    return length;
  }
}

/** The one value that `bytes` are, as a container of `tag`. */
export function readContainer(bytes: Uint8Array, tag: number): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.into(tag);
  outer.end();
  return inner;
}

/** An object identifier's dotted form. */
export function oidText(content: Uint8Array): string {
  const arcs: number[] = [];
  let arc = 0;
  for (const byte of content) {
    arc = arc * 128 + (byte & 0x7f);
    if (!Number.isSafeInteger(arc)) throw badForm('an object identifier is too large');
    if (byte >= 0x80) continue;
    if (arcs.length === 0) {
      const first = Math.min(Math.floor(arc / 40), 2);
      arcs.push(first, arc - first * 40);
    } else arcs.push(arc);
    arc = 0;
  }
  return arcs.join('.');
}

/** The algorithm of an AlgorithmIdentifier, the next value; its parameters are for who knows the algorithm. */
export function readAlgorithm(reader: DerReader): string {
  const inner = reader.into(tags.sequence);
  return oidText(inner.next(tags.oid).content);
}

/** A value of `tag` around `parts`. */
export function der(tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...parts);
  const { length } = content;
  const head =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return concatBytes(Uint8Array.of(tag, ...head), content);
}
