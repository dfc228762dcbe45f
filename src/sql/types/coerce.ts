import type { ColumnType, Value } from '../../base/index.ts';
import { applyPrecision } from './numeric-text.ts';
import { assignLength, truncateLength } from './text.ts';

/**
 * A value of the column's base type as it is stored in the column: varchar(n) checked (excess spaces are
 * dropped), numeric(p,s) rounded and checked. NULL stays NULL. Throws STRING_TOO_LONG, NUMERIC_OUT_OF_RANGE.
 */
export function coerceToColumn(type: ColumnType, value: Value): Value {
  if (type.length !== undefined && typeof value === 'string')
    return assignLength(value, type.length);
  if (type.precision !== undefined && typeof value === 'string') return applyPrecision(type, value);
  return value;
}

/** As coerceToColumn, but varchar(n) cuts the text: the rule of an explicit cast. */
export function coerceExplicitly(type: ColumnType, value: Value): Value {
  if (type.length !== undefined && typeof value === 'string')
    return truncateLength(value, type.length);
  return coerceToColumn(type, value);
}
