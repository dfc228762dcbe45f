/** Checks the rows that a table has against constraints that it is about to get. */
import { treeOf, type Value, VerityError } from '../../base/index.ts';
import type { Check, Column, ForeignKey, TableSchema } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { Catalog, DefinitionContext } from '../contract.ts';
import { layoutOf } from '../schema/table-layout.ts';
import { coerceToColumn } from '../types/index.ts';
import { compile } from './compile.ts';
import { Execution } from './execution.ts';
import { compileReferring } from './foreign-keys.ts';

/** Constraints that rows were written without. */
export interface NewConstraints {
  /** Ordinals of columns that become NOT NULL. */
  readonly notNull: readonly number[];
  /** Ordinals of columns whose values must fit their type as it will be. */
  readonly types: readonly number[];
  readonly checks: readonly Check[];
  readonly foreignKeys: readonly ForeignKey[];
}

const noParameters: readonly Value[] = [];

/**
 * Reads every row of `table`, as it will be. Throws NOT_NULL_VIOLATION, CHECK_VIOLATION or
 * FOREIGN_KEY_VIOLATION if one stands against a constraint, QUERY_TOO_LARGE for more rows than a query may read.
 */
export function checkExistingRows(
  catalog: Catalog,
  table: TableSchema,
  constraints: NewConstraints,
  { view, execution }: DefinitionContext,
): void {
  const { notNull, types } = constraints;
  const checks = constraints.checks.map((check) => ({ check, holds: compile(check.expression) }));
  const references = constraints.foreignKeys.map((key) => compileReferring(catalog, table, key));
  const duties = [notNull, types, checks, references];
  if (duties.every((each) => each.length === 0)) return;
  const budget = new Execution(view, execution);
  const { codec } = layoutOf(table);
  const cursor = view.scan(treeOf(catalog.tenant, table.id), {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    budget.countRead();
    const values = codec.decode(entry.row);
    for (const ordinal of types)
      checkFits(table, table.columns[ordinal] as Column, values[ordinal]);
    for (const ordinal of notNull)
      if (values[ordinal] === null) throw holdsNull(table, table.columns[ordinal]?.name ?? '');
    for (const { check, holds } of checks)
      if (holds(values, noParameters, execution) === false) throw violated(table, check.name);
    // Every other row is there already, whichever it refers to.
    for (const refers of references)
      refers(view, { removed: [], added: [{ key: entry.key, values }] });
  }
}

/** Throws STRING_TOO_LONG, NUMERIC_OUT_OF_RANGE, and UNSUPPORTED_SQL for a value that would have to be rounded. */
function checkFits(table: TableSchema, { name, type }: Column, value: Value | undefined): void {
  if (value === undefined || value === null || coerceToColumn(type, value) === value) return;
  throw new VerityError(
    'UNSUPPORTED_SQL',
    `Values of column "${name}" of table "${table.name}" would have to be changed to fit its new type; UPDATE them first.`,
    { details: { table: table.name, column: name } },
  );
}

const holdsNull = (table: TableSchema, column: string): VerityError =>
  new VerityError(
    'NOT_NULL_VIOLATION',
    `Column "${column}" of table "${table.name}" holds NULL in rows that are there; give them a value first, or add the column with a DEFAULT.`,
    { details: { table: table.name, column } },
  );

const violated = (table: TableSchema, constraint: string): VerityError =>
  new VerityError(
    'CHECK_VIOLATION',
    `Rows of table "${table.name}" do not meet CHECK constraint "${constraint}"; change them first.`,
    { details: { table: table.name, constraint } },
  );

export function hasAnyRow(catalog: Catalog, table: TableSchema, view: ReadView): boolean {
  return view.scan(treeOf(catalog.tenant, table.id), {}).next() !== undefined;
}
