/** date_trunc, extract and date_part: the calendar's fields as PostgreSQL counts them, in UTC. */
import { VerityError } from '../../base/index.ts';
import {
  civilOfDays,
  dateOfTimestamp,
  daysOfCivil,
  intervalOf,
  intervalText,
  numericAdd,
  numericDivide,
  timestampOf,
  timestampOfDate,
} from '../types/index.ts';
import { fieldOfInterval } from './interval.ts';
import { atZone } from './making.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

type Instant = 'date' | 'timestamp' | 'timestamptz';

const microsPerSecond = 1_000_000;
const microsPerMinute = 60 * microsPerSecond;
const microsPerHour = 60 * microsPerMinute;
const microsPerDay = 24 * microsPerHour;
/** The Julian day of 1970-01-01. */
const julianEpoch = 2_440_588;

/** The words for a unit; PostgreSQL looks at ten letters. */
const unitWords: Readonly<Record<string, readonly string[]>> = {
  microseconds: ['microsecon', 'us', 'usec', 'usecs', 'usecond', 'useconds'],
  milliseconds: ['millisecon', 'ms', 'msec', 'msecs', 'msecond', 'mseconds'],
  second: ['second', 'seconds', 'sec', 'secs', 's'],
  minute: ['minute', 'minutes', 'min', 'mins', 'm'],
  hour: ['hour', 'hours', 'hr', 'hrs', 'h'],
  day: ['day', 'days', 'd'],
  week: ['week', 'weeks', 'w'],
  month: ['month', 'months', 'mon', 'mons'],
  quarter: ['quarter', 'qtr'],
  year: ['year', 'years', 'yr', 'yrs', 'y'],
  decade: ['decade', 'decades', 'dec', 'decs'],
  century: ['century', 'centuries', 'cent', 'c'],
  millennium: ['millennium', 'millennia', 'mil', 'mils'],
};
const unitOfWord = new Map(
  Object.entries(unitWords).flatMap(([unit, words]) => words.map((word) => [word, unit] as const)),
);
const wordLength = 10;
const asciiCapital = /[A-Z]/g;

function unitOf(text: string): string | undefined {
  const word = text.replace(asciiCapital, (letter) => letter.toLowerCase());
  return unitOfWord.get(word.slice(0, wordLength));
}

const timesOfDay = new Set(['microseconds', 'milliseconds', 'second', 'minute', 'hour']);

/** A date and the time within it; `date` and `time` of an infinity are not asked for. */
interface Moment {
  readonly days: number;
  /** Microseconds since midnight. */
  readonly ofDay: number;
}

function momentOf(micros: bigint): Moment {
  const days = dateOfTimestamp(micros);
  if (!Number.isFinite(days)) return { days, ofDay: 0 };
  return { days, ofDay: Number(micros - BigInt(days) * BigInt(microsPerDay)) };
}

/** The first day of the unit that holds `days`. */
function firstDay(unit: string, days: number): number {
  const { year, month } = civilOfDays(days);
  switch (unit) {
    case 'week':
      return days - (isoDayOfWeek(days) - 1);
    case 'month':
      return daysOfCivil(year, month, 1);
    case 'quarter':
      return daysOfCivil(year, month - ((month - 1) % 3), 1);
    case 'year':
      return daysOfCivil(year, 1, 1);
    case 'decade':
      return daysOfCivil(Math.floor(year / 10) * 10, 1, 1);
    case 'century':
      return daysOfCivil(firstYear(year, 100), 1, 1);
    case 'millennium':
      return daysOfCivil(firstYear(year, 1_000), 1, 1);
    default:
      return days;
  }
}

/** The first year of the century or millennium of an astronomical year: 2001 for 2026, 99 BC and after for −98. */
function firstYear(year: number, length: number): number {
  return Math.floor((year - 1) / length) * length + 1;
}

const lengthOfUnit: Readonly<Record<string, number>> = {
  microseconds: 1,
  milliseconds: 1_000,
  second: microsPerSecond,
  minute: microsPerMinute,
  hour: microsPerHour,
};

