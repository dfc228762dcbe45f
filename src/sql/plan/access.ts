/** Chooses how a table's rows are reached: by key, by a range of keys, through an index, or all. */
import type { ObjectId } from '../../base/index.ts';
import type { Expression, Index, TableSchema } from '../../codec/index.ts';
import type { SubqueryCall } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import { columnsOf } from '../bind/rewrite.ts';
import { isCovering } from './covering.ts';
import { planOrder } from './order.ts';
import {
  type Bound,
  boundOf,
  conjuncts,
  type Restriction,
  restrictionsOf,
  type ValueRange,
} from './restrictions.ts';
import { type Statistics, type TableStatistics, usualStatistics } from './statistics.ts';

/** Entries whose first key columns equal `prefix` and whose next one lies within the bounds or ranges or is among `list`. */
export interface KeySpan {
  readonly prefix: readonly Expression[];
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
  readonly ranges?: readonly ValueRange[];
  readonly list?: readonly Expression[];
  /** The list is what a query yields that reads nothing of the row around it. */
  readonly members?: SubqueryCall;
}

export type AccessPath =
  /** At most one row: every primary key column equals a value. */
  | { readonly kind: 'get'; readonly values: readonly Expression[] }
  /** At most one row: every column of a unique index equals a value. */
  | { readonly kind: 'unique'; readonly index: Index; readonly values: readonly Expression[] }
  /** A span of the primary key. */
  | ({ readonly kind: 'range' } & KeySpan)
  /** A span of an index; `covering`: its keys hold every column that is read. */
  | ({ readonly kind: 'index'; readonly index: Index; readonly covering: boolean } & KeySpan)
  /** The rows of any of several paths, each once, in no order. */
  | { readonly kind: 'union'; readonly paths: readonly AccessPath[] }
  | { readonly kind: 'all' };

export interface Access {
  readonly path: AccessPath;
  /** Conditions the path does not guarantee; all must be true. */
  readonly rest: readonly Expression[];
  /** Conditions that the path makes use of. */
  readonly used: readonly Expression[];
  /** The rows it may yield: for comparing, not for counting. */
  readonly weight: number;
  /** The table's rows when this was planned, if they were counted. */
  readonly counted: TableStatistics | undefined;
}

/** What is done with the rows, as far as it speaks for one path or another. */
export interface Wanted {
  readonly sort?: readonly SortKey[];
  /** Only some of the rows are asked for. */
  readonly limited?: boolean;
  /** Ordinals of the columns read beside those of the conditions; undefined: all. */
  readonly reads?: ReadonlySet<number> | undefined;
  readonly statistics?: Statistics | undefined;
  /** The number of rows matters even if there is one way to them only: others are joined to them. */
  readonly joined?: boolean;
}

/** Values that a subquery is thought to yield. */
const guessedMembers = 30;
/** Of this many rows one has a value that equals another one, where nothing is known. */
const guessedDistinct = 100;
/** Following an index entry to its row, in rows read one after the other. */
const indexRowCost = 1.5;
/** What sorting adds to reading a row, and what is read of rows in order when only the first are asked for. */
const sortCost = 1.2;
const firstRowsShare = 0.1;

/** The path to the rows of `table` for which `where` may hold. */
export function planAccess(
  table: TableSchema,
  where: Expression | undefined,
  wanted: Wanted = {},
): Access {
  const conditions = where === undefined ? [] : conjuncts(where);
  const restrictions = conditions.flatMap((condition) => restrictionsOf(table, condition));
  const single = planOneRow(table, restrictions);
  if (single !== undefined) return withRest(single, conditions, undefined);
  const isOpen = restrictions.length > 0 || wanted.joined === true;
  const counted = isOpen ? wanted.statistics?.(table) : undefined;
  const known = counted ?? usualStatistics;
  const reads = wanted.reads && new Set([...wanted.reads, ...conditions.flatMap(columnList)]);
  const all: Candidate = { path: { kind: 'all' }, used: [], weight: known.rows, cost: known.rows };
  const candidates = [
    planKey(table, restrictions, known),
    ...table.indexes.map((index) => planIndex(table, index, restrictions, { known, reads })),
    ...conditions.map((condition) => planUnion(table, condition, wanted)),
    ...planWalks(table, wanted, reads, known),
    ...(inKeyOrder(table, wanted)
      ? [{ ...all, path: { kind: 'range' as const, ...allKeys } }]
      : []),
    all,
  ].filter((each) => each !== undefined);
  let best: Candidate = all;
  let least = Infinity;
  for (const each of candidates) {
    const cost = each.cost * costOfOrder(table, each.path, wanted);
    if (cost < least) [best, least] = [each, cost];
  }
  return withRest(best, conditions, counted);
}

