import type { TypeName } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';

/** Types whose values come back from a key exactly as they went in; 1.50 comes back as 1.5, and -0 as 0. */
const exact: ReadonlySet<TypeName> = new Set([
  'smallint',
  'integer',
  'bigint',
  'text',
  'varchar',
  'boolean',
  'bytea',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
] as const);

/** Whether the keys of an index, with the primary key that they lead to, hold all columns of `reads`. */
export function isCovering(
  table: TableSchema,
  index: Index,
  reads: ReadonlySet<number> | undefined,
): boolean {
  const isExact = (ordinal: number): boolean => {
    const type = table.columns[ordinal]?.type.name;
    return type !== undefined && exact.has(type);
  };
  if (reads === undefined) return false;
  const held = new Set([...index.columns, ...table.primaryKey]);
  return (
    [...reads].every((ordinal) => held.has(ordinal)) &&
    [...index.columns, ...table.primaryKey].every(isExact)
  );
}
