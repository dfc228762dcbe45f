/** Checks keys at the end of a statement, against the view together with what the statement changes. */
import { limits, type StoreKey, treeOf, type Value, VerityError } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { Catalog } from '../contract.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { primaryKeyName } from '../schema/table-keys.ts';
import { indexesOf, indexKey } from '../schema/table-layout.ts';
import { lengthOf } from './result-size.ts';

/** A row as the statement leaves it, under its key. */
export interface NewRow {
  readonly key: StoreKey;
  readonly values: readonly Value[];
}

/**
 * Throws UNIQUE_VIOLATION if a new row's primary key or unique index key is held by another row.
 * `removed` are the store keys of rows that the statement deletes, moves or rewrites. Returns whether it is known that
 * none of the new rows' keys ever was.
 */
export function checkUnique(
  catalog: Catalog,
  table: TableSchema,
  view: ReadView,
  change: { readonly removed: ReadonlySet<StoreKey>; readonly added: readonly NewRow[] },
): boolean {
  const { removed, added } = change;
  const areNew = checkPrimaryKeys(catalog, table, view, change);
  for (const index of indexesOf(table)) {
    if (!index.unique) continue;
    const tree = treeOf(catalog.tenant, index.id);
    const taken = added.length > 1 ? new Set<string>() : undefined;
    for (const { key, values } of added) {
      const entryKey = indexKey(table, index, values, key);
      if (taken?.has(entryKey) === true) throw indexTaken(table, index);
      taken?.add(entryKey);
      const entry = view.get(tree, entryKey);
      // An entry of a row that this statement rewrites or deletes no longer counts.
      if (entry !== undefined && (removed.size === 0 || !removed.has(keyOfBytes(entry.row))))
        throw indexTaken(table, index);
    }
  }
  return areNew;
}

function checkPrimaryKeys(
  catalog: Catalog,
  table: TableSchema,
  view: ReadView,
  change: { readonly removed: ReadonlySet<StoreKey>; readonly added: readonly NewRow[] },
): boolean {
  if (table.primaryKey.length === 0) return false;
  const { removed, added } = change;
  const tree = treeOf(catalog.tenant, table.id);
  const taken = added.length > 1 ? new Set<StoreKey>() : undefined;
  let areNew = view.neverWas !== undefined;
  for (const { key } of added) {
    if (taken !== undefined && taken.size === taken.add(key).size) throw primaryTaken(table);
    // One look tells of rows that are there and of those that were.
    if (view.neverWas?.(tree, key) === true) continue;
    areNew = false;
    if (!removed.has(key) && view.get(tree, key) !== undefined) throw primaryTaken(table);
  }
  return areNew;
}

const columnsOf = (table: TableSchema, ordinals: readonly number[]): string[] =>
  ordinals.map((ordinal) => table.columns[ordinal]?.name ?? '');

const listed = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');

function primaryTaken(table: TableSchema): VerityError {
  const columns = columnsOf(table, table.primaryKey);
  const constraint = primaryKeyName(table);
  return new VerityError(
    'UNIQUE_VIOLATION',
    `Table "${table.name}" already has a row with this primary key (${listed(columns)}); constraint "${constraint}".`,
    {
      details: { table: table.name, constraint, columns },
    },
  );
}

function indexTaken(table: TableSchema, index: Index): VerityError {
  const columns = columnsOf(table, index.columns);
  return new VerityError(
    'UNIQUE_VIOLATION',
    `Table "${table.name}" already has a row with these values of ${listed(columns)}; constraint "${index.name}".`,
    {
      details: { table: table.name, constraint: index.name, columns },
    },
  );
}

/** What the values of a statement's new rows take at least: more than a command may hold is refused before it is in memory. */
export class ChangeSize {
  readonly #table: TableSchema;
  #bytes = 0;

  constructor(table: TableSchema) {
    this.#table = table;
  }

  /** Returns the row. Throws COMMAND_TOO_LARGE. */
  counted<R extends { readonly values: readonly Value[] }>(row: R): R {
    // No value counted takes fewer bytes in a row than characters here, as those of uuid do.
    this.#bytes += lengthOf(row.values);
    if (this.#bytes > limits.commandBytesMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The statement's new rows of table "${this.#table.name}" take more than ${limits.commandBytesMax} bytes; change them in parts.`,
        { details: { table: this.#table.name } },
      );
    }
    return row;
  }
}

/** Throws COMMAND_TOO_LARGE when a statement changes more rows than one command may hold. */
export function checkChangeCount(count: number, table: TableSchema): void {
  if (count > limits.commandEventsMax) {
    throw new VerityError(
      'COMMAND_TOO_LARGE',
      `The statement changes more than ${limits.commandEventsMax} rows of table "${table.name}"; change them in parts.`,
      {
        details: { table: table.name },
      },
    );
  }
}
