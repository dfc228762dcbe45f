/** Values that a stored row names and does not hold: where a statement meets them, and where it makes new ones. */
import {
  assert,
  type ColumnType,
  limits,
  utf8Length,
  type Value,
  VerityError,
} from '../../base/index.ts';
import {
  asStoredValue,
  blobOf,
  type BlobReference,
  type Column,
  type TableSchema,
} from '../../codec/index.ts';
import type { ExecutionContext } from '../contract.ts';

const wideTypes: ReadonlySet<string> = new Set(['text', 'varchar', 'jsonb', 'bytea']);

/** Whether values of the type may be too large for a row. */
export const mayBeBlob = (type: ColumnType): boolean => wideTypes.has(type.name);

/** A value out of a stored row, read from its file if the row does not hold it. */
export function valueOf(value: Value, context: ExecutionContext): Value {
  const reference = typeof value === 'object' && value !== null ? blobOf(value) : undefined;
  if (reference === undefined) return value;
  assert(context.blobs !== undefined, 'whoever reads rows can read what they name');
  return context.blobs.load(reference);
}

/** Puts references into the place of values that are too large for a row; one for each of a table's definitions. */
export function compileKeep(
  table: TableSchema,
  keyed: ReadonlySet<number>,
): ((values: Value[], context: ExecutionContext) => void) | undefined {
  // What is part of a key is refused as ever.
  const wide = table.columns.flatMap((column, ordinal) =>
    mayBeBlob(column.type) && !keyed.has(ordinal) ? [{ column, ordinal }] : [],
  );
  if (wide.length === 0) return undefined;
  return (values, context) => {
    for (const { column, ordinal } of wide) {
      const value = values[ordinal] as Value;
      const isWide =
        typeof value === 'string'
          ? value.length * 3 > limits.valueBytesMax
          : value instanceof Uint8Array && value.length > limits.valueBytesMax;
      if (isWide) values[ordinal] = kept(value as string | Uint8Array, context, [table, column]);
    }
  };
}

function kept(
  value: string | Uint8Array,
  { blobs }: ExecutionContext,
  [table, column]: readonly [TableSchema, Column],
): Value {
  // Before it is measured: of a long text that takes a while.
  const known = blobs?.known(value);
  if (known !== undefined) return asStoredValue(known);
  const sizeBytes = typeof value === 'string' ? utf8Length(value) : value.length;
  if (sizeBytes <= limits.valueBytesMax) return value;
  if (blobs !== undefined && sizeBytes <= limits.blobBytesMax)
    return asStoredValue(blobs.keep(value, sizeBytes));
  throw new VerityError(
    'VALUE_TOO_LARGE',
    `A value of column "${column.name}" of table "${table.name}" takes ${sizeBytes} bytes; the limit is ` +
      `${limits.blobBytesMax}. Split it, or keep it outside and store its digest.`,
    { details: { table: table.name, column: column.name } },
  );
}

/** The references among a row's values; undefined if there is none. */
export function blobsIn(values: readonly Value[]): readonly BlobReference[] | undefined {
  let found: BlobReference[] | undefined;
  for (const value of values) {
    if (typeof value !== 'object' || value === null) continue;
    const reference = blobOf(value);
    if (reference !== undefined) (found ??= []).push(reference);
  }
  return found;
}
