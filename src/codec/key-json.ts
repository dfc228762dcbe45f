/**
 * jsonb as order-preserving bytes, in PostgreSQL's order: by kind (null < string < number < boolean <
 * array < object), containers then by their count, then element by element or member by member (name,
 * value). A top-level scalar sorts as an array of one element, before real arrays of one element.
 */
import { DecodeError } from './reader.ts';
import {
  type JsonMember,
  type JsonNode,
  jsonDepthMax,
  JsonTextError,
  parseJsonText,
} from './json-text.ts';
import { decodeNumericKey, encodeNumericKey } from './key-number.ts';
import { decodeTextKey, encodeTextKey, type KeyPart } from './key-text.ts';

const tag = { null: 1, string: 2, number: 3, boolean: 4, array: 5, object: 6 } as const;
const scalarMark = '\0';
const arrayMark = '\x01';

/** The key bytes of canonical jsonb text. */
export function encodeJsonKey(text: string): string {
  const node = parseJsonText(text);
  if (node.kind === 'object') return encodeNode(node);
  if (node.kind !== 'array')
    return String.fromCharCode(tag.array) + count(1) + scalarMark + encodeNode(node);
  const items = node.items.map(encodeNode).join('');
  return String.fromCharCode(tag.array) + count(node.items.length) + arrayMark + items;
}

function encodeNode(node: JsonNode): string {
  const start = String.fromCharCode(tag[node.kind]);
  switch (node.kind) {
    case 'null':
      return start;
    case 'string':
      return start + encodeTextKey(node.value);
    case 'number':
      return start + encodeNumericKey(node.text);
    case 'boolean':
      return start + (node.value ? '\x01' : '\0');
    case 'array':
      return start + count(node.items.length) + node.items.map(encodeNode).join('');
    case 'object':
      return start + count(node.members.length) + node.members.map(encodeMember).join('');
  }
}

function encodeMember({ name, value }: JsonMember): string {
  return encodeTextKey(name) + encodeNode(value);
}

function count(value: number): string {
  return String.fromCharCode(
    value >>> 24,
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  );
}

/**
 * The canonical text (numbers at their smallest scale) that starts at `start`. Throws DecodeError, also for bytes that
 * encodeJsonKey never makes: with a second spelling of a key one could prove that a row that is there is not.
 */
export function decodeJsonKey(key: string, start: number): KeyPart<string> {
  const decoder = new KeyDecoder(key, start);
  const value = decoder.top();
  if (encodedAgain(value) !== key.slice(start, decoder.at))
    throw new DecodeError('a jsonb key is malformed', start);
  return { value, end: decoder.at };
}

/** Undefined where the text is not JSON: keys of numbers can be infinite, JSON's cannot. */
function encodedAgain(text: string): string | undefined {
  try {
    return encodeJsonKey(text);
  } catch (error) {
    if (error instanceof JsonTextError) return undefined;
    throw error;
  }
}

class KeyDecoder {
  readonly #key: string;
  at: number;

  constructor(key: string, at: number) {
    this.#key = key;
    this.at = at;
  }

  top(): string {
    if (this.#key.charCodeAt(this.at) !== tag.array) return this.#node(1);
    this.at++;
    const items = this.#count();
    const mark = this.#byte();
    if (mark > 1 || (mark === 0 && items !== 1)) this.#fail();
    return mark === 0 ? this.#node(1) : this.#array(items, 1);
  }

  #node(depth: number): string {
    if (depth > jsonDepthMax + 1) this.#fail();
    switch (this.#byte()) {
      case tag.null:
        return 'null';
      case tag.string:
        return JSON.stringify(this.#take(decodeTextKey(this.#key, this.at)));
      case tag.number:
        return this.#take(decodeNumericKey(this.#key, this.at));
      case tag.boolean:
        return this.#boolean();
      case tag.array:
        return this.#array(this.#count(), depth);
      case tag.object:
        return this.#object(this.#count(), depth);
      default:
        return this.#fail();
    }
  }

  #boolean(): string {
    const byte = this.#byte();
    if (byte > 1) this.#fail();
    return byte === 1 ? 'true' : 'false';
  }

  #array(items: number, depth: number): string {
    const texts: string[] = [];
    for (let index = 0; index < items; index++) texts.push(this.#node(depth + 1));
    return `[${texts.join(', ')}]`;
  }

  #object(members: number, depth: number): string {
    const texts: string[] = [];
    let before = '';
    for (let index = 0; index < members; index++) {
      const start = this.at;
      const name = JSON.stringify(this.#take(decodeTextKey(this.#key, start)));
      const bytes = this.#key.slice(start, this.at);
      if (index > 0 && !isBefore(before, bytes)) this.#fail();
      before = bytes;
      texts.push(`${name}: ${this.#node(depth + 1)}`);
    }
    return `{${texts.join(', ')}}`;
  }

  #count(): number {
    const high = (this.#byte() << 16) | (this.#byte() << 8) | this.#byte();
    return high * 0x100 + this.#byte();
  }

  #byte(): number {
    const byte = this.#key.charCodeAt(this.at);
    if (Number.isNaN(byte)) throw new DecodeError('bytes end early', this.at);
    this.at++;
    return byte;
  }

  #take<T>(part: KeyPart<T>): T {
    this.at = part.end;
    return part.value;
  }

  #fail(): never {
    throw new DecodeError('a jsonb key is malformed', this.at);
  }
}

/** The order of the members of jsonb: shorter names first, then by their bytes. */
function isBefore(left: string, right: string): boolean {
  return left.length === right.length ? left < right : left.length < right.length;
}
