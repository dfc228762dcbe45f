/** Conditions over a row: random ones, as SQL, and what they are true for in three-valued logic. */
import fc from 'fast-check';
import type { Base, Plain } from './kinds.ts';
import {
  type ColumnType,
  commonBase,
  convert,
  type Converted,
  domainOf,
  isNumber,
  kindOf,
  literalFor,
  type Operand,
  operandFor,
  type Statement,
} from './terms.ts';

export interface NamedColumn {
  readonly name: string;
  readonly type: ColumnType;
}
export type Row = readonly (Plain | null)[];
type Truth = boolean | null;

const comparisons = ['=', '<>', '<', '<=', '>', '>='] as const;
type Comparison = (typeof comparisons)[number];
type Term = Operand | { readonly form: 'column'; readonly ordinal: number };

export type Condition =
  | {
      readonly kind: 'compare';
      readonly operator: Comparison | 'IS DISTINCT FROM' | 'IS NOT DISTINCT FROM';
      readonly ordinal: number;
      readonly other: Term;
      readonly flipped: boolean;
    }
  | {
      readonly kind: 'in';
      readonly negated: boolean;
      readonly ordinal: number;
      readonly list: readonly Operand[];
    }
  | {
      readonly kind: 'between';
      readonly negated: boolean;
      readonly ordinal: number;
      readonly bounds: readonly [Operand, Operand];
    }
  | { readonly kind: 'isNull'; readonly negated: boolean; readonly ordinal: number }
  | {
      readonly kind: 'isTruth';
      readonly negated: boolean;
      readonly word: 'TRUE' | 'FALSE' | 'UNKNOWN';
      readonly part: Condition;
    }
  | { readonly kind: 'bare'; readonly ordinal: number }
  | { readonly kind: 'constant'; readonly value: Truth }
  | { readonly kind: 'and' | 'or'; readonly parts: readonly Condition[] }
  | { readonly kind: 'not'; readonly part: Condition };

export const quoteName = (name: string): string => `"${name.replaceAll('"', '""')}"`;

type Columns = readonly NamedColumn[];
const baseOf = (columns: Columns, ordinal: number): Base =>
  (columns[ordinal] as NamedColumn).type.base;

export function renderCondition(
  columns: Columns,
  condition: Condition,
  statement: Statement,
): string {
  const name = (ordinal: number): string => quoteName((columns[ordinal] as NamedColumn).name);
  const not = (negated: boolean): string => (negated ? 'NOT ' : '');
  switch (condition.kind) {
    case 'compare': {
      const { ordinal, other, operator, flipped } = condition;
      const right = other.form === 'column' ? name(other.ordinal) : statement.operand(other);
      return flipped
        ? `${right} ${operator} ${name(ordinal)}`
        : `${name(ordinal)} ${operator} ${right}`;
    }
    case 'in': {
      const list = condition.list.map((operand) => statement.operand(operand));
      return `${name(condition.ordinal)} ${not(condition.negated)}IN (${list.join(', ')})`;
    }
    case 'between': {
      const [low, high] = condition.bounds.map((bound) => statement.operand(bound));
      return `${name(condition.ordinal)} ${not(condition.negated)}BETWEEN ${low} AND ${high}`;
    }
    case 'isNull':
      return `${name(condition.ordinal)} IS ${not(condition.negated)}NULL`;
    case 'isTruth':
      return `(${renderCondition(columns, condition.part, statement)}) IS ${not(condition.negated)}${condition.word}`;
    case 'bare':
      return name(condition.ordinal);
    case 'constant':
      return condition.value === null ? 'NULL' : String(condition.value);
    case 'and':
    case 'or':
      return condition.parts
        .map((part) => `(${renderCondition(columns, part, statement)})`)
        .join(` ${condition.kind.toUpperCase()} `);
    case 'not':
      return `NOT (${renderCondition(columns, condition.part, statement)})`;
  }
}

