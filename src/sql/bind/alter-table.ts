/** ALTER TABLE: a new version of the table; its rows stay as they are. */
import type { AlterTableCmd, AlterTableStmt, ColumnDef, Node } from 'libpg-query';
import { limits, sqlError, type Value, VerityError } from '../../base/index.ts';
import {
  type Column,
  type Expression,
  type ForeignKey,
  type Index,
  literalOf,
  type TableSchema,
} from '../../codec/index.ts';
import { compile } from '../execute/compile.ts';
import { checkExistingRows } from '../execute/existing-rows.ts';
import {
  columnsRead,
  isConstraint,
  primaryKeyColumns,
  primaryKeyName,
} from '../schema/table-keys.ts';
import { indexesOf } from '../schema/table-layout.ts';
import { coerceToColumn } from '../types/index.ts';
import {
  addColumn,
  addConstraint,
  bindConstraints,
  type Draft,
  relationNames,
} from './constraints.ts';
import { offsetOf } from './context.ts';
import { withBuilding } from './create-index.ts';
import { changedType } from './alter-type.ts';
import { bindDefault } from './definition-context.ts';
import { neededIndex } from './needed-index.ts';
import { DefinitionChanges, type DefinitionParts } from './definition-changes.ts';
import { checkForeignKeysServed, withoutForeignKeys, withoutIndex } from './drop.ts';
import { tableName } from './relation.ts';
import { withTableOptions } from './table-options.ts';
import { allowFields, unsupported } from './unsupported.ts';

const alterFields = new Set(['relation', 'cmds', 'objtype', 'missing_ok']);
const commandFields = new Set(['subtype', 'name', 'def', 'behavior', 'missing_ok']);

/** What rows that are there must be checked against when all is known. */
interface Duties {
  readonly notNull: Set<number>;
  /** Columns whose values must fit their new type. */
  readonly types: Set<number>;
  readonly checks: Set<string>;
  readonly foreignKeys: Set<string>;
}

interface Alteration {
  readonly parts: DefinitionParts;
  readonly changes: DefinitionChanges;
  readonly duties: Duties;
  /** The version that the table gets. */
  readonly version: number;
  /** Where the table is named: in the parser's text, and for errors. */
  readonly location: number | undefined;
  readonly offset: number | undefined;
}

type Step = (alteration: Alteration, table: TableSchema, command: AlterTableCmd) => TableSchema;

export function alterTable(parts: DefinitionParts, node: AlterTableStmt): readonly TableSchema[] {
  const { tree, context } = parts;
  allowFields(tree, node, alterFields);
  const location = node.relation?.location;
  const offset = offsetOf(tree, location);
  if (node.objtype !== 'OBJECT_TABLE')
    throw unsupported(tree, 'ALTER of anything but a table', location);
  const name = tableName(tree, node.relation ?? {});
  const changes = new DefinitionChanges(parts);
  const before = changes.byName(name);
  if (before === undefined) {
    if (node.missing_ok === true) return [];
    throw sqlError(
      'UNDEFINED_TABLE',
      `There is no table "${name}"; create it first, or check the spelling.`,
      offset,
    );
  }
  if (before.view !== undefined)
    throw sqlError('WRONG_OBJECT_TYPE', `"${name}" is a view, not a table.`, offset);
  const duties: Duties = {
    notNull: new Set(),
    types: new Set(),
    checks: new Set(),
    foreignKeys: new Set(),
  };
  const alteration = { parts, changes, duties, version: before.version + 1, location, offset };
  let table = before;
  for (const each of node.cmds ?? []) {
    if (!('AlterTableCmd' in each)) throw unsupported(tree, 'This ALTER TABLE', each);
    const command = each.AlterTableCmd;
    allowFields(tree, command, commandFields);
    const step = steps[command.subtype ?? ''];
    if (step === undefined) throw unsupported(tree, 'This ALTER TABLE', location);
    table = step(alteration, table, command);
    changes.set(table);
  }
  if (table === before) return [];
  checkExistingRows(
    changes.catalog(),
    table,
    {
      types: [...duties.types],
      notNull: [...duties.notNull].filter((ordinal) => table.columns[ordinal]?.notNull === true),
      checks: table.checks.filter((check) => duties.checks.has(check.name)),
      foreignKeys: (table.foreignKeys ?? []).filter((key) => duties.foreignKeys.has(key.name)),
    },
    context,
  );
  return changes.result();
}

