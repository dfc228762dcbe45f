/** Values as a receipt's facts show them: what JSON can hold, in PostgreSQL's notation where that is text. */
import { type ColumnType, toHex, type Value } from '../base/index.ts';
import { blobOf } from '../codec/index.ts';

/**
 * smallint, integer, and finite real and double precision: number; boolean; NULL: null; everything else text: bigint and
 * numeric in decimal, date and timestamps as PostgreSQL writes them (timestamptz in UTC), bytea as \x hex, jsonb as its text.
 * A value over 1 MiB is not in the event: its length and SHA-256 are.
 */
export type ShownValue =
  | null
  | boolean
  | number
  | string
  | { readonly lengthBytes: number; readonly sha256: string };

const microsPerDay = 86_400_000_000n;
const int64Max = 2n ** 63n - 1n;

export function shownValue(type: ColumnType, value: Value): ShownValue {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value;
  const reference = blobOf(value);
  if (reference !== undefined)
    return { lengthBytes: reference.lengthBytes, sha256: toHex(reference.digest) };
  if (value instanceof Uint8Array) return `\\x${toHex(value)}`;
  switch (type.name) {
    case 'date':
      return shownDate(value as number);
    case 'timestamp':
      return shownTimestamp(value as bigint, '');
    case 'timestamptz':
      return shownTimestamp(value as bigint, '+00');
    case 'real':
      return finite(shortestReal(value as number));
    default:
      return typeof value === 'bigint' ? value.toString() : finite(value);
  }
}

function finite(value: number): number | string {
  return Number.isFinite(value) && !Object.is(value, -0)
    ? value
    : Object.is(value, -0)
      ? '-0'
      : String(value);
}

/** The number of the fewest digits that is this float32, so that 1.1 is shown as 1.1. */
function shortestReal(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function shownDate(days: number): string {
  if (!Number.isFinite(days)) return days > 0 ? 'infinity' : '-infinity';
  const { date, era } = civilDate(BigInt(days));
  return date + era;
}

function shownTimestamp(micros: bigint, zone: string): string {
  if (micros === int64Max) return 'infinity';
  if (micros === -int64Max - 1n) return '-infinity';
  const ofDay = ((micros % microsPerDay) + microsPerDay) % microsPerDay;
  const { date, era } = civilDate((micros - ofDay) / microsPerDay);
  const seconds = Number(ofDay / 1_000_000n);
  const fraction = String(ofDay % 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '');
  const time = [seconds / 3_600, (seconds / 60) % 60, seconds % 60].map(two).join(':');
  return `${date} ${time}${fraction === '' ? '' : `.${fraction}`}${zone}${era}`;
}

/** Days since 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant's civil_from_days). */
function civilDate(days: bigint): { readonly date: string; readonly era: string } {
  const shifted = days + 719_468n;
  const era = (shifted >= 0n ? shifted : shifted - 146_096n) / 146_097n;
  const ofEra = Number(shifted - era * 146_097n);
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1_460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) /
      365,
  );
  const ofYear =
    ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + Number(era) * 400 + (month <= 2 ? 1 : 0);
  const shown = String(year < 1 ? 1 - year : year).padStart(4, '0');
  return { date: `${shown}-${two(month)}-${two(day)}`, era: year < 1 ? ' BC' : '' };
}

function two(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}

/** A time of the log, microseconds since 1970, as ISO 8601 with microseconds in UTC. */
export function shownTime(micros: number): string {
  const { date, era } = civilDate(BigInt(Math.floor(micros / 86_400_000_000)));
  const ofDay = micros - Math.floor(micros / 86_400_000_000) * 86_400_000_000;
  const seconds = Math.floor(ofDay / 1_000_000);
  const time = [seconds / 3_600, (seconds / 60) % 60, seconds % 60].map(two).join(':');
  return `${date}T${time}.${String(ofDay % 1_000_000).padStart(6, '0')}Z${era}`;
}
