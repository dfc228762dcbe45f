import type { Node, SortBy } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { settle } from './coerce.ts';
import { type BindContext, errorAt, type SortKey } from './context.ts';
import { bindExpression } from './expression.ts';
import type { Target } from './targets.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';

interface Results {
  readonly targets: readonly Target[];
  readonly outputs: readonly Expression[];
  readonly distinct: boolean;
  /** The results are those of UNION and the like, which only their names and places can mean. */
  readonly combined?: boolean;
  /** Constants are values, not places of results. */
  readonly constants?: boolean;
}

const sortFields = new Set(['node', 'sortby_dir', 'sortby_nulls', 'location']);

/** Binds ORDER BY: each key a result's place or alias, or an expression. With DISTINCT keys refer to the output row. */
export function bindSort(
  context: BindContext,
  nodes: readonly Node[],
  results: Results,
): SortKey[] {
  return nodes.map((node) => {
    if (!('SortBy' in node)) throw unsupported(context, 'This ORDER BY', node);
    allowFields(context, node.SortBy, sortFields, { useOp: 'ORDER BY … USING' });
    return bindKey(context, node.SortBy, results);
  });
}

function bindKey(context: BindContext, sortBy: SortBy, results: Results): SortKey {
  if (sortBy.sortby_dir === 'SORTBY_USING') throw unsupported(context, 'ORDER BY … USING', sortBy);
  const node = sortBy.node as Node;
  const descending = sortBy.sortby_dir === 'SORTBY_DESC';
  const nullsFirst =
    sortBy.sortby_nulls === 'SORTBY_NULLS_FIRST' ||
    (sortBy.sortby_nulls !== 'SORTBY_NULLS_LAST' && descending);
  const place = resultPlace(context, node, results);
  if (place === undefined && results.combined === true) {
    throw errorAt(
      context,
      'UNSUPPORTED_SQL',
      'ORDER BY after UNION, INTERSECT or EXCEPT takes names and places of results only.',
      firstLocation(node),
    );
  }
  const expression =
    place === undefined
      ? settle(bindExpression(context, node), context.parameters)
      : (results.outputs[place] as Expression);
  return {
    expression: results.distinct ? outputColumn(context, node, expression, results) : expression,
    descending,
    nullsFirst,
  };
}

/** The result that a bare number or a bare name in ORDER BY stands for; a name prefers results to columns. */
function resultPlace(context: BindContext, node: Node, results: Results): number | undefined {
  if ('A_Const' in node && results.constants !== true) {
    return placeOfConstant(context, node, results.outputs.length, 'ORDER BY');
  }
  if (!('ColumnRef' in node) || node.ColumnRef.fields?.length !== 1) return undefined;
  const [field] = node.ColumnRef.fields;
  const name = field !== undefined && 'String' in field ? field.String.sval : undefined;
  const places = results.targets.flatMap((target, index) => (target.name === name ? [index] : []));
  const [first] = places;
  if (
    places.some(
      (place) => !sameExpression(results.outputs[place], results.outputs[first as number]),
    )
  ) {
    throw errorAt(
      context,
      'AMBIGUOUS_COLUMN',
      `ORDER BY "${name ?? ''}" could mean several results; give them different names.`,
      node.ColumnRef.location,
    );
  }
  return first;
}

/** The result that a constant in ORDER BY or GROUP BY counts to, from 0. */
export function placeOfConstant(
  context: BindContext,
  node: Extract<Node, { readonly A_Const: unknown }>,
  count: number,
  clause: string,
): number {
  const { ival } = node.A_Const as { readonly ival?: { readonly ival?: number } };
  const number = ival?.ival ?? 0;
  if (ival !== undefined && number >= 1 && number <= count) return number - 1;
  throw errorAt(
    context,
    ival === undefined ? 'SYNTAX_ERROR' : 'INVALID_COLUMN_REFERENCE',
    `${clause} takes a result's place from 1 to ${count}.`,
    firstLocation(node),
  );
}

const sameExpression = (left: Expression | undefined, right: Expression | undefined): boolean =>
  left === right || JSON.stringify(left) === JSON.stringify(right);

function outputColumn(
  context: BindContext,
  node: Node,
  expression: Expression,
  results: Results,
): Expression {
  const ordinal = results.outputs.findIndex((output) => sameExpression(output, expression));
  const output = results.outputs[ordinal];
  if (output?.type === undefined) {
    const location = firstLocation(node);
    throw sqlError(
      'INVALID_COLUMN_REFERENCE',
      'With SELECT DISTINCT, ORDER BY takes only what is selected.',
      location === undefined ? undefined : context.source.indexOfByte(location),
    );
  }
  return { kind: 'column', type: output.type, ordinal };
}
