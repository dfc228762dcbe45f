import type { Expression } from '../../codec/index.ts';
import { type From, widthOf } from '../bind/bound-query.ts';
import { conjuncts } from './restrictions.ts';
import type { Binding, Source } from './from-plan.ts';
import { planFrom, type PlanScope } from './join.ts';
import { moveFrom } from './move.ts';
import { hashKeyOf, toOwnRow } from './step.ts';

type FullJoin = Extract<From, { kind: 'join' }>;

/** FULL JOIN: both sides whole, and WHERE after it. All of it lies at the beginning of its row. */
export function fullSource(
  from: FullJoin,
  where: readonly Expression[],
  scope: PlanScope,
  place: { readonly name: string; readonly start: number; readonly width: number },
): Source {
  const { width } = place;
  const left = planFrom(from.left, [], scope);
  const start = lowest(from.right);
  const rightWidth = widthOf(from.right) - start;
  const plan = planFrom(moveFrom(from.right, -start), [], scope);
  const source: Source = { kind: 'joined', plan, name: '', start, width: rightWidth };
  const bindings: Binding[] = [];
  const conditions = from.condition === undefined ? [] : conjuncts(from.condition);
  const keys = conditions.flatMap((each) => hashKeyOf(each, source) ?? []);
  const match = conditions
    .filter((each) => hashKeyOf(each, source) === undefined)
    .map((each) => toOwnRow(each, source, bindings, scope));
  const method = keys.length > 0 ? ({ kind: 'hash', keys } as const) : ({ kind: 'loop' } as const);
  const right = { source, outer: true, bindings, method, match, filter: [] };
  if (where.length === 0) return { ...place, kind: 'full', left, right };
  const first: Source = { kind: 'full', left, right, name: '', start: 0, width };
  return { ...place, kind: 'joined', plan: { gate: [], first, steps: [], filter: where, width } };
}

function lowest(from: From): number {
  return from.kind === 'join' ? Math.min(lowest(from.left), lowest(from.right)) : from.start;
}
