import { randomBytes } from 'node:crypto';
import { type LogId, toHex, utf8Encode, VerityError } from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  hmac,
  type MasterKeyProvider,
  type NewKeySlot,
  pae,
  SecretKey,
  type SlotBinding,
} from '../crypto/index.ts';
import { checkKekId } from './blob.ts';
import { envelopeLimits } from './limits.ts';

/** Where an EnvelopeCipher gets its key-encryption keys from. */
export interface KekSource {
  /** The id of the KEK that new blobs are sealed under. */
  readonly currentId: string;
  /** The KEK of this id, which stays the source's own; undefined if it has none. */
  kek(id: string): SecretKey | undefined;
  /** Told of each blob that does not open, for counting. */
  onFailure?(error: VerityError): void;
}

/** A KEK as 32 bytes of the caller's. */
export interface KekBytes {
  readonly id: string;
  readonly key: Uint8Array;
}

const magic = utf8Encode('VKEK');
const revision = 1;
const macPurpose = 'veritydb/kek-ring-mac/v1';
const idPurpose = 'veritydb/kek-id/v1';
const macBytes = 32;
const savedBytesMax = 16 << 20;

/** KEKs by id, kept in memory: from local bytes, or saved wrapped by a master-key provider. */
export class KekRing implements KekSource {
  readonly #keks = new Map<string, SecretKey>();
  /** What providers bind wrapped keys to. */
  readonly #ringId: Uint8Array;
  #currentId = '';

  private constructor(ringId: Uint8Array) {
    this.#ringId = ringId;
  }

  /** A ring with one new random KEK. */
  static generate(): KekRing {
    const ring = new KekRing(new Uint8Array(randomBytes(16)));
    ring.rotate();
    return ring;
  }

  /**
   * A ring of the caller's keys, of which the last is the current one. The bytes are copied; wipe your own.
   * Throws KEY_INVALID.
   */
  static fromKeys(keks: readonly KekBytes[]): KekRing {
    const ring = new KekRing(new Uint8Array(randomBytes(16)));
    if (keks.length === 0) throw invalidKey('A ring needs at least one key.');
    for (const { id, key } of keks) {
      if (!(key instanceof Uint8Array) || key.length !== 32)
        throw invalidKey('A key-encryption key must be a Uint8Array of 32 bytes.');
      if (key.every((byte) => byte === 0))
        throw invalidKey('A key-encryption key of zeros is none: it was wiped or never filled.');
      ring.#add(id, new SecretKey(new Uint8Array(key)));
    }
    return ring;
  }