function truncate(type: 'timestamp' | 'timestamptz', text: string, micros: bigint): bigint {
  const { days, ofDay } = momentOf(micros);
  if (!Number.isFinite(days)) return micros;
  const unit = unitOf(text);
  if (unit === undefined) throw unknownUnit(type);
  const length = lengthOfUnit[unit];
  if (length === undefined) return timestampOf(type, firstDay(unit, days), 0);
  return timestampOf(type, days, ofDay - (ofDay % length));
}

const unknownUnit = (type: Instant | 'interval'): VerityError =>
  new VerityError(
    'INVALID_ARGUMENT',
    `The unit is none of type ${type}. Write one like 'day', 'month' or 'year'.`,
  );

const unitNotOf = (type: Instant | 'interval'): VerityError =>
  new VerityError('UNSUPPORTED_SQL', `A value of type ${type} has no such field.`);

/** 1 is Monday. */
function isoDayOfWeek(days: number): number {
  return ((((days + 3) % 7) + 7) % 7) + 1;
}

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(days: number): { readonly year: number; readonly week: number } {
  const thursday = days - isoDayOfWeek(days) + 4;
  const { year } = civilOfDays(thursday);
  return { year, week: Math.floor((thursday - daysOfCivil(year, 1, 1)) / 7) + 1 };
}

/** As people count years: there is none between 1 BC and 1. */
const counted = (year: number): number => (year > 0 ? year : year - 1);
const centuryOf = (year: number, length: number): number =>
  year > 0 ? Math.ceil(year / length) : -Math.floor((length - 1 - (year - 1)) / length);

const fieldsOfDate: Readonly<Record<string, (days: number) => number>> = {
  day: (days) => civilOfDays(days).day,
  month: (days) => civilOfDays(days).month,
  quarter: (days) => Math.ceil(civilOfDays(days).month / 3),
  year: (days) => counted(civilOfDays(days).year),
  decade: (days) => Math.floor(civilOfDays(days).year / 10),
  century: (days) => centuryOf(civilOfDays(days).year, 100),
  millennium: (days) => centuryOf(civilOfDays(days).year, 1_000),
  week: (days) => isoWeek(days).week,
  isoyear: (days) => counted(isoWeek(days).year),
  dow: (days) => isoDayOfWeek(days) % 7,
  isodow: isoDayOfWeek,
  doy: (days) => days - daysOfCivil(civilOfDays(days).year, 1, 1) + 1,
};

/** Fields of which infinity has one, because they only rise. */
const rising = new Set(['epoch', 'julian', 'year', 'isoyear', 'decade', 'century', 'millennium']);
const zoneFields = new Set(['timezone', 'timezone_h', 'timezone_m']);
const fieldWords = new Map([
  ['jd', 'julian'],
  ['j', 'julian'],
  ...['epoch', 'julian', 'isoyear', 'dow', 'isodow', 'doy', ...zoneFields].map(
    (word) => [word, word] as const,
  ),
]);

/** The field's value as a numeric, or null where an infinity has none. */
function field(type: Instant, text: string, moment: Moment): string | null {
  const word = text.replace(asciiCapital, (letter) => letter.toLowerCase()).slice(0, wordLength);
  const name = unitOf(text) ?? fieldWords.get(word);
  if (name === undefined) throw unknownUnit(type);
  const hasField = type === 'date' ? !timesOfDay.has(name) : true;
  if (!hasField || (zoneFields.has(name) && type !== 'timestamptz')) throw unitNotOf(type);
  const { days } = moment;
  if (!Number.isFinite(days)) {
    if (!rising.has(name)) return null;
    return days > 0 ? 'Infinity' : '-Infinity';
  }
  const ofDate = fieldsOfDate[name];
  if (ofDate !== undefined) return String(ofDate(days));
  return zoneFields.has(name) ? '0' : fieldOfMoment(type, name, moment);
}

/** A field of a span of time. Those that only dates have are refused. */
function intervalField(text: string, span: string): string {
  const word = text.replace(asciiCapital, (letter) => letter.toLowerCase()).slice(0, wordLength);
  const name = unitOf(text) ?? fieldWords.get(word);
  if (name === undefined) throw unknownUnit('interval');
  const found = fieldOfInterval(name, span);
  if (found === undefined) throw unitNotOf('interval');
  return found;
}

