import type { Node, SortBy } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { settle } from './coerce.ts';
import { type BindContext, errorAt } from './context.ts';
import { bindExpression } from './expression.ts';
import type { Target } from './targets.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';

export interface SortKey {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

interface Results {
  readonly targets: readonly Target[];
  readonly outputs: readonly Expression[];
  readonly distinct: boolean;
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
  if ('A_Const' in node) {
    const number = (node.A_Const as { readonly ival?: { readonly ival?: number } }).ival?.ival ?? 0;
    if (number >= 1 && number <= results.outputs.length) return number - 1;
    throw errorAt(
      context,
      'INVALID_COLUMN_REFERENCE',
      `ORDER BY takes a result's place from 1 to ${results.outputs.length}.`,
      firstLocation(node),
    );
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
