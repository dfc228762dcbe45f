import type { FuncCall, SQLValueFunction } from 'libpg-query';
import { type ColumnType, sqlError, type TypeName } from '../../base/index.ts';
import { aggregateNames } from '../functions/aggregates.ts';
import { doubleOnly } from '../functions/mathematics.ts';
import { overloads } from '../functions/registry.ts';
import type { ScalarFunction } from '../functions/scalar.ts';
import { canCoerce, coerce, settle, typeLabel } from './coerce.ts';
import { bindAggregate } from './aggregates.ts';
import { type AggregateName, type Bound, type BindContext, offsetOf } from './context.ts';
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
  'agg_filter',
  'agg_order',
]);
const fieldNames = {
  over: 'A window function',
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
  if (node.agg_filter !== undefined || node.agg_order !== undefined)
    throw unsupported(context, `${name} with FILTER or ORDER BY`, node);
  const offset = offsetOf(context, node.location);
  const args = (node.args ?? []).map((arg) => bindExpression(context, arg));
  if ((name === 'now' || name === 'transaction_timestamp') && args.length === 0)
    return timeCall('now', offset);
  if (name === 'concat' || (name === 'concat_ws' && args.length > 1)) {
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
  if (doubleOnly.has(name) && args.some((arg) => arg.type?.name === 'numeric'))
    throw unsupported(context, `${name} of numeric (cast it to double precision)`, node);
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
