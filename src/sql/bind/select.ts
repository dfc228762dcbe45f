import type { SelectStmt } from 'libpg-query';
import type { ColumnType } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { BoundSelect } from './bound-query.ts';
import { canCoerce, coerce, settle } from './coerce.ts';
import type { AggregateCall, BindContext, ParameterTypes } from './context.ts';
import { bindCondition } from './expression.ts';
import { bindFrom } from './from.ts';
import { bindGroupKeys, groupRows } from './grouping.ts';
import { bindLimits, type Pending } from './query.ts';
import { bindSort } from './sort.ts';
import { bindTargets, type Target } from './targets.ts';
import { plainTypes } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

const selectFields = new Set([
  'targetList',
  'fromClause',
  'whereClause',
  'groupClause',
  'havingClause',
  'sortClause',
  'limitCount',
  'limitOffset',
  'limitOption',
  'op',
  'distinctClause',
  'withClause',
]);
const fieldNames = {
  intoClause: 'SELECT INTO',
  groupDistinct: 'GROUP BY DISTINCT',
  windowClause: 'WINDOW',
  lockingClause: 'FOR UPDATE and the like',
};

/** Binds a plain SELECT; its results are settled by `finish`, and then what refers to them. */
export function pendingSelect(outer: BindContext, statement: SelectStmt): Pending {
  allowFields(outer, statement, selectFields, fieldNames);
  const { from, relations } = bindFrom(outer, statement.fromClause ?? []);
  const aggregates: AggregateCall[] = [];
  const plainContext: BindContext = {
    ...outer,
    relations,
    clause: 'SELECT',
    aggregates: undefined,
  };
  const context: BindContext = { ...plainContext, aggregates };
  const targets = bindTargets(context, statement.targetList ?? []);
  const where =
    statement.whereClause === undefined
      ? undefined
      : bindCondition({ ...plainContext, clause: 'WHERE' }, statement.whereClause, 'WHERE');
  const finish = (types: readonly (ColumnType | undefined)[] = []): BoundSelect => {
    const { parameters } = context;
    const outputs = targets.map((target, index) => finishTarget(target, types[index], parameters));
    const distinct = bindDistinct(context, statement);
    const keys = bindGroupKeys(context, statement, { targets, outputs });
    const having =
      statement.havingClause === undefined
        ? undefined
        : bindCondition({ ...context, clause: 'HAVING' }, statement.havingClause, 'HAVING');
    const sort = bindSort({ ...context, clause: 'ORDER BY' }, statement.sortClause ?? [], {
      targets,
      outputs,
      distinct,
    });
    const isGrouped =
      statement.groupClause !== undefined || having !== undefined || aggregates.length > 0;
    const plainQuery = { outputs, sort: distinct ? [] : sort, grouping: undefined };
    const rows = isGrouped
      ? groupRows(context, { keys, aggregates, having, outputs, sort: plainQuery.sort })
      : plainQuery;
    return {
      kind: 'select',
      from,
      where,
      distinct,
      ...rows,
      ...(distinct ? { sort } : {}),
      columns: outputs.map((output, index) => ({
        name: targets[index]?.name ?? '',
        type: typeOf(output),
      })),
      ...bindLimits(context, statement),
    };
  };
  return { targets, finish };
}

function bindDistinct(context: BindContext, statement: SelectStmt): boolean {
  if (statement.distinctClause === undefined) return false;
  const on = statement.distinctClause.find((each) => Object.keys(each).length > 0);
  if (on !== undefined) throw unsupported(context, 'DISTINCT ON', on);
  return true;
}

export const typeOf = (expression: Expression): ColumnType => expression.type ?? plainTypes.text;

/** The targets' expressions with their types settled. */
export const settleTargets = (
  targets: readonly Target[],
  parameters: ParameterTypes,
): Expression[] => targets.map((target) => settle(target.bound, parameters));

/** A result as one of type `to`, if one is asked for. */
function finishTarget(
  { bound }: Target,
  to: ColumnType | undefined,
  parameters: ParameterTypes,
): Expression {
  const isAsked = to !== undefined && bound.type?.name !== to.name;
  return isAsked && canCoerce(bound.type, to, 'implicit')
    ? coerce(bound, to, 'implicit', parameters)
    : settle(bound, parameters);
}
