/** Opens an access path against a view: entries of the table's tree, in key order. */
import { type StoreKey, type TreeId, treeOf, type Value } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import type { Cursor, ReadView, StoreEntry } from '../../store/index.ts';
import type { Catalog, ExecutionContext } from '../contract.ts';
import type { AccessPath } from '../plan/access.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { indexBoundKey, layoutOf } from '../schema/table-layout.ts';
import { compile } from './compile.ts';
import { Execution } from './execution.ts';
import { compileSpan, compileValues, indexOrder, keyOrder, searchKey } from './spans.ts';

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

const emptyCursor: Cursor = { next: () => undefined };

/** The key finder of a path to at most one row, or undefined for other paths. */
export function compileFindKey(
  { tenant }: Pick<Catalog, 'tenant'>,
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
  const tree = treeOf(tenant, path.index.id);
  const evaluate = compileValues(path.values.map((value) => compile(value)));
  return (view, parameters, context) => {
    const values = evaluate(parameters, context);
    const key = values === undefined ? undefined : indexBoundKey(table, path.index, values);
    const entry = key === undefined ? undefined : view.get(tree, key);
    return entry === undefined ? undefined : keyOfBytes(entry.row);
  };
}

/** The cursor opener of a path; `reverse` walks from the last key to the first. */
export function compileOpen(
  scope: Pick<Catalog, 'tenant'>,
  table: TableSchema,
  path: AccessPath,
  reverse: boolean,
): OpenCursor {
  const tree = treeOf(scope.tenant, table.id);
  const findKey = compileFindKey(scope, table, path);
  if (findKey !== undefined) {
    return (view, parameters, context) => {
      const key = findKey(view, parameters, context);
      const stored = key === undefined ? undefined : view.get(tree, key);
      if (key === undefined || stored === undefined) return emptyCursor;
      return single({ key, row: stored.row, from: stored.from, leaf: stored.leaf });
    };
  }
  if (path.kind === 'union') return compileUnion(scope, table, path);
  if (path.kind === 'range') return compileSpan(tree, keyOrder(table), path, reverse);
  if (path.kind === 'index') {
    const openIndex = compileIndex(scope, table, path, reverse);
    return (view, parameters, context) => {
      const entries = openIndex(view, parameters, context);
      return { next: () => nextRow(view, tree, entries) };
    };
  }
  return (view) => view.scan(tree, { reverse });
}

/** The rows that several paths find, each once. */
function compileUnion(
  scope: Pick<Catalog, 'tenant'>,
  table: TableSchema,
  { paths }: Extract<AccessPath, { kind: 'union' }>,
): OpenCursor {
  const opens = paths.map((path) => compileOpen(scope, table, path, false));
  return (view, parameters, context) => {
    const seen = new Set<StoreKey>();
    const execution = context instanceof Execution ? context : undefined;
    let next = 0;
    let inner = emptyCursor;
    return {
      next: () => {
        for (;;) {
          const entry = inner.next();
          if (entry !== undefined) {
            if (seen.has(entry.key)) continue;
            seen.add(entry.key);
            execution?.countHeld([entry.key]);
            return entry;
          }
          const open = opens[next++];
          if (open === undefined) return undefined;
          inner = open(view, parameters, context);
        }
      },
    };
  };
}

/** The entries of an index that a path takes; what they hold is the row's key. */
export function compileIndex(
  scope: Pick<Catalog, 'tenant'>,
  table: TableSchema,
  path: Extract<AccessPath, { kind: 'index' }>,
  reverse: boolean,
): OpenCursor {
  const tree = treeOf(scope.tenant, path.index.id);
  return compileSpan(tree, indexOrder(table, path.index), path, reverse);
}

function nextRow(view: ReadView, tree: TreeId, entries: Cursor): StoreEntry | undefined {
  for (let entry = entries.next(); entry !== undefined; entry = entries.next()) {
    const key = keyOfBytes(entry.row);
    const stored = view.get(tree, key);
    if (stored !== undefined) return { key, row: stored.row, from: stored.from, leaf: stored.leaf };
  }
  return undefined;
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
