import type { TableSchema } from '../../codec/index.ts';
import type { SortKey } from '../bind/sort.ts';
import type { AccessPath } from './access.ts';

/**
 * Whether a walk in primary key order gives the order asked for: 'forward', 'reverse', or undefined
 * when rows must be sorted. Columns that the path holds equal may be left out of, or be in, the order.
 */
export function planOrder(
  table: TableSchema,
  path: AccessPath,
  sort: readonly SortKey[],
): 'forward' | 'reverse' | undefined {
  if (sort.length === 0 || path.kind === 'get' || path.kind === 'unique') return 'forward';
  const key = table.primaryKey;
  const fixed = path.kind === 'range' ? key.slice(0, path.prefix.length) : [];
  let next = fixed.length;
  let direction: boolean | undefined;
  for (const { expression, descending } of sort) {
    if (expression.kind !== 'column') return undefined;
    if (fixed.includes(expression.ordinal)) continue;
    // Once the whole key is used up, what follows cannot break a tie.
    if (next >= key.length && key.length > 0) break;
    if (expression.ordinal !== key[next] || (direction !== undefined && direction !== descending))
      return undefined;
    direction = descending;
    next++;
  }
  return direction === true ? 'reverse' : 'forward';
}
