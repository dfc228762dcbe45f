/**
 * LIKE in time linear in the text: a pattern is cut at its % into segments, each found at its first
 * place after the one before it. A segment without _ is searched by Knuth, Morris and Pratt; one with
 * _ by shift-and, 32 pattern characters a step.
 */
import { VerityError } from '../../base/index.ts';

/** A pattern character: a code, or -1 for _. */
type Segment = readonly number[];

interface Pattern {
  readonly text: string;
  readonly escape: string;
  /** The parts between %; at least one. Without any % the one segment is the whole text. */
  readonly segments: readonly Segment[];
  /** Whether an _ is in it, which must count a surrogate pair as one character. */
  readonly hasAny: boolean;
}

const anyCharacter = -1;
/** Longest segment with _: bounds the work per character of the text to 128 words. */
const mixedSegmentMax = 4_096;
const lastCodePoint = 0x10ffff;
const surrogates = /[\ud800-\udfff]/;
let latest: Pattern | undefined;

/** Whether `text` matches `pattern`: % any characters, _ one, `escape` ('' for none) takes the next as it is. */
export function like(text: string, pattern: string, escape: string): boolean {
  if (latest === undefined || latest.text !== pattern || latest.escape !== escape)
    latest = compile(pattern, escape);
  const { segments, hasAny } = latest;
  const codes = hasAny && surrogates.test(text) ? codePoints(text) : text;
  const first = segments[0] as Segment;
  if (!matchesAt(codes, first, 0)) return false;
  if (segments.length === 1) return codes.length === first.length;
  const last = segments[segments.length - 1] as Segment;
  const end = codes.length - last.length;
  let at = first.length;
  for (let index = 1; index < segments.length - 1; index++) {
    at = find(codes, segments[index] as Segment, at, end);
    if (at === -1) return false;
  }
  return end >= at && matchesAt(codes, last, end);
}

/** What every match of a pattern (with the usual escape) begins with. */
export function likePrefix(pattern: string): string {
  let prefix = '';
  for (let index = 0; index < pattern.length; index++) {
    const character = pattern.charAt(index);
    if (character === '%' || character === '_') break;
    prefix += character === '\\' ? pattern.charAt(++index) : character;
  }
  return prefix;
}

/** The least text behind all that begin with `prefix`; undefined if there is none. */
export function behindPrefix(prefix: string): string | undefined {
  const codes = codePoints(prefix);
  while (codes.at(-1) === lastCodePoint) codes.pop();
  const last = codes.pop();
  if (last === undefined) return undefined;
  // Surrogates are no characters of their own.
  const next = last === 0xd7ff ? 0xe000 : last + 1;
  return `${codes.map((code) => String.fromCodePoint(code)).join('')}${String.fromCodePoint(next)}`;
}

type Codes = string | readonly number[];

const codeAt = (codes: Codes, index: number): number =>
  typeof codes === 'string' ? codes.charCodeAt(index) : (codes[index] as number);

function codePoints(text: string): number[] {
  const codes: number[] = [];
  for (const character of text) codes.push(character.codePointAt(0) as number);
  return codes;
}

function compile(pattern: string, escape: string): Pattern {
  if (Array.from(escape).length > 1) {
    throw new VerityError('INVALID_ESCAPE', 'The escape of LIKE must be one character or empty.');
  }
  // With _ the pattern is in code points, so that _ takes a whole character; without, units are the same and cheaper.
  const hasAny = pattern.includes('_');
  const codes = hasAny
    ? codePoints(pattern)
    : Array.from({ length: pattern.length }, (_, index) => pattern.charCodeAt(index));
  const escapeCode =
    escape === '' ? undefined : hasAny ? escape.codePointAt(0) : escape.charCodeAt(0);
  const segments: number[][] = [[]];
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] as number;
    const segment = segments[segments.length - 1] as number[];
    if (code === escapeCode) {
      const next = codes[++index];
      if (next === undefined) {
        throw new VerityError(
          'INVALID_ESCAPE',
          'A LIKE pattern ends with its escape character; double it to mean the character itself.',
        );
      }
      segment.push(next);
    } else if (code === 0x25) {
      segments.push([]);
    } else {
      segment.push(code === 0x5f ? anyCharacter : code);
    }
  }
  const mixed = segments.find(
    (segment) => segment.length > mixedSegmentMax && segment.includes(anyCharacter),
  );
  if (mixed !== undefined) {
    throw new VerityError(
      'VALUE_TOO_LARGE',
      `A part of a LIKE pattern with _ exceeds ${mixedSegmentMax} characters; shorten it.`,
    );
  }
  return { text: pattern, escape, segments, hasAny };
}

function matchesAt(codes: Codes, segment: Segment, at: number): boolean {
  if (at < 0 || at + segment.length > codes.length) return false;
  for (let index = 0; index < segment.length; index++) {
    const code = segment[index] as number;
    if (code !== anyCharacter && code !== codeAt(codes, at + index)) return false;
  }
  return true;
}

/** The index after the first occurrence of `segment` within [from, end), or -1. */
function find(codes: Codes, segment: Segment, from: number, end: number): number {
  if (from + segment.length > end) return -1;
  if (segment.length === 0) return from;
  return segment.includes(anyCharacter)
    ? findMixed(codes, segment, from, end)
    : findPlain(codes, segment, from, end);
}

function findPlain(codes: Codes, segment: Segment, from: number, end: number): number {
  const borders = bordersOf(segment);
  let matched = 0;
  for (let index = from; index < end; index++) {
    const code = codeAt(codes, index);
    while (matched > 0 && segment[matched] !== code) matched = borders[matched - 1] as number;
    if (segment[matched] === code) matched++;
    if (matched === segment.length) return index + 1;
  }
  return -1;
}

/** For each prefix, the length of its longest proper prefix that is also its suffix. */
function bordersOf(segment: Segment): Int32Array {
  const borders = new Int32Array(segment.length);
  let matched = 0;
  for (let index = 1; index < segment.length; index++) {
    while (matched > 0 && segment[matched] !== segment[index])
      matched = borders[matched - 1] as number;
    if (segment[matched] === segment[index]) matched++;
    borders[index] = matched;
  }
  return borders;
}

/** Shift-and: bit i of the state says that the last i + 1 characters match the segment's first i + 1. */
function findMixed(codes: Codes, segment: Segment, from: number, end: number): number {
  const words = (segment.length + 31) >> 5;
  const { masks, others } = masksOf(segment, words);
  const state = new Int32Array(words);
  const lastBit = 1 << ((segment.length - 1) & 31);
  for (let index = from; index < end; index++) {
    const mask = masks.get(codeAt(codes, index)) ?? others;
    let carry = 1;
    for (let word = 0; word < words; word++) {
      const before = state[word] as number;
      state[word] = ((before << 1) | carry) & (mask[word] as number);
      carry = before >>> 31;
    }
    if (((state[words - 1] as number) & lastBit) !== 0) return index + 1;
  }
  return -1;
}

function masksOf(
  segment: Segment,
  words: number,
): { masks: Map<number, Int32Array>; others: Int32Array } {
  const others = new Int32Array(words);
  segment.forEach((code, index) => {
    if (code === anyCharacter) setBit(others, index);
  });
  const masks = new Map<number, Int32Array>();
  segment.forEach((code, index) => {
    if (code === anyCharacter) return;
    const mask = masks.get(code) ?? others.slice();
    setBit(mask, index);
    masks.set(code, mask);
  });
  return { masks, others };
}

function setBit(mask: Int32Array, index: number): void {
  mask[index >> 5] = (mask[index >> 5] as number) | (1 << (index & 31));
}
