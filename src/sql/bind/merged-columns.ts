import type { JoinExpr } from 'libpg-query';
import type { Expression } from '../../codec/index.ts';
import { coerce } from './coerce.ts';
import { type BindContext, errorAt, type Relation, type RelationColumn } from './context.ts';
import type { FromPart } from './from.ts';
import { bindComparison } from './operators.ts';
import { commonType, textType } from './type-rules.ts';
import { firstLocation } from './unsupported.ts';

interface Merge {
  readonly left: FromPart;
  readonly right: FromPart;
  readonly names: readonly string[];
  readonly node: JoinExpr;
}

const visible = (relations: readonly Relation[]): RelationColumn[] =>
  relations.flatMap((relation) => relation.columns.filter((column) => column.hidden !== true));

/** The names of NATURAL JOIN, in the order of the left side. */
export function sharedNames(left: readonly Relation[], right: readonly Relation[]): string[] {
  const others = new Set(visible(right).map((column) => column.name));
  return visible(left).flatMap(({ name }) => (others.has(name) ? [name] : []));
}

/** The columns of USING: their conditions, and one column for each pair ahead of all others. */
export function mergeColumns(
  context: BindContext,
  { left, right, names, node }: Merge,
): { readonly conditions: readonly Expression[]; readonly relations: readonly Relation[] } {
  const conditions: Expression[] = [];
  const merged = names.map((name): RelationColumn => {
    const one = only(context, left.relations, name, node);
    const two = only(context, right.relations, name, node);
    const bounds = [one, two].map(({ expression }) => ({
      expression,
      type: expression.type,
      offset: undefined,
    }));
    conditions.push(bindComparison(context, '=', bounds, undefined).expression);
    const type = commonType(bounds.map((bound) => bound.type)) ?? textType;
    const [first, second] = bounds.map((bound) =>
      coerce(bound, type, 'implicit', context.parameters),
    ) as [Expression, Expression];
    const expression: Expression =
      node.jointype === 'JOIN_FULL'
        ? { kind: 'call', type, name: 'coalesce', args: [first, second] }
        : node.jointype === 'JOIN_RIGHT'
          ? second
          : first;
    return { name, expression };
  });
  const hide = (relation: Relation): Relation => ({
    ...relation,
    columns: relation.columns.map((column) =>
      names.includes(column.name) ? { ...column, hidden: true } : column,
    ),
  });
  const relations = [...left.relations, ...right.relations].map(hide);
  return { conditions, relations: [{ name: '', columns: merged }, ...relations] };
}

function only(
  context: BindContext,
  relations: readonly Relation[],
  name: string,
  node: JoinExpr,
): RelationColumn {
  const found = visible(relations).filter((column) => column.name === name);
  const [first] = found;
  if (found.length === 1 && first !== undefined) return first;
  throw errorAt(
    context,
    first === undefined ? 'UNDEFINED_COLUMN' : 'AMBIGUOUS_COLUMN',
    first === undefined
      ? `USING names the column "${name}", which one side of the join does not have.`
      : `USING names the column "${name}", which one side of the join has twice.`,
    firstLocation(node),
  );
}
