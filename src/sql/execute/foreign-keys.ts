/** Checks foreign keys at the end of a statement, on the side that refers and on the side referred to. */
import {
  assert,
  type ColumnType,
  type StoreKey,
  treeOf,
  type Value,
  VerityError,
} from '../../base/index.ts';
import {
  type Column,
  encodeBoundKey,
  type ForeignKey,
  type Index,
  keyPrefixRange,
  type TableSchema,
} from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { Catalog } from '../contract.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { referencedKey, supportingIndex } from '../schema/table-keys.ts';
import { indexBoundKey, layoutOf } from '../schema/table-layout.ts';
import type { NewRow } from './uniqueness.ts';

/** What a statement makes of a table's rows. */
export interface RowsChange {
  /** Rows as they were; `after` is what an update makes of them. */
  readonly removed: readonly {
    readonly key: StoreKey;
    readonly values: readonly Value[];
    readonly after?: readonly Value[];
  }[];
  readonly added: readonly NewRow[];
}

/** Throws FOREIGN_KEY_VIOLATION. `view` is the state before the statement. */
export type CheckForeignKeys = (view: ReadView, change: RowsChange) => void;

/**
 * The check of a table's changes; undefined where no foreign key is touched. `touched`: the columns that an
 * UPDATE assigns; 'insert' and 'delete' touch one side only.
 */
export function compileForeignKeys(
  catalog: Catalog,
  table: TableSchema,
  touched: 'insert' | 'delete' | readonly number[],
): CheckForeignKeys | undefined {
  const meets = (columns: readonly number[]): boolean =>
    typeof touched === 'string' || columns.some((ordinal) => touched.includes(ordinal));
  const checks: CheckForeignKeys[] = [];
  if (touched !== 'delete') {
    for (const key of table.foreignKeys ?? []) {
      // Rows of the table itself may be left behind by a change of what they refer to.
      const isMoved = key.table === table.id && meets(key.references);
      if (meets(key.columns) || isMoved) checks.push(compileReferring(catalog, table, key));
    }
  }
  if (touched !== 'insert') {
    for (const child of catalog.relations()) {
      for (const key of child.foreignKeys ?? []) {
        if (key.table !== table.id || !meets(key.references)) continue;
        checks.push(compileReferred(catalog, table, child, key));
      }
    }
  }
  if (checks.length === 0) return undefined;
  return (view, change) => {
    for (const check of checks) check(view, change);
  };
}

/** Every new row refers to a row that is there, or has a NULL among the columns that refer. */
export function compileReferring(
  catalog: Catalog,
  table: TableSchema,
  key: ForeignKey,
): CheckForeignKeys {
  const parent = key.table === table.id ? table : tableOf(catalog, key);
  const find = parent && compileFind(catalog, parent, key.references, 'one');
  const convert = parent && compileConvert(table, key.columns, parent, key.references);
  const isOwn = key.table === table.id;
  const textOf = compileKeyText(parent ?? table, parent ? key.references : key.columns);
  return (view, { removed, added }) => {
    const own = isOwn ? keysOf(added, key.references, textOf) : undefined;
    const gone = isOwn ? keysOf(removed, key.references, textOf) : undefined;
    for (const { values } of added) {
      const referring = valuesOf(values, key.columns);
      if (referring === undefined) continue;
      const wanted = convert?.(referring);
      if (wanted !== undefined) {
        const text = isOwn ? textOf(wanted) : '';
        if (own?.has(text) === true) continue;
        if (gone?.has(text) !== true && find?.(view, wanted, nothing) === true) continue;
      }
      throw notThere(table, key, parent?.name ?? '');
    }
  };
}

/** No row refers any longer to one that the statement takes away, or changes in the columns referred to. */
function compileReferred(
  catalog: Catalog,
  table: TableSchema,
  child: TableSchema,
  key: ForeignKey,
): CheckForeignKeys {
  const find = compileFind(catalog, child, key.columns, 'any');
  const convert = compileConvert(table, key.references, child, key.columns);
  const isOwn = child.id === table.id;
  const textOf = compileKeyText(table, key.references);
  return (view, { removed, added }) => {
    const now = keysOf(added, key.references, textOf);
    // Rows of the statement itself are looked at as they are after it, by the other check.
    const changed = isOwn ? new Set(removed.map((row) => row.key)) : nothing;
    for (const { values, after } of removed) {
      const referred = valuesOf(values, key.references);
      if (referred === undefined) continue;
      const text = textOf(referred);
      const still = after && valuesOf(after, key.references);
      if (still !== undefined && textOf(still) === text) continue;
      const action = after === undefined ? key.onDelete : key.onUpdate;
      if (action === 'noAction' && now.has(text)) continue;
      const wanted = convert(referred);
      if (wanted !== undefined && find(view, wanted, changed))
        throw stillReferred(table, child, key);
    }
  };
}

const nothing: ReadonlySet<StoreKey> = new Set();

