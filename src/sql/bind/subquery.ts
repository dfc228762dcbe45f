/** Binds queries within expressions: scalar ones, EXISTS, IN, ANY and ALL. */
import type { Node, SubLink } from 'libpg-query';
import { assert, type ColumnType, sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { BoundQuery, SubqueryCall } from './bound-query.ts';
import { capture } from './columns.ts';
import { type Bound, type BindContext, type Captures, offsetOf } from './context.ts';
import { bindExpression } from './expression.ts';
import { bindComparison } from './operators.ts';
import { bindQuery } from './query.ts';
import { booleanType } from './type-rules.ts';
import { firstLocation, unsupported } from './unsupported.ts';

export function bindSubquery(context: BindContext, node: SubLink): Bound {
  switch (node.subLinkType) {
    case 'EXISTS_SUBLINK': {
      const { query, captures } = bindInner(context, node);
      return call(context, node, {
        name: 'subquery exists',
        type: booleanType,
        query: withoutOutputs(query),
        ...own(captures),
      });
    }
    case 'EXPR_SUBLINK': {
      const { query, captures } = bindInner(context, node);
      const [column, ...more] = query.columns;
      if (column === undefined || more.length > 0)
        throw tooManyColumns(context, node, 1, query.columns.length);
      const { type } = column;
      return call(context, node, { name: 'subquery value', type, query, ...own(captures) });
    }
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK':
      return bindQuantified(context, node);
    default:
      throw unsupported(
        context,
        node.subLinkType === 'ARRAY_SUBLINK' ? 'ARRAY(SELECT …)' : 'A row compared with a subquery',
        node,
      );
  }
}

const own = ({ args, slots }: Captures) => ({ args, slots, ownCount: args.length });

/** For EXISTS: as in PostgreSQL the results of a plain query are not computed, nor put in order. */
function withoutOutputs(query: BoundQuery): BoundQuery {
  if (query.kind !== 'select' || query.grouping !== undefined || query.distinct) return query;
  return { ...query, outputs: [], columns: [], sort: [] };
}

/** The query of a subquery, and what it reads of the row around it. */
export function bindInner(
  context: BindContext,
  node: SubLink,
): { readonly query: BoundQuery; readonly captures: Captures } {
  const { subselect } = node;
  const { source, catalog, parameters, named, depth } = context;
  if (catalog === undefined)
    throw unsupported(context, `A subquery in ${context.clause}`, node.location ?? node);
  if (subselect === undefined || !('SelectStmt' in subselect))
    throw unsupported(context, 'This subquery', subselect);
  const captures: Captures = { args: [], slots: [] };
  parameters.noteSubquery();
  const scope = { source, catalog, parameters, depth, outer: { context, captures } };
  const query = bindQuery(subselect.SelectStmt, named === undefined ? scope : { ...scope, named });
  return { query, captures };
}

const call = (
  context: BindContext,
  node: SubLink,
  parts: Omit<SubqueryCall, 'kind' | 'scope'>,
): Bound => {
  const { catalog, parameters } = context;
  assert(catalog !== undefined, 'a subquery is bound with a catalog');
  const { tenant, statistics } = catalog;
  const scope = { tenant, parameters, statistics };
  const expression: SubqueryCall = { kind: 'call', scope, ...parts };
  return { expression, type: parts.type, offset: offsetOf(context, node.location) };
};

/** x op ANY (SELECT …) and x op ALL (SELECT …); IN is = ANY. Rows of values compare with = and <> only. */
function bindQuantified(context: BindContext, node: SubLink): Bound {
  const operator = operatorName(node) ?? '=';
  const lefts = rowItems(node.testexpr as Node).map((each) => bindExpression(context, each));
  const { query, captures } = bindInner(context, node);
  if (query.columns.length !== lefts.length)
    throw tooManyColumns(context, node, lefts.length, query.columns.length);
  if (lefts.length > 1 && operator !== '=' && operator !== '<>')
    throw unsupported(context, `Rows compared by ${operator}`, node);
  const { parameters } = context;
  const compared: Captures = { args: [], slots: [] };
  const valueSlots = query.columns.map(() => parameters.allocateSlot());
  const tests = lefts.map((left, index): Expression => {
    const type = query.columns[index]?.type as ColumnType;
    const held: Bound =
      left.type === undefined
        ? left
        : { ...left, expression: capture(parameters, compared, left.expression) };
    const value: Bound = {
      expression: { kind: 'parameter', type, number: valueSlots[index] as number },
      type,
      offset: left.offset,
    };
    return bindComparison(context, operator, [held, value], node.location).expression;
  });
  const [first] = tests;
  const test: Expression =
    tests.length === 1 && first !== undefined
      ? first
      : { kind: operator === '<>' ? 'or' : 'and', type: booleanType, args: tests };
  return call(context, node, {
    name: node.subLinkType === 'ALL_SUBLINK' ? 'subquery all' : 'subquery any',
    type: booleanType,
    query,
    args: [...captures.args, ...compared.args],
    slots: [...captures.slots, ...compared.slots],
    ownCount: captures.args.length,
    test,
    valueSlots,
  });
}

const rowItems = (node: Node): readonly Node[] =>
  'RowExpr' in node ? (node.RowExpr.args ?? []) : [node];

function operatorName({ operName }: SubLink): string | undefined {
  const last = operName?.[operName.length - 1];
  return last !== undefined && 'String' in last ? last.String.sval : undefined;
}

function tooManyColumns(context: BindContext, node: SubLink, wanted: number, given: number) {
  const location = firstLocation(node.subselect) ?? node.location;
  return sqlError(
    'SYNTAX_ERROR',
    `The subquery yields ${given} columns; here it takes ${wanted}.`,
    offsetOf(context, location),
  );
}
