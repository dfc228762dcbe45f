/** jsonb: canonical text in PostgreSQL's way, order, and the scalars within. */
import { limits, sqlError, utf8Length, VerityError } from '../../base/index.ts';
import { type JsonNode, JsonTextError, parseJsonText } from '../../codec/index.ts';
import { numericCompare } from './numeric.ts';
import { parseNumeric } from './numeric-text.ts';
import { compareText } from './text.ts';

/**
 * Reads JSON text and returns the canonical one: members by length of name then bytes, the last of a
 * repeated name, ': ' and ', ' between, numbers with their digits and without exponent.
 * Throws INVALID_TEXT, STATEMENT_TOO_COMPLEX, VALUE_TOO_LARGE, NUMERIC_OUT_OF_RANGE.
 */
export function parseJsonb(text: string): string {
  return new Printer().print(parse(text));
}

function parse(text: string): JsonNode {
  try {
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    if (error.reason === 'depth') {
      throw sqlError(
        'STATEMENT_TOO_COMPLEX',
        `A jsonb value is too deep: ${error.message}. Flatten it.`,
      );
    }
    throw sqlError(
      'INVALID_TEXT',
      `The text is not a value of type jsonb: ${error.message}. Write JSON (RFC 8259).`,
    );
  }
}

class Printer {
  /** Characters of numbers so far: an exponent of six characters may stand for 131,072 digits. */
  #numberLength = 0;

  print(node: JsonNode): string {
    switch (node.kind) {
      case 'null':
        return 'null';
      case 'boolean':
        return node.value ? 'true' : 'false';
      case 'number':
        return this.#number(node.text);
      case 'string':
        return quote(node.value);
      case 'array':
        return `[${node.items.map((item) => this.print(item)).join(', ')}]`;
      case 'object':
        return this.#object(node);
    }
  }

  #number(text: string): string {
    const number = parseNumeric(text);
    this.#numberLength += number.length;
    if (this.#numberLength > limits.valueBytesMax) {
      throw new VerityError(
        'VALUE_TOO_LARGE',
        `The numbers of a jsonb value take more than ${limits.valueBytesMax} bytes when written out. Store smaller numbers.`,
      );
    }
    return number;
  }

  #object({ members }: Extract<JsonNode, { kind: 'object' }>): string {
    const values = new Map<string, JsonNode>();
    for (const { name, value } of members) values.set(name, value);
    const names = [...values.keys()].sort(compareNames);
    return `{${names.map((name) => `${quote(name)}: ${this.print(values.get(name) as JsonNode)}`).join(', ')}}`;
  }
}

function compareNames(left: string, right: string): number {
  return utf8Length(left) - utf8Length(right) || compareText(left, right);
}

/** Escapes what PostgreSQL escapes: the quote, the backslash and control characters, in the same spelling. */
function quote(text: string): string {
  return JSON.stringify(text);
}

const kindRank = { null: 0, string: 1, number: 2, boolean: 3, array: 4, object: 5 } as const;

/**
 * PostgreSQL's order of jsonb: null < string < number < boolean < array < object; containers by count,
 * then by their elements in turn. At the top a scalar counts as an array of one, below real ones.
 */
export function compareJsonb(left: string, right: string): -1 | 0 | 1 {
  if (left === right) return 0;
  const a = parse(left);
  const b = parse(right);
  const aScalar = isScalar(a);
  const bScalar = isScalar(b);
  if (aScalar === bScalar) return compareNodes(a, b);
  const [container, scalarIsLeft] = aScalar ? [b, true] : [a, false];
  const containerIsLess = container.kind === 'array' && container.items.length === 0;
  return containerIsLess === scalarIsLeft ? 1 : -1;
}

function isScalar(node: JsonNode): boolean {
  return node.kind !== 'array' && node.kind !== 'object';
}

function compareNodes(a: JsonNode, b: JsonNode): -1 | 0 | 1 {
  if (a.kind === 'string' && b.kind === 'string') return compareText(a.value, b.value);
  if (a.kind === 'number' && b.kind === 'number') return numericCompare(a.text, b.text);
  if (a.kind === 'boolean' && b.kind === 'boolean') return order(Number(a.value), Number(b.value));
  if (a.kind === 'array' && b.kind === 'array') return compareArrays(a.items, b.items);
  if (a.kind === 'object' && b.kind === 'object') {
    if (a.members.length !== b.members.length) return order(a.members.length, b.members.length);
    for (const [index, member] of a.members.entries()) {
      const other = b.members[index] as typeof member;
      const result =
        compareText(member.name, other.name) || compareNodes(member.value, other.value);
      if (result !== 0) return result;
    }
    return 0;
  }
  return order(kindRank[a.kind], kindRank[b.kind]);
}

function compareArrays(a: readonly JsonNode[], b: readonly JsonNode[]): -1 | 0 | 1 {
  if (a.length !== b.length) return order(a.length, b.length);
  for (const [index, item] of a.entries()) {
    const result = compareNodes(item, b[index] as JsonNode);
    if (result !== 0) return result;
  }
  return 0;
}

function order(a: number, b: number): -1 | 0 | 1 {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The boolean or number that a canonical jsonb scalar holds; undefined for everything else. */
export function jsonbScalar(text: string): boolean | { readonly number: string } | undefined {
  const node = parse(text);
  if (node.kind === 'boolean') return node.value;
  return node.kind === 'number' ? { number: node.text } : undefined;
}
