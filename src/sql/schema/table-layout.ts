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
  blobOf,
  type Column,
  decodeKeyColumn,
  encodeBoundKey,
  type EventCut,
  eventCut,
  type GroupedColumn,
  groupedRowCodec,
  type Index,
  type RowCodec,
  type TableSchema,
  valueOfLiteral,
} from '../../codec/index.ts';

export interface TableLayout {
  readonly codec: RowCodec;
  readonly keyTypes: readonly ColumnType[];
  /** Ordinals of the columns that some index is over, those being built too; ascending. */
  readonly indexed: readonly number[];
  /** Of a table whose rows' events are committed to field by field. */
  readonly cut: EventCut | undefined;
}

const layouts = new WeakMap<TableSchema, TableLayout>();
const indexTypes = new WeakMap<Index, readonly ColumnType[]>();

export function layoutOf(table: TableSchema): TableLayout {
  let layout = layouts.get(table);
  if (layout === undefined) {
    const columns = table.columns.map(groupedColumn);
    layout = {
      codec: groupedRowCodec(columns),
      cut: table.disclosure === 'field' ? eventCut(columns) : undefined,
      keyTypes: table.primaryKey.map((ordinal) => typeOf(table, ordinal)),
      indexed: [...new Set(indexesOf(table).flatMap((index) => index.columns))].toSorted(
        (left, right) => left - right,
      ),
    };
    layouts.set(table, layout);
  }
  return layout;
}

const groupedColumn = ({ type, since, missing }: Column): GroupedColumn => ({
  type,
  group: since ?? 1,
  missing: missing === undefined ? null : valueOfLiteral(missing),
});

/** The codec of the table's rows, older ones too; the same object for the same schema object. */
export function tableRowCodec(table: TableSchema): RowCodec {
  return layoutOf(table).codec;
}

/** How events of the table's rows are cut into fields; undefined if they are committed to as a whole. */
export function tableEventCut(table: TableSchema): EventCut | undefined {
  return table.disclosure === undefined ? undefined : layoutOf(table).cut;
}

/** The values of a row that its entries in indexes are made of; NULL stands for all others. */
export function indexedValues(table: TableSchema, row: Uint8Array): Value[] {
  const { codec, indexed } = layoutOf(table);
  return codec.decodeSome(row, indexed);
}

/** All indexes that writes keep up to date, those being built too. */
export function indexesOf(table: TableSchema): readonly Index[] {
  return table.building === undefined ? table.indexes : [...table.indexes, ...table.building];
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
    else if (blobOf(value) !== undefined)
      throw keyTooLarge(table, `The key of index "${index.name}"`);
    return value;
  });
  const key = indexBoundKey(table, index, parts);
  if (key.length > limits.keyBytesMax) throw keyTooLarge(table, `The key of index "${index.name}"`);
  return index.unique && !hasNull ? key : ((key + primaryKey) as StoreKey);
}

/** The beginning of an index's keys whose leading columns have these values, as long as it may be. */
export function indexBoundKey(
  table: TableSchema,
  index: Index,
  values: readonly Value[],
): StoreKey {
  const all = indexTypesOf(table, index);
  const types = values.length === all.length ? all : all.slice(0, values.length);
  if (index.descending === undefined) return encodeBoundKey(types, values);
  let key = '';
  for (let part = 0; part < values.length; part++) {
    const encoded = encodeBoundKey([types[part] as ColumnType], [values[part] as Value]);
    key += index.descending[part] === true ? inverted(encoded) : encoded;
  }
  return key as StoreKey;
}

/** The values of an index's columns in one of its keys. */
export function decodeIndexKey(table: TableSchema, index: Index, key: StoreKey): Value[] {
  let at = 0;
  return indexTypesOf(table, index).map((type, part) => {
    const rest = key.slice(at);
    const { value, end } = decodeKeyColumn(
      type,
      index.descending?.[part] === true ? inverted(rest) : rest,
      0,
    );
    at += end;
    return value;
  });
}

/** Every byte's complement: sorts the other way round. */
function inverted(key: string): StoreKey {
  let result = '';
  for (let index = 0; index < key.length; index++)
    result += String.fromCharCode(0xff - key.charCodeAt(index));
  return result as StoreKey;
}

function indexTypesOf(table: TableSchema, index: Index): readonly ColumnType[] {
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
