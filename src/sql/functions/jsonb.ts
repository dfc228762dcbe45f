/**
 * jsonb operators on canonical text: members keep their text, so that numbers of any size pass
 * through unharmed. Depth is bounded by what was let in as jsonb.
 */
import type { ColumnType } from '../../base/index.ts';
import { encodeKey } from '../../codec/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

type Json =
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Json>; readonly text: string }
  | { readonly kind: 'array'; readonly items: readonly Json[]; readonly text: string }
  | { readonly kind: 'string'; readonly value: string; readonly text: string }
  | { readonly kind: 'number' | 'word'; readonly text: string };

/** Where an element of the container that opens at `start` lies: [key, from, to); the key is '' in arrays. */
type Element = readonly [key: string, from: number, to: number];

const numeric: readonly ColumnType[] = [{ name: 'numeric' }];
const quote = 0x22;
const comma = 0x2c;

/** The index after the value that starts at `start` in canonical JSON text. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === quote) at = stringEnd(text, at);
    else at++;
    if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) depth--;
    if (depth === 0 && (code === quote || code === 0x7d || code === 0x5d || isWordEnd(text, at)))
      return at;
  }
  return at;
}

const isWordEnd = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return at >= text.length || code === comma || code === 0x7d || code === 0x5d || code === 0x3a;
};

function stringEnd(text: string, start: number): number {
  let at = start + 1;
  while (text.charCodeAt(at) !== quote) at += text.charCodeAt(at) === 0x5c ? 2 : 1;
  return at + 1;
}

function* elements(text: string, start: number, end: number): Generator<Element, undefined> {
  const isObject = text.charAt(start) === '{';
  let at = start + 1;
  while (at < end - 1) {
    let key = '';
    if (isObject) {
      const keyEnd = stringEnd(text, at);
      key = JSON.parse(text.slice(at, keyEnd)) as string;
      at = keyEnd + 2;
    }
    const to = valueEnd(text, at);
    yield [key, at, to];
    at = to + 2;
  }
}

function member(text: string, key: string): string | null {
  if (text.charAt(0) !== '{') return null;
  for (const [name, from, to] of elements(text, 0, text.length)) {
    if (name === key) return text.slice(from, to);
  }
  return null;
}

/** The element at `index`, from the end when negative; a scalar is an array of itself, as in PostgreSQL. */
function item(text: string, index: number): string | null {
  const first = text.charAt(0);
  if (first === '{') return null;
  if (first !== '[') return index === 0 || index === -1 ? text : null;
  const all = Array.from(elements(text, 0, text.length));
  const found = all.at(index);
  return found === undefined ? null : text.slice(found[1], found[2]);
}

/** A string's value; other values as their text; null as NULL. */
function asText(text: string | null): string | null {
  if (text === null || text === 'null') return null;
  return text.charCodeAt(0) === quote ? (JSON.parse(text) as string) : text;
}

function parse(text: string, start: number, end: number): Json {
  const own = text.slice(start, end);
  const first = text.charAt(start);
  if (first === '{') {
    const members = new Map<string, Json>();
    for (const [key, from, to] of elements(text, start, end))
      members.set(key, parse(text, from, to));
    return { kind: 'object', members, text: own };
  }
  if (first === '[') {
    const items: Json[] = [];
    for (const [, from, to] of elements(text, start, end)) items.push(parse(text, from, to));
    return { kind: 'array', items, text: own };
  }
  if (first === '"') return { kind: 'string', value: JSON.parse(own) as string, text: own };
  return { kind: first === 't' || first === 'f' || first === 'n' ? 'word' : 'number', text: own };
}

/** PostgreSQL's containment: objects by member, arrays by element in any order, others by equality. */
function contains(whole: Json, part: Json): boolean {
  if (whole.kind === 'object' && part.kind === 'object') {
    for (const [key, value] of part.members) {
      const other = whole.members.get(key);
      if (other === undefined || !contains(other, value)) return false;
    }
    return true;
  }
  if (whole.kind === 'array' && part.kind === 'array') {
    const scalars = new Set(whole.items.map(scalarKey));
    const containers = whole.items.filter(
      (other) => other.kind === 'object' || other.kind === 'array',
    );
    return part.items.every((each) => {
      const key = scalarKey(each);
      return key === undefined
        ? containers.some((other) => contains(other, each))
        : scalars.has(key);
    });
  }
  return equalScalars(whole, part);
}

/** The same text for equal scalars; undefined for objects and arrays. */
function scalarKey(json: Json): string | undefined {
  if (json.kind === 'object' || json.kind === 'array') return undefined;
  return json.kind === 'number' ? encodeKey(numeric, [json.text]) : json.text;
}

function equalScalars(left: Json, right: Json): boolean {
  const key = scalarKey(left);
  return key !== undefined && left.kind === right.kind && key === scalarKey(right);
}

function containsTop(wholeText: string, partText: string): boolean {
  const whole = parse(wholeText, 0, wholeText.length);
  const part = parse(partText, 0, partText.length);
  // As an exception, a top-level array contains a scalar that is one of its elements.
  if (whole.kind === 'array' && part.kind !== 'array' && part.kind !== 'object') {
    return whole.items.some((each) => equalScalars(each, part));
  }
  return contains(whole, part);
}

export const jsonbFunctions: readonly ScalarFunction[] = [
  scalar('->', ['jsonb', 'text'], 'jsonb', member),
  scalar('->', ['jsonb', 'integer'], 'jsonb', item),
  scalar('->>', ['jsonb', 'text'], 'text', (json: string, key: string) =>
    asText(member(json, key)),
  ),
  scalar('->>', ['jsonb', 'integer'], 'text', (json: string, index: number) =>
    asText(item(json, index)),
  ),
  scalar('@>', ['jsonb', 'jsonb'], 'boolean', containsTop),
  scalar('<@', ['jsonb', 'jsonb'], 'boolean', (part: string, whole: string) =>
    containsTop(whole, part),
  ),
];
