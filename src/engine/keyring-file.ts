/**
 * The keyring's file: checksummed record by record, authenticated as a whole. docs/format/keyring.md draws its bytes.
 *
 *   header   magic u32, revision u32, log id 16, generation u64, counts of slots, entries and tenants u32 each,
 *            length of identity u32, CRC u32
 *   identity a copy of verity.json, CRC u32
 *   slots    each: length u32, payload, CRC u32
 *   entries  each: type u32, number u32, length of public bytes u32, public bytes, wrapped key 40, CRC u32
 *   tenants  each: tenant u32, wrapped KEK 40, secret count u32, per secret number u32 and wrapped secret 40, CRC u32
 *   end      MAC 32 over all before it, CRC u32 of the MAC
 */
import type { LogId, TenantId } from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import {
  constantTimeEqual,
  crc32,
  deriveKey,
  hmac,
  type KeySlot,
  pae,
  type SecretKey,
  wrappedKeyBytes,
} from '../crypto/index.ts';
import { formatRevision } from '../log/index.ts';
import {
  type KeyEntry,
  Keyring,
  keySlotsMax,
  type TenantKeys,
  type WrappedSecret,
} from './keyring.ts';

const magic = 0x5945_4b56; // "VKEY"
const headerBytes = 52;
const endBytes = 36;
const entriesMax = 1_024;
const publicBytesMax = 1_024;
const tenantRecordBytes = 4 + wrappedKeyBytes + 4 + 4 + wrappedKeyBytes + 4;
const macPurpose = 'veritydb/keyring-mac/v1';

export interface KeyringProblem {
  readonly code:
    | 'CHECKSUM_MISMATCH'
    | 'FORMAT_UNSUPPORTED'
    | 'FOREIGN_FILE'
    | 'AUTHENTICATION_FAILED';
  readonly offset: number;
  readonly what: string;
}

/** The file's bytes under the keyring's generation. */
export function encodeKeyring(keyring: Keyring, root: SecretKey): Uint8Array {
  const { slots, entries, tenants } = keyring.contents;
  const writer = new Writer(4096 + tenants.size * tenantRecordBytes);
  writer.u32(magic);
  writer.u32(formatRevision);
  writer.raw(keyring.logId);
  writer.u64(keyring.generation);
  writer.u32(slots.length);
  writer.u32(entries.length);
  writer.u32(tenants.size);
  writer.u32(keyring.identity.length);
  checked(writer, 0);
  const identityStart = writer.length;
  writer.raw(keyring.identity);
  checked(writer, identityStart);
  for (const slot of slots) encodeSlot(writer, slot);
  for (const entry of entries) encodeEntry(writer, entry);
  for (const [tenant, keys] of tenants) encodeTenant(writer, tenant, keys);
  const mac = macOf(writer.view(), root);
  writer.raw(mac);
  writer.u32(crc32(mac));
  return writer.finish();
}

function macOf(bytes: Uint8Array, root: SecretKey): Uint8Array {
  const key = deriveKey(root, macPurpose);
  const mac = hmac(key, pae(macPurpose, bytes));
  key.wipe();
  return mac;
}

function checked(writer: Writer, start: number): void {
  writer.u32(crc32(writer.view(start)));
}

function encodeSlot(writer: Writer, slot: KeySlot): void {
  const payload = new Writer();
  payload.u32(slot.id);
  payload.text(slot.kind);
  payload.bytes(slot.parameters);
  payload.bytes(slot.commitment);
  payload.bytes(slot.wrapped);
  const start = writer.length;
  writer.u32(payload.length);
  writer.raw(payload.view());
  checked(writer, start);
}

function encodeEntry(writer: Writer, entry: KeyEntry): void {
  const start = writer.length;
  writer.u32(entry.type);
  writer.u32(entry.number);
  writer.u32(entry.publicBytes.length);
  writer.raw(entry.publicBytes);
  writer.raw(entry.wrapped);
  checked(writer, start);
}

function encodeTenant(writer: Writer, tenant: TenantId, keys: TenantKeys): void {
  const start = writer.length;
  writer.u32(tenant);
  writer.raw(keys.wrappedKek);
  writer.u32(keys.secrets.length);
  for (const { number, wrapped } of keys.secrets) {
    writer.u32(number);
    writer.raw(wrapped);
  }
  checked(writer, start);
}

/** Whether the keyring as a whole was written by someone who holds the root key. */
export function keyringIsAuthentic(bytes: Uint8Array, root: SecretKey): boolean {
  const end = bytes.length - endBytes;
  return (
    end > 0 && constantTimeEqual(macOf(bytes.subarray(0, end), root), bytes.subarray(end, end + 32))
  );
}

