/**
 * Splits SQL text into PostgreSQL's tokens, following the rules of its scanner (scan.l, version 18,
 * standard_conforming_strings on). Comments and white space yield no token. Offsets are UTF-16
 * indices. Never fails: text that PostgreSQL cannot scan yields some tokens, and the parser, which
 * runs afterwards, reports the error.
 */
export type TokenKind =
  /** An identifier or keyword without quotes. */
  | 'word'
  /** "…" or U&"…". */
  | 'quotedName'
  /** '…', E'…', N'…', U&'…', B'…', X'…' or $tag$…$tag$, with its continuations on later lines. */
  | 'string'
  | 'number'
  /** $1 */
  | 'parameter'
  | 'operator'
  /** One of , ( ) [ ] . ; : or a character that starts no token. */
  | 'punctuation';

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
}

const quote = 0x27;
const doubleQuote = 0x22;
const backslash = 0x5c;
const dollar = 0x24;
const dash = 0x2d;
const slash = 0x2f;
const star = 0x2a;
const dot = 0x2e;
const underscore = 0x5f;

/** All tokens of `text`, in order. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = skipSpace(text, 0);
  while (at < text.length) {
    const token = nextToken(text, at);
    tokens.push(token);
    at = skipSpace(text, token.end);
  }
  return tokens;
}

function nextToken(text: string, start: number): Token {
  const code = text.charCodeAt(start);
  if (isNameStart(code)) return wordOrPrefixedString(text, start);
  if (code === quote) return { kind: 'string', start, end: quotedEnd(text, start, 'doubled') };
  if (code === doubleQuote) return { kind: 'quotedName', start, end: quotedNameEnd(text, start) };
  if (isDigit(code) || (code === dot && isDigit(text.charCodeAt(start + 1)))) {
    return { kind: 'number', start, end: numberEnd(text, start) };
  }
  if (code === dollar) return dollarToken(text, start);
  if (isOperator(code)) return { kind: 'operator', start, end: operatorEnd(text, start) };
  return { kind: 'punctuation', start, end: punctuationEnd(text, start) };
}

function wordOrPrefixedString(text: string, start: number): Token {
  const next = text.charCodeAt(start + 1);
  const letter = text.charCodeAt(start) | 0x20;
  if (next === quote) {
    if (letter === 0x65)
      return { kind: 'string', start, end: quotedEnd(text, start + 1, 'escaped') };
    if (letter === 0x6e)
      return { kind: 'string', start, end: quotedEnd(text, start + 1, 'doubled') };
    if (letter === 0x62 || letter === 0x78) {
      return { kind: 'string', start, end: quotedEnd(text, start + 1, 'plain') };
    }
  }
  if (letter === 0x75 && next === 0x26) {
    const third = text.charCodeAt(start + 2);
    if (third === quote)
      return { kind: 'string', start, end: quotedEnd(text, start + 2, 'doubled') };
    if (third === doubleQuote) {
      return { kind: 'quotedName', start, end: quotedNameEnd(text, start + 2) };
    }
  }
  let end = start + 1;
  while (end < text.length && isNamePart(text.charCodeAt(end))) end++;
  return { kind: 'word', start, end };
}

/**
 * The end of a string whose quote opens at `open`. 'doubled': '' is a quote; 'escaped': also \' is;
 * 'plain': neither. Segments continue the string when a newline lies between them.
 */
function quotedEnd(text: string, open: number, rule: 'doubled' | 'escaped' | 'plain'): number {
  let at = open + 1;
  for (;;) {
    while (at < text.length && text.charCodeAt(at) !== quote) {
      at += rule === 'escaped' && text.charCodeAt(at) === backslash ? 2 : 1;
    }
    if (at >= text.length) return text.length;
    at++;
    if (rule !== 'plain' && text.charCodeAt(at) === quote) {
      at++;
      continue;
    }
    const next = continuation(text, at);
    if (next === undefined) return at;
    at = next + 1;
  }
}

/** Where the quote of the next segment opens if the string that ended at `at` goes on after a newline. */
function continuation(text: string, at: number): number | undefined {
  let index = at;
  let newline = false;
  while (index < text.length) {
    const code = text.charCodeAt(index);
    if (code === 0x0a || code === 0x0d) newline = true;
    if (isSpace(code)) index++;
    else if (code === dash && text.charCodeAt(index + 1) === dash) index = lineEnd(text, index);
    else return newline && code === quote ? index : undefined;
  }
  return undefined;
}

