/**
 * The fifteen types as the model sees them: values, their order, their notations and what the SDK
 * returns for them. Written from PostgreSQL's documentation, without a look at how src/sql does it.
 */
import fc from 'fast-check';

export type Base =
  | 'smallint'
  | 'integer'
  | 'bigint'
  | 'real'
  | 'double precision'
  | 'numeric'
  | 'text'
  | 'varchar'
  | 'boolean'
  | 'bytea'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'uuid'
  | 'jsonb';

/** units / 10^scale, with the scale kept: 12.50 is not held as 12.5. */
export interface Decimal {
  readonly units: bigint;
  readonly scale: number;
}
export type Numeric = Decimal | 'NaN' | 'Infinity' | '-Infinity';
/** jsonb in a box, so that JSON's null is not SQL's. */
export interface Json {
  readonly json: unknown;
}
/** bytea is hex; a date days since 1970 or ±Infinity; a timestamp microseconds, its infinities ±2^63. */
export type Plain = boolean | number | bigint | string | Decimal | Json;
export type Timestamps = 'date' | 'microseconds';

export interface Kind {
  readonly values: fc.Arbitrary<Plain>;
  compare(left: Plain, right: Plain): number;
  /** The value in PostgreSQL's notations; every one of them means exactly this value. */
  texts(value: Plain): readonly string[];
  /** The value as parameters other than strings. */
  parameters(value: Plain): readonly unknown[];
  /** As an SQL constant without quotes, if there is one. */
  bare(value: Plain): string | undefined;
  output(value: Plain, timestamps: Timestamps): unknown;
}

const sign = (left: number | bigint | string, right: number | bigint | string): number =>
  left === right ? 0 : left < right ? -1 : 1;
const same = (value: Plain): unknown => value;
const none = (): readonly unknown[] => [];
const noBare = (): undefined => undefined;

/** Mostly a few values that meet each other, sometimes any. */
function mostly<T>(few: readonly T[], any: fc.Arbitrary<T>): fc.Arbitrary<T> {
  return fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...few) }, { weight: 3, arbitrary: any });
}

const wholeTexts = (value: Plain): string[] => [
  `${value as number}`,
  ` ${value as number} `,
  ...((value as number) >= 0 ? [`+${value as number}`, `00${value as number}`] : []),
];

function whole(few: readonly number[], any: fc.Arbitrary<number>): Kind {
  return {
    values: mostly(few, any),
    compare: (left, right) => sign(left as number, right as number),
    texts: wholeTexts,
    parameters: (value) => [value, BigInt(value as number)],
    bare: String,
    output: same,
  };
}

