/**
 * Spans of time as PostgreSQL counts them: months, days and microseconds apart, since a month has no fixed length and
 * a day of a zone need not have 24 hours. Held as 'months days microseconds', three whole numbers.
 */
import { sqlError, VerityError } from '../../base/index.ts';

export interface Interval {
  readonly months: number;
  readonly days: number;
  readonly micros: bigint;
}

const microsPerSecond = 1_000_000;
const secondsPerDay = 86_400;
const daysPerMonth = 30;
const microsPerDay = BigInt(secondsPerDay * microsPerSecond);
const int32Max = 2 ** 31;
const int64Max = 2n ** 63n;

export function intervalOf(text: string): Interval {
  const [months, days, micros] = text.split(' ');
  return { months: Number(months), days: Number(days), micros: BigInt(micros ?? 0) };
}

/** The held form. Throws DATETIME_OUT_OF_RANGE. */
export function intervalText(months: number, days: number, micros: bigint): string {
  const fits = (value: number): boolean => value >= -int32Max && value < int32Max;
  if (!fits(months) || !fits(days) || micros < -int64Max || micros >= int64Max)
    throw intervalOutOfRange();
  return `${months + 0} ${days + 0} ${micros}`;
}

const intervalOutOfRange = (): VerityError =>
  new VerityError(
    'DATETIME_OUT_OF_RANGE',
    'An interval is out of range: months and days have 32 bits, the time 64 bits of microseconds.',
  );

/** Intervals compare as if a month had 30 days and a day 24 hours. */
export function compareIntervals(left: string, right: string): -1 | 0 | 1 {
  const [one, other] = [estimate(left), estimate(right)];
  return one < other ? -1 : one > other ? 1 : 0;
}

function estimate(text: string): bigint {
  const { months, days, micros } = intervalOf(text);
  return BigInt(months * daysPerMonth + days) * microsPerDay + micros;
}

/** PostgreSQL's output: '1 year 2 mons -3 days +04:05:06.789'. */
export function formatInterval(text: string): string {
  const { months, days, micros } = intervalOf(text);
  const parts: string[] = [];
  let wasNegative = false;
  const add = (value: number, unit: string): void => {
    if (value === 0) return;
    const sign = wasNegative && value > 0 ? '+' : '';
    parts.push(`${sign}${value} ${unit}${value === 1 ? '' : 's'}`);
    wasNegative = value < 0;
  };
  add(Math.trunc(months / 12), 'year');
  add(months % 12, 'mon');
  add(days, 'day');
  if (micros !== 0n || parts.length === 0) {
    const size = micros < 0n ? -micros : micros;
    const [seconds, fraction] = [size / 1_000_000n, size % 1_000_000n];
    const two = (value: bigint): string => String(value).padStart(2, '0');
    const digits = String(fraction).padStart(6, '0').replace(/0+$/, '');
    const sign = micros < 0n ? '-' : wasNegative ? '+' : '';
    const clock = `${two(seconds / 3_600n)}:${two((seconds / 60n) % 60n)}:${two(seconds % 60n)}`;
    parts.push(`${sign}${clock}${digits === '' ? '' : `.${digits}`}`);
  }
  return parts.join(' ');
}

/** As PostgreSQL rounds within: to a millionth. */
const rounded = (value: number): number => nearest(value * 1e6) / 1e6;

function nearest(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

export function addIntervals(left: string, right: string, sign: 1 | -1): string {
  const [one, other] = [intervalOf(left), intervalOf(right)];
  return intervalText(
    one.months + sign * other.months,
    one.days + sign * other.days,
    one.micros + BigInt(sign) * other.micros,
  );
}

export function negateInterval(text: string): string {
  return addIntervals('0 0 0', text, -1);
}

/** What a fraction of a month or day leaves goes down to days and time. */
export function scaleInterval(text: string, scale: (value: number) => number): string {
  const { months, days, micros } = intervalOf(text);
  const [manyMonths, manyDays] = [scale(months), scale(days)];
  const [wholeMonths, wholeDays] = [Math.trunc(manyMonths), Math.trunc(manyDays)];
  if (!Number.isFinite(manyMonths) || !Number.isFinite(manyDays)) throw intervalOutOfRange();
  const daysOfMonth = rounded((manyMonths - wholeMonths) * daysPerMonth);
  const leftOfDays = manyDays - wholeDays + daysOfMonth - Math.trunc(daysOfMonth);
  let seconds = rounded(leftOfDays * secondsPerDay);
  let carried = 0;
  if (Math.abs(seconds) >= secondsPerDay) {
    carried = Math.trunc(seconds / secondsPerDay);
    seconds -= carried * secondsPerDay;
  }
  const time = nearest(scale(Number(micros)) + seconds * microsPerSecond);
  if (!Number.isFinite(time)) throw intervalOutOfRange();
  return intervalText(wholeMonths, wholeDays + carried + Math.trunc(daysOfMonth), BigInt(time));
}

/** Months, days or microseconds of one of a unit. */
const units: Readonly<Record<string, readonly ['months' | 'days' | 'micros', number]>> = {
  millennium: ['months', 12_000],
  century: ['months', 1_200],
  decade: ['months', 120],
  year: ['months', 12],
  month: ['months', 1],
  week: ['days', 7],
  day: ['days', 1],
  hour: ['micros', 3_600 * microsPerSecond],
  minute: ['micros', 60 * microsPerSecond],
  second: ['micros', microsPerSecond],
  millisecond: ['micros', 1_000],
  microsecond: ['micros', 1],
};
const words: Readonly<Record<string, string>> = {
  millennium: 'millennium millennia mil mils',
  century: 'century centuries cent c',
  decade: 'decade decades dec decs',
  year: 'year years yr yrs y',
  month: 'month months mon mons',
  week: 'week weeks w',
  day: 'day days d',
  hour: 'hour hours hr hrs h',
  minute: 'minute minutes min mins m',
  second: 'second seconds sec secs s',
  millisecond: 'millisecond milliseconds msec msecs ms',
  microsecond: 'microsecond microseconds usec usecs us',
};
const unitOfWord = new Map(
  Object.entries(words).flatMap(([unit, all]) => all.split(' ').map((word) => [word, unit])),
);

class Sum {
  months = 0;
  days = 0;
  micros = 0n;

  add(amount: number, unit: string): void {
    const [field, size] = units[unit] as (typeof units)[string];
    if (field === 'micros') this.#addMicros(amount * size);
    else if (field === 'days') this.#addDays(amount * size);
    else if (size > 1) this.months += nearest(amount * size);
    else {
      const whole = Math.trunc(amount);
      this.months += whole;
      this.#addDays((amount - whole) * daysPerMonth);
    }
  }

  clock(sign: number, hours: number, minutes: number, seconds: number): void {
    this.#addMicros(sign * ((hours * 60 + minutes) * 60 * microsPerSecond + seconds * 1e6));
  }

  #addDays(amount: number): void {
    const whole = Math.trunc(amount);
    this.days += whole;
    this.#addMicros((amount - whole) * secondsPerDay * microsPerSecond);
  }

  #addMicros(amount: number): void {
    if (!Number.isFinite(amount)) throw intervalOutOfRange();
    this.micros += BigInt(nearest(amount));
  }

  text(sign: 1 | -1): string {
    return intervalText(sign * this.months, sign * this.days, BigInt(sign) * this.micros);
  }
}

