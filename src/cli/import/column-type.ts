import type { SqlParameter } from '../../database/index.ts';

/** The types that `import` gives to a column it creates. */
export type InferredType =
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'boolean'
  | 'date'
  | 'timestamptz'
  | 'uuid'
  | 'text';

type Shape =
  | 'integer'
  | 'bigint'
  | 'numeric'
  | 'notANumber'
  | 'boolean'
  | 'date'
  | 'timestamptz'
  | 'uuid'
  | 'text';

const integerMax = 2_147_483_647n;
const bigintMax = 9_223_372_036_854_775_807n;
/** PostgreSQL's numeric goes further; nobody writes such numbers, but codes may look like them. */
const numericDigitsMax = 1_000;

const numberPattern = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?$/;
const datePattern = /^(\d{4})-(\d\d)-(\d\d)$/;
const timestamptzPattern =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,6})?)?(?:Z|[+-](\d\d)(?::?(\d\d))?)$/;
const uuidPattern = /^[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$/i;
const booleanPattern = /^(?:true|false)$/i;

/**
 * Learns the type of a column from all of its values.
 *
 * A number counts as one only if it would print as it was written: leading zeros, a plus sign, `-0`,
 * exponents and the like make the column text, because they are codes more often than quantities.
 */
export class TypeInference {
  #type: Shape | undefined;

  /** Adds a value that is not empty. */
  add(text: string): void {
    if (this.#type === 'text') return;
    const shape = shapeOf(text);
    this.#type = this.#type === undefined ? shape : common(this.#type, shape);
  }

  /** The narrowest type that holds every value; text when there was none. */
  get type(): InferredType {
    if (this.#type === undefined || this.#type === 'notANumber') return 'text';
    return this.#type;
  }
}

function shapeOf(text: string): Shape {
  const first = text.charCodeAt(0);
  const numeric = (first >= 48 && first <= 57) || first === 45;
  if (numeric && numberPattern.test(text)) return numberShape(text);
  if (text.length > 64) return 'text';
  if (numeric && text.length >= 10 && text.charCodeAt(4) === 45) {
    if (isDate(text)) return 'date';
    if (isTimestamptz(text)) return 'timestamptz';
  }
  if (text.length === 36 && uuidPattern.test(text)) return 'uuid';
  if (text.length <= 5 && booleanPattern.test(text)) return 'boolean';
  if (text === 'NaN' || text === 'Infinity' || text === '-Infinity') return 'notANumber';
  return 'text';
}

function numberShape(text: string): Shape {
  if (text.length > numericDigitsMax) return 'text';
  const negative = text.startsWith('-');
  if (negative && /^-[0.]*$/.test(text)) return 'text';
  if (text.includes('.')) return 'numeric';
  if (text.length <= 9) return 'integer';
  if (text.length > 20) return 'numeric';
  const value = BigInt(text);
  const magnitude = negative ? -value - 1n : value;
  return magnitude <= integerMax ? 'integer' : magnitude <= bigintMax ? 'bigint' : 'numeric';
}

const numberShapes: readonly Shape[] = ['notANumber', 'integer', 'bigint', 'numeric'];

function common(left: Shape, right: Shape): Shape {
  if (left === right) return left;
  const leftRank = numberShapes.indexOf(left);
  const rightRank = numberShapes.indexOf(right);
  if (leftRank < 0 || rightRank < 0) return 'text';
  // NaN is a value of numeric only.
  if (leftRank === 0 || rightRank === 0) return 'numeric';
  return leftRank > rightRank ? left : right;
}

/** Whether `text` is a day that exists, written YYYY-MM-DD. */
export function isDate(text: string): boolean {
  const match = datePattern.exec(text);
  return match !== null && dayExists(match);
}

/** Whether `text` is an ISO 8601 time with a zone (Z or an offset), to the microsecond. */
export function isTimestamptz(text: string): boolean {
  const match = timestamptzPattern.exec(text);
  return (
    match !== null && timeExists(match) && Number(match[7] ?? 0) <= 15 && Number(match[8] ?? 0) < 60
  );
}

function timeExists(match: RegExpExecArray): boolean {
  return (
    dayExists(match) && Number(match[4]) < 24 && Number(match[5]) < 60 && Number(match[6] ?? 0) < 60
  );
}

function dayExists(match: RegExpExecArray): boolean {
  const year = Number(match[1]);
  const month = Number(match[2]);
  const day = Number(match[3]);
  if (year < 1 || month < 1 || month > 12 || day < 1) return false;
  const leap = (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
  const lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
  return day <= (lengths[month - 1] as number);
}

/** Whether `text` may be stored in a column of SQL type `type`, e.g. 'varchar(10)'. Empty fields are NULL and fit any. */
export function fits(text: string, type: string): boolean {
  const [, name = type, first, second] = /^([a-z ]+?)(?:\((\d+)(?:, ?(\d+))?\))?$/.exec(type) ?? [];
  switch (name) {
    case 'smallint':
      return isWhole(text, 32_767n);
    case 'integer':
      return isWhole(text, integerMax);
    case 'bigint':
      return isWhole(text, bigintMax);
    case 'numeric':
      return isNumeric(text, first, second);
    case 'real':
    case 'double precision':
      return /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]?Infinity)$/.test(text);
    case 'boolean':
      return booleanValue(text) !== undefined;
    case 'date':
      return isDate(text);
    case 'timestamptz':
      return isTimestamptz(text);
    case 'timestamp':
      return isTimestamptz(`${text}Z`);
    case 'uuid':
      return uuidPattern.test(text);
    case 'varchar':
      return (
        first === undefined || text.length <= Number(first) || [...text].length <= Number(first)
      );
    case 'bytea':
      return /^\\x(?:[0-9a-fA-F]{2})*$/.test(text);
    case 'jsonb':
      return isJson(text);
    default:
      return true;
  }
}

function isWhole(text: string, max: bigint): boolean {
  if (!/^[+-]?\d{1,40}$/.test(text)) return false;
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text);
  return value <= max && value >= -max - 1n;
}

/** Refuses digits that the column's scale would round away. */
function isNumeric(
  text: string,
  precision: string | undefined,
  scale: string | undefined,
): boolean {
  const match = /^[+-]?(\d*)(?:\.(\d*))?$/.exec(text);
  if (match === null) return precision === undefined && /^(?:NaN|-?Infinity)$/.test(text);
  const whole = (match[1] ?? '').replace(/^0+/, '');
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  if ((match[1] ?? '') === '' && (match[2] ?? '') === '') return false;
  if (precision === undefined) return whole.length + fraction.length <= numericDigitsMax;
  const places = Number(scale ?? 0);
  return fraction.length <= places && whole.length <= Number(precision) - places;
}

function booleanValue(text: string): boolean | undefined {
  switch (text.toLowerCase()) {
    case 'true':
    case 't':
    case 'yes':
    case 'y':
    case 'on':
    case '1':
      return true;
    case 'false':
    case 'f':
    case 'no':
    case 'n':
    case 'off':
    case '0':
      return false;
    default:
      return undefined;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A function that turns a field that `fits` the type into a parameter; empty becomes NULL. */
export function parameterOf(type: string): (text: string) => SqlParameter {
  const name = type.replace(/\(.*$/, '');
  const convert = converters[name] ?? ((text: string): SqlParameter => text);
  return (text) => (text === '' ? null : convert(text));
}

const converters: Readonly<Record<string, (text: string) => SqlParameter>> = {
  smallint: Number,
  integer: Number,
  bigint: (text) => BigInt(text.startsWith('+') ? text.slice(1) : text),
  real: Number,
  'double precision': Number,
  boolean: (text) => booleanValue(text) ?? null,
  bytea: (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex')),
};
