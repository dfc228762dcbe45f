/**
 * What stands for a value over 1 MiB, which is kept in a file of its own: revision 1.
 *
 * | bytes | field                                   |
 * |-------|-----------------------------------------|
 * | 16    | id: the name of the file, as hex        |
 * | 4     | length of the value                     |
 * | 32    | SHA-256 of the value (of text: its UTF-8) |
 *
 * A row holds it in the value's place, so that the commitment to the row's event covers the value.
 */
import { limits, type Value } from '../base/index.ts';
import { DecodeError, Reader } from './reader.ts';
import { Writer } from './writer.ts';

export const blobIdBytes = 16;
export const blobReferenceBytes = blobIdBytes + 4 + 32;

export class BlobReference {
  readonly id: Uint8Array;
  readonly lengthBytes: number;
  readonly digest: Uint8Array;
  /** Of a text, varchar or jsonb value, not of bytea. Known from the column, not stored. */
  readonly isText: boolean;

  constructor(of: {
    readonly id: Uint8Array;
    readonly lengthBytes: number;
    readonly digest: Uint8Array;
    readonly isText: boolean;
  }) {
    this.id = of.id;
    this.lengthBytes = of.lengthBytes;
    this.digest = of.digest;
    this.isText = of.isText;
  }
}

/** A reference as what rows hold in a value's place. Whoever uses a row's values looks for it with `blobOf`. */
export function asStoredValue(reference: BlobReference): NonNullable<Value> {
  // Not one of the types of Value: an expression never meets it, and would not know what to do with it.
  return reference as unknown as NonNullable<Value>;
}

/** What a value of a stored row is kept as; undefined if the value itself is there. */
export function blobOf(value: Value): BlobReference | undefined {
  return value instanceof BlobReference ? value : undefined;
}

export function encodeBlobReference(
  writer: Writer,
  { id, lengthBytes, digest }: BlobReference,
): void {
  writer.raw(id);
  writer.u32(lengthBytes);
  writer.raw(digest);
}

/** Owns its bytes. Throws DecodeError. */
export function decodeBlobReference(bytes: Uint8Array, isText: boolean): BlobReference {
  const reader = new Reader(bytes);
  const id = reader.raw(blobIdBytes).slice();
  const lengthBytes = reader.u32();
  // What is in a row is never kept as a blob, and no blob is larger.
  if (lengthBytes <= limits.valueBytesMax || lengthBytes > limits.blobBytesMax)
    throw new DecodeError('a blob has a length that none has', blobIdBytes);
  return new BlobReference({ id, lengthBytes, digest: reader.raw(32).slice(), isText });
}

/** Several references behind one another, as an event lists them. */
export function encodeBlobReferences(references: readonly BlobReference[]): Uint8Array {
  const writer = new Writer(references.length * blobReferenceBytes);
  for (const reference of references) encodeBlobReference(writer, reference);
  return writer.finish();
}

/** Throws DecodeError. Whether they are text is not known here. */
export function decodeBlobReferences(bytes: Uint8Array): BlobReference[] {
  if (bytes.length === 0 || bytes.length % blobReferenceBytes !== 0)
    throw new DecodeError('a list of blobs has not its length', 0);
  const references: BlobReference[] = [];
  for (let at = 0; at < bytes.length; at += blobReferenceBytes)
    references.push(decodeBlobReference(bytes.subarray(at, at + blobReferenceBytes), false));
  return references;
}
