import type { ColumnRef, Node } from 'libpg-query';
import { type Bound, type BindContext, errorAt, offsetOf } from './context.ts';
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
  return relations.flatMap(({ table }) =>
    table.columns.map((column, ordinal) => {
      context.onColumn?.(column.name, offset);
      const { type } = column;
      return {
        name: column.name,
        bound: { expression: { kind: 'column', type, ordinal }, type, offset },
      } as const;
    }),
  );
}

/** The name PostgreSQL gives a result without an alias. */
function nameOf(node: Node): string | undefined {
  if ('ColumnRef' in node) return lastName(node.ColumnRef.fields);
  if ('FuncCall' in node) return lastName(node.FuncCall.funcname);
  if ('TypeCast' in node)
    return nameOf(node.TypeCast.arg as Node) ?? lastName(node.TypeCast.typeName?.names);
  if ('CoalesceExpr' in node) return 'coalesce';
  if ('CaseExpr' in node) {
    return (
      (node.CaseExpr.defresult === undefined ? undefined : nameOf(node.CaseExpr.defresult)) ??
      'case'
    );
  }
  if ('A_Expr' in node && node.A_Expr.kind === 'AEXPR_NULLIF') return 'nullif';
  if ('SQLValueFunction' in node)
    return node.SQLValueFunction.op?.replace('SVFOP_', '').replace(/_N$/, '').toLowerCase();
  return undefined;
}

function lastName(names: readonly Node[] | undefined): string | undefined {
  const last = names?.[names.length - 1];
  return last !== undefined && 'String' in last ? last.String.sval : undefined;
}
