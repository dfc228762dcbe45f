import { type ColumnType, sqlError, type TypeName } from '../../base/index.ts';

const precisionMax = 1_000;
const lengthMax = 10_485_760;

/** The type as users write it: 'varchar(10)', 'numeric(12,2)', 'double precision'. */
export function typeName(type: ColumnType): string {
  if (type.length !== undefined) return `${type.name}(${type.length})`;
  if (type.precision !== undefined) return `${type.name}(${type.precision},${type.scale ?? 0})`;
  return type.name;
}

const internalNames: ReadonlyMap<string, TypeName> = new Map([
  ['int2', 'smallint'],
  ['int4', 'integer'],
  ['int8', 'bigint'],
  ['float4', 'real'],
  ['float8', 'double precision'],
  ['numeric', 'numeric'],
  ['text', 'text'],
  ['varchar', 'varchar'],
  ['bool', 'boolean'],
  ['bytea', 'bytea'],
  ['date', 'date'],
  ['timestamp', 'timestamp'],
  ['timestamptz', 'timestamptz'],
  ['uuid', 'uuid'],
  ['interval', 'interval'],
  ['jsonb', 'jsonb'],
]);

/**
 * The type that the parser's name and modifiers stand for, e.g. ['pg_catalog', 'numeric'] with [12, 2];
 * undefined for one we do not have. Throws INVALID_ARGUMENT (22023) for a length, precision or scale out of range.
 */
export function resolveTypeName(
  names: readonly string[],
  typmods: readonly number[],
): ColumnType | undefined {
  if (names.length === 0 || names.length > 2 || (names.length === 2 && names[0] !== 'pg_catalog'))
    return undefined;
  const name = internalNames.get(names.at(-1) as string);
  if (name === undefined || typmods.length === 0) return name === undefined ? undefined : { name };
  switch (name) {
    case 'varchar':
      return typmods.length === 1 ? varcharOf(typmods[0] as number) : undefined;
    case 'numeric':
      return typmods.length <= 2 ? numericOf(typmods[0] as number, typmods[1] ?? 0) : undefined;
    case 'timestamp':
    case 'timestamptz':
      // Six digits of a second are what they have anyway; fewer we would have to round to.
      return typmods.length === 1 && typmods[0] === 6 ? { name } : undefined;
    default:
      return undefined;
  }
}

function varcharOf(length: number): ColumnType {
  checkBounds('The length of varchar(n)', length, 1, lengthMax);
  return { name: 'varchar', length };
}

function numericOf(precision: number, scale: number): ColumnType {
  checkBounds('The precision of numeric(p,s)', precision, 1, precisionMax);
  checkBounds('The scale of numeric(p,s)', scale, -precisionMax, precisionMax);
  return { name: 'numeric', precision, scale };
}

function checkBounds(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw sqlError('INVALID_ARGUMENT', `${what} must be a whole number from ${min} to ${max}.`);
}
