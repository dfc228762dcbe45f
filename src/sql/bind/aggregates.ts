import type { FuncCall, Node } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { aggregateType } from '../functions/aggregates.ts';
import { coerce, settle, typeLabel } from './coerce.ts';
import {
  type AggregateCall,
  type AggregateName,
  type Bound,
  type BindContext,
  errorAt,
  offsetOf,
} from './context.ts';
import { bindCondition, bindExpression, coerceTo } from './expression.ts';
import { aggregateMark } from './grouping.ts';
import { columnsOf, someNode } from './rewrite.ts';
import { bindSort } from './sort.ts';
import { booleanType, textType, plainTypes } from './type-rules.ts';
import { unsupported } from './unsupported.ts';

/** An aggregate call: its place among those of the query. Throws GROUPING_ERROR where none may stand. */
export function bindAggregate(context: BindContext, name: AggregateName, node: FuncCall): Bound {
  const { aggregates } = context;
  if (aggregates === undefined) {
    throw errorAt(
      context,
      'GROUPING_ERROR',
      `${name} is an aggregate and cannot stand in ${context.clause}.`,
      node.location,
    );
  }
  const offset = offsetOf(context, node.location);
  const call = bindCall(context, name, node);
  const text = JSON.stringify(call);
  let place = aggregates.findIndex((each) => JSON.stringify(each) === text);
  if (place === -1) place = aggregates.push(call) - 1;
  const expression: Expression = {
    kind: 'call',
    type: call.type,
    name: aggregateMark,
    args: [{ kind: 'literal', type: plainTypes.integer, value: place }],
  };
  return { expression, type: call.type, offset };
}

function bindCall(context: BindContext, name: AggregateName, node: FuncCall): AggregateCall {
  const offset = offsetOf(context, node.location);
  const args = node.args ?? [];
  const wanted = node.agg_star === true ? 0 : name === 'string_agg' ? 2 : 1;
  if (args.length !== wanted || (node.agg_star === true && name !== 'count')) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `${name} takes ${wanted === 2 ? 'two arguments' : `one argument${name === 'count' ? ' or *' : ''}`}.`,
      offset,
    );
  }
  const inner: BindContext = {
    ...context,
    aggregates: undefined,
    clause: 'the argument of an aggregate',
  };
  const [bound, second] = args.map((arg) => bindExpression(inner, arg));
  const argument = bound === undefined ? undefined : aggregateArgument(context, name, bound);
  const type = aggregateType(name, argument?.type);
  if (type === undefined) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `There is no function ${name}(${typeLabel(argument?.type)}); add a cast.`,
      offset,
    );
  }
  if (argument !== undefined) checkLevel(context, argument, node);
  const filter = node.agg_filter && bindCondition(inner, node.agg_filter as Node, 'FILTER');
  const isOrdered = node.agg_order !== undefined && name === 'string_agg';
  if (isOrdered && node.agg_distinct === true)
    throw unsupported(context, 'string_agg with DISTINCT and ORDER BY', node);
  const sort = isOrdered
    ? bindSort({ ...inner, clause: 'ORDER BY' }, node.agg_order ?? [], {
        targets: [],
        outputs: [],
        distinct: false,
        constants: true,
      })
    : undefined;
  return {
    name,
    argument,
    ...(second === undefined
      ? {}
      : { delimiter: coerceTo(inner, second, textType, 'The second argument of string_agg') }),
    distinct: node.agg_distinct === true,
    ...(filter === undefined ? {} : { filter }),
    ...(sort === undefined ? {} : { sort }),
    type,
  };
}

/** An aggregate over columns of a query further out would belong to that query. */
function checkLevel(context: BindContext, argument: Expression, node: FuncCall): void {
  const slots = new Set(context.outer?.captures.slots);
  if (slots.size === 0 || columnsOf(argument).size > 0) return;
  const readsOuter = someNode(
    argument,
    (each) => each.kind === 'parameter' && slots.has(each.number),
  );
  if (readsOuter)
    throw unsupported(context, 'An aggregate of a query further out within a subquery', node);
}

function aggregateArgument(context: BindContext, name: AggregateName, bound: Bound): Expression {
  if (bound.type === undefined && (name === 'sum' || name === 'avg'))
    return coerce(bound, plainTypes['double precision'], 'implicit', context.parameters);
  if (bound.type === undefined && name.startsWith('bool'))
    return coerce(bound, booleanType, 'implicit', context.parameters);
  return settle(bound, context.parameters);
}
