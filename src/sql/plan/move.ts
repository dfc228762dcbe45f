import type { Expression } from '../../codec/index.ts';
import type { From } from '../bind/bound-query.ts';
import { rewrite } from '../bind/rewrite.ts';

/** The expression over a row in which all columns lie `by` ordinals further on. */
export function moveColumns(expression: Expression, by: number): Expression {
  if (by === 0) return expression;
  return rewrite(expression, (each) =>
    each.kind === 'column' ? { ...each, ordinal: each.ordinal + by } : undefined,
  );
}

/** FROM with its parts `by` ordinals further on. */
export function moveFrom(from: From, by: number): From {
  if (from.kind !== 'join') return { ...from, start: from.start + by };
  return {
    ...from,
    left: moveFrom(from.left, by),
    right: moveFrom(from.right, by),
    condition: from.condition && moveColumns(from.condition, by),
  };
}
