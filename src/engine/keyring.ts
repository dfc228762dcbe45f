/**
 * The keyring file: wrapped keys only, replaced atomically, checksummed record by record and
 * authenticated as a whole. docs/format/keyring.md draws its bytes.
 *
 *   header   magic u32, revision u32, log id 16, generation u64, counts of slots and tenants u32 u32,
 *            length of identity u32, CRC u32
 *   identity a copy of verity.json, CRC u32
 *   slots    each: length u32, payload, CRC u32
 *   tenants  each: tenant u32, wrapped KEK 40, secret number u32, wrapped epoch secret 40, CRC u32
 *   end      MAC 32 over all before it, CRC u32 of the MAC
 */
import { type Entropy, type LogId, type TenantId, VerityError } from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import {
  constantTimeEqual,
  crc32,
  deriveKey,
  hmac,
  type KeySlot,
  pae,
  SecretKey,
  sha256,
  unwrapKey,
  wrappedKeyBytes,
  wrapKey,
} from '../crypto/index.ts';
import { formatRevision } from '../log/index.ts';

const magic = 0x5945_4b56; // "VKEY"
const headerBytes = 48;
const tenantRecordBytes = 4 + wrappedKeyBytes + 4 + wrappedKeyBytes + 4;
const macPurpose = 'veritydb/keyring-mac/v1';
const slotsMax = 64;

interface TenantKeys {
  readonly wrappedKek: Uint8Array;
  readonly secretNumber: number;
  readonly wrappedSecret: Uint8Array;
}

export interface KeyringProblem {
  readonly code:
    | 'CHECKSUM_MISMATCH'
    | 'FORMAT_UNSUPPORTED'
    | 'FOREIGN_FILE'
    | 'AUTHENTICATION_FAILED';
  readonly offset: number;
  readonly what: string;
}

export class Keyring {
  readonly logId: LogId;
  readonly identity: Uint8Array;
  readonly slots: KeySlot[];
  generation: number;
  readonly #tenants: Map<TenantId, TenantKeys>;

  constructor(
    logId: LogId,
    identity: Uint8Array,
    generation: number,
    contents: { slots: KeySlot[]; tenants: Map<TenantId, TenantKeys> } = {
      slots: [],
      tenants: new Map(),
    },
  ) {
    this.logId = logId;
    this.identity = identity;
    this.generation = generation;
    this.slots = contents.slots;
    this.#tenants = contents.tenants;
  }

