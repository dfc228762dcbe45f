/** Column types, and the constants and parameters that statements give them. */
import fc from 'fast-check';
import {
  type Base,
  type Decimal,
  type Kind,
  kinds,
  type Numeric,
  numericText,
  type Plain,
} from './kinds.ts';
import { date, timestamp, timestamptz } from './times.ts';

export interface ColumnType {
  readonly base: Base;
  /** As CREATE TABLE says it. */
  readonly sql: string;
  /** As results name it. */
  readonly reported: string;
  readonly length?: number;
  readonly precision?: number;
  readonly scale?: number;
}

/** A value as a statement writes it. `value` is what it means, still without a check of its range. */
export type Operand =
  | { readonly form: 'null'; readonly given: 'NULL' | null | undefined }
  | { readonly form: 'quoted'; readonly text: string; readonly value: Plain }
  | { readonly form: 'bare'; readonly text: string; readonly value: Plain }
  | { readonly form: 'parameter'; readonly given: unknown; readonly value: Plain };

/** A value, or why there is none. */
export type Converted = { readonly value: Plain } | { readonly error: string };

const plain = (base: Base, sql: string = base): ColumnType => ({ base, sql, reported: base });

export const columnTypes: readonly ColumnType[] = [
  plain('smallint', 'int2'),
  plain('integer', 'int'),
  plain('bigint'),
  plain('real'),
  plain('double precision', 'float8'),
  plain('numeric'),
  { base: 'numeric', sql: 'decimal(6, 2)', reported: 'numeric(6,2)', precision: 6, scale: 2 },
  plain('text'),
  plain('varchar', 'character varying'),
  { base: 'varchar', sql: 'varchar(3)', reported: 'varchar(3)', length: 3 },
  plain('boolean', 'bool'),
  plain('bytea'),
  plain('date'),
  plain('timestamp', 'timestamp without time zone'),
  plain('timestamptz', 'timestamp with time zone'),
  plain('uuid'),
  plain('jsonb'),
];

const allKinds: Readonly<Record<Base, Kind>> = { ...kinds, date, timestamp, timestamptz };
export const kindOf = (base: Base): Kind => allKinds[base];

const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** Builds a statement: takes operands as text and collects parameters. */
export class Statement {
  readonly parameters: unknown[] = [];

  operand(operand: Operand): string {
    switch (operand.form) {
      case 'null':
        return operand.given === 'NULL' ? 'NULL' : this.parameter(operand.given);
      case 'quoted':
        return quote(operand.text);
      case 'bare':
        return operand.text;
      case 'parameter':
        return this.parameter(operand.given);
    }
  }

  parameter(given: unknown): string {
    this.parameters.push(given);
    return `$${this.parameters.length}`;
  }
}

function operandsOf(type: ColumnType): fc.Arbitrary<Operand> {
  const kind = kindOf(type.base);
  const isText = type.base === 'text' || type.base === 'varchar';
  return fc.tuple(kind.values, fc.nat(6)).map(([value, choice]): Operand => {
    const texts = kind.texts(value);
    const bare = kind.bare(value);
    const given: unknown[] = [
      texts[0],
      ...kind.parameters(value),
      ...(isText ? [] : texts.slice(1)),
    ];
    const forms: Operand[] = [
      { form: 'quoted', text: texts[choice % texts.length] as string, value },
      ...(bare === undefined ? [] : [{ form: 'bare', text: bare, value } as const]),
      { form: 'parameter', given: given[choice % given.length], value },
      { form: 'parameter', given: given[(choice >> 1) % given.length], value },
    ];
    return forms[choice % forms.length] as Operand;
  });
}

const nulls: fc.Arbitrary<Operand> = fc
  .constantFrom('NULL' as const, null, undefined)
  .map((given) => ({ form: 'null', given }));

const numbers: readonly Base[] = [
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'real',
  'double precision',
];
export const isNumber = (base: Base): boolean => numbers.includes(base);

/** The type that a constant without quotes has by itself. */
function bareBase(text: string): Base {
  if (text === 'TRUE' || text === 'FALSE') return 'boolean';
  if (!/^-?\d+$/.test(text)) return 'numeric';
  const whole = BigInt(text);
  if (BigInt.asIntN(32, whole) === whole) return 'integer';
  return BigInt.asIntN(64, whole) === whole ? 'bigint' : 'numeric';
}

