/** Compares what the database answers with what the model expects. */
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { errorTable, type QueryResult, VerityError } from '../../../src/database/index.ts';
import { evaluate, type Row } from './conditions.ts';
import type { Timestamps } from './kinds.ts';
import { type Column, compareRows, type Table } from './model.ts';
import type { Select } from './program.ts';
import { kindOf } from './terms.ts';

/** A value as text that tells apart whatever === or Object.is would. */
function show(value: unknown): string {
  if (value instanceof Date) return `Date ${value.getTime()}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'undefined';
  if (Array.isArray(value)) return `[${value.map(show).join()}]`;
  const members = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${show(member)}`).join()}}`;
}

const showRow = (row: object): string =>
  Object.entries(row)
    .map(([name, value]) => `${name}=${show(value)}`)
    .join(' | ');

/** A row of the model as the SDK returns it. */
export function expectedRow(
  table: Table,
  row: Row,
  timestamps: Timestamps,
  outputs?: readonly number[],
): string {
  return (outputs ?? table.columns.map((_, ordinal) => ordinal))
    .map((ordinal) => {
      const { name, type } = table.columns[ordinal] as Column;
      const value = row[ordinal] ?? null;
      return `${name}=${show(value === null ? null : kindOf(type.base).output(value, timestamps))}`;
    })
    .join(' | ');
}

/** As expect(actual).toEqual(expected), which takes its time also when nothing is wrong. */
export function same(actual: unknown, expected: unknown, what?: string): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual, what).toStrictEqual(expected);
}

/** Both in order: rows that INSERT returns come as they were given. */
export function compareInOrder(actual: readonly object[], expected: readonly string[]): void {
  same(actual.map(showRow), expected);
}

/** In any order. */
export function compareAsBags(actual: readonly object[], expected: readonly string[]): void {
  same(actual.map(showRow).toSorted(), expected.toSorted());
}

/** What a SELECT is compared with. */
interface Expected {
  readonly rows: readonly Row[];
  readonly timestamps: Timestamps;
}

/** The result of a SELECT over `rows`. Rows that ORDER BY leaves equal may come in any order, and either side of LIMIT. */
export function compareSelect(
  table: Table,
  select: Select,
  result: QueryResult,
  { rows, timestamps }: Expected,
): void {
  const { where, order, outputs, what } = select;
  const matches = rows.filter(
    (row) => where === undefined || evaluate(table.columns, where, row) === true,
  );
  const from = select.offset?.value ?? 0;
  const limit = select.limit?.value ?? Infinity;
  if (what === 'count') {
    same(result.rows, [{ count: BigInt(matches.length) }].slice(from, from + limit));
    return;
  }
  const ordinals = outputs ?? table.columns.map((_, ordinal) => ordinal);
  const columns = ordinals.map((ordinal) => table.columns[ordinal] as Column);
  same(
    result.columns,
    columns.map(({ name, type }) => ({ name, type: type.reported })),
  );
  const sorted = matches.toSorted((left, right) => compareRows(table, order, [left, right]));
  const window = sorted.slice(from, from + limit);
  const actual = result.rows.map(showRow);
  same(actual.length, window.length, 'the number of rows');
  const texts = new Map(sorted.map((row) => [row, expectedRow(table, row, timestamps, outputs)]));
  for (const [index, at] of window.entries()) {
    const equals = [...texts].filter(([row]) => compareRows(table, order, [row, at]) === 0);
    const found = equals.find(([, text]) => text === actual[index]);
    if (found === undefined) {
      expect(
        equals.map(([, text]) => text),
        `row ${index} of the result`,
      ).toContain(actual[index]);
    }
    texts.delete(found?.[0] as Row);
  }
}

/** `work` is refused with one of the codes. */
export async function compareRefusal(
  work: Promise<unknown>,
  codes: readonly string[],
): Promise<void> {
  const error: unknown = await work.then(
    (value) => new Error(`expected ${codes.join(' or ')}, but it succeeded with ${show(value)}`),
    (refused: unknown) => refused,
  );
  if (!(error instanceof VerityError)) throw error;
  if (!codes.includes(error.code)) expect(codes, error.message).toContain(error.code);
  same(error.sqlState, errorTable[error.code].sqlState);
}
