/** UPDATE and DELETE: all matching rows are collected before the first is changed. */
import type { StoreKey, Value } from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { ReadView, StoreEntry } from '../../store/index.ts';
import type { Assignment, BoundDelete, BoundUpdate } from '../bind/write.ts';
import type { Catalog, ExecutionContext, PreparedWrite, RowChange } from '../contract.ts';
import { planAccess } from '../plan/access.ts';
import { indexesOf, layoutOf, primaryKeyOf } from '../schema/table-layout.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { compile, type Evaluate } from './compile.ts';
import { compileForeignKeys, type RowsChange } from './foreign-keys.ts';
import { compileReturning } from './returning.ts';
import { compileOpen } from './rows.ts';
import { compileAll } from './source.ts';
import { checkChangeCount, checkUnique, type NewRow } from './uniqueness.ts';

interface Match {
  readonly entry: StoreEntry;
  readonly values: Value[];
}

type Collect = (view: ReadView, parameters: readonly Value[], context: ExecutionContext) => Match[];

function compileCollect(
  table: TableSchema,
  where: Expression | undefined,
  catalog: Catalog,
): Collect {
  const access = planAccess(table, where);
  const open = compileOpen(catalog, table, access.path, false);
  const rest = compileAll(access.rest);
  const { codec } = layoutOf(table);
  return (view, parameters, context) => {
    const matches: Match[] = [];
    const cursor = open(view, parameters, context);
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const values = codec.decode(entry.row);
      if (rest !== undefined && !rest(values, parameters, context)) continue;
      matches.push({ entry, values });
      checkChangeCount(matches.length, table);
    }
    return matches;
  };
}

export function compileDelete(bound: BoundDelete, catalog: Catalog): PreparedWrite['run'] {
  const { table } = bound;
  const collect = compileCollect(table, bound.where, catalog);
  const returning = compileReturning(bound.returning, table.columns.length);
  const checkForeignKeys = compileForeignKeys(catalog, table, 'delete');
  return (view, parameters, context) => {
    const matches = collect(view, parameters, context);
    checkForeignKeys?.(view, { removed: matches.map(rowBefore), added: [] });
    const changes = matches.map(({ entry }): RowChange => deletion(table, entry));
    return { changes, rowCount: matches.length, rows: returning(matches, parameters, context) };
  };
}

const rowBefore = ({ entry, values }: Match): RowsChange['removed'][number] => ({
  key: entry.key,
  values,
});

const deletion = (table: TableSchema, entry: StoreEntry): RowChange => ({
  kind: 'delete',
  table,
  key: entry.key,
  row: undefined,
  previous: entry,
});

interface CompiledAssignment {
  readonly ordinal: number;
  readonly evaluate: Evaluate | undefined;
}

/** A row as an update leaves it. */
export interface Updated extends NewRow {
  readonly entry: StoreEntry;
  readonly before: readonly Value[];
}

export function compileUpdate(bound: BoundUpdate, catalog: Catalog): PreparedWrite['run'] {
  const { table } = bound;
  const writer = tableWriterOf(table);
  const collect = compileCollect(table, bound.where, catalog);
  const assignments = bound.assignments.map((assignment) =>
    compileAssignment(assignment, writer.defaults),
  );
  const movesKey = bound.assignments.some(({ ordinal }) => table.primaryKey.includes(ordinal));
  const touchesUnique =
    movesKey ||
    indexesOf(table).some(
      (index) =>
        index.unique && bound.assignments.some(({ ordinal }) => index.columns.includes(ordinal)),
    );
  const dropped = table.columns.flatMap((column, ordinal) =>
    column.dropped === true ? [ordinal] : [],
  );
  const assigned = bound.assignments.map(({ ordinal }) => ordinal);
  const checkForeignKeys = compileForeignKeys(catalog, table, assigned);
  const returning = compileReturning(bound.returning, table.columns.length);
  return (view, parameters, context) => {
    const updated = collect(view, parameters, context).map(({ entry, values: before }): Updated => {
      const values = before.slice();
      for (const { ordinal, evaluate } of assignments) {
        values[ordinal] = evaluate === undefined ? null : evaluate(before, parameters, context);
      }
      for (const ordinal of dropped) values[ordinal] = null;
      writer.check(values, context);
      const key = movesKey ? primaryKeyOf(table, values) : entry.key;
      return { entry, before, values, key };
    });
    if (touchesUnique) {
      const removed = new Set<StoreKey>(updated.map(({ entry }) => entry.key));
      checkUnique(catalog, table, view, { removed, added: updated });
    }
    checkForeignKeys?.(view, { removed: updated.map(rowReplaced), added: updated });
    const changes = changesOf(table, updated, (values, key) => writer.encode(values, key));
    return { changes, rowCount: updated.length, rows: returning(updated, parameters, context) };
  };
}

export const rowReplaced = ({ entry, before, values }: Updated): RowsChange['removed'][number] => ({
  key: entry.key,
  values: before,
  after: values,
});

/** An assignment of SET; undefined: NULL. */
export function compileAssignment(
  assignment: Assignment,
  defaults: readonly (Evaluate | undefined)[],
): CompiledAssignment {
  const { ordinal, value } = assignment;
  return { ordinal, evaluate: value === undefined ? defaults[ordinal] : compile(value) };
}

/** A moved row is a deletion and an insertion. All deletions come first: another row may move to a key that one leaves. */
export function changesOf(
  table: TableSchema,
  updated: readonly Updated[],
  encode: (values: readonly Value[], key: StoreKey) => Uint8Array,
): RowChange[] {
  const deletions: RowChange[] = [];
  const changes: RowChange[] = [];
  for (const { entry, key, values } of updated) {
    const row = encode(values, key);
    if (key === entry.key) {
      changes.push({ kind: 'update', table, key, row, previous: entry });
    } else {
      deletions.push(deletion(table, entry));
      changes.push({ kind: 'insert', table, key, row, previous: undefined });
    }
  }
  return deletions.length === 0 ? changes : [...deletions, ...changes];
}
