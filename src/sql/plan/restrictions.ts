/** What conditions say of single columns, as far as an order of keys can make use of it. */
import type { Expression, TableSchema } from '../../codec/index.ts';
import { isSubquery, type SubqueryCall } from '../bind/bound-query.ts';
import { booleanType, isInteger, textType } from '../bind/type-rules.ts';
import { likePrefix } from '../functions/like.ts';

/** One bound of a key column; the value is free of columns. */
export interface Bound {
  readonly value: Expression;
  readonly inclusive: boolean;
  /** NULL stands for no bound; otherwise nothing is within a bound that is NULL. */
  readonly openIfNull?: true;
}

/** Values within both bounds; or the NULLs. Without bounds: all values, but no NULL. */
export interface ValueRange {
  readonly low?: Bound;
  readonly high?: Bound;
  readonly nulls?: true;
}

export type Comparison = '=' | '<' | '<=' | '>' | '>=';

/** A condition on a column: compared with a value free of columns, or one of a list, or within one of some ranges. */
export interface Restriction {
  readonly ordinal: number;
  readonly comparison: Comparison | 'in' | 'ranges';
  readonly value: Expression;
  readonly list?: readonly Expression[];
  readonly members?: SubqueryCall;
  readonly ranges?: readonly ValueRange[];
  /** The condition asks for more than this, so that it is to be asked again. */
  readonly partial?: true;
  readonly source: Expression;
}

const mirrored: Readonly<Record<Comparison, Comparison>> = {
  '=': '=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
};

const truth = (value: boolean): Expression => ({ kind: 'literal', type: booleanType, value });
const unknown: Expression = { kind: 'literal', type: booleanType, value: null };

export function conjuncts(where: Expression): Expression[] {
  return where.kind === 'and' ? where.args.flatMap(conjuncts) : [where];
}

export function restrictionsOf(table: TableSchema, condition: Expression): Restriction[] {
  const found = ownRestrictions(table, condition);
  return found.map((each) => ({ ...each, source: condition }));
}

type Found = Omit<Restriction, 'source'>;

function ownRestrictions(table: TableSchema, condition: Expression): Found[] {
  switch (condition.kind) {
    case 'in':
      return listRestriction(condition);
    case 'or':
      return alternatives(table, condition.args);
    case 'column':
      return [{ ordinal: condition.ordinal, comparison: '=', value: truth(true) }];
    case 'not':
      return condition.arg.kind === 'column'
        ? [{ ordinal: condition.arg.ordinal, comparison: '=', value: truth(false) }]
        : [];
    case 'isNull':
      if (condition.arg.kind !== 'column') return [];
      return [
        {
          ordinal: condition.arg.ordinal,
          comparison: 'ranges',
          value: unknown,
          ranges: [condition.negated ? {} : { nulls: true }],
        },
      ];
    case 'call':
      return isSubquery(condition)
        ? membersRestriction(condition as SubqueryCall)
        : callRestrictions(table, condition);
    default:
      return [];
  }
}

function callRestrictions(
  table: TableSchema,
  { name, args }: Extract<Expression, { kind: 'call' }>,
): Found[] {
  const [left, right, third] = args;
  const found: (Found | undefined)[] = [];
  if (name === 'between') {
    found.push(comparisonOf(table, '>=', left, right), comparisonOf(table, '<=', left, third));
  } else if (name in mirrored) {
    const comparison = name as Comparison;
    found.push(
      comparisonOf(table, comparison, left, right) ??
        comparisonOf(table, mirrored[comparison], right, left),
    );
  } else if (name === 'like' && args.length === 2) {
    found.push(likeRestriction(table, left, right));
  } else if ((name === 'is true' || name === 'is false') && left?.kind === 'column') {
    found.push({ ordinal: left.ordinal, comparison: '=', value: truth(name === 'is true') });
  }
  return found.filter((each) => each !== undefined);
}

/** column IN (SELECT …) whose query reads nothing of the row, compared as the column's own type. */
function membersRestriction(condition: SubqueryCall): Found[] {
  const { name, args, ownCount, slots, test } = condition;
  const [column] = args;
  if (name !== 'subquery any' || ownCount > 0 || column?.kind !== 'column') return [];
  if (args.length !== 1 || test?.kind !== 'call' || test.name !== '=') return [];
  const [left] = test.args;
  if (left?.kind !== 'parameter' || left.number !== slots[0]) return [];
  const { ordinal } = column;
  return [{ ordinal, comparison: 'in', value: test, members: condition }];
}

