import type { RangeVar } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { SourceText } from '../parse/source.ts';
import { offsetOf, type RelationColumn, type TableRelation } from './context.ts';
import { allowFields, unsupported } from './unsupported.ts';

const relationFields = new Set([
  'relname',
  'schemaname',
  'inh',
  'relpersistence',
  'alias',
  'location',
]);

/** Checks a table's name as written: only the schema "public" exists. Returns the name. */
export function tableName(context: { readonly source: SourceText }, node: RangeVar): string {
  allowFields(context, node, relationFields, { catalogname: 'The name of another database' });
  if (node.schemaname !== undefined && node.schemaname !== 'public') {
    throw unsupported(
      context,
      `The schema "${node.schemaname}" (only "public" exists)`,
      node.location,
    );
  }
  if (node.relpersistence !== 'p')
    throw unsupported(context, 'A temporary or unlogged table', node.location);
  return node.relname ?? '';
}

/** A table as a relation whose columns lie in the row from ordinal `start` on. */
export function tableRelation(name: string, table: TableSchema, start = 0): TableRelation {
  const columns = table.columns.flatMap((column, ordinal): RelationColumn[] =>
    column.dropped === true
      ? []
      : [
          {
            name: column.name,
            expression: { kind: 'column', type: column.type, ordinal: start + ordinal },
          },
        ],
  );
  return { name, table, columns };
}

/** The table that a name in a statement means, under its alias. Throws UNDEFINED_TABLE. */
export function bindRelation(
  context: { readonly source: SourceText },
  node: RangeVar,
  catalog: Catalog,
  start = 0,
): TableRelation {
  const name = tableName(context, node);
  if (node.inh !== true) throw unsupported(context, 'ONLY', node.location);
  const table = catalog.table(name);
  if (table === undefined && catalog.view(name) !== undefined) {
    throw sqlError(
      'WRONG_OBJECT_TYPE',
      `"${name}" is a view; name a table.`,
      offsetOf(context, node.location),
    );
  }
  if (table === undefined) {
    throw sqlError(
      'UNDEFINED_TABLE',
      `There is no table "${name}"; create it first, or check the spelling.`,
      offsetOf(context, node.location),
    );
  }
  if (node.alias?.colnames !== undefined)
    throw unsupported(context, 'A list of column aliases', node.location);
  return tableRelation(node.alias?.aliasname ?? name, table, start);
}
