import { assert, type ColumnType, type Value } from '../../base/index.ts';
import { formatBytea } from './bytea.ts';
import { formatDate, formatTimestamp } from './datetime.ts';
import { formatDouble, formatReal } from './float.ts';
import { formatInterval } from './interval.ts';

/**
 * The value in PostgreSQL's output form: booleans t and f, bytea in hex, timestamptz in UTC. `value` is not NULL.
 * parseText of the result gives the value back.
 */
export function formatText(type: ColumnType, value: Value): string {
  assert(value !== null, 'the value is not NULL');
  switch (type.name) {
    case 'boolean':
      return value === true ? 't' : 'f';
    case 'real':
      return formatReal(value as number);
    case 'double precision':
      return formatDouble(value as number);
    case 'bytea':
      return formatBytea(value as Uint8Array);
    case 'interval':
      return formatInterval(value as string);
    case 'date':
      return formatDate(value as number);
    case 'timestamp':
      return formatTimestamp(value as bigint, '');
    case 'timestamptz':
      return formatTimestamp(value as bigint, '+00');
    default:
      return typeof value === 'string' ? value : String(value);
  }
}
