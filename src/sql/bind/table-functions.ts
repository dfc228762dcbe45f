/** Functions in FROM that yield rows. */
import type { FuncCall, Node, RangeFunction } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Column, Expression, TableSchema } from '../../codec/index.ts';
import type { ResultColumn } from '../contract.ts';
import type { TableFunction } from './bound-query.ts';
import { canCoerce, coerce } from './coerce.ts';
import { type BindContext, type Bound, offsetOf } from './context.ts';
import { bindExpression, coerceTo } from './expression.ts';
import { isInteger, isTime, operandType, plainTypes } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

export interface BoundTableFunction {
  readonly name: string;
  readonly call: TableFunction;
  readonly columns: readonly ResultColumn[];
}

const rangeFields = new Set(['functions', 'alias']);
const rangeNames = {
  lateral: 'LATERAL',
  ordinality: 'WITH ORDINALITY',
  is_rowsfrom: 'ROWS FROM',
  coldeflist: 'A list of column definitions',
};
const callFields = new Set(['funcname', 'args', 'funcformat', 'location']);

/** Binds a function in FROM: verity_history, verity_diff or generate_series. */
export function bindTableFunction(context: BindContext, node: RangeFunction): BoundTableFunction {
  allowFields(context, node, rangeFields, rangeNames);
  const [item] = node.functions ?? [];
  const first = item !== undefined && 'List' in item ? item.List.items?.[0] : undefined;
  if (first === undefined || !('FuncCall' in first))
    throw unsupported(context, 'This function in FROM', node);
  const call = first.FuncCall;
  allowFields(context, call, callFields);
  const last = call.funcname?.[call.funcname.length - 1];
  const name = last !== undefined && 'String' in last ? (last.String.sval ?? '') : '';
  const inner: BindContext = { ...context, relations: [], clause: 'a function in FROM' };
  if (name === 'verity_history') return bindHistory(inner, call);
  if (name === 'verity_diff') return bindDiff(inner, call);
  if (name === 'generate_series') return bindSeries(inner, call);
  throw unsupported(context, `The function ${name} in FROM`, call);
}

/** What is told of a version beside the row's own columns. */
const historyColumns: readonly ResultColumn[] = [
  { name: 'verity_position', type: plainTypes.bigint },
  { name: 'verity_time', type: plainTypes.timestamptz },
  { name: 'verity_operation', type: plainTypes.text },
  { name: 'verity_actor', type: plainTypes.text },
  { name: 'verity_reason', type: plainTypes.text },
];

function bindHistory(context: BindContext, call: FuncCall): BoundTableFunction {
  const [tableArg, ...keyArgs] = call.args ?? [];
  const table = tableOf(context, call, tableArg);
  if (keyArgs.length > table.primaryKey.length) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      `verity_history takes a table and at most the ${table.primaryKey.length} values of its primary key.`,
      offsetOf(context, call.location),
    );
  }
  const key = keyArgs.map((arg, index): Expression => {
    const { type } = table.columns[table.primaryKey[index] as number] as { type: Bound['type'] };
    const name = type?.name ?? 'text';
    return coerceTo(context, bindExpression(context, arg), plainTypes[name], 'verity_history');
  });
  context.parameters.noteHistory();
  const columns = [...historyColumns, ...columnsOf(table)];
  return { name: 'verity_history', call: { kind: 'history', table, key }, columns };
}

function bindDiff(context: BindContext, call: FuncCall): BoundTableFunction {
  const [tableArg, fromArg, toArg, ...more] = call.args ?? [];
  const table = tableOf(context, call, tableArg);
  if (fromArg === undefined || toArg === undefined || more.length > 0) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      'verity_diff takes a table and two positions.',
      offsetOf(context, call.location),
    );
  }
  const [from, to] = [fromArg, toArg].map((arg) =>
    coerceTo(context, bindExpression(context, arg), plainTypes.bigint, 'verity_diff'),
  ) as [Expression, Expression];
  const before = columnsOf(table).map((column) => ({ ...column, name: `old_${column.name}` }));
  const columns = [
    { name: 'verity_operation', type: plainTypes.text },
    ...columnsOf(table),
    ...before,
  ];
  return { name: 'verity_diff', call: { kind: 'diff', table, from, to }, columns };
}

const columnsOf = (table: TableSchema): ResultColumn[] =>
  visibleColumns(table).map(({ name, type }) => ({ name, type }));

/** The columns of a table that are not dropped. */
const visibleColumns = (table: TableSchema): readonly Column[] =>
  table.columns.filter((column) => column.dropped !== true);

function tableOf(context: BindContext, call: FuncCall, node: Node | undefined): TableSchema {
  const constant =
    node !== undefined && 'A_Const' in node
      ? (node.A_Const as { readonly sval?: { readonly sval?: string } }).sval
      : undefined;
  const offset = offsetOf(context, call.location);
  if (constant?.sval === undefined) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      "The first argument is the table's name as a text constant, such as 'patients'.",
      offset,
    );
  }
  const table = context.catalog?.table(constant.sval);
  if (table === undefined) {
    throw sqlError(
      'UNDEFINED_TABLE',
      `There is no table "${constant.sval}"; create it first, or check the spelling.`,
      offset,
    );
  }
  return table;
}

/** Times with an interval between them. */
function bindTimes(context: BindContext, args: readonly Bound[]): BoundTableFunction {
  const isPlain = args.slice(0, 2).some(({ type }) => type?.name === 'timestamp');
  const isZoned = args.slice(0, 2).some(({ type }) => type?.name === 'timestamptz');
  const type = isPlain && !isZoned ? plainTypes.timestamp : plainTypes.timestamptz;
  const [start, stop, step] = args.map((arg, place) =>
    coerce(arg, place === 2 ? plainTypes.interval : type, 'implicit', context.parameters),
  );
  return {
    name: 'generate_series',
    call: {
      kind: 'series',
      type,
      start: start as Expression,
      stop: stop as Expression,
      step,
    },
    columns: [{ name: 'generate_series', type }],
  };
}

function bindSeries(context: BindContext, call: FuncCall): BoundTableFunction {
  const args = (call.args ?? []).map((arg) => bindExpression(context, arg));
  const name = args.reduce<ReturnType<typeof operandType>>(
    (common, { type }) =>
      common === undefined ? undefined : operandType(common, type?.name ?? common),
    args.find((arg) => arg.type !== undefined)?.type?.name ?? 'integer',
  );
  const offset = offsetOf(context, call.location);
  const times = args.slice(0, 2).find(({ type }) => type !== undefined && isTime(type.name));
  const isStep = canCoerce(args[2]?.type, plainTypes.interval, 'implicit');
  if (args.length === 3 && times !== undefined && isStep) return bindTimes(context, args);
  if (args.length < 2 || args.length > 3 || name === undefined || !isInteger(name)) {
    throw sqlError(
      'UNDEFINED_FUNCTION',
      'generate_series takes two or three whole numbers, or two timestamps and an interval.',
      offset,
    );
  }
  const type = name === 'bigint' ? plainTypes.bigint : plainTypes.integer;
  const [start, stop, step] = args.map((arg) => coerce(arg, type, 'implicit', context.parameters));
  const series: TableFunction = {
    kind: 'series',
    type,
    start: start as Expression,
    stop: stop as Expression,
    step,
  };
  return {
    name: 'generate_series',
    call: series,
    columns: [{ name: 'generate_series', type }],
  };
}
