/** Rows of one source of FROM: a table by its access path, a query, a function, or a join of its own. */
import { assert, type Value } from '../../base/index.ts';
import { decodeKey, type Expression, type TableSchema } from '../../codec/index.ts';
import type { AccessPath } from '../plan/access.ts';
import type { Source } from '../plan/from-plan.ts';
import { keyOfBytes } from '../schema/key-bytes.ts';
import { decodeIndexKey, layoutOf } from '../schema/table-layout.ts';
import { type Condition, compileCondition } from './compile.ts';
import { executionOf } from './execution.ts';
import { compileFrom } from './from.ts';
import { compileFull } from './joins.ts';
import { compileQuery } from './query.ts';
import type { OpenRows, Row, Rows, TreeScope } from './row-source.ts';
import { compileIndex, compileOpen } from './rows.ts';
import { compileTableFunction } from './table-functions.ts';

export const noRow: Row = [];

export interface SourceUse {
  /** Whether rows read are counted against the query's budget. */
  readonly counted: boolean;
  /** False: nobody looks into the rows, so they need not be decoded. */
  readonly readsRows: boolean;
}

const inJoin: SourceUse = { counted: true, readsRows: true };

export function compileSource(source: Source, scope: TreeScope, use: SourceUse = inJoin): OpenRows {
  switch (source.kind) {
    case 'table':
      return compileTable(source, scope, use);
    case 'query':
      return filtered(compileQuery(source.query, scope), source.filter);
    case 'function':
      return filtered(compileTableFunction(source.call, scope), source.filter);
    case 'joined':
      return compileFrom(source.plan, scope);
    case 'full':
      return compileFull(source, scope);
  }
}

export function compileAll(conditions: readonly Expression[]): Condition | undefined {
  const [first] = conditions;
  if (first === undefined) return undefined;
  return compileCondition(
    conditions.length === 1 ? first : { kind: 'and', type: { name: 'boolean' }, args: conditions },
  );
}

/** Only the rows for which all conditions hold. */
export function filtered(open: OpenRows, conditions: readonly Expression[]): OpenRows {
  const holds = compileAll(conditions);
  if (holds === undefined) return open;
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    return {
      next: () => {
        for (let row = rows.next(); row !== undefined; row = rows.next())
          if (holds(row, parameters, context)) return row;
        return undefined;
      },
    };
  };
}

function compileTable(
  { table, access, reverse, withEntry }: Extract<Source, { kind: 'table' }>,
  scope: TreeScope,
  { counted, readsRows }: SourceUse,
): OpenRows {
  const { path } = access;
  if (path.kind === 'index' && path.covering)
    return filtered(compileCovering(table, path, reverse, scope), access.rest);
  const openCursor = compileOpen(scope, table, path, reverse);
  const { codec } = layoutOf(table);
  const rest = compileAll(access.rest);
  return (view, parameters, context) => {
    const cursor = openCursor(view, parameters, context);
    if (rest === undefined && !readsRows)
      return { next: () => (cursor.next() === undefined ? undefined : noRow) };
    const execution = counted ? executionOf(context) : undefined;
    return {
      next: () => {
        for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
          execution?.countRead();
          const row = codec.decode(entry.row);
          if (rest !== undefined && !rest(row, parameters, context)) continue;
          // Only who planned for the entry looks at it; to all others it is a value like others.
          return withEntry === true ? [...row, entry as unknown as Value] : row;
        }
        return undefined;
      },
    };
  };
}

/** Rows from an index's keys alone; columns that nobody reads are NULL. */
function compileCovering(
  table: TableSchema,
  path: Extract<AccessPath, { kind: 'index' }>,
  reverse: boolean,
  scope: TreeScope,
): OpenRows {
  const open = compileIndex(scope, table, path, reverse);
  const { keyTypes } = layoutOf(table);
  const width = table.columns.length;
  const { index } = path;
  assert(table.primaryKey.length > 0 || index.columns.length > 0, 'an index has columns');
  return (view, parameters, context) => {
    const entries = open(view, parameters, context);
    return {
      next: () => {
        const entry = entries.next();
        if (entry === undefined) return undefined;
        const row = new Array<Value>(width).fill(null);
        const values = decodeIndexKey(table, index, entry.key);
        for (let at = 0; at < values.length; at++)
          row[index.columns[at] as number] = values[at] as Value;
        if (keyTypes.length > 0) {
          const key = decodeKey(keyTypes, keyOfBytes(entry.row));
          for (let at = 0; at < key.length; at++)
            row[table.primaryKey[at] as number] = key[at] as Value;
        }
        return row;
      },
    };
  };
}

export function oneRow(row: Row | undefined): Rows {
  let rest = row;
  return {
    next: () => {
      const next = rest;
      rest = undefined;
      return next;
    },
  };
}
