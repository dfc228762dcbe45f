import type { FuncCall, Node, SQLValueFunction } from 'libpg-query';
import { type ColumnType, sqlError, type TypeName } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { aggregateNames, aggregateType } from '../functions/aggregates.ts';
import { overloads } from '../functions/registry.ts';
import type { ScalarFunction } from '../functions/scalar.ts';
import { canCoerce, coerce, settle, typeLabel } from './coerce.ts';
import { type AggregateName, type Bound, type BindContext, errorAt, offsetOf } from './context.ts';
import { bindExpression } from './expression.ts';
import { plainTypes, sameForm, textType } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

const callFields = new Set([
  'funcname',
  'args',
  'funcformat',
  'location',
  'agg_star',
  'agg_distinct',
]);
const fieldNames = {
  over: 'A window function',
  agg_filter: 'FILTER',
  agg_order: 'ORDER BY within a call',
  agg_within_group: 'WITHIN GROUP',
  func_variadic: 'VARIADIC',
};

export function bindFunction(context: BindContext, node: FuncCall): Bound {
  for (const [field, name] of Object.entries(fieldNames)) {
    if (field in node) throw unsupported(context, name, node.location);
  }
  allowFields(context, node, callFields);
  const names = (node.funcname ?? []).map((each) =>
    'String' in each ? (each.String.sval ?? '') : '',
  );
  if (names.length === 2 && names[0] !== 'pg_catalog')
    throw unsupported(context, 'A function of another schema', node);
  const name = names[names.length - 1] ?? '';
  if (aggregateNames.has(name)) return bindAggregate(context, name as AggregateName, node);
  if (node.agg_star === true || node.agg_distinct === true)
    throw unsupported(context, `${name} with * or DISTINCT`, node);
  const offset = offsetOf(context, node.location);
  const args = (node.args ?? []).map((arg) => bindExpression(context, arg));
  if ((name === 'now' || name === 'transaction_timestamp') && args.length === 0)
    return timeCall('now', offset);
  if (name === 'concat') {
    const settled = args.map((arg) => settle(arg, context.parameters));
    return {
      expression: { kind: 'call', type: textType, name, args: settled },
      type: textType,
      offset,
    };
  }
  const candidates = overloads(name).filter((each) => /^\w+$/.test(each.name));
  if (candidates.length === 0 || name === 'like' || name === 'ilike')
    throw unsupported(context, `The function ${name}`, node);
  const chosen = choose(candidates, args);
  if (chosen === undefined) {
    const types = args.map((arg) => typeLabel(arg.type)).join(', ');
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `There is no function ${name}(${types}); check the number of arguments or add casts.`,
      offset,
    );
  }
  const converted = args.map((arg, index) =>
    coerce(arg, plainTypes[chosen.args[index] as TypeName], 'implicit', context.parameters),
  );
  const type = plainTypes[chosen.result];
  return { expression: { kind: 'call', type, name, args: converted }, type, offset };
}

/** The overload that takes the arguments with the fewest conversions; preferred types win a draw. */
function choose(
  candidates: readonly ScalarFunction[],
  args: readonly Bound[],
): ScalarFunction | undefined {
  let best: ScalarFunction | undefined;
  let bestScore = -1;
  for (const candidate of candidates) {
    if (candidate.args.length !== args.length) continue;
    const score = scoreOf(candidate, args);
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

const exactScore = 100;

function scoreOf(candidate: ScalarFunction, args: readonly Bound[]): number {
  let score = 0;
  for (let index = 0; index < args.length; index++) {
    const from = args[index]?.type;
    const to = candidate.args[index] as TypeName;
    if (from !== undefined && sameForm(from.name, to)) score += exactScore;
    else if (!canCoerce(from, plainTypes[to], 'implicit')) return -1;
    else if (to === 'text' || to === 'double precision') score += 1;
  }
  return score;
}

function bindAggregate(context: BindContext, name: AggregateName, node: FuncCall): Bound {
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
  const args = node.args ?? [];
  if (
    args.length !== (node.agg_star === true ? 0 : 1) ||
    (node.agg_star === true && name !== 'count')
  ) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `${name} takes one argument${name === 'count' ? ' or *' : ''}.`,
      offset,
    );
  }
  const inner: BindContext = {
    ...context,
    aggregates: undefined,
    clause: 'the argument of an aggregate',
    onColumn: undefined,
  };
  const bound = args[0] === undefined ? undefined : bindExpression(inner, args[0] as Node);
  const argument = bound === undefined ? undefined : aggregateArgument(context, name, bound);
  const type = aggregateType(name, argument?.type);
  if (type === undefined) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `There is no function ${name}(${typeLabel(argument?.type)}); add a cast.`,
      offset,
    );
  }
  const ordinal = aggregates.length;
  aggregates.push({ name, argument, distinct: node.agg_distinct === true, type });
  return { expression: { kind: 'column', type, ordinal }, type, offset };
}

const aggregateArgument = (context: BindContext, name: AggregateName, bound: Bound): Expression =>
  bound.type === undefined && (name === 'sum' || name === 'avg')
    ? coerce(bound, plainTypes['double precision'], 'implicit', context.parameters)
    : settle(bound, context.parameters);

const valueFunctions: Readonly<
  Record<string, { readonly call: 'now' | 'current_date'; readonly type: ColumnType }>
> = {
  SVFOP_CURRENT_TIMESTAMP: { call: 'now', type: plainTypes.timestamptz },
  SVFOP_LOCALTIMESTAMP: { call: 'now', type: plainTypes.timestamp },
  SVFOP_CURRENT_DATE: { call: 'current_date', type: plainTypes.date },
};

/** CURRENT_TIMESTAMP, LOCALTIMESTAMP and CURRENT_DATE; the session's zone is UTC. */
export function bindValueFunction(context: BindContext, node: SQLValueFunction): Bound {
  const found = valueFunctions[node.op ?? ''];
  if (found === undefined) {
    const word = (node.op ?? '').replace(/^SVFOP_/, '').replace(/_N$/, '(n)');
    throw unsupported(context, word, node);
  }
  const { call: name, type } = found;
  return {
    expression: { kind: 'call', type, name, args: [] },
    type,
    offset: offsetOf(context, node.location),
  };
}

function timeCall(name: string, offset: number | undefined): Bound {
  const type = plainTypes.timestamptz;
  return { expression: { kind: 'call', type, name, args: [] }, type, offset };
}
