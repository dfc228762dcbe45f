import type { StoreKey } from '../../base/index.ts';
import type { ParameterTypes } from '../bind/context.ts';
import type { BoundInsert } from '../bind/insert.ts';
import type { Catalog, PreparedWrite, RowChange } from '../contract.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { compileForeignKeys } from './foreign-keys.ts';
import { blobsIn } from './stored-values.ts';
import { compileNewRows } from './new-rows.ts';
import { compileReturning } from './returning.ts';
import { checkUnique, type NewRow } from './uniqueness.ts';
import { compileUpsert } from './upsert.ts';

const nothingRemoved: ReadonlySet<StoreKey> = new Set();

export function compileInsert(
  insert: BoundInsert,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): PreparedWrite['run'] {
  const { table, conflict } = insert;
  const propose = compileNewRows(insert, catalog, parameterTypes);
  const returning = compileReturning(insert.returning, table.columns.length);
  if (conflict !== undefined)
    return compileUpsert({ table, conflict, propose, returning }, catalog);
  const writer = tableWriterOf(table);
  const checkForeignKeys = compileForeignKeys(catalog, table, 'insert');
  return (view, parameters, context) => {
    const added = propose(view, parameters, context);
    const isNew = checkUnique(catalog, table, view, { removed: nothingRemoved, added });
    checkForeignKeys?.(view, { removed: [], added });
    const changes = new Array<RowChange>(added.length);
    for (let index = 0; index < added.length; index++) {
      const { key, values } = added[index] as NewRow;
      changes[index] = {
        kind: 'insert',
        table,
        key,
        row: writer.encode(values, key),
        blobs: blobsIn(values),
        previous: undefined,
        isNew,
      };
    }
    return { changes, rowCount: added.length, rows: returning(added, parameters, context) };
  };
}