/** The type in which two are compared. */
export function commonBase(left: Base, right: Base): Base {
  if (left === right) return left;
  if (!isNumber(left)) return 'text';
  const wider = numbers.indexOf(left) > numbers.indexOf(right) ? left : right;
  return wider === 'real' ? 'double precision' : wider;
}

/** The type in which a column and operands are compared: constants without quotes have a say. */
export const domainOf = (base: Base, operands: readonly Operand[]): Base =>
  operands.reduce(
    (domain, operand) =>
      operand.form === 'bare' ? commonBase(domain, bareBase(operand.text)) : domain,
    base,
  );

const outOfRange: Converted = { error: 'NUMERIC_OUT_OF_RANGE' };
const ranges = { smallint: 15, integer: 31, bigint: 63 } as const;

/** A number as one of another number type; other values as they are. */
export function convert(domain: Base, value: Plain): Converted {
  switch (domain) {
    case 'smallint':
    case 'integer':
    case 'bigint': {
      const exact =
        typeof value === 'object' ? roundedUnits(value as Decimal, 0) : BigInt(value as number);
      const limit = 2n ** BigInt(ranges[domain]);
      if (exact < -limit || exact >= limit) return outOfRange;
      return { value: domain === 'bigint' ? exact : Number(exact) };
    }
    case 'numeric': {
      const isWhole = typeof value === 'number' || typeof value === 'bigint';
      return { value: isWhole ? { units: BigInt(value), scale: 0 } : value };
    }
    case 'real': {
      const double = toDouble(value);
      const single = Math.fround(double);
      const overflows = !Number.isFinite(single) && Number.isFinite(double);
      return overflows || (single === 0 && double !== 0) ? outOfRange : { value: single };
    }
    case 'double precision':
      return { value: toDouble(value) };
    default:
      return { value };
  }
}

const toDouble = (value: Plain): number =>
  typeof value === 'number'
    ? value
    : Number(typeof value === 'bigint' ? value : numericText(value as Numeric));

/** Half away from zero. */
function roundedUnits({ units, scale }: Decimal, to: number): bigint {
  if (to >= scale) return units * 10n ** BigInt(to - scale);
  const step = 10n ** BigInt(scale - to);
  const size = units < 0n ? -units : units;
  const rounded = (size * 2n + step) / (step * 2n);
  return units < 0n ? -rounded : rounded;
}

/** The length and precision of the column applied. */
export function fitted(type: ColumnType, value: Plain): Converted {
  if (type.length !== undefined) {
    const characters = Array.from(value as string);
    const excess = characters.splice(type.length);
    if (excess.some((character) => character !== ' ')) return { error: 'STRING_TOO_LONG' };
    return { value: characters.join('') };
  }
  if (type.precision === undefined || value === 'NaN') return { value };
  if (typeof value === 'string') return outOfRange;
  const scale = type.scale ?? 0;
  const units = roundedUnits(value as Decimal, scale);
  const limit = 10n ** BigInt(type.precision);
  return units <= -limit || units >= limit ? outOfRange : { value: { units, scale } };
}

/** What a column holds once the operand (not NULL) is stored. */
function stored(type: ColumnType, operand: Operand): Converted {
  if (operand.form === 'null') return { error: 'NULL' };
  const converted = convert(type.base, operand.value);
  return 'error' in converted ? converted : fitted(type, converted.value);
}

function ofAll(
  make: (type: ColumnType) => fc.Arbitrary<Operand>,
): (type: ColumnType) => fc.Arbitrary<Operand> {
  const made = new Map(columnTypes.map((type) => [type, make(type)]));
  return (type) => made.get(type) as fc.Arbitrary<Operand>;
}

/** Values for a column, now and then one out of the type's range. */
const valueFor = ofAll(operandsOf);
/** Values that the column takes. */
export const fittingFor = ofAll((type) =>
  valueFor(type).filter((operand) => 'value' in stored(type, operand)),
);
/** Constants that the column takes: for DEFAULT and CHECK, which have no parameters. */
export const literalFor = ofAll((type) =>
  fittingFor(type).filter((operand) => operand.form !== 'parameter'),
);
/** Values and NULLs for a column. */
export const operandFor = ofAll((type) =>
  fc.oneof({ weight: 6, arbitrary: valueFor(type) }, { weight: 1, arbitrary: nulls }),
);
