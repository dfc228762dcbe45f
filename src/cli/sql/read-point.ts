import { parsePosition } from '../../base/index.ts';
import { usageError } from '../failure.ts';
import { isDate, isTimestamptz } from '../import/column-type.ts';

/**
 * Reads the value of --at: a log position, or a time in ISO 8601. A time without a zone is UTC, a day
 * alone its first moment. Throws INVALID_ARGUMENT.
 */
export function readPoint(text: string): bigint | Date {
  if (/^\d+$/.test(text)) return BigInt(parsePosition(BigInt(text)));
  if (isDate(text)) return new Date(`${text}T00:00:00Z`);
  const zoned = isTimestamptz(text) ? text : `${text}Z`;
  const time = isTimestamptz(zoned) ? new Date(isoForm(zoned)) : undefined;
  if (time !== undefined && !Number.isNaN(time.getTime())) return time;
  throw usageError('--at takes a log position or a time such as 2024-05-31T12:00:00Z.');
}

/** The form that Date reads everywhere: a T, and an offset with minutes. */
function isoForm(text: string): string {
  return text
    .replace(' ', 'T')
    .replace(
      /([+-]\d\d):?(\d\d)?$/,
      (_match, hours: string, minutes = '00') => `${hours}:${minutes}`,
    );
}
