/** How the rows of an export are written, for who writes them and for who checks them (docs/format/export.md). */
import { utf8Decode, type Value } from '../base/index.ts';
import { groupedRowCodec, type RowCodec } from '../codec/index.ts';
import type { ShownRow } from './facts.ts';
import { shownValue, type ShownValue } from './shown-value.ts';
import { definitionOf, type TableDefinition } from './table-definition.ts';

export const exportFormats = ['jsonl', 'csv'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** A table under its newest definition, through which rows of older ones are read, too. */
export class ExportedTable {
  readonly definition: TableDefinition;
  /** Whether it is a table, and there. */
  readonly isLive: boolean;
  /** Names of the columns that are there. */
  readonly columns: readonly string[];
  readonly #codec: RowCodec;

  /** Of a definition's JSON. Throws CheckFailure 'definition'. */
  constructor(schema: Uint8Array) {
    this.definition = definitionOf(schema);
    const { dropped, view } = JSON.parse(utf8Decode(schema)) as Record<string, unknown>;
    this.isLive = dropped !== true && view === undefined;
    this.columns = this.definition.columns.flatMap((column) =>
      column.dropped ? [] : [column.name],
    );
    this.#codec = groupedRowCodec(this.definition.columns);
  }

  /** A row's values by column names. Throws DecodeError. */
  row(bytes: Uint8Array): ShownRow {
    const values = this.#codec.decode(bytes);
    return Object.fromEntries(
      this.definition.columns.flatMap(({ name, type, dropped }, index) =>
        dropped ? [] : [[name, shownValue(type, values[index] as Value)] as const],
      ),
    );
  }

  /** What stands before the rows. */
  header(format: ExportFormat): string {
    return format === 'csv' ? csvLine(this.columns) : '';
  }

  /** A row as a line of its file, with its line end. */
  line(format: ExportFormat, row: ShownRow): string {
    if (format === 'jsonl') return `${JSON.stringify(row)}\n`;
    return csvLine(this.columns.map((column) => row[column] ?? null));
  }
}

/** An event of a stream as a line of its file; `data` is JSON text, and stands there as it is. */
export function streamLine(version: number, position: number, data: string): string {
  return `{"version":${version},"position":${position},"data":${data}}\n`;
}

/** RFC 4180 with line feeds. NULL is empty, the empty text is `""`. */
function csvLine(values: readonly ShownValue[]): string {
  return `${values.map(csvField).join(',')}\n`;
}

function csvField(value: ShownValue): string {
  if (value === null) return '';
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value);
  const isPlain = text.length > 0 && !/[",\r\n]/.test(text);
  return isPlain ? text : `"${text.replaceAll('"', '""')}"`;
}
