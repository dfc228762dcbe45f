/** Runs a bound SELECT: rows → filter → aggregate or sort → results → distinct → offset and limit. */
import { type Value, treeOf, VerityError } from '../../base/index.ts';
import { encodeKey, type Expression } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { BoundSelect } from '../bind/select.ts';
import { typeOf } from '../bind/select.ts';
import type { Catalog, ExecutionContext, PreparedQuery } from '../contract.ts';
import { isConstant, planAccess } from '../plan/access.ts';
import { planOrder } from '../plan/order.ts';
import { layoutOf } from '../schema/table-layout.ts';
import { compileAggregates } from './aggregate.ts';
import { compile, type Condition, compileCondition, type Evaluate } from './compile.ts';
import { compileFindKey, compileOpen } from './rows.ts';
import { compileSort } from './sort.ts';

type Row = readonly Value[];
/** Pulls rows one at a time; undefined at the end. */
export interface Rows {
  next(): Row | undefined;
}
export type OpenRows = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => Rows;
type Run = PreparedQuery['run'];

export function compileSelect(select: BoundSelect, catalog: Catalog): Run {
  const { relation } = select;
  if (
    relation !== undefined &&
    select.aggregates.length === 0 &&
    select.limit === undefined &&
    select.offset === undefined
  ) {
    const point = compilePoint(select, catalog);
    if (point !== undefined) return point;
  }
  const source = compileSource(select, catalog);
  const sorted =
    select.distinct || source.sorted ? source.open : compileSort(select.sort, source.open);
  const results = compileResults(select, sorted);
  const distinct = select.distinct ? compileDistinct(select, results) : results;
  const limited = compileLimit(
    select,
    select.distinct ? compileSort(select.sort, distinct) : distinct,
  );
  return (view, parameters, context) => iterate(limited(view, parameters, context));
}

const noRow: Row = [];

/** At most one row by its key: no cursor, and no copy when all columns are asked for. */
function compilePoint(select: BoundSelect, catalog: Catalog): Run | undefined {
  const { relation } = select;
  if (relation === undefined) return undefined;
  const { table } = relation;
  const access = planAccess(table, select.where);
  const findKey = compileFindKey(catalog, table, access.path);
  if (findKey === undefined) return undefined;
  const tree = treeOf(catalog.tenant, table.id);
  const { codec } = layoutOf(table);
  const rest = compileRest(access.rest);
  const project = compileProjection(select.outputs, table.columns.length);
  return (view, parameters, context) => {
    const key = findKey(view, parameters, context);
    const stored = key === undefined ? undefined : view.get(tree, key);
    if (stored === undefined) return new OneRow(undefined);
    const row = codec.decode(stored.row);
    if (rest !== undefined && !rest(row, parameters, context)) return new OneRow(undefined);
    return new OneRow(project === undefined ? row : project(row, parameters, context));
  };
}

class OneRow implements Iterator<Row, undefined> {
  #row: Row | undefined;
  constructor(row: Row | undefined) {
    this.#row = row;
  }
  next(): IteratorResult<Row, undefined> {
    const row = this.#row;
    if (row === undefined) return { done: true, value: undefined };
    this.#row = undefined;
    return { done: false, value: row };
  }
}

function iterate(rows: Rows): Iterator<Row, undefined> {
  return {
    next: () => {
      const row = rows.next();
      return row === undefined ? { done: true, value: undefined } : { done: false, value: row };
    },
  };
}

/** The filtered rows of FROM, folded when there are aggregates; `sorted` if they come in the order asked for. */
function compileSource(
  select: BoundSelect,
  catalog: Catalog,
): { readonly open: OpenRows; readonly sorted: boolean } {
  const { relation, where } = select;
  if (relation === undefined) {
    const condition = where === undefined ? undefined : compileCondition(where);
    const open: OpenRows = (_view, parameters, context) =>
      oneRow(condition === undefined || condition(noRow, parameters, context) ? noRow : undefined);
    return { open: fold(select, open), sorted: true };
  }
  const { table } = relation;
  const access = planAccess(table, where);
  const order = planOrder(table, access.path, select.sort);
  const openCursor = compileOpen(catalog, table, access.path, order === 'reverse');
  const { codec } = layoutOf(table);
  const rest = compileRest(access.rest);
  const readsRows = rest !== undefined || readsColumns(select);
  const open: OpenRows = (view, parameters, context) => {
    const cursor = openCursor(view, parameters, context);
    if (!readsRows) return { next: () => (cursor.next() === undefined ? undefined : noRow) };
    return {
      next: () => {
        for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
          const row = codec.decode(entry.row);
          if (rest === undefined || rest(row, parameters, context)) return row;
        }
        return undefined;
      },
    };
  };
  return { open: fold(select, open), sorted: order !== undefined };
}

