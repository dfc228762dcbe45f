/** Arithmetic of dates and times with spans of time. */
import { VerityError } from '../../base/index.ts';
import {
  addIntervals,
  checkTimestamp,
  civilOfDays,
  compareIntervals,
  dateOfTimestamp,
  daysInMonth,
  daysOfCivil,
  intervalOf,
  intervalText,
  negateInterval,
  scaleInterval,
  timestampOfDate,
} from '../types/index.ts';
import { scalar, type ScalarFunction } from './scalar.ts';

type Stamp = 'timestamp' | 'timestamptz';

const microsPerDay = 86_400_000_000n;
const isInfinite = (micros: bigint): boolean => !Number.isFinite(dateOfTimestamp(micros));

/** Months first, to the month's last day at most; then days; then the time. */
function shifted(type: Stamp, micros: bigint, span: string, sign: 1 | -1): bigint {
  if (isInfinite(micros)) return micros;
  const { months, days, micros: time } = intervalOf(span);
  let day = dateOfTimestamp(micros);
  const ofDay = micros - BigInt(day) * microsPerDay;
  if (months !== 0) {
    const { year, month, day: ofMonth } = civilOfDays(day);
    const total = year * 12 + (month - 1) + sign * months;
    const [newYear, newMonth] = [Math.floor(total / 12), (((total % 12) + 12) % 12) + 1];
    day = daysOfCivil(newYear, newMonth, Math.min(ofMonth, daysInMonth(newYear, newMonth)));
  }
  day += sign * days;
  return checkFinite(type, BigInt(day) * microsPerDay + ofDay + BigInt(sign) * time);
}

function checkFinite(type: Stamp, micros: bigint): bigint {
  const checked = checkTimestamp(type, micros);
  // A sum that happens to be the number of an infinity is none.
  if (isInfinite(checked)) checkTimestamp(type, micros > 0n ? micros - 1n : micros + 1n);
  return checked;
}

/** Days of 24 hours and the time that is left. */
function between(left: bigint, right: bigint): string {
  if (isInfinite(left) || isInfinite(right)) {
    throw new VerityError(
      'DATETIME_OUT_OF_RANGE',
      'Infinite timestamps cannot be subtracted; compare them instead.',
    );
  }
  const micros = left - right;
  const days = micros / microsPerDay;
  return intervalText(0, Number(days), micros - days * microsPerDay);
}

interface Fields {
  readonly months: number;
  readonly day: number;
  readonly ofDay: bigint;
}

function fieldsOf(micros: bigint): Fields {
  const date = dateOfTimestamp(micros);
  const { year, month, day } = civilOfDays(date);
  return { months: year * 12 + month, day, ofDay: micros - BigInt(date) * microsPerDay };
}

/** Years, months, days and time from the earlier to the later; days are borrowed from the earlier one's month. */
function age(left: bigint, right: bigint): string {
  if (isInfinite(left) || isInfinite(right)) between(left, right);
  const isEarlier = left < right;
  const [late, early] = isEarlier ? [right, left] : [left, right];
  const [to, from] = [fieldsOf(late), fieldsOf(early)];
  let months = to.months - from.months;
  let days = to.day - from.day;
  let time = to.ofDay - from.ofDay;
  if (time < 0n) {
    time += microsPerDay;
    days--;
  }
  const year = Math.floor((from.months - 1) / 12);
  const length = daysInMonth(year, from.months - year * 12);
  while (days < 0) {
    days += length;
    months--;
  }
  const sign = isEarlier ? -1 : 1;
  return intervalText(sign * months, sign * days, BigInt(sign) * time);
}

function stamps(type: Stamp): ScalarFunction[] {
  const add = (micros: bigint, span: string): bigint => shifted(type, micros, span, 1);
  return [
    scalar('+', [type, 'interval'], type, add),
    scalar('+', ['interval', type], type, (span: string, micros: bigint) => add(micros, span)),
    scalar('-', [type, 'interval'], type, (micros: bigint, span: string) =>
      shifted(type, micros, span, -1),
    ),
    scalar('-', [type, type], 'interval', between),
    scalar('age', [type, type], 'interval', age),
  ];
}

const midnight = (days: number): bigint => timestampOfDate('timestamp', days);

const dates: readonly ScalarFunction[] = [
  scalar('+', ['date', 'interval'], 'timestamp', (days: number, span: string) =>
    shifted('timestamp', midnight(days), span, 1),
  ),
  scalar('+', ['interval', 'date'], 'timestamp', (span: string, days: number) =>
    shifted('timestamp', midnight(days), span, 1),
  ),
  scalar('-', ['date', 'interval'], 'timestamp', (days: number, span: string) =>
    shifted('timestamp', midnight(days), span, -1),
  ),
];

function divided(span: string, divisor: number): string {
  if (divisor === 0) {
    throw new VerityError(
      'DIVISION_BY_ZERO',
      'Division by zero; guard the divisor, for example with NULLIF(divisor, 0).',
    );
  }
  return scaleInterval(span, (value) => value / divisor);
}

