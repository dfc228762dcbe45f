/** CREATE TABLE as a table definition. */
import type { CreateStmt, Node } from 'libpg-query';
import { limits, type ObjectId, sqlError } from '../../base/index.ts';
import type { Column, Index, TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { supportingIndex } from '../schema/table-keys.ts';
import {
  addColumn,
  addConstraint,
  bindConstraints,
  type BoundConstraints,
  type Draft,
  freeName,
  relationNames,
} from './constraints.ts';
import { offsetOf } from './context.ts';
import { ownTable } from './foreign-key.ts';
import { tableName } from './relation.ts';
import { bindTableOptions } from './table-options.ts';
import { allowFields, unsupported } from './unsupported.ts';

/** A table still without object ids. */
export interface TableDefinition extends BoundConstraints {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly options: ReturnType<typeof bindTableOptions>;
  /** Names of relations that an index cannot have. */
  readonly taken: ReadonlySet<string>;
}

const createFields = new Set(['relation', 'tableElts', 'options', 'oncommit', 'if_not_exists']);
const createNames = {
  inhRelations: 'INHERITS or PARTITION OF',
  partbound: 'PARTITION OF',
  partspec: 'PARTITION BY',
  ofTypename: 'OF type',
  tablespacename: 'TABLESPACE',
  accessMethod: 'USING',
  constraints: 'This constraint',
};

export function bindCreateTable(
  tree: StatementTree,
  statement: CreateStmt,
  catalog: Catalog,
): TableDefinition {
  allowFields(tree, statement, createFields, createNames);
  if (statement.oncommit !== 'ONCOMMIT_NOOP')
    throw unsupported(tree, 'ON COMMIT', statement.relation);
  const name = tableName(tree, statement.relation ?? {});
  const options = bindTableOptions(tree, statement.options);
  const draft: Draft = { tree, catalog, name, base: undefined, columns: [], constraints: [] };
  for (const element of statement.tableElts ?? []) addElement(draft, element);
  const { columns } = draft;
  if (columns.length === 0 || columns.length > limits.columnsMax) {
    const what =
      columns.length === 0
        ? 'has no column; give it one'
        : `has more than ${limits.columnsMax} columns; split it`;
    throw sqlError(
      'INVALID_TABLE_DEFINITION',
      `Table "${name}" ${what}.`,
      offsetOf(tree, statement.relation?.location),
    );
  }
  const bound = bindConstraints(draft, {
    id: ownTable,
    name,
    version: 1,
    columns,
    primaryKey: [],
    indexes: [],
    checks: [],
  });
  const taken = new Set([
    ...relationNames(catalog),
    name,
    ...bound.uniques.map((each) => each.name),
  ]);
  return {
    name,
    ...bound,
    columns: requireKey(columns, bound.primaryKey?.columns ?? []),
    options,
    taken,
  };
}

function addElement(draft: Draft, element: Node): void {
  if ('Constraint' in element) addConstraint(draft, element.Constraint);
  else if ('ColumnDef' in element) addColumn(draft, element.ColumnDef);
  else throw unsupported(draft.tree, 'LIKE in CREATE TABLE', element);
}

const requireKey = (columns: readonly Column[], primaryKey: readonly number[]): readonly Column[] =>
  columns.map((column, ordinal) =>
    primaryKey.includes(ordinal) ? { ...column, notNull: true } : column,
  );

/** The definition as the catalog holds it; `allocate` draws the ids of the table and of its indexes. */
export function tableSchemaOf(definition: TableDefinition, allocate: () => ObjectId): TableSchema {
  const { name, columns, primaryKey, uniques, checks, foreignKeys, options } = definition;
  const id = allocate();
  const indexes = uniques.map((each): Index => ({
    id: allocate(),
    name: each.name,
    unique: true,
    columns: each.columns,
  }));
  const table: TableSchema = {
    id,
    name,
    version: 1,
    columns,
    primaryKey: primaryKey?.columns ?? [],
    indexes,
    checks,
    ...(primaryKey?.name !== undefined && { primaryKeyName: primaryKey.name }),
    ...options,
  };
  if (foreignKeys.length === 0) return table;
  const taken = new Set(definition.taken);
  const keys = foreignKeys.map((key) => (key.table === ownTable ? { ...key, table: id } : key));
  for (const key of keys) {
    if (supportingIndex(table, key) !== undefined) continue;
    const index = foreignKeyIndex(table, key.columns, taken);
    taken.add(index.name);
    indexes.push({ ...index, id: allocate() });
  }
  return { ...table, foreignKeys: keys };
}

/** The index by which the rows are found that refer to a row, still without its id. */
export function foreignKeyIndex(
  table: TableSchema,
  columns: readonly number[],
  taken: ReadonlySet<string>,
): Index {
  const names = columns.map((ordinal) => table.columns[ordinal]?.name ?? '');
  return {
    id: ownTable,
    name: freeName([table.name, ...names, 'idx'], taken),
    unique: false,
    columns,
    origin: 'foreignKey',
  };
}