const bigints = [-1n, 0n, 1n, 2n, 3n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const bigint: Kind = {
  values: mostly(bigints, fc.bigInt({ min: -(2n ** 63n) - 2n, max: 2n ** 63n + 1n })),
  compare: (left, right) => sign(left as bigint, right as bigint),
  texts: wholeTexts,
  parameters: (value) => (Number.isSafeInteger(Number(value)) ? [value, Number(value)] : [value]),
  bare: String,
  output: same,
};

function compareFloats(left: number, right: number): number {
  if (Number.isNaN(left) || Number.isNaN(right)) {
    return Number(Number.isNaN(left)) - Number(Number.isNaN(right));
  }
  return sign(left, right);
}

const floatText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

const single = new Float32Array(1);
const singleBits = new Uint32Array(single.buffer);

/** Midway between a positive float32 and its neighbour; past the largest as if the exponent went on. */
function midpoint(value: number, step: 1 | -1): number {
  single[0] = value;
  singleBits[0] = (singleBits[0] ?? 0) + step;
  const neighbour = Number.isFinite(single[0]) ? (single[0] ?? 0) : 2 ** 128;
  return (value + neighbour) / 2;
}

/**
 * The fewest digits that lie within half a step of a float32, not on its bounds: PostgreSQL's rule. Of
 * two the nearer, of two as near that with an even last digit.
 */
function shortestReal(value: number): number {
  if (value === 0) return value;
  const size = Math.abs(value);
  const [low, high] = [midpoint(size, -1), midpoint(size, 1)];
  const [mantissa = '', power = ''] = size.toExponential(100).split('e');
  const exact = mantissa.replace('.', '');
  for (let count = 1; count < 10; count++) {
    const below = BigInt(exact.slice(0, count));
    const rest = exact.slice(count);
    const half = '5'.padEnd(rest.length, '0');
    const isUp = rest > half || (rest === half && below % 2n === 1n);
    const candidates = isUp ? [below + 1n, below] : [below, below + 1n];
    const numbers = candidates.map((digits) => Number(`${digits}e${Number(power) - count + 1}`));
    const short = numbers.find((number) => number > low && number < high);
    if (short !== undefined) return short * Math.sign(value);
  }
  return value;
}

const bareFloat = (value: Plain): string | undefined =>
  Number.isFinite(value) && !Object.is(value, -0) ? String(value as number) : undefined;

const floatsWith = (few: readonly number[], any: fc.Arbitrary<number>): fc.Arbitrary<number> =>
  mostly([0, -0, 1, 2, 1.5, -2.25, Number.NaN, Infinity, -Infinity, ...few], any);

const real: Kind = {
  // The last two are no float32: too large and too small.
  values: floatsWith(
    [
      ...[0.1, 1.1, 16_777_218, 123_456_789, 3.402_823_466_385_288_6e38].map(Math.fround),
      1e39,
      1e-50,
    ],
    fc.float(),
  ),
  compare: (left, right) => compareFloats(left as number, right as number),
  texts: (value) => [floatText(value as number)],
  parameters: (value) => [value],
  bare: bareFloat,
  output: (value) => (Number.isFinite(value) ? shortestReal(value as number) : value),
};

const double: Kind = {
  ...real,
  values: floatsWith([0.1, 0.2, 5e-324, Number.MAX_VALUE, 2 ** 53, 1e21], fc.double()),
  parameters: (value) => [
    value,
    ...(Number.isSafeInteger(value) && !Object.is(value, -0) ? [BigInt(value as number)] : []),
  ],
  output: same,
};

const special = { '-Infinity': -1, Infinity: 1, NaN: 2 } as const;

function compareNumerics(left: Numeric, right: Numeric): number {
  if (typeof left === 'string' || typeof right === 'string') {
    const rank = (value: Numeric): number => (typeof value === 'string' ? special[value] : 0);
    return sign(rank(left), rank(right));
  }
  const scale = Math.max(left.scale, right.scale);
  return sign(rescaled(left, scale), rescaled(right, scale));
}

const rescaled = ({ units, scale }: Decimal, to: number): bigint =>
  units * 10n ** BigInt(to - scale);

function decimalText({ units, scale }: Decimal): string {
  const digits = (units < 0n ? -units : units).toString().padStart(scale + 1, '0');
  const point = digits.length - scale;
  const text = scale === 0 ? digits : `${digits.slice(0, point)}.${digits.slice(point)}`;
  return units < 0n ? `-${text}` : text;
}

export const numericText = (value: Numeric): string =>
  typeof value === 'string' ? value : decimalText(value);

function decimalOf(text: string): Decimal {
  const point = text.indexOf('.');
  const scale = point === -1 ? 0 : text.length - point - 1;
  return { units: BigInt(text.replace('.', '')), scale };
}

const decimal = fc.record({
  units: fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }),
  scale: fc.nat(12),
});
const fewNumerics = [
  '0',
  '1',
  '1.0',
  '1.00',
  '2',
  '2.5',
  '-2.5',
  '2.345',
  '2.355',
  '0.005',
  '12.50',
  '9999.994',
  '9999.995',
  '-10000',
];
const numeric: Kind = {
  values: mostly<Numeric>([...fewNumerics.map(decimalOf), 'NaN', 'Infinity', '-Infinity'], decimal),
  compare: (left, right) => compareNumerics(left as Numeric, right as Numeric),
  texts: (value) => [numericText(value as Numeric)],
  parameters: (value) => {
    const text = numericText(value as Numeric);
    const number = Number(text);
    const isShort = String(number) === text;
    return [...(isShort ? [number] : []), ...(/^-?\d+$/.test(text) ? [BigInt(text)] : [])];
  },
  bare: (value) => (typeof value === 'string' ? undefined : numericText(value as Numeric)),
  output: (value) => numericText(value as Numeric),
};

/** Texts by code point. */
function compareTexts(left: string, right: string): number {
  const [a, b] = [Array.from(left), Array.from(right)];
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = (a[at]?.codePointAt(0) ?? 0) - (b[at]?.codePointAt(0) ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  return sign(a.length, b.length);
}

const fewTexts = [
  '',
  'a',
  'b',
  'ab',
  'A',
  ' a',
  'a  ',
  'a    ',
  'abc',
  'abcd',
  'Zoë',
  '🦉',
  '\u{ffff}',
  "it's",
  '\\',
  '$1',
  '--',
  "';--",
  '\n',
  'NULL',
  '__proto__',
];
const anyText = fc
  .string({ unit: 'binary', maxLength: 12 })
  .map((text) => text.replaceAll('\0', ''));
const text: Kind = {
  values: mostly(fewTexts, anyText),
  compare: (left, right) => compareTexts(left as string, right as string),
  texts: (value) => [value as string],
  parameters: none,
  bare: noBare,
  output: same,
};

const boolean: Kind = {
  values: fc.boolean(),
  compare: (left, right) => Number(left) - Number(right),
  texts: (value) =>
    value === true ? ['t', 'true', 'YES', 'on', '1'] : ['f', 'FALSE', 'no', 'off', '0'],
  parameters: (value) => [value],
  bare: (value) => (value === true ? 'TRUE' : 'FALSE'),
  output: same,
};

const bytesOf = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));
const bytea: Kind = {
  values: mostly(
    ['', '00', '01', '0001', '00ff', 'ff', 'ff00'],
    fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  ),
  compare: (left, right) => sign(left as string, right as string),
  texts: (value) => [`\\x${value as string}`, `\\x${(value as string).toUpperCase()}`],
  parameters: (value) => [bytesOf(value as string), Buffer.from(value as string, 'hex')],
  bare: noBare,
  output: (value) => bytesOf(value as string),
};

