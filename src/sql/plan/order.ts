import type { TableSchema } from '../../codec/index.ts';
import type { SortKey } from '../bind/context.ts';
import type { AccessPath } from './access.ts';

/**
 * Whether a walk along the path gives the order asked for: 'forward', 'reverse', or undefined when rows
 * must be sorted. Columns that the path holds equal may be left out of, or be in, the order.
 */
export function planOrder(
  table: TableSchema,
  path: AccessPath,
  sort: readonly SortKey[],
): 'forward' | 'reverse' | undefined {
  if (sort.length === 0 || path.kind === 'get' || path.kind === 'unique') return 'forward';
  if (path.kind === 'union') return undefined;
  const key = keyColumns(table, path);
  const fixed = 'prefix' in path ? key.slice(0, path.prefix.length) : [];
  let next = fixed.length;
  let direction: boolean | undefined;
  for (const { expression, descending, nullsFirst } of sort) {
    if (expression.kind !== 'column') return undefined;
    const { ordinal } = expression;
    if (fixed.some((each) => each.ordinal === ordinal)) continue;
    // Once the whole key is used up, what follows cannot break a tie.
    if (next >= key.length && table.primaryKey.length > 0) break;
    const column = key[next];
    if (column?.ordinal !== ordinal) return undefined;
    const reversed = descending !== column.descending;
    // Walked forward, NULLs of a column come last, or first in a descending one.
    const hasNulls = column.nullable && !(next === fixed.length && withoutNulls(path));
    if (hasNulls && nullsFirst !== (reversed !== column.descending)) return undefined;
    if (direction !== undefined && direction !== reversed) return undefined;
    direction = reversed;
    next++;
  }
  return direction === true ? 'reverse' : 'forward';
}

/** Whether the rows of a path have a value in the column behind its prefix. */
const withoutNulls = (path: Exclude<AccessPath, { kind: 'get' | 'unique' | 'union' }>): boolean =>
  path.kind !== 'all' &&
  (path.low !== undefined ||
    path.high !== undefined ||
    path.list !== undefined ||
    path.members !== undefined ||
    path.ranges?.every((each) => each.nulls !== true) === true);

interface KeyColumn {
  readonly ordinal: number;
  readonly descending: boolean;
  readonly nullable: boolean;
}

/** The columns in whose order the path's keys lie. */
function keyColumns(table: TableSchema, path: AccessPath): readonly KeyColumn[] {
  const primary = table.primaryKey.map((ordinal): KeyColumn => ({
    ordinal,
    descending: false,
    nullable: false,
  }));
  if (path.kind !== 'index') return primary;
  const { index } = path;
  const own = index.columns.map((ordinal, place): KeyColumn => ({
    ordinal,
    descending: index.descending?.[place] === true,
    nullable: table.columns[ordinal]?.notNull !== true,
  }));
  return [...own, ...primary.filter(({ ordinal }) => !index.columns.includes(ordinal))];
}
