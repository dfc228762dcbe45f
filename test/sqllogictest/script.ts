/**
 * The files of sqllogictest: records parted by empty lines. A record is `statement ok|error`, `query TYPES SORT LABEL`,
 * `hash-threshold N` or `halt`, each after any number of `skipif NAME` and `onlyif NAME`. What is not known is an
 * error: nothing is passed over.
 */

interface Place {
  /** Of the record's first line, from 1. */
  readonly line: number;
  /** By a `skipif` or `onlyif` of the file. */
  readonly skipped: boolean;
}

export interface StatementRecord extends Place {
  readonly kind: 'statement';
  readonly sql: string;
  readonly expect: 'ok' | 'error';
}

export type SortMode = 'nosort' | 'rowsort' | 'valuesort';

export interface QueryRecord extends Place {
  readonly kind: 'query';
  readonly sql: string;
  /** A letter for each column: T text, I integer, R real. */
  readonly types: string;
  readonly sort: SortMode;
  /** Queries of one label must give the same result. */
  readonly label: string | undefined;
  /** Lines behind `----`: the values, or one line `N values hashing to MD5`. */
  readonly expected: readonly string[];
}

export type ScriptRecord =
  | StatementRecord
  | QueryRecord
  | (Place & { readonly kind: 'hash-threshold'; readonly values: number })
  | (Place & { readonly kind: 'halt' });

const sortModes: readonly string[] = ['nosort', 'rowsort', 'valuesort'] satisfies SortMode[];

/** The records of a file for the engine of this name, in order, those behind a `halt` included. */
export function* parseScript(text: string, engineName: string): Generator<ScriptRecord, undefined> {
  const lines = text.split(/\r?\n/);
  for (let index = 0; index < lines.length; index++) {
    if (isBlank(lines[index])) continue;
    const start = index;
    while (index < lines.length && !isBlank(lines[index])) index++;
    const record = parseRecord(lines.slice(start, index), start + 1, engineName);
    if (record !== undefined) yield record;
  }
  return undefined;
}

function isBlank(line: string | undefined): boolean {
  return line === undefined || line.trim() === '';
}

/** Undefined for a record of comments only. */
function parseRecord(
  lines: readonly string[],
  firstLine: number,
  engineName: string,
): ScriptRecord | undefined {
  let skipped = false;
  for (let index = 0; index < lines.length; index++) {
    const line = firstLine + index;
    const words = wordsOf(lines[index]);
    switch (words[0]) {
      case undefined:
        continue;
      case 'skipif':
      case 'onlyif':
        if ((words[1]?.toLowerCase() === engineName) === (words[0] === 'skipif')) skipped = true;
        continue;
      case 'halt':
        return { kind: 'halt', line, skipped };
      case 'hash-threshold':
        return { kind: 'hash-threshold', line, skipped, values: wholeNumber(words[1], line) };
      case 'statement':
        return statementRecord(words, lines.slice(index + 1), { line, skipped });
      case 'query':
        return queryRecord(words, lines.slice(index + 1), { line, skipped });
      default:
        throw new Error(`line ${line}: unknown directive "${words[0]}"`);
    }
  }
  if (skipped) throw new Error(`line ${firstLine}: skipif or onlyif without a record`);
  return undefined;
}

/** The words before a comment. */
function wordsOf(line = ''): string[] {
  const words = line.trim().split(/\s+/);
  const comment = words.findIndex((word) => word.startsWith('#'));
  return comment === -1 ? words : words.slice(0, comment);
}

function statementRecord(
  [, expect, ...rest]: readonly string[],
  body: readonly string[],
  place: Place,
): StatementRecord {
  if ((expect !== 'ok' && expect !== 'error') || rest.length > 0)
    throw new Error(`line ${place.line}: a statement is "ok" or "error"`);
  if (body.length === 0) throw new Error(`line ${place.line}: a statement without SQL`);
  return { kind: 'statement', sql: body.join('\n'), expect, ...place };
}

function queryRecord(
  [, types = '', sort = 'nosort', label, ...rest]: readonly string[],
  body: readonly string[],
  place: Place,
): QueryRecord {
  const { line } = place;
  if (!/^[TIR]+$/.test(types)) throw new Error(`line ${line}: types are letters T, I and R`);
  if (!sortModes.includes(sort) || rest.length > 0)
    throw new Error(`line ${line}: a query sorts by nosort, rowsort or valuesort`);
  const end = body.indexOf('----');
  const sql = (end === -1 ? body : body.slice(0, end)).join('\n');
  if (sql === '') throw new Error(`line ${line}: a query without SQL`);
  const expected = end === -1 ? [] : body.slice(end + 1);
  return { kind: 'query', sql, types, sort: sort as SortMode, label, expected, ...place };
}

function wholeNumber(word: string | undefined, line: number): number {
  if (word === undefined || !/^\d{1,9}$/.test(word))
    throw new Error(`line ${line}: hash-threshold takes a whole number`);
  return Number(word);
}
