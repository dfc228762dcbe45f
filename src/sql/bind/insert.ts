/** Binds INSERT: rows of VALUES or of a query, and what becomes of those whose key is taken. */
import type { InferClause, InsertStmt, Node, OnConflictClause, SelectStmt } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Column, Expression, Index, TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { isConstraint, primaryKeyName, sameColumns } from '../schema/table-keys.ts';
import type { BoundQuery } from './bound-query.ts';
import {
  type BindContext,
  errorAt,
  newContext,
  offsetOf,
  type ParameterTypes,
  type TableRelation,
} from './context.ts';
import { bindExpression } from './expression.ts';
import { bindQuery, withNamed } from './query.ts';
import { tableRelation } from './relation.ts';
import { plain } from './type-rules.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';
import {
  assigned,
  type Assignment,
  bindAssigned,
  bindAssignments,
  bindReturning,
  bindWhere,
  bindWritten,
  type BoundReturning,
  contextOf,
  targetOrdinal,
  type WriteScope,
} from './write.ts';

/** A value for each column; undefined: the column's default, or NULL. */
export type RowValues = readonly (Expression | undefined)[];

export interface BoundInsert {
  readonly table: TableSchema;
  /** Of VALUES; one for each row of `query` if there is one, over that row. */
  readonly rows: readonly RowValues[];
  readonly query: BoundQuery | undefined;
  readonly conflict: BoundConflict | undefined;
  readonly returning: BoundReturning;
}

/** What becomes of a row whose key is taken. */
export interface BoundConflict {
  /** Keys that may be taken; another one is an error. */
  readonly arbiters: readonly (Index | 'primaryKey')[];
  /** Undefined: DO NOTHING. Over the row that is there and, behind its columns, the one that is refused. */
  readonly update:
    | { readonly assignments: readonly Assignment[]; readonly where: Expression | undefined }
    | undefined;
}

const insertFields = new Set([
  'relation',
  'cols',
  'selectStmt',
  'returningClause',
  'override',
  'onConflictClause',
  'withClause',
]);
const conflictFields = new Set(['action', 'infer', 'targetList', 'whereClause', 'location']);
const inferFields = new Set(['indexElems', 'conname', 'location']);

