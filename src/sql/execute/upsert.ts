/** INSERT … ON CONFLICT: rows whose key is taken are left out, or change the row that has it. */
import { type StoreKey, treeOf, type Value, VerityError } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { BoundConflict } from '../bind/insert.ts';
import type { Catalog, ExecutionContext, PreparedWrite } from '../contract.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { indexKey, layoutOf, primaryKeyOf } from '../schema/table-layout.ts';
import { tableWriterOf } from '../schema/table-writer.ts';
import { changesOf, compileAssignment, rowReplaced, type Updated } from './change.ts';
import { compileCondition } from './compile.ts';
import { heldRowsOf } from './execution.ts';
import { compileForeignKeys } from './foreign-keys.ts';
import type { ProposeRows } from './new-rows.ts';
import type { Returning } from './returning.ts';
import { blobsIn } from './stored-values.ts';
import { ChangeSize, checkUnique, type NewRow } from './uniqueness.ts';

interface Upsert {
  readonly table: TableSchema;
  readonly conflict: BoundConflict;
  readonly propose: ProposeRows;
  readonly returning: Returning;
}

/** What an INSERT has made of the table so far: rows in the order in which they were proposed. */
interface Progress {
  readonly added: NewRow[];
  readonly updated: Updated[];
  readonly results: NewRow[];
}

/** Changes the row with a taken key; undefined if the condition keeps it as it is. */
type Resolve = (
  view: ReadView,
  taken: { readonly owner: StoreKey; readonly proposed: NewRow },
  parameters: readonly Value[],
  context: ExecutionContext,
) => Updated | undefined;

export function compileUpsert(upsert: Upsert, catalog: Catalog): PreparedWrite['run'] {
  const { table, conflict, propose, returning } = upsert;
  const writer = tableWriterOf(table);
  const resolve = conflict.update && compileResolve(table, conflict.update, catalog);
  const assigned = conflict.update?.assignments.map(({ ordinal }) => ordinal) ?? [];
  const foreignKeys = [
    compileForeignKeys(catalog, table, 'insert'),
    compileForeignKeys(catalog, table, assigned),
  ];
  return (view, parameters, context) => {
    const keys = new ArbiterKeys(catalog, table, conflict.arbiters, view);
    const { added, updated, results }: Progress = { added: [], updated: [], results: [] };
    const size = new ChangeSize(table);
    const held = heldRowsOf(context);
    for (const proposed of propose(view, parameters, context)) {
      const owner = keys.ownerOf(proposed);
      if (owner === undefined) {
        keys.take(proposed);
        added.push(proposed);
        results.push(proposed);
      } else if (resolve !== undefined) {
        if (keys.touched.has(owner)) throw changedTwice(table);
        const row = resolve(view, { owner, proposed }, parameters, context);
        if (row === undefined) continue;
        held.countHeld(row.before);
        keys.leave({ key: owner, values: row.before });
        keys.take(row);
        keys.touched.add(owner);
        updated.push(size.counted(row));
        results.push(row);
      }
    }
    const removed = new Set(updated.map(({ entry }) => entry.key));
    checkUnique(catalog, table, view, { removed, added: results });
    const change = { removed: updated.map(rowReplaced), added: results };
    for (const check of foreignKeys) check?.(view, change);
    const changes = changesOf(table, updated, (values, key) => writer.encode(values, key));
    for (const { key, values } of added) {
      const row = writer.encode(values, key);
      changes.push({
        kind: 'insert',
        table,
        key,
        row,
        blobs: blobsIn(values),
        previous: undefined,
      });
    }
    return { changes, rowCount: results.length, rows: returning(results, parameters, context) };
  };
}

function compileResolve(
  table: TableSchema,
  { assignments, where }: NonNullable<BoundConflict['update']>,
  catalog: Catalog,
): Resolve {
  const writer = tableWriterOf(table);
  const { codec } = layoutOf(table);
  const tree = treeOf(catalog.tenant, table.id);
  const compiled = assignments.map((each) => compileAssignment(each, writer.defaults));
  const condition = where && compileCondition(where);
  const movesKey = assignments.some(({ ordinal }) => table.primaryKey.includes(ordinal));
  return (view, { owner, proposed }, parameters, context) => {
    const stored = view.get(tree, owner);
    if (stored === undefined) return undefined;
    const before = codec.decode(stored.row);
    const both = [...before, ...proposed.values];
    if (condition !== undefined && !condition(both, parameters, context)) return undefined;
    const values = before.slice();
    for (const { ordinal, evaluate } of compiled)
      values[ordinal] = evaluate === undefined ? null : evaluate(both, parameters, context);
    table.columns.forEach(({ dropped }, ordinal) => {
      if (dropped === true) values[ordinal] = null;
    });
    writer.check(values, context);
    const { row, from, leaf } = stored;
    return {
      entry: { key: owner, row, from, leaf },
      before,
      values,
      key: movesKey ? primaryKeyOf(table, values) : owner,
    };
  };
}

/** Who has which of the keys that ON CONFLICT is about, with what the statement has changed so far. */
class ArbiterKeys {
  /** Rows of the statement's own making. */
  readonly touched = new Set<StoreKey>();
  readonly #catalog: Catalog;
  readonly #table: TableSchema;
  readonly #arbiters: BoundConflict['arbiters'];
  readonly #view: ReadView;
  /** For each arbiter its changed keys; undefined: left by its row. */
  readonly #changed: readonly Map<StoreKey, StoreKey | undefined>[];

  constructor(
    catalog: Catalog,
    table: TableSchema,
    arbiters: BoundConflict['arbiters'],
    view: ReadView,
  ) {
    this.#catalog = catalog;
    this.#table = table;
    this.#arbiters = arbiters;
    this.#view = view;
    this.#changed = arbiters.map(() => new Map());
  }

  /** The row that has one of the keys of a proposed row. */
  ownerOf(row: NewRow): StoreKey | undefined {
    for (let place = 0; place < this.#arbiters.length; place++) {
      const arbiter = this.#arbiters[place] as Index | 'primaryKey';
      const key = this.#keyOf(arbiter, row);
      const changed = this.#changed[place] as Map<StoreKey, StoreKey | undefined>;
      const owner = changed.has(key) ? changed.get(key) : this.#stored(arbiter, key);
      if (owner !== undefined) return owner;
    }
    return undefined;
  }

  take(row: NewRow): void {
    this.touched.add(row.key);
    this.#arbiters.forEach((arbiter, place) =>
      this.#changed[place]?.set(this.#keyOf(arbiter, row), row.key),
    );
  }

  leave(row: NewRow): void {
    this.#arbiters.forEach((arbiter, place) =>
      this.#changed[place]?.set(this.#keyOf(arbiter, row), undefined),
    );
  }

  #keyOf(arbiter: Index | 'primaryKey', { key, values }: NewRow): StoreKey {
    return arbiter === 'primaryKey' ? key : indexKey(this.#table, arbiter, values, key);
  }

  #stored(arbiter: Index | 'primaryKey', key: StoreKey): StoreKey | undefined {
    const object = arbiter === 'primaryKey' ? this.#table.id : arbiter.id;
    const entry = this.#view.get(treeOf(this.#catalog.tenant, object), key);
    if (entry === undefined) return undefined;
    return arbiter === 'primaryKey' ? key : keyOfBytes(entry.row);
  }
}

const changedTwice = (table: TableSchema): VerityError =>
  new VerityError(
    'CARDINALITY_VIOLATION',
    `ON CONFLICT DO UPDATE would change a row of table "${table.name}" twice; propose each key once.`,
    { details: { table: table.name } },
  );
