import type { Expression } from '../../codec/index.ts';
import type { BoundQuery } from '../bind/bound-query.ts';
import { columnsOf, rewrite } from '../bind/rewrite.ts';
import { conjunction } from './step.ts';

interface Pushed {
  readonly query: BoundQuery;
  /** What is still to be asked of the query's rows. */
  readonly rest: readonly Expression[];
}

/**
 * Moves conditions on a query's results into the query, to where an index may serve. Not past LIMIT,
 * nor past DISTINCT and grouping unless they are about what tells groups apart.
 */
export function pushInto(query: BoundQuery, conditions: readonly Expression[]): Pushed {
  const isWhole = query.limit === undefined && query.offset === undefined;
  if (conditions.length === 0 || !isWhole) return { query, rest: conditions };
  if (query.kind === 'values') return { query, rest: conditions };
  if (query.kind === 'combination') {
    const left = pushInto(query.left, conditions);
    const right = pushInto(query.right, conditions);
    // Each side may have left something else undone.
    return {
      query: {
        ...query,
        left: left.rest.length === 0 ? left.query : query.left,
        right: right.rest.length === 0 ? right.query : query.right,
      },
      rest: left.rest.length + right.rest.length === 0 ? [] : conditions,
    };
  }
  const { grouping, outputs, where } = query;
  const keyCount = grouping?.keys.length ?? 0;
  const isPushable = (condition: Expression): boolean =>
    grouping === undefined ||
    (keyCount > 0 &&
      [...columnsOf(throughOutputs(condition, outputs))].every((each) => each < keyCount));
  const pushed = conditions.filter(isPushable).map((condition) => {
    const inner = throughOutputs(condition, outputs);
    return grouping === undefined ? inner : throughOutputs(inner, grouping.keys);
  });
  if (pushed.length === 0) return { query, rest: conditions };
  const all = conjunction(where === undefined ? pushed : [where, ...pushed]);
  return {
    query: { ...query, where: all },
    rest: conditions.filter((each) => !isPushable(each)),
  };
}

/** The expression with each column replaced by what yields it. */
function throughOutputs(expression: Expression, outputs: readonly Expression[]): Expression {
  return rewrite(expression, (each) =>
    each.kind === 'column' ? outputs[each.ordinal] : undefined,
  );
}