const fold = (select: BoundSelect, open: OpenRows): OpenRows =>
  select.aggregates.length === 0 ? open : compileAggregates(select.aggregates, open);

/** Whether what becomes of a row depends on its values; count(*) and constants do not. */
function readsColumns(select: BoundSelect): boolean {
  const folded = select.aggregates.flatMap((call) => call.argument ?? []);
  const read =
    select.aggregates.length > 0
      ? folded
      : [...select.outputs, ...select.sort.map((key) => key.expression)];
  return !read.every(isConstant);
}

function oneRow(row: Row | undefined): Rows {
  let rest = row;
  return {
    next: () => {
      const next = rest;
      rest = undefined;
      return next;
    },
  };
}

export function compileRest(rest: readonly Expression[]): Condition | undefined {
  const [first] = rest;
  if (first === undefined) return undefined;
  return compileCondition(
    rest.length === 1 ? first : { kind: 'and', type: { name: 'boolean' }, args: rest },
  );
}

export type Project = (row: Row, parameters: readonly Value[], context: ExecutionContext) => Row;

/** Makes result rows; undefined when a result is the source row of `width` columns as it is. */
export function compileProjection(
  outputs: readonly Expression[],
  width: number,
): Project | undefined {
  const identity =
    outputs.length === width &&
    outputs.every((output, index) => output.kind === 'column' && output.ordinal === index);
  if (identity) return undefined;
  const evaluates: readonly Evaluate[] = outputs.map((output) => compile(output));
  return (row, parameters, context) => {
    const result = new Array<Value>(evaluates.length);
    for (let index = 0; index < evaluates.length; index++)
      result[index] = (evaluates[index] as Evaluate)(row, parameters, context);
    return result;
  };
}

function compileResults(select: BoundSelect, open: OpenRows): OpenRows {
  const width =
    select.aggregates.length > 0
      ? select.aggregates.length
      : (select.relation?.table.columns.length ?? 0);
  const project = compileProjection(select.outputs, width);
  if (project === undefined) return open;
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    return {
      next: () => {
        const row = rows.next();
        return row === undefined ? undefined : project(row, parameters, context);
      },
    };
  };
}

/** Equal rows once, the first of them; equality is that of keys. */
function compileDistinct(select: BoundSelect, open: OpenRows): OpenRows {
  const types = select.outputs.map(typeOf);
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    const seen = new Set<string>();
    return {
      next: () => {
        for (let row = rows.next(); row !== undefined; row = rows.next()) {
          const key = encodeKey(types, row);
          if (seen.has(key)) continue;
          seen.add(key);
          return row;
        }
        return undefined;
      },
    };
  };
}

function compileLimit(select: BoundSelect, open: OpenRows): OpenRows {
  const limit = select.limit && compile(select.limit);
  const offset = select.offset && compile(select.offset);
  if (limit === undefined && offset === undefined) return open;
  return (view, parameters, context) => {
    let left = count(limit?.(noRow, parameters, context), 'LIMIT', Infinity);
    let skip = count(offset?.(noRow, parameters, context), 'OFFSET', 0);
    if (left === 0) return { next: () => undefined };
    const rows = open(view, parameters, context);
    return {
      next: () => {
        for (; skip > 0; skip--) if (rows.next() === undefined) return undefined;
        return left-- > 0 ? rows.next() : undefined;
      },
    };
  };
}

function count(value: Value | undefined, clause: string, whenNull: number): number {
  if (value === null || value === undefined) return whenNull;
  if ((value as bigint) < 0n)
    throw new VerityError('INVALID_LIMIT', `${clause} must not be negative.`);
  return Number(value);
}