function costOfOrder(table: TableSchema, path: AccessPath, wanted: Wanted): number {
  const { sort = [], limited = false } = wanted;
  if (sort.length === 0) return 1;
  if (planOrder(table, path, sort) === undefined) return sortCost;
  return limited ? firstRowsShare : 1;
}

const columnList = (condition: Expression): number[] => [...columnsOf(condition)];

interface Candidate {
  readonly path: AccessPath;
  readonly used: readonly Restriction[];
  /** Rows it yields. */
  readonly weight: number;
  /** What reaching them takes, in rows read one after the other. */
  readonly cost: number;
}

function withRest(
  { path, used, weight: found }: Candidate,
  conditions: readonly Expression[],
  counted: TableStatistics | undefined,
): Access {
  // A BETWEEN yields two restrictions; it is done with only when both were used.
  const isUsed = (condition: Expression): boolean => {
    const uses = used.filter((each) => each.source === condition && each.partial !== true).length;
    return uses > (condition.kind === 'call' && condition.name === 'between' ? 1 : 0);
  };
  const rest = conditions.filter((condition) => !isUsed(condition));
  const sources = [...new Set(used.map((each) => each.source))];
  let weight = found;
  for (const condition of rest) {
    if (!sources.includes(condition))
      weight *= condition.kind === 'call' && condition.name === '=' ? 0.1 : 0.5;
  }
  return { path, rest, used: sources, weight, counted };
}

interface Span extends KeySpan {
  readonly used: readonly Restriction[];
  readonly weight: number;
}

/** The narrowest span of keys of the given columns that holds all rows asked for; undefined: all keys. */
function spanOf(
  tree: ObjectId,
  columns: readonly number[],
  restrictions: readonly Restriction[],
  known: TableStatistics,
): Span | undefined {
  const prefix: Restriction[] = [];
  for (const ordinal of columns) {
    const equal = restrictions.find((each) => each.ordinal === ordinal && each.comparison === '=');
    if (equal === undefined) break;
    prefix.push(equal);
  }
  const values = prefix.map((each) => each.value);
  const next = columns[prefix.length];
  const on = restrictions.filter((each) => each.ordinal === next);
  const list = on.find((each) => each.comparison === 'in');
  const low = on.find((each) => each.comparison.startsWith('>'));
  const high = on.find((each) => each.comparison.startsWith('<'));
  const ranges = low || high ? undefined : on.find((each) => each.comparison === 'ranges');
  const weight = equalRows(tree, prefix.length, known);
  if (list !== undefined) {
    const count = list.list?.length ?? guessedMembers;
    return {
      prefix: values,
      low: undefined,
      high: undefined,
      ...(list.list === undefined ? {} : { list: list.list }),
      ...(list.members === undefined ? {} : { members: list.members }),
      used: [...prefix, list],
      weight: Math.min(weight, equalRows(tree, prefix.length + 1, known) * count),
    };
  }
  if (ranges?.ranges !== undefined) {
    const share = ranges.ranges.reduce((sum, range) => sum + shareOf(range), 0);
    return {
      prefix: values,
      low: undefined,
      high: undefined,
      ranges: ranges.ranges,
      used: [...prefix, ranges],
      weight: weight * Math.min(0.9, share),
    };
  }
  if (prefix.length === 0 && low === undefined && high === undefined) return undefined;
  const bounds = { ...(low && { low: true }), ...(high && { high: true }) };
  return {
    prefix: values,
    low: boundOf(low),
    high: boundOf(high),
    used: [...prefix, ...[low, high].filter((each) => each !== undefined)],
    weight: weight * (low || high ? shareOf(bounds) : 1),
  };
}

/** The share of rows within a range, where nothing is known of its bounds. */
function shareOf(range: { readonly low?: unknown; readonly high?: unknown; nulls?: true }): number {
  if (range.nulls === true) return 0.1;
  if (range.low !== undefined && range.high !== undefined) return 0.05;
  return range.low === undefined && range.high === undefined ? 0.9 : 0.3;
}

