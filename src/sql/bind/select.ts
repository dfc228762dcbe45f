import type { Node, SelectStmt } from 'libpg-query';
import { type ColumnType, sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { coerce, settle } from './coerce.ts';
import type { AggregateCall, Bound, BindContext, ParameterTypes, Relation } from './context.ts';
import { bindCondition, bindExpression, coerceTo } from './expression.ts';
import { bindRelation } from './relation.ts';
import { bindSort, type SortKey } from './sort.ts';
import { bindTargets, type Target } from './targets.ts';
import { plainTypes } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

/** A SELECT with names and types settled; what is left is how to reach the rows. */
export interface BoundSelect {
  readonly relation: Relation | undefined;
  readonly where: Expression | undefined;
  /** Not empty: the rows fold into one row of aggregates, which outputs and sort keys then refer to. */
  readonly aggregates: readonly AggregateCall[];
  readonly outputs: readonly Expression[];
  readonly columns: readonly ResultColumn[];
  readonly distinct: boolean;
  /** Over the source row; with DISTINCT over the output row. */
  readonly sort: readonly SortKey[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
}

const selectFields = new Set([
  'targetList',
  'fromClause',
  'whereClause',
  'sortClause',
  'limitCount',
  'limitOffset',
  'limitOption',
  'op',
  'distinctClause',
]);
const fieldNames = {
  intoClause: 'SELECT INTO',
  groupClause: 'GROUP BY',
  groupDistinct: 'GROUP BY',
  havingClause: 'HAVING',
  windowClause: 'WINDOW',
  valuesLists: 'VALUES as a query',
  lockingClause: 'FOR UPDATE and the like',
  withClause: 'WITH',
  all: 'UNION, INTERSECT or EXCEPT',
  larg: 'UNION, INTERSECT or EXCEPT',
  rarg: 'UNION, INTERSECT or EXCEPT',
};

export function bindSelect(
  tree: StatementTree,
  statement: SelectStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): BoundSelect {
  const { source } = tree;
  checkShape(tree, statement);
  const relation = bindFrom(tree, statement.fromClause ?? [], catalog);
  const aggregates: AggregateCall[] = [];
  let bareColumn: { readonly name: string; readonly offset: number | undefined } | undefined;
  const context: BindContext = {
    source,
    relations: relation === undefined ? [] : [relation],
    parameters,
    clause: 'SELECT',
    aggregates,
    onColumn: (name, offset) => {
      bareColumn ??= { name, offset };
    },
    depth: 0,
  };
  const plainContext: BindContext = { ...context, aggregates: undefined, onColumn: undefined };
  const targets = bindTargets(context, statement.targetList ?? []);
  const where =
    statement.whereClause === undefined
      ? undefined
      : bindCondition({ ...plainContext, clause: 'WHERE' }, statement.whereClause, 'WHERE');
  const outputs = settleTargets(targets, parameters);
  const distinct = bindDistinct(tree, statement);
  const sort = bindSort({ ...context, clause: 'ORDER BY' }, statement.sortClause ?? [], {
    targets,
    outputs,
    distinct,
  });
  if (aggregates.length > 0 && bareColumn !== undefined) {
    throw sqlError(
      'GROUPING_ERROR',
      `Column "${bareColumn.name}" stands beside an aggregate; put it into one, or select it alone.`,
      bareColumn.offset,
    );
  }
  const boundless: BindContext = { ...plainContext, relations: [] };
  return {
    relation,
    where,
    aggregates,
    outputs,
    distinct,
    columns: outputs.map((output, index) => ({
      name: targets[index]?.name ?? '',
      type: typeOf(output),
    })),
    sort: aggregates.length > 0 ? [] : sort,
    limit: bindCount(boundless, statement.limitCount, 'LIMIT'),
    offset: bindCount(boundless, statement.limitOffset, 'OFFSET'),
  };
}

export const typeOf = (expression: Expression): ColumnType => expression.type ?? plainTypes.text;

/** The targets' expressions with their types settled. */
export const settleTargets = (
  targets: readonly Target[],
  parameters: ParameterTypes,
): Expression[] => targets.map((target) => settle(target.bound, parameters));

function checkShape(tree: StatementTree, statement: SelectStmt): void {
  if (statement.op !== 'SETOP_NONE')
    throw unsupported(tree, 'UNION, INTERSECT or EXCEPT', statement.rarg ?? statement);
  allowFields(tree, statement, selectFields, fieldNames);
  if (statement.limitOption === 'LIMIT_OPTION_WITH_TIES')
    throw unsupported(tree, 'WITH TIES', statement.limitCount);
}

function bindFrom(
  tree: StatementTree,
  from: readonly Node[],
  catalog: Catalog,
): Relation | undefined {
  const [first, second] = from;
  if (first === undefined) return undefined;
  if (second !== undefined) throw unsupported(tree, 'More than one table in FROM', second);
  if (!('RangeVar' in first)) {
    throw unsupported(tree, 'JoinExpr' in first ? 'JOIN' : 'A subquery or function in FROM', first);
  }
  return bindRelation(tree, first.RangeVar, catalog);
}

function bindDistinct(tree: StatementTree, statement: SelectStmt): boolean {
  if (statement.distinctClause === undefined) return false;
  const on = statement.distinctClause.find((each) => Object.keys(each).length > 0);
  if (on !== undefined) throw unsupported(tree, 'DISTINCT ON', on);
  return true;
}

function bindCount(
  context: BindContext,
  node: Node | undefined,
  clause: string,
): Expression | undefined {
  if (node === undefined) return undefined;
  const bound: Bound = bindExpression({ ...context, clause }, node);
  if (bound.type?.name === 'bigint' || bound.type === undefined) {
    return coerce(bound, plainTypes.bigint, 'implicit', context.parameters);
  }
  return coerceTo(context, bound, plainTypes.bigint, clause);
}
