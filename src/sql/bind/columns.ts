import type { ColumnRef } from 'libpg-query';
import type { Expression } from '../../codec/index.ts';
import {
  errorAt,
  type Bound,
  type BindContext,
  type Captures,
  offsetOf,
  type ParameterTypes,
  placed,
  type RelationColumn,
} from './context.ts';
import { textType } from './type-rules.ts';
import { unsupported } from './unsupported.ts';

/** A reference to a column, `column` or `table.column`, of this query or one around it. */
export function bindColumn(context: BindContext, node: ColumnRef): Bound {
  const names = (node.fields ?? []).map((field) =>
    'String' in field ? (field.String.sval ?? '') : undefined,
  );
  const last = names[names.length - 1];
  if (last === undefined && names.length > 1)
    throw unsupported(context, 'A whole row as a value', node);
  if (last === undefined)
    throw errorAt(
      context,
      'SYNTAX_ERROR',
      '* stands only alone in a list of results.',
      node.location,
    );
  const qualifier = names[names.length - 2];
  if (names.length > 3 || (names.length === 3 && names[0] !== 'public')) {
    throw unsupported(context, 'A column of another schema than "public"', node);
  }
  const found = resolve(context, { qualifier, name: last, location: node.location });
  if (found !== undefined) {
    const offset = offsetOf(context, node.location);
    const expression = placed(found, last, offset);
    return { expression, type: expression.type ?? textType, offset };
  }
  if (qualifier !== undefined && !isRelation(context, qualifier)) {
    throw errorAt(
      context,
      'UNDEFINED_TABLE',
      `"${qualifier}" is not a table of this statement; use its name or alias from FROM.`,
      node.location,
    );
  }
  if (qualifier === undefined && isRelation(context, last))
    throw unsupported(context, 'A whole row as a value', node);
  throw errorAt(context, 'UNDEFINED_COLUMN', missing(context, last), node.location);
}

interface Reference {
  readonly qualifier: string | undefined;
  readonly name: string;
  readonly location: number | undefined;
}

/** Looks in this query, then outwards; what is found around it becomes a slot that is set before each run. */
function resolve(context: BindContext, reference: Reference): Expression | undefined {
  const own = findColumn(context, reference);
  if (own !== undefined) return own.expression;
  const { outer } = context;
  if (outer === undefined) return undefined;
  // A name that means a table here hides tables of the same name further out.
  if (reference.qualifier !== undefined && hasRelation(context, reference.qualifier))
    return undefined;
  const around = resolve(outer.context, reference);
  if (around === undefined) return undefined;
  const offset = offsetOf(context, reference.location);
  return capture(context.parameters, outer.captures, placed(around, reference.name, offset));
}

export function capture(
  parameters: ParameterTypes,
  captures: Captures,
  expression: Expression,
): Expression {
  const type = expression.type ?? textType;
  const text = JSON.stringify(expression);
  let index = captures.args.findIndex((each) => JSON.stringify(each) === text);
  if (index === -1) {
    index = captures.args.push(expression) - 1;
    captures.slots.push(parameters.allocateSlot());
  }
  return { kind: 'parameter', type, number: captures.slots[index] as number };
}

function findColumn(
  context: BindContext,
  { qualifier, name, location }: Reference,
): RelationColumn | undefined {
  let found: RelationColumn | undefined;
  for (const relation of context.relations) {
    if (qualifier !== undefined && relation.name !== qualifier) continue;
    for (const column of relation.columns) {
      if (column.name !== name || (qualifier === undefined && column.hidden === true)) continue;
      if (found !== undefined) {
        throw errorAt(
          context,
          'AMBIGUOUS_COLUMN',
          `Column "${name}" could be one of several tables; write it as table.${name}.`,
          location,
        );
      }
      found = column;
    }
  }
  return found;
}

const hasRelation = (context: BindContext, name: string): boolean =>
  context.relations.some((each) => each.name === name);

function isRelation(context: BindContext, name: string): boolean {
  for (let at: BindContext | undefined = context; at !== undefined; at = at.outer?.context) {
    if (hasRelation(at, name)) return true;
  }
  return false;
}

function missing(context: BindContext, name: string): string {
  const [relation, ...more] = context.relations.filter((each) => each.name !== '');
  if (relation === undefined)
    return `There is no column "${name}": ${context.clause} has no table to read it from.`;
  const where =
    more.length > 0
      ? 'the tables of this statement'
      : `table "${relation.table?.name ?? relation.name}"`;
  return `There is no column "${name}" in ${where}; text values take single quotes.`;
}
