/**
 * ISO 8601 and PostgreSQL's ISO forms of dates and times, read without a locale, a clock or a zone
 * database: what depends on one of them ('today', '1/8/1999', 'America/New_York') is refused.
 *
 *     input  = special | date [time] [zone] [era]          parts apart by white space, date and time also by T
 *     special = 'infinity' | '-infinity' | 'epoch'
 *     date   = year '-' month '-' day | year '/' month '/' day | YYYYMMDD     year: at least 3 digits
 *     time   = hour ':' minute [':' second ['.' digits]] | HHMM | HHMMSS ['.' digits]
 *     zone   = 'Z' | 'UTC' | 'GMT' | sign (hour [':' minute [':' second]] | HHMM)
 *     era    = 'BC' | 'AD'
 */
import { sqlError, type VerityError } from '../../base/index.ts';
import { daysInMonth, daysOfCivil } from './calendar.ts';
import {
  checkDate,
  type DateTimeName,
  dateTimeOutOfRange,
  timestampInfinity,
  timestampMinusInfinity,
  timestampOf,
} from './datetime.ts';
import { isSpace, trimSpace } from './numeric-text.ts';

interface Moment {
  readonly days: number;
  readonly microsOfDay: number;
  /** East of Greenwich; undefined without a zone. */
  readonly zoneSeconds: number | undefined;
}

type Special = 'infinity' | '-infinity' | 'epoch';

/** Reads a date; a time behind it is dropped, as PostgreSQL does. Throws INVALID_DATETIME, DATETIME_OUT_OF_RANGE. */
export function parseDate(text: string): number {
  const moment = parseMoment('date', text);
  if (moment === 'infinity') return Infinity;
  if (moment === '-infinity') return -Infinity;
  return moment === 'epoch' ? 0 : checkDate(moment.days);
}

/**
 * Reads a timestamp (a zone is ignored, as PostgreSQL does) or a timestamptz (UTC without a zone).
 * Throws INVALID_DATETIME, DATETIME_OUT_OF_RANGE.
 */
export function parseTimestamp(type: 'timestamp' | 'timestamptz', text: string): bigint {
  const moment = parseMoment(type, text);
  if (moment === 'infinity') return timestampInfinity;
  if (moment === '-infinity') return timestampMinusInfinity;
  if (moment === 'epoch') return 0n;
  const zoneSeconds = type === 'timestamptz' ? (moment.zoneSeconds ?? 0) : 0;
  return timestampOf(type, moment.days, moment.microsOfDay - zoneSeconds * 1_000_000);
}

function parseMoment(type: DateTimeName, text: string): Moment | Special {
  const trimmed = trimSpace(text);
  const code = trimmed.charCodeAt(0);
  if (code >= 0x30 && code <= 0x39) return new Scanner(type, trimmed).moment();
  const word = trimmed.toLowerCase();
  if (word === 'infinity' || word === '-infinity' || word === 'epoch') return word;
  throw malformed(type);
}

function malformed(type: DateTimeName): VerityError {
  const example =
    type === 'date'
      ? '2024-02-29'
      : type === 'timestamp'
        ? '2024-02-29 13:05:00'
        : '2024-02-29T13:05:00Z';
  return sqlError(
    'INVALID_DATETIME',
    `The text is not a ${type} in ISO 8601 form. Write it like ${example}.`,
  );
}

class Scanner {
  readonly #type: DateTimeName;
  readonly #text: string;
  #at = 0;

  constructor(type: DateTimeName, text: string) {
    this.#type = type;
    this.#text = text;
  }