/** A span of time without what is below the unit. */
function truncateInterval(text: string, span: string): string {
  const unit = unitOf(text);
  if (unit === undefined) throw unknownUnit('interval');
  const { months, days, micros } = intervalOf(span);
  const length = lengthOfUnit[unit];
  if (length !== undefined) return intervalText(months, days, micros - (micros % BigInt(length)));
  if (unit === 'week') throw unitNotOf('interval');
  if (unit === 'day') return intervalText(months, days, 0n);
  const size = monthsOfUnit[unit] ?? 1;
  return intervalText(months - (months % size), 0, 0n);
}

const monthsOfUnit: Readonly<Record<string, number>> = {
  quarter: 3,
  year: 12,
  decade: 120,
  century: 1_200,
  millennium: 12_000,
};

function fieldOfMoment(type: Instant, name: string, { days, ofDay }: Moment): string {
  const ofMinute = ofDay % microsPerMinute;
  switch (name) {
    case 'hour':
      return String(Math.floor(ofDay / microsPerHour));
    case 'minute':
      return String(Math.floor((ofDay % microsPerHour) / microsPerMinute));
    case 'second':
      return decimal(BigInt(ofMinute), 6);
    case 'milliseconds':
      return decimal(BigInt(ofMinute), 3);
    case 'microseconds':
      return String(ofMinute);
    case 'epoch':
      return type === 'date'
        ? String(days * 86_400)
        : decimal(BigInt(days) * BigInt(microsPerDay) + BigInt(ofDay), 6);
    default: {
      const julian = String(days + julianEpoch);
      if (type === 'date') return julian;
      return numericAdd(julian, numericDivide(String(ofDay), String(microsPerDay)));
    }
  }
}

/** `value` divided by 10^`places`, with all of them written. */
function decimal(value: bigint, places: number): string {
  const digits = String(value < 0n ? -value : value).padStart(places + 1, '0');
  return `${value < 0n ? '-' : ''}${digits.slice(0, -places)}.${digits.slice(-places)}`;
}

type Place = (text: string, moment: Moment) => string | null;

/** extract and date_part over one type, whose values `toMoment` reads. */
function fields<T extends number | bigint>(
  type: Instant,
  toMoment: (value: T) => Moment,
): ScalarFunction[] {
  const place: Place = (text, moment) => field(type, text, moment);
  return [
    scalar('extract', ['text', type], 'numeric', (text: string, value: T) =>
      place(text, toMoment(value)),
    ),
    scalar('date_part', ['text', type], 'double precision', (text: string, value: T) => {
      const found = place(text, toMoment(value));
      return found === null ? null : Number(found);
    }),
  ];
}

export const dateTimeFunctions: readonly ScalarFunction[] = [
  scalar('extract', ['text', 'interval'], 'numeric', intervalField),
  scalar('date_part', ['text', 'interval'], 'double precision', (text: string, span: string) =>
    Number(intervalField(text, span)),
  ),
  scalar('date_trunc', ['text', 'interval'], 'interval', truncateInterval),
  scalar(
    'date_trunc',
    ['text', 'timestamptz', 'text'],
    'timestamptz',
    (unit: string, micros: bigint, zone: string) =>
      truncate('timestamptz', unit, atZone(zone, micros)),
  ),
  ...fields('timestamptz', momentOf),
  ...fields('timestamp', momentOf),
  ...fields('date', (days: number) => ({ days, ofDay: 0 })),
  scalar('date_trunc', ['text', 'timestamptz'], 'timestamptz', (unit: string, micros: bigint) =>
    truncate('timestamptz', unit, micros),
  ),
  scalar('date_trunc', ['text', 'timestamp'], 'timestamp', (unit: string, micros: bigint) =>
    truncate('timestamp', unit, micros),
  ),
  // PostgreSQL takes a date as a timestamptz here.
  scalar('date_trunc', ['text', 'date'], 'timestamptz', (unit: string, days: number) =>
    truncate('timestamptz', unit, timestampOfDate('timestamptz', days)),
  ),
];