const steps: Readonly<Record<string, Step>> = {
  AT_AddColumn: addedColumn,
  AT_DropColumn: droppedColumn,
  AT_ColumnDefault: changedDefault,
  AT_SetNotNull: (alteration, table, command) => {
    const ordinal = ordinalOf(alteration, table, command.name);
    alteration.duties.notNull.add(ordinal);
    return withColumn(table, ordinal, (column) => ({ ...column, notNull: true }));
  },
  AT_DropNotNull: (alteration, table, command) => {
    const ordinal = ordinalOf(alteration, table, command.name);
    if (primaryKeyColumns(table)?.includes(ordinal) === true)
      throw sqlError(
        'INVALID_TABLE_DEFINITION',
        `Column "${command.name ?? ''}" is in the primary key, whose columns are NOT NULL.`,
        alteration.offset,
      );
    return withColumn(table, ordinal, (column) => ({ ...column, notNull: false }));
  },
  AT_AlterColumnType: (alteration, table, command) => {
    const { parts, changes, duties, location } = alteration;
    const ordinal = ordinalOf(alteration, table, command.name);
    const place = { tree: parts.tree, changes, location };
    const before = table.columns[ordinal] as Column;
    const { column, narrows } = changedType(place, table, before, command);
    if (narrows) duties.types.add(ordinal);
    return withColumn(table, ordinal, () => column);
  },
  AT_AddConstraint: (alteration, table, { def }) => {
    const draft = draftOf(alteration, table);
    if (def === undefined || !('Constraint' in def))
      throw unsupported(alteration.parts.tree, 'This constraint', def);
    addConstraint(draft, def.Constraint);
    return withConstraints(alteration, table, draft);
  },
  AT_DropConstraint: droppedConstraint,
  AT_SetRelOptions: ({ parts }, table, { def }) =>
    withTableOptions(parts.tree, table, { kind: 'set', options: listOf(def) }),
  AT_ResetRelOptions: ({ parts }, table, { def }) =>
    withTableOptions(parts.tree, table, { kind: 'reset', options: listOf(def) }),
};

const listOf = (node: Node | undefined): readonly Node[] =>
  node !== undefined && 'List' in node ? (node.List.items ?? []) : [];

function ordinalOf(
  { offset }: Alteration,
  table: TableSchema,
  name: string | undefined = '',
): number {
  const ordinal = table.columns.findIndex((column) => column.name === name);
  if (ordinal !== -1) return ordinal;
  throw sqlError(
    'UNDEFINED_COLUMN',
    `There is no column "${name}" in table "${table.name}".`,
    offset,
  );
}

const withColumn = (
  table: TableSchema,
  ordinal: number,
  change: (column: Column) => Column,
): TableSchema => ({
  ...table,
  columns: table.columns.map((column, place) => (place === ordinal ? change(column) : column)),
});

const draftOf = ({ parts, changes }: Alteration, table: TableSchema): Draft => ({
  tree: parts.tree,
  catalog: changes.catalog(),
  name: table.name,
  base: table,
  columns: [...table.columns],
  constraints: [],
});

function addedColumn(
  alteration: Alteration,
  table: TableSchema,
  command: AlterTableCmd,
): TableSchema {
  const { parts, duties, version, offset } = alteration;
  const node: ColumnDef =
    command.def !== undefined && 'ColumnDef' in command.def ? command.def.ColumnDef : {};
  const name = node.colname ?? '';
  if (table.columns.some((column) => column.name === name)) {
    if (command.missing_ok === true) return table;
    throw sqlError(
      'DUPLICATE_COLUMN',
      `Table "${table.name}" already has a column "${name}"; use another name.`,
      offset,
    );
  }
  if (table.columns.length >= limits.columnsMax)
    throw sqlError(
      'INVALID_TABLE_DEFINITION',
      `Table "${table.name}" cannot have more than ${limits.columnsMax} columns, dropped ones included.`,
      offset,
    );
  const draft = draftOf(alteration, table);
  addColumn(draft, node);
  const ordinal = draft.columns.length - 1;
  const column = draft.columns[ordinal] as Column;
  const missing = missingValue(parts, column);
  draft.columns[ordinal] = {
    ...column,
    since: version,
    ...(missing !== null && { missing: literalOf(missing) }),
  };
  if (column.notNull && missing === null) duties.notNull.add(ordinal);
  return withConstraints(alteration, { ...table, columns: draft.columns }, draft);
}

/** What older rows show in a new column: its default, as it is now. */
function missingValue({ context }: DefinitionParts, column: Column): Value {
  if (column.default === undefined) return null;
  const value = compile(column.default)([], [], context.execution);
  return value === null ? null : coerceToColumn(column.type, value);
}

