/** One source of FROM: how its rows are reached, and how they meet the rows so far. */
import type { ColumnType } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { From } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import { columnsOf, rewrite, someNode } from '../bind/rewrite.ts';
import { textType } from '../bind/type-rules.ts';
import { type AccessPath, planAccess, type Wanted } from './access.ts';
import type { Binding, HashKey, Source, Step } from './from-plan.ts';
import type { PlanScope } from './join.ts';
import { moveColumns } from './move.ts';
import { planOrder } from './order.ts';
import { pushInto } from './push-down.ts';
import { isConstant } from './restrictions.ts';

type Leaf = Exclude<From, { kind: 'join' }>;
/** Rows of what is no table. */
const allRows = 1_000;

export interface Weighed {
  readonly source: Source;
  /** Rows expected; of tables that were not counted, were there a thousand. */
  readonly weight: number;
}

/** A table, query or function with the conditions on its own columns. */
export function sourceOf(from: Leaf, own: readonly Expression[], wanted: Wanted): Weighed {
  const { start, width, name } = from;
  const conditions = own.map((each) => moveColumns(each, -start));
  const place = { start, width, name };
  if (from.kind === 'table') {
    const where = conjunction(conditions);
    const local = localWanted(wanted, start, width);
    const access = planAccess(from.table, where, local);
    const reverse = planOrder(from.table, access.path, local.sort ?? []) === 'reverse';
    const entry = from.withEntry === true ? ({ withEntry: true } as const) : {};
    return {
      source: { ...place, kind: 'table', table: from.table, access, reverse, ...entry },
      weight: access.weight,
    };
  }
  const weight = allRows * 0.4 ** conditions.length;
  if (from.kind === 'function')
    return { source: { ...place, kind: 'function', call: from.call, filter: conditions }, weight };
  const { query, rest } = pushInto(from.query, conditions);
  return { source: { ...place, kind: 'query', query, filter: rest }, weight };
}

/** What is wanted of the whole row as far as it lies within one source. */
function localWanted(wanted: Wanted, start: number, width: number): Wanted {
  const { sort = [], reads, limited = false, statistics, joined = false } = wanted;
  const isOwn = (key: SortKey): boolean =>
    [...columnsOf(key.expression)].every((each) => each >= start && each < start + width);
  const own = sort.every(isOwn)
    ? sort.map((key) => ({ ...key, expression: moveColumns(key.expression, -start) }))
    : [];
  return { sort: own, limited, reads: start === 0 ? reads : undefined, statistics, joined };
}

export function conjunction(conditions: readonly Expression[]): Expression | undefined {
  return conditions.length < 2
    ? conditions[0]
    : { kind: 'and', type: { name: 'boolean' }, args: conditions };
}

interface Around {
  readonly scope: PlanScope;
  /** Rows expected so far. */
  readonly rows: number;
}

interface WeighedStep {
  readonly step: Omit<Step, 'outer'>;
  readonly rows: number;
  readonly cost: number;
}

/** The cheapest way from the rows so far to those with a source's columns. `own` are its own among the conditions. */
export function stepTo(
  { source, weight }: Weighed,
  conditions: readonly Expression[],
  own: readonly Expression[],
  { scope, rows }: Around,
): WeighedStep {
  const shared = conditions.filter((each) => !own.includes(each));
  const bindings: Binding[] = [];
  const localize = (condition: Expression): Expression =>
    toOwnRow(condition, source, bindings, scope);
  const total = totalOf(source);
  const lookup = lookupStep(source, conditions, localize, { bindings, scope });
  const isFew = lookup !== undefined && lookup.weight <= Math.max(2, total / 10);
  if (isFew && (lookup.weight < weight || total <= 2)) {
    return {
      step: lookup.step,
      rows: rows * lookup.weight,
      cost: rows * (1 + lookup.weight),
    };
  }
  bindings.length = 0;
  const keys = shared.flatMap((each) => hashKeyOf(each, source) ?? []);
  const match = shared.filter((each) => hashKeyOf(each, source) === undefined).map(localize);
  const factor = 0.05 ** Math.min(keys.length, 2) * 0.5 ** match.length;
  const step = { source, bindings: [...bindings], match, filter: [] };
  if (keys.length > 0) {
    return {
      step: { ...step, method: { kind: 'hash', keys } },
      rows: rows * weight * factor,
      cost: total + rows,
    };
  }
  return {
    step: { ...step, method: { kind: 'loop' } },
    rows: rows * weight * factor,
    cost: total + rows * weight,
  };
}

