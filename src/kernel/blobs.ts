/** Values that rows name and do not hold: what the state knows of them, and how a statement gets and makes them. */
import {
  type ColumnType,
  equalBytes,
  type LeafIndex,
  limits,
  type StoreKey,
  type TenantId,
  type Value,
  VerityError,
} from '../base/index.ts';
import { BlobReference, encodeKey, Reader, type RowEvent, Writer } from '../codec/index.ts';
import type { BlobAccess } from '../sql/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import { blobsTree } from './objects.ts';

/** Reads blobs, for the shell to pass in. Throws CorruptionError. What it gives depends on the reference alone. */
export type ReadBlob = (tenant: TenantId, reference: BlobReference) => string | Uint8Array;

/** A value that was made durable before the command that names it, or that is yet to be. */
export interface StagedBlob {
  readonly value: string | Uint8Array;
  readonly reference: BlobReference;
}

/** A statement's parameters, bound to these types. */
export interface BoundParameters {
  readonly types: readonly ColumnType[];
  readonly values: readonly Value[];
}

/** A blob that some row names, or named once. */
export interface BlobRecord {
  readonly id: Uint8Array;
  readonly tenant: TenantId;
  readonly lengthBytes: number;
  readonly digest: Uint8Array;
}

/** A blob, and the event whose row named it first. */
export interface NamedBlob extends BlobRecord {
  readonly leaf: LeafIndex;
}

const keyTypes = [{ name: 'bytea' }] as const;

const blobKey = (id: Uint8Array): StoreKey => encodeKey(keyTypes, [id]);

/** The changes by which the blobs of a row are remembered, once each. */
export function blobChanges(event: RowEvent, leaf: LeafIndex, view: ReadView): StoreChange[] {
  const changes: StoreChange[] = [];
  for (const { id, lengthBytes, digest } of event.blobs ?? []) {
    const key = blobKey(id);
    if (view.get(blobsTree, key) !== undefined) continue;
    const row = new Writer(60);
    row.raw(id);
    row.u32(event.tenant);
    row.u32(lengthBytes);
    row.raw(digest);
    changes.push({ tree: blobsTree, key, row: row.finish(), leaf });
  }
  return changes;
}

/** Whether some row names a blob, or named it once. */
export function isBlobNamed(view: ReadView, id: Uint8Array): boolean {
  return view.get(blobsTree, blobKey(id)) !== undefined;
}

/** All blobs that rows name, or named once, in the order of their ids. */
export function* blobRecords(view: ReadView): Generator<NamedBlob, undefined> {
  const cursor = view.scan(blobsTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const reader = new Reader(entry.row);
    yield {
      id: reader.raw(16).slice(),
      tenant: reader.u32() as TenantId,
      lengthBytes: reader.u32(),
      digest: reader.raw(32).slice(),
      leaf: entry.leaf,
    };
  }
  return undefined;
}

/** A command was decided that makes values too large for rows: they are to be made durable, and it is decided again. */
export class BlobsWanted extends Error {
  override readonly name = 'BlobsWanted';
  readonly values: readonly (string | Uint8Array)[];
  readonly bound: BoundParameters;

  constructor(values: readonly (string | Uint8Array)[], bound: BoundParameters) {
    super('values are to be kept as blobs first');
    this.values = values;
    this.bound = bound;
  }
}

/** The blobs of one run of a statement. */
export class StatementBlobs implements BlobAccess {
  readonly #tenant: TenantId;
  readonly #read: ReadBlob;
  readonly #staged: readonly StagedBlob[];
  readonly #wanted: StagedBlob[] = [];
  #bytes = 0;
  /** What was read last: conditions and outputs of one row often ask for the same. */
  #last: StagedBlob | undefined;

  constructor(tenant: TenantId, read: ReadBlob, staged: readonly StagedBlob[]) {
    this.#tenant = tenant;
    this.#read = read;
    this.#staged = staged;
  }

  load(reference: BlobReference): string | Uint8Array {
    const isIt = (each: StagedBlob): boolean => each.reference === reference;
    const own = this.#staged.find(isIt) ?? this.#wanted.find(isIt);
    if (own !== undefined) return own.value;
    if (this.#last === undefined || !equalBytes(this.#last.reference.id, reference.id))
      this.#last = { reference, value: this.#read(this.#tenant, reference) };
    return this.#last.value;
  }

  known(value: string | Uint8Array): BlobReference | undefined {
    const isIt = (each: StagedBlob): boolean => isSame(each.value, value);
    return (this.#staged.find(isIt) ?? this.#wanted.find(isIt))?.reference;
  }

  keep(value: string | Uint8Array, sizeBytes: number): BlobReference {
    this.#bytes += sizeBytes;
    if (this.#bytes > limits.commandBlobBytesMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The large values of a command take more than ${limits.commandBlobBytesMax} bytes together. Use several commands.`,
      );
    }
    this.#wanted.push({ value, reference: placeholder(value, sizeBytes) });
    return (this.#wanted.at(-1) as StagedBlob).reference;
  }

  /** Values that the run met and that are not durable yet: what it made of them is to be thrown away. */
  get wanted(): readonly (string | Uint8Array)[] {
    return this.#wanted.map(({ value }) => value);
  }
}

function isSame(left: string | Uint8Array, right: string | Uint8Array): boolean {
  if (left === right) return true;
  return left instanceof Uint8Array && right instanceof Uint8Array && equalBytes(left, right);
}

/** Stands in a row that is thrown away. */
function placeholder(value: string | Uint8Array, lengthBytes: number): BlobReference {
  const isText = typeof value === 'string';
  return new BlobReference({
    id: new Uint8Array(16),
    lengthBytes,
    digest: new Uint8Array(32),
    isText,
  });
}
