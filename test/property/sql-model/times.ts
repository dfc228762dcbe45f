/** date, timestamp and timestamptz as the model sees them. */
import fc from 'fast-check';
import type { Kind, Plain, Timestamps } from './kinds.ts';

const millisecondsPerDay = 86_400_000;
const microsPerSecond = 1_000_000n;
/** What a timestamp's infinities are in microseconds. */
const infinities: ReadonlyMap<bigint, string> = new Map([
  [2n ** 63n - 1n, 'infinity'],
  [-(2n ** 63n), '-infinity'],
]);

/** PostgreSQL's first and last date, which JavaScript's Date does not reach. */
const farDates: ReadonlyMap<number, string> = new Map([
  [-2_440_588, '4714-11-24 BC'],
  [2_145_042_541, '5874897-12-31'],
  [Infinity, 'infinity'],
  [-Infinity, '-infinity'],
]);

const dateText = (days: number): string =>
  farDates.get(days) ?? new Date(days * millisecondsPerDay).toISOString().slice(0, 10);

const order = (left: Plain, right: Plain): number =>
  left === right ? 0 : (left as bigint) < (right as bigint) ? -1 : 1;

/** Days of the years 1 to 9999, which toISOString writes as PostgreSQL does. */
const day = fc.integer({ min: -719_162, max: 2_932_896 });

export const date: Kind = {
  values: fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(-1, 0, 1, 2, 20_000, ...farDates.keys()) },
    { weight: 2, arbitrary: day },
  ),
  compare: order,
  texts: (value) => {
    const text = dateText(value as number);
    return /^\d{4}-\d\d-\d\d$/.test(text)
      ? [text, text.replaceAll('-', ''), `${text} 13:45`]
      : [text];
  },
  parameters: (value) => {
    const days = value as number;
    if (!Number.isFinite(days)) return [days];
    if (farDates.has(days)) return [];
    return [new Date(days * millisecondsPerDay), new Date((days + 1) * millisecondsPerDay - 1)];
  },
  bare: () => undefined,
  output: (value) => dateText(value as number),
};

const secondText = (seconds: bigint): string =>
  new Date(Number(seconds) * 1000).toISOString().slice(0, 19);

function timestampTexts(micros: bigint, zoned: boolean): string[] {
  const word = infinities.get(micros);
  if (word !== undefined) return [word];
  const rest = ((micros % microsPerSecond) + microsPerSecond) % microsPerSecond;
  const seconds = (micros - rest) / microsPerSecond;
  const fraction = rest === 0n ? '' : `.${rest.toString().padStart(6, '0')}`;
  const text = `${secondText(seconds)}${fraction}`;
  if (!zoned) return [text, text.replace('T', ' ')];
  const east = `${secondText(seconds + 19_800n)}${fraction}+05:30`;
  return [`${text}Z`, `${text.replace('T', ' ')}+00`, east, text];
}

function timestampParameters(micros: bigint): unknown[] {
  const word = infinities.get(micros);
  if (word !== undefined) return [micros, word === 'infinity' ? Infinity : -Infinity];
  return micros % 1000n === 0n ? [micros, new Date(Number(micros / 1000n))] : [micros];
}

function timestampOutput(value: Plain, timestamps: Timestamps): unknown {
  const micros = value as bigint;
  if (timestamps === 'microseconds') return micros;
  const word = infinities.get(micros);
  if (word !== undefined) return word === 'infinity' ? Infinity : -Infinity;
  // BigInt division goes towards zero; a time within a millisecond belongs to the one that began.
  const below = micros < 0n && micros % 1000n !== 0n ? 1n : 0n;
  return new Date(Number(micros / 1000n - below));
}

const few = [-1n, 0n, 1n, 1_000n, -1_000_000n, 1_700_000_000_123_456n, ...infinities.keys()];
const anyTime = fc
  .tuple(day, fc.bigInt({ min: 0n, max: 86_399_999_999n }))
  .map(([days, micros]) => BigInt(days) * 86_400_000_000n + micros)
  // A zone of +05:30 must not lead out of the years that toISOString writes with four digits.
  .filter((micros) => micros < 253_402_200_000_000_000n);

function timestampKind(zoned: boolean): Kind {
  return {
    values: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...few) },
      { weight: 2, arbitrary: anyTime },
    ),
    compare: order,
    texts: (value) => timestampTexts(value as bigint, zoned),
    parameters: (value) => timestampParameters(value as bigint),
    bare: () => undefined,
    output: timestampOutput,
  };
}

export const timestamp = timestampKind(false);
export const timestamptz = timestampKind(true);
