import { assert, type LeafIndex, type StoreKey, type TreeId, treeOf } from '../base/index.ts';
import {
  type CommandMetadata,
  type IndexFilledEvent,
  type LogEvent,
  type RowEvent,
  type TableSchema,
  Writer,
} from '../codec/index.ts';
import {
  bytesOfKey,
  indexedValues,
  indexesOf,
  indexKey,
  keyOfBytes,
  tableRowCodec,
} from '../sql/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import { blobChanges } from './blobs.ts';
import {
  buildingKey,
  buildingTree,
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
import { checkpointChanges } from './checkpoints.ts';
import { settingChanges } from './settings.ts';
import { signingKeyChanges } from './signing-keys.ts';
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
      const changes = rowChanges(event, table, leaf, view);
      return event.blobs === undefined ? changes : [...changes, ...blobChanges(event, leaf, view)];
    }
    case 'tenantCreated': {
      const id = new Writer(4);
      id.u32(event.created);
      return [{ tree: tenantsTree, key: nameKey(event.name), row: id.finish(), leaf }];
    }
    case 'tableDefined':
      return definitionChanges(event, leaf, view);
    case 'indexFilled':
      return indexFillChanges(event, leaf, view);
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
    case 'checkpoint':
      return checkpointChanges(event, leaf);
    case 'settingChanged':
      return settingChanges(event, leaf);
    case 'signingKeyChanged':
      return signingKeyChanges(event, leaf);
    case 'subjectPage':
      return subjectPageChanges(event, leaf);
  }
}

function definitionChanges(
  { tenant, object, schema }: Extract<LogEvent, { type: 'tableDefined' }>,
  leaf: LeafIndex,
  view: ReadView,
): StoreChange[] {
  const before = tableById(view, tenant, object);
  const after = schemaOf(schema);
  const tree = treeOf(tenant, catalogObject);
  const changes: StoreChange[] = [
    { tree: treeOf(tenant, tablesObject), key: objectKey(object), row: schema, leaf },
    { tree: treeOf(tenant, definitionsObject), key: singleKey, row: nothing, leaf },
  ];
  const name = after.dropped === true ? undefined : after.name;
  if (before !== undefined && before.name !== name)
    changes.push({ tree, key: nameKey(before.name), row: undefined, leaf });
  if (name !== undefined) changes.push({ tree, key: nameKey(name), row: schema, leaf });
  const isBuilding = after.building !== undefined;
  if (isBuilding !== (before?.building !== undefined)) {
    const row = isBuilding ? nothing : undefined;
    changes.push({ tree: buildingTree, key: buildingKey(tenant, object), row, leaf });
  }
  return changes;
}

function indexFillChanges(
  { tenant, object, index: id, from, to }: IndexFilledEvent,
  leaf: LeafIndex,
  view: ReadView,
): StoreChange[] {
  const table = tableById(view, tenant, object);
  const index = table && indexesOf(table).find((each) => each.id === id);
  if (table === undefined || index === undefined) return [];
  const codec = tableRowCodec(table);
  const tree = treeOf(tenant, id);
  const changes: StoreChange[] = [];
  const cursor = view.scan(treeOf(tenant, object), {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  });
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const key = indexKey(table, index, codec.decode(entry.row), entry.key);
    // Rows written since the index was defined are in it already.
    if (view.get(tree, key) === undefined)
      changes.push({ tree, key, row: bytesOfKey(entry.key), leaf });
  }
  return changes;
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
  const indexes = indexesOf(table);
  if (indexes.length === 0) return [change];
  const changes = [change];
  const before = event.type === 'rowInserted' ? undefined : view.get(tree, event.key);
  const oldValues = before === undefined ? undefined : indexedValues(table, before.row);
  const newValues = event.row === undefined ? undefined : indexedValues(table, event.row);
  for (const index of indexes) {
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
