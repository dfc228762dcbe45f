/** Plans one SELECT: how FROM is reached and whether its rows come in the order asked for. */
import type { Expression } from '../../codec/index.ts';
import { type BoundSelect, widthOf } from '../bind/bound-query.ts';
import type { AggregateCall } from '../bind/context.ts';
import { columnsOf } from '../bind/rewrite.ts';
import { booleanType } from '../bind/type-rules.ts';
import { conjuncts } from './restrictions.ts';
import { flatten } from './flatten.ts';
import type { FromPlan } from './from-plan.ts';
import { planFrom, type PlanScope } from './join.ts';
import { planOrder } from './order.ts';
import { moveColumns } from './move.ts';

export interface SelectPlan {
  readonly select: BoundSelect;
  readonly from: FromPlan | undefined;
  /** Without FROM: the conditions under which there is a row. */
  readonly gate: readonly Expression[];
  /** The rows come sorted already. */
  readonly sorted: boolean;
  /** Whether what becomes of a row depends on its values; count(*) and constants do not. */
  readonly readsRows: boolean;
  /** Width of the row that outputs are over. */
  readonly rowWidth: number;
  /** The aggregates need no more than the first row, or the first and the last one, of those in the order of `from`. */
  readonly ends?: 'first' | 'both';
}

export function planSelect(bound: BoundSelect, scope: PlanScope): SelectPlan {
  const select = flatten(bound);
  const { from, where, grouping, sort, distinct } = select;
  const conditions = where === undefined ? [] : conjuncts(where);
  const reads = new Set(readExpressions(select).flatMap((each) => [...columnsOf(each)]));
  const rowWidth =
    grouping === undefined ? widthOf(from) : grouping.keys.length + grouping.aggregates.length;
  const shape = { select, readsRows: reads.size > 0, rowWidth };
  if (from === undefined) {
    const sorted = grouping === undefined || grouping.keys.length === 0;
    return { ...shape, from: undefined, gate: conditions, sorted };
  }
  const extremes = planExtremes(select, conditions, scope);
  if (extremes !== undefined) return { ...shape, ...extremes, gate: [], sorted: true };
  const isPlain = grouping === undefined && !distinct;
  const limited = isPlain && select.limit !== undefined;
  const plan = planFrom(from, conditions, scope, { sort: isPlain ? sort : [], limited, reads });
  const isOneGroup = grouping !== undefined && grouping.keys.length === 0;
  const sorted = isOneGroup || sort.length === 0 || (isPlain && comesSorted(plan, select));
  return { ...shape, from: plan, gate: [], sorted };
}

/** min and max of one column of a table, where a key or index has its values in order. */
function planExtremes(
  select: BoundSelect,
  conditions: readonly Expression[],
  scope: PlanScope,
): Pick<SelectPlan, 'from' | 'ends'> | undefined {
  const { from, grouping } = select;
  const [call, ...others] = grouping?.aggregates ?? [];
  const column = call?.argument;
  if (from?.kind !== 'table' || grouping?.keys.length !== 0 || column?.kind !== 'column')
    return undefined;
  const isEnd = (each: AggregateCall): boolean =>
    (each.name === 'min' || each.name === 'max') &&
    each.filter === undefined &&
    each.argument?.kind === 'column' &&
    each.argument.ordinal === column.ordinal;
  if (call === undefined || !isEnd(call) || !others.every(isEnd)) return undefined;
  const both = others.some((each) => each.name !== call.name);
  const descending = !both && call.name === 'max';
  const sort = [{ expression: column, descending, nullsFirst: false }];
  const isSet: Expression = { kind: 'isNull', type: booleanType, arg: column, negated: true };
  const mayBeNull = from.table.columns[column.ordinal - from.start]?.notNull !== true;
  const reads = new Set(columnsOf(column));
  const where = mayBeNull ? [...conditions, isSet] : conditions;
  const plan = planFrom(from, where, scope, { sort, limited: true, reads });
  const ordered = { ...select, sort };
  return comesSorted(plan, ordered) ? { from: plan, ends: both ? 'both' : 'first' } : undefined;
}

/** Whether the first source comes in the order asked for; what is joined to its rows keeps their order. */
function comesSorted({ first }: FromPlan, { sort }: BoundSelect): boolean {
  if (first.kind !== 'table') return false;
  const { start, width } = first;
  const isOwn = sort.every(({ expression }) =>
    [...columnsOf(expression)].every((each) => each >= start && each < start + width),
  );
  const own = sort.map((key) => ({ ...key, expression: moveColumns(key.expression, -start) }));
  return isOwn && planOrder(first.table, first.access.path, own) !== undefined;
}

/** What is evaluated over the rows of FROM beside its conditions. */
function readExpressions({ grouping, outputs, sort, distinct }: BoundSelect): Expression[] {
  if (grouping === undefined)
    return [...outputs, ...(distinct ? [] : sort.map((key) => key.expression))];
  return [
    ...grouping.keys,
    ...grouping.aggregates.flatMap((call) => [
      ...[call.argument, call.delimiter, call.filter].filter((each) => each !== undefined),
      ...(call.sort ?? []).map((key) => key.expression),
    ]),
  ];
}
