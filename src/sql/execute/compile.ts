/** Bound expressions as closures, made once per prepared statement or schema. */
import { assert, type ColumnType, type Value } from '../../base/index.ts';
import { type Expression, valueOfLiteral } from '../../codec/index.ts';
import type { ExecutionContext } from '../contract.ts';
import { isIdentical } from '../functions/comparison.ts';
import { findScalar } from '../functions/registry.ts';
import type { ScalarFunction } from '../functions/scalar.ts';
import { isConstant } from '../plan/restrictions.ts';
import { castValue } from '../types/index.ts';
import { mayBeBlob, valueOf } from './stored-values.ts';
import { compileSpecial } from './special-forms.ts';

/** Yields an expression's value for a row; `row` is that of the relation the expression was bound against. */
export type Evaluate = (
  row: readonly Value[],
  parameters: readonly Value[],
  context: ExecutionContext,
) => Value;

/** The closure of an expression. Its depth was bounded when it was bound. */
export function compile(expression: Expression): Evaluate {
  switch (expression.kind) {
    case 'literal': {
      const value = valueOfLiteral(expression.value);
      return () => value;
    }
    case 'column': {
      const { ordinal } = expression;
      if (!mayBeBlob(expression.type)) return (row) => row[ordinal] as Value;
      return (row, _parameters, context) => valueOf(row[ordinal] as Value, context);
    }
    case 'parameter': {
      const index = expression.number - 1;
      return (_row, parameters) => parameters[index] as Value;
    }
    case 'cast':
      return compileCast(expression.arg, expression.type, expression.explicit);
    case 'and':
      return compileAll(expression.args, false);
    case 'or':
      return compileAll(expression.args, true);
    case 'not': {
      const arg = compile(expression.arg);
      return (row, parameters, context) => {
        const value = arg(row, parameters, context);
        return value === null ? null : !(value as boolean);
      };
    }
    case 'isNull': {
      const arg = compile(expression.arg);
      const { negated } = expression;
      return (row, parameters, context) => (arg(row, parameters, context) === null) !== negated;
    }
    case 'in':
      return compileIn(expression);
    case 'case':
      return compileCase(expression);
    case 'call':
      return compileSpecial(expression, compile) ?? compileScalar(expression);
  }
}

/** True for a row only if the condition is true, not false or NULL. */
export type Condition = (
  row: readonly Value[],
  parameters: readonly Value[],
  context: ExecutionContext,
) => boolean;

export function compileCondition(expression: Expression): Condition {
  const evaluate = compile(expression);
  return (row, parameters, context) => evaluate(row, parameters, context) === true;
}

function compileCast(arg: Expression, to: ColumnType, explicit: boolean): Evaluate {
  assert(
    arg.kind !== 'literal' || arg.type !== undefined,
    'a cast of a literal knows what it casts from',
  );
  const from = arg.type as ColumnType;
  const evaluate = compile(arg);
  return (row, parameters, context) => {
    const value = evaluate(row, parameters, context);
    return value === null ? null : castValue(from, to, value, explicit);
  };
}

/** AND (`decisive` false) or OR (true): the decisive value wins, else NULL if one is NULL. */
function compileAll(args: readonly Expression[], decisive: boolean): Evaluate {
  const all = args.map(compile);
  return (row, parameters, context) => {
    let sawNull = false;
    for (let index = 0; index < all.length; index++) {
      const value = (all[index] as Evaluate)(row, parameters, context);
      if (value === decisive) return decisive;
      if (value === null) sawNull = true;
    }
    return sawNull ? null : !decisive;
  };
}

function compileIn(expression: Extract<Expression, { kind: 'in' }>): Evaluate {
  const { negated } = expression;
  const arg = compile(expression.arg);
  const type = expression.arg.type as ColumnType;
  const equal = findScalar('=', [type.name, type.name])?.call as (
    left: Value,
    right: Value,
  ) => boolean;
  const list = expression.list.map(compile);
  const members = expression.list.map((member) =>
    member.kind === 'literal' ? valueOfLiteral(member.value) : null,
  );
  if (isIdentical(type.name) && !members.includes(null)) {
    const set = new Set<Value>(members);
    return (row, parameters, context) => {
      const value = arg(row, parameters, context);
      return value === null ? null : set.has(value) !== negated;
    };
  }
  return (row, parameters, context) => {
    const value = arg(row, parameters, context);
    if (value === null) return null;
    let sawNull = false;
    for (let index = 0; index < list.length; index++) {
      const member = (list[index] as Evaluate)(row, parameters, context);
      if (member === null) sawNull = true;
      else if (equal(value, member)) return !negated;
    }
    return sawNull ? null : negated;
  };
}

function compileCase(expression: Extract<Expression, { kind: 'case' }>): Evaluate {
  const whens = expression.whens.map(({ when, then }) => ({
    when: compile(when),
    then: compile(then),
  }));
  const otherwise = compile(expression.otherwise);
  return (row, parameters, context) => {
    for (const { when, then } of whens) {
      if (when(row, parameters, context) === true) return then(row, parameters, context);
    }
    return otherwise(row, parameters, context);
  };
}

/** Whether a NULL that is written in it makes the whole NULL. */
function isNull(expression: Expression): boolean {
  if (expression.kind === 'literal') return expression.value === null;
  if (expression.kind === 'cast') return isNull(expression.arg);
  return (
    expression.kind === 'call' && expression.args.some(isNull) && scalarOf(expression) !== undefined
  );
}

/** The strict function or operator that a call means; undefined for a form of its own. */
function scalarOf({
  name,
  args,
}: Extract<Expression, { kind: 'call' }>): ScalarFunction | undefined {
  const types = args.map((arg) => arg.type?.name ?? 'text');
  return findScalar(name, types);
}

function compileScalar(expression: Extract<Expression, { kind: 'call' }>): Evaluate {
  const found = scalarOf(expression);
  assert(found !== undefined, `a bound call is known: ${expression.name}`);
  const call = found.call as (...values: Value[]) => Value;
  const args = expression.args.map(compile);
  const [first, second, third] = args as [Evaluate, Evaluate, Evaluate];
  // As in PostgreSQL: with a NULL written in the statement a call over columns is NULL, whatever they hold; else all
  // arguments are computed, so that a mistake in one is met although another is NULL.
  if (expression.args.some(isNull) && !expression.args.every(isConstant)) return () => null;
  if (args.length === 1) {
    return (row, parameters, context) => {
      const value = first(row, parameters, context);
      return value === null ? null : call(value);
    };
  }
  if (args.length === 2) {
    return (row, parameters, context) => {
      const left = first(row, parameters, context);
      const right = second(row, parameters, context);
      return left === null || right === null ? null : call(left, right);
    };
  }
  if (args.length !== 3) return compileMany(call, args);
  return (row, parameters, context) => {
    const one = first(row, parameters, context);
    const two = second(row, parameters, context);
    const three = third(row, parameters, context);
    return one === null || two === null || three === null ? null : call(one, two, three);
  };
}

function compileMany(call: (...values: Value[]) => Value, args: readonly Evaluate[]): Evaluate {
  return (row, parameters, context) => {
    const values = args.map((arg) => arg(row, parameters, context));
    return values.includes(null) ? null : call(...values);
  };
}
