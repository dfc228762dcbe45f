/** A query as a prepared statement runs it: at most one row by its key without detours, or whatever it takes. */
import { treeOf } from '../../base/index.ts';
import type { BoundQuery, BoundSelect } from '../bind/bound-query.ts';
import type { ParameterTypes } from '../bind/context.ts';
import type { Catalog, PreparedQuery } from '../contract.ts';
import { planAccess } from '../plan/access.ts';
import { layoutOf } from '../schema/table-layout.ts';
import { Execution, frameOf } from './execution.ts';
import { compileProjection } from './projection.ts';
import { compileQuery } from './query.ts';
import { type Row, type Rows, scopeOf } from './row-source.ts';
import { compileFindKey } from './rows.ts';
import { compileAll } from './source.ts';

type Run = PreparedQuery['run'];

export function compileRun(
  query: BoundQuery,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): Run {
  const point =
    query.kind === 'select' && !parameterTypes.hasSubquery
      ? compilePoint(query, catalog)
      : undefined;
  if (point !== undefined) return point;
  const scope = scopeOf(catalog, parameterTypes);
  const open = compileQuery(query, scope, false);
  const { slotCount } = parameterTypes;
  return (view, parameters, context) => {
    const execution = new Execution(view, context);
    return iterate(open(view, frameOf(parameters, slotCount), execution));
  };
}

/** At most one row by its key: no cursor, and no copy when all columns are asked for. */
function compilePoint(select: BoundSelect, catalog: Catalog): Run | undefined {
  const { from, grouping, limit, offset } = select;
  const isPlain = grouping === undefined && limit === undefined && offset === undefined;
  if (from?.kind !== 'table' || !isPlain) return undefined;
  const { table } = from;
  const access = planAccess(table, select.where);
  const findKey = compileFindKey(catalog, table, access.path);
  if (findKey === undefined) return undefined;
  const tree = treeOf(catalog.tenant, table.id);
  const { codec } = layoutOf(table);
  const rest = compileAll(access.rest);
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
