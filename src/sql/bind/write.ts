/** Binds UPDATE and DELETE, and what INSERT shares with them: assigned values and RETURNING. */
import type { DeleteStmt, Node, RangeVar, ReturningClause, SubLink, UpdateStmt } from 'libpg-query';
import { type ErrorCode, sqlError, type VerityError } from '../../base/index.ts';
import type { Column, Expression, TableSchema } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { type BoundSelect, type From, widthOf } from './bound-query.ts';
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
import { bindFrom } from './from.ts';
import { withNamed } from './query.ts';
import { bindRelation, tableName } from './relation.ts';
import { settleTargets, typeOf } from './select.ts';
import { bindInner } from './subquery.ts';
import { bindTargets } from './targets.ts';
import { textType } from './type-rules.ts';
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

/** The rows that an UPDATE or DELETE is about. */
export interface BoundRows {
  readonly table: TableSchema;
  readonly where: Expression | undefined;
  /**
   * With FROM or USING: the query that joins the table to them. Its rows are the table's columns, the row's stored
   * entry, then the columns of the others; assignments and RETURNING are over them.
   */
  readonly joined: BoundSelect | undefined;
}

export interface BoundUpdate extends BoundRows {
  readonly assignments: readonly Assignment[];
  readonly returning: BoundReturning;
}

export interface BoundDelete extends BoundRows {
  readonly returning: BoundReturning;
}

const updateFields = new Set([
  'relation',
  'targetList',
  'fromClause',
  'whereClause',
  'returningClause',
  'withClause',
]);
const deleteFields = new Set([
  'relation',
  'usingClause',
  'whereClause',
  'returningClause',
  'withClause',
]);

export interface WriteScope {
  readonly catalog: Catalog;
  readonly parameters: ParameterTypes;
  /** Queries of WITH. */
  readonly named?: NonNullable<BindContext['named']>;
}

export function contextOf(
  { source }: StatementTree,
  relation: TableRelation | undefined,
  scope: WriteScope,
  clause: string,
): BindContext {
  const relations = relation === undefined ? [] : [relation];
  return newContext({ source, relations, ...scope, clause });
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
  const ordinal = table.columns.findIndex((column) => column.name === name);
  const offset = offsetOf(tree, target.location);
  if (ordinal === -1)
    throw sqlError(
      'UNDEFINED_COLUMN',
      `There is no column "${name}" in table "${table.name}".`,
      offset,
    );
  if (target.indirection !== undefined)
    throw unsupported(tree, 'Assigning to a part of a column', target.location);
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
  allowFields(tree, statement, updateFields);
  const relation = bindWritten(tree, statement.relation ?? {}, catalog);
  const { table } = relation;
  const scope = { catalog, parameters };
  const around = withNamed(contextOf(tree, relation, scope, 'FROM'), statement);
  const { context, joinTo } = bindOthers(around, relation, statement.fromClause);
  const set: BindContext = { ...context, clause: 'SET' };
  const assignments = bindAssignments(set, tree, statement.targetList ?? [], table);
  const where = bindWhere(context, statement.whereClause);
  const returning = bindReturning(context, statement.returningClause);
  return { table, where, joined: joinTo?.(where), assignments, returning };
}

/** What stands in FROM or USING beside the table that is written. Its columns lie behind the row's stored entry. */
function bindOthers(
  context: BindContext,
  relation: TableRelation,
  nodes: readonly Node[] | undefined,
): {
  readonly context: BindContext;
  readonly joinTo?: (where: Expression | undefined) => BoundSelect;
} {
  if (nodes === undefined) return { context };
  const { name, table } = relation;
  const width = table.columns.length + 1;
  const own: From = { kind: 'table', name, table, withEntry: true, start: 0, width };
  const first = { from: own, relations: [relation] };
  const { from, relations } = bindFrom(context, nodes, first);
  // A join runs with a budget, as subqueries do.
  context.parameters.noteSubquery();
  const outputs = Array.from({ length: widthOf(from) }, (_, ordinal): Expression => ({
    kind: 'column',
    type: textType,
    ordinal,
  }));
  const joinTo = (where: Expression | undefined): BoundSelect => ({
    kind: 'select',
    from,
    where,
    grouping: undefined,
    outputs,
    columns: [],
    distinct: false,
    sort: [],
    limit: undefined,
    offset: undefined,
  });
  return { context: { ...context, relations }, joinTo };
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
    const value = assignedNode(context, node.ResTarget.val as Node);
    return { ordinal, value: bindAssigned(context, value, table.columns[ordinal] as Column) };
  });
}

