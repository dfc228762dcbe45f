/** Takes queries in FROM that only select and filter (views above all) into the query around them, so that its plan sees their tables. */
import type { Expression } from '../../codec/index.ts';
import { type BoundSelect, type From, widthOf } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import { rewrite } from '../bind/rewrite.ts';
import { moveColumns, moveFrom } from './move.ts';
import { conjunction } from './step.ts';

interface Pulling {
  /** Ordinals of pulled queries → what yields them. */
  readonly meanings: Map<number, Expression>;
  readonly conditions: Expression[];
  width: number;
}

export function flatten(select: BoundSelect): BoundSelect {
  if (select.from === undefined) return select;
  const pulling: Pulling = { meanings: new Map(), conditions: [], width: widthOf(select.from) };
  const pulled = pull(select.from, false, pulling);
  if (pulling.meanings.size === 0) return select;
  const where = select.where === undefined ? [] : [select.where];
  const meant = mapSelect(
    { ...select, from: pulled, where: conjunction([...pulling.conditions, ...where]) },
    (each) => (each.kind === 'column' ? pulling.meanings.get(each.ordinal) : undefined),
  );
  return compacted(meant);
}

/** `nullable`: rows of this part may be absent, so only bare columns can take the place of its results. */
function pull(from: From, nullable: boolean, pulling: Pulling): From {
  if (from.kind === 'join') {
    const isFull = from.join === 'full';
    const left = pull(from.left, nullable || isFull, pulling);
    const right = pull(from.right, nullable || from.join !== 'inner', pulling);
    return { ...from, left, right };
  }
  if (from.kind !== 'query' || from.query.kind !== 'select') return from;
  const query = flatten(from.query);
  const isSimple =
    query.from !== undefined &&
    query.grouping === undefined &&
    !query.distinct &&
    query.limit === undefined &&
    query.offset === undefined;
  if (!isSimple || query.from === undefined) return from;
  const isBare =
    query.where === undefined && query.outputs.every((output) => output.kind === 'column');
  if (nullable && !isBare) return from;
  const base = pulling.width;
  pulling.width += widthOf(query.from);
  query.outputs.forEach((output, index) => {
    pulling.meanings.set(from.start + index, moveColumns(output, base));
  });
  if (query.where !== undefined) pulling.conditions.push(moveColumns(query.where, base));
  return moveFrom(query.from, base);
}

/** Renumbers the parts of FROM so that they lie side by side in their order again. */
function compacted(select: BoundSelect): BoundSelect {
  const places = new Map<number, number>();
  let width = 0;
  const place = (from: From): From => {
    if (from.kind === 'join') {
      const left = place(from.left);
      return { ...from, left, right: place(from.right) };
    }
    const start = width;
    for (let at = 0; at < from.width; at++) places.set(from.start + at, start + at);
    width += from.width;
    return { ...from, start };
  };
  const from = select.from && place(select.from);
  return mapSelect({ ...select, from }, (each) => {
    const ordinal = each.kind === 'column' ? places.get(each.ordinal) : undefined;
    return each.kind === 'column' && ordinal !== undefined ? { ...each, ordinal } : undefined;
  });
}

/** The SELECT with all that is over its source rows changed. */
function mapSelect(
  select: BoundSelect,
  change: (each: Expression) => Expression | undefined,
): BoundSelect {
  const map = (expression: Expression): Expression => rewrite(expression, change);
  const mapSort = (sort: readonly SortKey[]): SortKey[] =>
    sort.map((key) => ({ ...key, expression: map(key.expression) }));
  const { grouping } = select;
  const common = {
    ...select,
    from: select.from && mapConditions(select.from, map),
    where: select.where && map(select.where),
  };
  if (grouping === undefined) {
    const sort = select.distinct ? select.sort : mapSort(select.sort);
    return { ...common, outputs: select.outputs.map(map), sort };
  }
  const aggregates = grouping.aggregates.map((call) => ({
    ...call,
    argument: call.argument && map(call.argument),
    ...(call.delimiter === undefined ? {} : { delimiter: map(call.delimiter) }),
    ...(call.filter === undefined ? {} : { filter: map(call.filter) }),
    ...(call.sort === undefined ? {} : { sort: mapSort(call.sort) }),
  }));
  return { ...common, grouping: { ...grouping, keys: grouping.keys.map(map), aggregates } };
}

function mapConditions(from: From, map: (expression: Expression) => Expression): From {
  if (from.kind !== 'join') return from;
  return {
    ...from,
    left: mapConditions(from.left, map),
    right: mapConditions(from.right, map),
    condition: from.condition && map(from.condition),
  };
}
