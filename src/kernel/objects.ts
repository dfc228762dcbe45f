/** The kernel's own objects within each tenant, and their keys. Tables and indexes start at 16. */
import {
  type ObjectId,
  type Position,
  type StoreKey,
  systemTenant,
  type TenantId,
  treeOf,
  utf8Decode,
  utf8Encode,
} from '../base/index.ts';
import { decodeKey, encodeKey, Reader, type TableSchema, Writer } from '../codec/index.ts';
import { type Catalog, catalogFrom } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';

/** Table name → schema. */
export const catalogObject = 0 as ObjectId;
/** Stream name and version → event data. */
export const streamsObject = 1 as ObjectId;
/** Object id → schema. */
export const tablesObject = 2 as ObjectId;
/** One key whose version tells when a definition last changed. */
export const definitionsObject = 3 as ObjectId;
/** In the system tenant: tenant name → tenant id. */
const tenantsObject = 4 as ObjectId;
/** In the system tenant: the keyring's generation and digest. */
const keyringObject = 5 as ObjectId;
/** In the system tenant: first position of a finished segment → digest and length of its file. */
const segmentsObject = 6 as ObjectId;
/** In the system tenant: tenant and page → what the log says of a page of subject keys. */
const subjectPagesObject = 7 as ObjectId;
/** In the system tenant: those of them that are not known to be written. */
const unwrittenSubjectPagesObject = 8 as ObjectId;
/** Who sent a request and its id's fingerprint → digest of its content and what it was answered. */
export const requestsObject = 9 as ObjectId;
/** In the system tenant: tenant and table → nothing, for tables of which an index is being built. */
const buildingObject = 10 as ObjectId;
/** In the system tenant: id of a blob that a row names → its tenant, length and digest. Never removed: history stays. */
const blobsObject = 11 as ObjectId;
/** In the system tenant: the newest checkpoint record. */
const checkpointObject = 12 as ObjectId;
/** In the system tenant: name of a setting of the whole database → JSON text. */
const settingsObject = 13 as ObjectId;
/** In the system tenant: number of a signing key, from the second on → that key, and how it was handed over to. */
const signingKeysObject = 14 as ObjectId;
export const firstUserObject = 16;

export const tenantsTree = treeOf(systemTenant, tenantsObject);
export const keyringTree = treeOf(systemTenant, keyringObject);
export const segmentsTree = treeOf(systemTenant, segmentsObject);
export const subjectPagesTree = treeOf(systemTenant, subjectPagesObject);
export const unwrittenSubjectPagesTree = treeOf(systemTenant, unwrittenSubjectPagesObject);
export const buildingTree = treeOf(systemTenant, buildingObject);
export const blobsTree = treeOf(systemTenant, blobsObject);
export const checkpointTree = treeOf(systemTenant, checkpointObject);
export const settingsTree = treeOf(systemTenant, settingsObject);
export const signingKeysTree = treeOf(systemTenant, signingKeysObject);
export const singleKey = '' as StoreKey;

const text = { name: 'text' } as const;
const bigint = { name: 'bigint' } as const;
const streamKeyTypes = [text, bigint];

export function nameKey(name: string): StoreKey {
  return encodeKey([text], [name]);
}

const objectKeys = new Map<ObjectId, StoreKey>();

/** The key of a table by its id; kept once made, since every row event looks its table up. */
export function objectKey(object: ObjectId): StoreKey {
  let key = objectKeys.get(object);
  if (key === undefined) {
    key = encodeKey([bigint], [BigInt(object)]);
    objectKeys.set(object, key);
  }
  return key;
}

export function streamKey(stream: string, version: number): StoreKey {
  return encodeKey(streamKeyTypes, [stream, BigInt(version)]);
}

export function streamPrefix(stream: string): StoreKey {
  return encodeKey([text], [stream]);
}

export function parseStreamKey(key: StoreKey): { stream: string; version: number } {
  const [stream, version] = decodeKey(streamKeyTypes, key);
  return { stream: stream as string, version: Number(version) };
}

const schemas = new WeakMap<Uint8Array, TableSchema>();

/** The schema that catalog bytes hold; one object for one stored version, so that caches by schema work. */
export function schemaOf(bytes: Uint8Array): TableSchema {
  let schema = schemas.get(bytes);
  if (schema === undefined) {
    schema = JSON.parse(utf8Decode(bytes)) as TableSchema;
    schemas.set(bytes, schema);
  }
  return schema;
}

export function encodeSchema(schema: TableSchema): Uint8Array {
  return utf8Encode(JSON.stringify(schema));
}

/** Tables and views as a view shows them. */
export function catalogOf(view: ReadView, tenant: TenantId): Catalog {
  const tree = treeOf(tenant, catalogObject);
  return catalogFrom(tenant, {
    relation: (name) => {
      const stored = view.get(tree, nameKey(name));
      return stored === undefined ? undefined : schemaOf(stored.row);
    },
    relations: () => relationsOf(view, tenant),
  });
}

const buildingKeyTypes = [bigint, bigint];

export function buildingKey(tenant: TenantId, table: ObjectId): StoreKey {
  return encodeKey(buildingKeyTypes, [BigInt(tenant), BigInt(table)]);
}

/** The tables of all tenants of which an index is being built. */
export function tablesBuilding(view: ReadView): { tenant: TenantId; table: ObjectId }[] {
  const found: { tenant: TenantId; table: ObjectId }[] = [];
  const cursor = view.scan(buildingTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const [tenant, table] = decodeKey(buildingKeyTypes, entry.key);
    found.push({ tenant: Number(tenant) as TenantId, table: Number(table) as ObjectId });
  }
  return found;
}

/** When a definition of the tenant last changed, as the view shows it; 0 if never. */
export function catalogVersion(view: ReadView, tenant: TenantId): Position {
  return view.get(treeOf(tenant, definitionsObject), singleKey)?.from ?? (0 as Position);
}

export function tableById(
  view: ReadView,
  tenant: TenantId,
  object: ObjectId,
): TableSchema | undefined {
  const stored = view.get(treeOf(tenant, tablesObject), objectKey(object));
  return stored === undefined ? undefined : schemaOf(stored.row);
}

/** All tables of a tenant, by name; without views. */
export function tablesOf(view: ReadView, tenant: TenantId): TableSchema[] {
  return relationsOf(view, tenant).filter((each) => each.view === undefined);
}

function relationsOf(view: ReadView, tenant: TenantId): TableSchema[] {
  const relations: TableSchema[] = [];
  const cursor = view.scan(treeOf(tenant, catalogObject), {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next())
    relations.push(schemaOf(entry.row));
  return relations;
}

/** What the log records of a finished segment's file. */
export interface SegmentRecord {
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  readonly lengthBytes: number;
}

export function segmentKey(segment: Position): StoreKey {
  return encodeKey([bigint], [BigInt(segment)]);
}

export function encodeSegmentRecord({ digest, lengthBytes }: SegmentRecord): Uint8Array {
  const row = new Writer(48);
  row.raw(digest);
  row.u64(lengthBytes);
  return row.finish();
}

export function decodeSegmentRecord(row: Uint8Array): SegmentRecord {
  const reader = new Reader(row);
  return { digest: reader.raw(32), lengthBytes: reader.u64() };
}
