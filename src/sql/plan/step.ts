/** One source of FROM: how its rows are reached, and how they meet the rows so far. */
import type { ColumnType } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { From } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import { columnsOf, rewrite, someNode } from '../bind/rewrite.ts';
import { textType } from '../bind/type-rules.ts';
import { type AccessPath, isConstant, planAccess, type Wanted } from './access.ts';
import type { Binding, HashKey, Source, Step } from './from-plan.ts';
import type { PlanScope } from './join.ts';
import { moveColumns } from './move.ts';
import { planOrder } from './order.ts';
import { pushInto } from './push-down.ts';

type Leaf = Exclude<From, { kind: 'join' }>;
const allRows = 1_000;

export interface Weighed {
  readonly source: Source;
  /** Rows expected, were there a thousand in each table. */
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
    return {
      source: { ...place, kind: 'table', table: from.table, access, reverse },
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
  const { sort = [], reads, limited = false } = wanted;
  const isOwn = (key: SortKey): boolean =>
    [...columnsOf(key.expression)].every((each) => each >= start && each < start + width);
  const own = sort.every(isOwn)
    ? sort.map((key) => ({ ...key, expression: moveColumns(key.expression, -start) }))
    : [];
  return { sort: own, limited, reads: start === 0 ? reads : undefined };
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
  const lookup = lookupStep(source, conditions, localize, bindings);
  if (lookup !== undefined && lookup.weight < weight && lookup.weight <= allRows / 10) {
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
      cost: allRows + rows,
    };
  }
  return {
    step: { ...step, method: { kind: 'loop' } },
    rows: rows * weight * factor,
    cost: allRows + rows * weight,
  };
}

function lookupStep(
  source: Source,
  conditions: readonly Expression[],
  localize: (condition: Expression) => Expression,
  bindings: readonly Binding[],
): { readonly step: Omit<Step, 'outer'>; readonly weight: number } | undefined {
  if (source.kind !== 'table') return undefined;
  const access = planAccess(source.table, conjunction(conditions.map(localize)));
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
  const values =
    path.kind === 'all'
      ? []
      : 'values' in path
        ? path.values
        : [...path.prefix, ...(path.list ?? []), path.low?.value, path.high?.value];
  const reads = (each: Expression): boolean => each.kind === 'parameter' && slots.has(each.number);
  return values.some((value) => value !== undefined && someNode(value, reads));
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
