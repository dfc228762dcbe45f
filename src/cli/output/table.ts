import Table from 'cli-table3';
import pc from 'picocolors';
import type { ResultColumnInfo } from '../../database/index.ts';
import type { Terminal } from '../terminal.ts';
import { printable, valueText } from './value-text.ts';

export interface TableStyle {
  /** Whether the terminal shows colours. */
  readonly color: boolean;
  /** The widest a cell may be, in characters; longer text is cut and ends in `…`. */
  readonly cellCharactersMax: number;
  /** The width of the terminal; a wider table is shown as one block per row. */
  readonly lineCharactersMax: number;
}

const unlimited = Number.MAX_SAFE_INTEGER;

/** Colours only on a terminal and without NO_COLOR; only a terminal cuts cells or limits the width. */
export function tableStyle(terminal: Terminal): TableStyle {
  const { stdout, env } = terminal;
  const isTerminal = stdout.isTTY === true;
  return {
    color: isTerminal && (env['NO_COLOR'] ?? '') === '',
    cellCharactersMax: isTerminal ? 60 : unlimited,
    lineCharactersMax: isTerminal ? (stdout.columns ?? 80) : unlimited,
  };
}

/** Rows as a table with a header, numbers to the right; or as blocks of `column | value` if too wide. */
export function renderRows(
  rows: readonly (readonly unknown[])[],
  columns: readonly ResultColumnInfo[],
  style: TableStyle,
): string {
  const cells = rows.map((row) =>
    columns.map((column, place) => cellText(row[place], column.type, style)),
  );
  const head = columns.map((column) => printable(column.name));
  if (widthOf(head, cells) > style.lineCharactersMax) return renderBlocks(head, cells, style);
  return renderTable({
    head,
    cells,
    rightAligned: columns.map((column) => isNumeric(column.type)),
    style,
  });
}

export interface TableContent {
  readonly head: readonly string[];
  readonly cells: readonly (readonly string[])[];
  readonly rightAligned?: readonly boolean[];
  readonly style: TableStyle;
}

/** A table of ready texts. They must be printable already. */
export function renderTable(content: TableContent): string {
  const { head, cells, rightAligned, style } = content;
  const colors = pc.createColors(style.color);
  const table = new Table({
    head: head.map((name) => colors.bold(name)),
    colAligns: head.map((_name, index) => (rightAligned?.[index] === true ? 'right' : 'left')),
    style: { head: [], border: [], compact: true, 'padding-left': 1, 'padding-right': 1 },
  });
  for (const row of cells) table.push([...row]);
  return `${table.toString()}\n`;
}

function widthOf(head: readonly string[], cells: readonly (readonly string[])[]): number {
  let width = 1;
  for (const [index, name] of head.entries()) {
    let widest = name.length;
    for (const row of cells) widest = Math.max(widest, row[index]?.length ?? 0);
    width += widest + 3;
  }
  return width;
}

function renderBlocks(
  head: readonly string[],
  cells: readonly (readonly string[])[],
  style: TableStyle,
): string {
  const colors = pc.createColors(style.color);
  const nameWidth = Math.max(...head.map((name) => name.length));
  const blocks = cells.map((row, index) => {
    const lines = head.map((name, column) => `${name.padEnd(nameWidth)} │ ${row[column] ?? ''}`);
    return `${colors.bold(`── row ${index + 1} `.padEnd(nameWidth + 12, '─'))}\n${lines.join('\n')}\n`;
  });
  return blocks.join('');
}

/** One value for a cell: cut to the style's width; NULL is shown as `NULL`, dimmed. */
export function cellText(value: unknown, type: string, style: TableStyle): string {
  const text = valueText(value, type);
  if (text === undefined) return pc.createColors(style.color).dim('NULL');
  // Cut first: a long value costs as much as the cell shows of it.
  const max = style.cellCharactersMax;
  return printable(text.length > max ? `${text.slice(0, max - 1)}…` : text);
}

const numericTypes = ['smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric'];

function isNumeric(type: string): boolean {
  return numericTypes.some((name) => type === name || type.startsWith(`${name}(`));
}
