/** What a table's definition means for its rows and keys, worked out once per definition. */
import {
  assert,
  type ColumnType,
  limits,
  type StoreKey,
  type Value,
  VerityError,
} from '../../base/index.ts';
import {
  encodeBoundKey,
  type Index,
  type RowCodec,
  rowCodec,
  type TableSchema,
} from '../../codec/index.ts';

export interface TableLayout {
  readonly codec: RowCodec;
  readonly keyTypes: readonly ColumnType[];
}

const layouts = new WeakMap<TableSchema, TableLayout>();
const indexTypes = new WeakMap<Index, readonly ColumnType[]>();

export function layoutOf(table: TableSchema): TableLayout {
  let layout = layouts.get(table);
  if (layout === undefined) {
    layout = {
      codec: rowCodec(table.columns.map((column) => column.type)),
      keyTypes: table.primaryKey.map((ordinal) => typeOf(table, ordinal)),
    };
    layouts.set(table, layout);
  }
  return layout;
}

/** The codec of the table's rows, the same object for the same schema object. */
export function tableRowCodec(table: TableSchema): RowCodec {
  return layoutOf(table).codec;
}

/** The store key of a row, from its primary key's values. Throws VALUE_TOO_LARGE. The table must have a primary key. */
export function primaryKeyOf(table: TableSchema, values: readonly Value[]): StoreKey {
  const ordinals = table.primaryKey;
  assert(ordinals.length > 0, 'the table has a primary key');
  const parts =
    ordinals.length === 1
      ? [values[ordinals[0] as number] as Value]
      : ordinals.map((ordinal) => values[ordinal] as Value);
  const key = encodeBoundKey(layoutOf(table).keyTypes, parts);
  if (key.length > limits.keyBytesMax) throw keyTooLarge(table, 'The primary key');
  return key;
}

/**
 * A row's key in an index: the encoded index columns, and behind them the primary key where rows may
 * share them: always in a plain index, and in a unique one when a column is NULL, since NULLs differ.
 * Throws VALUE_TOO_LARGE.
 */
export function indexKey(
  table: TableSchema,
  index: Index,
  values: readonly Value[],
  primaryKey: StoreKey,
): StoreKey {
  let hasNull = false;
  const parts = index.columns.map((ordinal) => {
    const value = values[ordinal] as Value;
    if (value === null) hasNull = true;
    return value;
  });
  const key = encodeBoundKey(indexTypesOf(table, index), parts);
  if (key.length > limits.keyBytesMax) throw keyTooLarge(table, `The key of index "${index.name}"`);
  return index.unique && !hasNull ? key : ((key + primaryKey) as StoreKey);
}

export function indexTypesOf(table: TableSchema, index: Index): readonly ColumnType[] {
  let types = indexTypes.get(index);
  if (types === undefined) {
    types = index.columns.map((ordinal) => typeOf(table, ordinal));
    indexTypes.set(index, types);
  }
  return types;
}

function typeOf(table: TableSchema, ordinal: number): ColumnType {
  const column = table.columns[ordinal];
  assert(column !== undefined, 'a key names columns of its table');
  return column.type;
}

const keyTooLarge = (table: TableSchema, what: string): VerityError =>
  new VerityError(
    'VALUE_TOO_LARGE',
    `${what} of table "${table.name}" exceeds ${limits.keyBytesMax} bytes; use shorter key values.`,
    {
      details: { table: table.name },
    },
  );
