/** EXPLAIN: how a statement would be run, without running it. */
import type { ExplainStmt, Node } from 'libpg-query';
import { assert } from '../../base/index.ts';
import { type ParameterTypes } from '../bind/context.ts';
import { bindInsert } from '../bind/insert.ts';
import { bindQuery } from '../bind/query.ts';
import { textType } from '../bind/type-rules.ts';
import { unsupported } from '../bind/unsupported.ts';
import { bindDelete, bindUpdate, type BoundUpdate } from '../bind/write.ts';
import type { Catalog, PreparedQuery } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { type PlanNode, planLines } from './node.ts';
import { PlanTeller } from './plan-text.ts';

/** EXPLAIN as a query of one column of text. Options are refused, except COSTS OFF, which it is anyway. */
export function prepareExplain(
  tree: StatementTree,
  node: ExplainStmt,
  catalog: Catalog,
  parameters: ParameterTypes,
): PreparedQuery {
  for (const option of node.options ?? []) {
    const { defname, arg } = 'DefElem' in option ? option.DefElem : {};
    const isOff = arg !== undefined && 'String' in arg && arg.String.sval === 'off';
    if (!(defname === 'costs' && isOff))
      throw unsupported(tree, `EXPLAIN (${(defname ?? '').toUpperCase()})`, option);
  }
  const plan = planNode(tree, node.query as Node, catalog, parameters);
  const lines = planLines(plan);
  return {
    kind: 'query',
    columns: [{ name: 'QUERY PLAN', type: textType }],
    parameterTypes: parameters.list(),
    run: () => lines.map((line) => [line]).values() as Iterator<readonly string[], undefined>,
  };
}

function planNode(
  tree: StatementTree,
  node: Node,
  catalog: Catalog,
  parameters: ParameterTypes,
): PlanNode {
  const teller = new PlanTeller({ parameters, statistics: catalog.statistics });
  if ('SelectStmt' in node) {
    return teller.query(bindQuery(node.SelectStmt, { source: tree.source, catalog, parameters }));
  }
  if ('UpdateStmt' in node)
    return explainUpdate(bindUpdate(tree, node.UpdateStmt, catalog, parameters), teller);
  if ('DeleteStmt' in node)
    return teller.change('Delete', bindDelete(tree, node.DeleteStmt, catalog, parameters), []);
  assert('InsertStmt' in node, 'the parser lets through what EXPLAIN can tell');
  const { table, query } = bindInsert(tree, node.InsertStmt, catalog, parameters);
  const children = query === undefined ? [] : [teller.query(query)];
  return { label: `Insert on ${table.name}`, details: [], children };
}

function explainUpdate(bound: BoundUpdate, teller: PlanTeller): PlanNode {
  const values = bound.assignments.flatMap(({ value }) => value ?? []);
  return teller.change('Update', bound, values);
}
