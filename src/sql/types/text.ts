/** text and varchar: what may be in them, how they compare, how varchar(n) cuts. */
import { sqlError, type TypeName } from '../../base/index.ts';

/** Returns `text`, or throws INVALID_TEXT if it holds U+0000 or half of a surrogate pair. */
export function checkText(type: TypeName, text: string): string {
  if (isShortAndPlain(text)) return text;
  if (text.includes('\0')) {
    throw sqlError(
      'INVALID_TEXT',
      `A ${type} value cannot hold the character U+0000. Use bytea for binary data.`,
    );
  }
  if (!isWellFormed(text)) {
    throw sqlError(
      'INVALID_TEXT',
      `A ${type} value holds half of a surrogate pair. Pass well-formed Unicode.`,
    );
  }
  return text;
}

const shortLength = 64;

/** Whether a short text plainly holds neither; asking the two methods takes longer than reading it. */
function isShortAndPlain(text: string): boolean {
  if (text.length > shortLength) return false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0 || code >= 0xd800) return false;
  }
  return true;
}

/** The standard method of ES2024, which every supported Node has and the ES2023 types do not. */
function isWellFormed(text: string): boolean {
  return (text as unknown as { isWellFormed(): boolean }).isWellFormed();
}

/** By code point: the order of UTF-8, which differs from that of UTF-16 units from U+E000 on. */
export function compareText(left: string, right: string): -1 | 0 | 1 {
  if (left === right) return 0;
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at++) {
    const a = left.charCodeAt(at);
    const b = right.charCodeAt(at);
    if (a !== b) {
      // Two units of surrogate pairs or above: surrogates stand for U+10000 and on.
      if (a >= 0xd800 && b >= 0xd800) return rank(a) < rank(b) ? -1 : 1;
      return a < b ? -1 : 1;
    }
  }
  return left.length < right.length ? -1 : 1;
}

function rank(unit: number): number {
  return unit >= 0xe000 ? unit - 0x2000 : unit + 0x2000;
}

/** The text cut to `length` code points; undefined if it is not longer. */
function cut(text: string, length: number): string | undefined {
  if (text.length <= length) return undefined;
  let at = 0;
  for (let count = 0; count < length && at < text.length; count++) {
    at += (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
  }
  return at >= text.length ? undefined : text.slice(0, at);
}

/** varchar(n) on assignment: excess characters must be spaces and are dropped. Throws STRING_TOO_LONG. */
export function assignLength(text: string, length: number): string {
  const kept = cut(text, length);
  if (kept === undefined) return text;
  for (let at = kept.length; at < text.length; at++) {
    if (text.charCodeAt(at) !== 0x20) {
      throw sqlError(
        'STRING_TOO_LONG',
        `The text is too long for varchar(${length}). Shorten it, or use a longer type.`,
      );
    }
  }
  return kept;
}

/** varchar(n) by an explicit cast: excess characters are dropped. */
export function truncateLength(text: string, length: number): string {
  return cut(text, length) ?? text;
}