/** All rows of a source, if they were counted. */
function totalOf(source: Source): number {
  const counted = source.kind === 'table' ? source.access.counted : undefined;
  return counted?.rows ?? allRows;
}

function lookupStep(
  source: Source,
  conditions: readonly Expression[],
  localize: (condition: Expression) => Expression,
  { bindings, scope }: { readonly bindings: readonly Binding[]; readonly scope: PlanScope },
): { readonly step: Omit<Step, 'outer'>; readonly weight: number } | undefined {
  if (source.kind !== 'table') return undefined;
  const where = conjunction(conditions.map(localize));
  const access = planAccess(source.table, where, { statistics: scope.statistics });
  if (!pathReads(access.path, bindings)) return undefined;
  const step = {
    source: { ...source, access, reverse: false },
    bindings: [...bindings],
    method: { kind: 'lookup' as const },
    match: [],
    filter: [],
  };
  return { step, weight: access.weight };
}

/** Whether a path's values depend on the row so far. */
function pathReads(path: AccessPath, bindings: readonly Binding[]): boolean {
  const slots = new Set(bindings.map((each) => each.slot));
  const reads = (each: Expression): boolean => each.kind === 'parameter' && slots.has(each.number);
  return valuesOf(path).some((value) => value !== undefined && someNode(value, reads));
}

/** All that a path compares keys with. */
function valuesOf(path: AccessPath): readonly (Expression | undefined)[] {
  if (path.kind === 'all') return [];
  if (path.kind === 'union') return path.paths.flatMap(valuesOf);
  if ('values' in path) return path.values;
  return [
    ...path.prefix,
    ...(path.list ?? []),
    ...(path.ranges ?? []).flatMap(({ low, high }) => [low?.value, high?.value]),
    path.low?.value,
    path.high?.value,
  ];
}

/** The condition over the source's own row; columns of the rows so far become parameters. */
export function toOwnRow(
  condition: Expression,
  { start, width }: Pick<Source, 'start' | 'width'>,
  bindings: Binding[],
  scope: PlanScope,
): Expression {
  return rewrite(condition, (each) => {
    if (each.kind !== 'column') return undefined;
    const { type, ordinal } = each;
    if (ordinal >= start && ordinal < start + width)
      return { kind: 'column', type, ordinal: ordinal - start };
    const known = bindings.find(
      ({ value }) => value.kind === 'column' && value.ordinal === ordinal,
    );
    const slot = known?.slot ?? scope.parameters.allocateSlot();
    if (known === undefined) bindings.push({ slot, value: { kind: 'column', type, ordinal } });
    return { kind: 'parameter', type, number: slot };
  });
}

/** `x = y` of which one side reads only the source and the other only the rows so far. */
export function hashKeyOf(
  condition: Expression,
  { start, width }: Pick<Source, 'start' | 'width'>,
): HashKey | undefined {
  if (condition.kind !== 'call' || condition.name !== '=') return undefined;
  const [left, right] = condition.args as readonly [Expression, Expression];
  const isOwn = (each: Expression): boolean =>
    [...columnsOf(each)].every((ordinal) => ordinal >= start && ordinal < start + width);
  const isOther = (each: Expression): boolean =>
    [...columnsOf(each)].every((ordinal) => ordinal < start || ordinal >= start + width);
  if (isConstant(left) || isConstant(right)) return undefined;
  const type: ColumnType = left.type ?? textType;
  if (isOwn(left) && isOther(right))
    return { probe: right, build: moveColumns(left, -start), type };
  if (isOwn(right) && isOther(left))
    return { probe: left, build: moveColumns(right, -start), type };
  return undefined;
}
