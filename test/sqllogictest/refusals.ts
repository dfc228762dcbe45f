/**
 * Statements of sqllogictest's files that PostgreSQL refuses: SQLite's own dialect that no directive of the files
 * marks. They are not skipped: they are run, and must be refused as the entry says. Where there is a PostgreSQL, a
 * test holds every entry against it.
 */
export interface Refusal {
  /** The statement, or, for a kind, its pattern and one of its kind. */
  readonly sql: string | { readonly pattern: RegExp; readonly example: string };
  readonly sqlState: string;
  /** Ours, where we lack what the statement is about. */
  readonly own?: string;
  readonly reason: string;
  /** The same in PostgreSQL's dialect, run afterwards: the file goes on as if it had succeeded. */
  readonly instead?: string;
}

const t1 = '(SELECT * FROM t1)';
const textAsInteger = 'the literal is read as an integer, which it is not';
const bitsAsInteger = "x'…' is a string of bits, which is not compared with integers";

/** `evidence/in1` and `evidence/update` have the first five; the patterns are from the others of that folder. */
export const refusals: readonly Refusal[] = [
  { sql: `SELECT 'hello' IN ${t1}`, sqlState: '22P02', reason: textAsInteger },
  { sql: `SELECT 'hello' NOT IN ${t1}`, sqlState: '22P02', reason: textAsInteger },
  { sql: `SELECT x'303132' IN ${t1}`, sqlState: '42883', own: '0A000', reason: bitsAsInteger },
  { sql: `SELECT x'303132' NOT IN ${t1}`, sqlState: '42883', own: '0A000', reason: bitsAsInteger },
  {
    sql: 'UPDATE t1 SET x=3, x=4, x=5',
    sqlState: '42601',
    reason: 'a column is assigned once; SQLite takes the last',
    instead: 'UPDATE t1 SET x=5',
  },
  {
    sql: { pattern: /\bIN \(\)$/, example: 'SELECT 1 IN ()' },
    sqlState: '42601',
    reason: 'a list has an element',
  },
  {
    sql: {
      pattern: /^CREATE TRIGGER \w+ .*\bBEGIN\b/,
      example: 'CREATE TRIGGER t1r1 UPDATE ON t1 BEGIN SELECT 1; END;',
    },
    sqlState: '42601',
    reason: 'a trigger calls a function; its body is no list of statements',
  },
  {
    sql: { pattern: /^DROP TRIGGER \w+$/, example: 'DROP TRIGGER t1r1' },
    sqlState: '42601',
    reason: 'triggers are named with their table',
  },
  {
    sql: { pattern: /^REINDEX \w+$/, example: 'REINDEX t1i1' },
    sqlState: '42601',
    reason: 'REINDEX says whether it means an index or a table',
  },
];

export function refusalOf(sql: string): Refusal | undefined {
  return refusals.find(({ sql: entry }) =>
    typeof entry === 'string' ? entry === sql : entry.pattern.test(sql),
  );
}