const fewUuids = [
  '00000000-0000-0000-0000-000000000000',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
];
const uuid: Kind = {
  values: mostly(fewUuids, fc.uuid()),
  compare: (left, right) => sign(left as string, right as string),
  texts: (value) => [
    value as string,
    (value as string).toUpperCase(),
    `{${(value as string).replaceAll('-', '')}}`,
  ],
  parameters: none,
  bare: noBare,
  output: same,
};

const kindRank = (value: unknown): number => {
  if (value === null) return 0;
  if (Array.isArray(value)) return 4;
  return { string: 1, number: 2, boolean: 3, object: 5 }[typeof value as 'string'];
};
const members = (value: object): [string, unknown][] =>
  Object.entries(value).toSorted(
    ([left], [right]) =>
      Buffer.byteLength(left) - Buffer.byteLength(right) || compareTexts(left, right),
  );

/** jsonb's order: null < string < number < boolean < array < object; at the top an empty array is below scalars. */
function compareJson(left: unknown, right: unknown, isTop = true): number {
  const [a, b] = [kindRank(left), kindRank(right)];
  if (a !== b) {
    const isEmpty = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
    const beside = (rank: number): boolean => isTop && rank < 4;
    if (isEmpty(left) && beside(b)) return -1;
    if (isEmpty(right) && beside(a)) return 1;
    return sign(a, b);
  }
  if (a === 1) return compareTexts(left as string, right as string);
  if (a === 4) return compareLists(left as unknown[], right as unknown[]);
  if (a === 5) return compareLists(members(left as object).flat(), members(right as object).flat());
  return a === 0 ? 0 : sign(Number(left), Number(right));
}

function compareLists(left: readonly unknown[], right: readonly unknown[]): number {
  if (left.length !== right.length) return sign(left.length, right.length);
  for (const [index, item] of left.entries()) {
    const result = compareJson(item, right[index], false);
    if (result !== 0) return result;
  }
  return 0;
}

const scalar = fc.constantFrom<unknown>(
  null,
  true,
  false,
  0,
  1,
  -1.5,
  10,
  1e21,
  '',
  'a',
  'é',
  'b"\\',
);
const memberName = fc.constantFrom('a', 'b', 'bb', 'é', '__proto__', 'constructor', '');
const jsonOf = (inner: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(
    scalar,
    fc.array(inner, { maxLength: 3 }),
    fc
      .array(fc.tuple(memberName, inner), { maxLength: 3 })
      .map((entries) => Object.fromEntries(entries)),
  );
const jsonb: Kind = {
  values: mostly<unknown>(
    [null, 1, 'a', [], [1], {}, { a: 1 }, { a: 2 }],
    jsonOf(jsonOf(scalar)),
  ).map((json) => ({ json })),
  compare: (left, right) => compareJson((left as Json).json, (right as Json).json),
  texts: (value) => [
    JSON.stringify((value as Json).json),
    JSON.stringify((value as Json).json, undefined, 1),
  ],
  parameters: (value) => {
    const { json } = value as Json;
    return json === null || typeof json === 'string' ? [] : [json];
  },
  bare: noBare,
  output: (value) => (value as Json).json,
};

export const kinds: Readonly<Record<Exclude<Base, 'date' | 'timestamp' | 'timestamptz'>, Kind>> = {
  smallint: whole(
    [-1, 0, 1, 2, 3, 32_767, -32_768, 32_768, 65_537],
    fc.integer({ min: -32_768, max: 32_767 }),
  ),
  integer: whole([-1, 0, 1, 2, 3, 2_147_483_647, -2_147_483_648, 4_294_967_297], fc.integer()),
  bigint,
  real,
  'double precision': double,
  numeric,
  text,
  varchar: text,
  boolean,
  bytea,
  uuid,
  jsonb,
};
