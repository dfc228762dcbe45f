/**
 * Branded identifiers. Inside the engine they are JavaScript numbers (exact to 2^53 - 1, checked
 * when read from bytes); the SDK shows positions as `bigint`. See docs/decisions/0004.
 */
import type { Brand } from './brand.ts';
import { VerityError } from './errors.ts';
import { limits } from './limits.ts';

/** Counts committed commands; all events of a command share it. The first is 1; 0 means "before everything". */
export type Position = Brand<number, 'Position'>;
/** Counts events over the whole log, from 0. */
export type LeafIndex = Brand<number, 'LeafIndex'>;
/** Counts frames, from 1. */
export type Op = Brand<number, 'Op'>;
/** Replication view; 0 when a database has a single copy. */
export type View = Brand<number, 'View'>;
/** A tenant; 0 is the system tenant. */
export type TenantId = Brand<number, 'TenantId'>;
/** A table or index within a tenant. */
export type ObjectId = Brand<number, 'ObjectId'>;
/** An ordered tree of the store: one object of one tenant. */
export type TreeId = Brand<number, 'TreeId'>;
/** Microseconds since 1970-01-01T00:00:00Z, as a number (exact until the year 2255). */
export type TimestampMicros = Brand<number, 'TimestampMicros'>;
/**
 * An order-preserving key: a string whose char codes are all 0–255, one per byte, so that `<` on
 * strings is the order of the bytes.
 */
export type StoreKey = Brand<string, 'StoreKey'>;
/** 32 bytes of a SHA-256 digest. */
export type Digest32 = Brand<Uint8Array, 'Digest32'>;
/** 16 random bytes that name a log for ever; survives copy and restore. */
export type LogId = Brand<Uint8Array, 'LogId'>;

export const systemTenant = 0 as TenantId;

/** The tree that holds object `objectId` of tenant `tenantId`. Throws RangeError past either limit. */
export function treeOf(tenantId: TenantId, objectId: ObjectId): TreeId {
  if (objectId >= limits.objectsPerTenantMax || tenantId > 0xffff_ffff) {
    throw new RangeError(`tree out of range: tenant ${tenantId}, object ${objectId}`);
  }
  return (tenantId * limits.objectsPerTenantMax + objectId) as TreeId;
}

/** The tenant and the object whose tree it is: the opposite of treeOf. */
export function objectOfTree(tree: TreeId): {
  readonly tenant: TenantId;
  readonly object: ObjectId;
} {
  const object = (tree % limits.objectsPerTenantMax) as ObjectId;
  return { tenant: ((tree - object) / limits.objectsPerTenantMax) as TenantId, object };
}

/** Checks a caller's position (bigint or safe integer, ≥ 0) and brands it. Throws INVALID_ARGUMENT. */
export function parsePosition(value: unknown): Position {
  if (typeof value === 'bigint' && value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
    return Number(value) as Position;
  }
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) {
    return value as Position;
  }
  throw new VerityError(
    'INVALID_ARGUMENT',
    `Not a log position: expected a whole number from 0, got ${typeof value}.`,
  );
}
