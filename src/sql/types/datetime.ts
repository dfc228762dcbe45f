/**
 * Ranges, arithmetic and output of date, timestamp and timestamptz.
 *
 * Invariants: a date is a whole number of days in PostgreSQL's range or ±Infinity; a timestamp is in
 * [timestampMin, timestampEnd) or one of the two infinities, which are the extremes of i64.
 */
import { sqlError, type VerityError } from '../../base/index.ts';
import { civilOfDays, daysOfCivil } from './calendar.ts';

export type DateTimeName = 'date' | 'timestamp' | 'timestamptz';

/** 4714-11-24 BC, day 0 of the Julian period; PostgreSQL's earliest date. */
const dateMin = daysOfCivil(-4713, 11, 24);
/** PostgreSQL's latest date. */
const dateMax = daysOfCivil(5_874_897, 12, 31);
const microsPerDay = 86_400_000_000;
const microsPerDayBig = BigInt(microsPerDay);
const timestampMin = BigInt(dateMin) * microsPerDayBig;
/** Counted from 1970 in 64 bits the year 294246 is the last whole one (PostgreSQL counts from 2000: 294276). */
const timestampEnd = BigInt(daysOfCivil(294_247, 1, 1)) * microsPerDayBig;
export const timestampInfinity = 2n ** 63n - 1n;
export const timestampMinusInfinity = -(2n ** 63n);

export function dateTimeOutOfRange(type: DateTimeName): VerityError {
  return sqlError(
    'DATETIME_OUT_OF_RANGE',
    `The value is out of range for type ${type}. ${rangeOf[type]}`,
  );
}

const rangeOf: Readonly<Record<DateTimeName, string>> = {
  date: 'Dates run from 4714-11-24 BC to 5874897-12-31.',
  timestamp: 'Timestamps run from 4714-11-24 BC to the end of the year 294246.',
  timestamptz: 'Timestamps run from 4714-11-24 BC to the end of the year 294246.',
};

export function checkDate(days: number): number {
  if (!(days >= dateMin && days <= dateMax)) throw dateTimeOutOfRange('date');
  return days;
}

/** Microseconds as a timestamp; the infinities pass. Throws DATETIME_OUT_OF_RANGE. */
export function checkTimestamp(type: DateTimeName, micros: bigint): bigint {
  if (micros >= timestampMin && micros < timestampEnd) return micros;
  if (micros === timestampInfinity || micros === timestampMinusInfinity) return micros;
  throw dateTimeOutOfRange(type);
}

/** The timestamp `micros` (a number; may be negative) after midnight of `days`. Throws DATETIME_OUT_OF_RANGE. */
export function timestampOf(type: DateTimeName, days: number, micros: number): bigint {
  const total = days * microsPerDay + micros;
  const exact = Number.isSafeInteger(total)
    ? BigInt(total)
    : BigInt(days) * microsPerDayBig + BigInt(micros);
  if (exact < timestampMin || exact >= timestampEnd) throw dateTimeOutOfRange(type);
  return exact;
}

/** Midnight (UTC) of a date. Throws DATETIME_OUT_OF_RANGE. */
export function timestampOfDate(type: DateTimeName, days: number): bigint {
  if (days === Infinity) return timestampInfinity;
  return days === -Infinity ? timestampMinusInfinity : timestampOf(type, days, 0);
}

/** The date (UTC) a timestamp lies in. */
export function dateOfTimestamp(micros: bigint): number {
  if (micros === timestampInfinity) return Infinity;
  return micros === timestampMinusInfinity ? -Infinity : split(micros).days;
}

function split(micros: bigint): { readonly days: number; readonly ofDay: number } {
  const small = Number(micros);
  if (Number.isSafeInteger(small)) {
    const days = Math.floor(small / microsPerDay);
    return { days, ofDay: small - days * microsPerDay };
  }
  const ofDay = ((micros % microsPerDayBig) + microsPerDayBig) % microsPerDayBig;
  return { days: Number((micros - ofDay) / microsPerDayBig), ofDay: Number(ofDay) };
}

/** 'YYYY-MM-DD', with ' BC' behind years before 1; 'infinity', '-infinity'. */
export function formatDate(days: number): string {
  if (!Number.isFinite(days)) return days > 0 ? 'infinity' : '-infinity';
  const { year, month, day } = civilOfDays(days);
  return `${yearText(year)}-${two(month)}-${two(day)}${year < 1 ? ' BC' : ''}`;
}

/** 'YYYY-MM-DD HH:MM:SS[.ffffff]', with `zone` ('+00' or '') behind the time. */
export function formatTimestamp(micros: bigint, zone: string): string {
  if (micros === timestampInfinity) return 'infinity';
  if (micros === timestampMinusInfinity) return '-infinity';
  const { days, ofDay } = split(micros);
  const { year, month, day } = civilOfDays(days);
  const seconds = Math.floor(ofDay / 1_000_000);
  const fraction = ofDay - seconds * 1_000_000;
  const minutes = Math.floor(seconds / 60);
  const time = `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}${fractionText(fraction)}`;
  return `${yearText(year)}-${two(month)}-${two(day)} ${time}${zone}${year < 1 ? ' BC' : ''}`;
}

function yearText(year: number): string {
  const shown = year < 1 ? 1 - year : year;
  return shown >= 1_000 ? String(shown) : String(shown).padStart(4, '0');
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}

function fractionText(micros: number): string {
  if (micros === 0) return '';
  let digits = String(micros).padStart(6, '0');
  while (digits.endsWith('0')) digits = digits.slice(0, -1);
  return `.${digits}`;
}
