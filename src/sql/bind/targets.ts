import type { ColumnRef, Node, SubLink } from 'libpg-query';
import { type Bound, type BindContext, errorAt, offsetOf, placed } from './context.ts';
import { bindExpression } from './expression.ts';
import { allowFields, unsupported } from './unsupported.ts';

/** One result column before its type is settled. */
export interface Target {
  readonly name: string;
  readonly bound: Bound;
}

const targetFields = new Set(['name', 'val', 'location']);

/** Binds a list of results (SELECT, RETURNING); * stands for the table's columns. */
export function bindTargets(context: BindContext, nodes: readonly Node[]): Target[] {
  return nodes.flatMap((node) => {
    if (!('ResTarget' in node)) throw unsupported(context, 'This result', node);
    allowFields(context, node.ResTarget, targetFields);
    const value = node.ResTarget.val as Node;
    if ('ColumnRef' in value && isStar(value.ColumnRef))
      return allColumns(context, value.ColumnRef);
    return [
      {
        name: node.ResTarget.name ?? nameOf(value) ?? '?column?',
        bound: bindExpression(context, value),
      },
    ];
  });
}

const isStar = (node: ColumnRef): boolean => (node.fields ?? []).some((field) => 'A_Star' in field);

function allColumns(context: BindContext, node: ColumnRef): Target[] {
  const [first, ...more] = node.fields ?? [];
  const qualifier = first !== undefined && 'String' in first ? first.String.sval : undefined;
  if (more.length > 1) throw unsupported(context, 'A qualified name of three parts', node);
  const relations = context.relations.filter(
    (each) => qualifier === undefined || each.name === qualifier,
  );
  if (relations.length === 0) {
    const what =
      qualifier === undefined
        ? '* needs a table in FROM.'
        : `"${qualifier}" is not a table of this statement; use its name or alias from FROM.`;
    throw errorAt(
      context,
      qualifier === undefined ? 'SYNTAX_ERROR' : 'UNDEFINED_TABLE',
      what,
      node.location,
    );
  }
  const offset = offsetOf(context, node.location);
  return relations.flatMap(({ columns }) =>
    columns
      .filter((column) => qualifier !== undefined || column.hidden !== true)
      .map(({ name, expression: own }) => {
        const expression = placed(own, name, offset);
        return { name, bound: { expression, type: expression.type, offset } };
      }),
  );
}

/** The name PostgreSQL gives a result without an alias. */
function nameOf(node: Node): string | undefined {
  return ownName(node) ?? weakName(node);
}

/** A name that an enclosing cast or CASE keeps. */
function ownName(node: Node): string | undefined {
  if ('ColumnRef' in node) return lastName(node.ColumnRef.fields);
  if ('FuncCall' in node) return lastName(node.FuncCall.funcname);
  if ('CoalesceExpr' in node) return 'coalesce';
  if ('A_Expr' in node && node.A_Expr.kind === 'AEXPR_NULLIF') return 'nullif';
  if ('MinMaxExpr' in node) return node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest';
  if ('SubLink' in node) return nameOfSubquery(node.SubLink);
  if ('SQLValueFunction' in node)
    return node.SQLValueFunction.op?.replace('SVFOP_', '').replace(/_N$/, '').toLowerCase();
  if ('TypeCast' in node) return ownName(node.TypeCast.arg as Node);
  if ('CaseExpr' in node && node.CaseExpr.defresult !== undefined)
    return ownName(node.CaseExpr.defresult);
  return undefined;
}

function nameOfSubquery(link: SubLink): string | undefined {
  if (link.subLinkType === 'EXISTS_SUBLINK') return 'exists';
  if (link.subLinkType !== 'EXPR_SUBLINK') return undefined;
  const { subselect } = link;
  if (subselect === undefined || !('SelectStmt' in subselect)) return undefined;
  let query = subselect.SelectStmt;
  while (query.larg !== undefined) query = query.larg;
  const target = query.targetList?.[0];
  if (target === undefined || !('ResTarget' in target)) return undefined;
  return target.ResTarget.name ?? nameOf(target.ResTarget.val as Node) ?? '?column?';
}

/** The name of what is around it, when nothing within has one. */
function weakName(node: Node): string | undefined {
  if ('TypeCast' in node) return lastName(node.TypeCast.typeName?.names);
  return 'CaseExpr' in node ? 'case' : undefined;
}

function lastName(names: readonly Node[] | undefined): string | undefined {
  const last = names?.[names.length - 1];
  return last !== undefined && 'String' in last ? last.String.sval : undefined;
}
