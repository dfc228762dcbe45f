import type { A_Expr, Node } from 'libpg-query';
import { sqlError, type TypeName, type VerityError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { comparisonNames } from '../functions/comparison.ts';
import { findScalar, overloads } from '../functions/registry.ts';
import { asComparable, bindNullIf } from './branches.ts';
import { canCoerce, coerce, typeLabel } from './coerce.ts';
import { type Bound, type BindContext, offsetOf } from './context.ts';
import { bindExpression } from './expression.ts';
import {
  booleanType,
  isInteger,
  isText,
  isTime,
  operandType,
  plainTypes,
  textType,
} from './type-rules.ts';
import { unsupported } from './unsupported.ts';

/** Binds A_Expr: every operator, and IN, BETWEEN, LIKE, IS DISTINCT FROM and NULLIF. */
export function bindOperatorNode(context: BindContext, node: A_Expr): Bound {
  const { lexpr, rexpr, location } = node;
  switch (node.kind) {
    case 'AEXPR_OP': {
      if (isRow(lexpr) && isRow(rexpr)) return bindRowComparison(context, node, lexpr, rexpr);
      const operands = [lexpr, rexpr]
        .filter((each) => each !== undefined)
        .map((each) => bindExpression(context, each));
      return bindOperator(context, operatorName(context, node), operands, location);
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT': {
      const both = [bindExpression(context, lexpr as Node), bindExpression(context, rexpr as Node)];
      const compared = bindComparison(context, '=', both, location).expression as Extract<
        Expression,
        { kind: 'call' }
      >;
      const test: Expression = {
        kind: 'call',
        type: booleanType,
        name: 'is distinct from',
        args: compared.args,
      };
      return result(context, negate(test, node.kind === 'AEXPR_NOT_DISTINCT'), location);
    }
    case 'AEXPR_NULLIF':
      return bindNullIf(context, lexpr as Node, rexpr as Node, location);
    case 'AEXPR_IN':
      return bindIn(context, node);
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
      return bindLike(context, node);
    case 'AEXPR_BETWEEN':
    case 'AEXPR_NOT_BETWEEN': {
      const values = [lexpr as Node, ...listItems(rexpr)].map((each) =>
        bindExpression(context, each),
      );
      const args = asComparable(context, values, 'BETWEEN');
      const test: Expression = { kind: 'call', type: booleanType, name: 'between', args };
      return result(context, negate(test, node.kind === 'AEXPR_NOT_BETWEEN'), location);
    }
    case 'AEXPR_BETWEEN_SYM':
    case 'AEXPR_NOT_BETWEEN_SYM':
      return bindSymmetric(context, node);
    default:
      throw unsupported(context, kindNames[node.kind ?? ''] ?? 'This operator', location ?? node);
  }
}

const kindNames: Readonly<Record<string, string>> = {
  AEXPR_OP_ANY: 'ANY',
  AEXPR_OP_ALL: 'ALL',
  AEXPR_SIMILAR: 'SIMILAR TO',
};

function operatorName(context: BindContext, node: A_Expr): string {
  const names = (node.name ?? []).map((each) => ('String' in each ? (each.String.sval ?? '') : ''));
  if (names.length === 2 && names[0] !== 'pg_catalog')
    throw unsupported(context, 'An operator of another schema', node.location);
  return names[names.length - 1] ?? '';
}

const negate = (arg: Expression, negated: boolean): Expression =>
  negated ? { kind: 'not', type: booleanType, arg } : arg;

const result = (
  context: BindContext,
  expression: Expression,
  location: number | undefined,
): Bound => ({ expression, type: booleanType, offset: offsetOf(context, location) });

const listItems = (node: Node | undefined): readonly Node[] =>
  node !== undefined && 'List' in node ? (node.List.items ?? []) : [];

type Row = Extract<Node, { readonly RowExpr: unknown }>;
const isRow = (node: Node | undefined): node is Row => node !== undefined && 'RowExpr' in node;

/** BETWEEN SYMMETRIC: between the bounds in either order. */
function bindSymmetric(context: BindContext, { lexpr, rexpr, kind, location }: A_Expr): Bound {
  const values = [lexpr as Node, ...listItems(rexpr)].map((each) => bindExpression(context, each));
  const args = asComparable(context, values, 'BETWEEN');
  const [value, low, high] = args as [Expression, Expression, Expression];
  const either = [
    [value, low, high],
    [value, high, low],
  ].map((each): Expression => ({ kind: 'call', type: booleanType, name: 'between', args: each }));
  const test: Expression = { kind: 'or', type: booleanType, args: either };
  return result(context, negate(test, kind === 'AEXPR_NOT_BETWEEN_SYM'), location);
}

/** Rows compare column by column; the first that differ decide about less and greater. */
function bindRowComparison(context: BindContext, node: A_Expr, left: Row, right: Row): Bound {
  const name = operatorName(context, node);
  const [lefts = [], rights = []] = [left.RowExpr.args, right.RowExpr.args];
  if (!comparisonNames.has(name))
    throw unsupported(context, `Rows of values compared by ${name}`, node.location);
  if (lefts.length !== rights.length) {
    throw sqlError(
      'SYNTAX_ERROR',
      'Rows of values that are compared must be of one length.',
      offsetOf(context, node.location),
    );
  }
  const pairs = lefts.map((each, index) =>
    [each, rights[index] as Node].map((side) => bindExpression(context, side)),
  );
  const compared = (pair: readonly Bound[], by: string): Expression =>
    bindComparison(context, by, pair, node.location).expression;
  if (name === '=' || name === '<>') {
    const args = pairs.map((pair) => compared(pair, name));
    return result(
      context,
      { kind: name === '=' ? 'and' : 'or', type: booleanType, args },
      node.location,
    );
  }
  const [last = [], ...others] = pairs.toReversed();
  let test = compared(last, name);
  for (const pair of others) {
    const equal = compared(pair, '=');
    const more: Expression = { kind: 'and', type: booleanType, args: [equal, test] };
    const args = [compared(pair, name.charAt(0)), more];
    test = { kind: 'or', type: booleanType, args };
  }
  return result(context, test, node.location);
}

/** (a, b) IN ((c, d), …): equal to one of them. */
function bindRowIn(context: BindContext, node: A_Expr, left: Row): Bound {
  const equal: A_Expr = { ...node, name: [{ String: { sval: '=' } }] };
  const args = listItems(node.rexpr).map((item) => {
    if (!isRow(item)) throw unsupported(context, 'A row of values beside other values', item);
    return bindRowComparison(context, equal, left, item).expression;
  });
  const test: Expression = { kind: 'or', type: booleanType, args };
  return result(context, negate(test, operatorName(context, node) === '<>'), node.location);
}

function bindIn(context: BindContext, node: A_Expr): Bound {
  if (isRow(node.lexpr)) return bindRowIn(context, node, node.lexpr);
  const values = [node.lexpr as Node, ...listItems(node.rexpr)].map((each) =>
    bindExpression(context, each),
  );
  const [arg, ...list] = asComparable(context, values, 'IN') as [Expression, ...Expression[]];
  const negated = operatorName(context, node) === '<>';
  return result(context, { kind: 'in', type: booleanType, arg, list, negated }, node.location);
}

/** LIKE and ILIKE, with the escape that the grammar wraps around the pattern. */
function bindLike(context: BindContext, node: A_Expr): Bound {
  const pattern = node.rexpr as Node;
  const escaped = 'FuncCall' in pattern ? pattern.FuncCall : undefined;
  const isEscape =
    escaped?.funcname?.some((each) => 'String' in each && each.String.sval === 'like_escape') ===
    true;
  const parts = [node.lexpr as Node, ...(isEscape ? (escaped?.args ?? []) : [pattern])];
  const name = node.kind === 'AEXPR_LIKE' ? 'like' : 'ilike';
  const operands = parts.map((part) => bindExpression(context, part));
  if (!operands.every(({ type }) => canCoerce(type, textType, 'implicit')))
    throw noOperator(context, name.toUpperCase(), operands.slice(0, 2), node.location);
  const args = operands.map((each) => coerce(each, textType, 'implicit', context.parameters));
  const test: Expression = { kind: 'call', type: booleanType, name, args };
  return result(context, negate(test, operatorName(context, node).startsWith('!')), node.location);
}

/** An operator by its name, with one operand (a sign) or two. */
function bindOperator(
  context: BindContext,
  name: string,
  operands: readonly Bound[],
  location: number | undefined,
): Bound {
  if (comparisonNames.has(name)) return bindComparison(context, name, operands, location);
  if (name === '||') return bindConcatenation(context, operands, location);
  if (overloads(name).length === 0) throw unsupported(context, `The operator ${name}`, location);
  const types = operandTypes(name, operands);
  const found = types === undefined ? undefined : findScalar(name, types);
  const fits = operands.every(({ type }, index) =>
    canCoerce(type, plainTypes[types?.[index] ?? 'text'], 'implicit'),
  );
  if (found === undefined || !fits) throw noOperator(context, name, operands, location);
  const args = operands.map((operand, index) =>
    coerce(operand, plainTypes[found.args[index] as TypeName], 'implicit', context.parameters),
  );
  const type = plainTypes[found.result];
  return {
    expression: { kind: 'call', type, name, args },
    type,
    offset: offsetOf(context, location),
  };
}

/** The types that the operands of an operator other than a comparison take, or undefined. */
function operandTypes(name: string, operands: readonly Bound[]): readonly TypeName[] | undefined {
  const left = operands[0]?.type?.name;
  if (operands.length === 1) return [left ?? 'double precision'];
  const right = operands[1]?.type?.name;
  if (name === '->' || name === '->>')
    return ['jsonb', right !== undefined && isInteger(right) ? 'integer' : 'text'];
  if (name === '@>' || name === '<@') return ['jsonb', 'jsonb'];
  if (name === '^' && left !== 'numeric' && right !== 'numeric')
    return ['double precision', 'double precision'];
  if (left === 'interval' || right === 'interval') return spanOperands(name, left, right);
  if (left === 'date' || right === 'date') {
    const types = dateOperands(name, left, right);
    if (types !== undefined) return types;
  }
  if (name === '+' && right === undefined && left !== undefined && isTime(left))
    return [left, 'interval'];
  if (name === '+' && left === undefined && right !== undefined && isTime(right))
    return ['interval', right];
  if (left === undefined && right === undefined) return undefined;
  const type = operandType(left ?? (right as TypeName), right ?? (left as TypeName));
  return type === undefined ? undefined : [type, type];
}

/** Dates and times with spans of time, spans with each other, and multiples of spans. */
function spanOperands(
  name: string,
  left: TypeName | undefined,
  right: TypeName | undefined,
): readonly TypeName[] | undefined {
  const other = left === 'interval' ? right : left;
  if (name === '*' || name === '/')
    return left === 'interval'
      ? ['interval', 'double precision']
      : ['double precision', 'interval'];
  if (other !== undefined && other !== 'interval' && !isTime(other)) return undefined;
  return [left ?? 'interval', right ?? 'interval'];
}

function dateOperands(
  name: string,
  left: TypeName | undefined,
  right: TypeName | undefined,
): readonly TypeName[] | undefined {
  const whole = (type: TypeName | undefined): boolean =>
    type === undefined || type === 'smallint' || type === 'integer';
  if (left === 'date' && right === 'date') return ['date', 'date'];
  if (left === 'date' && name === '-' && right === undefined) return ['date', 'date'];
  if (left === 'date' && whole(right)) return ['date', 'integer'];
  return name === '+' && whole(left) ? ['integer', 'date'] : undefined;
}

/** A comparison as a call with both operands in the type of comparison. */
export function bindComparison(
  context: BindContext,
  name: string,
  operands: readonly Bound[],
  location: number | undefined,
): Bound {
  const [left, right] = operands as readonly [Bound, Bound];
  const leftName = left.type?.name ?? right.type?.name ?? 'text';
  const type =
    right === undefined ? undefined : operandType(leftName, right.type?.name ?? leftName);
  if (type === undefined) throw noOperator(context, name, operands, location);
  const args = operands.map((operand) =>
    coerce(operand, plainTypes[type], 'implicit', context.parameters),
  );
  return result(context, { kind: 'call', type: booleanType, name, args }, location);
}

/** || of texts (anything beside a text is taken as text) or of two bytea. */
function bindConcatenation(
  context: BindContext,
  operands: readonly Bound[],
  location: number | undefined,
): Bound {
  const names = operands.map((operand) => operand.type?.name);
  const isBytea =
    names.includes('bytea') && names.every((name) => name === undefined || name === 'bytea');
  const hasText = names.some((name) => name === undefined || isText(name));
  if (operands.length !== 2 || names.includes('jsonb') || !(isBytea || hasText)) {
    if (names.includes('jsonb')) throw unsupported(context, 'The operator || of jsonb', location);
    throw noOperator(context, '||', operands, location);
  }
  const type = isBytea ? plainTypes.bytea : textType;
  const args = operands.map((operand) => coerce(operand, type, 'explicit', context.parameters));
  return {
    expression: { kind: 'call', type, name: '||', args },
    type,
    offset: offsetOf(context, location),
  };
}

function noOperator(
  context: BindContext,
  name: string,
  operands: readonly Bound[],
  location: number | undefined,
): VerityError {
  const types = operands.map((operand) => typeLabel(operand.type));
  const written = types.length === 1 ? `${name} ${types[0]}` : types.join(` ${name} `);
  return sqlError(
    'UNDEFINED_FUNCTION',
    `There is no operator ${written}; add a cast.`,
    offsetOf(context, location),
  );
}
