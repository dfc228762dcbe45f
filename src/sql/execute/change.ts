/** UPDATE and DELETE: all matching rows are collected before the first is changed. */
import type { StoreKey, Value } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import type { ReadView, StoreEntry } from '../../store/index.ts';
import type { BoundSelect } from '../bind/bound-query.ts';
import type { ParameterTypes } from '../bind/context.ts';
import type { Assignment, BoundDelete, BoundRows, BoundUpdate } from '../bind/write.ts';
import type { Catalog, ExecutionContext, PreparedWrite, RowChange } from '../contract.ts';
import { planAccess } from '../plan/access.ts';
import { indexesOf, layoutOf, primaryKeyOf } from '../schema/table-layout.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { compile, type Evaluate } from './compile.ts';
import { heldRowsOf } from './execution.ts';
import { compileForeignKeys, type RowsChange } from './foreign-keys.ts';
import { compileQuery } from './query.ts';
import { scopeOf } from './row-source.ts';
import { compileReturning } from './returning.ts';
import { compileOpen } from './rows.ts';
import { compileAll } from './source.ts';
import { blobsIn } from './stored-values.ts';
import { ChangeSize, checkChangeCount, checkUnique, type NewRow } from './uniqueness.ts';

interface Match {
  readonly entry: StoreEntry;
  readonly values: readonly Value[];
  /** The row and those that FROM or USING joined to it; without them the row alone. */
  readonly joined: readonly Value[];
}

type Collect = (view: ReadView, parameters: readonly Value[], context: ExecutionContext) => Match[];

function compileCollect(
  { table, where, joined }: BoundRows,
  catalog: Catalog,
  parameters: ParameterTypes,
): Collect {
  if (joined !== undefined) return compileJoined(table, joined, catalog, parameters);
  const access = planAccess(table, where, { statistics: catalog.statistics });
  const open = compileOpen(catalog, table, access.path, false);
  const rest = compileAll(access.rest);
  const { codec } = layoutOf(table);
  return (view, parameters, context) => {
    const matches: Match[] = [];
    const held = heldRowsOf(context);
    const cursor = open(view, parameters, context);
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const values = codec.decode(entry.row);
      if (rest !== undefined && !rest(values, parameters, context)) continue;
      held.countHeld(values);
      matches.push({ entry, values, joined: values });
      checkChangeCount(matches.length, table);
    }
    return matches;
  };
}

/** Each row once, however many rows of the others it meets: the first of them counts, as in PostgreSQL. */
function compileJoined(
  table: TableSchema,
  query: BoundSelect,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): Collect {
  const open = compileQuery(query, scopeOf(catalog, parameterTypes));
  const width = table.columns.length;
  return (view, parameters, context) => {
    const matches = new Map<StoreKey, Match>();
    const held = heldRowsOf(context);
    const rows = open(view, parameters, context);
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      const entry = row[width] as unknown as StoreEntry;
      if (matches.has(entry.key)) continue;
      held.countHeld(row);
      matches.set(entry.key, { entry, values: row.slice(0, width), joined: row });
      checkChangeCount(matches.size, table);
    }
    return [...matches.values()];
  };
}

/** The row with what was joined to it, for RETURNING. */
const returned = (values: readonly Value[], joined: readonly Value[]): readonly Value[] =>
  joined.length === values.length ? values : [...values, ...joined.slice(values.length)];

/** The number of columns of the rows that RETURNING is over. */
const returnedWidth = ({ table, joined }: BoundRows): number =>
  joined === undefined ? table.columns.length : joined.outputs.length;

export function compileDelete(
  bound: BoundDelete,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): PreparedWrite['run'] {
  const { table } = bound;
  const collect = compileCollect(bound, catalog, parameterTypes);
  const returning = compileReturning(bound.returning, returnedWidth(bound));
  const checkForeignKeys = compileForeignKeys(catalog, table, 'delete');
  return (view, parameters, context) => {
    const matches = collect(view, parameters, context);
    checkForeignKeys?.(view, { removed: matches.map(rowBefore), added: [] });
    const changes = matches.map(({ entry }): RowChange => deletion(table, entry));
    const gone = matches.map(({ joined }) => ({ values: joined }));
    return { changes, rowCount: matches.length, rows: returning(gone, parameters, context) };
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

export function compileUpdate(
  bound: BoundUpdate,
  catalog: Catalog,
  parameterTypes: ParameterTypes,
): PreparedWrite['run'] {
  const { table } = bound;
  const writer = tableWriterOf(table);
  const collect = compileCollect(bound, catalog, parameterTypes);
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
  const returning = compileReturning(bound.returning, returnedWidth(bound));
  return (view, parameters, context) => {
    const matches = collect(view, parameters, context);
    const size = new ChangeSize(table);
    const updated = matches.map(({ entry, values: before, joined }): Updated => {
      const values = before.slice();
      for (const { ordinal, evaluate } of assignments) {
        values[ordinal] = evaluate === undefined ? null : evaluate(joined, parameters, context);
      }
      for (const ordinal of dropped) values[ordinal] = null;
      writer.check(values, context);
      const key = movesKey ? primaryKeyOf(table, values) : entry.key;
      return size.counted({ entry, before, values, key });
    });
    if (touchesUnique) {
      const removed = new Set<StoreKey>(updated.map(({ entry }) => entry.key));
      checkUnique(catalog, table, view, { removed, added: updated });
    }
    checkForeignKeys?.(view, { removed: updated.map(rowReplaced), added: updated });
    const changes = changesOf(table, updated, (values, key) => writer.encode(values, key));
    const rows =
      bound.joined === undefined
        ? updated
        : updated.map(({ values }, at) => ({
            values: returned(values, (matches[at] as Match).joined),
          }));
    return { changes, rowCount: updated.length, rows: returning(rows, parameters, context) };
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
    const blobs = blobsIn(values);
    if (key === entry.key) {
      changes.push({ kind: 'update', table, key, row, blobs, previous: entry });
    } else {
      deletions.push(deletion(table, entry));
      changes.push({ kind: 'insert', table, key, row, blobs, previous: undefined });
    }
  }
  return deletions.length === 0 ? changes : [...deletions, ...changes];
}
