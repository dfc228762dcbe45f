/** GROUP BY and aggregates: turns expressions over source rows into expressions over the row of a group. */
import type { Node, SelectStmt } from 'libpg-query';
import { assert, sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { Grouping } from './bound-query.ts';
import { primaryKeyColumns } from '../schema/table-keys.ts';
import { settle } from './coerce.ts';
import { type AggregateCall, type BindContext, placeOf, type SortKey } from './context.ts';
import { bindExpression } from './expression.ts';
import { placeOfConstant } from './sort.ts';
import type { Target } from './targets.ts';
import { rewrite, someNode } from './rewrite.ts';
import { plainTypes, textType } from './type-rules.ts';
import { firstLocation, unsupported } from './unsupported.ts';

interface Results {
  readonly targets: readonly Target[];
  readonly outputs: readonly Expression[];
}

/** What stands for an aggregate until its group's row is known. */
export const aggregateMark = 'aggregate';

/** The keys of GROUP BY: a column, a result by place or alias, or any expression. */
export function bindGroupKeys(
  context: BindContext,
  statement: SelectStmt,
  results: Results,
): Expression[] {
  const inner: BindContext = { ...context, clause: 'GROUP BY', aggregates: undefined };
  if (statement.groupDistinct === true) throw unsupported(context, 'GROUP BY DISTINCT', statement);
  const keys: Expression[] = [];
  const seen = new Set<string>();
  for (const node of statement.groupClause ?? []) {
    if ('GroupingSet' in node)
      throw unsupported(
        context,
        'GROUPING SETS, ROLLUP and CUBE',
        node.GroupingSet.location ?? node,
      );
    const key = bindKey(inner, node, results);
    const text = JSON.stringify(key);
    if (!seen.has(text)) keys.push(key);
    seen.add(text);
  }
  return keys;
}

function bindKey(context: BindContext, node: Node, results: Results): Expression {
  const place = resultPlace(context, node, results);
  if (place === undefined) return settle(bindExpression(context, node), context.parameters);
  const output = results.outputs[place] as Expression;
  if (hasAggregate(output)) {
    throw sqlError(
      'GROUPING_ERROR',
      'GROUP BY cannot take an aggregate.',
      offsetIn(context, node) ?? results.targets[place]?.bound.offset,
    );
  }
  return output;
}

const offsetIn = (context: BindContext, node: Node): number | undefined => {
  const location = firstLocation(node);
  return location === undefined ? undefined : context.source.indexOfByte(location);
};

const hasAggregate = (expression: Expression): boolean =>
  someNode(expression, (each) => each.kind === 'call' && each.name === aggregateMark);

/** The result that a number or a name means; names prefer columns, unlike in ORDER BY. */
function resultPlace(context: BindContext, node: Node, results: Results): number | undefined {
  if ('A_Const' in node) return placeOfConstant(context, node, results.outputs.length, 'GROUP BY');
  if (!('ColumnRef' in node) || node.ColumnRef.fields?.length !== 1) return undefined;
  const [field] = node.ColumnRef.fields;
  const name = field !== undefined && 'String' in field ? (field.String.sval ?? '') : undefined;
  const isColumn = context.relations.some(({ columns }) =>
    columns.some((column) => column.name === name && column.hidden !== true),
  );
  if (isColumn) return undefined;
  const place = results.targets.findIndex((target) => target.name === name);
  return place === -1 ? undefined : place;
}

interface Ungrouped extends Grouping {
  readonly outputs: readonly Expression[];
  readonly sort: readonly SortKey[];
}

/** The same over the row of a group. Throws GROUPING_ERROR for a column that is neither key nor within an aggregate. */
export function groupRows(context: BindContext, query: Ungrouped) {
  const { keys } = query;
  const aggregates: AggregateCall[] = [...query.aggregates];
  const byText = new Map(keys.map((key, index) => [JSON.stringify(key), index]));
  const dependent = dependentColumns(context, keys);
  const used = new Set<number>();
  const regroup = (expression: Expression): Expression =>
    rewrite(withoutDeadBranches(expression), (each) => {
      const place = keys.length === 0 ? undefined : byText.get(JSON.stringify(each));
      if (place !== undefined) return columnAt(each, place);
      if (each.kind === 'call' && each.name === aggregateMark) {
        const [index] = each.args;
        assert(index?.kind === 'literal', 'an aggregate is marked with its number');
        used.add(index.value as number);
        return columnAt(each, keys.length + (index.value as number));
      }
      if (each.kind !== 'column') return undefined;
      if (!dependent.has(each.ordinal)) throw ungrouped(each, keys.length > 0);
      const first = aggregates.push(firstOf(each)) - 1;
      return columnAt(each, keys.length + first);
    });
  const having = query.having && regroup(query.having);
  const outputs = query.outputs.map(regroup);
  const sort = query.sort.map((key) => ({ ...key, expression: regroup(key.expression) }));
  // An aggregate that nobody asks for any more must not fail; its place stays.
  const asked = aggregates.map((call, index) =>
    used.has(index) || index >= query.aggregates.length ? call : countRows,
  );
  return { grouping: { keys, aggregates: asked, having }, outputs, sort };
}

const countRows: AggregateCall = {
  name: 'count',
  argument: undefined,
  distinct: false,
  type: plainTypes.bigint,
};

/** Without branches of CASE that constants rule out: as in PostgreSQL, aggregates within them are not worked out. */
function withoutDeadBranches(expression: Expression): Expression {
  return rewrite(expression, (each) => {
    if (each.kind !== 'case' || !each.whens.some(({ when }) => when.kind === 'literal'))
      return undefined;
    const sure = each.whens.findIndex(({ when }) => when.kind === 'literal' && when.value === true);
    const otherwise = sure === -1 ? each.otherwise : (each.whens[sure]?.then ?? each.otherwise);
    const whens = (sure === -1 ? each.whens : each.whens.slice(0, sure)).filter(
      ({ when }) => when.kind !== 'literal',
    );
    return withoutDeadBranches(whens.length === 0 ? otherwise : { ...each, whens, otherwise });
  });
}

const columnAt = (expression: Expression, ordinal: number): Expression => ({
  kind: 'column',
  type: expression.type ?? textType,
  ordinal,
});

const firstOf = (column: Expression): AggregateCall => ({
  name: 'first',
  argument: column,
  distinct: false,
  type: column.type ?? textType,
});

/** Columns of tables whose whole primary key is among the keys: they have one value in each group. */
function dependentColumns(context: BindContext, keys: readonly Expression[]): ReadonlySet<number> {
  const grouped = new Set(keys.flatMap((key) => (key.kind === 'column' ? [key.ordinal] : [])));
  const dependent = new Set<number>();
  for (const { table, columns } of context.relations) {
    const primaryKey = table && primaryKeyColumns(table);
    if (table === undefined || primaryKey === undefined) continue;
    const places = new Map(
      columns.map(({ name, expression }) => [
        name,
        expression.kind === 'column' ? expression.ordinal : -1,
      ]),
    );
    const isGrouped = primaryKey.every((ordinal) =>
      grouped.has(places.get(table.columns[ordinal]?.name ?? '') ?? -1),
    );
    if (isGrouped) for (const place of places.values()) dependent.add(place);
  }
  return dependent;
}

function ungrouped(column: Expression, hasKeys: boolean) {
  const place = placeOf(column);
  const advice = hasKeys
    ? 'name it in GROUP BY, or put it into an aggregate.'
    : 'put it into one, or select it alone.';
  return sqlError(
    'GROUPING_ERROR',
    hasKeys
      ? `Column "${place?.name ?? ''}" is neither grouped nor aggregated; ${advice}`
      : `Column "${place?.name ?? ''}" stands beside an aggregate; ${advice}`,
    place?.offset,
  );
}
