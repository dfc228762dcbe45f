/** How types meet in operators, lists and CASE: PostgreSQL's rules for the types we have. */
import type { ColumnType, TypeName } from '../../base/index.ts';
import { castContext } from '../types/index.ts';

/** A type without its modifiers, shared: compare by name. */
export const plainTypes: Readonly<Record<TypeName, ColumnType>> = {
  smallint: { name: 'smallint' },
  integer: { name: 'integer' },
  bigint: { name: 'bigint' },
  real: { name: 'real' },
  'double precision': { name: 'double precision' },
  numeric: { name: 'numeric' },
  text: { name: 'text' },
  varchar: { name: 'varchar' },
  boolean: { name: 'boolean' },
  bytea: { name: 'bytea' },
  date: { name: 'date' },
  timestamp: { name: 'timestamp' },
  timestamptz: { name: 'timestamptz' },
  uuid: { name: 'uuid' },
  jsonb: { name: 'jsonb' },
  interval: { name: 'interval' },
};

export const booleanType = plainTypes.boolean;
export const textType = plainTypes.text;

/** Rising order: each goes into the next without being asked. */
const numbers: readonly TypeName[] = [
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
];
const times: readonly TypeName[] = ['date', 'timestamp', 'timestamptz'];

const isNumber = (name: TypeName): boolean => numbers.includes(name);
export const isInteger = (name: TypeName): boolean =>
  numbers.indexOf(name) >= 0 && numbers.indexOf(name) <= 2;
export const isTime = (name: TypeName): boolean => times.includes(name);
export const isText = (name: TypeName): boolean => name === 'text' || name === 'varchar';

/** Whether the type has a length, precision or scale. */
export const hasModifier = (type: ColumnType): boolean =>
  type.length !== undefined || type.precision !== undefined;

export const plain = (type: ColumnType): ColumnType => plainTypes[type.name];

/** Whether values of the two types are held alike and need no conversion (modifiers aside). */
export const sameForm = (left: TypeName, right: TypeName): boolean =>
  left === right || (isText(left) && isText(right));

/** The type in which a binary operator compares or calculates; undefined if there is none. */
export function operandType(left: TypeName, right: TypeName): TypeName | undefined {
  if (isText(left) && isText(right)) return 'text';
  if (left === right) return left;
  if (isNumber(left) && isNumber(right)) {
    const wider = later(numbers, left, right);
    // An operator of real and another number exists only in double precision.
    return wider === 'real' ? 'double precision' : wider;
  }
  return isTime(left) && isTime(right) ? later(times, left, right) : undefined;
}

/**
 * The one type of the branches of CASE, COALESCE or a list; undefined entries are not known yet. Of text and varchar
 * it is the first.
 */
export function commonType(types: readonly (ColumnType | undefined)[]): ColumnType | undefined {
  let common: ColumnType | undefined;
  for (const type of types) {
    if (type === undefined) continue;
    if (common === undefined) {
      common = plain(type);
    } else if (!sameForm(common.name, type.name)) {
      if (castContext(type, common) === 'implicit' && castContext(common, type) !== 'implicit')
        continue;
      if (castContext(common, type) !== 'implicit') return undefined;
      common = plain(type);
    }
  }
  return common ?? textType;
}

const alone: readonly TypeName[] = ['bytea', 'uuid', 'jsonb'];

/** What PostgreSQL calls it when two types have no common one: types of no family lack a cast. */
export const mixErrorCode = (
  left: ColumnType | undefined,
  right: ColumnType | undefined,
): 'CANNOT_COERCE' | 'TYPE_MISMATCH' =>
  left !== undefined &&
  right !== undefined &&
  alone.includes(left.name) &&
  alone.includes(right.name)
    ? 'CANNOT_COERCE'
    : 'TYPE_MISMATCH';

const later = (order: readonly TypeName[], left: TypeName, right: TypeName): TypeName =>
  order.indexOf(left) > order.indexOf(right) ? left : right;