/** What stands where a record is damaged or out of order. */
class DamagedRecord extends Error {}

/** Decodes and checks all that needs no key; says where the first bad record is instead of throwing. */
export function decodeKeyring(bytes: Uint8Array): Keyring | KeyringProblem {
  if (bytes.length < headerBytes) return damaged(bytes.length);
  const decoder = new Decoder(bytes);
  try {
    return decoder.keyring();
  } catch (error) {
    if (error instanceof DecodeError || error instanceof DamagedRecord) {
      return damaged(decoder.record);
    }
    throw error;
  }
}

function damaged(offset: number): KeyringProblem {
  return {
    code: 'CHECKSUM_MISMATCH',
    offset,
    what: 'A keyring record that does not match its checksum lies',
  };
}

class Decoder {
  /** Where the record that is being read starts. */
  record = 0;
  readonly #bytes: Uint8Array;
  readonly #reader: Reader;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#reader = new Reader(bytes);
  }

  keyring(): Keyring | KeyringProblem {
    const reader = this.#reader;
    const magicRead = reader.u32();
    const revision = reader.u32();
    const logId = reader.raw(16).slice() as LogId;
    const [generationLow, generationHigh] = [reader.u32(), reader.u32()];
    const [slotCount, entryCount, tenantCount] = [reader.u32(), reader.u32(), reader.u32()];
    const identityLength = reader.u32();
    this.#endRecord();
    if (magicRead !== magic) return damaged(0);
    if (revision !== formatRevision) {
      return {
        code: 'FORMAT_UNSUPPORTED',
        offset: 4,
        what: `Format revision ${revision}, which this version does not read, lies`,
      };
    }
    if (slotCount > keySlotsMax || entryCount > entriesMax) return damaged(0);
    const identity = reader.raw(identityLength).slice();
    this.#endRecord();
    const slots: KeySlot[] = [];
    for (let index = 0; index < slotCount; index++) slots.push(this.#slot());
    const entries: KeyEntry[] = [];
    for (let index = 0; index < entryCount; index++) entries.push(this.#entry());
    const tenants = new Map<TenantId, TenantKeys>();
    for (let index = 0; index < tenantCount; index++) this.#tenant(tenants);
    const mac = reader.raw(32);
    if (crc32(mac) !== reader.u32()) throw new DamagedRecord();
    this.record = reader.offset;
    reader.end();
    const generation = generationHigh * 0x1_0000_0000 + generationLow;
    return new Keyring(logId, identity, generation, { slots, entries, tenants });
  }

  #slot(): KeySlot {
    const payload = new Reader(this.#reader.raw(this.#reader.u32()).slice());
    const start = this.record;
    this.#endRecord();
    const next = this.record;
    this.record = start;
    const slot = {
      id: payload.u32(),
      kind: payload.text(),
      parameters: payload.bytes(),
      commitment: payload.bytes(),
      wrapped: payload.bytes(),
    };
    this.record = next;
    return slot;
  }

  #entry(): KeyEntry {
    const reader = this.#reader;
    const type = reader.u32();
    const number = reader.u32();
    const length = reader.u32();
    if (length > publicBytesMax) throw new DamagedRecord();
    const publicBytes = reader.raw(length).slice();
    const wrapped = reader.raw(wrappedKeyBytes).slice();
    this.#endRecord();
    return { type, number, publicBytes, wrapped };
  }

  #tenant(tenants: Map<TenantId, TenantKeys>): void {
    const reader = this.#reader;
    const tenant = reader.u32() as TenantId;
    const wrappedKek = reader.raw(wrappedKeyBytes).slice();
    const count = reader.u32();
    if (count === 0 || count * (4 + wrappedKeyBytes) > reader.remaining) throw new DamagedRecord();
    const secrets: WrappedSecret[] = [];
    let last = 0;
    for (let index = 0; index < count; index++) {
      const number = reader.u32();
      if (number <= last || tenants.has(tenant)) throw new DamagedRecord();
      last = number;
      secrets.push({ number, wrapped: reader.raw(wrappedKeyBytes).slice() });
    }
    this.#endRecord();
    tenants.set(tenant, { wrappedKek, secrets });
  }

  /** Checks the CRC that ends the record; the next one starts behind it. */
  #endRecord(): void {
    const end = this.#reader.offset;
    const crc = crc32(this.#bytes.subarray(this.record, end));
    if (crc !== this.#reader.u32()) throw new DamagedRecord();
    this.record = this.#reader.offset;
  }
}
