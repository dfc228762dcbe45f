/** Compares what the database answers with what the model expects. */
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

/** Both in order: rows that INSERT returns come as they were given. */
export function compareInOrder(actual: readonly object[], expected: readonly string[]): void {
  expect(actual.map(showRow)).toEqual(expected);
}

/** In any order. */
export function compareAsBags(actual: readonly object[], expected: readonly string[]): void {
  expect(actual.map(showRow).toSorted()).toEqual(expected.toSorted());
}

/** The result of a SELECT over `rows`. Rows that ORDER BY leaves equal may come in any order, and either side of LIMIT. */
export function compareSelect(
  table: Table,
  select: Select,
  rows: readonly Row[],
  result: QueryResult,
  timestamps: Timestamps,
): void {
  const { where, order, outputs, what } = select;
  const matches = rows.filter(
    (row) => where === undefined || evaluate(table.columns, where, row) === true,
  );
  const from = select.offset?.value ?? 0;
  const to =
    select.limit?.value === undefined || select.limit.value === null
      ? Infinity
      : from + select.limit.value;
  if (what === 'count') {
    expect(result.rows).toEqual([{ count: BigInt(matches.length) }].slice(from, to));
    return;
  }
  const ordinals = outputs ?? table.columns.map((_, ordinal) => ordinal);
  expect(result.columns).toEqual(
    ordinals.map((ordinal) => {
      const { name, type } = table.columns[ordinal] as Column;
      return { name, type: type.reported };
    }),
  );
  const sorted = matches.toSorted((left, right) => compareRows(table, order, [left, right]));
  const window = sorted.slice(from, to);
  const actual = result.rows.map(showRow);
  expect(actual.length).toBe(window.length);
  const left = new Set(sorted);
  const text = (row: Row): string => expectedRow(table, row, timestamps, outputs);
  for (const [index, at] of window.entries()) {
    const equals = [...left].filter((row) => compareRows(table, order, [row, at]) === 0);
    const found = equals.find((row) => text(row) === actual[index]);
    expect(equals.map(text), `row ${index} of the result`).toContain(actual[index]);
    left.delete(found as Row);
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
  expect(codes, error.message).toContain(error.code);
  expect(error.sqlState).toBe(errorTable[error.code].sqlState);
}
