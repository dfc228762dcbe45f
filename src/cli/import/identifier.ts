import { utf8Length } from '../../base/index.ts';
import { usageError } from '../failure.ts';

/** PostgreSQL cuts longer names silently; we refuse them. */
const identifierBytesMax = 63;

/**
 * A name as SQL would read it: `"Exact Name"` within double quotes stands as it is, anything else is
 * folded to lower case (ASCII letters only, as PostgreSQL does).
 */
export function readIdentifier(text: string): string {
  const quoted = /^"((?:[^"]|"")+)"$/.exec(text);
  return quoted === null ? foldCase(text) : (quoted[1] as string).replaceAll('""', '"');
}

/** Lower case of ASCII letters. */
export function foldCase(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** `name` for use in SQL text. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Why `name` cannot be a table's or column's name, or undefined. */
export function identifierProblem(name: string): string | undefined {
  if (name.length === 0) return 'the name is empty.';
  if (name.includes('\0')) return 'the name holds a NUL character.';
  if (utf8Length(name) > identifierBytesMax)
    return `the name is longer than ${identifierBytesMax} bytes.`;
  return undefined;
}

/**
 * The table a file goes into unless one is named: the file's name without its ending, in lower case,
 * everything but letters, digits and underscores replaced by `_`. Throws INVALID_ARGUMENT if nothing is left.
 */
export function tableNameOf(path: string): string {
  const file = path.split(/[/\\]/).at(-1) ?? '';
  const stem = file.replace(/\.[^.]*$/, '');
  const name = foldCase(stem)
    .replace(/[^\p{L}\p{N}_]+/gu, '_')
    .replace(/^_+|_+$/g, '');
  const prefixed = /^\p{N}/u.test(name) ? `t_${name}` : name;
  if (identifierProblem(prefixed) !== undefined) {
    throw usageError(`The name of ${path} does not make a table name. Choose one with --table.`);
  }
  return prefixed;
}
