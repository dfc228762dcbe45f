/**
 * The bytes of an EncryptedBlob: a Protobuf message (proto/veritydb/envelope/v1/encrypted_blob.proto) in its one
 * canonical form, which every Protobuf library writes for it.
 *
 * Invariants
 * - One blob has one encoding: fields in order, each once, none unknown, lengths in their shortest form.
 * - Decoding takes no memory but for views, and never more time than the header's few bytes need.
 */
import { utf8Decode, utf8Encode, utf8Length, VerityError } from '../base/index.ts';
import { nonceBytes, tagBytes, wrappedKeyBytes } from '../crypto/index.ts';
import { envelopeLimits } from './limits.ts';

/** A sealed plaintext and its key, which is wrapped by the KEK of this id. */
export interface EncryptedBlob {
  readonly kekId: string;
  /** The data-encryption key, wrapped: 40 bytes. */
  readonly encryptedDek: Uint8Array;
  /** 12 bytes. */
  readonly nonce: Uint8Array;
  /** Ciphertext, then the 16-byte tag. */
  readonly ciphertext: Uint8Array;
}

const revision = 1;
const wireVarint = 0;
const wireBytes = 2;
const tags = {
  revision: (1 << 3) | wireVarint,
  kekId: (2 << 3) | wireBytes,
  encryptedDek: (3 << 3) | wireBytes,
  nonce: (4 << 3) | wireBytes,
  ciphertext: (5 << 3) | wireBytes,
} as const;
const ciphertextBytesMax = envelopeLimits.plaintextBytesMax + tagBytes;

/** The blob's bytes, newly made. Throws ENVELOPE_INVALID if a part does not have its size. */
export function encodeBlob(blob: EncryptedBlob): Uint8Array {
  checkBlob(blob);
  const kekId = utf8Encode(blob.kekId);
  const { encryptedDek, nonce, ciphertext } = blob;
  const parts = [kekId, encryptedDek, nonce, ciphertext];
  const length = parts.reduce((sum, part) => sum + 1 + varintLength(part.length) + part.length, 2);
  const bytes = new Uint8Array(length);
  bytes[0] = tags.revision;
  bytes[1] = revision;
  let offset = 2;
  const put = (tag: number, part: Uint8Array): void => {
    bytes[offset] = tag;
    offset = putVarint(bytes, offset + 1, part.length);
    bytes.set(part, offset);
    offset += part.length;
  };
  put(tags.kekId, kekId);
  put(tags.encryptedDek, encryptedDek);
  put(tags.nonce, nonce);
  put(tags.ciphertext, ciphertext);
  return bytes;
}

/**
 * The blob that `bytes` hold; its parts are views into them. Throws ENVELOPE_INVALID for anything that
 * `encodeBlob` does not write, FORMAT_UNSUPPORTED for a blob of a later revision.
 */
export function decodeBlob(bytes: Uint8Array): EncryptedBlob {
  if (!(bytes instanceof Uint8Array)) throw invalid('They are no Uint8Array');
  const reader = new FieldReader(bytes);
  const found = reader.varint(tags.revision);
  if (found === 0) throw invalid('Their revision is 0');
  if (found !== revision) {
    throw new VerityError(
      'FORMAT_UNSUPPORTED',
      `An encrypted blob has revision ${found}, which this version does not read. Use the version that wrote it.`,
    );
  }
  const blob = {
    kekId: reader.text(tags.kekId, envelopeLimits.kekIdBytesMax),
    encryptedDek: reader.bytes(tags.encryptedDek, wrappedKeyBytes),
    nonce: reader.bytes(tags.nonce, nonceBytes),
    ciphertext: reader.bytes(tags.ciphertext, ciphertextBytesMax),
  };
  reader.end();
  checkBlob(blob);
  return blob;
}

/** Throws ENVELOPE_INVALID unless every part of the blob has its type and size. */
export function checkBlob(blob: EncryptedBlob): void {
  const { kekId, encryptedDek, nonce, ciphertext } = blob;
  checkKekId(kekId);
  for (const part of [encryptedDek, nonce, ciphertext])
    if (!(part instanceof Uint8Array)) throw invalid('A part is missing');
  if (encryptedDek.length !== wrappedKeyBytes) throw invalid('The wrapped key is not 40 bytes');
  if (nonce.length !== nonceBytes) throw invalid('The nonce is not 12 bytes');
  if (ciphertext.length < tagBytes) throw invalid('The ciphertext is shorter than its tag');
  if (ciphertext.length > ciphertextBytesMax) throw invalid('The ciphertext is too long');
}

/** Throws ENVELOPE_INVALID unless `kekId` is a non-empty, well-formed text within the limit. */
export function checkKekId(kekId: string): void {
  const fits =
    typeof kekId === 'string' &&
    kekId !== '' &&
    kekId.length <= envelopeLimits.kekIdBytesMax &&
    utf8Length(kekId) <= envelopeLimits.kekIdBytesMax &&
    utf8Decode(utf8Encode(kekId)) === kekId;
  if (!fits)
    throw invalid(`The id of its key is not a text of 1 to ${envelopeLimits.kekIdBytesMax} bytes`);
}

/** Reads the fields of a message in one fixed order. */
class FieldReader {
  readonly #bytes: Uint8Array;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  varint(tag: number): number {
    this.#tag(tag);
    return this.#number();
  }

  bytes(tag: number, lengthMax: number): Uint8Array {
    this.#tag(tag);
    const length = this.#number();
    const start = this.#offset;
    if (length > lengthMax) throw invalid(`A field at byte ${start} is too long`);
    if (length > this.#bytes.length - start) throw invalid('They end early');
    this.#offset += length;
    return this.#bytes.subarray(start, this.#offset);
  }

  text(tag: number, lengthMax: number): string {
    try {
      return utf8Decode(this.bytes(tag, lengthMax));
    } catch (error) {
      throw error instanceof VerityError ? error : invalid('A text is not UTF-8');
    }
  }

  end(): void {
    if (this.#offset !== this.#bytes.length)
      throw invalid(`More than a blob lies at byte ${this.#offset}`);
  }

  #tag(expected: number): void {
    const at = this.#offset;
    if (at >= this.#bytes.length) throw invalid('They end early');
    if (this.#bytes[at] !== expected)
      throw invalid(`A field at byte ${at} is not the one that comes there`);
    this.#offset += 1;
  }

  /** At most 32 bits, in the shortest form. */
  #number(): number {
    let value = 0;
    for (let count = 0; count < 5; count++) {
      const byte = this.#bytes[this.#offset];
      if (byte === undefined) throw invalid('They end early');
      this.#offset += 1;
      value += (byte & 0x7f) * 2 ** (7 * count);
      if (byte < 0x80) {
        if ((byte === 0 && count > 0) || value > 0xffff_ffff) break;
        return value;
      }
    }
    throw invalid('A number is not in its shortest form');
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

function putVarint(bytes: Uint8Array, start: number, value: number): number {
  let offset = start;
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 0x80)) bytes[offset++] = (rest % 0x80) | 0x80;
  bytes[offset++] = rest;
  return offset;
}

function invalid(what: string): VerityError {
  return new VerityError(
    'ENVELOPE_INVALID',
    `The bytes are not an encrypted blob: ${what.charAt(0).toLowerCase()}${what.slice(1)}. Pass what encodeBlob made, unchanged.`,
  );
}
