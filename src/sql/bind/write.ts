/** Binds UPDATE and DELETE, and what INSERT shares with them: assigned values and RETURNING. */
import type { DeleteStmt, Node, RangeVar, ReturningClause, UpdateStmt } from 'libpg-query';
import { type ErrorCode, sqlError } from '../../base/index.ts';
import type { Column, Expression, TableSchema } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { canCoerce, coerce, typeLabel } from './coerce.ts';
import {
  type BindContext,
  type Bound,
  errorAt,
  newContext,
  offsetOf,
  type ParameterTypes,
  type TableRelation,
} from './context.ts';
import { bindCondition, bindExpression } from './expression.ts';
import { bindRelation, tableName } from './relation.ts';
import { settleTargets, typeOf } from './select.ts';
import { bindTargets } from './targets.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';

export interface BoundReturning {
  readonly outputs: readonly Expression[];
  readonly columns: readonly ResultColumn[];
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

const updateFields = new Set(['relation', 'targetList', 'whereClause', 'returningClause']);
const updateNames = { fromClause: 'FROM in UPDATE', withClause: 'WITH' };
const deleteFields = new Set(['relation', 'whereClause', 'returningClause']);
const deleteNames = { usingClause: 'USING in DELETE', withClause: 'WITH' };

export interface WriteScope {
  readonly catalog: Catalog;
  readonly parameters: ParameterTypes;
}

export function contextOf(
  { source }: StatementTree,
  relation: TableRelation | undefined,
  { catalog, parameters }: WriteScope,
  clause: string,
): BindContext {
  const relations = relation === undefined ? [] : [relation];
  return newContext({ source, relations, catalog, parameters, clause });
}

/** The table that a statement writes to. */
export function bindWritten(tree: StatementTree, node: RangeVar, catalog: Catalog): TableRelation {
  if (catalog.view(tableName(tree, node)) !== undefined)
    throw unsupported(tree, 'Writing to a view', node.location);
  return bindRelation(tree, node, catalog);
}

/** The ordinal of a column that a statement assigns. Throws UNDEFINED_COLUMN, and `twice` for one of `seen`. */
export function targetOrdinal(
  tree: StatementTree,
  target: {
    readonly name?: string;
    readonly indirection?: readonly Node[];
    readonly location?: number;
  },
  table: TableSchema,
  { seen, twice }: { readonly seen: ReadonlySet<number>; readonly twice: ErrorCode },
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
    throw sqlError(twice, `Column "${name}" is assigned twice; name it once.`, offset);
  return ordinal;
}

/** A value for a column: DEFAULT, or an expression that is cast to the column's type by assignment. */
export function bindAssigned(
  context: BindContext,
  node: Node,
  column: Column,
): Expression | undefined {
  if ('SetToDefault' in node) return undefined;
  return assigned(context, bindExpression(context, node), column);
}

/** A bound value as a column takes it. Throws TYPE_MISMATCH. */
export function assigned(context: BindContext, bound: Bound, column: Column): Expression {
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
  const relation = bindWritten(tree, statement.relation ?? {}, catalog);
  const { table } = relation;
  const context = contextOf(tree, relation, { catalog, parameters }, 'SET');
  const assignments = bindAssignments(context, tree, statement.targetList ?? [], table);
  const where = bindWhere(context, statement.whereClause);
  return {
    table,
    where,
    assignments,
    returning: bindReturning(tree, statement.returningClause, relation, { catalog, parameters }),
  };
}

/** The assignments of SET. */
export function bindAssignments(
  context: BindContext,
  tree: StatementTree,
  targets: readonly Node[],
  table: TableSchema,
): readonly Assignment[] {
  const seen = new Set<number>();
  return targets.map((node): Assignment => {
    if (!('ResTarget' in node)) throw unsupported(tree, 'This assignment', node);
    const ordinal = targetOrdinal(tree, node.ResTarget, table, { seen, twice: 'SYNTAX_ERROR' });
    seen.add(ordinal);
    const value = assignedNode(tree, node.ResTarget.val as Node);
    return { ordinal, value: bindAssigned(context, value, table.columns[ordinal] as Column) };
  });
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
  const relation = bindWritten(tree, statement.relation ?? {}, catalog);
  const context = contextOf(tree, relation, { catalog, parameters }, 'WHERE');
  const where = bindWhere(context, statement.whereClause);
  return {
    table: relation.table,
    where,
    returning: bindReturning(tree, statement.returningClause, relation, { catalog, parameters }),
  };
}

export const bindWhere = (context: BindContext, node: Node | undefined): Expression | undefined =>
  node === undefined ? undefined : bindCondition({ ...context, clause: 'WHERE' }, node, 'WHERE');

export function bindReturning(
  tree: StatementTree,
  clause: ReturningClause | undefined,
  relation: TableRelation,
  scope: WriteScope,
): BoundReturning {
  if (clause === undefined) return { outputs: [], columns: [] };
  allowFields(tree, clause, new Set(['exprs']), { options: 'RETURNING WITH' });
  const targets = bindTargets(contextOf(tree, relation, scope, 'RETURNING'), clause.exprs ?? []);
  const outputs = settleTargets(targets, scope.parameters);
  return {
    outputs,
    columns: outputs.map((output, index) => ({
      name: targets[index]?.name ?? '',
      type: typeOf(output),
    })),
  };
}
