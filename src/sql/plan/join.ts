/**
 * Plans FROM and WHERE: in which order tables are joined and how each is reached.
 *
 * Inner joins commute, and so does a left join with them as long as what its ON names is there before it. So
 * FROM falls into items to be joined in any order, and left joins that wait for theirs. At each turn the
 * step that leaves the fewest rows is taken; rows are counted where that is cheap (statistics.ts), guessed otherwise.
 */
import { assert } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { type From, widthOf } from '../bind/bound-query.ts';
import type { ParameterTypes } from '../bind/context.ts';
import { columnsOf } from '../bind/rewrite.ts';
import type { Wanted } from './access.ts';
import type { FromPlan, Source, Step } from './from-plan.ts';
import { fullSource } from './full-join.ts';
import { moveColumns, moveFrom } from './move.ts';
import { conjuncts, isConstant } from './restrictions.ts';
import type { Statistics } from './statistics.ts';
import { sourceOf, stepTo } from './step.ts';

/** What planning needs beside the query: numbers for parameters that joins set. */
export interface PlanScope {
  readonly parameters: Pick<ParameterTypes, 'allocateSlot'>;
  readonly statistics?: Statistics | undefined;
}

const joinWanted = ({ statistics }: PlanScope): Wanted => ({ statistics, joined: true });

type Leaf = Exclude<From, { kind: 'join' }>;

/** A source still to be joined. */
interface Item {
  readonly from: From;
  readonly low: number;
  readonly high: number;
  /** Of a left join: its ON. Undefined: joined by the conditions of all. */
  readonly on: readonly Expression[] | undefined;
}

interface Group {
  readonly items: Item[];
  readonly conditions: Expression[];
}

/** Turns beyond this many are not tried from every first table. */
const exhaustiveItemsMax = 6;

/** Plans the rows of `from` for which all of `where` holds. */
export function planFrom(
  from: From,
  where: readonly Expression[],
  scope: PlanScope,
  wanted: Wanted = {},
): FromPlan {
  const group: Group = { items: [], conditions: [...where] };
  collect(from, group);
  const gate = group.conditions.filter(isConstant);
  const conditions = group.conditions.filter((each) => !isConstant(each));
  const starts = group.items.filter((item) => item.on === undefined);
  assert(starts.length > 0, 'FROM begins with something that no left join waits for');
  const tried = starts.length > 1 && group.items.length <= exhaustiveItemsMax;
  let best: { readonly plan: FromPlan; readonly cost: number } | undefined;
  for (const start of tried ? starts : [cheapest(starts, conditions, scope)]) {
    const found = planFromStart(start, group.items, conditions, {
      scope,
      wanted:
        group.items.length === 1
          ? { ...wanted, statistics: scope.statistics }
          : { sort: wanted.sort ?? [], ...joinWanted(scope) },
      width: widthOf(from),
      gate,
    });
    if (best === undefined || found.cost < best.cost) best = found;
  }
  assert(best !== undefined, 'one start at least was tried');
  return best.plan;
}

/** Takes FROM apart. What a join nests on its right or on both sides is planned on its own. */
function collect(from: From, group: Group): void {
  if (from.kind === 'join' && from.join === 'inner') {
    collect(from.left, group);
    collect(from.right, group);
    if (from.condition !== undefined) group.conditions.push(...conjuncts(from.condition));
  } else if (from.kind === 'join' && from.join === 'left') {
    collect(from.left, group);
    const on = from.condition === undefined ? [] : conjuncts(from.condition);
    group.items.push({ from: from.right, ...spread(from.right), on });
  } else {
    group.items.push({ from, ...spread(from), on: undefined });
  }
}

function spread(from: From): { readonly low: number; readonly high: number } {
  if (from.kind !== 'join') return { low: from.start, high: from.start + from.width };
  const [left, right] = [spread(from.left), spread(from.right)];
  return { low: Math.min(left.low, right.low), high: Math.max(left.high, right.high) };
}

const within = (item: Item, ordinal: number): boolean => ordinal >= item.low && ordinal < item.high;

