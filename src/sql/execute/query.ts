/** Runs a bound query: rows → filter → groups → sort → results → distinct → offset and limit. */
import { type Value, VerityError } from '../../base/index.ts';
import { encodeBoundKey, type Expression } from '../../codec/index.ts';
import type { BoundCombination, BoundQuery, BoundValues } from '../bind/bound-query.ts';
import { typeOf } from '../bind/select.ts';
import type { ExecutionContext } from '../contract.ts';
import type { FromPlan } from '../plan/from-plan.ts';
import { planSelect, type SelectPlan } from '../plan/select.ts';
import { compileGroups } from './aggregate.ts';
import { compile, type Evaluate } from './compile.ts';
import { type Execution, executionOf } from './execution.ts';
import { compileFrom } from './from.ts';
import { compileProjection } from './projection.ts';
import type { OpenRows, Row, TreeScope } from './row-source.ts';
import { compileAll, noRow, oneRow } from './source.ts';
import { compileSort, type KeepCount } from './sort.ts';

/** The rows of a query, which runs within an Execution. `counted`: what its FROM reads counts against its budget. */
export function compileQuery(query: BoundQuery, scope: TreeScope, counted = true): OpenRows {
  const open = compileBody(query, scope, counted);
  return compileLimit(query, open);
}

function compileBody(query: BoundQuery, scope: TreeScope, counted: boolean): OpenRows {
  switch (query.kind) {
    case 'select':
      return compileSelect(planSelect(query, scope), scope, counted);
    case 'values':
      return compileSort(query.sort, compileValues(query), keepCount(query));
    case 'combination':
      return compileSort(query.sort, compileCombination(query, scope), keepCount(query));
  }
}

/** The rows of a planned SELECT, without its LIMIT. */
function compileSelect(plan: SelectPlan, scope: TreeScope, counted: boolean): OpenRows {
  const { select } = plan;
  const source =
    plan.from === undefined
      ? compileNothing(plan.gate)
      : compileEnds(plan.from, plan.ends, (from) =>
          compileFrom(from, scope, {
            counted: counted || from.steps.length > 0,
            readsRows: plan.readsRows || from.steps.length > 0,
          }),
        );
  const grouped = select.grouping === undefined ? source : compileGroups(select.grouping, source);
  const isSorted = select.distinct || plan.sorted;
  const sorted = isSorted ? grouped : compileSort(select.sort, grouped, keepCount(select));
  const project = compileProjection(select.outputs, plan.rowWidth);
  const results = project === undefined ? sorted : mapRows(sorted, project);
  if (!select.distinct) return results;
  const types = select.outputs.map(typeOf);
  return compileSort(select.sort, compileDistinct(types, results), keepCount(select));
}

/** The rows, or only their ends. */
function compileEnds(
  from: FromPlan,
  ends: SelectPlan['ends'],
  compileRows: (from: FromPlan) => OpenRows,
): OpenRows {
  const opens = [compileRows(from)];
  if (ends === undefined) return opens[0] as OpenRows;
  const { first } = from;
  if (ends === 'both' && first.kind === 'table')
    opens.push(compileRows({ ...from, first: { ...first, reverse: !first.reverse } }));
  return (view, parameters, context) => {
    let next = 0;
    return { next: () => opens[next++]?.(view, parameters, context).next() };
  };
}

/** One row without columns, if all conditions hold. */
function compileNothing(conditions: readonly Expression[]): OpenRows {
  const holds = compileAll(conditions);
  return (_view, parameters, context) =>
    oneRow(holds === undefined || holds(noRow, parameters, context) ? noRow : undefined);
}

function mapRows(
  open: OpenRows,
  map: (row: Row, parameters: readonly Value[], context: ExecutionContext) => Row,
): OpenRows {
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    return {
      next: () => {
        const row = rows.next();
        return row === undefined ? undefined : map(row, parameters, context);
      },
    };
  };
}

function compileValues({ rows }: BoundValues): OpenRows {
  const all = rows.map((row) => row.map((value) => compile(value)));
  return (_view, parameters, context) => {
    let index = 0;
    return {
      next: () => {
        const row: readonly Evaluate[] | undefined = all[index++];
        return row?.map((evaluate) => evaluate(noRow, parameters, context));
      },
    };
  };
}

/** Equal rows once, the first of them; equality is that of keys. */
function compileDistinct(types: readonly ReturnType<typeof typeOf>[], open: OpenRows): OpenRows {
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    const hold = holder(context);
    const seen = new Set<string>();
    return {
      next: () => {
        for (let row = rows.next(); row !== undefined; row = rows.next()) {
          const key = encodeBoundKey(types, row);
          if (seen.has(key)) continue;
          hold(row);
          seen.add(key);
          return row;
        }
        return undefined;
      },
    };
  };
}

function holder(context: ExecutionContext): (row: Row) => void {
  const execution: Execution = executionOf(context);
  return (row) => execution.countHeld(row);
}

/** UNION, INTERSECT and EXCEPT, with ALL by counting. */
function compileCombination(query: BoundCombination, scope: TreeScope): OpenRows {
  const left = compileQuery(query.left, scope);
  const right = compileQuery(query.right, scope);
  const types = query.columns.map((column) => column.type);
  if (query.operation === 'union') {
    const both: OpenRows = (view, parameters, context) => {
      const first = left(view, parameters, context);
      let second: ReturnType<OpenRows> | undefined;
      return {
        next: () => {
          const row = second === undefined ? first.next() : undefined;
          if (row !== undefined) return row;
          second ??= right(view, parameters, context);
          return second.next();
        },
      };
    };
    return query.all ? both : compileDistinct(types, both);
  }
  const isIntersection = query.operation === 'intersect';
  const matched: OpenRows = (view, parameters, context) => {
    const counts = new Map<string, number>();
    const hold = holder(context);
    const others = right(view, parameters, context);
    for (let row = others.next(); row !== undefined; row = others.next()) {
      const key = encodeBoundKey(types, row);
      const count = counts.get(key);
      if (count === undefined) hold(row);
      counts.set(key, (count ?? 0) + 1);
    }
    const rows = left(view, parameters, context);
    return {
      next: () => {
        for (let row = rows.next(); row !== undefined; row = rows.next()) {
          const key = encodeBoundKey(types, row);
          const count = counts.get(key) ?? 0;
          if (query.all && count > 0) counts.set(key, count - 1);
          if (count > 0 === isIntersection) return row;
        }
        return undefined;
      },
    };
  };
  return query.all ? matched : compileDistinct(types, matched);
}

/** How many rows LIMIT and OFFSET let through at most, known when a run begins; undefined: all. */
function keepCount({ limit, offset }: BoundQuery): KeepCount | undefined {
  if (limit === undefined) return undefined;
  const [limitValue, offsetValue] = [compile(limit), offset && compile(offset)];
  return (parameters, context) =>
    count(limitValue(noRow, parameters, context), 'LIMIT', Infinity) +
    count(offsetValue?.(noRow, parameters, context), 'OFFSET', 0);
}

function compileLimit(query: BoundQuery, open: OpenRows): OpenRows {
  const limit = query.limit && compile(query.limit);
  const offset = query.offset && compile(query.offset);
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
    throw new VerityError(
      clause === 'LIMIT' ? 'INVALID_LIMIT' : 'INVALID_OFFSET',
      `${clause} must not be negative.`,
    );
  return Number(value);
}
