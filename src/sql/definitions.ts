/** CREATE, ALTER and DROP: what each makes of the catalog, worked out when it is decided. */
import { sqlError } from '../base/index.ts';
import type { TableSchema } from '../codec/index.ts';
import { alterTable } from './bind/alter-table.ts';
import { offsetOf } from './bind/context.ts';
import { createIndex } from './bind/create-index.ts';
import { bindCreateTable, tableSchemaOf } from './bind/create-table.ts';
import { createView } from './bind/create-view.ts';
import {
  checkNewName,
  DefinitionChanges,
  type DefinitionParts,
} from './bind/definition-changes.ts';
import { drop } from './bind/drop.ts';
import { tableName } from './bind/relation.ts';
import { rename } from './bind/rename.ts';
import type { Catalog, ParsedStatement, PreparedDefinition } from './contract.ts';
import type { StatementTree } from './parse/script.ts';

type Define = (parts: DefinitionParts) => readonly TableSchema[];

/** The definition that a statement is; undefined for other statements. */
export function prepareDefinition(
  statement: ParsedStatement,
  catalog: Catalog,
  columnsOf: DefinitionParts['columnsOf'],
): PreparedDefinition | undefined {
  const tree = statement.tree as StatementTree;
  const define = defineOf(tree, statement);
  if (define === undefined) return undefined;
  return {
    kind: 'definition',
    define: (context) => define({ tree, catalog, context, columnsOf, start: statement.offset }),
  };
}

function defineOf(
  { statement: node }: StatementTree,
  statement: ParsedStatement,
): Define | undefined {
  if ('CreateStmt' in node) return (parts) => createTable(parts, node.CreateStmt);
  if ('IndexStmt' in node) return (parts) => createIndex(parts, node.IndexStmt);
  if ('ViewStmt' in node) return (parts) => createView(parts, node.ViewStmt, statement);
  if ('AlterTableStmt' in node) return (parts) => alterTable(parts, node.AlterTableStmt);
  if ('RenameStmt' in node) return (parts) => rename(parts, node.RenameStmt);
  if ('DropStmt' in node) return (parts) => drop(parts, node.DropStmt);
  return undefined;
}

function createTable(
  parts: DefinitionParts,
  node: Parameters<typeof bindCreateTable>[1],
): readonly TableSchema[] {
  const { tree, catalog, context } = parts;
  const bound = bindCreateTable(tree, node, catalog);
  const changes = new DefinitionChanges(parts);
  const location = node.relation?.location;
  const existing = changes.byName(tableName(tree, node.relation ?? {}));
  if (existing !== undefined && node.if_not_exists === true) return [];
  if (existing !== undefined)
    throw sqlError(
      'DUPLICATE_TABLE',
      `Table "${bound.name}" already exists; use another name, or CREATE TABLE IF NOT EXISTS.`,
      offsetOf(tree, location),
    );
  checkNewName(changes, tree, bound.name, location);
  return [tableSchemaOf(bound, () => context.allocateObject())];
}