  moment(): Moment {
    const date = this.#date();
    let era = this.#era();
    const afterT = this.#take('T') || this.#take('t');
    if (!afterT) this.#skipSpace();
    const hasTime = afterT || this.#isDigit();
    const microsOfDay = hasTime ? this.#time() : 0;
    this.#skipSpace();
    // '2024-02-29-05' looks like a fourth part of the date, not like a zone.
    if (
      !hasTime &&
      this.#text.charAt(this.#at) === '-' &&
      !isSpace(this.#text.charCodeAt(this.#at - 1))
    ) {
      throw malformed(this.#type);
    }
    const zoneSeconds = this.#zone();
    era ??= this.#era();
    this.#skipSpace();
    if (this.#at !== this.#text.length) throw malformed(this.#type);
    return { days: this.#days(date, era === 'bc'), microsOfDay, zoneSeconds };
  }

  #days(
    { year, month, day }: { year: number; month: number; day: number },
    beforeChrist: boolean,
  ): number {
    // There is no year 0: 1 BC comes right before AD 1. 7 digits hold every year there is.
    if (year === 0 || year > 9_999_999) throw dateTimeOutOfRange(this.#type);
    const astronomical = beforeChrist ? 1 - year : year;
    if (month < 1 || month > 12 || day < 1 || day > daysInMonth(astronomical, month)) {
      throw sqlError(
        'DATETIME_OUT_OF_RANGE',
        `The ${this.#type} names a month or day that the calendar does not have.`,
      );
    }
    return daysOfCivil(astronomical, month, day);
  }

  #date(): { year: number; month: number; day: number } {
    const start = this.#at;
    const first = this.#number();
    const digits = this.#at - start;
    const delimiter = this.#text.charAt(this.#at);
    if (digits === 8 && delimiter !== '-' && delimiter !== '/') {
      return {
        year: Math.floor(first / 10_000),
        month: Math.floor(first / 100) % 100,
        day: first % 100,
      };
    }
    // Fewer digits would be a day, a month or a year of some century: PostgreSQL asks DateStyle.
    if (digits < 3 || (delimiter !== '-' && delimiter !== '/')) throw malformed(this.#type);
    this.#at++;
    const month = this.#number(2);
    if (this.#text.charAt(this.#at++) !== delimiter) throw malformed(this.#type);
    return { year: first, month, day: this.#number(2) };
  }

  /** Microseconds since midnight; 24:00:00 and a 60th second carry over. */
  #time(): number {
    const start = this.#at;
    const first = this.#number(6);
    const digits = this.#at - start;
    if (digits === 4) return this.#checkTime(Math.floor(first / 100), first % 100, 0, 0);
    if (digits === 6) {
      return this.#checkTime(
        Math.floor(first / 10_000),
        Math.floor(first / 100) % 100,
        first % 100,
        this.#fraction(),
      );
    }
    if (digits > 2 || !this.#take(':')) throw malformed(this.#type);
    const minute = this.#number(2);
    if (!this.#take(':')) return this.#checkTime(first, minute, 0, 0);
    const second = this.#number(2);
    return this.#checkTime(first, minute, second, this.#fraction());
  }

  #checkTime(hour: number, minute: number, second: number, fraction: number): number {
    const micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction;
    if (minute > 59 || second > 60 || micros > 86_400_000_000) {
      throw sqlError(
        'DATETIME_OUT_OF_RANGE',
        `The ${this.#type} names a time that the day does not have.`,
      );
    }
    return micros;
  }

  /** Microseconds of '.digits'; digits past the sixth are rounded as PostgreSQL rounds them, in a double. */
  #fraction(): number {
    if (!this.#take('.')) return 0;
    const start = this.#at;
    while (this.#isDigit()) this.#at++;
    const micros = Number(`0.${this.#text.slice(start, this.#at)}`) * 1_000_000;
    const floor = Math.floor(micros);
    const rest = micros - floor;
    return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
  }

  #zone(): number | undefined {
    if (this.#takeWord('z') || this.#takeWord('utc') || this.#takeWord('gmt')) return 0;
    const sign = this.#text.charAt(this.#at);
    if (sign !== '+' && sign !== '-') return undefined;
    this.#at++;
    const start = this.#at;
    const first = this.#number(4);
    let [hour, minute, second] = [first, 0, 0];
    if (this.#at - start > 2) {
      hour = Math.floor(first / 100);
      minute = first % 100;
    } else if (this.#take(':')) {
      minute = this.#number(2);
      if (this.#take(':')) second = this.#number(2);
    }
    if (hour > 15 || minute > 59 || second > 59) {
      throw sqlError(
        'INVALID_DATETIME',
        `The ${this.#type} has a zone offset beyond 15:59:59. Write it like +05:30.`,
      );
    }
    const size = (hour * 60 + minute) * 60 + second;
    return sign === '-' ? -size : size;
  }

  #era(): 'bc' | 'ad' | undefined {
    const start = this.#at;
    this.#skipSpace();
    if (this.#takeWord('bc')) return 'bc';
    if (this.#takeWord('ad')) return 'ad';
    this.#at = start;
    return undefined;
  }

  /** One to `digitsMax` digits. */
  #number(digitsMax = 8): number {
    const start = this.#at;
    let value = 0;
    while (this.#isDigit()) value = value * 10 + this.#text.charCodeAt(this.#at++) - 0x30;
    const digits = this.#at - start;
    if (digits === 0 || digits > digitsMax) throw malformed(this.#type);
    return value;
  }

  #isDigit(): boolean {
    const code = this.#text.charCodeAt(this.#at);
    return code >= 0x30 && code <= 0x39;
  }

  #take(mark: string): boolean {
    if (this.#text.charAt(this.#at) !== mark) return false;
    this.#at++;
    return true;
  }

  /** Takes `word` in either case, unless another letter follows it. */
  #takeWord(word: string): boolean {
    const end = this.#at + word.length;
    if (this.#text.slice(this.#at, end).toLowerCase() !== word) return false;
    const next = this.#text.charCodeAt(end) | 0x20;
    if (next >= 0x61 && next <= 0x7a) return false;
    this.#at = end;
    return true;
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
  }
}
