import type { Node, TypeCast, TypeName as TypeNode } from 'libpg-query';
import { type ColumnType, sqlError } from '../../base/index.ts';
import { resolveTypeName } from '../types/index.ts';
import { atOffset, canCoerce, coerce, typeLabel } from './coerce.ts';
import { type Bound, type BindContext, offsetOf } from './context.ts';
import { bindExpression } from './expression.ts';
import { allowFields, unsupported } from './unsupported.ts';
import type { SourceText } from '../parse/source.ts';

const typeFields = new Set(['names', 'typmods', 'typemod', 'location']);

/** The type that a type name of the grammar means. Throws UNSUPPORTED_SQL for one we do not have. */
export function bindTypeName(context: { readonly source: SourceText }, node: TypeNode): ColumnType {
  allowFields(context, node, typeFields, {
    arrayBounds: 'An array type',
    setof: 'SETOF',
    pct_type: '%TYPE',
  });
  const names = (node.names ?? []).map((each) =>
    'String' in each ? (each.String.sval ?? '') : '',
  );
  const modifiers = (node.typmods ?? []).map((each) => modifier(context, each));
  const type = atOffset(offsetOf(context, node.location), () => resolveTypeName(names, modifiers));
  if (type !== undefined) return type;
  throw sqlError(
    'UNSUPPORTED_SQL',
    `The type "${names[names.length - 1] ?? ''}" is not supported. Supported are smallint, integer, bigint, real, double precision, numeric, text, varchar(n), boolean, bytea, date, timestamp, timestamptz, uuid and jsonb.`,
    offsetOf(context, node.location),
  );
}

function modifier(context: { readonly source: SourceText }, node: Node): number {
  const value =
    'A_Const' in node
      ? (node.A_Const as { readonly ival?: { readonly ival?: number } }).ival
      : undefined;
  if (value === undefined) throw unsupported(context, 'This type modifier', node);
  return value.ival ?? 0;
}

/** CAST(x AS type), x::type and type 'literal'. */
export function bindTypeCast(context: BindContext, node: TypeCast): Bound {
  const type = bindTypeName(context, node.typeName as TypeNode);
  const arg = bindExpression(context, node.arg as Node);
  const offset =
    offsetOf(context, node.location) ?? offsetOf(context, node.typeName?.location) ?? arg.offset;
  if (!canCoerce(arg.type, type, 'explicit')) {
    throw sqlError(
      'CANNOT_COERCE',
      `${typeLabel(arg.type)} cannot be cast to ${typeLabel(type)}.`,
      offset,
    );
  }
  return { expression: coerce(arg, type, 'explicit', context.parameters), type, offset };
}
