import { isDeepStrictEqual } from 'node:util';
import { VerityError } from '../../base/index.ts';
import type { Change, Row, TableInfo, TenantHandle } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { fits, parameterOf } from '../import/column-type.ts';
import { readIdentifier } from '../import/identifier.ts';
import { type Invocation, openDatabase, tenantOf } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { cellText, renderTable, type TableStyle, tableStyle } from '../output/table.ts';
import { printable, valueJson } from '../output/value-text.ts';

export interface HistoryRequest {
  readonly tenant: string;
  readonly table: string;
  /** The primary key's values in key order, as text. */
  readonly key: readonly string[];
}

/** `verity history DIR --tenant T TABLE KEY…`: every change of one row, oldest first. */
export async function runHistory(
  invocation: Invocation,
  request: HistoryRequest,
): Promise<ExitCode> {
  await using database = await openDatabase(invocation, 'readOnly');
  const tenant = tenantOf(invocation, database, request.tenant);
  const table = await tableOf(tenant, readIdentifier(request.table));
  const changes = await tenant.history(table.name, keyValues(table, request.key));
  const { output, options, terminal } = invocation;
  await output.write(
    options.json === true
      ? historyJson(table, request.key, changes)
      : historyText(table, changes, tableStyle(terminal)),
  );
  return 0;
}

/** The tenant's table of this name. Throws UNDEFINED_TABLE. */
export async function tableOf(tenant: TenantHandle, name: string): Promise<TableInfo> {
  const tables = await tenant.tables();
  const table = tables.find((candidate) => candidate.name === name);
  if (table !== undefined) return table;
  throw new VerityError(
    'UNDEFINED_TABLE',
    `Tenant ${tenant.name} has no table ${name}. \`\\d\` in \`verity sql\` lists them.`,
  );
}

/** The values of a primary key from their texts. Throws a usage error, or INVALID_TEXT. */
export function keyValues(
  table: TableInfo,
  texts: readonly string[],
): ReturnType<ReturnType<typeof parameterOf>>[] {
  const { primaryKey } = table;
  if (primaryKey.length === 0) {
    throw usageError(`Table ${table.name} has no primary key, so its rows cannot be named.`);
  }
  if (texts.length !== primaryKey.length) {
    throw usageError(
      `The primary key of ${table.name} is (${primaryKey.join(', ')}): give ${primaryKey.length} values.`,
    );
  }
  return primaryKey.map((name, index) => {
    const type = typeOf(table, name);
    const text = texts[index] as string;
    if (!fits(text, type)) {
      throw new VerityError(
        'INVALID_TEXT',
        `The value for ${name} is not a ${type}. Write it as \`import\` reads it.`,
      );
    }
    return parameterOf(type)(text);
  });
}

function typeOf(table: TableInfo, column: string): string {
  return table.columns.find((candidate) => candidate.name === column)?.type ?? 'text';
}

/** Columns whose value differs between the two versions of a row. */
function changedColumns(change: Change): string[] {
  const { before, after } = change;
  if (before === undefined || after === undefined) return [];
  return Object.keys(after).filter((name) => !isDeepStrictEqual(before[name], after[name]));
}

function historyJson(table: TableInfo, key: readonly string[], changes: readonly Change[]): string {
  const rowJson = (row: Row | undefined): unknown =>
    row === undefined
      ? null
      : Object.fromEntries(
          Object.entries(row).map(([name, value]) => [name, valueJson(value, typeOf(table, name))]),
        );
  return jsonDocument({
    table: table.name,
    key: Object.fromEntries(table.primaryKey.map((name, index) => [name, key[index]])),
    changes: changes.map((change) => ({
      position: change.position,
      time: change.time.toISOString(),
      actor: change.actor ?? null,
      reason: change.reason ?? null,
      kind: change.kind,
      statement: change.statement ?? null,
      changed: changedColumns(change),
      before: rowJson(change.before),
      after: rowJson(change.after),
    })),
  });
}

function historyText(table: TableInfo, changes: readonly Change[], style: TableStyle): string {
  if (changes.length === 0) return `No row of ${table.name} has ever had this key.\n`;
  return renderTable({
    head: ['position', 'time', 'who', 'why', 'what'],
    cells: changes.map((change) => [
      change.position.toString(),
      change.time.toISOString(),
      printable(change.actor ?? ''),
      printable(change.reason ?? ''),
      whatText(table, change, style),
    ]),
    rightAligned: [true],
    style,
  });
}

function whatText(table: TableInfo, change: Change, style: TableStyle): string {
  const { before, after } = change;
  if (before === undefined || after === undefined)
    return after === undefined ? 'row deleted' : 'row created';
  const lines = changedColumns(change).map((name) => {
    const type = typeOf(table, name);
    return `${printable(name)}: ${cellText(before[name], type, style)} → ${cellText(after[name], type, style)}`;
  });
  return lines.length === 0 ? 'written again, unchanged' : lines.join('\n');
}
