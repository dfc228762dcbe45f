/**
 * The state hash: what the rows of all tables of all tenants are now, in 32 bytes. docs/format/state-hash.md draws it.
 *
 *   table salt   HMAC(state key, 0x00 ‖ tenant u32 ‖ table u32)
 *   table path   HMAC(state key, 0x01 ‖ tenant u32 ‖ table u32)
 *   row path     HMAC(table salt, key of the row)
 *   table hash   SHA-256(0x02 ‖ number of rows u64 ‖ hash of the trie of row path → commitment)
 *   state hash   SHA-256(0x03 ‖ number of tables u64 ‖ hash of the trie of table path → table hash)
 *
 * A table without rows is not in it, so a table leaves it at once when it is dropped. Indexes, streams and definitions
 * are not in it.
 */
import type { Digest32, ObjectId, TenantId } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { type ByteRange, type SecretKey, sha256, ShortMac } from '../crypto/index.ts';
import { stateHashBytes } from './state-changes.ts';
import type { TrieSummary } from './state-trie.ts';

const tags = { salt: 0, path: 1, table: 2, state: 3 } as const;

/** What stands for a table in the state hash; all its rows are gone if it has none. */
export const tableHash = (rows: TrieSummary): Digest32 => rootHash(tags.table, rows);

/** What stands for the whole state. */
export const stateHash = (tables: TrieSummary): Digest32 => rootHash(tags.state, tables);

function rootHash(tag: number, { count, hash }: TrieSummary): Digest32 {
  const writer = new Writer(1 + 8 + stateHashBytes);
  writer.u8(tag);
  writer.u64(count);
  writer.raw(hash);
  return sha256(writer.view());
}

/** Makes the paths of tables and rows. Owns copies of keys, which `wipe` overwrites. */
export class StatePaths {
  // Outside V8's heap, which would leave copies behind when it moves them.
  readonly #key = new Uint8Array(new ArrayBuffer(stateHashBytes));
  readonly #salt = new Uint8Array(new ArrayBuffer(stateHashBytes));
  readonly #mac = new ShortMac();
  readonly #table = new Writer(9);

  constructor(key: SecretKey) {
    this.#key.set(key.expose());
  }

  /** Writes the table's path into `target` at `offset`, and makes `rowInto` serve that table. */
  tableInto(target: Uint8Array, offset: number, tenant: TenantId, table: ObjectId): void {
    const mac = this.#mac;
    mac.setKey(this.#key);
    mac.macInto(target, offset, this.#message(tags.path, tenant, table));
    mac.macInto(this.#salt, 0, this.#message(tags.salt, tenant, table));
    mac.setKey(this.#salt);
  }

  /** Writes the path of the row whose key is that range of `source` into `target` at `offset`. */
  rowInto(target: Uint8Array, offset: number, source: Uint8Array, key?: ByteRange): void {
    this.#mac.macInto(target, offset, source, key);
  }

  wipe(): void {
    this.#key.fill(0);
    this.#salt.fill(0);
    this.#mac.wipe();
  }

  #message(tag: number, tenant: TenantId, table: ObjectId): Uint8Array {
    const writer = this.#table;
    writer.reset();
    writer.u8(tag);
    writer.u32(tenant);
    writer.u32(table);
    return writer.view();
  }
}
