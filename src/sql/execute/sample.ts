/** What a few reads tell of a table: how many rows there are, and how many values an index begins with. */
import { type ObjectId, type TenantId, type TreeId, treeOf } from '../../base/index.ts';
import { decodeKey, type Index, keyPrefixRange, type TableSchema } from '../../codec/index.ts';
import type { ReadView, StoreEntry } from '../../store/index.ts';
import type { TableStatistics } from '../plan/statistics.ts';
import { decodeIndexKey, layoutOf } from '../schema/table-layout.ts';
import { indexOrder, type KeyOrder, keyOrder } from './spans.ts';

/** Rows that are counted one by one. */
const rowsMax = 1_000;
/** What a table with more of them is taken for. */
const manyRows = 10_000;
/** Entries read one after the other, and values looked up, of an index. */
const entriesMax = 256;
const valuesMax = 64;

interface Keys {
  readonly tree: TreeId;
  readonly order: KeyOrder;
  readonly leading: (entry: StoreEntry) => unknown;
}

/** Samples a table of `view`; its indexes when they are asked for. Reads at most some hundred entries of each. */
export function sampleTable(view: ReadView, tenant: TenantId, table: TableSchema): TableStatistics {
  const counted = countEntries(view, treeOf(tenant, table.id), rowsMax);
  const more = counted === rowsMax;
  const rows = more ? manyRows : counted;
  const known = new Map<ObjectId, number | undefined>();
  const distinct = (object: ObjectId): number | undefined => {
    if (known.has(object)) return known.get(object);
    const keys = keysOf(tenant, table, object);
    const found = keys && Math.max(1, distinctLeading(view, keys, rows));
    known.set(object, found);
    return found;
  };
  return { rows, more, distinct };
}

function countEntries(view: ReadView, tree: TreeId, max: number): number {
  const cursor = view.scan(tree, {});
  let count = 0;
  while (count < max && cursor.next() !== undefined) count++;
  return count;
}

function keysOf(tenant: TenantId, table: TableSchema, object: ObjectId): Keys | undefined {
  const tree = treeOf(tenant, object);
  const { keyTypes } = layoutOf(table);
  if (object === table.id) {
    if (keyTypes.length === 0) return undefined;
    return { tree, order: keyOrder(table), leading: ({ key }) => decodeKey(keyTypes, key)[0] };
  }
  const index: Index | undefined = table.indexes.find(({ id }) => id === object);
  if (index === undefined) return undefined;
  const leading = ({ key }: StoreEntry): unknown => decodeIndexKey(table, index, key)[0];
  return { tree, order: indexOrder(table, index), leading };
}

/** Different leading values: of the first entries, or looked up one by one where these are all alike. */
function distinctLeading(view: ReadView, { tree, order, leading }: Keys, rows: number): number {
  const after = (entry: StoreEntry) => keyPrefixRange(order.encode([leading(entry) as null])).to;
  const cursor = view.scan(tree, {});
  let end = '';
  let values = 0;
  let entries = 0;
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    if (entries++ === entriesMax) break;
    if (entry.key < end) continue;
    values++;
    end = after(entry);
  }
  if (entries <= entriesMax) return values;
  const likely = (rows * values) / entriesMax;
  if (values > valuesMax / 8) return likely;
  let looked = 0;
  let next = view.scan(tree, {}).next();
  while (next !== undefined && looked < valuesMax) {
    looked++;
    next = view.scan(tree, { from: after(next) }).next();
  }
  return next === undefined ? looked : Math.max(likely, valuesMax);
}
