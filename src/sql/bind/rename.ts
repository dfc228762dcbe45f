/** ALTER … RENAME of tables, views, indexes, columns and constraints. */
import type { RenameStmt } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import { constraintNamesOf, primaryKeyName } from '../schema/table-keys.ts';
import { offsetOf } from './context.ts';
import { checkNewName, DefinitionChanges, type DefinitionParts } from './definition-changes.ts';
import { tableName } from './relation.ts';
import { allowFields, unsupported } from './unsupported.ts';

const renameFields = new Set([
  'renameType',
  'relationType',
  'relation',
  'subname',
  'newname',
  'behavior',
  'missing_ok',
]);

export function rename(parts: DefinitionParts, node: RenameStmt): readonly TableSchema[] {
  const { tree } = parts;
  allowFields(tree, node, renameFields);
  const { renameType = '', subname = '', newname = '' } = node;
  const location = node.relation?.location;
  const changes = new DefinitionChanges(parts);
  const name = tableName(tree, node.relation ?? {});
  const found = changes.index(name);
  const relation = changes.byName(name);
  if (renameType === 'OBJECT_INDEX' || (renameType === 'OBJECT_TABLE' && found !== undefined)) {
    if (found === undefined) return missing(parts, node, name);
    checkNewName(changes, tree, newname, location);
    changes.set(renamedIndex(found.table, found.index.name, newname));
    return changes.result();
  }
  if (relation === undefined) return missing(parts, node, name);
  if (renameType === 'OBJECT_TABLE' || renameType === 'OBJECT_VIEW') {
    if (renameType === 'OBJECT_VIEW' && relation.view === undefined)
      throw sqlError('WRONG_OBJECT_TYPE', `"${name}" is not a view.`, offsetOf(tree, location));
    checkNewName(changes, tree, newname, location);
    const primary = relation.primaryKey.length > 0 && { primaryKeyName: primaryKeyName(relation) };
    changes.set({ ...relation, ...primary, name: newname });
  } else if (relation.view !== undefined) {
    throw unsupported(tree, 'Renaming a column of a view', location);
  } else if (renameType === 'OBJECT_COLUMN') {
    changes.set(renamedColumn(parts, node, relation));
  } else if (renameType === 'OBJECT_TABCONSTRAINT') {
    if (!constraintNamesOf(relation).includes(subname))
      throw sqlError(
        'UNDEFINED_OBJECT',
        `Table "${name}" has no constraint "${subname}".`,
        offsetOf(tree, location),
      );
    if (constraintNamesOf(relation).includes(newname))
      throw sqlError(
        'DUPLICATE_OBJECT',
        `Table "${name}" already has a constraint "${newname}"; use another name.`,
        offsetOf(tree, location),
      );
    changes.set(renamedConstraint(relation, subname, newname));
  } else {
    throw unsupported(tree, 'This RENAME', location);
  }
  return changes.result();
}

function missing(
  { tree }: DefinitionParts,
  node: RenameStmt,
  name: string,
): readonly TableSchema[] {
  if (node.missing_ok === true) return [];
  throw sqlError(
    'UNDEFINED_TABLE',
    `There is no "${name}" to rename; check the spelling.`,
    offsetOf(tree, node.relation?.location),
  );
}

function renamedColumn(
  { tree }: DefinitionParts,
  { subname = '', newname = '', relation }: RenameStmt,
  table: TableSchema,
): TableSchema {
  const offset = offsetOf(tree, relation?.location);
  if (!table.columns.some((column) => column.name === subname && column.dropped !== true))
    throw sqlError(
      'UNDEFINED_COLUMN',
      `There is no column "${subname}" in table "${table.name}".`,
      offset,
    );
  if (table.columns.some((column) => column.name === newname))
    throw sqlError(
      'DUPLICATE_COLUMN',
      `Table "${table.name}" already has a column "${newname}"; use another name.`,
      offset,
    );
  return {
    ...table,
    columns: table.columns.map((column) =>
      column.name === subname ? { ...column, name: newname } : column,
    ),
  };
}

function renamedIndex(table: TableSchema, from: string, to: string): TableSchema {
  const renamed = (index: Index): Index => (index.name === from ? { ...index, name: to } : index);
  return {
    ...table,
    indexes: table.indexes.map(renamed),
    ...(table.building !== undefined && { building: table.building.map(renamed) }),
  };
}

function renamedConstraint(table: TableSchema, from: string, to: string): TableSchema {
  const renamed = <T extends { readonly name: string }>(each: T): T =>
    each.name === from ? { ...each, name: to } : each;
  return {
    ...renamedIndex(table, from, to),
    checks: table.checks.map(renamed),
    ...(table.foreignKeys !== undefined && { foreignKeys: table.foreignKeys.map(renamed) }),
    ...(table.primaryKey.length > 0 && primaryKeyName(table) === from && { primaryKeyName: to }),
  };
}
