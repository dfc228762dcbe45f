import {
  assert,
  type LeafIndex,
  type ObjectId,
  type StoreKey,
  type TenantId,
  type TreeId,
  treeOf,
} from '../base/index.ts';
import {
  type CommandMetadata,
  type LogEvent,
  type RowEvent,
  type TableSchema,
  Writer,
} from '../codec/index.ts';
import { bytesOfKey, indexKey, keyOfBytes, tableRowCodec } from '../sql/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import {
  catalogObject,
  definitionsObject,
  encodeSegmentRecord,
  keyringTree,
  nameKey,
  objectKey,
  schemaOf,
  segmentKey,
  segmentsTree,
  singleKey,
  streamKey,
  streamsObject,
  tableById,
  tablesObject,
  tenantsTree,
} from './objects.ts';
import { encodeStreamRow } from './stream-row.ts';
import { subjectPageChanges } from './subject-pages.ts';

const nothing = new Uint8Array();

/**
 * What an event of `command` changes in the store, given the state before it. Pure and total: every event that was
 * ever logged evolves, without SQL, clock or randomness.
 */
export function changesOf(
  event: LogEvent,
  leaf: LeafIndex,
  view: ReadView,
  command: CommandMetadata,
): StoreChange[] {
  switch (event.type) {
    case 'rowInserted':
    case 'rowUpdated':
    case 'rowDeleted': {
      const table = tableById(view, event.tenant, event.object);
      assert(table !== undefined, 'a row event names a table that was defined before');
      return rowChanges(event, table, leaf, view);
    }
    case 'tenantCreated': {
      const id = new Writer(4);
      id.u32(event.created);
      return [{ tree: tenantsTree, key: nameKey(event.name), row: id.finish(), leaf }];
    }
    case 'tableDefined':
      return definitionChanges(event.tenant, event.object, event.schema, leaf);
    case 'streamAppended':
      return [
        {
          tree: treeOf(event.tenant, streamsObject),
          key: streamKey(event.name, event.version),
          row: encodeStreamRow(command, event.data),
          leaf,
        },
      ];
    case 'keyringChanged': {
      const row = new Writer(48);
      row.u64(event.generation);
      row.raw(event.digest);
      return [{ tree: keyringTree, key: singleKey, row: row.finish(), leaf }];
    }
    case 'segmentDigest':
      return [
        {
          tree: segmentsTree,
          key: segmentKey(event.segment),
          row: encodeSegmentRecord(event),
          leaf,
        },
      ];
    case 'requestNoted':
      return [];
    case 'subjectPage':
      return subjectPageChanges(event, leaf);
  }
}

function definitionChanges(
  tenant: TenantId,
  object: ObjectId,
  schema: Uint8Array,
  leaf: LeafIndex,
): StoreChange[] {
  const name = schemaOf(schema).name;
  return [
    { tree: treeOf(tenant, catalogObject), key: nameKey(name), row: schema, leaf },
    { tree: treeOf(tenant, tablesObject), key: objectKey(object), row: schema, leaf },
    { tree: treeOf(tenant, definitionsObject), key: singleKey, row: nothing, leaf },
  ];
}

export type RowChangeEvent = Pick<RowEvent, 'type' | 'tenant' | 'key' | 'row'>;

/** A row's change and the changes of its index entries. */
export function rowChanges(
  event: RowChangeEvent,
  table: TableSchema,
  leaf: LeafIndex,
  view: ReadView,
): StoreChange[] {
  const tree = treeOf(event.tenant, table.id);
  const change: StoreChange = { tree, key: event.key, row: event.row, leaf };
  if (table.indexes.length === 0) return [change];
  const changes = [change];
  const codec = tableRowCodec(table);
  const before = event.type === 'rowInserted' ? undefined : view.get(tree, event.key);
  const oldValues = before === undefined ? undefined : codec.decode(before.row);
  const newValues = event.row === undefined ? undefined : codec.decode(event.row);
  for (const index of table.indexes) {
    const indexTree = treeOf(event.tenant, index.id);
    const oldKey =
      oldValues === undefined ? undefined : indexKey(table, index, oldValues, event.key);
    const newKey =
      newValues === undefined ? undefined : indexKey(table, index, newValues, event.key);
    if (oldKey === newKey) continue;
    // Another row of the same command may have taken the old entry over already.
    if (oldKey !== undefined && pointsTo(view, indexTree, oldKey, event.key)) {
      changes.push({ tree: indexTree, key: oldKey, row: undefined, leaf });
    }
    if (newKey !== undefined)
      changes.push({ tree: indexTree, key: newKey, row: bytesOfKey(event.key), leaf });
  }
  return changes;
}

function pointsTo(view: ReadView, tree: TreeId, key: StoreKey, target: StoreKey): boolean {
  const entry = view.get(tree, key);
  return entry !== undefined && keyOfBytes(entry.row) === target;
}