function listRestriction(condition: Extract<Expression, { kind: 'in' }>): Found[] {
  const { arg, list, negated } = condition;
  const [first] = list;
  if (negated || arg.kind !== 'column' || first === undefined || !list.every(isConstant)) return [];
  return [{ ordinal: arg.ordinal, comparison: 'in', value: first, list }];
}

function comparisonOf(
  table: TableSchema,
  comparison: Comparison,
  column: Expression | undefined,
  value: Expression | undefined,
): Found | undefined {
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

/** LIKE: the texts that begin as the pattern does. Of a pattern that is known, if it begins with a character. */
function likeRestriction(
  table: TableSchema,
  text: Expression | undefined,
  pattern: Expression | undefined,
): Found | undefined {
  const column = text?.kind === 'cast' && !text.explicit ? text.arg : text;
  if (column?.kind !== 'column' || pattern === undefined || !isConstant(pattern)) return undefined;
  const type = table.columns[column.ordinal]?.type.name;
  if (type !== 'text' && type !== 'varchar') return undefined;
  const known = pattern.kind === 'literal' ? pattern.value : undefined;
  if (typeof known === 'string' && likePrefix(known) === '') return undefined;
  const bound = (name: string): Expression => ({
    kind: 'call',
    type: textType,
    name,
    args: [pattern],
  });
  return {
    ordinal: column.ordinal,
    comparison: 'ranges',
    value: pattern,
    ranges: [
      {
        low: { value: bound('like low'), inclusive: true },
        high: { value: bound('like high'), inclusive: false, openIfNull: true },
      },
    ],
    partial: true,
  };
}

/** OR: a column that all its parts restrict has the values that any of them allows. */
function alternatives(table: TableSchema, parts: readonly Expression[]): Found[] {
  const branches = parts.map((part) => {
    const conditions = conjuncts(part);
    return { conditions, found: conditions.flatMap((each) => restrictionsOf(table, each)) };
  });
  const ordinals = new Set(branches[0]?.found.map(({ ordinal }) => ordinal));
  return [...ordinals].flatMap((ordinal): Found[] => {
    const own = branches.map(({ found }) => found.filter((each) => each.ordinal === ordinal));
    const isWhole = branches.every(
      ({ conditions, found }, at) =>
        conditions.length === 1 &&
        found.length === own[at]?.length &&
        found.every((each) => each.partial !== true),
    );
    const merged = own.some((each) => each.length === 0) ? undefined : mergedAlternatives(own);
    if (merged === undefined) return [];
    return [{ ordinal, ...merged, ...(isWhole ? {} : { partial: true as const }) }];
  });
}

function mergedAlternatives(
  branches: readonly (readonly Restriction[])[],
): Pick<Restriction, 'comparison' | 'value' | 'list' | 'ranges'> | undefined {
  const [first] = branches.flat();
  if (first === undefined || branches.flat().some((each) => each.members !== undefined))
    return undefined;
  const points = branches.map((own) => {
    const point = own.find((each) => each.comparison === '=' || each.comparison === 'in');
    return point === undefined ? undefined : (point.list ?? [point.value]);
  });
  if (points.every((each) => each !== undefined))
    return { comparison: 'in', value: first.value, list: points.flat() };
  const ranges = branches.flatMap(rangesOf);
  return { comparison: 'ranges', value: first.value, ranges };
}

/** Where the values lie that all of these restrictions of one column allow, or somewhat more. */
function rangesOf(own: readonly Restriction[]): readonly ValueRange[] {
  const listed = own.find((each) => each.comparison === 'in' || each.comparison === '=');
  if (listed !== undefined) {
    return (listed.list ?? [listed.value]).map((value) => {
      const point = { value, inclusive: true };
      return { low: point, high: point };
    });
  }
  const ranges = own.find((each) => each.ranges !== undefined)?.ranges;
  if (ranges !== undefined) return ranges;
  const low = boundOf(own.find((each) => each.comparison.startsWith('>')));
  const high = boundOf(own.find((each) => each.comparison.startsWith('<')));
  return [{ ...(low && { low }), ...(high && { high }) }];
}

export const boundOf = (restriction: Restriction | undefined): Bound | undefined =>
  restriction && { value: restriction.value, inclusive: restriction.comparison.endsWith('=') };

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
