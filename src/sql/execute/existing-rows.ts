/** Checks the rows that a table has against constraints that it is about to get. */
import { treeOf, type Value, VerityError } from '../../base/index.ts';
import type { Check, ForeignKey, TableSchema } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { Catalog, DefinitionContext } from '../contract.ts';
import { layoutOf } from '../schema/table-layout.ts';
import { compile } from './compile.ts';
import { compileReferring } from './foreign-keys.ts';

/** Constraints that rows were written without. */
export interface NewConstraints {
  /** Ordinals of columns that become NOT NULL. */
  readonly notNull: readonly number[];
  readonly checks: readonly Check[];
  readonly foreignKeys: readonly ForeignKey[];
}

const noParameters: readonly Value[] = [];

/**
 * Reads every row of `table`, as it will be. Throws NOT_NULL_VIOLATION, CHECK_VIOLATION or
 * FOREIGN_KEY_VIOLATION if one stands against a constraint.
 */
export function checkExistingRows(
  catalog: Catalog,
  table: TableSchema,
  constraints: NewConstraints,
  { view, execution }: DefinitionContext,
): void {
  const { notNull } = constraints;
  const checks = constraints.checks.map((check) => ({ check, holds: compile(check.expression) }));
  const references = constraints.foreignKeys.map((key) => compileReferring(catalog, table, key));
  if (notNull.length === 0 && checks.length === 0 && references.length === 0) return;
  const { codec } = layoutOf(table);
  const cursor = view.scan(treeOf(catalog.tenant, table.id), {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const values = codec.decode(entry.row);
    for (const ordinal of notNull)
      if (values[ordinal] === null) throw holdsNull(table, table.columns[ordinal]?.name ?? '');
    for (const { check, holds } of checks)
      if (holds(values, noParameters, execution) === false) throw violated(table, check.name);
    // Every other row is there already, whichever it refers to.
    for (const refers of references)
      refers(view, { removed: [], added: [{ key: entry.key, values }] });
  }
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
