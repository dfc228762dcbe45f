import { utf8Length } from '../../base/index.ts';

/** The text that was parsed, and the way from the parser's UTF-8 byte offsets to indices of the text. */
export class SourceText {
  readonly text: string;
  readonly #ascii: boolean;
  #index = 0;
  #byte = 0;

  constructor(text: string) {
    this.text = text;
    this.#ascii = utf8Length(text) === text.length;
  }

  /** The UTF-16 index of the character at UTF-8 offset `byte`. Ascending calls walk the text once. */
  indexOfByte(byte: number): number {
    if (this.#ascii) return Math.min(byte, this.text.length);
    if (byte < this.#byte) {
      this.#index = 0;
      this.#byte = 0;
    }
    while (this.#byte < byte && this.#index < this.text.length) {
      const code = this.text.codePointAt(this.#index) as number;
      this.#byte += code <= 0x7f ? 1 : code <= 0x7ff ? 2 : code <= 0xffff ? 3 : 4;
      this.#index += code > 0xffff ? 2 : 1;
    }
    return this.#index;
  }

  /** The UTF-16 index of the character that `count` code points precede: how the parser counts in its errors. */
  indexOfCodePoint(count: number): number {
    let index = 0;
    for (let left = count; left > 0 && index < this.text.length; left--) {
      index += (this.text.codePointAt(index) as number) > 0xffff ? 2 : 1;
    }
    return index;
  }
}
