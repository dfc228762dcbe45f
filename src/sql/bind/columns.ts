import type { ColumnRef } from 'libpg-query';
import { errorAt, type Bound, type BindContext, offsetOf } from './context.ts';
import { unsupported } from './unsupported.ts';

/** A reference to a column, `column` or `table.column`. */
export function bindColumn(context: BindContext, node: ColumnRef): Bound {
  const names = (node.fields ?? []).map((field) =>
    'String' in field ? (field.String.sval ?? '') : undefined,
  );
  const last = names[names.length - 1];
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
  const relations =
    qualifier === undefined
      ? context.relations
      : context.relations.filter((each) => each.name === qualifier);
  if (qualifier !== undefined && relations.length === 0) {
    throw errorAt(
      context,
      'UNDEFINED_TABLE',
      `"${qualifier}" is not a table of this statement; use its name or alias from FROM.`,
      node.location,
    );
  }
  for (const { table } of relations) {
    const ordinal = table.columns.findIndex((column) => column.name === last);
    const column = table.columns[ordinal];
    if (column === undefined) continue;
    const offset = offsetOf(context, node.location);
    context.onColumn?.(last, offset);
    return {
      expression: { kind: 'column', type: column.type, ordinal },
      type: column.type,
      offset,
    };
  }
  throw errorAt(context, 'UNDEFINED_COLUMN', missing(context, last), node.location);
}

function missing(context: BindContext, name: string): string {
  const [relation] = context.relations;
  if (relation === undefined)
    return `There is no column "${name}": ${context.clause} has no table to read it from.`;
  return `There is no column "${name}" in table "${relation.table.name}"; text values take single quotes.`;
}