  /**
   * The ring that `save` wrote, its KEKs unwrapped by the provider: one call a KEK. Throws WRONG_KEY if the provider
   * does not open it, AUTHENTICATION_FAILED if it was altered, KEY_INVALID if it is no ring.
   */
  static async load(saved: Uint8Array, provider: MasterKeyProvider): Promise<KekRing> {
    const { ringId, entries, covered, mac } = decodeRing(saved);
    const ring = new KekRing(ringId);
    try {
      for (const [index, { id, slot }] of entries.entries()) {
        const found = await provider.unwrap([{ id: index + 1, ...slot }], bindingOf(ringId));
        if (found === undefined) {
          throw new VerityError(
            'WRONG_KEY',
            `The ${provider.kind} key does not open this ring of key-encryption keys. Pass the one it was saved with.`,
          );
        }
        ring.#add(id, found.root);
      }
      if (!constantTimeEqual(ring.#macOf(covered), mac)) {
        throw new VerityError(
          'AUTHENTICATION_FAILED',
          'A saved ring of key-encryption keys is not as it was written. Restore it from a copy.',
        );
      }
      return ring;
    } catch (error) {
      ring.wipe();
      throw error;
    }
  }

  /**
   * The ring's bytes with every KEK wrapped by the provider; no secret in them. Save them again after `rotate`, and
   * under another provider to change the master key: no blob changes.
   */
  async save(provider: MasterKeyProvider): Promise<Uint8Array> {
    const writer = new Writer(256);
    writer.raw(magic);
    writer.u32(revision);
    writer.raw(this.#ringId);
    writer.u32(this.#keks.size);
    for (const [id, kek] of this.#keks) {
      const slot = await provider.wrap(kek, bindingOf(this.#ringId));
      writer.text(id);
      writer.text(slot.kind);
      writer.bytes(slot.parameters);
      writer.bytes(slot.commitment);
      writer.bytes(slot.wrapped);
    }
    writer.raw(this.#macOf(writer.view().slice()));
    return writer.finish();
  }

  get currentId(): string {
    return this.#currentId;
  }

  /** The ids of all KEKs, the current one last. */
  get ids(): string[] {
    return [...this.#keks.keys()];
  }

  kek(id: string): SecretKey | undefined {
    return this.#keks.get(id);
  }

  /** Makes a new random KEK the current one; older ones go on opening blobs. Returns its id. */
  rotate(): string {
    const kek = new SecretKey(randomBytes(32));
    const name = deriveKey(kek, idPurpose);
    const id = `kek-${toHex(name.expose().subarray(0, 8))}`;
    name.wipe();
    this.#add(id, kek);
    return id;
  }

  /** Forgets a KEK and overwrites it: blobs sealed under it open no more. Throws KEY_INVALID for the current one. */
  remove(id: string): void {
    if (id === this.#currentId)
      throw invalidKey('The current key-encryption key cannot be removed. Rotate first.');
    this.#keks.get(id)?.wipe();
    this.#keks.delete(id);
  }

  /** Overwrites all keys; the ring is unusable afterwards. */
  wipe(): void {
    for (const kek of this.#keks.values()) kek.wipe();
  }

  #add(id: string, kek: SecretKey): void {
    checkKekId(id);
    if (this.#keks.has(id)) throw invalidKey('Two key-encryption keys have the same id.');
    if (this.#keks.size >= envelopeLimits.keksMax)
      throw invalidKey(`A ring holds at most ${envelopeLimits.keksMax} keys. Remove old ones.`);
    this.#keks.set(id, kek);
    this.#currentId = id;
  }

  /** Under the current KEK, which whoever adds, removes or reorders an entry lacks. */
  #macOf(bytes: Uint8Array): Uint8Array {
    const key = deriveKey(this.#keks.get(this.#currentId) as SecretKey, macPurpose);
    const mac = hmac(key, pae(macPurpose, bytes));
    key.wipe();
    return mac;
  }
}

interface SavedRing {
  readonly ringId: Uint8Array;
  readonly entries: readonly { readonly id: string; readonly slot: NewKeySlot }[];
  readonly covered: Uint8Array;
  readonly mac: Uint8Array;
}

function decodeRing(saved: Uint8Array): SavedRing {
  const malformed = (): VerityError =>
    invalidKey('The bytes are no saved ring of key-encryption keys. Pass what save() made.');
  if (!(saved instanceof Uint8Array) || saved.length > savedBytesMax) throw malformed();
  const bytes = new Uint8Array(saved);
  const end = bytes.length - macBytes;
  if (end < 0) throw malformed();
  try {
    const reader = new Reader(bytes, 0, end);
    const start = reader.raw(magic.length);
    if (!start.every((byte, index) => byte === magic[index]) || reader.u32() !== revision)
      throw malformed();
    const ringId = reader.raw(16).slice();
    const count = reader.u32();
    if (count === 0 || count > envelopeLimits.keksMax) throw malformed();
    const entries: { id: string; slot: NewKeySlot }[] = [];
    for (let index = 0; index < count; index++) {
      const id = reader.text();
      const kind = reader.text();
      const parameters = reader.bytes().slice();
      const commitment = reader.bytes().slice();
      entries.push({ id, slot: { kind, parameters, commitment, wrapped: reader.bytes().slice() } });
    }
    reader.end();
    return { ringId, entries, covered: bytes.slice(0, end), mac: bytes.slice(end) };
  } catch (error) {
    if (error instanceof DecodeError) throw malformed();
    throw error;
  }
}

function bindingOf(ringId: Uint8Array): SlotBinding {
  return { logId: ringId as LogId, use: 'kek-ring' };
}

function invalidKey(message: string): VerityError {
  return new VerityError('KEY_INVALID', message);
}
