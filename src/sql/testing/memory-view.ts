/** A ReadView over sorted arrays and a one-tenant catalog, for tests: statements run and are applied at once. */
import {
  type LeafIndex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  type TreeId,
  treeOf,
  type Value,
} from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import type { Cursor, KeyRange, ReadView, StoredRow, StoreEntry } from '../../store/index.ts';
import type {
  Catalog,
  ExecutionContext,
  PreparedDefinition,
  ResultColumn,
  RowChange,
} from '../contract.ts';
import { parseScript } from '../parse/script.ts';
import { bindParameters, prepare } from '../prepare.ts';
import { catalogFrom } from '../schema/catalog.ts';
import { bytesOfKey, keyOfBytes } from '../schema/key-bytes.ts';
import { indexKey, tableRowCodec } from '../schema/table-layout.ts';

class MemoryView implements ReadView {
  readonly #trees = new Map<TreeId, StoreEntry[]>();
  /** Every call, for tests of access paths. */
  readonly calls: string[] = [];

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    this.calls.push('get');
    const entries = this.#trees.get(tree) ?? [];
    const entry = entries[lowerBound(entries, key)];
    return entry?.key === key ? entry : undefined;
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    this.calls.push(range.from === undefined && range.to === undefined ? 'scan all' : 'scan range');
    const entries = this.#trees.get(tree) ?? [];
    const start = range.from === undefined ? 0 : lowerBound(entries, range.from);
    const end = range.to === undefined ? entries.length : lowerBound(entries, range.to);
    const slice = entries.slice(start, Math.max(start, end));
    if (range.reverse === true) slice.reverse();
    let index = 0;
    return {
      next: () => {
        this.calls.push('next');
        return slice[index++];
      },
    };
  }

  put(tree: TreeId, key: StoreKey, row: Uint8Array): void {
    const entries = this.#trees.get(tree) ?? [];
    this.#trees.set(tree, entries);
    const index = lowerBound(entries, key);
    entries.splice(index, entries[index]?.key === key ? 1 : 0, {
      key,
      row,
      from: 1 as Position,
      leaf: 0 as LeafIndex,
    });
  }

  remove(tree: TreeId, key: StoreKey): void {
    const entries = this.#trees.get(tree) ?? [];
    const index = lowerBound(entries, key);
    if (entries[index]?.key === key) entries.splice(index, 1);
  }
}

function lowerBound(entries: readonly StoreEntry[], key: StoreKey): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((entries[middle] as StoreEntry).key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface Outcome {
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Value[])[];
  readonly rowCount: number;
  readonly changes: readonly RowChange[];
}

export class MemoryDatabase {
  readonly view = new MemoryView();
  readonly tables = new Map<string, TableSchema>();
  readonly catalog: Catalog = catalogFrom(1 as TenantId, {
    relation: (name) => this.tables.get(name),
    relations: () => [...this.tables.values()],
  });
  #lastObject = 0;
  #lastRow = 0;
  readonly context: ExecutionContext = {
    time: 1_700_000_000_123_456 as TimestampMicros,
    allocateRowId: () => ++this.#lastRow,
  };

  /** Runs every statement of a script; the last one's outcome. Parameters go to each statement. */
  run(text: string, parameters: readonly unknown[] = []): Outcome {
    let outcome: Outcome = { columns: [], rows: [], rowCount: 0, changes: [] };
    for (const statement of parseScript(text)) {
      const prepared = prepare(statement, this.catalog);
      if (prepared.kind === 'definition') {
        this.#define(prepared);
        outcome = { columns: [], rows: [], rowCount: 0, changes: [] };
        continue;
      }
      const values = bindParameters(prepared.parameterTypes, parameters);
      if (prepared.kind === 'query') {
        const rows = [];
        const iterator = prepared.run(this.view, values, this.context);
        for (let next = iterator.next(); next.done !== true; next = iterator.next())
          rows.push(next.value);
        outcome = { columns: prepared.columns, rows, rowCount: rows.length, changes: [] };
      } else {
        const { changes, rowCount, rows } = prepared.run(this.view, values, this.context);
        for (const change of changes) this.apply(change);
        outcome = { columns: prepared.columns, rows, rowCount, changes };
      }
    }
    return outcome;
  }

  #define(prepared: PreparedDefinition): void {
    const tables = prepared.define({
      view: this.view,
      execution: this.context,
      allocateObject: () => ++this.#lastObject as ObjectId,
    });
    for (const table of tables) {
      for (const [name, { id }] of this.tables) if (id === table.id) this.tables.delete(name);
      if (table.dropped !== true) this.tables.set(table.name, this.#built(table));
    }
  }

  /** Makes the indexes that are to be built, at once. */
  #built({ building = [], ...table }: TableSchema): TableSchema {
    const codec = tableRowCodec(table);
    const rows = this.view.scan(treeOf(this.catalog.tenant, table.id), {});
    for (let entry = rows.next(); entry !== undefined; entry = rows.next()) {
      for (const index of building) {
        const key = indexKey(table, index, codec.decode(entry.row), entry.key);
        this.view.put(treeOf(this.catalog.tenant, index.id), key, bytesOfKey(entry.key));
      }
    }
    return { ...table, indexes: [...table.indexes, ...building] };
  }

  /** Applies one change to the table's tree and its indexes, as the kernel does: in order, one event at a time. */
  apply(change: RowChange): void {
    const { table, key, row, previous } = change;
    const codec = tableRowCodec(table);
    const tree = treeOf(this.catalog.tenant, table.id);
    const before = previous && codec.decode(previous.row);
    const after = row && codec.decode(row);
    for (const index of table.indexes) {
      const indexTree = treeOf(this.catalog.tenant, index.id);
      if (before !== undefined) {
        const oldKey = indexKey(table, index, before, key);
        const entry = this.view.get(indexTree, oldKey);
        // Another row of the same command may have taken the entry over.
        if (entry !== undefined && keyOfBytes(entry.row) === key)
          this.view.remove(indexTree, oldKey);
      }
      if (after !== undefined)
        this.view.put(indexTree, indexKey(table, index, after, key), bytesOfKey(key));
    }
    if (row === undefined) this.view.remove(tree, key);
    else this.view.put(tree, key, row);
  }
}
