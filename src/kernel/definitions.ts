/** Definitions as events, and the bounded steps in which an index is made of the rows that were there before it. */
import { type ObjectId, type StoreKey, type TenantId, treeOf, VerityError } from '../base/index.ts';
import type { Index, LogEvent, TableSchema } from '../codec/index.ts';
import {
  type ExecutionContext,
  indexKey,
  keyOfBytes,
  type PreparedDefinition,
  tableRowCodec,
} from '../sql/index.ts';
import type { ReadView, Store } from '../store/index.ts';
import { encodeSchema, objectKey, schemaOf, tableById, tablesObject } from './objects.ts';
import type { KernelState } from './state.ts';

/** What a step of building an index may read: about a millisecond's work. */
const stepRowsMax = 256;
const stepBytesMax = 256 << 10;

type Body<T> = Omit<Extract<LogEvent, { type: T }>, 'position' | 'tenant' | 'command'>;
/** An event without its place. */
export type DefinitionEvent = Body<'tableDefined'> | Body<'indexFilled'>;

/** An index of a table that is, or was, being built. */
export interface BuildPlace {
  readonly tenant: TenantId;
  readonly table: ObjectId;
  readonly index: ObjectId;
}

/**
 * The events of a definition. An index on few rows is made whole at once; on more rows it is left to be built.
 * Throws what `define` throws, and UNIQUE_VIOLATION.
 */
export function definitionEvents(
  state: KernelState,
  tenant: TenantId,
  prepared: PreparedDefinition,
  execution: ExecutionContext,
): { readonly events: DefinitionEvent[]; readonly building: BuildPlace[] } {
  const view = state.overlay;
  const tables = prepared.define({
    view,
    execution,
    allocateObject: () => state.allocateObject(tenant),
  });
  const building: BuildPlace[] = [];
  const events = tables.flatMap((table) => {
    const before = tableById(view, tenant, table.id);
    const whole: Index[] = [];
    for (const index of table.building ?? []) {
      if (before?.building?.some(({ id }) => id === index.id) === true) continue;
      const next = stepEnd(view, { tenant, table, index, from: undefined });
      if (next === undefined) {
        whole.push(index);
        continue;
      }
      if (index.unique && before !== undefined) checkStands(before, table);
      building.push({ tenant, table: table.id, index: index.id });
    }
    return [
      tableDefined(whole.reduce(completed, table)),
      ...whole.map((index): DefinitionEvent => ({
        type: 'indexFilled',
        object: table.id,
        index: index.id,
      })),
    ];
  });
  return { events, building };
}

/**
 * Throws UNSUPPORTED_SQL if a statement changes more of a table than it adds: should rows stand against a unique index that is
 * left to be built, all else of the statement was done, though its caller hears that it failed.
 */
function checkStands(before: TableSchema, table: TableSchema): void {
  if (shapeOf(before, before) === shapeOf(table, before)) return;
  throw new VerityError(
    'UNSUPPORTED_SQL',
    `Table "${table.name}" has many rows: a unique index or key is added to it in a statement that does nothing else but add columns. Split the statement.`,
  );
}