function withConstraints(alteration: Alteration, table: TableSchema, draft: Draft): TableSchema {
  const { parts, duties, changes } = alteration;
  const bound = bindConstraints(draft, table);
  const key = bound.primaryKey;
  const { context } = parts;
  const taken = new Set([
    ...relationNames(changes.catalog()),
    ...bound.uniques.map((each) => each.name),
  ]);
  const indexes: Index[] = bound.uniques.map((each) => ({
    id: context.allocateObject(),
    name: each.name,
    unique: true,
    columns: each.columns,
  }));
  let columns = table.columns;
  if (key !== undefined) {
    indexes.push({
      id: context.allocateObject(),
      name: key.name ?? `${table.name}_pkey`,
      unique: true,
      columns: key.columns,
      origin: 'primaryKey',
    });
    for (const ordinal of key.columns) duties.notNull.add(ordinal);
    columns = columns.map((column, ordinal) =>
      key.columns.includes(ordinal) ? { ...column, notNull: true } : column,
    );
  }
  for (const check of bound.checks) duties.checks.add(check.name);
  for (const each of bound.foreignKeys) duties.foreignKeys.add(each.name);
  let after: TableSchema = { ...table, columns, checks: [...table.checks, ...bound.checks] };
  for (const each of bound.foreignKeys) {
    const index = neededIndex(alteration, after, { key: each, taken });
    if (index !== undefined) {
      after = { ...after, indexes: [...after.indexes, index] };
      taken.add(index.name);
    }
    after = { ...after, foreignKeys: [...(after.foreignKeys ?? []), each] };
  }
  return withBuilding(after, indexes);
}

function droppedColumn(
  alteration: Alteration,
  table: TableSchema,
  command: AlterTableCmd,
): TableSchema {
  const { parts, changes, location } = alteration;
  const { name = '' } = command;
  if (command.missing_ok === true && !table.columns.some((column) => column.name === name))
    return table;
  const ordinal = ordinalOf(alteration, table, name);
  if (table.primaryKey.includes(ordinal))
    throw unsupported(
      parts.tree,
      `Dropping column "${name}" of the primary key, by which the rows are kept,`,
      location,
    );
  if (table.columns.filter((column) => column.dropped !== true).length === 1)
    throw unsupported(parts.tree, 'A table without columns', location);
  const has = (columns: readonly number[]): boolean => columns.includes(ordinal);
  dropReferences(alteration, table, has, command.behavior === 'DROP_CASCADE');
  let after = withoutForeignKeys(changes.byId(table.id) ?? table, (key) => has(key.columns));
  for (const index of indexesOf(after))
    if (has(index.columns)) after = withoutIndex(after, index.id);
  after = {
    ...after,
    checks: after.checks.filter((check) => !columnsRead(check.expression).includes(ordinal)),
  };
  return withColumn(after, ordinal, ({ type, since }) => ({
    name: '',
    type,
    notNull: false,
    dropped: true,
    ...(since !== undefined && { since }),
  }));
}

/** Foreign keys of any table that refer to columns for which `has` holds: dropped, or DEPENDENT_OBJECTS. */
function dropReferences(
  { changes }: Alteration,
  table: TableSchema,
  has: (columns: readonly number[]) => boolean,
  isCascade: boolean,
): void {
  const refers = (key: ForeignKey): boolean => key.table === table.id && has(key.references);
  changes.set(table);
  for (const other of changes.relations()) {
    const key = other.foreignKeys?.find(refers);
    if (key === undefined) continue;
    if (!isCascade && other.id !== table.id)
      throw new VerityError(
        'DEPENDENT_OBJECTS',
        `Foreign key "${key.name}" of table "${other.name}" refers to what is to be dropped; drop that first, or use CASCADE.`,
        { details: { dependent: key.name } },
      );
    changes.set(withoutForeignKeys(other, refers));
  }
}

function changedDefault(
  alteration: Alteration,
  table: TableSchema,
  command: AlterTableCmd,
): TableSchema {
  const ordinal = ordinalOf(alteration, table, command.name);
  const { default: _, ...column } = table.columns[ordinal] as Column;
  const value: Expression | undefined =
    command.def === undefined
      ? undefined
      : bindDefault(alteration.parts.tree, command.def as Node, column);
  return withColumn(table, ordinal, () =>
    value === undefined ? column : { ...column, default: value },
  );
}

function droppedConstraint(
  alteration: Alteration,
  table: TableSchema,
  command: AlterTableCmd,
): TableSchema {
  const { parts, changes, location, offset } = alteration;
  const { name = '' } = command;
  if (table.primaryKey.length > 0 && primaryKeyName(table) === name)
    throw unsupported(
      parts.tree,
      'Dropping the primary key, by which the rows are kept,',
      location,
    );
  const index = indexesOf(table).find((each) => each.name === name && isConstraint(each));
  if (index !== undefined) {
    const isReferred = (columns: readonly number[]): boolean =>
      columns.length === index.columns.length &&
      columns.every((ordinal) => index.columns.includes(ordinal));
    if (command.behavior === 'DROP_CASCADE') dropReferences(alteration, table, isReferred, true);
    const after = withoutIndex(changes.byId(table.id) ?? table, index.id);
    checkForeignKeysServed(changes, after);
    return after;
  }
  if (table.checks.some((check) => check.name === name))
    return { ...table, checks: table.checks.filter((check) => check.name !== name) };
  if (table.foreignKeys?.some((key) => key.name === name) === true)
    return withoutForeignKeys(table, (key) => key.name === name);
  if (command.missing_ok === true) return table;
  throw sqlError(
    'UNDEFINED_OBJECT',
    `Table "${table.name}" has no constraint "${name}"; check the spelling.`,
    offset,
  );
}
