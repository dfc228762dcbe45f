/** The keys of a table: which constraint is called what, and what serves a foreign key. */
import type { Expression, ForeignKey, Index, TableSchema } from '../../codec/index.ts';
import { indexesOf } from './table-layout.ts';

/** The columns that a table's primary key stands for; one that was added later is a unique index. */
export function primaryKeyColumns(table: TableSchema): readonly number[] | undefined {
  if (table.primaryKey.length > 0) return table.primaryKey;
  return indexesOf(table).find((index) => index.origin === 'primaryKey')?.columns;
}

/** The name of the constraint of a primary key that orders the table. */
export const primaryKeyName = (table: TableSchema): string =>
  table.primaryKeyName ?? `${table.name}_pkey`;

/** Whether an index stands for a constraint of its name. */
export const isConstraint = (index: Index): boolean =>
  index.origin === undefined || index.origin === 'primaryKey';

/** The names of a table's constraints. */
export function constraintNamesOf(table: TableSchema): string[] {
  return [
    ...(table.primaryKey.length > 0 ? [primaryKeyName(table)] : []),
    ...table.checks.map((check) => check.name),
    ...(table.foreignKeys ?? []).map((key) => key.name),
    ...indexesOf(table)
      .filter(isConstraint)
      .map((index) => index.name),
  ];
}

/** Whether both hold the same columns, in whatever order. */
export const sameColumns = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((ordinal) => right.includes(ordinal));

/** The index by whose leading columns the rows of a foreign key are found; 'primaryKey' if that serves. */
export function supportingIndex(
  table: TableSchema,
  key: Pick<ForeignKey, 'columns'>,
): Index | 'primaryKey' | undefined {
  const width = key.columns.length;
  if (sameColumns(table.primaryKey.slice(0, width), key.columns)) return 'primaryKey';
  return table.indexes.find((index) => sameColumns(index.columns.slice(0, width), key.columns));
}

/** The unique index whose columns a foreign key refers to; 'primaryKey' if it is that. */
export function referencedKey(
  table: TableSchema,
  references: readonly number[],
): Index | 'primaryKey' | undefined {
  if (sameColumns(table.primaryKey, references)) return 'primaryKey';
  return table.indexes.find((index) => index.unique && sameColumns(index.columns, references));
}

/** The ordinals of the columns that a stored expression reads. */
export function columnsRead(expression: Expression): readonly number[] {
  const found = new Set<number>();
  const left: unknown[] = [expression];
  while (left.length > 0) {
    const node = left.pop();
    if (typeof node !== 'object' || node === null) continue;
    const { kind, ordinal } = node as { readonly kind?: unknown; readonly ordinal?: unknown };
    if (kind === 'column' && typeof ordinal === 'number') found.add(ordinal);
    left.push(...Object.values(node));
  }
  return [...found];
}
