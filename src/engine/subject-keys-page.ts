/**
 * One page of subject keys: 4,096 bytes, under a bucket key of its own. docs/format/subjects.md draws them.
 *
 *   0  magic, revision u32 u32, log id 16, tenant u32, page u32, generation u64
 *   40 secret number u32, algorithm u32, wrapped bucket key 40, key commitment 32, nonce 12
 *   132 sealed: count u16, erased bits 14, 112 keys of 32; tag 16
 *   3,748 zeros, CRC u32 at 4,092
 *
 * Invariants
 * - Each writing of a page draws a new bucket key and seals all of it anew: what an older copy holds cannot be opened
 *   with what a newer one does.
 * - A page opens at its own place only: log id, tenant, page, generation and secret number are in the AAD, and all but
 *   the generation in the key that wraps the bucket key.
 */
import { type Entropy, type ErrorCode, type LogId, type TenantId } from '../base/index.ts';
import {
  algorithmId,
  constantTimeEqual,
  crc32,
  deriveKey,
  hkdf,
  hmac,
  nonceBytes,
  openBytes,
  pae,
  SecretKey,
  sealBytes,
  tagBytes,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';
import {
  erasedBitmapBytes,
  isErased,
  type SubjectPagePlace,
  type SubjectPageRecord,
  subjectsPerPage,
} from '../kernel/index.ts';
import { formatRevision } from '../log/index.ts';

export const subjectPageBytes = 4_096;
const magic = 0x4750_5356; // "VSPG"
const fileMagic = 0x4255_5356; // "VSUB"
const subjectKeyBytes = 32;
const commitmentAt = 88;
const nonceAt = 120;
const sealedAt = 132;
const keysAt = 2 + erasedBitmapBytes;
const contentBytes = keysAt + subjectsPerPage * subjectKeyBytes;
const sealedEnd = sealedAt + contentBytes + tagBytes;
const crcAt = subjectPageBytes - 4;
const wrapPurpose = 'veritydb/bucket-wrapping/v1';
const pagePurpose = 'veritydb/subjects/v1';
const algorithm = 'aes-256-gcm';

/** The keys of one page, opened. `wipe` when done. */
export class SubjectPage {
  readonly generation: number;
  readonly secretNumber: number;
  readonly #content: Uint8Array;

  constructor(generation: number, secretNumber: number, content: Uint8Array) {
    this.generation = generation;
    this.secretNumber = secretNumber;
    this.#content = content;
  }

  get count(): number {
    return (this.#content[0] as number) | ((this.#content[1] as number) << 8);
  }
  get erased(): Uint8Array {
    return this.#content.subarray(2, keysAt);
  }

  /** A copy of a slot's key, which the caller wipes. */
  key(slot: number): SecretKey {
    // Not slice(): of a Buffer of Node's that is no copy.
    return new SecretKey(new Uint8Array(this.#slot(slot)));
  }

  /** Whether taken and erased slots are those of the record. */
  fits(record: SubjectPageRecord): boolean {
    return (
      this.count === record.count &&
      this.erased.every((byte, index) => byte === record.erased[index])
    );
  }

  /**
   * The content after a change: keys that stay, new ones for slots newly taken, zeros for erased and free slots. Slots
   * that an unfinished change took, and whose keys nobody was given, get keys here.
   */
  static contentOf(
    record: SubjectPageRecord,
    before: SubjectPage | undefined,
    entropy: Entropy,
  ): Uint8Array {
    const content = new Uint8Array(contentBytes);
    content[0] = record.count & 0xff;
    content[1] = record.count >> 8;
    content.set(record.erased, 2);
    for (let slot = 0; slot < record.count; slot++) {
      if (isErased(record, slot)) continue;
      const at = keysAt + slot * subjectKeyBytes;
      if (before !== undefined && slot < before.count) content.set(before.#slot(slot), at);
      else {
        const drawn = entropy.bytes(subjectKeyBytes);
        content.set(drawn, at);
        drawn.fill(0);
      }
    }
    return content;
  }

  #slot(slot: number): Uint8Array {
    const at = keysAt + slot * subjectKeyBytes;
    return this.#content.subarray(at, at + subjectKeyBytes);
  }

  /** Overwrites the keys; which slots are taken and erased stays known. */
  seal(): void {
    this.#content.fill(0, keysAt);
  }

  wipe(): void {
    this.#content.fill(0);
  }
}

/** The tenant's secret of this number, which the page wipes; undefined if there is none. */
export type SecretOf = (secretNumber: number) => SecretKey | undefined;

export interface PageProblem {
  readonly code: ErrorCode;
  /** Relative to the page. */
  readonly offset: number;
  readonly what: string;
}

interface PageKeys {
  readonly encryption: SecretKey;
  readonly nonce: SecretKey;
  readonly commitment: Uint8Array;
}

/** The page's bytes under a new bucket key, wrapped under the tenant's secret `secretNumber`. */
export function encodeSubjectPage(
  of: { readonly logId: LogId; readonly record: SubjectPageRecord; readonly secretNumber: number },
  content: Uint8Array,
  keys: { readonly secretOf: SecretOf; readonly entropy: Entropy },
): Uint8Array | undefined {
  const { logId, record, secretNumber } = of;
  const wrapping = wrappingKey(keys.secretOf, { logId, ...record, secretNumber });
  if (wrapping === undefined) return undefined;
  const bytes = new Uint8Array(subjectPageBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, formatRevision, true);
  bytes.set(logId, 8);
  view.setUint32(24, record.owner, true);
  view.setUint32(28, record.page, true);
  setU64(view, 32, record.generation);
  view.setUint32(40, secretNumber, true);
  view.setUint32(44, algorithmId(algorithm), true);
  const bucket = new SecretKey(keys.entropy.bytes(32));
  const page = pageKeys(bucket, { logId, ...record });
  bytes.set(wrapKey(wrapping, bucket), 48);
  bytes.set(page.commitment, commitmentAt);
  const aad = aadOf(bytes);
  const covered = pae(aad, content);
  const nonce = hmac(page.nonce, covered).subarray(0, nonceBytes);
  covered.fill(0);
  bytes.set(nonce, nonceAt);
  bytes.set(sealBytes(page.encryption, nonce, aad, content, algorithm), sealedAt);
  view.setUint32(crcAt, crc32(bytes.subarray(0, crcAt)), true);
  for (const key of [wrapping, bucket, page.encryption, page.nonce]) key.wipe();
  return bytes;
}

/** Opens a page's bytes, or says what is wrong with them. */
export function decodeSubjectPage(
  bytes: Uint8Array,
  place: SubjectPagePlace & { readonly logId: LogId },
  secretOf: SecretOf,
): SubjectPage | PageProblem {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const unsealed = checkPageLayout(bytes, place);
  if (unsealed !== undefined) return unsealed;
  const generation = view.getUint32(36, true) * 0x1_0000_0000 + view.getUint32(32, true);
  const secretNumber = view.getUint32(40, true);
  const wrapping = wrappingKey(secretOf, { ...place, secretNumber });
  if (wrapping === undefined)
    return { code: 'MISSING_DATA', offset: 40, what: 'A page whose key the keyring lacks lies' };
  const bucket = unwrapKey(wrapping, bytes.subarray(48, commitmentAt));
  wrapping.wipe();
  const content = bucket === undefined ? undefined : openContent(bytes, bucket, place);
  bucket?.wipe();
  if (content === undefined)
    return { code: 'AUTHENTICATION_FAILED', offset: 48, what: 'A page that does not open lies' };
  return new SubjectPage(generation, secretNumber, content);
}

export function isPageProblem(result: SubjectPage | PageProblem): result is PageProblem {
  return 'what' in result;
}

/** What is wrong with a page, as far as no key is needed to tell. */
export function checkPageLayout(
  bytes: Uint8Array,
  { logId, owner, page }: SubjectPagePlace & { readonly logId: LogId },
): PageProblem | undefined {
  if (bytes.length < subjectPageBytes)
    return { code: 'MISSING_DATA', offset: bytes.length, what: 'A page that is cut off lies' };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(crcAt, true) !== crc32(bytes.subarray(0, crcAt)))
    return { code: 'CHECKSUM_MISMATCH', offset: 0, what: 'A page that is not as written lies' };
  if (view.getUint32(0, true) !== magic)
    return { code: 'CHECKSUM_MISMATCH', offset: 0, what: 'No page of subject keys lies' };
  if (
    view.getUint32(4, true) !== formatRevision ||
    view.getUint32(44, true) !== algorithmId(algorithm)
  )
    return { code: 'FORMAT_UNSUPPORTED', offset: 4, what: 'A page of another format lies' };
  const isOurs = logId.every((byte, index) => byte === bytes[8 + index]);
  if (!isOurs || view.getUint32(24, true) !== owner || view.getUint32(28, true) !== page)
    return { code: 'FOREIGN_FILE', offset: 8, what: 'A page of another place lies' };
  const tail = bytes.subarray(sealedEnd, crcAt).findIndex((byte) => byte !== 0);
  if (tail !== -1)
    return {
      code: 'CHECKSUM_MISMATCH',
      offset: sealedEnd + tail,
      what: 'Bytes that nobody wrote lie',
    };
  return undefined;
}

function openContent(
  bytes: Uint8Array,
  bucket: SecretKey,
  place: SubjectPagePlace & { readonly logId: LogId },
): Uint8Array | undefined {
  const keys = pageKeys(bucket, place);
  try {
    if (!constantTimeEqual(keys.commitment, bytes.subarray(commitmentAt, nonceAt)))
      return undefined;
    const nonce = bytes.subarray(nonceAt, sealedAt);
    const sealed = bytes.subarray(sealedAt, sealedEnd);
    return openBytes(keys.encryption, nonce, aadOf(bytes), sealed, algorithm);
  } finally {
    keys.encryption.wipe();
    keys.nonce.wipe();
  }
}

function wrappingKey(
  secretOf: SecretOf,
  place: SubjectPagePlace & { readonly logId: LogId; readonly secretNumber: number },
): SecretKey | undefined {
  const secret = secretOf(place.secretNumber);
  if (secret === undefined) return undefined;
  const key = deriveKey(secret, wrapPurpose, placeBytes(place));
  secret.wipe();
  return key;
}

function pageKeys(
  bucket: SecretKey,
  place: SubjectPagePlace & { readonly logId: LogId },
): PageKeys {
  const info = pae('veritydb/bucket/v1', placeBytes(place));
  const material = hkdf(bucket, new Uint8Array(32), info, 96);
  const keys = {
    encryption: new SecretKey(material.slice(0, 32)),
    nonce: new SecretKey(material.slice(32, 64)),
    commitment: material.slice(64, 96),
  };
  material.fill(0);
  return keys;
}

function placeBytes({
  logId,
  owner,
  page,
}: SubjectPagePlace & { readonly logId: LogId }): Uint8Array {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  bytes.set(logId);
  view.setUint32(16, owner, true);
  view.setUint32(20, page, true);
  return bytes;
}

function aadOf(page: Uint8Array): Uint8Array {
  return pae(pagePurpose, page.subarray(0, nonceAt));
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value % 0x1_0000_0000, true);
  view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** The first page of a tenant's file: what it is, and how its pages are laid out. */
export function encodeSubjectFileHeader(logId: LogId, owner: TenantId): Uint8Array {
  const bytes = new Uint8Array(subjectPageBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, fileMagic, true);
  view.setUint32(4, formatRevision, true);
  bytes.set(logId, 8);
  view.setUint32(24, owner, true);
  view.setUint32(28, subjectPageBytes, true);
  view.setUint32(32, subjectsPerPage, true);
  view.setUint32(crcAt, crc32(bytes.subarray(0, crcAt)), true);
  return bytes;
}

/** What is wrong with a file's first page; its bytes follow from log id and tenant. */
export function checkSubjectFileHeader(
  bytes: Uint8Array,
  logId: LogId,
  owner: TenantId,
): PageProblem | undefined {
  const expected = encodeSubjectFileHeader(logId, owner);
  if (bytes.length < expected.length)
    return { code: 'MISSING_DATA', offset: bytes.length, what: 'A header that is cut off lies' };
  const offset = expected.findIndex((byte, index) => byte !== bytes[index]);
  if (offset === -1) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(crcAt, true) !== crc32(bytes.subarray(0, crcAt)))
    return { code: 'CHECKSUM_MISMATCH', offset, what: 'A header that is not as written lies' };
  return view.getUint32(4, true) === formatRevision
    ? { code: 'FOREIGN_FILE', offset, what: 'The header of another file lies' }
    : { code: 'FORMAT_UNSUPPORTED', offset: 4, what: 'A format that is not read here lies' };
}