const holds: Readonly<Record<Comparison, (order: number) => boolean>> = {
  '=': (order) => order === 0,
  '<>': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

/** Whether the condition is true for the row; null is unknown. */
export function evaluate(columns: Columns, condition: Condition, row: Row): Truth {
  switch (condition.kind) {
    case 'compare':
      return evaluateCompare(columns, condition, row);
    case 'in': {
      const { ordinal, list, negated } = condition;
      const domain = domainOf(baseOf(columns, ordinal), list);
      const tests = list.map((member) =>
        compared(domain, row[ordinal], valueOf(domain, member), '='),
      );
      return negate(either(tests), negated);
    }
    case 'between': {
      const { ordinal, bounds, negated } = condition;
      const domain = domainOf(baseOf(columns, ordinal), bounds);
      const [low, high] = bounds.map((bound) => valueOf(domain, bound));
      const both = [
        compared(domain, row[ordinal], low, '>='),
        compared(domain, row[ordinal], high, '<='),
      ];
      return negate(all(both), negated);
    }
    case 'isNull':
      return (row[condition.ordinal] === null) !== condition.negated;
    case 'isTruth': {
      const wanted = { TRUE: true, FALSE: false, UNKNOWN: null }[condition.word];
      return (evaluate(columns, condition.part, row) === wanted) !== condition.negated;
    }
    case 'bare':
      return row[condition.ordinal] as Truth;
    case 'constant':
      return condition.value;
    case 'and':
      return all(condition.parts.map((part) => evaluate(columns, part, row)));
    case 'or':
      return either(condition.parts.map((part) => evaluate(columns, part, row)));
    case 'not':
      return negate(evaluate(columns, condition.part, row), true);
  }
}

function evaluateCompare(
  columns: Columns,
  condition: Extract<Condition, { kind: 'compare' }>,
  row: Row,
): Truth {
  const { ordinal, other, operator, flipped } = condition;
  const base = baseOf(columns, ordinal);
  const isColumn = other.form === 'column';
  const domain = isColumn
    ? commonBase(base, baseOf(columns, other.ordinal))
    : domainOf(base, [other]);
  const right = isColumn ? (row[other.ordinal] ?? null) : valueOf(domain, other);
  const left = row[ordinal] ?? null;
  if (operator === 'IS DISTINCT FROM' || operator === 'IS NOT DISTINCT FROM') {
    const distinct =
      left === null || right === null ? left !== right : compared(domain, left, right, '<>');
    return negate(distinct, operator === 'IS NOT DISTINCT FROM');
  }
  return flipped
    ? compared(domain, right, left, operator)
    : compared(domain, left, right, operator);
}

const valueOf = (domain: Base, operand: Operand): Plain | null => {
  const converted = operand.form === 'null' ? undefined : convert(domain, operand.value);
  return converted !== undefined && 'value' in converted ? converted.value : null;
};

function compared(
  domain: Base,
  left: Plain | null | undefined,
  right: Plain | null | undefined,
  operator: Comparison,
): Truth {
  if (left === null || left === undefined || right === null || right === undefined) return null;
  const [a, b] = [convert(domain, left), convert(domain, right)] as { readonly value: Plain }[];
  return holds[operator](kindOf(domain).compare(a?.value as Plain, b?.value as Plain));
}

const negate = (truth: Truth, negated: boolean): Truth =>
  truth === null || !negated ? truth : !truth;
const all = (parts: readonly Truth[]): Truth =>
  parts.includes(false) ? false : parts.includes(null) ? null : true;
const either = (parts: readonly Truth[]): Truth =>
  parts.includes(true) ? true : parts.includes(null) ? null : false;

/** Codes of the operands that their types do not hold. */
export function conditionErrors(columns: Columns, condition: Condition | undefined): string[] {
  switch (condition?.kind) {
    case 'compare': {
      const { other } = condition;
      return other.form === 'column'
        ? []
        : operandErrors(baseOf(columns, condition.ordinal), [other]);
    }
    case 'in':
      return operandErrors(baseOf(columns, condition.ordinal), condition.list);
    case 'between':
      return operandErrors(baseOf(columns, condition.ordinal), condition.bounds);
    case 'isTruth':
    case 'not':
      return conditionErrors(columns, condition.part);
    case 'and':
    case 'or':
      return condition.parts.flatMap((part) => conditionErrors(columns, part));
    default:
      return [];
  }
}

function operandErrors(base: Base, operands: readonly Operand[]): string[] {
  const domain = domainOf(base, operands);
  return operands.flatMap((operand) => {
    const converted: Converted =
      operand.form === 'null' ? { value: true } : convert(domain, operand.value);
    return 'error' in converted ? [converted.error] : [];
  });
}

/** Whether two columns are compared without a cast (dates and times among each other are left out). */
const comparable = (left: Base, right: Base): boolean =>
  left === right ||
  (isNumber(left) && isNumber(right)) ||
  [left, right].every((base) => base === 'text' || base === 'varchar');

function leafOf(columns: Columns, ordinal: number, onlyLiterals: boolean): fc.Arbitrary<Condition> {
  const { type } = columns[ordinal] as NamedColumn;
  const operand = onlyLiterals ? literalFor(type) : operandFor(type);
  const others = columns.flatMap((column, index) =>
    comparable(type.base, column.type.base) ? [{ form: 'column' as const, ordinal: index }] : [],
  );
  const other: fc.Arbitrary<Term> = fc.oneof(
    { weight: 5, arbitrary: operand },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
  const operator = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...comparisons, '=' as const, '=' as const) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('IS DISTINCT FROM' as const, 'IS NOT DISTINCT FROM' as const),
    },
  );
  const flag = fc.boolean();
  const place = fc.constant(ordinal);
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('compare' as const),
        operator,
        ordinal: place,
        other,
        flipped: flag,
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('in' as const),
        negated: flag,
        ordinal: place,
        list: fc.array(operand, { minLength: 1, maxLength: 4 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('between' as const),
        negated: flag,
        ordinal: place,
        bounds: fc.tuple(operand, operand),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('isNull' as const), negated: flag, ordinal: place }),
    },
    ...(type.base === 'boolean'
      ? [
          {
            weight: 2,
            arbitrary: fc.record({ kind: fc.constant('bare' as const), ordinal: place }),
          },
        ]
      : []),
  );
}

/** Conditions over the columns; with `onlyLiterals` for CHECK: no parameters, nothing out of range. */
export function conditionFor(columns: Columns, onlyLiterals = false): fc.Arbitrary<Condition> {
  const leaf = fc.oneof(...columns.map((_, ordinal) => leafOf(columns, ordinal, onlyLiterals)));
  const constant = fc
    .constantFrom(true, false, null)
    .map((value): Condition => ({ kind: 'constant', value }));
  const over = (inner: fc.Arbitrary<Condition>): fc.Arbitrary<Condition> => {
    const parts = fc.array(inner, { minLength: 2, maxLength: 3 });
    return fc.oneof(
      { weight: 4, arbitrary: leaf },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('and' as const), parts }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('or' as const), parts }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('not' as const), part: inner }) },
      {
        weight: 1,
        arbitrary: fc.record({
          kind: fc.constant('isTruth' as const),
          negated: fc.boolean(),
          word: fc.constantFrom('TRUE' as const, 'FALSE' as const, 'UNKNOWN' as const),
          part: inner,
        }),
      },
      { weight: 1, arbitrary: constant },
    );
  };
  return fc.oneof({ weight: 2, arbitrary: leaf }, { weight: 3, arbitrary: over(over(leaf)) });
}