function tableOf(catalog: Catalog, key: ForeignKey): TableSchema | undefined {
  return catalog.relations().find((each) => each.id === key.table);
}

function valuesOf(
  row: readonly Value[],
  ordinals: readonly number[],
): readonly NonNullable<Value>[] | undefined {
  const values = ordinals.map((ordinal) => row[ordinal] ?? null);
  return values.every((value) => value !== null) ? values : undefined;
}

type KeyText = (values: readonly NonNullable<Value>[]) => string;

/** The same text for values that are equal as keys, also where they are written differently, as 1.0 and 1.00 are. */
function compileKeyText(table: TableSchema, columns: readonly number[]): KeyText {
  const types = columns.map((ordinal) => (table.columns[ordinal] as Column).type);
  return (values) => encodeBoundKey(types, values);
}

function keysOf(
  rows: readonly { readonly values: readonly Value[] }[],
  ordinals: readonly number[],
  textOf: KeyText,
): ReadonlySet<string> {
  const keys = new Set<string>();
  for (const { values } of rows) {
    const key = valuesOf(values, ordinals);
    if (key !== undefined) keys.add(textOf(key));
  }
  return keys;
}

type Convert = (values: readonly NonNullable<Value>[]) => readonly NonNullable<Value>[] | undefined;

/** From the types of one side to those of the other; undefined when a whole number does not fit there. */
function compileConvert(
  from: TableSchema,
  fromColumns: readonly number[],
  to: TableSchema,
  toColumns: readonly number[],
): Convert {
  const types = toColumns.map((ordinal) => to.columns[ordinal]?.type.name);
  const isSame = fromColumns.every(
    (ordinal, index) => from.columns[ordinal]?.type.name === types[index],
  );
  if (isSame) return (values) => values;
  return (values) => {
    const converted = values.map((value, index) => asInteger(value, types[index]));
    return converted.every((value) => value !== undefined) ? converted : undefined;
  };
}

function asInteger(
  value: NonNullable<Value>,
  type: ColumnType['name'] | undefined,
): NonNullable<Value> | undefined {
  if (typeof value !== 'number' && typeof value !== 'bigint') return value;
  if (type === 'bigint') return BigInt(value);
  const limit = type === 'smallint' ? 0x8000 : 0x8000_0000;
  const number = Number(value);
  return number >= -limit && number < limit ? number : undefined;
}

/** Whether a row has these values, of `columns`; rows in `except` do not count. */
type Find = (
  view: ReadView,
  values: readonly NonNullable<Value>[],
  except: ReadonlySet<StoreKey>,
) => boolean;

/** By a unique key of the columns ('one'), or by any index that begins with them. */
function compileFind(
  catalog: Catalog,
  table: TableSchema,
  columns: readonly number[],
  how: 'one' | 'any',
): Find {
  const rows = treeOf(catalog.tenant, table.id);
  const access =
    how === 'one' ? referencedKey(table, columns) : supportingIndex(table, { columns });
  // Defining a foreign key makes sure of both, and what they rest on cannot be dropped before it.
  assert(access !== undefined, 'a foreign key has a key on one side and an index on the other');
  const { keyTypes } = layoutOf(table);
  const ordered = (
    access === 'primaryKey' ? table.primaryKey.slice(0, columns.length) : access.columns
  )
    .slice(0, columns.length)
    .map((ordinal) => columns.indexOf(ordinal));
  const tree = access === 'primaryKey' ? rows : treeOf(catalog.tenant, access.id);
  const index: Index | undefined = access === 'primaryKey' ? undefined : access;
  return (view, values, except) => {
    const parts = ordered.map((place) => values[place] as NonNullable<Value>);
    const key =
      index === undefined
        ? encodeBoundKey(keyTypes.slice(0, parts.length), parts)
        : indexBoundKey(table, index, parts);
    if (how === 'one') return view.get(tree, key) !== undefined;
    const cursor = view.scan(tree, keyPrefixRange(key));
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const row = index === undefined ? entry.key : keyOfBytes(entry.row);
      if (!except.has(row)) return true;
    }
    return false;
  };
}

function notThere(table: TableSchema, key: ForeignKey, parent: string): VerityError {
  const columns = key.columns.map((ordinal) => table.columns[ordinal]?.name ?? '');
  return new VerityError(
    'FOREIGN_KEY_VIOLATION',
    `A row of table "${table.name}" refers to one that table "${parent}" does not have (foreign key "${key.name}"); insert that first.`,
    { details: { table: table.name, constraint: key.name, columns } },
  );
}

function stillReferred(table: TableSchema, child: TableSchema, key: ForeignKey): VerityError {
  return new VerityError(
    'FOREIGN_KEY_VIOLATION',
    `A row of table "${table.name}" is still referred to from table "${child.name}" (foreign key "${key.name}"); change or delete the rows there first.`,
    { details: { table: child.name, constraint: key.name } },
  );
}