/** Whether an expression reads no column but those of the items. */
function readsOnly(expression: Expression, items: readonly Item[]): boolean {
  return [...columnsOf(expression)].every((ordinal) => items.some((item) => within(item, ordinal)));
}

const reads = (expression: Expression, item: Item): boolean =>
  [...columnsOf(expression)].some((ordinal) => within(item, ordinal));

/** Of many tables, the one of which the fewest rows are expected. */
function cheapest(
  starts: readonly Item[],
  conditions: readonly Expression[],
  scope: PlanScope,
): Item {
  const weights = starts.map((item) => {
    const own = conditions.filter((each) => readsOnly(each, [item]));
    return toSource(item, own, scope, joinWanted(scope)).weight;
  });
  const least = Math.min(...weights);
  return starts[weights.indexOf(least)] as Item;
}

interface Setting {
  readonly scope: PlanScope;
  readonly wanted: Wanted;
  readonly width: number;
  readonly gate: readonly Expression[];
}

interface Candidate {
  readonly item: Item;
  readonly step: Step;
  readonly rows: number;
  readonly cost: number;
}

function planFromStart(
  start: Item,
  items: readonly Item[],
  conditions: readonly Expression[],
  { scope, wanted, width, gate }: Setting,
): { readonly plan: FromPlan; readonly cost: number } {
  let open = conditions.filter((each) => !readsOnly(each, [start]));
  const own = conditions.filter((each) => readsOnly(each, [start]));
  const { source: first, weight } = toSource(start, own, scope, wanted);
  const joined = [start];
  const steps: Step[] = [];
  let rows = Math.max(1, weight);
  let cost = weight;
  let left = items.filter((item) => item !== start);
  while (left.length > 0) {
    let best: Candidate | undefined;
    for (const item of left) {
      if (item.on !== undefined && !item.on.every((each) => readsOnly(each, [...joined, item])))
        continue;
      const candidate = toCandidate(item, joined, open, { scope, rows });
      if (best === undefined || candidate.cost + candidate.rows < best.cost + best.rows)
        best = candidate;
    }
    assert(best !== undefined, 'a left join can be made once the others are');
    const { item, step } = best;
    joined.push(item);
    left = left.filter((each) => each !== item);
    const ready = open.filter((each) => readsOnly(each, joined));
    open = open.filter((each) => !ready.includes(each));
    // What an inner join can apply it has in its match; after a left join, WHERE is to be asked again.
    steps.push(item.on === undefined ? step : { ...step, filter: ready });
    rows = Math.max(1, best.rows);
    cost += best.cost + best.rows;
  }
  assert(open.length === 0, 'when all is joined, all conditions are applied');
  return { plan: { gate, first, steps, filter: [], width }, cost };
}

function toCandidate(
  item: Item,
  joined: readonly Item[],
  open: readonly Expression[],
  { scope, rows }: { readonly scope: PlanScope; readonly rows: number },
): Candidate {
  const conditions =
    item.on ?? open.filter((each) => reads(each, item) && readsOnly(each, [...joined, item]));
  const own = conditions.filter((each) => readsOnly(each, [item]));
  const { source, weight } = toSource(item, own, scope, joinWanted(scope));
  const found = stepTo({ source, weight }, conditions, own, { scope, rows });
  const outer = item.on !== undefined;
  return {
    item,
    step: { ...found.step, outer },
    rows: outer ? Math.max(rows, found.rows) : found.rows,
    cost: found.cost,
  };
}

/** An item as a source, with the conditions that only it takes part in. */
function toSource(
  item: Item,
  own: readonly Expression[],
  scope: PlanScope,
  wanted: Wanted,
): { readonly source: Source; readonly weight: number } {
  const { from, low, high } = item;
  if (from.kind !== 'join') return sourceOf(from as Leaf, own, wanted);
  const moved = moveFrom(from, -low);
  const where = own.map((each) => moveColumns(each, -low));
  const place = { name: '', start: low, width: high - low };
  if (moved.kind === 'join' && moved.join === 'full')
    return { source: fullSource({ ...moved, join: 'full' }, where, scope, place), weight: 1_000 };
  const plan = planFrom(moved, where, scope);
  return { source: { ...place, kind: 'joined', plan }, weight: 1_000 };
}
