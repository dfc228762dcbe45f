import { type ColumnType, sqlError, type Value } from '../../base/index.ts';
import { parseBytea } from './bytea.ts';
import { parseDate, parseTimestamp } from './datetime-parse.ts';
import { invalidText } from './errors.ts';
import { parseDouble, parseReal } from './float.ts';
import { parseInterval } from './interval.ts';
import { parseInteger } from './integer.ts';
import { parseJsonb } from './jsonb.ts';
import { applyPrecision, parseNumeric, trimSpace } from './numeric-text.ts';
import { assignLength, checkText } from './text.ts';
import { parseUuid } from './uuid.ts';

/**
 * Reads PostgreSQL's input syntax of the type, and applies its length or precision as an assignment does.
 * Throws INVALID_TEXT (22P02), INVALID_DATETIME (22007), DATETIME_OUT_OF_RANGE (22008),
 * NUMERIC_OUT_OF_RANGE (22003), STRING_TOO_LONG (22001); of jsonb also STATEMENT_TOO_COMPLEX and VALUE_TOO_LARGE.
 */
export function parseText(type: ColumnType, text: string): NonNullable<Value> {
  switch (type.name) {
    case 'smallint':
    case 'integer':
    case 'bigint':
      return parseInteger(type.name, text);
    case 'real':
      return parseReal(text);
    case 'double precision':
      return parseDouble(text);
    case 'numeric':
      return applyPrecision(type, parseNumeric(text));
    case 'text':
      return checkText('text', text);
    case 'varchar':
      return type.length === undefined
        ? checkText('varchar', text)
        : assignLength(checkText('varchar', text), type.length);
    case 'boolean':
      return parseBoolean(text);
    case 'bytea':
      return parseBytea(checkWellFormed(text));
    case 'date':
      return parseDate(text);
    case 'timestamp':
    case 'timestamptz':
      return parseTimestamp(type.name, text);
    case 'interval':
      return parseInterval(text);
    case 'uuid':
      return parseUuid(text);
    case 'jsonb':
      return parseJsonb(text);
  }
}

function checkWellFormed(text: string): string {
  if (text.includes('\0'))
    throw sqlError(
      'INVALID_TEXT',
      'The text of a bytea cannot hold the character U+0000. Write \\x00.',
    );
  return checkText('bytea', text);
}

const booleans: ReadonlyMap<string, boolean> = new Map([
  ...['t', 'tr', 'tru', 'true', 'y', 'ye', 'yes', 'on', '1'].map((word) => [word, true] as const),
  ...['f', 'fa', 'fal', 'fals', 'false', 'n', 'no', 'of', 'off', '0'].map(
    (word) => [word, false] as const,
  ),
]);

function parseBoolean(text: string): boolean {
  const value = booleans.get(trimSpace(text).toLowerCase());
  if (value === undefined) throw invalidText('boolean', 'Write true or false.');
  return value;
}
