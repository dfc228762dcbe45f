/**
 * JSON text (RFC 8259) as a tree that keeps the digits of numbers, which JSON.parse would round.
 *
 * Invariants: strings are well-formed Unicode without U+0000; nesting is at most `jsonDepthMax`, so
 * that recursion is bounded for everything that walks a tree made here.
 */
export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'boolean'; readonly value: boolean }
  /** The number as it was written. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  /** Members in the text's order, a repeated name as often as it stands there. */
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] };

export interface JsonMember {
  readonly name: string;
  readonly value: JsonNode;
}

/** Deepest nesting of arrays and objects. */
export const jsonDepthMax = 500;

/** The text is not JSON that we take. The message names no part of the text. */
export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  readonly reason: 'syntax' | 'unicode' | 'depth';

  constructor(reason: 'syntax' | 'unicode' | 'depth', what: string) {
    super(what);
    this.reason = reason;
  }
}

const nullNode: JsonNode = { kind: 'null' };
const trueNode: JsonNode = { kind: 'boolean', value: true };
const falseNode: JsonNode = { kind: 'boolean', value: false };

/** Parses one JSON value, surrounded by white space or not. Throws JsonTextError. */
export function parseJsonText(text: string): JsonNode {
  const parser = new Parser(text);
  const node = parser.value(0);
  parser.end();
  return node;
}

class Parser {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): JsonNode {
    this.#skipSpace();
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(depth + 1);
      case '[':
        return this.#array(depth + 1);
      case '"':
        return { kind: 'string', value: this.#string() };
      case 't':
        return this.#word('true', trueNode);
      case 'f':
        return this.#word('false', falseNode);
      case 'n':
        return this.#word('null', nullNode);
      default:
        return { kind: 'number', text: this.#number() };
    }
  }

  end(): void {
    this.#skipSpace();
    if (this.#at !== this.#text.length) this.#fail('there is more after the value');
  }

  #object(depth: number): JsonNode {
    this.#enter(depth);
    const members: JsonMember[] = [];
    if (this.#takeIf('}')) return { kind: 'object', members };
    do {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"')
        this.#fail('a member must begin with a name in double quotes');
      const name = this.#string();
      if (!this.#takeIf(':')) this.#fail('a colon must follow a name');
      members.push({ name, value: this.value(depth) });
    } while (this.#takeIf(','));
    if (!this.#takeIf('}')) this.#fail('an object does not end');
    return { kind: 'object', members };
  }

  #array(depth: number): JsonNode {
    this.#enter(depth);
    const items: JsonNode[] = [];
    if (this.#takeIf(']')) return { kind: 'array', items };
    do {
      items.push(this.value(depth));
    } while (this.#takeIf(','));
    if (!this.#takeIf(']')) this.#fail('an array does not end');
    return { kind: 'array', items };
  }

  #enter(depth: number): void {
    if (depth > jsonDepthMax) {
      throw new JsonTextError('depth', `it nests deeper than ${jsonDepthMax} levels`);
    }
    this.#at++;
  }

  /** The string whose opening quote is next. Runs without escapes are cut out whole. */
  #string(): string {
    const text = this.#text;
    let value = '';
    let start = ++this.#at;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) {
        value += text.slice(start, this.#at++);
        return isWellFormed(value) ? value : this.#badUnicode();
      }
      // NaN at the end of the text fails here too.
      if (!(code >= 0x20)) this.#fail('a string does not end, or holds a bare control character');
      if (code === 0x5c) {
        value += text.slice(start, this.#at) + this.#escape();
        start = this.#at;
      } else {
        this.#at++;
      }
    }
  }

  #escape(): string {
    const letter = this.#text.charAt(this.#at + 1);
    const plain = escapes[letter];
    if (plain !== undefined) {
      this.#at += 2;
      return plain;
    }
    const digits = this.#text.slice(this.#at + 2, this.#at + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail('an escape is malformed');
    const code = Number.parseInt(digits, 16);
    if (code === 0) this.#badUnicode();
    this.#at += 6;
    return String.fromCharCode(code);
  }

  #number(): string {
    numberPattern.lastIndex = this.#at;
    const found = numberPattern.exec(this.#text);
    if (found === null) this.#fail('a value is missing or is none of JSON');
    this.#at = numberPattern.lastIndex;
    return found[0];
  }

  #word(word: string, node: JsonNode): JsonNode {
    if (!this.#text.startsWith(word, this.#at)) this.#fail('a value is missing or is none of JSON');
    this.#at += word.length;
    return node;
  }

  #takeIf(letter: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== letter) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #fail(what: string): never {
    throw new JsonTextError('syntax', what);
  }

  #badUnicode(): never {
    throw new JsonTextError('unicode', 'a string holds U+0000 or half of a surrogate pair');
  }
}

const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

const escapes: Readonly<Record<string, string>> = {
  __proto__: null as never,
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
