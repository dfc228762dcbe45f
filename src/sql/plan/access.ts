/** Chooses how a table's rows are reached: by key, by a range of keys, through an index, or all. */
import type { Expression, Index, TableSchema } from '../../codec/index.ts';
import { isSubquery, type SubqueryCall } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import { columnsOf } from '../bind/rewrite.ts';
import { isInteger } from '../bind/type-rules.ts';
import { isCovering } from './covering.ts';
import { planOrder } from './order.ts';

/** One bound of a key column; the value is free of columns. */
export interface Bound {
  readonly value: Expression;
  readonly inclusive: boolean;
}

/** Entries whose first key columns equal `prefix` and whose next one lies within the bounds or is among `list`. */
export interface KeySpan {
  readonly prefix: readonly Expression[];
  readonly low: Bound | undefined;
  readonly high: Bound | undefined;
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
  | { readonly kind: 'all' };

export interface Access {
  readonly path: AccessPath;
  /** Conditions the path does not guarantee; all must be true. */
  readonly rest: readonly Expression[];
  /** Conditions that the path guarantees. */
  readonly used: readonly Expression[];
  /** The rows it may yield, were there a thousand: for comparing, not for counting. */
  readonly weight: number;
}

/** What is done with the rows, as far as it speaks for one path or another. */
export interface Wanted {
  readonly sort?: readonly SortKey[];
  /** Only some of the rows are asked for. */
  readonly limited?: boolean;
  /** Ordinals of the columns read beside those of the conditions; undefined: all. */
  readonly reads?: ReadonlySet<number> | undefined;
}

type Comparison = '=' | '<' | '<=' | '>' | '>=';

/** A condition that compares a column with a value free of columns, or with a list of them. */
interface Restriction {
  readonly ordinal: number;
  readonly comparison: Comparison | 'in';
  readonly value: Expression;
  readonly list?: readonly Expression[];
  readonly members?: SubqueryCall;
  readonly source: Expression;
}

const mirrored: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

const allRows = 1_000;
/** Values that a subquery is thought to yield. */
const guessedMembers = 30;

/** The path to the rows of `table` for which `where` may hold. */
export function planAccess(
  table: TableSchema,
  where: Expression | undefined,
  wanted: Wanted = {},
): Access {
  const conditions = where === undefined ? [] : conjuncts(where);
  const restrictions = conditions.flatMap((condition) => restrictionsOf(table, condition));
  const byKey = planKey(table, restrictions);
  if (byKey?.path.kind === 'get') return withRest(byKey, conditions);
  const reads = wanted.reads && new Set([...wanted.reads, ...conditions.flatMap(columnList)]);
  const candidates = [
    planUnique(table, restrictions),
    byKey,
    ...table.indexes.map((index) => planIndex(table, index, restrictions, reads)),
  ].filter((each) => each !== undefined);
  let best: Candidate | undefined;
  for (const each of candidates) if (best === undefined || each.weight < best.weight) best = each;
  best ??= planWalk(table, wanted, reads);
  return withRest(best ?? { path: { kind: 'all' }, used: [], weight: allRows }, conditions);
}

const columnList = (condition: Expression): number[] => [...columnsOf(condition)];

interface Candidate {
  readonly path: AccessPath;
  readonly used: readonly Restriction[];
  readonly weight: number;
}

function withRest(candidate: Candidate, conditions: readonly Expression[]): Access {
  const { path, used } = candidate;
  // A BETWEEN yields two restrictions; it is done with only when both were used.
  const isUsed = (condition: Expression): boolean => {
    const uses = used.filter((each) => each.source === condition).length;
    return uses > (condition.kind === 'call' && condition.name === 'between' ? 1 : 0);
  };
  const rest = conditions.filter((condition) => !isUsed(condition));
  let { weight } = candidate;
  for (const condition of rest)
    weight *= condition.kind === 'call' && condition.name === '=' ? 0.1 : 0.5;
  return { path, rest, used: [...new Set(used.map((each) => each.source))], weight };
}

interface Span extends KeySpan {
  readonly used: readonly Restriction[];
  readonly weight: number;
}

/** The narrowest span of keys of the given columns that holds all rows asked for; undefined: all keys. */
function spanOf(
  columns: readonly number[],
  restrictions: readonly Restriction[],
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
  const weight = Math.max(2, allRows / 100 ** prefix.length);
  if (list !== undefined) {
    const count = list.list?.length ?? guessedMembers;
    return {
      prefix: values,
      low: undefined,
      high: undefined,
      ...(list.list === undefined ? {} : { list: list.list }),
      ...(list.members === undefined ? {} : { members: list.members }),
      used: [...prefix, list],
      weight: Math.min(weight, Math.max(2, weight / 100) * count),
    };
  }
  if (prefix.length === 0 && low === undefined && high === undefined) return undefined;
  const share = low === undefined && high === undefined ? 1 : low && high ? 0.05 : 0.3;
  return {
    prefix: values,
    low: boundOf(low),
    high: boundOf(high),
    used: [...prefix, ...[low, high].filter((each) => each !== undefined)],
    weight: weight * share,
  };
}

function planKey(table: TableSchema, restrictions: readonly Restriction[]): Candidate | undefined {
  const span = spanOf(table.primaryKey, restrictions);
  if (span === undefined) return undefined;
  const { used, weight, ...keys } = span;
  if (keys.prefix.length === table.primaryKey.length)
    return { path: { kind: 'get', values: keys.prefix }, used, weight: 1 };
  return { path: { kind: 'range', ...keys }, used, weight };
}

function planIndex(
  table: TableSchema,
  index: Index,
  restrictions: readonly Restriction[],
  reads: ReadonlySet<number> | undefined,
): Candidate | undefined {
  const span = spanOf(index.columns, restrictions);
  if (span === undefined) return undefined;
  const { used, weight, ...keys } = span;
  const covering = isCovering(table, index, reads);
  // Through an index each row is found twice, so the same span of the primary key is better.
  return {
    path: { kind: 'index', index, covering, ...keys },
    used,
    weight: weight * (covering ? 1 : 1.5),
  };
}

const boundOf = (restriction: Restriction | undefined): Bound | undefined =>
  restriction && { value: restriction.value, inclusive: restriction.comparison.endsWith('=') };

function planUnique(
  table: TableSchema,
  restrictions: readonly Restriction[],
): Candidate | undefined {
  for (const index of table.indexes) {
    if (!index.unique) continue;
    const used = index.columns.map((ordinal) =>
      restrictions.find((each) => each.ordinal === ordinal && each.comparison === '='),
    );
    if (used.every((each) => each !== undefined)) {
      const values = used.map((each) => each.value);
      return { path: { kind: 'unique', index, values }, used, weight: 1 };
    }
  }
  return undefined;
}

/** All rows by way of an index: in the order asked for when only the first are wanted, or by keys that hold all that is read. */
function planWalk(
  table: TableSchema,
  { sort = [], limited = false }: Wanted,
  reads: ReadonlySet<number> | undefined,
): Candidate | undefined {
  if (sort.length === 0 || planOrder(table, { kind: 'all' }, sort) !== undefined) return undefined;
  for (const index of table.indexes) {
    const covering = isCovering(table, index, reads);
    if (!limited && !covering) continue;
    const path: AccessPath = {
      kind: 'index',
      index,
      covering,
      prefix: [],
      low: undefined,
      high: undefined,
    };
    if (planOrder(table, path, sort) !== undefined) return { path, used: [], weight: allRows };
  }
  return undefined;
}

export function conjuncts(where: Expression): Expression[] {
  return where.kind === 'and' ? where.args.flatMap(conjuncts) : [where];
}

function restrictionsOf(table: TableSchema, condition: Expression): Restriction[] {
  if (condition.kind === 'in') return listRestriction(condition);
  if (condition.kind !== 'call') return [];
  if (isSubquery(condition)) return membersRestriction(condition as SubqueryCall);
  const [left, right, third] = condition.args;
  const found: (Omit<Restriction, 'source'> | undefined)[] = [];
  if (condition.name === 'between') {
    found.push(restriction(table, '>=', left, right), restriction(table, '<=', left, third));
  } else if (condition.name in mirrored) {
    const comparison = condition.name as Comparison;
    found.push(
      restriction(table, comparison, left, right) ??
        restriction(table, mirrored[comparison], right, left),
    );
  }
  return found.flatMap((each) => (each === undefined ? [] : [{ ...each, source: condition }]));
}

/** column IN (SELECT …) whose query reads nothing of the row, compared as the column's own type. */
function membersRestriction(condition: SubqueryCall): Restriction[] {
  const { name, args, ownCount, slots, test } = condition;
  const [column] = args;
  if (name !== 'subquery any' || ownCount > 0 || column?.kind !== 'column') return [];
  if (args.length !== 1 || test?.kind !== 'call' || test.name !== '=') return [];
  const [left] = test.args;
  if (left?.kind !== 'parameter' || left.number !== slots[0]) return [];
  const { ordinal } = column;
  return [{ ordinal, comparison: 'in', value: test, members: condition, source: condition }];
}

function listRestriction(condition: Extract<Expression, { kind: 'in' }>): Restriction[] {
  const { arg, list, negated } = condition;
  const [first] = list;
  if (negated || arg.kind !== 'column' || first === undefined || !list.every(isConstant)) return [];
  return [{ ordinal: arg.ordinal, comparison: 'in', value: first, list, source: condition }];
}

function restriction(
  table: TableSchema,
  comparison: Comparison,
  column: Expression | undefined,
  value: Expression | undefined,
): Omit<Restriction, 'source'> | undefined {
  if (column === undefined || value === undefined || !isConstant(value)) return undefined;
  if (column.kind === 'column') return { ordinal: column.ordinal, comparison, value };
  // column::bigint = value: the value goes into the column's narrower type, or no row matches.
  if (column.kind !== 'cast' || column.explicit || column.arg.kind !== 'column') return undefined;
  const { ordinal } = column.arg;
  const own = table.columns[ordinal]?.type.name;
  if (comparison !== '=' || own === undefined || !isInteger(own) || !isInteger(column.type.name)) {
    return undefined;
  }
  const narrowed: Expression = { kind: 'call', type: { name: own }, name: 'narrow', args: [value] };
  return { ordinal, comparison, value: narrowed };
}

/** Whether an expression reads no column, so that it has one value while the row around it stays. */
export function isConstant(expression: Expression): boolean {
  switch (expression.kind) {
    case 'literal':
    case 'parameter':
      return true;
    case 'column':
      return false;
    case 'cast':
    case 'not':
    case 'isNull':
      return isConstant(expression.arg);
    case 'call':
    case 'and':
    case 'or':
      return expression.args.every(isConstant);
    case 'in':
      return isConstant(expression.arg) && expression.list.every(isConstant);
    case 'case':
      return (
        expression.whens.every(({ when, then }) => isConstant(when) && isConstant(then)) &&
        isConstant(expression.otherwise)
      );
  }
}