export function bindInsert(
  tree: StatementTree,
  statement: InsertStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundInsert {
  allowFields(tree, statement, insertFields);
  if (statement.override !== 'OVERRIDING_NOT_SET') throw unsupported(tree, 'OVERRIDING', statement);
  const relation = bindWritten(tree, statement.relation ?? {}, catalog);
  const { table } = relation;
  const targets = insertTargets(tree, statement.cols, table);
  const { named } = withNamed(
    contextOf(tree, undefined, { catalog, parameters }, 'WITH'),
    statement,
  );
  const scope = { catalog, parameters, ...(named === undefined ? {} : { named }) };
  const isNamed = statement.cols !== undefined;
  const select =
    statement.selectStmt !== undefined && 'SelectStmt' in statement.selectStmt
      ? statement.selectStmt.SelectStmt
      : undefined;
  const lists = valueLists(select);
  const context = contextOf(tree, undefined, scope, lists === undefined ? 'SELECT' : 'VALUES');
  const parts = {
    table,
    conflict: bindConflict(tree, statement.onConflictClause, relation, scope),
  };
  if (lists !== undefined) {
    checkLengths(tree, lists, isNamed ? targets.length : undefined);
    const rows = lists.map((list) => bindRow(context, list, targets, table));
    const returning = bindReturning(
      contextOf(tree, relation, scope, 'RETURNING'),
      statement.returningClause,
    );
    return { ...parts, rows, query: undefined, returning };
  }
  const types = targets.map((ordinal) => plain((table.columns[ordinal] as Column).type));
  const query = bindQuery(select as SelectStmt, { source: tree.source, ...scope }, types);
  // Queries run with room for what they hold, as subqueries do.
  parameters.noteSubquery();
  const row = queryRow(context, query, targets, table, {
    isNamed,
    location: firstLocation(select),
  });
  const returning = bindReturning(
    contextOf(tree, relation, scope, 'RETURNING'),
    statement.returningClause,
  );
  return { ...parts, rows: [row], query, returning };
}

/** The values of a row of the query, cast to the columns' types by assignment. */
function queryRow(
  context: BindContext,
  query: BoundQuery,
  targets: readonly number[],
  table: TableSchema,
  { isNamed, location }: { readonly isNamed: boolean; readonly location: number | undefined },
): RowValues {
  const { length } = query.columns;
  if (length > targets.length || (isNamed && length < targets.length))
    throw errorAt(
      context,
      'SYNTAX_ERROR',
      `INSERT has ${targets.length} columns, but the query gives ${length}; give as many.`,
      location,
    );
  const row = new Array<Expression | undefined>(table.columns.length).fill(undefined);
  query.columns.forEach(({ type }, place) => {
    const ordinal = targets[place] as number;
    const expression: Expression = { kind: 'column', type, ordinal: place };
    const bound = { expression, type, offset: offsetOf(context, location) };
    row[ordinal] = assigned(context, bound, table.columns[ordinal] as Column);
  });
  return row;
}

function bindConflict(
  tree: StatementTree,
  clause: OnConflictClause | undefined,
  relation: TableRelation,
  scope: WriteScope,
): BoundConflict | undefined {
  if (clause === undefined) return undefined;
  allowFields(tree, clause, conflictFields);
  const { table } = relation;
  const isUpdate = clause.action === 'ONCONFLICT_UPDATE';
  if (clause.infer === undefined) {
    if (isUpdate)
      throw errorAt(
        tree,
        'SYNTAX_ERROR',
        'ON CONFLICT DO UPDATE must name the columns or the constraint of the key.',
        clause.location,
      );
    const arbiters = table.primaryKey.length > 0 ? (['primaryKey'] as const) : [];
    return {
      arbiters: [...arbiters, ...table.indexes.filter((index) => index.unique)],
      update: undefined,
    };
  }
  const arbiters = [bindArbiter(tree, clause.infer, table)];
  if (!isUpdate) return { arbiters, update: undefined };
  const excluded = tableRelation('excluded', table, table.columns.length);
  const context = newContext({
    source: tree.source,
    ...scope,
    relations: [relation, excluded],
    clause: 'SET',
  });
  const assignments = bindAssignments(context, tree, clause.targetList ?? [], table);
  return { arbiters, update: { assignments, where: bindWhere(context, clause.whereClause) } };
}

/** The key that ON CONFLICT names. */
function bindArbiter(
  tree: StatementTree,
  infer: InferClause,
  table: TableSchema,
): Index | 'primaryKey' {
  allowFields(tree, infer, inferFields, { whereClause: 'WHERE of a conflict target' });
  const { conname, location } = infer;
  if (conname !== undefined) {
    if (table.primaryKey.length > 0 && primaryKeyName(table) === conname) return 'primaryKey';
    const index = table.indexes.find((each) => each.name === conname && isConstraint(each));
    if (index !== undefined) return index;
    throw errorAt(
      tree,
      'UNDEFINED_OBJECT',
      `Table "${table.name}" has no unique constraint "${conname}".`,
      location,
    );
  }
  // A key may name a column twice.
  const named = { seen: new Set<number>(), twice: 'SYNTAX_ERROR' } as const;
  const elements = (infer.indexElems ?? []).map((node) => {
    if (!('IndexElem' in node) || node.IndexElem.name === undefined)
      throw unsupported(tree, 'A conflict target that is an expression', location);
    allowFields(tree, node.IndexElem, new Set(['name', 'ordering', 'nulls_ordering']));
    return targetOrdinal(tree, { name: node.IndexElem.name, ...place(location) }, table, named);
  });
  const columns = [...new Set(elements)];
  if (sameColumns(table.primaryKey, columns)) return 'primaryKey';
  const found = table.indexes.find((index) => index.unique && sameColumns(index.columns, columns));
  if (found !== undefined) return found;
  throw errorAt(
    tree,
    'INVALID_COLUMN_REFERENCE',
    `Table "${table.name}" has no primary key, UNIQUE constraint or unique index of exactly the columns that ON CONFLICT names.`,
    location,
  );
}

const place = (location: number | undefined): { readonly location?: number } =>
  location === undefined ? {} : { location };

/** Ordinals of the named columns in their order, or of all columns. */
function insertTargets(
  tree: StatementTree,
  cols: readonly Node[] | undefined,
  table: TableSchema,
): readonly number[] {
  if (cols === undefined)
    return table.columns.flatMap(({ dropped }, ordinal) => (dropped === true ? [] : [ordinal]));
  const seen = new Set<number>();
  for (const col of cols) {
    if (!('ResTarget' in col)) throw unsupported(tree, 'This column list', col);
    seen.add(targetOrdinal(tree, col.ResTarget, table, { seen, twice: 'DUPLICATE_COLUMN' }));
  }
  return [...seen];
}

const plainValues = new Set(['valuesLists', 'limitOption', 'op']);

/** The rows of plain VALUES; one row without values for DEFAULT VALUES; undefined for a query. */
function valueLists(select: SelectStmt | undefined): readonly (readonly Node[])[] | undefined {
  if (select === undefined) return [[]];
  const isPlain =
    select.valuesLists !== undefined &&
    Object.keys(select).every((field) => plainValues.has(field));
  if (!isPlain) return undefined;
  return (select.valuesLists ?? []).map((list) => ('List' in list ? (list.List.items ?? []) : []));
}

/** All lists of VALUES are of one length, and of that of the column list if there is one. DEFAULT VALUES has none. */
function checkLengths(
  tree: StatementTree,
  lists: readonly (readonly Node[])[],
  columnCount: number | undefined,
): void {
  const [first = []] = lists;
  const odd = lists.find((list) => list.length !== first.length);
  if (odd !== undefined)
    throw errorAt(
      tree,
      'SYNTAX_ERROR',
      'The rows of VALUES differ in length; give each as many values.',
      firstLocation(odd[0]),
    );
  if (columnCount !== undefined && first.length > 0 && first.length < columnCount) {
    throw errorAt(
      tree,
      'SYNTAX_ERROR',
      `INSERT names ${columnCount} columns but gives ${first.length} values; use DEFAULT for the others.`,
      firstLocation(first[0]),
    );
  }
}

function bindRow(
  context: BindContext,
  values: readonly Node[],
  targets: readonly number[],
  table: TableSchema,
): RowValues {
  const extra = values[targets.length];
  if (extra !== undefined) {
    const { offset } = bindExpression(context, extra);
    throw sqlError(
      'SYNTAX_ERROR',
      `INSERT has more values than columns: there are ${targets.length} columns.`,
      offset,
    );
  }
  const row: (Expression | undefined)[] = new Array<undefined>(table.columns.length).fill(
    undefined,
  );
  values.forEach((value, index) => {
    const ordinal = targets[index] as number;
    row[ordinal] = bindAssigned(context, value, table.columns[ordinal] as Column);
  });
  return row;
}
