import { type StoreKey, type TenantId, VerityError } from '../base/index.ts';
import { encodeKey, type TableSchema } from '../codec/index.ts';
import { tablesOf } from '../kernel/index.ts';
import { fromJs } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import type { SqlParameter } from './types.ts';

/** The table of this name as it is now. Throws UNDEFINED_TABLE. */
export function tableNamed(
  view: ReadView,
  { id, name: tenantName }: { readonly id: TenantId; readonly name: string },
  name: string,
): TableSchema {
  const table = tablesOf(view, id).find((candidate) => candidate.name === name);
  if (table !== undefined) return table;
  throw new VerityError(
    'UNDEFINED_TABLE',
    `There is no table named "${name}" in tenant "${tenantName}".`,
  );
}

/** The store key of a row from its primary key's values. Throws INVALID_ARGUMENT, and what fromJs does. */
export function rowKeyOf(table: TableSchema, key: readonly SqlParameter[]): StoreKey {
  const types = table.primaryKey.map(
    (ordinal) => (table.columns[ordinal] as TableSchema['columns'][number]).type,
  );
  if (types.length === 0) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `Table "${table.name}" has no primary key, so its rows have no history by key. Use changes().`,
    );
  }
  if (!Array.isArray(key) || key.length !== types.length) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `The key of table "${table.name}" has ${types.length} columns. Pass their values as an array.`,
    );
  }
  const values = types.map((type, index) => fromJs(type, key[index]));
  return encodeKey(types, values);
}
