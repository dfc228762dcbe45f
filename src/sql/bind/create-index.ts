/** CREATE INDEX. */
import type { IndexElem, IndexStmt } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import { freeName, relationNames } from './constraints.ts';
import { offsetOf } from './context.ts';
import { checkNewName, DefinitionChanges, type DefinitionParts } from './definition-changes.ts';
import { bindRelation } from './relation.ts';
import { allowFields, unsupported } from './unsupported.ts';

const indexFields = new Set([
  'idxname',
  'relation',
  'accessMethod',
  'indexParams',
  'unique',
  // Every index is built beside the writers.
  'concurrent',
  'if_not_exists',
]);
const indexNames = {
  whereClause: 'A partial index (WHERE)',
  indexIncludingParams: 'INCLUDE',
  nulls_not_distinct: 'NULLS NOT DISTINCT',
  options: 'WITH (…)',
  tableSpace: 'TABLESPACE',
};
const elementFields = new Set(['name', 'ordering', 'nulls_ordering']);
const elementNames = {
  expr: 'An index on an expression',
  collation: 'COLLATE',
  opclass: 'An operator class',
  opclassopts: 'An operator class',
};

export function createIndex(parts: DefinitionParts, node: IndexStmt): readonly TableSchema[] {
  const { tree, catalog, context } = parts;
  allowFields(tree, node, indexFields, indexNames);
  const location = node.relation?.location;
  if ((node.accessMethod ?? 'btree') !== 'btree')
    throw unsupported(tree, `An index of kind ${node.accessMethod ?? ''} (btree is)`, location);
  const changes = new DefinitionChanges(parts);
  const { table } = bindRelation(tree, node.relation ?? {}, catalog);
  const name = node.idxname;
  if (name !== undefined && node.if_not_exists === true && changes.index(name) !== undefined)
    return [];
  if (name !== undefined) checkNewName(changes, tree, name, location);
  const elements = (node.indexParams ?? []).map((each) => {
    if (!('IndexElem' in each)) throw unsupported(tree, 'This index column', each);
    return bindElement(parts, table, each.IndexElem, location);
  });
  const columns = elements.map((each) => each.ordinal);
  const names = columns.map((ordinal) => table.columns[ordinal]?.name ?? '');
  const index: Index = {
    id: context.allocateObject(),
    name: name ?? freeName([table.name, ...names, 'idx'], relationNames(catalog)),
    unique: node.unique === true,
    columns,
    origin: 'index',
    ...(elements.some((each) => each.descending) && {
      descending: elements.map((each) => each.descending),
    }),
  };
  changes.set(withBuilding(table, [index]));
  return changes.result();
}

/** The table with indexes that are yet to be filled. */
export function withBuilding(table: TableSchema, indexes: readonly Index[]): TableSchema {
  return indexes.length === 0
    ? table
    : { ...table, building: [...(table.building ?? []), ...indexes] };
}

function bindElement(
  { tree }: DefinitionParts,
  table: TableSchema,
  element: IndexElem,
  location: number | undefined,
): { readonly ordinal: number; readonly descending: boolean } {
  allowFields(tree, element, elementFields, elementNames);
  const { name = '', ordering, nulls_ordering: nulls } = element;
  const ordinal = table.columns.findIndex((column) => column.name === name);
  if (ordinal === -1)
    throw sqlError(
      'UNDEFINED_COLUMN',
      `The index names column "${name}", which table "${table.name}" does not have.`,
      offsetOf(tree, location),
    );
  const descending = ordering === 'SORTBY_DESC';
  const usual = descending ? 'SORTBY_NULLS_FIRST' : 'SORTBY_NULLS_LAST';
  if (nulls !== undefined && nulls !== 'SORTBY_NULLS_DEFAULT' && nulls !== usual)
    throw unsupported(
      tree,
      'NULLS FIRST of ascending and NULLS LAST of descending columns',
      location,
    );
  return { ordinal, descending };
}
