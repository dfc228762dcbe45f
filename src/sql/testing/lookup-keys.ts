import type { Value } from '../../base/index.ts';
import { decodeKey } from '../../codec/index.ts';
import { bindParameters, parseScript, prepare } from '../index.ts';
import type { MemoryDatabase } from './memory-view.ts';

/** The primary keys that a query asks for, as values; dates as text. */
export function keyRowsOf(
  db: MemoryDatabase,
  text: string,
  parameters: readonly unknown[],
): (Value | string)[][] {
  const [statement] = parseScript(text);
  const prepared = prepare(statement as NonNullable<typeof statement>, db.catalog);
  if (prepared.kind !== 'query' || prepared.lookup === undefined) throw new Error('not a query');
  const { table, keys } = prepared.lookup();
  const types = table.primaryKey.map((ordinal) => table.columns[ordinal]!.type);
  const values = bindParameters(prepared.parameterTypes, parameters);
  return keys(db.view, values, db.context).map((key) =>
    decodeKey(types, key).map((value, index) =>
      types[index]?.name === 'date'
        ? new Date((value as number) * 86_400_000).toISOString().slice(0, 10)
        : value,
    ),
  );
}
