import type { Expression } from '../../codec/index.ts';

/**
 * The expression with every node for which `change` yields another replaced by it, from the outside in; what
 * it replaces is not looked into. A subquery is its arguments here: what it reads of the row around it.
 */
export function rewrite(
  expression: Expression,
  change: (each: Expression) => Expression | undefined,
): Expression {
  const changed = change(expression);
  if (changed !== undefined) return changed;
  const all = (each: readonly Expression[]): Expression[] =>
    each.map((other) => rewrite(other, change));
  switch (expression.kind) {
    case 'literal':
    case 'column':
    case 'parameter':
      return expression;
    case 'cast':
    case 'not':
    case 'isNull':
      return { ...expression, arg: rewrite(expression.arg, change) };
    case 'call':
    case 'and':
    case 'or':
      return { ...expression, args: all(expression.args) };
    case 'in':
      return {
        ...expression,
        arg: rewrite(expression.arg, change),
        list: all(expression.list),
      };
    case 'case':
      return {
        ...expression,
        whens: expression.whens.map(({ when, then }) => ({
          when: rewrite(when, change),
          then: rewrite(then, change),
        })),
        otherwise: rewrite(expression.otherwise, change),
      };
  }
}

/** Shows every node to `see`, from the outside in. */
function visit(expression: Expression, see: (each: Expression) => void): void {
  see(expression);
  switch (expression.kind) {
    case 'literal':
    case 'column':
    case 'parameter':
      return;
    case 'cast':
    case 'not':
    case 'isNull':
      visit(expression.arg, see);
      return;
    case 'call':
    case 'and':
    case 'or':
      for (const arg of expression.args) visit(arg, see);
      return;
    case 'in':
      visit(expression.arg, see);
      for (const member of expression.list) visit(member, see);
      return;
    case 'case':
      for (const { when, then } of expression.whens) {
        visit(when, see);
        visit(then, see);
      }
      visit(expression.otherwise, see);
  }
}

/** The ordinals of the columns that an expression reads. */
export function columnsOf(expression: Expression): ReadonlySet<number> {
  const found = new Set<number>();
  visit(expression, (each) => {
    if (each.kind === 'column') found.add(each.ordinal);
  });
  return found;
}

/** Whether some node meets a test. */
export function someNode(expression: Expression, test: (each: Expression) => boolean): boolean {
  let found = false;
  visit(expression, (each) => {
    found ||= test(each);
  });
  return found;
}
