/**
 * The state hash: what the rows of all tables of all tenants are now, in 32 bytes. docs/format/state-hash.md draws it.
 *
 *   table path   SHA-256(0x04 ‖ tenant u32 ‖ table u32)
 *   table salt   HMAC(state key, 0x00 ‖ tenant u32 ‖ table u32)
 *   row path     HMAC(table salt, key of the row)
 *   table hash   SHA-256(0x02 ‖ tenant u32 ‖ table u32 ‖ SHA-256(0x05 ‖ table salt) ‖ number of rows u64 ‖
 *                  hash of the trie of row path → commitment)
 *   state hash   SHA-256(0x03 ‖ number of tables u64 ‖ hash of the trie of table path → table hash)
 *
 * Who checks a proof makes the table's path himself, and is held to one salt by the table's hash: absence cannot be shown
 * with a path or a salt of another's choice.
 *
 * A table without rows is not in it, so a table leaves it at once when it is dropped. Indexes, streams and definitions
 * are not in it.
 */
import type { Digest32, ObjectId, TenantId } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { type ByteRange, type SecretKey, sha256, ShortMac } from '../crypto/index.ts';
import { stateHashBytes } from './state-changes.ts';
import type { TrieSummary } from './state-trie.ts';

const tags = { salt: 0, table: 2, state: 3, path: 4, saltHash: 5 } as const;

/** What stands for the whole state. */
export function stateHash({ count, hash }: TrieSummary): Digest32 {
  const writer = new Writer(1 + 8 + stateHashBytes);
  writer.u8(tags.state);
  writer.u64(count);
  writer.raw(hash);
  return sha256(writer.view());
}

/** Makes the paths of tables and rows, and hashes of tables. Owns copies of keys, which `wipe` overwrites. */
export class StatePaths {
  // Outside V8's heap, which would leave copies behind when it moves them.
  readonly #key = new Uint8Array(new ArrayBuffer(stateHashBytes));
  readonly #salt = new Uint8Array(new ArrayBuffer(stateHashBytes));
  readonly #mac = new ShortMac();
  readonly #message = new Writer(17 + 2 * stateHashBytes);
  #tenant = 0;
  #object = 0;

  constructor(key: SecretKey) {
    this.#key.set(key.expose());
  }

  /** Writes the table's path into `target` at `offset`, and makes all else serve that table. */
  tableInto(target: Uint8Array, offset: number, tenant: TenantId, table: ObjectId): void {
    const mac = this.#mac;
    this.#tenant = tenant;
    this.#object = table;
    target.set(sha256(this.#named(tags.path).view()), offset);
    mac.setKey(this.#key);
    mac.macInto(this.#salt, 0, this.#named(tags.salt).view());
    mac.setKey(this.#salt);
  }

  /** A copy of the table's salt: whoever has it can make the paths of that table's rows, and no others. */
  get salt(): Uint8Array {
    return this.#salt.slice();
  }

  /** Writes the path of the row whose key is that range of `source` into `target` at `offset`. */
  rowInto(target: Uint8Array, offset: number, source: Uint8Array, key?: ByteRange): void {
    this.#mac.macInto(target, offset, source, key);
  }

  /** As `rowInto`, but the path is there after `finishRows` only: see `ShortMac.macLater` for what must hold until then. */
  rowLater(target: Uint8Array, offset: number, source: Uint8Array, key: Required<ByteRange>): void {
    this.#mac.macLater(target, offset, source, key);
  }

  /** Writes the paths that `rowLater` has begun. */
  finishRows(): void {
    this.#mac.finish();
  }

  /** What stands for the table in the state hash, while it has rows. */
  tableHash({ count, hash }: TrieSummary): Digest32 {
    const writer = this.#message;
    writer.reset();
    writer.u8(tags.saltHash);
    writer.raw(this.#salt);
    const saltHash = sha256(writer.view());
    this.#named(tags.table);
    writer.raw(saltHash);
    writer.u64(count);
    writer.raw(hash);
    return sha256(writer.view());
  }

  wipe(): void {
    this.#key.fill(0);
    this.#salt.fill(0);
    this.#mac.wipe();
    this.#message.wipe();
  }

  /** The beginning of a message about the table. */
  #named(tag: number): Writer {
    const writer = this.#message;
    writer.reset();
    writer.u8(tag);
    writer.u32(this.#tenant);
    writer.u32(this.#object);
    return writer;
  }
}