const spans: readonly ScalarFunction[] = [
  scalar('+', ['interval', 'interval'], 'interval', (left: string, right: string) =>
    addIntervals(left, right, 1),
  ),
  scalar('-', ['interval', 'interval'], 'interval', (left: string, right: string) =>
    addIntervals(left, right, -1),
  ),
  scalar('-', ['interval'], 'interval', negateInterval),
  scalar('*', ['interval', 'double precision'], 'interval', (span: string, factor: number) =>
    scaleInterval(span, (value) => value * factor),
  ),
  scalar('*', ['double precision', 'interval'], 'interval', (factor: number, span: string) =>
    scaleInterval(span, (value) => value * factor),
  ),
  scalar('/', ['interval', 'double precision'], 'interval', divided),
  scalar('justify_hours', ['interval'], 'interval', (span: string) => {
    const { months, days, micros } = intervalOf(span);
    const carried = micros / microsPerDay;
    return justified(months, days + Number(carried), micros - carried * microsPerDay);
  }),
  scalar('justify_days', ['interval'], 'interval', (span: string) => {
    const { months, days, micros } = intervalOf(span);
    const carried = Math.trunc(days / 30);
    const [newMonths, newDays] = [months + carried, days - carried * 30];
    if (newMonths > 0 && newDays < 0) return intervalText(newMonths - 1, newDays + 30, micros);
    if (newMonths < 0 && newDays > 0) return intervalText(newMonths + 1, newDays - 30, micros);
    return intervalText(newMonths, newDays, micros);
  }),
];

/** Days and time of one sign. */
function justified(months: number, days: number, micros: bigint): string {
  if (days > 0 && micros < 0n) return intervalText(months, days - 1, micros + microsPerDay);
  if (days < 0 && micros > 0n) return intervalText(months, days + 1, micros - microsPerDay);
  return intervalText(months, days, micros);
}

/** A field of an interval as a numeric; undefined for a unit that it has not. */
export function fieldOfInterval(unit: string, span: string): string | undefined {
  const { months, days, micros } = intervalOf(span);
  const [years, ofYear] = [Math.trunc(months / 12), months % 12];
  const ofMinute = micros % 60_000_000n;
  switch (unit) {
    case 'millennium':
      return String(Math.trunc(years / 1_000) + 0);
    case 'century':
      return String(Math.trunc(years / 100) + 0);
    case 'decade':
      return String(Math.trunc(years / 10) + 0);
    case 'year':
      return String(years + 0);
    case 'quarter':
      return String(Math.trunc(ofYear / 3) + 1);
    case 'month':
      return String(ofYear + 0);
    case 'day':
      return String(days);
    case 'hour':
      return String(micros / 3_600_000_000n);
    case 'minute':
      return String((micros / 60_000_000n) % 60n);
    case 'second':
      return places(ofMinute, 6);
    case 'milliseconds':
      return places(ofMinute, 3);
    case 'microseconds':
      return String(ofMinute);
    case 'epoch': {
      // A year has 365.25 days here, and a month 30.
      const daySeconds = BigInt(years) * 31_557_600n + BigInt(ofYear * 30 + days) * 86_400n;
      return places(daySeconds * 1_000_000n + micros, 6);
    }
    default:
      return undefined;
  }
}

function places(value: bigint, digits: number): string {
  const size = String(value < 0n ? -value : value).padStart(digits + 1, '0');
  return `${value < 0n ? '-' : ''}${size.slice(0, -digits)}.${size.slice(-digits)}`;
}

const comparisons: readonly ScalarFunction[] = (
  [
    ['=', (order) => order === 0],
    ['<>', (order) => order !== 0],
    ['<', (order) => order < 0],
    ['<=', (order) => order <= 0],
    ['>', (order) => order > 0],
    ['>=', (order) => order >= 0],
  ] as readonly (readonly [string, (order: number) => boolean])[]
).map(([name, holds]) =>
  scalar(name, ['interval', 'interval'], 'boolean', (left: string, right: string) =>
    holds(compareIntervals(left, right)),
  ),
);

/** An instant from seconds since 1970. */
const toTimestamp = (seconds: number): bigint => {
  if (Number.isNaN(seconds))
    throw new VerityError('DATETIME_OUT_OF_RANGE', 'NaN is no number of seconds.');
  if (!Number.isFinite(seconds)) return seconds > 0 ? 2n ** 63n - 1n : -(2n ** 63n);
  return checkFinite('timestamptz', BigInt(Math.round(seconds * 1e6)));
};

export const intervalFunctions: readonly ScalarFunction[] = [
  ...stamps('timestamptz'),
  ...stamps('timestamp'),
  ...dates,
  ...spans,
  ...comparisons,
  scalar('to_timestamp', ['double precision'], 'timestamptz', toTimestamp),
  scalar('isfinite', ['timestamptz'], 'boolean', (micros: bigint) => !isInfinite(micros)),
  scalar('isfinite', ['timestamp'], 'boolean', (micros: bigint) => !isInfinite(micros)),
  scalar('isfinite', ['date'], 'boolean', (days: number) => Number.isFinite(days)),
  scalar('isfinite', ['interval'], 'boolean', () => true),
];
