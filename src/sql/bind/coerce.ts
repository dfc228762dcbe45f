import { type ColumnType, sqlError, type Value, VerityError } from '../../base/index.ts';
import { type Expression, literalOf, valueOfLiteral } from '../../codec/index.ts';
import { type CastContext, castContext, castValue, parseText, typeName } from '../types/index.ts';
import type { Bound, ParameterTypes } from './context.ts';
import { hasModifier, plain, sameForm, textType } from './type-rules.ts';

const rank: Readonly<Record<CastContext, number>> = { implicit: 0, assignment: 1, explicit: 2 };

/** Whether a value of type `from` becomes one of `to` where casts of `context` are applied. */
export function canCoerce(
  from: ColumnType | undefined,
  to: ColumnType,
  context: CastContext,
): boolean {
  if (from === undefined || sameForm(from.name, to.name)) return true;
  const needed = castContext(from, to);
  return needed !== undefined && rank[needed] <= rank[context];
}

/**
 * `bound` as an expression of type `to`; constants are converted at once. The caller has checked
 * canCoerce. Throws the errors of reading a literal, with its offset.
 */
export function coerce(
  bound: Bound,
  to: ColumnType,
  context: CastContext,
  parameters: ParameterTypes,
): Expression {
  const { expression, type } = bound;
  if (type === undefined) return resolveUnknown(bound, to, parameters);
  const alike =
    context === 'explicit'
      ? type.name === to.name && !hasModifier(to)
      : sameForm(type.name, to.name);
  if (alike) return expression;
  return cast(expression, type, to, { explicit: context === 'explicit', offset: bound.offset });
}

function resolveUnknown(bound: Bound, to: ColumnType, parameters: ParameterTypes): Expression {
  const { expression, offset } = bound;
  const base = plain(to);
  let resolved: Expression;
  if (expression.kind === 'literal') {
    const value =
      typeof expression.value === 'string'
        ? atOffset(offset, () => parseText(base, expression.value as string))
        : null;
    resolved = { kind: 'literal', type: base, value: literalOf(value) };
  } else if (expression.kind === 'parameter') {
    parameters.fix(expression.number, base);
    const fixed = parameters.get(expression.number) as ColumnType;
    if (!sameForm(fixed.name, base.name)) {
      throw sqlError(
        'TYPE_MISMATCH',
        `$${expression.number} is used as ${typeName(fixed)} and as ${typeName(base)}; cast it where they differ.`,
        offset,
      );
    }
    resolved = { kind: 'parameter', type: base, number: expression.number };
  } else {
    resolved = expression;
  }
  return hasModifier(to) ? cast(resolved, base, to, { explicit: true, offset }) : resolved;
}

function cast(
  arg: Expression,
  from: ColumnType,
  to: ColumnType,
  options: { readonly explicit: boolean; readonly offset: number | undefined },
): Expression {
  const { explicit, offset } = options;
  if (arg.kind === 'literal') {
    const value = valueOfLiteral(arg.value);
    const converted: Value =
      value === null ? null : atOffset(offset, () => castValue(from, to, value, explicit));
    return { kind: 'literal', type: to, value: literalOf(converted) };
  }
  return { kind: 'cast', type: to, arg, explicit };
}

/** `bound` with its type settled: what nobody asked a type of is text. */
export function settle(bound: Bound, parameters: ParameterTypes): Expression {
  if (bound.type !== undefined) return bound.expression;
  if (bound.expression.kind === 'parameter') {
    return resolveUnknown(bound, parameters.get(bound.expression.number) ?? textType, parameters);
  }
  return resolveUnknown(bound, textType, parameters);
}

/** Runs `action`; an error of ours that names no place gets `offset`. */
export function atOffset<T>(offset: number | undefined, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (
      !(error instanceof VerityError) ||
      offset === undefined ||
      error.details['offset'] !== undefined
    )
      throw error;
    throw new VerityError(error.code, error.message, {
      cause: error,
      details: { ...error.details, offset },
    });
  }
}

/** How an expression's type is called in errors. */
export const typeLabel = (type: ColumnType | undefined): string =>
  type === undefined ? 'unknown' : typeName(type);