function quotedNameEnd(text: string, open: number): number {
  let at = open + 1;
  for (;;) {
    while (at < text.length && text.charCodeAt(at) !== doubleQuote) at++;
    if (at >= text.length) return text.length;
    if (text.charCodeAt(at + 1) !== doubleQuote) return at + 1;
    at += 2;
  }
}

function dollarToken(text: string, start: number): Token {
  let at = start + 1;
  if (isDigit(text.charCodeAt(at))) {
    while (isDigit(text.charCodeAt(at))) at++;
    return { kind: 'parameter', start, end: at };
  }
  if (isNameStart(text.charCodeAt(at))) {
    at++;
    while (at < text.length && text.charCodeAt(at) !== dollar && isNamePart(text.charCodeAt(at)))
      at++;
  }
  if (text.charCodeAt(at) !== dollar) return { kind: 'punctuation', start, end: start + 1 };
  const delimiter = text.slice(start, at + 1);
  const close = text.indexOf(delimiter, at + 1);
  return { kind: 'string', start, end: close === -1 ? text.length : close + delimiter.length };
}

function numberEnd(text: string, start: number): number {
  const radix = text.charCodeAt(start + 1) | 0x20;
  if (text.charCodeAt(start) === 0x30 && (radix === 0x78 || radix === 0x6f || radix === 0x62)) {
    let end = start + 2;
    while (isHexDigit(text.charCodeAt(end)) || text.charCodeAt(end) === underscore) end++;
    if (end > start + 2) return end;
  }
  let at = digitsEnd(text, start);
  if (text.charCodeAt(at) === dot && text.charCodeAt(at + 1) !== dot) at = digitsEnd(text, at + 1);
  if ((text.charCodeAt(at) | 0x20) === 0x65) {
    const sign = text.charCodeAt(at + 1);
    const exponent = sign === dash || sign === 0x2b ? at + 2 : at + 1;
    if (isDigit(text.charCodeAt(exponent))) at = digitsEnd(text, exponent);
  }
  return at;
}

function digitsEnd(text: string, start: number): number {
  let at = start;
  while (isDigit(text.charCodeAt(at)) || (at > start && text.charCodeAt(at) === underscore)) at++;
  return at;
}

/** As long as possible, but not into a comment, and not ending in + or - unless a special sign is inside. */
function operatorEnd(text: string, start: number): number {
  let end = start;
  let special = false;
  while (end < text.length && isOperator(text.charCodeAt(end))) {
    const code = text.charCodeAt(end);
    const next = text.charCodeAt(end + 1);
    if ((code === slash && next === star) || (code === dash && next === dash)) break;
    if (specialOperators.includes(text.charAt(end))) special = true;
    end++;
  }
  while (!special && end > start + 1 && '+-'.includes(text.charAt(end - 1))) end--;
  return end;
}

function punctuationEnd(text: string, start: number): number {
  const pair = text.slice(start, start + 2);
  return start + (pair === '::' || pair === '..' || pair === ':=' ? 2 : 1);
}

/** The first index from `start` on that is neither white space nor within a comment. */
function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (isSpace(code)) at++;
    else if (code === dash && text.charCodeAt(at + 1) === dash) at = lineEnd(text, at);
    else if (code === slash && text.charCodeAt(at + 1) === star) at = blockCommentEnd(text, at);
    else return at;
  }
  return at;
}

function lineEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== 0x0a && text.charCodeAt(at) !== 0x0d) at++;
  return at;
}

/** Block comments nest. */
function blockCommentEnd(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    const next = text.charCodeAt(at + 1);
    if (code === slash && next === star) {
      depth++;
      at += 2;
    } else if (code === star && next === slash) {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else {
      at++;
    }
  }
  return text.length;
}

const specialOperators = '~!@#^&|`?%';
const operatorCodes = new Set([...'~!@#^&|`?+-*/%<>='].map((sign) => sign.charCodeAt(0)));

const isOperator = (code: number): boolean => operatorCodes.has(code);
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isHexDigit = (code: number): boolean =>
  isDigit(code) || ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x66);
const isSpace = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d);
const isNameStart = (code: number): boolean =>
  ((code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a) || code === underscore || code >= 0x80;
const isNamePart = (code: number): boolean => isNameStart(code) || isDigit(code) || code === dollar;
