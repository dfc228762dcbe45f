import type { Node, TypeCast, TypeName as TypeNode } from 'libpg-query';
import { type ColumnType, sqlError } from '../../base/index.ts';
import { resolveTypeName } from '../types/index.ts';
import { atOffset, canCoerce, coerce, typeLabel } from './coerce.ts';
import { type Bound, type BindContext, offsetOf } from './context.ts';
import { bindExpression } from './expression.ts';
import { plainTypes } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';
import type { SourceText } from '../parse/source.ts';

const typeFields = new Set(['names', 'typmods', 'typemod', 'location']);

/** PostgreSQL's types that we do not have, by names that its grammar leaves as they are. */
const otherTypes: ReadonlySet<string> = new Set(
  `json xml money inet cidr macaddr macaddr8 point line lseg box path polygon circle tsvector tsquery oid regclass
   regtype regproc name char serial bigserial smallserial serial2 serial4 serial8 pg_lsn jsonpath int4range int8range
   numrange tsrange tstzrange daterange bpchar varbit bit time timetz uuid record void unknown`.split(
    /\s+/,
  ),
);

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
  const name = names[names.length - 1] ?? '';
  if (names.length === 1 && !otherTypes.has(name)) {
    throw sqlError(
      'UNDEFINED_OBJECT',
      `There is no type "${name}"; check the spelling.`,
      offsetOf(context, node.location),
    );
  }
  throw sqlError(
    'UNSUPPORTED_SQL',
    `The type "${name}" is not supported. Supported are smallint, integer, bigint, real, double precision, numeric, text, varchar(n), boolean, bytea, date, timestamp, timestamptz, uuid and jsonb, and interval in expressions.`,
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

/** PostgreSQL's marks of INTERVAL '…' DAY and the like. */
const spanUnits: ReadonlyMap<number, string> = new Map([
  [4, 'year'],
  [2, 'month'],
  [8, 'day'],
  [1_024, 'hour'],
  [2_048, 'minute'],
  [4_096, 'second'],
]);

/** INTERVAL '3' DAY as the literal '3 day'; undefined for other casts. */
function spanLiteral(context: BindContext, { arg, typeName }: TypeCast): Node | undefined {
  const last = typeName?.names?.at(-1);
  const [mark, ...more] = typeName?.typmods ?? [];
  const isSpan = last !== undefined && 'String' in last && last.String.sval === 'interval';
  if (!isSpan || mark === undefined) return undefined;
  const unit = more.length === 0 ? spanUnits.get(modifier(context, mark)) : undefined;
  const constant =
    arg !== undefined && 'A_Const' in arg
      ? (arg.A_Const as { readonly sval?: { readonly sval?: string } }).sval?.sval
      : undefined;
  if (unit === undefined || constant === undefined || !/^\s*[+-]?[\d.]+\s*$/.test(constant))
    throw unsupported(
      context,
      "An interval's fields or precision, other than INTERVAL '3' DAY,",
      typeName,
    );
  return {
    A_Const: { ...(arg as { A_Const: object }).A_Const, sval: { sval: `${constant} ${unit}` } },
  };
}

/** CAST(x AS type), x::type and type 'literal'. */
export function bindTypeCast(context: BindContext, node: TypeCast): Bound {
  const span = spanLiteral(context, node);
  const type = span ? plainTypes.interval : bindTypeName(context, node.typeName as TypeNode);
  const arg = bindExpression(context, span ?? (node.arg as Node));
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