/** What a table shares with the one it is made of; columns of a primary key become NOT NULL. */
function shapeOf(table: TableSchema, before: TableSchema): string {
  const { building: _, version: __, ...rest } = table;
  const shared = table.columns.slice(0, before.columns.length);
  const columns = shared.map((column) => ({ ...column, notNull: true }));
  const members = Object.entries({ ...rest, columns });
  return JSON.stringify(members.toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

/**
 * The events of one step of building an index, from a key on, and the key where the next one begins; without
 * it the index is complete. No events: there is nothing to build. Throws UNIQUE_VIOLATION for rows alike.
 */
export function buildStep(
  state: KernelState,
  place: BuildPlace & { readonly from: StoreKey | undefined },
): { readonly events: DefinitionEvent[]; readonly next: StoreKey | undefined } {
  const found = findBuilding(state, place);
  if (found === undefined) return { events: [], next: undefined };
  const { table, index } = found;
  const { tenant, from } = place;
  const to = stepEnd(state.overlay, { tenant, table, index, from });
  const filled: DefinitionEvent = {
    type: 'indexFilled',
    object: table.id,
    index: index.id,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
  if (to !== undefined) return { events: [filled], next: to };
  return { events: [filled, tableDefined(completed(nextVersion(table), index))], next: undefined };
}

/** The event that gives up an index that cannot be built; none if it is not being built. */
export function abandonEvents(state: KernelState, place: BuildPlace): DefinitionEvent[] {
  const found = findBuilding(state, place);
  if (found === undefined) return [];
  return [tableDefined(withoutBuilding(nextVersion(found.table), found.index))];
}

/** Throws UNIQUE_VIOLATION unless the index was complete once: for who repeats the request that defined it. */
export function checkCompleted(store: Store, { tenant, table, index: id }: BuildPlace): void {
  const versions = store.versions(treeOf(tenant, tablesObject), objectKey(table));
  const isCompleted = versions.some(
    ({ row }) => row !== undefined && schemaOf(row).indexes.some((index) => index.id === id),
  );
  if (isCompleted) return;
  throw new VerityError(
    'UNIQUE_VIOLATION',
    'The index that the request defined was given up before it was complete: rows stood against it, or it was dropped. Change them and define it under another request id.',
  );
}

function findBuilding(
  state: KernelState,
  { tenant, table: id, index: indexId }: BuildPlace,
): { readonly table: TableSchema; readonly index: Index } | undefined {
  const table = tableById(state.overlay, tenant, id);
  const index = table?.building?.find((each) => each.id === indexId);
  return table === undefined || index === undefined || table.dropped === true
    ? undefined
    : { table, index };
}

const nextVersion = (table: TableSchema): TableSchema => ({ ...table, version: table.version + 1 });

const completed = (table: TableSchema, index: Index): TableSchema => ({
  ...withoutBuilding(table, index),
  indexes: [...table.indexes, index],
});

function withoutBuilding(table: TableSchema, index: Index): TableSchema {
  const { building = [], ...rest } = table;
  const left = building.filter(({ id }) => id !== index.id);
  return left.length === 0 ? rest : { ...rest, building: left };
}

const tableDefined = (table: TableSchema): DefinitionEvent => ({
  type: 'tableDefined',
  object: table.id,
  schema: encodeSchema(table),
});

/** The key of the first row that a step from `from` leaves for the next; undefined at the end of the table. */
function stepEnd(
  view: ReadView,
  step: {
    readonly tenant: TenantId;
    readonly table: TableSchema;
    readonly index: Index;
    readonly from: StoreKey | undefined;
  },
): StoreKey | undefined {
  const { tenant, table, index, from } = step;
  const codec = tableRowCodec(table);
  const tree = treeOf(tenant, index.id);
  const taken = new Set<StoreKey>();
  let rows = 0;
  let bytes = 0;
  const cursor = view.scan(treeOf(tenant, table.id), from === undefined ? {} : { from });
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    if (rows === stepRowsMax || bytes > stepBytesMax) return entry.key;
    rows += 1;
    bytes += entry.row.length;
    // Also throws for a key that is too large, before an event rests on it.
    const key = indexKey(table, index, codec.decode(entry.row), entry.key);
    if (!index.unique) continue;
    const other = view.get(tree, key);
    if (taken.has(key) || (other !== undefined && keyOfBytes(other.row) !== entry.key))
      throw duplicateRows(table, index);
    taken.add(key);
  }
  return undefined;
}

function duplicateRows(table: TableSchema, index: Index): VerityError {
  const columns = index.columns.map((ordinal) => table.columns[ordinal]?.name ?? '');
  return new VerityError(
    'UNIQUE_VIOLATION',
    `Unique index "${index.name}" cannot be made: rows of table "${table.name}" have the same values of ${columns.map((name) => `"${name}"`).join(', ')}. Change them first.`,
    { details: { table: table.name, constraint: index.name, columns } },
  );
}