/** Rows whose first `count` key columns equal one value each. */
function equalRows(tree: ObjectId, count: number, { rows, distinct }: TableStatistics): number {
  if (count === 0) return rows;
  const leading = distinct(tree) ?? guessedDistinct;
  return Math.max(Math.min(2, rows), rows / leading / guessedDistinct ** (count - 1));
}

/** One row at most: all columns of the primary key, or of a unique index, equal a value. */
function planOneRow(
  table: TableSchema,
  restrictions: readonly Restriction[],
): Candidate | undefined {
  const equal = (columns: readonly number[]): readonly Restriction[] | undefined => {
    const used = columns.map((ordinal) =>
      restrictions.find((each) => each.ordinal === ordinal && each.comparison === '='),
    );
    return used.length > 0 && used.every((each) => each !== undefined) ? used : undefined;
  };
  const key = equal(table.primaryKey);
  if (key !== undefined) {
    const path: AccessPath = { kind: 'get', values: key.map((each) => each.value) };
    return { path, used: key, weight: 1, cost: 1 };
  }
  for (const index of table.indexes) {
    const used = index.unique ? equal(index.columns) : undefined;
    if (used === undefined) continue;
    const path: AccessPath = { kind: 'unique', index, values: used.map((each) => each.value) };
    return { path, used, weight: 1, cost: 1 };
  }
  return undefined;
}

function planKey(
  table: TableSchema,
  restrictions: readonly Restriction[],
  known: TableStatistics,
): Candidate | undefined {
  const span = spanOf(table.id, table.primaryKey, restrictions, known);
  if (span === undefined) return undefined;
  const { used, weight, ...keys } = span;
  return { path: { kind: 'range', ...keys }, used, weight, cost: weight };
}

interface Around {
  readonly known: TableStatistics;
  readonly reads: ReadonlySet<number> | undefined;
}

function planIndex(
  table: TableSchema,
  index: Index,
  restrictions: readonly Restriction[],
  { known, reads }: Around,
): Candidate | undefined {
  const span = spanOf(index.id, index.columns, restrictions, known);
  if (span === undefined) return undefined;
  const { used, weight, ...keys } = span;
  const covering = isCovering(table, index, reads);
  // Through an index each row is found twice, so the same span of the primary key is better.
  const cost = weight * (covering ? 1 : indexRowCost);
  return { path: { kind: 'index', index, covering, ...keys }, used, weight, cost };
}

/** OR of conditions each of which a key or index serves. */
function planUnion(
  table: TableSchema,
  condition: Expression,
  { statistics }: Wanted,
): Candidate | undefined {
  if (condition.kind !== 'or') return undefined;
  const parts = condition.args.map((part) => planAccess(table, part, { statistics }));
  if (parts.some(({ path }) => path.kind === 'all')) return undefined;
  const weight = parts.reduce((sum, part) => sum + part.weight, 0);
  const used: Restriction = {
    ordinal: -1,
    comparison: 'ranges',
    value: condition,
    partial: true,
    source: condition,
  };
  const path: AccessPath = { kind: 'union', paths: parts.map((part) => part.path) };
  return { path, used: [used], weight, cost: weight * indexRowCost };
}

const allKeys: KeySpan = { prefix: [], low: undefined, high: undefined };

const inKeyOrder = (table: TableSchema, { sort = [] }: Wanted): boolean =>
  sort.length > 0 && planOrder(table, { kind: 'all' }, sort) !== undefined;

/** All rows by way of an index: in the order asked for when only the first are wanted, or by keys that hold all that is read. */
function planWalks(
  table: TableSchema,
  { sort = [], limited = false }: Wanted,
  reads: ReadonlySet<number> | undefined,
  { rows }: TableStatistics,
): Candidate[] {
  if (sort.length === 0) return [];
  return table.indexes.flatMap((index): Candidate[] => {
    const covering = isCovering(table, index, reads);
    const path: AccessPath = { kind: 'index', index, covering, ...allKeys };
    const serves = (limited || covering) && planOrder(table, path, sort) !== undefined;
    const cost = rows * (covering ? 1 : indexRowCost);
    return serves ? [{ path, used: [], weight: rows, cost }] : [];
  });
}
