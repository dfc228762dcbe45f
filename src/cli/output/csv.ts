import type { ResultColumnInfo } from '../../database/index.ts';
import { valueText } from './value-text.ts';

/** The header line of a CSV file. */
export function csvHeader(columns: readonly ResultColumnInfo[]): string {
  return `${columns.map((column) => csvField(column.name)).join(',')}\n`;
}

/** One row as a CSV line (RFC 4180, ending in a line feed). NULL is empty, the empty text is `""`. */
export function csvLine(row: readonly unknown[], columns: readonly ResultColumnInfo[]): string {
  const fields = columns.map((column, place) => {
    const text = valueText(row[place], column.type);
    return text === undefined ? '' : csvField(text);
  });
  return `${fields.join(',')}\n`;
}

function csvField(text: string): string {
  const plain = text.length > 0 && !/[",\r\n]/.test(text);
  return plain ? text : `"${text.replaceAll('"', '""')}"`;
}
