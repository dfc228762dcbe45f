/** Opens an access path against a view: entries of the table's tree, in key order. */
import {
  type ColumnType,
  type StoreKey,
  type TreeId,
  treeOf,
  type Value,
  VerityError,
} from '../../base/index.ts';
import {
  encodeBoundKey,
  encodeKey,
  type Expression,
  keyPrefixRange,
  type TableSchema,
} from '../../codec/index.ts';
import type { Cursor, KeyRange, ReadView, StoreEntry } from '../../store/index.ts';
import type { Catalog, ExecutionContext } from '../contract.ts';
import type { AccessPath, Bound } from '../plan/access.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { indexTypesOf, layoutOf } from '../schema/table-layout.ts';
import { compile, type Evaluate } from './compile.ts';

/** Yields the key of the one row a 'get' or 'unique' path leads to, or undefined if there can be none. */
export type FindKey = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => StoreKey | undefined;

export type OpenCursor = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => Cursor;

const noRow: readonly Value[] = [];
const emptyCursor: Cursor = { next: () => undefined };

/** The key finder of a path to at most one row, or undefined for other paths. */
export function compileFindKey(
  catalog: Catalog,
  table: TableSchema,
  path: AccessPath,
): FindKey | undefined {
  if (path.kind === 'get') {
    const { keyTypes } = layoutOf(table);
    const evaluate = compileValues(path.values.map((value) => compile(value)));
    return (_view, parameters, context) => {
      const values = evaluate(parameters, context);
      return values === undefined ? undefined : searchKey(keyTypes, values);
    };
  }
  if (path.kind !== 'unique') return undefined;
  const types = indexTypesOf(table, path.index);
  const tree = treeOf(catalog.tenant, path.index.id);
  const evaluate = compileValues(path.values.map((value) => compile(value)));
  return (view, parameters, context) => {
    const values = evaluate(parameters, context);
    const key = values === undefined ? undefined : searchKey(types, values);
    const entry = key === undefined ? undefined : view.get(tree, key);
    return entry === undefined ? undefined : keyOfBytes(entry.row);
  };
}

/** The key to look up; undefined for one that is too large to have been stored. */
function searchKey(types: readonly ColumnType[], values: readonly Value[]): StoreKey | undefined {
  try {
    return encodeKey(types, values);
  } catch (error) {
    if (error instanceof VerityError && error.code === 'VALUE_TOO_LARGE') return undefined;
    throw error;
  }
}

/** The cursor opener of a path; `reverse` walks from the last key to the first. */
export function compileOpen(
  catalog: Catalog,
  table: TableSchema,
  path: AccessPath,
  reverse: boolean,
): OpenCursor {
  const tree = treeOf(catalog.tenant, table.id);
  const findKey = compileFindKey(catalog, table, path);
  if (findKey !== undefined) {
    return (view, parameters, context) => {
      const key = findKey(view, parameters, context);
      const stored = key === undefined ? undefined : view.get(tree, key);
      if (key === undefined || stored === undefined) return emptyCursor;
      return single({ key, row: stored.row, from: stored.from, leaf: stored.leaf });
    };
  }
  if (path.kind === 'range') return compileRange(table, path, tree, reverse);
  if (path.kind === 'keys') return compileKeys(table, path.values, tree, reverse);
  return (view) => view.scan(tree, { reverse });
}

/** One get a value, in key order, each key once. */
function compileKeys(
  table: TableSchema,
  values: readonly Expression[],
  tree: TreeId,
  reverse: boolean,
): OpenCursor {
  const { keyTypes } = layoutOf(table);
  const evaluates = values.map((value) => compile(value));
  return (view, parameters, context) => {
    const keys = new Set<StoreKey>();
    for (const evaluate of evaluates) {
      const value = evaluate(noRow, parameters, context);
      const key = value === null ? undefined : searchKey(keyTypes, [value]);
      if (key !== undefined) keys.add(key);
    }
    const ordered = [...keys].sort();
    if (reverse) ordered.reverse();
    let index = 0;
    return {
      next: () => {
        while (index < ordered.length) {
          const key = ordered[index++] as StoreKey;
          const stored = view.get(tree, key);
          if (stored !== undefined)
            return { key, row: stored.row, from: stored.from, leaf: stored.leaf };
        }
        return undefined;
      },
    };
  };
}

function single(entry: StoreEntry): Cursor {
  let rest: StoreEntry | undefined = entry;
  return {
    next: () => {
      const next = rest;
      rest = undefined;
      return next;
    },
  };
}

/** The values of expressions free of columns; undefined if one is NULL, which equals nothing. */
function compileValues(
  evaluates: readonly Evaluate[],
): (parameters: readonly Value[], context: ExecutionContext) => Value[] | undefined {
  const [first] = evaluates;
  if (evaluates.length === 1 && first !== undefined) {
    return (parameters, context) => {
      const value = first(noRow, parameters, context);
      return value === null ? undefined : [value];
    };
  }
  return (parameters, context) => {
    const values: Value[] = [];
    for (const evaluate of evaluates) {
      const value = evaluate(noRow, parameters, context);
      if (value === null) return undefined;
      values.push(value);
    }
    return values;
  };
}

function compileRange(
  table: TableSchema,
  path: Extract<AccessPath, { kind: 'range' }>,
  tree: TreeId,
  reverse: boolean,
): OpenCursor {
  const { keyTypes } = layoutOf(table);
  const prefixTypes = keyTypes.slice(0, path.prefix.length);
  const boundTypes = keyTypes.slice(0, path.prefix.length + 1);
  const prefix = compileValues(path.prefix.map((value) => compile(value)));
  const [low, high] = [path.low, path.high].map(
    (bound) => bound && { ...bound, evaluate: compile(bound.value) },
  );
  return (view, parameters, context) => {
    const values = prefix(parameters, context);
    if (values === undefined) return emptyCursor;
    const range: { from?: StoreKey; to?: StoreKey; reverse: boolean } = { reverse };
    if (values.length > 0) {
      const key = searchKey(prefixTypes, values);
      if (key === undefined) return emptyCursor;
      Object.assign(range, keyPrefixRange(key));
    }
    for (const [bound, side] of [
      [low, 'from'],
      [high, 'to'],
    ] as const) {
      if (bound === undefined) continue;
      const value = bound.evaluate(noRow, parameters, context);
      if (value === null) return emptyCursor;
      range[side] = boundKey(encodeBoundKey(boundTypes, [...values, value]), bound, side);
    }
    return view.scan(tree, range as KeyRange);
  };
}

/** `from` includes its key and `to` does not, so > and <= start or end behind all keys that begin with it. */
function boundKey(key: StoreKey, bound: Bound, side: 'from' | 'to'): StoreKey {
  return bound.inclusive === (side === 'from') ? key : keyPrefixRange(key).to;
}
