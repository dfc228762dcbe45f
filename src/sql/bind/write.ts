/** Binds INSERT, UPDATE and DELETE: which columns get which values, and RETURNING. */
import type { DeleteStmt, InsertStmt, Node, ReturningClause, UpdateStmt } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Column, Expression, TableSchema } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { canCoerce, coerce, typeLabel } from './coerce.ts';
import {
  type BindContext,
  errorAt,
  offsetOf,
  type ParameterTypes,
  type Relation,
} from './context.ts';
import { bindCondition, bindExpression } from './expression.ts';
import { bindRelation } from './relation.ts';
import { settleTargets, typeOf } from './select.ts';
import { bindTargets } from './targets.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';

export interface BoundReturning {
  readonly outputs: readonly Expression[];
  readonly columns: readonly ResultColumn[];
}

/** A value for each column; undefined: the column's default, or NULL. */
export type RowValues = readonly (Expression | undefined)[];

export interface BoundInsert {
  readonly table: TableSchema;
  readonly rows: readonly RowValues[];
  readonly returning: BoundReturning;
}

export interface Assignment {
  readonly ordinal: number;
  /** Over the old row; undefined: the column's default, or NULL. */
  readonly value: Expression | undefined;
}

export interface BoundUpdate {
  readonly table: TableSchema;
  readonly where: Expression | undefined;
  readonly assignments: readonly Assignment[];
  readonly returning: BoundReturning;
}

export interface BoundDelete {
  readonly table: TableSchema;
  readonly where: Expression | undefined;
  readonly returning: BoundReturning;
}

const insertFields = new Set(['relation', 'cols', 'selectStmt', 'returningClause', 'override']);
const insertNames = { onConflictClause: 'ON CONFLICT', withClause: 'WITH' };
const updateFields = new Set(['relation', 'targetList', 'whereClause', 'returningClause']);
const updateNames = { fromClause: 'FROM in UPDATE', withClause: 'WITH' };
const deleteFields = new Set(['relation', 'whereClause', 'returningClause']);
const deleteNames = { usingClause: 'USING in DELETE', withClause: 'WITH' };

function contextOf(
  tree: StatementTree,
  relation: Relation | undefined,
  parameters: ParameterTypes,
  clause: string,
): BindContext {
  return {
    source: tree.source,
    relations: relation === undefined ? [] : [relation],
    parameters,
    clause,
    aggregates: undefined,
    onColumn: undefined,
    depth: 0,
  };
}