/** The value of one column in SET (a, b) = (x, y). */
function assignedNode(context: BindContext, node: Node): Node {
  if (!('MultiAssignRef' in node)) return node;
  const { source, colno = 1, ncolumns } = node.MultiAssignRef;
  if (source !== undefined && 'SubLink' in source)
    return oneColumn(context, source.SubLink, colno, ncolumns ?? 1);
  const values = source !== undefined && 'RowExpr' in source ? source.RowExpr.args : undefined;
  if (values === undefined) throw unsupported(context, 'This row of values', source);
  const value = values[colno - 1];
  if (value === undefined || values.length !== ncolumns) {
    throw tooFew(context, source);
  }
  return value;
}

const tooFew = (context: BindContext, source: Node | undefined): VerityError =>
  errorAt(
    context,
    'SYNTAX_ERROR',
    'SET (…) = (…) takes as many values as columns.',
    firstLocation(source),
  );

/** One column of the row that a query in SET (a, b) = (SELECT …) yields, as a query of its own. */
function oneColumn(context: BindContext, link: SubLink, number: number, count: number): Node {
  const query = bindInner(context, link).query;
  if (query.columns.length !== count) throw tooFew(context, { SubLink: link });
  const names = Array.from({ length: count }, (_, at): Node => ({
    String: { sval: `column${at + 1}` },
  }));
  const column: Node = { ColumnRef: { fields: [names[number - 1] as Node] } };
  const subselect: Node = {
    SelectStmt: {
      targetList: [{ ResTarget: { val: column } }],
      fromClause: [
        {
          RangeSubselect: {
            subquery: link.subselect as Node,
            alias: { aliasname: 'row', colnames: names },
          },
        },
      ],
      limitOption: 'LIMIT_OPTION_DEFAULT',
      op: 'SETOP_NONE',
    },
  };
  return { SubLink: { ...link, subselect } };
}

export function bindDelete(
  tree: StatementTree,
  statement: DeleteStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundDelete {
  allowFields(tree, statement, deleteFields);
  const relation = bindWritten(tree, statement.relation ?? {}, catalog);
  const scope = { catalog, parameters };
  const around = withNamed(contextOf(tree, relation, scope, 'FROM'), statement);
  const { context, joinTo } = bindOthers(around, relation, statement.usingClause);
  const where = bindWhere(context, statement.whereClause);
  const returning = bindReturning(context, statement.returningClause);
  return { table: relation.table, where, joined: joinTo?.(where), returning };
}

export const bindWhere = (context: BindContext, node: Node | undefined): Expression | undefined =>
  node === undefined ? undefined : bindCondition({ ...context, clause: 'WHERE' }, node, 'WHERE');

/** Binds RETURNING over the relations of `context`. */
export function bindReturning(
  context: BindContext,
  clause: ReturningClause | undefined,
): BoundReturning {
  if (clause === undefined) return { outputs: [], columns: [] };
  allowFields(context, clause, new Set(['exprs']), { options: 'RETURNING WITH' });
  const targets = bindTargets({ ...context, clause: 'RETURNING' }, clause.exprs ?? []);
  const outputs = settleTargets(targets, context.parameters);
  return {
    outputs,
    columns: outputs.map((output, index) => ({
      name: targets[index]?.name ?? '',
      type: typeOf(output),
    })),
  };
}
