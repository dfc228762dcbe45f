/**
 * Reads JSON of a known form in its canonical spelling (RFC 8785), and nothing else.
 *
 * Whoever knows which member comes next reads it letter by letter, so that any other spelling (white space, another order,
 * a member twice, other escapes, `1.0`) is refused by construction, nothing nests deeper than the form does, and no memory is
 * taken but for what the form asks for. Every method throws CheckFailure 'format'.
 */
import { fromBase64 } from '../proof/index.ts';
import { CheckFailure } from './checks.ts';

const quote = 0x22;
const backslash = 0x5c;
/** Sixteen digits hold 2^53 − 1. */
const numberPattern = /(?:0|[1-9][0-9]{0,15})/y;

export class CanonicalReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Whether the text goes on with `literal`. */
  sees(literal: string): boolean {
    return this.#text.startsWith(literal, this.#at);
  }

  /** Takes exactly these letters. */
  take(literal: string): void {
    if (!this.sees(literal)) this.fail(`${literal} is expected there`);
    this.#at += literal.length;
  }

  /** Takes the letters if they are next. */
  takeIf(literal: string): boolean {
    const seen = this.sees(literal);
    if (seen) this.#at += literal.length;
    return seen;
  }

  /** A whole number from 0 to 2^53 − 1. */
  number(): number {
    numberPattern.lastIndex = this.#at;
    const digits = numberPattern.exec(this.#text)?.[0];
    const value = Number(digits);
    if (digits === undefined || !Number.isSafeInteger(value))
      this.fail('a whole number below 2^53 is expected there');
    this.#at += digits.length;
    return value;
  }

  /** A string of at most `unitsMax` characters in JSON's spelling. */
  string(unitsMax: number): string {
    const start = this.#at;
    this.take('"');
    let end = this.#at;
    for (let code = this.#text.charCodeAt(end); code !== quote; code = this.#text.charCodeAt(end)) {
      // NaN behind the end fails here too.
      if (!(code >= 0x20)) this.fail('a string does not end, or holds a bare control character');
      end += code === backslash ? 2 : 1;
      if (end - start > unitsMax) this.fail(`a string is longer than ${unitsMax} characters`);
    }
    const spelled = this.#text.slice(start, end + 1);
    const value = parsed(spelled);
    if (value === undefined || /\p{Surrogate}/u.test(value) || JSON.stringify(value) !== spelled)
      this.fail('a string is not spelled canonically');
    this.#at = end + 1;
    return value;
  }

  /** The bytes of a string in canonical base64: exactly `length` of them, or at most `length.max`. */
  base64(length: number | { readonly max: number }): Uint8Array {
    this.take('"');
    const end = this.#text.indexOf('"', this.#at);
    const max = typeof length === 'number' ? length : length.max;
    if (end === -1 || end - this.#at > Math.ceil(max / 3) * 4)
      this.fail(`base64 of at most ${max} bytes is expected there`);
    const bytes = fromBase64(this.#text.slice(this.#at, end));
    if (bytes === undefined || bytes.length > max)
      this.fail(`base64 of at most ${max} bytes is expected there`);
    if (typeof length === 'number' && bytes.length !== length)
      this.fail(`base64 of ${length} bytes is expected there`);
    this.#at = end + 1;
    return bytes;
  }

  /** An array of at most `max` items. */
  array<T>(item: () => T, max: number): T[] {
    const items: T[] = [];
    this.take('[');
    if (this.takeIf(']')) return items;
    do {
      if (items.length === max) this.fail(`an array holds more than ${max} items`);
      items.push(item());
    } while (this.takeIf(','));
    this.take(']');
    return items;
  }

  /** Throws unless everything was read. */
  end(): void {
    if (this.#at !== this.#text.length) this.fail('there is more behind the end');
  }

  fail(what: string): never {
    throw new CheckFailure(
      'format',
      `The receipt is not in its canonical form: at character ${this.#at}, ${what}.`,
    );
  }
}

function parsed(spelled: string): string | undefined {
  try {
    return JSON.parse(spelled) as string;
  } catch {
    return undefined;
  }
}
