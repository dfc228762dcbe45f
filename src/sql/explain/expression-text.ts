/** Bound expressions as SQL, for EXPLAIN. */
import type { Value } from '../../base/index.ts';
import { type Expression, valueOfLiteral } from '../../codec/index.ts';
import { isSubquery, type SubqueryCall } from '../bind/bound-query.ts';
import { formatText, typeName } from '../types/index.ts';

/** What names stand for while a plan is told. */
export interface Names {
  column(ordinal: number): string;
  /** What a parameter holds that the plan sets; undefined for the statement's own. */
  slot(number: number): string | undefined;
  /** Hears of a subquery and names it. */
  subquery(call: SubqueryCall): string;
}

export function expressionText(expression: Expression, names: Names): string {
  const text = (each: Expression): string => expressionText(each, names);
  switch (expression.kind) {
    case 'literal':
      return literalText(expression);
    case 'column':
      return names.column(expression.ordinal);
    case 'parameter':
      return names.slot(expression.number) ?? `$${expression.number}`;
    case 'cast':
      return expression.explicit
        ? `(${text(expression.arg)})::${typeName(expression.type)}`
        : text(expression.arg);
    case 'not':
      return `(NOT ${text(expression.arg)})`;
    case 'and':
    case 'or':
      return `(${expression.args.map(text).join(` ${expression.kind.toUpperCase()} `)})`;
    case 'isNull':
      return `(${text(expression.arg)} IS ${expression.negated ? 'NOT ' : ''}NULL)`;
    case 'in': {
      const list = expression.list.map(text).join(', ');
      return `(${text(expression.arg)} ${expression.negated ? 'NOT ' : ''}IN (${list}))`;
    }
    case 'case': {
      const whens = expression.whens.map(
        ({ when, then }) => `WHEN ${text(when)} THEN ${text(then)}`,
      );
      return `CASE ${whens.join(' ')} ELSE ${text(expression.otherwise)} END`;
    }
    case 'call':
      return isSubquery(expression)
        ? names.subquery(expression as SubqueryCall)
        : callText(expression, text);
  }
}

function callText(
  { name, args }: Extract<Expression, { kind: 'call' }>,
  text: (each: Expression) => string,
): string {
  const [first, second, third] = args.map(text);
  if (name === 'between') return `(${first} BETWEEN ${second} AND ${third})`;
  if (name === 'narrow') return first ?? '';
  if (name === 'is true' || name === 'is false') return `(${first} ${name.toUpperCase()})`;
  const isInfix = !/^[a-z_0-9]+$/.test(name) || name === 'like' || name === 'ilike';
  if (isInfix && args.length === 2) return `(${first} ${name.toUpperCase()} ${second})`;
  if (isInfix && args.length === 1) return `(${name}${first})`;
  return `${name}(${args.map(text).join(', ')})`;
}

function literalText({ value, type }: Extract<Expression, { kind: 'literal' }>): string {
  const held: Value = valueOfLiteral(value);
  if (held === null) return 'NULL';
  if (type === undefined) return `'${String(held)}'`;
  const written = typeof held === 'string' && type.name !== 'jsonb' ? held : formatText(type, held);
  const isBare = typeof held !== 'string' && typeof held !== 'object' && type.name !== 'date';
  const isTime = type.name === 'timestamp' || type.name === 'timestamptz';
  if ((isBare && !isTime) || type.name === 'numeric') return written;
  const quoted = `'${written.replaceAll("'", "''")}'`;
  return type.name === 'text' || type.name === 'varchar' ? quoted : `'${written}'::${type.name}`;
}
