/** The rows that an INSERT proposes, checked by themselves. */
import { type StoreKey, type Value } from '../../base/index.ts';
import { rowIdKey } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { ParameterTypes } from '../bind/context.ts';
import type { BoundInsert } from '../bind/insert.ts';
import type { Catalog, ExecutionContext } from '../contract.ts';
import { primaryKeyOf } from '../schema/table-layout.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { compile, type Evaluate } from './compile.ts';
import { compileQuery } from './query.ts';
import { scopeOf } from './row-source.ts';
import { ChangeSize, checkChangeCount, type NewRow } from './uniqueness.ts';

export type ProposeRows = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => readonly NewRow[];

type Make = (
  evaluates: readonly (Evaluate | undefined)[],
  row: readonly Value[],
  parameters: readonly Value[],
  context: ExecutionContext,
) => NewRow;

const noRow: readonly Value[] = [];

/** All of the rows, before the first is written: a query does not see what its own statement inserts. */
export function compileNewRows(
  insert: BoundInsert,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): ProposeRows {
  const { table, query } = insert;
  checkChangeCount(insert.rows.length, table);
  const { defaults } = tableWriterOf(table);
  const make = compileMake(insert);
  const rows: readonly (readonly (Evaluate | undefined)[])[] = insert.rows.map((row) =>
    row.map((value, ordinal) => (value === undefined ? defaults[ordinal] : compile(value))),
  );
  if (query === undefined) {
    return (_view, parameters, context) => {
      const size = new ChangeSize(table);
      const proposed = new Array<NewRow>(rows.length);
      for (let index = 0; index < rows.length; index++) {
        const evaluates = rows[index] as readonly (Evaluate | undefined)[];
        proposed[index] = size.counted(make(evaluates, noRow, parameters, context));
      }
      return proposed;
    };
  }
  const open = compileQuery(query, scopeOf(catalog, parameterTypes));
  const [evaluates = []] = rows;
  return (view, parameters, context) => {
    const size = new ChangeSize(table);
    const proposed: NewRow[] = [];
    const found = open(view, parameters, context);
    for (let row = found.next(); row !== undefined; row = found.next()) {
      proposed.push(size.counted(make(evaluates, row, parameters, context)));
      checkChangeCount(proposed.length, table);
    }
    return proposed;
  };
}

function compileMake({ table }: BoundInsert): Make {
  const writer = tableWriterOf(table);
  const hasKey = table.primaryKey.length > 0;
  return (evaluates, row, parameters, context) => {
    const values = new Array<Value>(evaluates.length);
    for (let ordinal = 0; ordinal < evaluates.length; ordinal++) {
      const evaluate = evaluates[ordinal];
      values[ordinal] = evaluate === undefined ? null : evaluate(row, parameters, context);
    }
    writer.check(values, context);
    const key: StoreKey = hasKey ? primaryKeyOf(table, values) : rowIdKey(context.allocateRowId());
    return { key, values };
  };
}
