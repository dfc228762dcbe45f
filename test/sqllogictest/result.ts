/** How sqllogictest writes down what a query yields: a line for each value, or their hash. */
import { createHash } from 'node:crypto';
import type { SortMode } from './script.ts';

/** A value as an engine of ours hands it over; numbers that need it are strings of digits. */
export type Cell = null | boolean | number | bigint | string;

const hashLine = /^(\d+) values hashing to ([0-9a-f]{32})$/;

/** One value by the letter of its column. As over ODBC: booleans are 1 and 0, reals in an integer column are cut. */
export function textOf(cell: Cell, type: string): string {
  if (cell === null) return 'NULL';
  switch (type) {
    case 'I':
      return integerText(cell);
    case 'R':
      return realText(typeof cell === 'boolean' ? Number(cell) : numberOf(cell));
    default:
      return printable(typeof cell === 'boolean' ? String(Number(cell)) : String(cell));
  }
}

function integerText(cell: boolean | number | bigint | string): string {
  if (typeof cell === 'boolean') return cell ? '1' : '0';
  if (typeof cell === 'bigint') return String(cell);
  if (typeof cell === 'string' && /^-?\d+$/.test(cell)) return String(BigInt(cell));
  const whole = Math.trunc(numberOf(cell));
  return String(whole === 0 ? 0 : BigInt(whole));
}

/** As C reads it: text without digits in front is 0. */
function numberOf(cell: number | bigint | string): number {
  const value = typeof cell === 'string' ? Number.parseFloat(cell) : Number(cell);
  return Number.isFinite(value) ? value : 0;
}

/** C's %.3f: toFixed() differs where the digit behind is exactly a half, which only odd sixteenths are. */
function realText(value: number): string {
  const halves = value * 16;
  if (!Number.isInteger(halves) || halves % 2 === 0) return value.toFixed(3);
  const below = Math.floor(value * 1000);
  return ((below % 2 === 0 ? below : below + 1) / 1000).toFixed(3);
}

function printable(text: string): string {
  return text === '' ? '(empty)' : text.replaceAll(/[^ -~]/gu, '@');
}

/** All values of a result as lines, in the order that the sort mode asks for. */
export function resultLines(
  rows: readonly (readonly Cell[])[],
  types: string,
  sort: SortMode,
): string[] {
  const texts = rows.map((row) => {
    if (row.length !== types.length)
      throw new Error(`expected ${types.length} columns, got ${row.length}`);
    return row.map((cell, index) => textOf(cell, types[index] as string));
  });
  if (sort === 'rowsort') texts.sort(compareRows);
  const lines = texts.flat();
  return sort === 'valuesort' ? lines.sort(compareTexts) : lines;
}

function compareRows(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < a.length; index++) {
    const order = compareTexts(a[index] as string, b[index] as string);
    if (order !== 0) return order;
  }
  return 0;
}

function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** MD5 over the lines, each with its line feed. */
export function hashOf(lines: readonly string[]): string {
  const hash = createHash('md5');
  for (const line of lines) hash.update(line).update('\n');
  return hash.digest('hex');
}

/** The hash that a file's expectation stands for: the one it names, or that of its lines. */
export function expectedHash(expected: readonly string[]): string {
  const named = hashLine.exec(expected[0] ?? '');
  return expected.length === 1 && named !== null ? (named[2] as string) : hashOf(expected);
}

/** What is wrong with `lines`, or undefined. More values than `hashThreshold` must be expected by their hash. */
export function difference(
  lines: readonly string[],
  expected: readonly string[],
  hashThreshold: number,
): string | undefined {
  const hashed = expected.length === 1 && hashLine.test(expected[0] as string);
  if (hashed || (hashThreshold > 0 && lines.length > hashThreshold)) {
    const got = `${lines.length} values hashing to ${hashOf(lines)}`;
    return got === expected[0] ? undefined : `expected ${expected[0]}, got ${got}`;
  }
  if (lines.length !== expected.length)
    return `expected ${expected.length} values, got ${lines.length}`;
  const at = lines.findIndex((line, index) => line !== expected[index]);
  return at === -1 ? undefined : `value ${at + 1}: expected [${expected[at]}], got [${lines[at]}]`;
}
