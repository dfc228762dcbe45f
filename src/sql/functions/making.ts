/** Dates from numbers, and times with and without a zone. */
import { type Value, VerityError } from '../../base/index.ts';
import { castValue } from '../types/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

function makeDate(year: number, month: number, day: number): Value {
  const isPossible = year !== 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
  if (!isPossible) {
    throw new VerityError('DATETIME_OUT_OF_RANGE', 'make_date takes a day that exists.');
  }
  const text = `${String(Math.abs(year)).padStart(4, '0')}-${month}-${day}`;
  const written = year < 0 ? `${text} BC` : text;
  return castValue({ name: 'text' }, { name: 'date' }, written, true);
}

/** AT TIME ZONE: a time with a zone becomes one without and the other way round; only UTC is known. */
export function atZone(zone: string, micros: bigint): bigint {
  if (/^(?:utc|gmt|uct|z|zulu|etc\/utc)$/i.test(zone)) return micros;
  throw new VerityError('UNSUPPORTED_SQL', "AT TIME ZONE takes 'UTC' only; times are kept in UTC.");
}

export const makingFunctions: readonly ScalarFunction[] = [
  scalar('make_date', ['integer', 'integer', 'integer'], 'date', makeDate),
  scalar('timezone', ['text', 'timestamp'], 'timestamptz', atZone),
  scalar('timezone', ['text', 'timestamptz'], 'timestamp', atZone),
];
