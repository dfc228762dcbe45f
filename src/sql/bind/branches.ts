import type { CaseExpr, CoalesceExpr, MinMaxExpr, Node } from 'libpg-query';
import { type ColumnType, sqlError, type TypeName } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { coerce, typeLabel } from './coerce.ts';
import { type Bound, type BindContext, offsetOf } from './context.ts';
import { bindCondition, bindExpression } from './expression.ts';
import { bindComparison } from './operators.ts';
import {
  commonType,
  isInteger,
  isTime,
  mixErrorCode,
  operandType,
  plain,
  plainTypes,
} from './type-rules.ts';

/** The bound values all as one type. Throws TYPE_MISMATCH at the first that does not fit the first one's. */
function unify(
  context: BindContext,
  values: readonly Bound[],
  place: string,
): { type: ColumnType; args: Expression[] } {
  const type = commonType(values.map((value) => value.type));
  if (type === undefined) {
    const first = values.find((value) => value.type !== undefined);
    const other = values.find((value) => commonType([first?.type, value.type]) === undefined);
    throw sqlError(
      mixErrorCode(first?.type, other?.type),
      `${place} mixes ${typeLabel(first?.type)} and ${typeLabel(other?.type)}; add a cast.`,
      other?.offset,
    );
  }
  return { type, args: values.map((value) => coerce(value, type, 'implicit', context.parameters)) };
}

export function bindCase(context: BindContext, node: CaseExpr): Bound {
  const offset = offsetOf(context, node.location);
  const branches = (node.args ?? []).flatMap((arg) => ('CaseWhen' in arg ? [arg.CaseWhen] : []));
  const results = branches.map((branch) => bindExpression(context, branch.result as Node));
  const otherwise: Bound =
    node.defresult === undefined
      ? { expression: { kind: 'literal', value: null }, type: undefined, offset }
      : bindExpression(context, node.defresult);
  // PostgreSQL looks at ELSE first, which decides between text and varchar.
  const { type, args: unified } = unify(context, [otherwise, ...results], 'CASE');
  const [last, ...args] = unified as [Expression, ...Expression[]];
  if (node.arg === undefined) {
    const whens = branches.map((branch, index) => ({
      when: bindCondition(context, branch.expr as Node, 'CASE WHEN'),
      then: args[index] as Expression,
    }));
    return { expression: { kind: 'case', type, whens, otherwise: last }, type, offset };
  }
  const operands = [node.arg, ...branches.map((branch) => branch.expr as Node)].map((each) =>
    bindExpression(context, each),
  );
  const compared = asComparable(context, operands, 'CASE');
  const pairs = compared.slice(1).flatMap((other, index) => [other, args[index] as Expression]);
  const call: Expression = {
    kind: 'call',
    type,
    name: 'case of',
    args: [compared[0] as Expression, ...pairs, last],
  };
  return { expression: call, type, offset };
}

/** All values as one type in which they can be compared. */
export function asComparable(
  context: BindContext,
  values: readonly Bound[],
  place: string,
): Expression[] {
  let name: ColumnType['name'] | undefined;
  for (const { type, offset } of values) {
    if (type === undefined) continue;
    const next = name === undefined ? plain(type).name : operandType(name, type.name);
    if (next === undefined) {
      throw sqlError(
        'UNDEFINED_FUNCTION',
        `${place} cannot compare ${name ?? 'unknown'} with ${typeLabel(type)}; add a cast.`,
        offset,
      );
    }
    name = next;
  }
  const type = plainTypes[name ?? 'text'];
  return values.map((value) => coerce(value, type, 'implicit', context.parameters));
}

export function bindCoalesce(context: BindContext, node: CoalesceExpr): Bound {
  const values = (node.args ?? []).map((arg) => bindExpression(context, arg));
  const { type, args } = unify(context, values, 'COALESCE');
  return {
    expression: { kind: 'call', type, name: 'coalesce', args },
    type,
    offset: offsetOf(context, node.location),
  };
}

/** GREATEST and LEAST. Throws UNDEFINED_FUNCTION for values without an order. */
export function bindMinMax(context: BindContext, node: MinMaxExpr): Bound {
  const values = (node.args ?? []).map((arg) => bindExpression(context, arg));
  const name = node.op === 'IS_LEAST' ? 'least' : 'greatest';
  const { type, args } = unify(context, values, name.toUpperCase());
  const offset = offsetOf(context, node.location);
  return { expression: { kind: 'call', type, name, args }, type, offset };
}

/** Whether PostgreSQL compares a value of type `left` with others of its family as it is. */
function keepsLeftType(left: TypeName, common: TypeName): boolean {
  if (left === common) return false;
  return (isInteger(left) && isInteger(common)) || left === 'real' || isTime(left);
}

/** NULLIF; the result has the left type where PostgreSQL has an operator of just these two types, else the common one. */
export function bindNullIf(
  context: BindContext,
  left: Node,
  right: Node,
  location: number | undefined,
): Bound {
  const value = bindExpression(context, left);
  const bound = bindComparison(context, '=', [value, bindExpression(context, right)], location);
  const { args } = bound.expression as Extract<Expression, { kind: 'call' }>;
  const common = plain((args[0] as Expression).type as ColumnType);
  // varchar has no operators of its own.
  const compared = common.name === 'varchar' ? plainTypes.text : common;
  const offset = offsetOf(context, location);
  const own = value.type?.name;
  if (own === undefined || !keepsLeftType(own, compared.name)) {
    const call: Expression = { kind: 'call', type: compared, name: 'nullif', args };
    return { expression: call, type: compared, offset };
  }
  const type = plainTypes[own];
  const whens = [
    { when: bound.expression, then: { kind: 'literal', type, value: null } as Expression },
  ];
  const otherwise = coerce(value, type, 'implicit', context.parameters);
  return { expression: { kind: 'case', type, whens, otherwise }, type, offset };
}
