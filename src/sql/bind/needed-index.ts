/** The index that a foreign key stands upon, when it is added to a table that is there. */
import { VerityError } from '../../base/index.ts';
import type { ForeignKey, Index, TableSchema } from '../../codec/index.ts';
import { hasAnyRow } from '../execute/existing-rows.ts';
import { supportingIndex } from '../schema/table-keys.ts';
import { foreignKeyIndex } from './create-table.ts';
import type { DefinitionParts } from './definition-changes.ts';

interface Place {
  readonly parts: DefinitionParts;
  /** Where the table is named. */
  readonly offset: number | undefined;
}

/** The index that a foreign key still needs. Rows that are there need one that was made before. */
export function neededIndex(
  { parts, offset }: Place,
  table: TableSchema,
  { key, taken }: { readonly key: ForeignKey; readonly taken: ReadonlySet<string> },
): Index | undefined {
  if (supportingIndex(table, key) !== undefined) return undefined;
  if (hasAnyRow(parts.catalog, table, parts.context.view)) {
    const names = key.columns.map((ordinal) => table.columns[ordinal]?.name ?? '').join(', ');
    const isBuilding = supportingIndex({ ...table, indexes: table.building ?? [] }, key);
    // What the SDK makes before it tries again.
    const needed = isBuilding === undefined ? { neededIndex: createIndexText(table, key) } : {};
    throw new VerityError(
      'UNSUPPORTED_SQL',
      `Foreign key "${key.name}" of a table with rows needs a complete index that begins with its columns; CREATE INDEX ON ${table.name} (${names}) first.`,
      { details: { ...(offset !== undefined && { offset }), ...needed } },
    );
  }
  return { ...foreignKeyIndex(table, key.columns, taken), id: parts.context.allocateObject() };
}

/** The definition of that index. */
function createIndexText(table: TableSchema, key: ForeignKey): string {
  const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  const columns = key.columns.map((ordinal) => quoted(table.columns[ordinal]?.name ?? ''));
  return `CREATE INDEX ON ${quoted(table.name)} (${columns.join(', ')})`;
}