export function bindInsert(
  tree: StatementTree,
  statement: InsertStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundInsert {
  allowFields(tree, statement, insertFields, insertNames);
  if (statement.override !== 'OVERRIDING_NOT_SET') throw unsupported(tree, 'OVERRIDING', statement);
  const relation = bindRelation(tree, statement.relation ?? {}, catalog);
  const { table } = relation;
  const targets = insertTargets(tree, statement.cols, table);
  const context = contextOf(tree, undefined, parameters, 'VALUES');
  const lists = valueLists(tree, statement);
  checkLengths(tree, lists, statement.cols === undefined ? undefined : targets.length);
  const rows = lists.map((list) => bindRow(context, list, targets, table));
  const returning = bindReturning(tree, statement.returningClause, relation, parameters);
  return { table, rows, returning };
}

/** Ordinals of the named columns in their order, or of all columns. */
function insertTargets(
  tree: StatementTree,
  cols: readonly Node[] | undefined,
  table: TableSchema,
): readonly number[] {
  if (cols === undefined) return table.columns.map((_, ordinal) => ordinal);
  const seen = new Set<number>();
  for (const col of cols) {
    if (!('ResTarget' in col)) throw unsupported(tree, 'This column list', col);
    seen.add(targetOrdinal(tree, col.ResTarget, table, seen));
  }
  return [...seen];
}

function targetOrdinal(
  tree: StatementTree,
  target: {
    readonly name?: string;
    readonly indirection?: readonly Node[];
    readonly location?: number;
  },
  table: TableSchema,
  seen: ReadonlySet<number>,
): number {
  const name = target.name ?? '';
  if (target.indirection !== undefined)
    throw unsupported(tree, 'Assigning to a part of a column', target.location);
  const ordinal = table.columns.findIndex((column) => column.name === name);
  const offset = offsetOf(tree, target.location);
  if (ordinal === -1)
    throw sqlError(
      'UNDEFINED_COLUMN',
      `There is no column "${name}" in table "${table.name}".`,
      offset,
    );
  if (seen.has(ordinal))
    throw sqlError('DUPLICATE_COLUMN', `Column "${name}" is assigned twice; name it once.`, offset);
  return ordinal;
}

/** The rows of VALUES; one row without values for DEFAULT VALUES. */
function valueLists(tree: StatementTree, statement: InsertStmt): readonly (readonly Node[])[] {
  if (statement.selectStmt === undefined) return [[]];
  const select = 'SelectStmt' in statement.selectStmt ? statement.selectStmt.SelectStmt : undefined;
  if (select?.valuesLists === undefined)
    throw unsupported(tree, 'INSERT … SELECT', statement.selectStmt);
  allowFields(tree, select, new Set(['valuesLists', 'limitOption', 'op']), {
    withClause: 'WITH',
    sortClause: 'ORDER BY after VALUES',
    limitCount: 'LIMIT after VALUES',
    limitOffset: 'OFFSET after VALUES',
  });
  return select.valuesLists.map((list) => ('List' in list ? (list.List.items ?? []) : []));
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

/** A value for a column: DEFAULT, or an expression that is cast to the column's type by assignment. */
export function bindAssigned(
  context: BindContext,
  node: Node,
  column: Column,
): Expression | undefined {
  if ('SetToDefault' in node) return undefined;
  const bound = bindExpression(context, node);
  if (!canCoerce(bound.type, column.type, 'assignment')) {
    throw sqlError(
      'TYPE_MISMATCH',
      `Column "${column.name}" is of type ${typeLabel(column.type)}, but the expression is of type ${typeLabel(bound.type)}; add a cast.`,
      bound.offset,
    );
  }
  // The modifiers (length, precision) are applied to the row as a whole when it is written.
  return coerce(bound, { name: column.type.name }, 'assignment', context.parameters);
}

export function bindUpdate(
  tree: StatementTree,
  statement: UpdateStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundUpdate {
  allowFields(tree, statement, updateFields, updateNames);
  const relation = bindRelation(tree, statement.relation ?? {}, catalog);
  const { table } = relation;
  const context = contextOf(tree, relation, parameters, 'SET');
  const seen = new Set<number>();
  const assignments = (statement.targetList ?? []).map((node): Assignment => {
    if (!('ResTarget' in node)) throw unsupported(tree, 'This assignment', node);
    const ordinal = targetOrdinal(tree, node.ResTarget, table, seen);
    seen.add(ordinal);
    const column = table.columns[ordinal] as Column;
    return {
      ordinal,
      value: bindAssigned(context, assignedNode(tree, node.ResTarget.val as Node), column),
    };
  });
  const where = bindWhere(context, statement.whereClause);
  return {
    table,
    where,
    assignments,
    returning: bindReturning(tree, statement.returningClause, relation, parameters),
  };
}

/** The value of one column in SET (a, b) = (x, y). */
function assignedNode(tree: StatementTree, node: Node): Node {
  if (!('MultiAssignRef' in node)) return node;
  const { source, colno = 1, ncolumns } = node.MultiAssignRef;
  const values = source !== undefined && 'RowExpr' in source ? source.RowExpr.args : undefined;
  if (values === undefined) throw unsupported(tree, 'SET (…) = (SELECT …)', source);
  const value = values[colno - 1];
  if (value === undefined || values.length !== ncolumns) {
    throw errorAt(
      tree,
      'SYNTAX_ERROR',
      'SET (…) = (…) takes as many values as columns.',
      firstLocation(source),
    );
  }
  return value;
}

export function bindDelete(
  tree: StatementTree,
  statement: DeleteStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundDelete {
  allowFields(tree, statement, deleteFields, deleteNames);
  const relation = bindRelation(tree, statement.relation ?? {}, catalog);
  const where = bindWhere(contextOf(tree, relation, parameters, 'WHERE'), statement.whereClause);
  return {
    table: relation.table,
    where,
    returning: bindReturning(tree, statement.returningClause, relation, parameters),
  };
}

const bindWhere = (context: BindContext, node: Node | undefined): Expression | undefined =>
  node === undefined ? undefined : bindCondition({ ...context, clause: 'WHERE' }, node, 'WHERE');

function bindReturning(
  tree: StatementTree,
  clause: ReturningClause | undefined,
  relation: Relation,
  parameters: ParameterTypes,
): BoundReturning {
  if (clause === undefined) return { outputs: [], columns: [] };
  allowFields(tree, clause, new Set(['exprs']), { options: 'RETURNING WITH' });
  const targets = bindTargets(
    contextOf(tree, relation, parameters, 'RETURNING'),
    clause.exprs ?? [],
  );
  const outputs = settleTargets(targets, parameters);
  return {
    outputs,
    columns: outputs.map((output, index) => ({
      name: targets[index]?.name ?? '',
      type: typeOf(output),
    })),
  };
}