  /** One to change; this one stays what is on the disk until the changed one is there. */
  copy(): Keyring {
    return new Keyring(this.logId, this.identity, this.generation, {
      slots: [...this.slots],
      tenants: new Map(this.#tenants),
    });
  }

  get tenantCount(): number {
    return this.#tenants.size;
  }

  has(tenant: TenantId): boolean {
    return this.#tenants.has(tenant);
  }

  /** Draws the tenant's key-encryption key and first epoch secret and stores them wrapped. */
  addTenant(tenant: TenantId, root: SecretKey, entropy: Entropy): void {
    const kek = new SecretKey(entropy.bytes(32));
    const secret = new SecretKey(entropy.bytes(32));
    this.#tenants.set(tenant, {
      wrappedKek: wrapKey(root, kek),
      secretNumber: 1,
      wrappedSecret: wrapKey(kek, secret),
    });
    kek.wipe();
    secret.wipe();
  }

  /** The tenant's epoch secret, unwrapped; the caller wipes it. Undefined if it does not unwrap. */
  epochSecret(tenant: TenantId, root: SecretKey): SecretKey | undefined {
    const keys = this.#tenants.get(tenant);
    if (keys === undefined) return undefined;
    const kek = unwrapKey(root, keys.wrappedKek);
    if (kek === undefined) return undefined;
    const secret = unwrapKey(kek, keys.wrappedSecret);
    kek.wipe();
    return secret;
  }

  addSlot(slot: Omit<KeySlot, 'id'>): KeySlot {
    if (this.slots.length >= slotsMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The keyring has ${slotsMax} key slots already, the most it may have.`,
      );
    }
    const id = this.slots.reduce((highest, known) => Math.max(highest, known.id), 0) + 1;
    const added = { id, ...slot };
    this.slots.push(added);
    return added;
  }

  /** The file's bytes under the current generation. */
  encode(root: SecretKey): Uint8Array {
    const writer = new Writer(1024 + this.#tenants.size * tenantRecordBytes);
    writer.u32(magic);
    writer.u32(formatRevision);
    writer.raw(this.logId);
    writer.u64(this.generation);
    writer.u32(this.slots.length);
    writer.u32(this.#tenants.size);
    writer.u32(this.identity.length);
    checked(writer, 0);
    const identityStart = writer.length;
    writer.raw(this.identity);
    checked(writer, identityStart);
    for (const slot of this.slots) encodeSlot(writer, slot);
    for (const [tenant, keys] of this.#tenants) {
      const start = writer.length;
      writer.u32(tenant);
      writer.raw(keys.wrappedKek);
      writer.u32(keys.secretNumber);
      writer.raw(keys.wrappedSecret);
      checked(writer, start);
    }
    const mac = macOf(writer.view(), root);
    writer.raw(mac);
    writer.u32(crc32(mac));
    return writer.finish();
  }

  digest(bytes: Uint8Array): Uint8Array {
    return sha256(bytes);
  }
}

function macOf(bytes: Uint8Array, root: SecretKey): Uint8Array {
  const key = deriveKey(root, macPurpose);
  const mac = hmac(key, pae(macPurpose, bytes));
  key.wipe();
  return mac;
}

function checked(writer: Writer, start: number): void {
  writer.u32(crc32(writer.view().subarray(start)));
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

/** Whether the keyring as a whole was written by someone who holds the root key. */
export function keyringIsAuthentic(bytes: Uint8Array, root: SecretKey): boolean {
  const end = bytes.length - 36;
  return (
    end > 0 && constantTimeEqual(macOf(bytes.subarray(0, end), root), bytes.subarray(end, end + 32))
  );
}

/** Decodes and checks all that needs no key; says where the first bad record is instead of throwing. */
export function decodeKeyring(bytes: Uint8Array): Keyring | KeyringProblem {
  const damaged = (offset: number): KeyringProblem => ({
    code: 'CHECKSUM_MISMATCH',
    offset,
    what: 'A keyring record that does not match its checksum lies',
  });
  if (bytes.length < headerBytes) return damaged(bytes.length);
  const reader = new Reader(bytes);
  let record = 0;
  try {
    const magicRead = reader.u32();
    const revision = reader.u32();
    const logId = reader.raw(16).slice() as LogId;
    const [generationLow, generationHigh] = [reader.u32(), reader.u32()];
    const slotCount = reader.u32();
    const tenantCount = reader.u32();
    const identityLength = reader.u32();
    if (!crcHolds(bytes, reader, record) || magicRead !== magic) return damaged(0);
    if (revision !== formatRevision) {
      return {
        code: 'FORMAT_UNSUPPORTED',
        offset: 4,
        what: `Format revision ${revision}, which this version does not read, lies`,
      };
    }
    record = reader.offset;
    const identity = reader.raw(identityLength).slice();
    if (!crcHolds(bytes, reader, record)) return damaged(record);
    const slots: KeySlot[] = [];
    if (slotCount > slotsMax) return damaged(0);
    for (let index = 0; index < slotCount; index++) {
      record = reader.offset;
      const payload = new Reader(reader.raw(reader.u32()).slice());
      if (!crcHolds(bytes, reader, record)) return damaged(record);
      slots.push({
        id: payload.u32(),
        kind: payload.text(),
        parameters: payload.bytes(),
        commitment: payload.bytes(),
        wrapped: payload.bytes(),
      });
    }
    const tenants = new Map<TenantId, TenantKeys>();
    for (let index = 0; index < tenantCount; index++) {
      record = reader.offset;
      const tenant = reader.u32() as TenantId;
      const wrappedKek = reader.raw(wrappedKeyBytes).slice();
      const secretNumber = reader.u32();
      const wrappedSecret = reader.raw(wrappedKeyBytes).slice();
      if (!crcHolds(bytes, reader, record)) return damaged(record);
      tenants.set(tenant, { wrappedKek, secretNumber, wrappedSecret });
    }
    record = reader.offset;
    const mac = reader.raw(32);
    if (crc32(mac) !== reader.u32()) return damaged(record);
    record = reader.offset;
    reader.end();
    return new Keyring(logId, identity, generationHigh * 0x1_0000_0000 + generationLow, {
      slots,
      tenants,
    });
  } catch (error) {
    if (error instanceof DecodeError) return damaged(record);
    throw error;
  }
}

function crcHolds(bytes: Uint8Array, reader: Reader, start: number): boolean {
  const end = reader.offset;
  return crc32(bytes.subarray(start, end)) === reader.u32();
}
