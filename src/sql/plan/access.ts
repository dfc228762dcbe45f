/** Chooses how a table's rows are reached: by key, by a range of keys, through a unique index, or all. */
import type { Expression, Index, TableSchema } from '../../codec/index.ts';
import { isInteger } from '../bind/type-rules.ts';

/** One bound of a key column; the value is free of columns. */
export interface Bound {
  readonly value: Expression;
  readonly inclusive: boolean;
}

export type AccessPath =
  /** At most one row: every primary key column equals a value. */
  | { readonly kind: 'get'; readonly values: readonly Expression[] }
  /** At most one row: every column of a unique index equals a value. */
  | { readonly kind: 'unique'; readonly index: Index; readonly values: readonly Expression[] }
  /** Rows whose first key columns equal `prefix` and whose next one lies within the bounds. */
  | {
      readonly kind: 'range';
      readonly prefix: readonly Expression[];
      readonly low: Bound | undefined;
      readonly high: Bound | undefined;
    }
  /** The rows whose one-column primary key is among the values. */
  | { readonly kind: 'keys'; readonly values: readonly Expression[] }
  | { readonly kind: 'all' };

export interface Access {
  readonly path: AccessPath;
  /** Conditions the path does not guarantee; all must be true. */
  readonly rest: readonly Expression[];
}

type Comparison = '=' | '<' | '<=' | '>' | '>=';

/** A condition that compares a column with a value free of columns. */
interface Restriction {
  readonly ordinal: number;
  readonly comparison: Comparison;
  readonly value: Expression;
  readonly source: Expression;
}

const mirrored: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

/** The path to the rows of `table` for which `where` may hold. */
export function planAccess(table: TableSchema, where: Expression | undefined): Access {
  const conditions = where === undefined ? [] : conjuncts(where);
  const restrictions = conditions.flatMap((condition) => restrictionsOf(table, condition));
  const byKey = planKey(table, restrictions);
  if (byKey?.path.kind === 'get') return withRest(byKey, conditions);
  const best = planUnique(table, restrictions) ?? byKey;
  return best === undefined ? planList(table, conditions) : withRest(best, conditions);
}

/** IN over a primary key of one column; otherwise all rows. */
function planList(table: TableSchema, conditions: readonly Expression[]): Access {
  const [only, ...more] = table.primaryKey;
  const list =
    more.length > 0
      ? undefined
      : conditions.find(
          (condition) =>
            condition.kind === 'in' &&
            !condition.negated &&
            condition.arg.kind === 'column' &&
            condition.arg.ordinal === only &&
            condition.list.every(isConstant),
        );
  if (list?.kind !== 'in') return { path: { kind: 'all' }, rest: conditions };
  return {
    path: { kind: 'keys', values: list.list },
    rest: conditions.filter((condition) => condition !== list),
  };
}

interface Candidate {
  readonly path: AccessPath;
  readonly used: readonly Restriction[];
}

function withRest(candidate: Candidate, conditions: readonly Expression[]): Access {
  const { path, used } = candidate;
  // A BETWEEN yields two restrictions; it is done with only when both were used.
  const rest = conditions.filter((condition) => {
    const uses = used.filter((each) => each.source === condition).length;
    return uses === 0 || (condition.kind === 'call' && condition.name === 'between' && uses < 2);
  });
  return { path, rest };
}

function planKey(table: TableSchema, restrictions: readonly Restriction[]): Candidate | undefined {
  const prefix: Restriction[] = [];
  for (const ordinal of table.primaryKey) {
    const equal = restrictions.find((each) => each.ordinal === ordinal && each.comparison === '=');
    if (equal === undefined) break;
    prefix.push(equal);
  }
  const values = prefix.map((each) => each.value);
  if (prefix.length === table.primaryKey.length) {
    return prefix.length === 0 ? undefined : { path: { kind: 'get', values }, used: prefix };
  }
  const next = table.primaryKey[prefix.length];
  const low = restrictions.find((each) => each.ordinal === next && each.comparison.startsWith('>'));
  const high = restrictions.find(
    (each) => each.ordinal === next && each.comparison.startsWith('<'),
  );
  if (prefix.length === 0 && low === undefined && high === undefined) return undefined;
  const path: AccessPath = {
    kind: 'range',
    prefix: values,
    low: boundOf(low),
    high: boundOf(high),
  };
  return { path, used: [...prefix, ...[low, high].filter((each) => each !== undefined)] };
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
      return { path: { kind: 'unique', index, values: used.map((each) => each.value) }, used };
    }
  }
  return undefined;
}

function conjuncts(where: Expression): Expression[] {
  return where.kind === 'and' ? where.args.flatMap(conjuncts) : [where];
}

function restrictionsOf(table: TableSchema, condition: Expression): Restriction[] {
  if (condition.kind !== 'call') return [];
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

/** Whether an expression reads no column, so that it has one value for the whole statement. */
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
