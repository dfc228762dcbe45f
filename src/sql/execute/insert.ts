import type { StoreKey, Value } from '../../base/index.ts';
import { rowIdKey } from '../../codec/index.ts';
import type { BoundInsert } from '../bind/write.ts';
import type { Catalog, ExecutionContext, PreparedWrite, RowChange } from '../contract.ts';
import { primaryKeyOf } from '../schema/table-layout.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { compile, type Evaluate } from './compile.ts';
import { compileReturning } from './returning.ts';
import { checkChangeCount, checkUnique, type NewRow } from './uniqueness.ts';

const nothingRemoved: ReadonlySet<StoreKey> = new Set();
const noRow: readonly Value[] = [];

export function compileInsert(insert: BoundInsert, catalog: Catalog): PreparedWrite['run'] {
  const { table } = insert;
  checkChangeCount(insert.rows.length, table);
  const writer = tableWriterOf(table);
  const hasKey = table.primaryKey.length > 0;
  const rows: readonly (readonly (Evaluate | undefined)[])[] = insert.rows.map((row) =>
    row.map((value, ordinal) => (value === undefined ? writer.defaults[ordinal] : compile(value))),
  );
  const returning = compileReturning(insert.returning, table.columns.length);

  const newRow = (
    evaluates: readonly (Evaluate | undefined)[],
    parameters: readonly Value[],
    context: ExecutionContext,
  ): NewRow => {
    const values = new Array<Value>(evaluates.length);
    for (let ordinal = 0; ordinal < evaluates.length; ordinal++) {
      const evaluate = evaluates[ordinal];
      values[ordinal] = evaluate === undefined ? null : evaluate(noRow, parameters, context);
    }
    writer.check(values, context);
    return {
      key: hasKey ? primaryKeyOf(table, values) : rowIdKey(context.allocateRowId()),
      values,
    };
  };

  return (view, parameters, context) => {
    const added = new Array<NewRow>(rows.length);
    for (let index = 0; index < rows.length; index++) {
      added[index] = newRow(rows[index] as readonly (Evaluate | undefined)[], parameters, context);
    }
    checkUnique(catalog, table, view, { removed: nothingRemoved, added });
    const changes = new Array<RowChange>(added.length);
    for (let index = 0; index < added.length; index++) {
      const { key, values } = added[index] as NewRow;
      changes[index] = {
        kind: 'insert',
        table,
        key,
        row: writer.encode(values),
        previous: undefined,
      };
    }
    return { changes, rowCount: added.length, rows: returning(added, parameters, context) };
  };
}
