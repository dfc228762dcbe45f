import type { ResultColumnInfo } from '../../database/index.ts';
import { csvHeader, csvLine } from '../output/csv.ts';
import { jsonText } from '../output/json.ts';
import { renderRows, tableStyle } from '../output/table.ts';
import { valueJson } from '../output/value-text.ts';
import { count } from '../progress.ts';
import type { Output, Terminal } from '../terminal.ts';
import type { StatementResult } from './sql-session.ts';

export const sqlFormats = ['table', 'json', 'csv'] as const;
export type SqlFormat = (typeof sqlFormats)[number];

/** Prints the results of statements as they come. */
export interface ResultWriter {
  add(result: StatementResult): Promise<void>;
  /** Completes the output; called even when a statement failed. */
  end(): Promise<void>;
}

export function resultWriter(format: SqlFormat, terminal: Terminal, output: Output): ResultWriter {
  switch (format) {
    case 'table':
      return new TableWriter(terminal, output);
    case 'json':
      return new JsonWriter(output);
    case 'csv':
      return new CsvWriter(output);
  }
}

/** Rows handed to the stream at a time. */
const rowsPerWrite = 1_000;
/** Rows of one table; the next ones get a table of their own, so that columns fit what is in them. */
const rowsPerTable = 5_000;

const rowKinds: ReadonlySet<string> = new Set(['insert', 'update', 'delete']);

const defined: Readonly<Record<string, string>> = {
  createTable: 'table created',
  createIndex: 'index created',
  createView: 'view created',
  alterTable: 'altered',
  drop: 'dropped',
};

class TableWriter implements ResultWriter {
  readonly #terminal: Terminal;
  readonly #output: Output;

  constructor(terminal: Terminal, output: Output) {
    this.#terminal = terminal;
    this.#output = output;
  }

  async add({ kind, result, rowsWritten }: StatementResult): Promise<void> {
    const style = tableStyle(this.#terminal);
    if (result.columns.length > 0) {
      for (const rows of groups(result.rows, rowsPerTable, true)) {
        await this.#output.write(renderRows(rows, result.columns, style));
      }
    }
    const { position } = result;
    if (rowsWritten === undefined)
      await this.#output.line(`${rowsText(result.rows.length)} at position ${position}`);
    else if (defined[kind] !== undefined)
      await this.#output.line(`${defined[kind]} at position ${position}`);
    else if (rowKinds.has(kind))
      await this.#output.line(`${kind}: ${rowsText(rowsWritten)} at position ${position}`);
    else await this.#output.line(`${kind} at position ${position}`);
  }

  async end(): Promise<void> {}
}

/**
 * One document: `{"results":[{kind, position, rowCount, columns, rows}]}`. Of columns with one name the later ones have
 * a `key`, under which their values are in the rows.
 */
class JsonWriter implements ResultWriter {
  readonly #output: Output;
  #count = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  async add({ kind, result, rowsWritten }: StatementResult): Promise<void> {
    const { position } = result;
    const columns = keyed(result.columns);
    const rowCount = rowsWritten ?? result.rows.length;
    const head = jsonText({ kind, position, rowCount, columns }).slice(0, -1);
    await this.#output.write(`${this.#count === 0 ? '{"results":[' : ',\n'}${head},"rows":[`);
    this.#count++;
    let separator = '';
    for (const rows of groups(result.rows, rowsPerWrite, false)) {
      const texts = rows.map((row) => jsonText(rowJson(row, columns)));
      await this.#output.write(separator + texts.join(','));
      separator = ',';
    }
    await this.#output.write(']}');
  }

  async end(): Promise<void> {
    await this.#output.write(this.#count === 0 ? '{"results":[]}\n' : ']}\n');
  }
}

/** A header line and the rows of each query; results are parted by an empty line. Nothing for writes. */
class CsvWriter implements ResultWriter {
  readonly #output: Output;
  #count = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  async add({ result }: StatementResult): Promise<void> {
    const { columns } = result;
    if (columns.length === 0) return;
    await this.#output.write((this.#count++ === 0 ? '' : '\n') + csvHeader(columns));
    for (const rows of groups(result.rows, rowsPerWrite, false)) {
      await this.#output.write(rows.map((row) => csvLine(row, columns)).join(''));
    }
  }

  async end(): Promise<void> {}
}

interface KeyedColumn extends ResultColumnInfo {
  readonly key?: string;
}

/** Columns with a key of their own where an earlier one has their name: `id`, `id_2`, `id_3`. */
function keyed(columns: readonly ResultColumnInfo[]): readonly KeyedColumn[] {
  const names = new Set(columns.map(({ name }) => name));
  const seen = new Set<string>();
  return columns.map((column) => {
    const { name } = column;
    if (!seen.has(name)) {
      seen.add(name);
      return column;
    }
    let number = 2;
    while (names.has(`${name}_${number}`)) number++;
    const key = `${name}_${number}`;
    names.add(key);
    return { ...column, key };
  });
}

function rowJson(
  row: readonly unknown[],
  columns: readonly KeyedColumn[],
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    columns.map(({ name, key = name, type }, place) => [key, valueJson(row[place], type)]),
  );
}

function* groups<T>(rows: readonly T[], size: number, always: boolean): Generator<readonly T[]> {
  if (rows.length === 0 && always) yield rows;
  for (let start = 0; start < rows.length; start += size) yield rows.slice(start, start + size);
}

function rowsText(number: number): string {
  return number === 1 ? '1 row' : `${count(number)} rows`;
}