const malformed = (): VerityError =>
  sqlError('INVALID_DATETIME', "The text is not an interval. Write it like '1 day 02:30:00'.");

const number = String.raw`[+-]?(?:\d+\.?\d*|\.\d+)`;
const token = new RegExp(
  String.raw`\s*(?:([+-]?)(\d+):(\d+)(?::(\d+(?:\.\d*)?))?(?![\d:])|([+-]?)(\d+)-(\d+)(?![\d-])|(${number})\s*([a-z]*)|([a-z]+))`,
  'y',
);
const isoToken = new RegExp(String.raw`(${number})([ymwdhs])`, 'y');

/** Reads PostgreSQL's verbose form, its times and years-months, and ISO 8601 durations. Throws INVALID_DATETIME. */
export function parseInterval(input: string): string {
  const text = input.trim().toLowerCase().replace(/^@\s*/, '');
  try {
    return text.startsWith('p') ? parseIso(text) : parseVerbose(text);
  } catch (error) {
    // What is out of range while it is read has an SQLSTATE of its own.
    throw error instanceof VerityError && error.code === 'DATETIME_OUT_OF_RANGE'
      ? outOfField()
      : error;
  }
}

function parseVerbose(text: string): string {
  const sum = new Sum();
  const seen = new Set<string>();
  const once = (unit: string): void => {
    if (seen.has(unit)) throw malformed();
    seen.add(unit);
  };
  let sign: 1 | -1 = 1;
  let at = 0;
  while (at < text.length) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (match === null || sign === -1) throw malformed();
    at = token.lastIndex;
    const [, clockSign, hours, minutes, seconds, yearSign, years, months, amount, unit, word] =
      match;
    if (hours !== undefined) {
      once('time');
      const [ofHour, ofMinute] = [Number(minutes), Number(seconds ?? 0)];
      if (ofHour > 59 || ofMinute > 60) throw outOfField();
      sum.clock(clockSign === '-' ? -1 : 1, Number(hours), ofHour, ofMinute);
    } else if (years !== undefined) {
      once('year');
      if (Number(months) > 11) throw outOfField();
      const size = Number(years) * 12 + Number(months);
      sum.add(yearSign === '-' ? -size : size, 'month');
    } else if (amount !== undefined) {
      const rest = text.slice(at);
      const isDays = unit === '' && /^\s*[+-]?\d+:\d/.test(rest);
      const named = unit === '' ? (isDays ? 'day' : 'second') : unitOfWord.get(unit ?? '');
      if (named === undefined || (unit === '' && !isDays && rest.trim() !== '')) throw malformed();
      once(named);
      sum.add(Number(amount), named);
    } else if (word === 'ago' && seen.size > 0) sign = -1;
    else throw malformed();
  }
  if (seen.size === 0) throw malformed();
  return sum.text(sign);
}

const outOfField = (): VerityError =>
  sqlError('INTERVAL_OUT_OF_RANGE', 'A field of the interval is out of its range.');

const isoUnits: Readonly<Record<string, string>> = {
  y: 'year',
  m: 'month',
  w: 'week',
  d: 'day',
};
const isoTimes: Readonly<Record<string, string>> = { h: 'hour', m: 'minute', s: 'second' };

function parseIso(text: string): string {
  const sum = new Sum();
  let at = 1;
  let names = isoUnits;
  let fields = 0;
  while (at < text.length) {
    if (text.charAt(at) === 't' && names === isoUnits) {
      names = isoTimes;
      at++;
    }
    isoToken.lastIndex = at;
    const match = isoToken.exec(text);
    const unit = names[match?.[2] ?? ''];
    if (match === null || unit === undefined) throw malformed();
    at = isoToken.lastIndex;
    sum.add(Number(match[1]), unit);
    fields++;
  }
  if (fields === 0) throw malformed();
  return sum.text(1);
}
