import type { FuncCall, SQLValueFunction } from 'libpg-query';
import { type ColumnType, sqlError, type TypeName } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
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

/** All of them are the time of the command. */
const timeNames: ReadonlySet<string> = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
]);

/** PostgreSQL's functions that we do not have, as far as people reach for them; others do not exist. */
const otherFunctions: ReadonlySet<string> = new Set(
  `array_agg array_append array_cat array_length array_position array_to_string bit_and bit_count bit_length bit_or
   bit_xor cbrt cardinality clock_timestamp convert_from convert_to corr covar_pop covar_samp cume_dist current_database
   current_schema current_setting decode degrees dense_rank encode erf factorial first_value format gcd gen_random_uuid
   generate_subscripts get_byte initcap json_agg json_build_object jsonb_agg jsonb_array_elements
   jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text
   jsonb_object_agg jsonb_object_keys jsonb_path_query jsonb_pretty jsonb_set jsonb_strip_nulls jsonb_typeof
   justify_interval lag last_value lastval lcm lead localtime make_interval make_time make_timestamp make_timestamptz md5
   nextval now nth_value ntile num_nonnulls num_nulls octet_length overlaps overlay parse_ident percent_rank
   percentile_cont percentile_disc pg_typeof quote_ident quote_literal quote_nullable radians random range_agg rank
   regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table row_number row_to_json
   session_user setseed setval sha224 sha256 sha384 sha512 sin cos tan asin acos atan atan2 sinh cosh tanh stddev
   stddev_pop stddev_samp string_to_array string_to_table timeofday to_char to_date to_hex to_json to_jsonb to_number
   to_tsquery to_tsvector txid_current unnest user uuid_generate_v4 var_pop var_samp variance version width_bucket
   xmlagg`.split(/\s+/),
);

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
  if (timeNames.has(name) && args.length === 0) return timeCall('now', offset);
  if (name === 'concat' || (name === 'concat_ws' && args.length > 1)) {
    const settled = args.map((arg) => settle(arg, context.parameters));
    return {
      expression: { kind: 'call', type: textType, name, args: settled },
      type: textType,
      offset,
    };
  }
  if (name === 'age' && args.length === 1) args.unshift(today(args[0] as Bound, context));
  const candidates = overloads(name).filter((each) => /^\w+$/.test(each.name));
  const isOther = candidates.length === 0 && (otherFunctions.has(name) || name.startsWith('pg_'));
  if (isOther || name === 'like' || name === 'ilike')
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

/** Midnight of today, from which age(x) counts. */
function today({ type, offset }: Bound, { parameters }: BindContext): Bound {
  const { date, timestamp, timestamptz } = plainTypes;
  const stamp = type?.name === 'timestamp' ? timestamp : timestamptz;
  const call: Expression = { kind: 'call', type: date, name: 'current_date', args: [] };
  const midnight = { expression: call, type: date, offset };
  return { expression: coerce(midnight, stamp, 'implicit', parameters), type: stamp, offset };
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
