/** Binds the parser's expression nodes: names to columns, operators and functions to types. */
import type { Node } from 'libpg-query';
import { type ColumnType, sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { bindCase, bindCoalesce, bindMinMax } from './branches.ts';
import { atOffset, canCoerce, coerce, typeLabel } from './coerce.ts';
import { bindColumn } from './columns.ts';
import { type Bound, type BindContext, deeper, errorAt, offsetOf } from './context.ts';
import { bindFunction, bindValueFunction } from './functions.ts';
import { bindConstant } from './literals.ts';
import { bindOperatorNode } from './operators.ts';
import { bindSubquery } from './subquery.ts';
import { booleanType, textType } from './type-rules.ts';
import { bindTypeCast } from './type-cast.ts';
import { allowFields, unsupported } from './unsupported.ts';

/** Binds one expression. Throws UNSUPPORTED_SQL, UNDEFINED_COLUMN, UNDEFINED_FUNCTION, TYPE_MISMATCH, … with the offset. */
export function bindExpression(outer: BindContext, node: Node): Bound {
  const context = deeper(outer);
  if ('A_Const' in node) return bindConstant(context, node.A_Const);
  if ('ColumnRef' in node) return bindColumn(context, node.ColumnRef);
  if ('ParamRef' in node) return bindParameter(context, node.ParamRef);
  if ('A_Expr' in node) return bindOperatorNode(context, node.A_Expr);
  if ('BoolExpr' in node) return bindBoolean(context, node.BoolExpr);
  if ('NullTest' in node) return bindNullTest(context, node.NullTest);
  if ('BooleanTest' in node) return bindBooleanTest(context, node.BooleanTest);
  if ('TypeCast' in node) return bindTypeCast(context, node.TypeCast);
  if ('FuncCall' in node) return bindFunction(context, node.FuncCall);
  if ('SQLValueFunction' in node) return bindValueFunction(context, node.SQLValueFunction);
  if ('CaseExpr' in node) return bindCase(context, node.CaseExpr);
  if ('CoalesceExpr' in node) return bindCoalesce(context, node.CoalesceExpr);
  if ('SubLink' in node) return bindSubquery(context, node.SubLink);
  if ('MinMaxExpr' in node) return bindMinMax(context, node.MinMaxExpr);
  if ('SetToDefault' in node) {
    throw errorAt(
      context,
      'SYNTAX_ERROR',
      'DEFAULT stands only for a whole value of VALUES or SET.',
      node.SetToDefault.location,
    );
  }
  throw unsupported(context, describeNode(node), node);
}

/** Binds a condition: an expression of type boolean. Throws TYPE_MISMATCH naming the clause. */
export function bindCondition(context: BindContext, node: Node, place: string): Expression {
  const bound = bindExpression(context, node);
  if (bound.type !== undefined && bound.type.name !== 'boolean') {
    throw sqlError(
      'TYPE_MISMATCH',
      `${place} takes a boolean, not ${typeLabel(bound.type)}.`,
      bound.offset,
    );
  }
  return coerce(bound, booleanType, 'implicit', context.parameters);
}

/** The expression of a bound value as `to`. Throws TYPE_MISMATCH naming `place` if it does not go there by itself. */
export function coerceTo(
  context: BindContext,
  bound: Bound,
  to: ColumnType,
  place: string,
): Expression {
  if (!canCoerce(bound.type, to, 'implicit')) {
    throw sqlError(
      'TYPE_MISMATCH',
      `${place} takes ${typeLabel(to)}, not ${typeLabel(bound.type)}; add a cast.`,
      bound.offset,
    );
  }
  return coerce(bound, to, 'implicit', context.parameters);
}

function bindParameter(
  context: BindContext,
  node: { readonly number?: number; readonly location?: number },
): Bound {
  const number = node.number ?? 0;
  const offset = offsetOf(context, node.location);
  const type = atOffset(offset, () => context.parameters.get(number));
  return { expression: { kind: 'parameter', type: type ?? textType, number }, type, offset };
}

const booleanNames: Readonly<Record<string, 'and' | 'or' | 'not'>> = {
  AND_EXPR: 'and',
  OR_EXPR: 'or',
  NOT_EXPR: 'not',
};

function bindBoolean(
  context: BindContext,
  node: { readonly boolop?: string; readonly args?: readonly Node[]; readonly location?: number },
): Bound {
  const kind = booleanNames[node.boolop ?? ''];
  if (kind === undefined) throw unsupported(context, 'This condition', node);
  const args = (node.args ?? []).map((arg) => bindCondition(context, arg, kind.toUpperCase()));
  const expression: Expression =
    kind === 'not'
      ? { kind, type: booleanType, arg: args[0] as Expression }
      : { kind, type: booleanType, args };
  return { expression, type: booleanType, offset: offsetOf(context, node.location) };
}

const nullTestFields = new Set(['arg', 'nulltesttype', 'location', 'argisrow']);

function bindNullTest(
  context: BindContext,
  node: { readonly arg?: Node; readonly nulltesttype?: string; readonly location?: number },
): Bound {
  allowFields(context, node, nullTestFields);
  const arg = bindExpression(context, node.arg as Node);
  const expression: Expression = {
    kind: 'isNull',
    type: booleanType,
    arg: arg.expression,
    negated: node.nulltesttype === 'IS_NOT_NULL',
  };
  return { expression, type: booleanType, offset: arg.offset };
}

function bindBooleanTest(
  context: BindContext,
  node: { readonly arg?: Node; readonly booltesttype?: string; readonly location?: number },
): Bound {
  const [, not, word] = /^IS_(NOT_)?(\w+)$/.exec(node.booltesttype ?? '') ?? [];
  const arg = bindCondition(context, node.arg as Node, `IS ${word ?? ''}`);
  const test: Expression =
    word === 'UNKNOWN'
      ? { kind: 'isNull', type: booleanType, arg, negated: false }
      : {
          kind: 'call',
          type: booleanType,
          name: word === 'TRUE' ? 'is true' : 'is false',
          args: [arg],
        };
  const expression: Expression =
    not === undefined ? test : { kind: 'not', type: booleanType, arg: test };
  return { expression, type: booleanType, offset: offsetOf(context, node.location) };
}

const nodeNames: Readonly<Record<string, string>> = {
  RowExpr: 'A row of values',
  A_ArrayExpr: 'An array',
  A_Indirection: 'A field or element of a value',
  CollateClause: 'COLLATE',
  GroupingFunc: 'GROUPING',
  JsonIsPredicate: 'IS JSON',
  MultiAssignRef: 'An assignment to several columns at once',
  NamedArgExpr: 'A named argument',
  XmlExpr: 'XML',
};

/** What an unsupported expression node is called in errors. */
function describeNode(node: Node): string {
  const kind = Object.keys(node)[0] ?? 'This expression';
  return nodeNames[kind] ?? kind;
}
