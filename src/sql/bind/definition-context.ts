/** How the expressions that definitions keep are bound: without parameters, and rows of one table at most. */
import type { Node } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { Column, Expression } from '../../codec/index.ts';
import type { StatementTree } from '../parse/script.ts';
import { type BindContext, newContext, ParameterTypes } from './context.ts';
import { unsupported } from './unsupported.ts';
import { bindAssigned } from './write.ts';

export const definitionContext = (
  tree: StatementTree,
  relations: BindContext['relations'],
  clause: string,
): BindContext =>
  newContext({ source: tree.source, relations, parameters: new NoParameters(), clause });

/** A definition is kept for ever and run without parameters. */
class NoParameters extends ParameterTypes {
  constructor() {
    super(0);
  }
  override get(number: number): never {
    throw sqlError(
      'UNDEFINED_PARAMETER',
      `A table definition cannot refer to $${number}; write the value.`,
    );
  }
}

/** A DEFAULT: free of columns and parameters; undefined for DEFAULT NULL, which is no default. */
export function bindDefault(
  tree: StatementTree,
  node: Node,
  column: Column,
): Expression | undefined {
  const reference = columnIn(node);
  if (reference !== undefined) throw unsupported(tree, 'A column in DEFAULT', reference);
  const expression = bindAssigned(definitionContext(tree, [], 'DEFAULT'), node, column);
  return expression?.kind === 'literal' && expression.value === null ? undefined : expression;
}

/** A reference to a column anywhere in an expression. */
function columnIn(expression: Node): unknown {
  const left: unknown[] = [expression];
  while (left.length > 0) {
    const node = left.pop();
    if (typeof node !== 'object' || node === null) continue;
    if ('ColumnRef' in node) return node.ColumnRef;
    left.push(...Object.values(node));
  }
  return undefined;
}
