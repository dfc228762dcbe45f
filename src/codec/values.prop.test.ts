import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ColumnType, type StoreKey, typeNames, type Value } from '../base/index.ts';
import { DecodeError, decodeKey, encodeKey, rowCodec, Writer } from './index.ts';

const text = fc.string({ unit: 'binary' }).map((value) => value.replaceAll('\0', ''));
const digits = fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: 1, maxLength: 12 });
const numeric = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(
        fc.boolean(),
        fc.bigInt({ min: 0n, max: 10n ** 14n }),
        fc.option(digits, { nil: undefined }),
      )
      .map(canonicalNumeric),
  },
  { weight: 1, arbitrary: fc.constantFrom('NaN', 'Infinity', '-Infinity', '0', '0.00') },
);

function canonicalNumeric([negative, whole, fraction]: [
  boolean,
  bigint,
  string | undefined,
]): string {
  const magnitude = fraction === undefined ? `${whole}` : `${whole}.${fraction}`;
  return negative && /[1-9]/.test(magnitude) ? `-${magnitude}` : magnitude;
}

const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const jsonb = fc
  .json({ stringUnit: fc.constantFrom('a', 'é', '😀', '"', '\\') })
  .map((value) => JSON.stringify(inOrder(JSON.parse(value))))
  // Canonical jsonb has numbers without exponent.
  .filter((value) => !/\de[+-]\d/.test(value));

/** With the members of objects as jsonb has them: shorter names first. */
function inOrder(json: unknown): unknown {
  if (typeof json !== 'object' || json === null) return json;
  if (Array.isArray(json)) return json.map(inOrder);
  const members = Object.entries(json).map(([name, value]) => [name, inOrder(value)] as const);
  const bytes = (name: string): Buffer => Buffer.from(name);
  return Object.fromEntries(
    members.toSorted(
      ([left], [right]) =>
        bytes(left).length - bytes(right).length || Buffer.compare(bytes(left), bytes(right)),
    ),
  );
}
/** An interval is in no row. */
type StoredName = (typeof typeNames)[number];

const arbitraries: Readonly<Record<StoredName, fc.Arbitrary<Value>>> = {
  smallint: fc.integer({ min: -32768, max: 32767 }),
  integer: fc.integer(),
  bigint: int64,
  real: fc.float(),
  'double precision': fc.double(),
  numeric,
  text,
  varchar: text,
  boolean: fc.boolean(),
  bytea: fc.uint8Array(),
  date: fc.oneof(
    fc.integer({ min: -2440588, max: 2145042541 }),
    fc.constantFrom(Infinity, -Infinity),
  ),
  timestamp: int64,
  timestamptz: int64,
  uuid: fc.uuid(),
  jsonb,
};

interface Row {
  readonly types: ColumnType[];
  readonly values: Value[];
}

function rowOf(names: readonly StoredName[]): fc.Arbitrary<Row> {
  const column = fc
    .constantFrom(...names)
    .chain((name) =>
      fc.record({ name: fc.constant(name), value: fc.option(arbitraries[name], { freq: 6 }) }),
    );
  return fc.array(column, { minLength: 1, maxLength: 12 }).map((columns) => ({
    types: columns.map(({ name }) => ({ name })),
    values: columns.map(({ value }) => value),
  }));
}

const row = rowOf(typeNames);

function encode({ types, values }: Row): Uint8Array {
  const writer = new Writer(8);
  rowCodec(types).encode(writer, values);
  return writer.finish();
}

describe('rows', () => {
  test('decode gives back what encode was given, whole and by column', () => {
    fc.assert(
      fc.property(row, ({ types, values }) => {
        const codec = rowCodec(types);
        const bytes = encode({ types, values });
        expect(codec.decode(bytes)).toStrictEqual(values);
        for (const [ordinal, value] of values.entries()) {
          expect(codec.decodeColumn(bytes, ordinal)).toStrictEqual(value);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('bytes with a changed, missing or added byte are refused or are the only encoding of another row', () => {
    const change = fc.record({
      at: fc.nat(),
      byte: fc.integer({ min: 0, max: 255 }),
      how: fc.constantFrom('change', 'cut', 'add'),
    });
    fc.assert(
      fc.property(row, change, ({ types, values }, { at, byte, how }) => {
        const bytes = encode({ types, values });
        let damaged = Uint8Array.from(bytes);
        if (how === 'cut') damaged = damaged.slice(0, at % bytes.length);
        else if (how === 'add') damaged = Uint8Array.of(...bytes, byte);
        else damaged[at % bytes.length] = byte;
        let decoded: Value[];
        try {
          decoded = rowCodec(types).decode(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        expect(encode({ types, values: decoded })).toStrictEqual(damaged);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe('keys', () => {
  /** What a key does not keep: the scale of numbers and the sign of zero. */
  const exact = typeNames.filter((name) => name !== 'numeric' && name !== 'jsonb');

  test('decodeKey gives back what encodeKey was given', () => {
    fc.assert(
      fc.property(rowOf(exact), ({ types, values }) => {
        const unsigned = values.map((value) => (Object.is(value, -0) ? 0 : value));
        expect(decodeKey(types, encodeKey(types, values))).toStrictEqual(unsigned);
      }),
      { numRuns: 500 },
    );
  });

  test('a decoded key encodes to the same key again', () => {
    fc.assert(
      fc.property(row, ({ types, values }) => {
        const key = encodeKey(types, values);
        expect(encodeKey(types, decodeKey(types, key))).toBe(key);
      }),
      { numRuns: 500 },
    );
  });

  test('no key is the beginning of another', () => {
    const two = fc
      .constantFrom(...typeNames)
      .chain((name) => fc.tuple(fc.constant([{ name }]), arbitraries[name], arbitraries[name]));
    fc.assert(
      fc.property(two, ([types, left, right]) => {
        const first = encodeKey(types, [left]);
        const second = encodeKey(types, [right]);
        expect(first === second || !second.startsWith(first)).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a key with a changed byte is refused or is the only key of other values', () => {
    fc.assert(
      fc.property(
        rowOf([...exact, 'numeric']),
        fc.nat(),
        fc.integer({ min: 0, max: 255 }),
        ({ types, values }, at, byte) => {
          const key = encodeKey(types, values);
          const index = at % key.length;
          const damaged = (key.slice(0, index) +
            String.fromCharCode(byte) +
            key.slice(index + 1)) as StoreKey;
          let decoded: Value[];
          try {
            decoded = decodeKey(types, damaged);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
            return;
          }
          expect(encodeKey(types, decoded)).toBe(damaged);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
